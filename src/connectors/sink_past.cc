#include "connectors/sink_past.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <functional>
#include <string>
#include <string_view>

#include "connectors/postgres_connection.h"
#include "connectors/postgres_positions.h"
#include "connectors/postgres_table.h"
#include "connectors/sqlite_connection.h"
#include "connectors/sqlite_positions.h"

namespace onceflow::connectors {
namespace {

// One database, as far as a reset needs it: every value goes as text, which both take for what it
// is; `answer` rows are text too.
using Row = std::vector<std::string>;
using Run = std::function<Result<std::vector<Row>>(const std::string& sql, const Row& values)>;

struct Database {
  Run run;
  std::string table;  ///< the user's, quoted
  /// Whether a table is there; its name is the value.
  std::string has_table_sql;
  std::string table_name;
  std::function<Status()> ensure_positions;
  std::string begin;
  std::string number;                                            ///< the type of a whole number
  std::string receipt;                                           ///< an expression: the bytes of $3
  std::function<std::string(std::string_view)> to_receipt_text;  ///< what $3 is then
};

constexpr std::string_view kOfSink = " WHERE pipeline = $1 AND stage = $2";

std::int64_t number_of(const std::string& text) { return text.empty() ? 0 : std::stoll(text); }

Result<bool> has_table(const Database& database, const std::string& name) {
  const auto rows = database.run(database.has_table_sql, {name});
  RETURN_IF_ERROR(rows);
  return number_of(rows->front().front()) != 0;
}

Result<std::int64_t> count(const Database& database, const std::string& sql, const Row& values) {
  const auto rows = database.run(sql, values);
  RETURN_IF_ERROR(rows);
  return number_of(rows->front().front());
}

Result<SinkPast> read_past(const Database& database, const SinkTable& table) {
  SinkPast past;
  const Row sink = {table.pipeline, table.stage};
  const auto has_positions = has_table(database, "onceflow_positions");
  RETURN_IF_ERROR(has_positions);
  if (*has_positions) {
    const auto rows = database.run(
        fmt::format("SELECT topic, CAST(partition AS TEXT), CAST(next_offset AS TEXT), "
                    "CAST(epoch AS TEXT) FROM onceflow_positions{}",
                    kOfSink),
        sink);
    RETURN_IF_ERROR(rows);
    for (const Row& row : *rows) {
      past.positions.push_back(
          {{row[0], PartitionIndex(static_cast<std::int32_t>(number_of(row[1])))},
           number_of(row[3]),
           Offset(number_of(row[2]))});
    }
    past.position_count = static_cast<std::int64_t>(rows->size());
  }
  const auto has_receipts = has_table(database, "onceflow_receipts");
  RETURN_IF_ERROR(has_receipts);
  if (*has_receipts) {
    const auto receipts =
        count(database,
              fmt::format("SELECT CAST(count(*) AS TEXT) FROM onceflow_receipts{}", kOfSink), sink);
    RETURN_IF_ERROR(receipts);
    past.receipt_count = *receipts;
  }
  const auto has_rows = has_table(database, database.table_name);
  RETURN_IF_ERROR(has_rows);
  if (*has_rows) {
    const auto rows = count(database, "SELECT CAST(count(*) AS TEXT) FROM " + database.table, {});
    RETURN_IF_ERROR(rows);
    past.row_count = *rows;
  }
  return past;
}

// Position rows stay, and their epochs go on rising: a worker that was paused through the reset is
// fenced by them (SNK-1). What becomes of the table's rows has been decided with it.
Status move_positions(const Database& database, const SinkTable& table, const SinkReset& reset) {
  RETURN_IF_ERROR(database.ensure_positions());
  RETURN_IF_ERROR(
      database.run(fmt::format("UPDATE onceflow_positions SET next_offset = -1, epoch = epoch + 1, "
                               "topic_id = '', table_id = '{}'{}",
                               kAnyTable, kOfSink),
                   {table.pipeline, table.stage}));
  for (const ClaimedPartition& position : reset.positions) {
    RETURN_IF_ERROR(database.run(
        fmt::format("INSERT INTO onceflow_positions AS held (pipeline, stage, topic, partition, "
                    "next_offset, epoch, table_id, topic_id) VALUES ($1, $2, $3, CAST($4 AS {0}), "
                    "CAST($5 AS {0}), 1, '{1}', $6) "
                    "ON CONFLICT (pipeline, stage, topic, partition) DO UPDATE SET "
                    "next_offset = excluded.next_offset, epoch = held.epoch + 1, "
                    "topic_id = excluded.topic_id",
                    database.number, kAnyTable),
        {table.pipeline, table.stage, position.source.topic,
         std::to_string(position.source.partition.value),
         std::to_string(position.next_offset.value), position.topic_id}));
  }
  return {};
}

Status reset_in_transaction(const Database& database, const SinkTable& table,
                            const SinkReset& reset) {
  RETURN_IF_ERROR(move_positions(database, table, reset));
  if (reset.forgets_receipts) {
    const auto is_there = has_table(database, "onceflow_receipts");
    RETURN_IF_ERROR(is_there);
    if (*is_there) {
      RETURN_IF_ERROR(database.run(fmt::format("DELETE FROM onceflow_receipts{}", kOfSink),
                                   {table.pipeline, table.stage}));
    }
  }
  if (!reset.receipt.empty()) {
    RETURN_IF_ERROR(database.run(
        fmt::format("INSERT INTO onceflow_receipts (pipeline, stage, receipt) VALUES ($1, $2, {})",
                    database.receipt),
        {table.pipeline, table.stage, database.to_receipt_text(reset.receipt)}));
  }
  if (reset.deletes_rows) {
    const auto is_there = has_table(database, database.table_name);
    RETURN_IF_ERROR(is_there);
    if (*is_there) {
      RETURN_IF_ERROR(database.run("DELETE FROM " + database.table, {}));
    }
  }
  return {};
}

Status reset_sink(const Database& database, const SinkTable& table, const SinkReset& reset) {
  RETURN_IF_ERROR(database.run(database.begin, {}));
  RETURN_IF_ERROR(reset_in_transaction(database, table, reset));
  RETURN_IF_ERROR(database.run("COMMIT", {}));
  return {};
}

Database sqlite_database(SqliteConnection& connection, const SinkTable& table) {
  return {
      .run = [&connection](const std::string& sql, const Row& values) -> Result<std::vector<Row>> {
        std::string text = sql;
        for (std::size_t place = 0; (place = text.find('$', place)) != std::string::npos;) {
          text[place] = '?';
        }
        auto statement = connection.prepare(text);
        RETURN_IF_ERROR(statement);
        for (std::size_t index = 0; index < values.size(); ++index) {
          statement->bind(static_cast<int>(index) + 1, std::string_view(values[index]));
        }
        std::vector<Row> rows;
        while (true) {
          const auto step = statement->step();
          RETURN_IF_ERROR(step);
          if (*step == SqliteStatement::Step::kDone) {
            return rows;
          }
          Row& row = rows.emplace_back();
          for (int column = 0; column < statement->column_count(); ++column) {
            row.emplace_back(statement->text(column));
          }
        }
      },
      .table = quote_identifier(table.table),
      .has_table_sql =
          "SELECT CAST(count(*) AS TEXT) FROM sqlite_schema WHERE type = 'table' AND name = $1",
      .table_name = table.table,
      .ensure_positions = [&connection] { return ensure_sqlite_positions(connection); },
      .begin = "BEGIN IMMEDIATE",
      .number = "INTEGER",
      .receipt = "CAST($3 AS BLOB)",
      .to_receipt_text = [](std::string_view bytes) { return std::string(bytes); }};
}

// A table may be in a schema: each part has quotes of its own.
std::string quoted_table(const std::string& table) {
  const std::size_t dot = table.find('.');
  return dot == std::string::npos ? quote_identifier(table)
                                  : quote_identifier(table.substr(0, dot)) + "." +
                                        quote_identifier(table.substr(dot + 1));
}

Database postgres_database(PostgresConnection& connection, const SinkTable& table) {
  const std::string quoted = quoted_table(table.table);
  return {
      .run = [&connection](const std::string& sql, const Row& values) -> Result<std::vector<Row>> {
        std::vector<PostgresParameter> parameters;
        parameters.reserve(values.size());
        for (const std::string& value : values) {
          parameters.push_back(text_parameter(value));
        }
        const auto answer =
            parameters.empty() ? connection.execute(sql) : connection.execute(sql, parameters);
        if (!answer) {
          return std::unexpected(to_error(answer.error()));
        }
        std::vector<Row> rows(answer->row_count());
        for (std::size_t row = 0; row < rows.size(); ++row) {
          for (int column = 0; column < answer->column_count(); ++column) {
            rows[row].push_back(answer->text(row, column));
          }
        }
        return rows;
      },
      .table = quoted,
      .has_table_sql = "SELECT (to_regclass($1) IS NOT NULL)::int::text",
      .table_name = quoted,
      .ensure_positions = [&connection] { return ensure_postgres_positions(connection); },
      .begin = "BEGIN",
      .number = "bigint",
      .receipt = "decode($3, 'hex')",
      .to_receipt_text =
          [](std::string_view bytes) {
            return fmt::format(
                "{:02x}", fmt::join(std::vector<std::uint8_t>(bytes.begin(), bytes.end()), ""));
          }};
}

}  // namespace

Result<SinkPast> read_sqlite_past(const SqliteSinkOptions& options, const SinkTable& table) {
  auto connection = SqliteConnection::open(options.file, options.busy_timeout);
  RETURN_IF_ERROR(connection);
  return read_past(sqlite_database(**connection, table), table);
}

Status reset_sqlite_sink(const SqliteSinkOptions& options, const SinkTable& table,
                         const SinkReset& reset) {
  auto connection = SqliteConnection::open(options.file, options.busy_timeout);
  RETURN_IF_ERROR(connection);
  return reset_sink(sqlite_database(**connection, table), table, reset);
}

Result<SinkPast> read_postgres_past(const PostgresSinkOptions& options, const SinkTable& table) {
  auto connection = PostgresConnection::open(options);
  RETURN_IF_ERROR(connection);
  return read_past(postgres_database(**connection, table), table);
}

Status reset_postgres_sink(const PostgresSinkOptions& options, const SinkTable& table,
                           const SinkReset& reset) {
  auto connection = PostgresConnection::open(options);
  RETURN_IF_ERROR(connection);
  return reset_sink(postgres_database(**connection, table), table, reset);
}

}  // namespace onceflow::connectors
