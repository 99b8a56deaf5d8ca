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
#include "base/json_document.h"
#include "base/json_text.h"
#include "pipeline/expression_arguments.h"
#include "pipeline/expression_checks.h"
#include "pipeline/expression_functions.h"
#include "pipeline/expression_sql.h"
#include "pipeline/expression_text.h"
#include "pipeline/expression_tree.h"
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
  if (action == SQLITE_FUNCTION && function != nullptr &&
      (is_allowed_function(function) ||
       std::string_view(function).starts_with(kOwnFunctionPrefix))) {
    return SQLITE_OK;
  }
  return SQLITE_DENY;
}

Result<Database> open_database(EvaluationContext& context) {
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
  if (!register_functions(raw, context)) {
    return fail(ErrorCode::kIo, "SQLite did not take the functions of expressions");
  }
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

// What SQLite says of SQL that computes one value; empty if it takes it.
struct Opinion {
  std::string what;
  std::size_t offset = 0;  ///< in the SQL of the value
  bool is_too_short = false;
};

Opinion opinion_of(sqlite3* database, std::string_view value_sql) {
  constexpr std::string_view kBefore = "SELECT (";
  const std::string sql = fmt::format("{}{})", kBefore, value_sql);
  sqlite3_stmt* raw = nullptr;
  const int code =
      sqlite3_prepare_v2(database, sql.c_str(), static_cast<int>(sql.size()), &raw, nullptr);
  const PreparedStatement statement(raw);
  if (code == SQLITE_OK) {
    return {sqlite3_column_count(raw) == 1 ? "" : "it yields more than one value"};
  }
  const auto offset = static_cast<std::ptrdiff_t>(sqlite3_error_offset(database)) -
                      static_cast<std::ptrdiff_t>(kBefore.size());
  if (offset > static_cast<std::ptrdiff_t>(value_sql.size()) - 1) {
    return {"the expression ends too early", static_cast<std::size_t>(offset)};
  }
  return {fmt::format("SQLite says: {}", sqlite3_errmsg(database)),
          offset < 0 ? 0 : static_cast<std::size_t>(offset)};
}

// Of SQL without parameters.
bool yields_null(sqlite3* database, std::string_view sql) {
  const std::string query = fmt::format("SELECT {}", sql);
  sqlite3_stmt* raw = nullptr;
  const int code =
      sqlite3_prepare_v2(database, query.c_str(), static_cast<int>(query.size()), &raw, nullptr);
  const PreparedStatement statement(raw);
  return code == SQLITE_OK && sqlite3_step(raw) == SQLITE_ROW &&
         sqlite3_column_type(raw, 0) == SQLITE_NULL;
}

}  // namespace

std::expected<Expression, ExpressionError> check_expression(std::string_view text,
                                                            Numbers numbers) {
  if (const std::size_t place = text.find("${"); place != std::string_view::npos) {
    return std::unexpected(
        ExpressionError{place + 1, "`${` in an expression",
                        "an expression holds no references: it must mean the "
                        "same wherever and whenever it runs",
                        "write the value itself; for the two characters, `'$' || '{'`"});
  }
  std::expected<TranslatedExpression, ExpressionError> translated = translate_expression(text);
  if (!translated) {
    return std::unexpected(std::move(translated).error());
  }
  const auto refuse = [](std::size_t column, std::string what) {
    return std::unexpected(ExpressionError{
        column, std::move(what), "an expression is one SQL expression as SQLite reads it",
        "see docs/pipeline-file.md, section \"Expressions\", for what may be written"});
  };
  EvaluationContext context;
  Result<Database> database = open_database(context);
  if (!database) {
    return refuse(1, database.error().text);
  }
  if (Opinion opinion = opinion_of(database->get(), translated->sql); !opinion.what.empty()) {
    return refuse(translated->column_of(opinion.offset), std::move(opinion.what));
  }
  const auto tree = parse_tree(translated->tokens);
  if (!tree) {
    return std::unexpected(tree.error());
  }
  const auto is_null = [&](std::string_view sql) { return yields_null(database->get(), sql); };
  if (auto problem = check_tree(**tree, numbers, is_null)) {
    return std::unexpected(std::move(*problem));
  }
  EmittedSql emitted = emit_sql(**tree, numbers);
  for (const std::string_view sql : {emitted.thorough, emitted.fast}) {
    if (Opinion opinion = opinion_of(database->get(), sql); !opinion.what.empty()) {
      return refuse(1, fmt::format("it nests too deeply ({})", opinion.what));
    }
  }
  return Expression{.text = std::string(text),
                    .sql = std::move(emitted.thorough),
                    .fast_sql = std::move(emitted.fast),
                    .is_condition = emitted.is_condition,
                    .path = std::move(translated->path),
                    .part = translated->part,
                    .type = translated->type,
                    .field_name = std::move(translated->field_name),
                    .fields = fields_of(**tree)};
}

