#include "pipeline/expression.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <climits>
#include <cmath>

#include "base/check.h"
#include "pipeline/expression_text.h"

namespace onceflow::pipeline {
namespace {

constexpr const char* kClocklessVfs = "onceflow-without-clock";

struct CloseDatabase {
  void operator()(sqlite3* database) const { sqlite3_close_v2(database); }
};
struct FinalizeStatement {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Database = std::unique_ptr<sqlite3, CloseDatabase>;
using PreparedStatement = std::unique_ptr<sqlite3_stmt, FinalizeStatement>;

int no_time(sqlite3_vfs*, double*) { return SQLITE_ERROR; }
int no_time_int64(sqlite3_vfs*, sqlite3_int64*) { return SQLITE_ERROR; }

// The file system of expressions has no clock: 'now', however it reaches a date function, is null.
// SQLite keeps the registration for the whole process; registering twice changes nothing.
bool register_clockless_vfs() {
  static sqlite3_vfs clockless = [] {
    sqlite3_vfs copy = *sqlite3_vfs_find(nullptr);
    copy.zName = kClocklessVfs;
    copy.pNext = nullptr;
    copy.iVersion = std::max(copy.iVersion, 2);
    copy.xCurrentTime = no_time;
    copy.xCurrentTimeInt64 = no_time_int64;
    return copy;
  }();
  return sqlite3_vfs_register(&clockless, 0) == SQLITE_OK;
}

// The law for expressions: calls of listed functions, nothing else. No table can be read, since the
// database is empty and reading is denied.
int authorize(void*, int action, const char*, const char* function, const char*, const char*) {
  if (action == SQLITE_SELECT) {
    return SQLITE_OK;
  }
  if (action == SQLITE_FUNCTION && function != nullptr && is_allowed_function(function)) {
    return SQLITE_OK;
  }
  return SQLITE_DENY;
}

Result<Database> open_database() {
  sqlite3_initialize();
  if (!register_clockless_vfs()) {
    return fail(ErrorCode::kIo, "SQLite did not take the file system of expressions");
  }
  sqlite3* raw = nullptr;
  const int code = sqlite3_open_v2(":memory:", &raw,
                                   SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                                   kClocklessVfs);
  Database database(raw);
  if (code != SQLITE_OK) {
    return fail(ErrorCode::kIo, fmt::format("SQLite did not start: {}", sqlite3_errstr(code)));
  }
  // "text" in double quotes is never silently a string, and nothing can be loaded or attached.
  sqlite3_db_config(raw, SQLITE_DBCONFIG_DQS_DML, 0, nullptr);
  sqlite3_db_config(raw, SQLITE_DBCONFIG_DQS_DDL, 0, nullptr);
  sqlite3_db_config(raw, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, nullptr);
  sqlite3_limit(raw, SQLITE_LIMIT_ATTACHED, 0);
  sqlite3_set_authorizer(raw, authorize, nullptr);
  return database;
}

Value read_column(sqlite3_stmt* statement, int index) {
  switch (sqlite3_column_type(statement, index)) {
    case SQLITE_INTEGER:
      return static_cast<std::int64_t>(sqlite3_column_int64(statement, index));
    case SQLITE_FLOAT:
      return sqlite3_column_double(statement, index);
    case SQLITE_TEXT: {
      const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, index));
      return std::string_view(text,
                              static_cast<std::size_t>(sqlite3_column_bytes(statement, index)));
    }
    default:
      return std::monostate{};
  }
}

void bind_bytes(sqlite3_stmt* statement, int parameter, std::optional<ByteView> bytes) {
  if (!bytes) {
    sqlite3_bind_null(statement, parameter);
    return;
  }
  // A null pointer would bind null, and an empty text is not null.
  const char* text = bytes->empty() ? "" : reinterpret_cast<const char*>(bytes->data());
  CHECK(bytes->size() <= INT_MAX);
  sqlite3_bind_text(statement, parameter, text, static_cast<int>(bytes->size()), SQLITE_STATIC);
}

}  // namespace

std::expected<Expression, ExpressionError> check_expression(std::string_view text) {
  std::expected<TranslatedExpression, ExpressionError> translated = translate_expression(text);
  if (!translated) {
    return std::unexpected(std::move(translated).error());
  }
  const auto refuse = [](std::size_t column, std::string what) {
    return std::unexpected(ExpressionError{
        column, std::move(what), "an expression is one SQL expression as SQLite reads it",
        "see docs/pipeline-file.md, section \"Expressions\", for what may be written"});
  };
  Result<Database> database = open_database();
  if (!database) {
    return refuse(1, database.error().text);
  }
  const std::string_view before = "SELECT (";
  const std::string sql = fmt::format("{}{})", before, translated->sql);
  sqlite3_stmt* raw = nullptr;
  const int code =
      sqlite3_prepare_v2(database->get(), sql.c_str(), static_cast<int>(sql.size()), &raw, nullptr);
  const PreparedStatement statement(raw);
  if (code != SQLITE_OK) {
    const int offset = sqlite3_error_offset(database->get());
    const std::size_t in_sql = offset < static_cast<int>(before.size())
                                   ? 0
                                   : static_cast<std::size_t>(offset) - before.size();
    std::string what = fmt::format("SQLite says: {}", sqlite3_errmsg(database->get()));
    if (offset > static_cast<int>(before.size() + translated->sql.size()) - 1) {
      what = "the expression ends too early";
    }
    return refuse(translated->column_of(in_sql), std::move(what));
  }
  if (sqlite3_column_count(raw) != 1) {
    return refuse(1, "it yields more than one value");
  }
  return Expression{std::string(text), std::move(translated->sql), translated->type,
                    std::move(translated->field_name)};
}

