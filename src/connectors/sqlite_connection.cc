#include "connectors/sqlite_connection.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <vector>

#include "base/check.h"
#include "connectors/sqlite_errors.h"
#include "io/os/special_file.h"

namespace onceflow::connectors {
namespace {

// SQLite opens a device too, and then waits for what it wrote to come back.
Status check_keeps_bytes(const std::string& file) {
  const std::string_view special = io::special_file(file);
  return special.empty()
             ? Status()
             : fail(ErrorCode::kRefused,
                    fmt::format("cannot open {}: it is {}; the rule: positions and rows are kept "
                                "in a file; the fix: name a file on disk as the sink's `file`",
                                file, special));
}

// On its way to UTF-16 and back U+FFFE and U+FFFF become U+FFFD.
Status check_encoding(SqliteConnection& connection, const std::string& file) {
  const auto named = [&](Error error) {
    error.text = fmt::format("{}: {}", file, error.text);
    return std::unexpected(std::move(error));
  };
  Result<SqliteStatement> statement = connection.prepare("PRAGMA encoding");
  if (!statement) {
    return named(std::move(statement).error());
  }
  if (const auto step = statement->step(); !step) {
    return named(step.error());
  }
  const std::string_view encoding = statement->text(0);
  return encoding == "UTF-8"
             ? Status()
             : fail(ErrorCode::kRefused,
                    fmt::format("the text in {0} is {1} (PRAGMA encoding); the rule: text is kept "
                                "as it is, and SQLite writes U+FFFE and U+FFFF as U+FFFD there; "
                                "the fix: name a new file as the sink's `file`, {0}.utf8, after "
                                "sqlite3 {0} .dump | sqlite3 {0}.utf8, which cuts texts at U+0000, "
                                "or without it, to write all rows again",
                                file, encoding));
}

}  // namespace

void SqliteStatement::Finalize::operator()(sqlite3_stmt* statement) const {
  sqlite3_finalize(statement);
}

void SqliteConnection::Close::operator()(sqlite3* database) const { sqlite3_close_v2(database); }

void SqliteStatement::bind(int parameter, const Value& value) {
  sqlite3_stmt* statement = statement_.get();
  int code = SQLITE_OK;
  if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    code = sqlite3_bind_int64(statement, parameter, *integer);
  } else if (const auto* real = std::get_if<double>(&value)) {
    code = sqlite3_bind_double(statement, parameter, *real);
  } else if (const auto* decimal = std::get_if<Decimal>(&value)) {
    code = sqlite3_bind_text64(statement, parameter, decimal->digits.data(), decimal->digits.size(),
                               SQLITE_STATIC, SQLITE_UTF8);
  } else if (const auto* text = std::get_if<std::string_view>(&value)) {
    // A null pointer would bind null, and an empty text is not null.
    code = sqlite3_bind_text64(statement, parameter, text->empty() ? "" : text->data(),
                               text->size(), SQLITE_STATIC, SQLITE_UTF8);
  } else {
    code = sqlite3_bind_null(statement, parameter);
  }
  CHECK(code == SQLITE_OK || code == SQLITE_TOOBIG || code == SQLITE_NOMEM);
}

void SqliteStatement::bind_blob(int parameter, ByteView bytes) {
  const int code = sqlite3_bind_blob64(statement_.get(), parameter,
                                       bytes.empty() ? static_cast<const void*>("") : bytes.data(),
                                       bytes.size(), SQLITE_STATIC);
  CHECK(code == SQLITE_OK || code == SQLITE_TOOBIG || code == SQLITE_NOMEM);
}

Result<SqliteStatement::Step> SqliteStatement::step() {
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) {
    return Step::kRow;
  }
  if (code == SQLITE_DONE) {
    return Step::kDone;
  }
  return std::unexpected(sqlite_error(code, sqlite3_errmsg(sqlite3_db_handle(statement_.get()))));
}

Status SqliteStatement::run() {
  for (;;) {
    const Result<Step> result = step();
    if (!result || *result == Step::kDone) {
      reset();
      return result ? Status() : std::unexpected(result.error());
    }
  }
}

void SqliteStatement::reset() { sqlite3_reset(statement_.get()); }

int SqliteStatement::column_count() const { return sqlite3_column_count(statement_.get()); }

bool SqliteStatement::is_null(int column) const {
  return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL;
}

std::int64_t SqliteStatement::integer(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}

std::string_view SqliteStatement::text(int column) const {
  const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(statement_.get(), column));
  return data == nullptr
             ? std::string_view()
             : std::string_view(
                   data, static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column)));
}

