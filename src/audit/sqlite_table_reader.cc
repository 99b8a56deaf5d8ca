#include "audit/sqlite_table_reader.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "io/os/special_file.h"
#include "protocol/position_topics.h"

namespace onceflow::audit {
namespace {

/// A writer's commit takes milliseconds; a checkpoint may take longer.
constexpr int kBusyTimeoutMs = 10'000;

std::string quote(std::string_view name) {
  std::string quoted = "\"";
  for (const char letter : name) {
    quoted.append(letter == '"' ? 2 : 1, letter);
  }
  return quoted + '"';
}

}  // namespace

/// A prepared statement and its columns as they are stored.
class SqliteTableReader::Statement {
 public:
  static Result<Statement> prepare(const SqliteTableReader& reader, const std::string& sql,
                                   std::span<const std::string> parameters) {
    sqlite3_stmt* raw = nullptr;
    const int code = sqlite3_prepare_v2(reader.database_.get(), sql.c_str(),
                                        static_cast<int>(sql.size()), &raw, nullptr);
    Statement statement(reader, raw);
    if (code != SQLITE_OK) {
      return std::unexpected(reader.error(code));
    }
    for (std::size_t index = 0; index < parameters.size(); ++index) {
      sqlite3_bind_text(raw, static_cast<int>(index) + 1, parameters[index].data(),
                        static_cast<int>(parameters[index].size()), SQLITE_TRANSIENT);
    }
    return statement;
  }

  /// False after the last row.
  Result<bool> step() {
    const int code = sqlite3_step(statement_.get());
    if (code != SQLITE_ROW && code != SQLITE_DONE) {
      return std::unexpected(reader_->error(code));
    }
    return code == SQLITE_ROW;
  }

  std::int64_t integer(int column) const { return sqlite3_column_int64(statement_.get(), column); }
  ByteView blob(int column) const {
    const auto* data = static_cast<const std::byte*>(sqlite3_column_blob(statement_.get(), column));
    return {data, static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column))};
  }
  /// Whatever the encoding of the database is.
  std::string_view utf8(int column) const {
    return reinterpret_cast<const char*>(sqlite3_column_text(statement_.get(), column));
  }
  /// By its storage class, whatever the column is declared as.
  Value value(int column) const {
    switch (sqlite3_column_type(statement_.get(), column)) {
      case SQLITE_INTEGER:
        return integer(column);
      case SQLITE_FLOAT:
        return sqlite3_column_double(statement_.get(), column);
      case SQLITE_NULL:
        return {};
      default:
        return as_text(blob(column));
    }
  }

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  Statement(const SqliteTableReader& reader, sqlite3_stmt* statement)
      : reader_(&reader), statement_(statement) {}

  const SqliteTableReader* reader_;
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

void SqliteTableReader::Close::operator()(sqlite3* database) const { sqlite3_close_v2(database); }