namespace {

// One prepared statement and what its parameters stand for.
struct Query {
  PreparedStatement statement;
  std::array<int, kRecordParts.size()> parts{};  ///< the parameter of each part; 0: not used
  /// Fast SQL: a parameter, and the field that it stands for, by its index among all fields.
  std::vector<std::pair<int, std::size_t>> fields;
  std::optional<std::string> topic;  ///< as bound; it lives here

  int parameter_of(RecordPart part) const { return parts[static_cast<std::size_t>(part)]; }
};

// The index of the path in `paths`, to which it is added if it is new.
std::size_t field_index(std::vector<std::string>& paths, const std::string& path) {
  const auto found = std::ranges::find(paths, path);
  if (found != paths.end()) {
    return static_cast<std::size_t>(found - paths.begin());
  }
  paths.push_back(path);
  return paths.size() - 1;
}

Result<Query> prepare_query(sqlite3* database, const std::vector<std::string>& columns,
                            std::vector<std::string>& field_paths) {
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
    if (const std::optional<std::string> path = path_of_parameter(name)) {
      query.fields.emplace_back(index, field_index(field_paths, *path));
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
    CHECK(is_null(value));  // the fast reader reads no decimals
    sqlite3_bind_null(statement, parameter);
  }
}

// Null of a record without one.
Value timestamp_of(const engine::Record& record) {
  constexpr std::int64_t kNoTimestamp = -1;  // in Kafka's protocol
  return record.timestamp_ms == kNoTimestamp ? Value() : Value(record.timestamp_ms);
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
    bind_value(statement, parameter, timestamp_of(record));
  }
}

Value part_of(RecordPart part, const TopicPartition& source, const engine::Record& record) {
  const auto text = [](const std::optional<ByteView>& bytes) {
    return bytes ? Value(as_text(*bytes)) : Value();
  };
  switch (part) {
    case RecordPart::kValue:
      return text(record.value);
    case RecordPart::kKey:
      return text(record.key);
    case RecordPart::kTopic:
      return std::string_view(source.topic);
    case RecordPart::kPartition:
      return std::int64_t{source.partition.value};
    case RecordPart::kOffset:
      return record.offset.value;
    case RecordPart::kTimestamp:
      return timestamp_of(record);
  }
  return {};
}

// Where a column's value comes from: from the record itself, whole, or from SQLite.
struct Place {
  enum class Kind { kField, kPart, kDocument, kQuery };
  Kind kind = Kind::kQuery;
  std::size_t index = 0;  ///< of the field, of the document's path, or of the query's column
  RecordPart part = RecordPart::kValue;
};

std::string column_sql(const ProgramColumn& column, bool is_fast) {
  const std::string& sql = is_fast ? column.expression.fast_sql : column.expression.sql;
  switch (column.form) {
    case ColumnForm::kJson:
    case ColumnForm::kDocument:
      return !is_fast && column.expression.path ? fmt::format("onceflow_json(onceflow_digits({}))",
                                                              sql_literal(*column.expression.path))
                                                : fmt::format("onceflow_json({})", sql);
    case ColumnForm::kTruth:
      return column.expression.is_condition ? fmt::format("({}) IS TRUE", sql)
                                            : fmt::format("onceflow_truth({}) IS TRUE", sql);
    case ColumnForm::kValue:
      break;
  }
  return sql;
}

}  // namespace

