#include "audit/postgres_table_reader.h"

#include <fmt/format.h>
#include <libpq-fe.h>

#include <charconv>
#include <utility>

#include "base/decimal.h"
#include "base/typed_text.h"
#include "io/os/wait_socket.h"
#include "protocol/position_topics.h"

namespace onceflow::audit {
namespace {

/// How long a server may take to accept a connection, where its connection string says nothing.
constexpr const char* kConnectTimeoutSeconds = "10";
/// How often an audit that waits for a server looks whether it is to end.
constexpr milliseconds kStopPoll{200};

struct ClearResult {
  void operator()(PGresult* result) const { PQclear(result); }
};
using ResultPointer = std::unique_ptr<PGresult, ClearResult>;

std::string quote(std::string_view name) {
  std::string quoted = "\"";
  for (const char letter : name) {
    quoted.append(letter == '"' ? 2 : 1, letter);
  }
  return quoted + '"';
}

std::string quote_table(std::string_view table) {
  const std::size_t dot = table.find('.');
  return dot == std::string_view::npos
             ? quote(table)
             : quote(table.substr(0, dot)) + "." + quote(table.substr(dot + 1));
}

template <typename Number>
std::optional<Number> parse_number(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size() ? std::optional(number)
                                                                  : std::nullopt;
}

}  // namespace

class PostgresTableReader::Row {
 public:
  explicit Row(const PGresult* result) : result_(result) {}

  std::optional<std::string_view> text(int column) const {
    if (PQgetisnull(result_, 0, column) != 0) {
      return std::nullopt;
    }
    return std::string_view(PQgetvalue(result_, 0, column),
                            static_cast<std::size_t>(PQgetlength(result_, 0, column)));
  }
  std::int64_t integer(int column) const {
    return parse_number<std::int64_t>(text(column).value_or("")).value_or(0);
  }
  /// A bytea, from the hexadecimal digits in which the session has it written.
  std::string bytes(int column) const {
    constexpr std::string_view kBegin = "\\x";
    std::string_view digits = text(column).value_or(kBegin);
    if (!digits.starts_with(kBegin)) {
      return std::string(digits);  // the column is of another type by now
    }
    digits.remove_prefix(kBegin.size());
    std::string bytes;
    bytes.reserve(digits.size() / 2);
    for (std::size_t index = 0; index + 1 < digits.size(); index += 2) {
      std::uint8_t byte = 0;
      std::from_chars(digits.data() + index, digits.data() + index + 2, byte, 16);
      bytes += static_cast<char>(byte);
    }
    return bytes;
  }
  /// As its column is meant to hold it; text where it does not parse, which then is an altered
  /// value. `storage` keeps what is not written as the server writes it.
  Value value(int column, ColumnType type, std::string& storage) const {
    const auto stored = text(column);
    if (!stored) {
      return {};
    }
    switch (type) {
      case ColumnType::kInteger:
        return integer_of(*stored);
      case ColumnType::kReal:
        return real_of(*stored, PQftype(result_, column) == kFloat4);
      case ColumnType::kDecimal:
        // Zeros behind the column's last place say nothing.
        if (const auto number = DecimalNumber::parse(*stored)) {
          storage = number->to_string();
          return Decimal{storage};
        }
        return *stored;
      case ColumnType::kBoolean:
        return *stored == "t" || *stored == "f" ? Value(std::int64_t{*stored == "t"}) : *stored;
      case ColumnType::kBytea:
        storage = bytes(column);
        return std::string_view(storage);
      case ColumnType::kTimestamptz:
      case ColumnType::kTimestamp:
      case ColumnType::kDate:
      case ColumnType::kUuid:
      case ColumnType::kJsonb: {
        auto typed = typed_text(type, *stored);
        storage = typed ? std::move(*typed) : std::string(*stored);
        return std::string_view(storage);
      }
      case ColumnType::kJson:
      case ColumnType::kText:
        return *stored;
    }
    return *stored;
  }

 private:
  static constexpr Oid kFloat4 = 700;

  // A column of numeric(10,2) shows an integer as 5.00.
  static Value integer_of(std::string_view stored) {
    if (const auto number = parse_number<std::int64_t>(stored)) {
      return *number;
    }
    const auto decimal = DecimalNumber::parse(stored);
    const auto number = decimal ? parse_number<std::int64_t>(decimal->to_string()) : std::nullopt;
    return number ? Value(*number) : stored;
  }

  // The server writes the shortest digits that read back to the same bits. Of four bytes, they are
  // made again by our own rules: which digits are shortest is not agreed on to the last case.
  static Value real_of(std::string_view stored, bool is_float4) {
    if (!is_float4) {
      const auto number = parse_number<double>(stored);
      return number ? Value(*number) : stored;
    }
    const auto narrow = parse_number<float>(stored);
    if (!narrow) {
      return stored;
    }
    char digits[32];
    const char* end = std::to_chars(digits, digits + sizeof digits, *narrow).ptr;
    const auto number = parse_number<double>({digits, static_cast<std::size_t>(end - digits)});
    return number ? Value(*number) : stored;
  }