Result<std::unique_ptr<SqliteConnection>> SqliteConnection::open(const std::string& file,
                                                                 milliseconds busy_timeout,
                                                                 int flags) {
  RETURN_IF_ERROR(check_keeps_bytes(file));
  auto connection = std::make_unique<SqliteConnection>();
  sqlite3* raw = nullptr;
  const int code = sqlite3_open_v2(file.c_str(), &raw,
                                   flags | SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  connection->database_.reset(raw);
  if (code != SQLITE_OK) {
    return std::unexpected(sqlite_error(
        code, fmt::format("cannot open {}: {}", file,
                          raw == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(raw))));
  }
  sqlite3_extended_result_codes(raw, 1);
  sqlite3_busy_timeout(raw, static_cast<int>(busy_timeout.count()));
  RETURN_IF_ERROR(check_encoding(*connection, file));
  return connection;
}

Result<std::unique_ptr<SqliteConnection>> SqliteConnection::open(const std::string& file,
                                                                 milliseconds busy_timeout) {
  auto opened = open(file, busy_timeout, SQLITE_OPEN_CREATE);
  RETURN_IF_ERROR(opened);
  SqliteConnection* connection = opened->get();
  for (const char* pragma : {"PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL"}) {
    if (Status status = connection->execute(pragma); !status) {
      status.error().text = fmt::format("{}: {}", file, status.error().text);
      return std::unexpected(std::move(status).error());
    }
  }
  connection->remember_files(file);
  return opened;
}

Result<std::unique_ptr<SqliteConnection>> SqliteConnection::open_to_look(
    const std::string& file, milliseconds busy_timeout) {
  auto opened = open(file, busy_timeout, 0);
  RETURN_IF_ERROR(opened);
  (*opened)->remember_files(file);
  return opened;
}

void SqliteConnection::remember_files(const std::string& file) {
  const std::string beside = sqlite3_db_filename(database_.get(), "main");
  for (const std::string& path : {file, beside + "-wal", beside + "-shm"}) {
    files_.push_back({path, io::file_identity(path)});
  }
}

Status SqliteConnection::execute(const std::string& sql) {
  const int code = sqlite3_exec(database_.get(), sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) {
    return std::unexpected(sqlite_error(code, sqlite3_errmsg(database_.get())));
  }
  return {};
}

Result<SqliteStatement> SqliteConnection::prepare(const std::string& sql) {
  sqlite3_stmt* raw = nullptr;
  const int code = sqlite3_prepare_v3(database_.get(), sql.c_str(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &raw, nullptr);
  SqliteStatement statement;
  statement.statement_.reset(raw);
  if (code != SQLITE_OK) {
    return std::unexpected(sqlite_error(code, sqlite3_errmsg(database_.get())));
  }
  return statement;
}

void SqliteConnection::limit_steps(std::size_t millions) {
  constexpr int kMillion = 1'000'000;
  million_steps_left_ = millions;
  const auto count = [](void* left) -> int {
    return --*static_cast<std::size_t*>(left) == 0 ? 1 : 0;
  };
  sqlite3_progress_handler(database_.get(), millions == 0 ? 0 : kMillion,
                           millions == 0 ? nullptr : +count, &million_steps_left_);
}

bool SqliteConnection::was_interrupted() const { return (error_code() & 0xff) == SQLITE_INTERRUPT; }

int SqliteConnection::changes() const { return sqlite3_changes(database_.get()); }

SqliteConnection::~SqliteConnection() {
  if (database_ && has_moved()) {
    sqlite3_db_config(database_.get(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  }
}

// SQLite follows the path once: this is of the file that it led to then.
bool SqliteConnection::is_elsewhere() const {
  int has_moved = 0;
  const int code =
      sqlite3_file_control(database_.get(), "main", SQLITE_FCNTL_HAS_MOVED, &has_moved);
  return code == SQLITE_OK && has_moved != 0;
}

// The log and its index may not be there before the first statement.
bool SqliteConnection::has_moved() {
  for (OpenFile& file : files_) {
    const std::optional<io::FileIdentity> found = io::file_identity(file.path);
    if (file.identity && found != file.identity) {
      return true;
    }
    file.identity = found;
  }
  return is_elsewhere();
}

// Its header holds random numbers, so that two logs differ in it.
bool SqliteConnection::left_its_log() const {
  if (!is_elsewhere()) {
    return false;
  }
  using Header = std::array<char, 32>;
  const auto read = [](sqlite3_file* log) {
    Header header{};
    const bool is_read = log != nullptr && log->pMethods != nullptr &&
                         log->pMethods->xRead(log, header.data(), header.size(), 0) == SQLITE_OK;
    return is_read ? std::optional(header) : std::nullopt;
  };
  sqlite3_file* own = nullptr;
  sqlite3_file_control(database_.get(), "main", SQLITE_FCNTL_JOURNAL_POINTER, &own);
  sqlite3_vfs* vfs = nullptr;
  sqlite3_file_control(database_.get(), "main", SQLITE_FCNTL_VFS_POINTER, &vfs);
  if (vfs == nullptr) {
    return false;
  }
  // The file that SQLite's own layer opens is an object of a size that only it knows.
  std::vector<std::max_align_t> place(
      static_cast<std::size_t>(vfs->szOsFile) / sizeof(std::max_align_t) + 1);
  auto* found = reinterpret_cast<sqlite3_file*>(place.data());
  int flags = 0;
  if (vfs->xOpen(vfs, sqlite3_filename_wal(sqlite3_db_filename(database_.get(), "main")), found,
                 SQLITE_OPEN_READONLY | SQLITE_OPEN_WAL, &flags) != SQLITE_OK) {
    return false;  // There is none.
  }
  const std::optional<Header> header = read(found);
  found->pMethods->xClose(found);
  return header && header == read(own);
}

Result<std::string> SqliteConnection::collation_of(const std::string& table,
                                                   const std::string& column) const {
  const char* collation = nullptr;
  const int code =
      sqlite3_table_column_metadata(database_.get(), "main", table.c_str(), column.c_str(), nullptr,
                                    &collation, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) {
    return std::unexpected(error());
  }
  std::string name(collation == nullptr ? "BINARY" : collation);
  std::ranges::transform(name, name.begin(), [](char letter) {
    return letter >= 'a' && letter <= 'z' ? static_cast<char>(letter - 'a' + 'A') : letter;
  });
  return name;
}

int SqliteConnection::error_code() const { return sqlite3_extended_errcode(database_.get()); }

std::string SqliteConnection::error_text() const { return sqlite3_errmsg(database_.get()); }

Error SqliteConnection::error() const { return sqlite_error(error_code(), error_text()); }

std::string quote_identifier(std::string_view name) {
  std::string quoted = "\"";
  for (const char letter : name) {
    quoted.append(letter == '"' ? 2 : 1, letter);
  }
  return quoted + '"';
}

}  // namespace onceflow::connectors