struct Program::Statement {
  Database database;
  PreparedStatement prepared;
  std::array<bool, kParameterCount + 1> uses{};  ///< by parameter, from 1
  bool topic_is_bound = false;
  std::string topic;
};

Program::Program(std::unique_ptr<Statement> statement) : statement_(std::move(statement)) {}
Program::~Program() = default;

Result<std::unique_ptr<Program>> Program::prepare(const std::vector<std::string>& columns) {
  Result<Database> database = open_database();
  if (!database) {
    return std::unexpected(std::move(database).error());
  }
  const std::string sql = fmt::format("SELECT {}", fmt::join(columns, ", "));
  sqlite3_stmt* raw = nullptr;
  const int code = sqlite3_prepare_v3(database->get(), sql.c_str(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &raw, nullptr);
  auto statement = std::make_unique<Statement>();
  statement->prepared.reset(raw);
  if (code != SQLITE_OK) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("SQLite says of {}: {}", sql, sqlite3_errmsg(database->get())));
  }
  statement->database = std::move(*database);
  for (int parameter = 1; parameter <= kParameterCount; ++parameter) {
    const std::string name = fmt::format("?{}", parameter);
    statement->uses[static_cast<std::size_t>(parameter)] =
        sqlite3_bind_parameter_index(raw, name.c_str()) != 0;
  }
  return std::unique_ptr<Program>(new Program(std::move(statement)));
}

Status Program::run(const TopicPartition& source, const engine::Record& record) {
  Statement& statement = *statement_;
  sqlite3_stmt* prepared = statement.prepared.get();
  sqlite3_reset(prepared);
  const auto uses = [&](Parameter parameter) {
    return statement.uses[static_cast<std::size_t>(parameter)];
  };
  if (uses(kValueParameter)) {
    bind_bytes(prepared, kValueParameter, record.value);
  }
  if (uses(kKeyParameter)) {
    bind_bytes(prepared, kKeyParameter, record.key);
  }
  if (uses(kTopicParameter) && (!statement.topic_is_bound || statement.topic != source.topic)) {
    statement.topic = source.topic;
    statement.topic_is_bound = true;
    sqlite3_bind_text(prepared, kTopicParameter, statement.topic.c_str(),
                      static_cast<int>(statement.topic.size()), SQLITE_STATIC);
  }
  if (uses(kPartitionParameter)) {
    sqlite3_bind_int64(prepared, kPartitionParameter, source.partition.value);
  }
  if (uses(kOffsetParameter)) {
    sqlite3_bind_int64(prepared, kOffsetParameter, record.offset.value);
  }
  if (uses(kTimestampParameter)) {
    sqlite3_bind_int64(prepared, kTimestampParameter, record.timestamp_ms);
  }
  if (sqlite3_step(prepared) != SQLITE_ROW) [[unlikely]] {
    return fail(ErrorCode::kInvalidArgument, sqlite3_errmsg(statement.database.get()));
  }
  return {};
}

Result<Value> Program::column(std::size_t index) const {
  sqlite3_stmt* prepared = statement_->prepared.get();
  if (sqlite3_column_type(prepared, static_cast<int>(index)) == SQLITE_BLOB) [[unlikely]] {
    return fail(ErrorCode::kRefused, "a blob, where text, a number or null is needed");
  }
  return read_column(prepared, static_cast<int>(index));
}

bool Program::is_true(std::size_t index) const {
  return sqlite3_column_int(statement_->prepared.get(), static_cast<int>(index)) != 0;
}

std::string_view render_text(const Value& value, engine::Arena& arena) {
  if (const auto* text = std::get_if<std::string_view>(&value)) {
    return *text;
  }
  std::array<char, 40> digits;
  char* end = digits.data();
  if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    end = std::to_chars(digits.data(), digits.data() + digits.size(), *integer).ptr;
  } else if (const auto* real = std::get_if<double>(&value)) {
    end = std::to_chars(digits.data(), digits.data() + digits.size() - 2, *real).ptr;
    // A real stays recognisable as one, as in SQLite and JSON.
    const std::string_view so_far(digits.data(), static_cast<std::size_t>(end - digits.data()));
    if (std::isfinite(*real) && so_far.find_first_of(".e") == std::string_view::npos) {
      *end++ = '.';
      *end++ = '0';
    }
  }
  const std::string_view text(digits.data(), static_cast<std::size_t>(end - digits.data()));
  return as_text(arena.copy(as_bytes(text)));
}

}  // namespace onceflow::pipeline
