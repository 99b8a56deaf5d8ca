#include "pipeline/expression.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <climits>
#include <cmath>

#include "base/check.h"
#include "pipeline/expression_text.h"
#include "pipeline/json_fields.h"

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
  return Expression{std::string(text), std::move(translated->sql), std::move(translated->fast_sql),
                    translated->type, std::move(translated->field_name)};
}

namespace {

// One prepared statement and what its parameters stand for.
struct Query {
  PreparedStatement statement;
  std::array<int, kRecordParts.size()> parts{};  ///< the parameter of each part; 0: not used
  std::vector<int> field_parameters;             ///< fast SQL: by field of its JsonFields
  std::vector<std::string> field_paths;
  std::optional<std::string> topic;  ///< as bound; it lives here

  int parameter_of(RecordPart part) const { return parts[static_cast<std::size_t>(part)]; }
};

Result<Query> prepare_query(sqlite3* database, const std::vector<std::string_view>& columns) {
  const std::string sql = fmt::format("SELECT {}", fmt::join(columns, ", "));
  sqlite3_stmt* raw = nullptr;
  const int code = sqlite3_prepare_v3(database, sql.c_str(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &raw, nullptr);
  Query query;
  query.statement.reset(raw);
  if (code != SQLITE_OK) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("SQLite says of {}: {}", sql, sqlite3_errmsg(database)));
  }
  for (int index = 1; index <= sqlite3_bind_parameter_count(raw); ++index) {
    const std::string_view name = sqlite3_bind_parameter_name(raw, index);
    if (std::optional<std::string> path = path_of_parameter(name)) {
      query.field_parameters.push_back(index);
      query.field_paths.push_back(std::move(*path));
    } else {
      const auto part = std::ranges::find(kRecordParts, name.substr(1));
      CHECK(part != kRecordParts.end());
      query.parts[static_cast<std::size_t>(part - kRecordParts.begin())] = index;
    }
  }
  return query;
}

void bind_value(sqlite3_stmt* statement, int parameter, const Value& value) {
  if (const auto* text = std::get_if<std::string_view>(&value)) {
    bind_bytes(statement, parameter, as_bytes(*text));
  } else if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    sqlite3_bind_int64(statement, parameter, *integer);
  } else if (const auto* real = std::get_if<double>(&value)) {
    sqlite3_bind_double(statement, parameter, *real);
  } else {
    sqlite3_bind_null(statement, parameter);
  }
}

void bind_record(Query& query, const TopicPartition& source, const engine::Record& record) {
  sqlite3_stmt* statement = query.statement.get();
  if (const int parameter = query.parameter_of(RecordPart::kValue)) {
    bind_bytes(statement, parameter, record.value);
  }
  if (const int parameter = query.parameter_of(RecordPart::kKey)) {
    bind_bytes(statement, parameter, record.key);
  }
  if (const int parameter = query.parameter_of(RecordPart::kTopic);
      parameter != 0 && query.topic != source.topic) {
    query.topic = source.topic;
    bind_bytes(statement, parameter, as_bytes(*query.topic));
  }
  if (const int parameter = query.parameter_of(RecordPart::kPartition)) {
    sqlite3_bind_int64(statement, parameter, source.partition.value);
  }
  if (const int parameter = query.parameter_of(RecordPart::kOffset)) {
    sqlite3_bind_int64(statement, parameter, record.offset.value);
  }
  if (const int parameter = query.parameter_of(RecordPart::kTimestamp)) {
    sqlite3_bind_int64(statement, parameter, record.timestamp_ms);
  }
}

}  // namespace

struct Program::State {
  Database database;
  Query query;
  std::optional<Query> fast_query;  ///< all columns over fields that JsonFields reads
  std::unique_ptr<JsonFields> fields;
  sqlite3_stmt* current = nullptr;  ///< of the last run
};

Program::Program(std::unique_ptr<State> state) : state_(std::move(state)) {}
Program::~Program() = default;

Result<std::unique_ptr<Program>> Program::prepare(const std::vector<ColumnSql>& columns) {
  Result<Database> database = open_database();
  RETURN_IF_ERROR(database);
  std::vector<std::string_view> sql;
  std::vector<std::string_view> fast_sql;
  for (const ColumnSql& column : columns) {
    sql.push_back(column.sql);
    if (!column.fast_sql.empty()) {
      fast_sql.push_back(column.fast_sql);
    }
  }
  auto state = std::make_unique<State>();
  Result<Query> query = prepare_query(database->get(), sql);
  RETURN_IF_ERROR(query);
  state->query = std::move(*query);
  if (fast_sql.size() == columns.size()) {
    Result<Query> fast_query = prepare_query(database->get(), fast_sql);
    RETURN_IF_ERROR(fast_query);
    if (!fast_query->field_paths.empty()) {
      state->fields = std::make_unique<JsonFields>(fast_query->field_paths);
      state->fast_query = std::move(*fast_query);
    }
  }
  state->database = std::move(*database);
  return std::unique_ptr<Program>(new Program(std::move(state)));
}

Status Program::run(const TopicPartition& source, const engine::Record& record) {
  State& state = *state_;
  const bool is_fast = state.fast_query && record.value && state.fields->read(*record.value);
  Query& query = is_fast ? *state.fast_query : state.query;
  state.current = query.statement.get();
  sqlite3_reset(state.current);
  bind_record(query, source, record);
  for (std::size_t index = 0; is_fast && index < query.field_parameters.size(); ++index) {
    bind_value(state.current, query.field_parameters[index], (*state.fields)[index]);
  }
  if (sqlite3_step(state.current) != SQLITE_ROW) [[unlikely]] {
    return fail(ErrorCode::kInvalidArgument, sqlite3_errmsg(state.database.get()));
  }
  return {};
}

Result<Value> Program::column(std::size_t index) const {
  if (sqlite3_column_type(state_->current, static_cast<int>(index)) == SQLITE_BLOB) [[unlikely]] {
    return fail(ErrorCode::kRefused, "a blob, where text, a number or null is needed");
  }
  return read_column(state_->current, static_cast<int>(index));
}

bool Program::is_true(std::size_t index) const {
  return sqlite3_column_int(state_->current, static_cast<int>(index)) != 0;
}

std::string_view render_text(const Value& value, engine::Arena& arena) {
  if (const auto* text = std::get_if<std::string_view>(&value)) {
    return *text;
  }
  if (const auto* decimal = std::get_if<Decimal>(&value)) {
    return decimal->digits;
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