struct Program::State {
  EvaluationContext context;
  Database database;
  std::vector<Place> places;  ///< of the columns
  std::vector<std::string> field_paths;
  std::vector<JsonPath> field_steps;  ///< of the same
  std::vector<JsonPath> document_steps;
  std::unique_ptr<JsonFields> fields;
  std::optional<Query> query;       ///< of the columns that are computed, if there are any
  std::optional<Query> fast_query;  ///< over fields that were read
  // Of the last run:
  sqlite3_stmt* current = nullptr;
  std::vector<Value> values;         ///< of columns that are not computed
  std::vector<std::string> storage;  ///< what they view, if it is not in the record
  std::vector<bool> are_json;        ///< of the same: lists and objects
};

Program::Program(std::unique_ptr<State> state) : state_(std::move(state)) {}
Program::~Program() = default;

Result<std::unique_ptr<Program>> Program::prepare(std::vector<ProgramColumn> columns,
                                                  Evaluator evaluator) {
  auto state = std::make_unique<State>();
  Result<Database> database = open_database(state->context);
  RETURN_IF_ERROR(database);
  std::vector<std::string> sql;
  std::vector<std::string> fast_sql;
  for (const ProgramColumn& column : columns) {
    const bool is_document = column.form == ColumnForm::kDocument;
    const bool is_value = column.form == ColumnForm::kValue;
    if (is_document && column.expression.path) {
      const auto steps = parse_json_path(*column.expression.path);
      CHECK(steps.has_value());
      state->places.push_back(
          {.kind = Place::Kind::kDocument, .index = state->document_steps.size()});
      state->document_steps.push_back(*steps);
    } else if (is_document && (column.expression.part == RecordPart::kValue ||
                               column.expression.part == RecordPart::kKey)) {
      state->places.push_back({.kind = Place::Kind::kPart, .part = *column.expression.part});
    } else if (is_value && column.expression.path) {
      state->places.push_back({.kind = Place::Kind::kField,
                               .index = field_index(state->field_paths, *column.expression.path)});
    } else if (is_value && column.expression.part) {
      state->places.push_back({.kind = Place::Kind::kPart, .part = *column.expression.part});
    } else {
      state->places.push_back({.kind = Place::Kind::kQuery, .index = sql.size()});
      sql.push_back(column_sql(column, false));
      fast_sql.push_back(column_sql(column, true));
    }
  }
  if (!sql.empty()) {
    Result<Query> query = prepare_query(database->get(), sql, state->field_paths);
    RETURN_IF_ERROR(query);
    state->query = std::move(*query);
    Result<Query> fast_query = prepare_query(database->get(), fast_sql, state->field_paths);
    RETURN_IF_ERROR(fast_query);
    state->fast_query = std::move(*fast_query);
  }
  for (const std::string& path : state->field_paths) {
    const auto steps = parse_json_path(path);
    CHECK(steps.has_value());
    state->field_steps.push_back(*steps);
  }
  if (!state->field_paths.empty() && evaluator == Evaluator::kFastWhereSure) {
    state->fields = std::make_unique<JsonFields>(state->field_steps);
  }
  state->values.resize(columns.size());
  state->storage.resize(columns.size());
  state->are_json.resize(columns.size());
  state->database = std::move(*database);
  return std::unique_ptr<Program>(new Program(std::move(state)));
}

namespace {

// The JSON at the path without the spaces in it, which is put into `storage`; null if there is
// none.
Value document_at(const JsonDocument& document, const JsonPath& path, std::string& storage) {
  const auto place = document.find(path);
  if (!place || document.node(*place).kind == JsonDocument::Kind::kNull) {
    return {};
  }
  storage.clear();
  append_minified(storage, document.raw(*place));
  return std::string_view(storage);
}

bool step_to_row(sqlite3_stmt* statement) { return sqlite3_step(statement) == SQLITE_ROW; }

}  // namespace