  const PGresult* result_;
};

void PostgresTableReader::Close::operator()(pg_conn* connection) const { PQfinish(connection); }

std::unexpected<Error> PostgresTableReader::failed() const {
  std::string text = PQerrorMessage(connection_.get());
  while (text.ends_with('\n')) {
    text.pop_back();
  }
  return fail(ErrorCode::kIo, fmt::format("postgres table {}: {}", table_.name(), text));
}

Result<std::unique_ptr<TableReader>> PostgresTableReader::open(const TableSubject& table,
                                                               MustStop must_stop) {
  auto reader =
      std::unique_ptr<PostgresTableReader>(new PostgresTableReader(table, std::move(must_stop)));
  // What the connection string says comes later, and counts; but texts are read as they were
  // written.
  const char* const keys[] = {"connect_timeout", "dbname", "client_encoding", nullptr};
  const char* const values[] = {kConnectTimeoutSeconds, table.location.c_str(), "UTF8", nullptr};
  reader->connection_.reset(PQconnectdbParams(keys, values, 1));
  if (PQstatus(reader->connection_.get()) != CONNECTION_OK) {
    return reader->failed();
  }
  // Where a sink refuses to write: a character may be another one there.
  const char* const known = PQparameterStatus(reader->connection_.get(), "server_encoding");
  const std::string_view encoding = known == nullptr ? "" : known;
  if (encoding.starts_with("EUC_") || encoding == "MULE_INTERNAL") {
    return fail(ErrorCode::kIo,
                fmt::format("postgres table {}: its text is {} (server_encoding), in which "
                            "PostgreSQL does not keep every text, and a sink writes none; "
                            "`onceflow plan` says what to do",
                            table.name(), encoding));
  }
  return reader;
}

Result<bool> PostgresTableReader::has_table(const std::string& quoted_name) {
  bool exists = false;
  const std::string parameters[] = {quoted_name};
  RETURN_IF_ERROR(
      query("SELECT (to_regclass($1) IS NOT NULL)::int", parameters, [&](const Row& row) -> Status {
        exists = row.integer(0) == 1;
        return {};
      }));
  return exists;
}

Result<bool> PostgresTableReader::has_column(const std::string& quoted_table,
                                             const std::string& column) {
  bool exists = false;
  const std::string parameters[] = {quoted_table, column};
  RETURN_IF_ERROR(
      query("SELECT count(*) FROM pg_attribute WHERE attrelid = to_regclass($1)"
            " AND attname = $2 AND NOT attisdropped",
            parameters, [&](const Row& row) -> Status {
              exists = row.integer(0) != 0;
              return {};
            }));
  return exists;
}

Result<bool> PostgresTableReader::begin_snapshot() {
  const auto ignore = [](const Row&) -> Status { return {}; };
  RETURN_IF_ERROR(query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", {}, ignore));
  // All that the text of a value depends on, whatever the server, the user or the dsn say; and what
  // a policy would hide is an error.
  for (const char* setting :
       {"extra_float_digits = 1", "DateStyle = 'ISO, YMD'", "TimeZone = 'UTC'",
        "IntervalStyle = 'postgres'", "bytea_output = 'hex'", "row_security = off"}) {
    RETURN_IF_ERROR(query(fmt::format("SET LOCAL {}", setting), {}, ignore));
  }
  const auto has_receipts = has_table("onceflow_receipts");
  if (!has_receipts || *has_receipts) {
    return has_receipts;
  }
  return has_column(quote_table(table_.table), "onceflow_source");
}

Result<std::vector<StoredPosition>> PostgresTableReader::positions(const std::string& pipeline,
                                                                   const std::string& stage) {
  std::vector<StoredPosition> positions;
  const auto exists = has_table("onceflow_positions");
  RETURN_IF_ERROR(exists);
  if (!*exists) {
    return positions;
  }
  const auto has_ids = has_column("onceflow_positions", "topic_id");
  RETURN_IF_ERROR(has_ids);
  const std::string parameters[] = {pipeline, stage};
  RETURN_IF_ERROR(
      query(fmt::format("SELECT topic, partition, next_offset, {} FROM onceflow_positions"
                        " WHERE pipeline = $1 AND stage = $2",
                        *has_ids ? "topic_id" : "''"),
            parameters, [&](const Row& row) -> Status {
              positions.push_back(
                  {{std::string(row.text(0).value_or("")),
                    PartitionIndex(static_cast<std::int32_t>(row.integer(1)))},
                   Offset(row.integer(2)),
                   protocol::parse_position_topics(row.text(3).value_or("")).receipts_id});
              return {};
            }));
  return positions;
}

Status PostgresTableReader::for_each_receipt(const std::string& pipeline, const std::string& stage,
                                             const VisitReceipt& visit) {
  const std::string parameters[] = {pipeline, stage};
  return visit_receipts("pipeline = $1 AND stage = $2 ORDER BY receipt_id", parameters, visit);
}

Status PostgresTableReader::for_each_receipt_of_others(const std::string& pipeline,
                                                       const VisitReceipt& visit) {
  const std::string parameters[] = {pipeline};
  return visit_receipts("pipeline <> $1", parameters, visit);
}

Status PostgresTableReader::for_each_receipt_of_former(const std::string& pipeline,
                                                       const std::string& stage,
                                                       const VisitReceipt& visit) {
  const std::string parameters[] = {pipeline, stage};
  return visit_receipts("pipeline = $1 AND stage <> $2", parameters, visit);
}

Status PostgresTableReader::visit_receipts(std::string_view condition,
                                           std::span<const std::string> parameters,
                                           const VisitReceipt& visit) {
  const auto exists = has_table("onceflow_receipts");
  RETURN_IF_ERROR(exists);
  if (!*exists) {
    return {};
  }
  return query(fmt::format("SELECT receipt_id, receipt FROM onceflow_receipts WHERE {}", condition),
               parameters, [&](const Row& row) -> Status {
                 return visit(row.integer(0), as_bytes(row.bytes(1)));
               });
}

Status PostgresTableReader::for_each_row(const VisitRow& visit) {
  const auto exists = has_table(quote_table(table_.table));
  RETURN_IF_ERROR(exists);
  if (!*exists) {
    return {};
  }
  std::string sql = "SELECT onceflow_source";
  for (const ColumnSubject& column : table_.columns) {
    sql += ", " + quote(column.name);
  }
  std::vector<Value> values(table_.columns.size());
  std::vector<std::string> storage(values.size());
  return query(sql + " FROM " + quote_table(table_.table), {}, [&](const Row& row) -> Status {
    for (std::size_t index = 0; index < values.size(); ++index) {
      values[index] =
          row.value(static_cast<int>(index) + 1, table_.columns[index].type, storage[index]);
    }
    return visit({.source = row.text(0), .values = values});
  });
}

Result<std::string> PostgresTableReader::key_equality() {
  std::string keys;
  for (const ColumnSubject& column : table_.columns) {
    if (column.is_key) {
      keys += (keys.empty() ? "" : ",") + quote(column.name);
    }
  }
  const std::string parameters[] = {quote_table(table_.table), "{" + keys + "}"};
  std::string reasons;
  // Booleans, integers, numerics, enums, text, varchar, bytea, dates, timestamps, uuids and jsonb
  // are equal where what is written is,
  // unless the collation says otherwise.
  RETURN_IF_ERROR(query(
      "SELECT CASE WHEN coalesce(c.collisdeterministic, true) THEN"
      " format('column %s is %s', a.attname, format_type(a.atttypid, a.atttypmod))"
      " ELSE format('column %s compares by collation %s', a.attname, c.collname) END"
      " FROM pg_attribute a LEFT JOIN pg_collation c ON c.oid = a.attcollation"
      " WHERE a.attrelid = to_regclass($1) AND a.attname = ANY($2::text[]) AND NOT a.attisdropped"
      " AND ((a.atttypid NOT IN (16, 17, 20, 21, 23, 25, 1043, 1082, 1114, 1184, 1700, 2950, 3802)"
      " AND NOT EXISTS"
      " (SELECT FROM pg_type WHERE oid = a.atttypid AND typtype = 'e'))"
      " OR NOT c.collisdeterministic)",
      parameters, [&](const Row& row) -> Status {
        reasons += (reasons.empty() ? "" : "; ") + std::string(row.text(0).value_or(""));
        return {};
      }));
  return reasons;
}

Status PostgresTableReader::query(const std::string& sql, std::span<const std::string> parameters,
                                  const std::function<Status(const Row&)>& visit) {
  std::vector<const char*> values;
  for (const std::string& parameter : parameters) {
    values.push_back(parameter.c_str());
  }
  if (PQsendQueryParams(connection_.get(), sql.c_str(), static_cast<int>(values.size()), nullptr,
                        values.data(), nullptr, nullptr, 0) != 1 ||
      PQsetSingleRowMode(connection_.get()) != 1) {
    return failed();
  }
  return drain(visit);
}

Status PostgresTableReader::drain(const std::function<Status(const Row&)>& visit) {
  while (true) {
    RETURN_IF_ERROR(wait_for_answer());
    const ResultPointer result{PQgetResult(connection_.get())};
    if (!result) {
      return {};
    }
    switch (PQresultStatus(result.get())) {
      case PGRES_SINGLE_TUPLE:
        RETURN_IF_ERROR(visit(Row(result.get())));
        break;
      case PGRES_TUPLES_OK:
      case PGRES_COMMAND_OK:
        break;
      default:
        return failed();
    }
  }
}

Status PostgresTableReader::wait_for_answer() {
  while (PQisBusy(connection_.get()) == 1) {
    if (must_stop_ && must_stop_()) {
      return fail(ErrorCode::kCancelled, "the audit was ended");
    }
    const Status waited =
        io::wait_socket(PQsocket(connection_.get()), io::SocketNeed::kRead, kStopPoll);
    if (!waited && waited.error().code != ErrorCode::kTimedOut) {
      return waited;
    }
    if (waited && PQconsumeInput(connection_.get()) != 1) {
      return failed();
    }
  }
  return {};
}

}  // namespace onceflow::audit