// Not read-only: after a crash a reader, too, must be able to bring the journal home. query_only
// keeps statements from writing.
Result<std::unique_ptr<TableReader>> SqliteTableReader::open(const TableSubject& table) {
  if (const std::string_view special = io::special_file(table.location); !special.empty()) {
    return fail(ErrorCode::kIo,
                fmt::format("sqlite {}: it is {}, and holds no tables", table.location, special));
  }
  auto reader = std::unique_ptr<SqliteTableReader>(new SqliteTableReader(table));
  sqlite3* raw = nullptr;
  const int code = sqlite3_open_v2(table.location.c_str(), &raw,
                                   SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  reader->database_.reset(raw);
  if (code != SQLITE_OK) {
    if (raw != nullptr && sqlite3_system_errno(raw) == ENOENT) {
      reader->database_.reset();
      return reader;
    }
    return std::unexpected(reader->error(code));
  }
  sqlite3_busy_timeout(raw, kBusyTimeoutMs);
  if (const int set = sqlite3_exec(raw, "PRAGMA query_only = ON", nullptr, nullptr, nullptr);
      set != SQLITE_OK) {
    return std::unexpected(reader->error(set));
  }
  RETURN_IF_ERROR(reader->check_encoding());
  return reader;
}

// Bytes are compared.
Status SqliteTableReader::check_encoding() const {
  auto statement = Statement::prepare(*this, "PRAGMA encoding", {});
  RETURN_IF_ERROR(statement);
  const auto row = statement->step();
  RETURN_IF_ERROR(row);
  const std::string_view encoding = statement->utf8(0);
  return encoding == "UTF-8"
             ? Status()
             : fail(ErrorCode::kIo,
                    fmt::format("sqlite {}: its text is {} (PRAGMA encoding), in which SQLite "
                                "does not keep every text, and a sink writes UTF-8; `onceflow "
                                "plan` says what to do",
                                table_.location, encoding));
}

Error SqliteTableReader::error(int code) const {
  const std::string text = database_ ? sqlite3_errmsg(database_.get()) : sqlite3_errstr(code);
  return {ErrorCode::kIo, fmt::format("sqlite {}: {}", table_.location, text), Recovery::kFatal};
}

Result<bool> SqliteTableReader::has_table(const std::string& name) {
  const std::string parameters[] = {name};
  auto statement = Statement::prepare(
      *this, "SELECT 1 FROM sqlite_master WHERE type IN ('table', 'view') AND name = ?1",
      parameters);
  RETURN_IF_ERROR(statement);
  return statement->step();
}

Result<bool> SqliteTableReader::has_column(const std::string& table, const std::string& column) {
  const std::string parameters[] = {table, column};
  auto statement =
      Statement::prepare(*this, "SELECT 1 FROM pragma_table_info(?1) WHERE name = ?2", parameters);
  RETURN_IF_ERROR(statement);
  return statement->step();
}

Result<bool> SqliteTableReader::begin_snapshot() {
  if (!database_) {
    return false;
  }
  if (const int code = sqlite3_exec(database_.get(), "BEGIN", nullptr, nullptr, nullptr);
      code != SQLITE_OK) {
    return std::unexpected(error(code));
  }
  // The first read fixes the moment.
  const auto has_receipts = has_table("onceflow_receipts");
  if (!has_receipts || *has_receipts) {
    return has_receipts;
  }
  return has_column(table_.table, "onceflow_source");
}

Result<std::vector<StoredPosition>> SqliteTableReader::positions(const std::string& pipeline,
                                                                 const std::string& stage) {
  const auto exists = has_table("onceflow_positions");
  RETURN_IF_ERROR(exists);
  if (!*exists) {
    return std::vector<StoredPosition>();
  }
  const auto has_ids = has_column("onceflow_positions", "topic_id");
  RETURN_IF_ERROR(has_ids);
  const std::string parameters[] = {pipeline, stage};
  auto statement =
      Statement::prepare(*this,
                         fmt::format("SELECT topic, partition, next_offset, {} FROM "
                                     "onceflow_positions WHERE pipeline = ?1 AND stage = ?2",
                                     *has_ids ? "topic_id" : "''"),
                         parameters);
  RETURN_IF_ERROR(statement);
  std::vector<StoredPosition> positions;
  while (true) {
    const auto row = statement->step();
    if (!row) {
      return std::unexpected(row.error());
    }
    if (!*row) {
      return positions;
    }
    positions.push_back({{std::string(as_text(statement->blob(0))),
                          PartitionIndex(static_cast<std::int32_t>(statement->integer(1)))},
                         Offset(statement->integer(2)),
                         protocol::parse_position_topics(as_text(statement->blob(3))).receipts_id});
  }
}

Status SqliteTableReader::for_each_receipt(const std::string& pipeline, const std::string& stage,
                                           const VisitReceipt& visit) {
  const std::string parameters[] = {pipeline, stage};
  return visit_receipts("pipeline = ?1 AND stage = ?2 ORDER BY receipt_id", parameters, visit);
}

Status SqliteTableReader::for_each_receipt_of_others(const std::string& pipeline,
                                                     const VisitReceipt& visit) {
  const std::string parameters[] = {pipeline};
  return visit_receipts("pipeline <> ?1", parameters, visit);
}

Status SqliteTableReader::for_each_receipt_of_former(const std::string& pipeline,
                                                     const std::string& stage,
                                                     const VisitReceipt& visit) {
  const std::string parameters[] = {pipeline, stage};
  return visit_receipts("pipeline = ?1 AND stage <> ?2", parameters, visit);
}

Status SqliteTableReader::visit_receipts(std::string_view condition,
                                         std::span<const std::string> parameters,
                                         const VisitReceipt& visit) {
  const auto exists = has_table("onceflow_receipts");
  RETURN_IF_ERROR(exists);
  if (!*exists) {
    return {};
  }
  auto statement = Statement::prepare(
      *this, fmt::format("SELECT receipt_id, receipt FROM onceflow_receipts WHERE {}", condition),
      parameters);
  RETURN_IF_ERROR(statement);
  while (true) {
    const auto row = statement->step();
    if (!row) {
      return std::unexpected(row.error());
    }
    if (!*row) {
      return {};
    }
    RETURN_IF_ERROR(visit(statement->integer(0), statement->blob(1)));
  }
}

Status SqliteTableReader::for_each_row(const VisitRow& visit) {
  const auto exists = has_table(table_.table);
  RETURN_IF_ERROR(exists);
  if (!*exists) {
    return {};
  }
  std::string sql = "SELECT onceflow_source";
  for (const ColumnSubject& column : table_.columns) {
    sql += ", " + quote(column.name);
  }
  auto statement = Statement::prepare(*this, sql + " FROM " + quote(table_.table), {});
  RETURN_IF_ERROR(statement);
  std::vector<Value> values(table_.columns.size());
  while (true) {
    const auto row = statement->step();
    if (!row) {
      return std::unexpected(row.error());
    }
    if (!*row) {
      return {};
    }
    const Value source = statement->value(0);
    for (std::size_t index = 0; index < values.size(); ++index) {
      values[index] = statement->value(static_cast<int>(index) + 1);
      // Decimals are stored as their digits.
      if (const auto* digits = std::get_if<std::string_view>(&values[index]);
          digits != nullptr && table_.columns[index].type == ColumnType::kDecimal) {
        values[index] = Decimal{*digits};
      }
    }
    const auto* text = std::get_if<std::string_view>(&source);
    RETURN_IF_ERROR(
        visit({.source = text == nullptr ? std::nullopt : std::optional(*text), .values = values}));
  }
}

Result<std::string> SqliteTableReader::key_equality() {
  const std::string parameters[] = {table_.table};
  auto statement =
      Statement::prepare(*this,
                         "SELECT part.name, part.coll FROM pragma_index_list(?1) AS list"
                         " JOIN pragma_index_xinfo(list.name) AS part"
                         " WHERE list.\"unique\" AND part.key AND upper(part.coll) <> 'BINARY'",
                         parameters);
  RETURN_IF_ERROR(statement);
  std::string reasons;
  for (;;) {
    const auto row = statement->step();
    RETURN_IF_ERROR(row);
    if (!*row) {
      return reasons;
    }
    const std::string_view name = as_text(statement->blob(0));
    if (std::ranges::any_of(table_.columns, [&](const ColumnSubject& column) {
          return column.is_key && column.name == name;
        })) {
      reasons += fmt::format("{}column {} compares by collation {}", reasons.empty() ? "" : "; ",
                             name, as_text(statement->blob(1)));
    }
  }
}

}  // namespace onceflow::audit