std::expected<void, RecordProblem> Program::run(const TopicPartition& source,
                                                const engine::Record& record) {
  State& state = *state_;
  state.context.begin(record);
  const bool is_fast = state.fields && record.value && state.fields->read(*record.value);
  for (std::size_t index = 0; index < state.places.size(); ++index) {
    const Place& place = state.places[index];
    if (place.kind == Place::Kind::kPart) {
      state.values[index] = part_of(place.part, source, record);
    } else if (place.kind == Place::Kind::kField && is_fast) {
      state.values[index] = (*state.fields)[place.index];
      state.are_json[index] = false;
    } else if (place.kind != Place::Kind::kQuery && !record.value) {
      state.values[index] = std::monostate{};
      state.are_json[index] = false;
    } else if (place.kind != Place::Kind::kQuery) {
      const JsonDocument* document = state.context.read_document();
      if (document == nullptr) {
        return std::unexpected(*state.context.problem);
      }
      if (place.kind == Place::Kind::kDocument) {
        state.values[index] =
            document_at(*document, state.document_steps[place.index], state.storage[index]);
        continue;
      }
      auto field = read_field(*document, state.field_steps[place.index],
                              state.field_paths[place.index], state.storage[index]);
      if (!field) {
        return std::unexpected(std::move(field).error());
      }
      state.values[index] = field->value;
      state.are_json[index] = field->is_json;
    }
  }
  if (!state.query) {
    return {};
  }
  if (is_fast) {
    state.current = state.fast_query->statement.get();
    sqlite3_reset(state.current);
    bind_record(*state.fast_query, source, record);
    for (const auto& [parameter, field] : state.fast_query->fields) {
      bind_value(state.current, parameter, (*state.fields)[field]);
    }
    if (step_to_row(state.current)) [[likely]] {
      return {};
    }
    // Something that an `and` or an `or` may guard against: the thorough way tells.
    state.context.begin(record);
  }
  state.current = state.query->statement.get();
  sqlite3_reset(state.current);
  bind_record(*state.query, source, record);
  if (!step_to_row(state.current)) [[unlikely]] {
    if (state.context.problem) {
      return std::unexpected(*state.context.problem);
    }
    return std::unexpected(RecordProblem{
        fmt::format("SQLite says: {}", sqlite3_errmsg(state.database.get())),
        "an expression yields a value for each record that it sees",
        "keep such records out by a step before this one, or write the expression so that it "
        "does not meet them: case when … then … end"});
  }
  return {};
}

std::expected<Value, RecordProblem> Program::column(std::size_t index) const {
  const Place& place = state_->places[index];
  if (place.kind != Place::Kind::kQuery) {
    return state_->values[index];
  }
  const int column = static_cast<int>(place.index);
  if (sqlite3_column_type(state_->current, column) == SQLITE_BLOB) [[unlikely]] {
    return std::unexpected(RecordProblem{"a blob, where text, a number or null is needed",
                                         "expressions yield text, numbers or null",
                                         "use hex() or cast(… as text)"});
  }
  const Value value = read_column(state_->current, column);
  if (const auto* real = std::get_if<double>(&value); real != nullptr && !std::isfinite(*real))
      [[unlikely]] {
    return std::unexpected(RecordProblem{
        "the value is infinite", "numbers are finite; what leaves the range of a double is refused",
        "bound it with min(…, 1e308), or keep such records out by a step before this one"});
  }
  return value;
}

bool Program::is_json(std::size_t index) const { return state_->are_json[index]; }

bool Program::is_true(std::size_t index) const {
  return sqlite3_column_int(state_->current, static_cast<int>(state_->places[index].index)) != 0;
}

std::string_view render_text(const Value& value, engine::Arena& arena) {
  if (const auto* text = std::get_if<std::string_view>(&value)) {
    return *text;
  }
  if (const auto* decimal = std::get_if<Decimal>(&value)) {
    return decimal->digits;
  }
  if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    std::array<char, 24> digits;
    const char* const end =
        std::to_chars(digits.data(), digits.data() + digits.size(), *integer).ptr;
    const std::string_view text(digits.data(), static_cast<std::size_t>(end - digits.data()));
    return as_text(arena.copy(as_bytes(text)));
  }
  std::string digits;
  append_json_value(digits, value);
  return as_text(arena.copy(as_bytes(digits)));
}

}  // namespace onceflow::pipeline
