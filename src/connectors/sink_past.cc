#include "connectors/sink_past.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/parse_number.h"
#include "base/utf8.h"
#include "connectors/kept_rows.h"
#include "connectors/past_database.h"
#include "connectors/positions.h"
#include "connectors/postgres_connection.h"
#include "connectors/postgres_positions.h"
#include "connectors/postgres_rights.h"
#include "connectors/postgres_table.h"
#include "connectors/sqlite_connection.h"
#include "connectors/sqlite_positions.h"
#include "connectors/table_past.h"
#include "io/os/file_identity.h"
#include "protocol/kept_stage.h"
#include "protocol/receipt.h"

namespace onceflow::connectors {
namespace {

using Row = PastDatabase::Row;

constexpr std::string_view kOfSink = " WHERE pipeline = $1 AND stage = $2";

// Null is 0. In SQLite a column takes values of any type.
Result<std::int64_t> number_of(const std::string& text) {
  if (text.empty()) {
    return 0;
  }
  const auto number = parse_number<std::int64_t>(text);
  if (!number) {
    return fail(ErrorCode::kRefused,
                fmt::format("the table of positions or of receipts holds '{}', where this program "
                            "writes an integer; the rule: what changed by hand is not guessed at; "
                            "the fix: restore the table, or set the value to an integer",
                            printable(text)));
  }
  return *number;
}

Result<bool> has_table(const PastDatabase& database, const std::string& name) {
  const auto rows = database.run(database.has_table_sql, {name});
  RETURN_IF_ERROR(rows);
  const auto number = number_of(rows->front().front());
  RETURN_IF_ERROR(number);
  return *number != 0;
}

Result<std::int64_t> count(const PastDatabase& database, const std::string& sql,
                           const Row& values) {
  const auto rows = database.run(sql, values);
  RETURN_IF_ERROR(rows);
  return number_of(rows->front().front());
}

// ------------------------------------------------------------------------------- shared tables

/// A sink of another pipeline.
struct Writer {
  std::string pipeline;
  std::string stage;
};

/// Whose rows are in the table, as far as receipts say: 'own' and 'other'. Goes with the
/// connection.
constexpr const char* kMakeRowsOfReceipts =
    "CREATE TEMP TABLE onceflow_rows_of_receipts (whose TEXT NOT NULL, source TEXT NOT NULL)";
constexpr const char* kDropRowsOfReceipts = "DROP TABLE onceflow_rows_of_receipts";
constexpr std::string_view kRowsOf =
    "(SELECT source FROM onceflow_rows_of_receipts WHERE whose = '{}')";
constexpr int kReceiptsOfPage = 100;
/// One of them says which table it wrote.
constexpr int kReceiptsAskedForTable = 20;

bool writes(const protocol::Receipt& receipt, const SinkTable& table) {
  return std::ranges::any_of(receipt.outputs, [&](const protocol::Receipt::Output& output) {
    return bare_table_name(output.name) == bare_table_name(table.table);
  });
}

Result<protocol::Receipt> receipt_in(const PastDatabase& database, const std::string& text) {
  const Buffer bytes = database.from_receipt_text(text);
  return protocol::decode_receipt(bytes);
}

Result<std::vector<Row>> newest_receipts(const PastDatabase& database, const Writer& writer) {
  return database.run(
      fmt::format("SELECT {} FROM onceflow_receipts{} ORDER BY receipt_id DESC LIMIT {}",
                  database.read_receipt, kOfSink, kReceiptsAskedForTable),
      {writer.pipeline, writer.stage});
}

// Of a sink whose position names no table: its newest receipts do, where they wrote something.
Result<bool> may_write(const PastDatabase& database, const Writer& writer, const SinkTable& table) {
  const auto rows = newest_receipts(database, writer);
  RETURN_IF_ERROR(rows);
  for (const Row& row : *rows) {
    const auto receipt = receipt_in(database, row.front());
    RETURN_IF_ERROR(receipt);
    if (!receipt->outputs.empty()) {
      return writes(*receipt, table);
    }
  }
  return true;
}

Result<std::vector<Writer>> other_writers(const PastDatabase& database, const SinkTable& table) {
  constexpr std::string_view kOthers =
      "SELECT DISTINCT pipeline, stage, {} FROM onceflow_positions WHERE pipeline <> $1 "
      "ORDER BY pipeline, stage";
  auto rows = database.run(fmt::format(kOthers, "table_id"), {table.pipeline});
  if (!rows) {
    // Of an earlier version, which kept no ids.
    rows = database.run(fmt::format(kOthers, "''"), {table.pipeline});
  }
  RETURN_IF_ERROR(rows);
  const auto id = database.table_id();
  RETURN_IF_ERROR(id);
  std::vector<Writer> writers;
  for (const Row& row : *rows) {
    const Writer writer{row[0], row[1]};
    const bool is_named = row[2] == *id || is_at_the_same_place(row[2], *id);
    if (!is_named) {
      const auto is_other_table = database.is_of_another_table(row[2]);
      RETURN_IF_ERROR(is_other_table);
      if (*is_other_table) {
        continue;
      }
      const auto may = may_write(database, writer, table);
      RETURN_IF_ERROR(may);
      if (!*may) {
        continue;
      }
    }
    const bool is_known = !writers.empty() && writers.back().pipeline == writer.pipeline &&
                          writers.back().stage == writer.stage;
    if (!is_known) {
      writers.push_back(writer);
    }
  }
  return writers;
}

std::string name_of(const Writer& writer) {
  return fmt::format("pipeline '{}', sink {}", writer.pipeline, writer.stage);
}

// Topics have no letters that JSON would escape.
Status keep_rows_of(const PastDatabase& database, const protocol::Receipt& receipt,
                    const std::string& whose) {
  std::string sources;
  for (const protocol::Receipt::Row& row : receipt.rows) {
    if (!row.is_delete) {
      sources +=
          fmt::format("{}\"{}\"", sources.empty() ? "" : ",",
                      source_text(receipt.inputs[row.input_index].source, row.source_offset));
    }
  }
  if (sources.empty()) {
    return {};
  }
  RETURN_IF_ERROR(database.run(
      fmt::format("INSERT INTO onceflow_rows_of_receipts SELECT $1, one.source FROM ({}) AS one",
                  database.members),
      {whose, "[" + sources + "]"}));
  return {};
}

using VisitReceipt = std::function<Status(const Writer& writer, const std::string& receipt)>;

// All that there are, the oldest first, a page at a time.
Status for_each_receipt(const PastDatabase& database, const VisitReceipt& visit) {
  for (std::int64_t last = -1;;) {
    const auto rows = database.run(
        fmt::format("SELECT CAST(receipt_id AS TEXT), pipeline, stage, {} FROM onceflow_receipts "
                    "WHERE receipt_id > CAST($1 AS {}) ORDER BY receipt_id LIMIT {}",
                    database.read_receipt, database.number, kReceiptsOfPage),
        {std::to_string(last)});
    RETURN_IF_ERROR(rows);
    if (rows->empty()) {
      return {};
    }
    const auto id = number_of(rows->back().front());
    RETURN_IF_ERROR(id);
    last = *id;
    for (const Row& row : *rows) {
      RETURN_IF_ERROR(visit({row[1], row[2]}, row[3]));
    }
  }
}

// A sink may have had another id before: so of this pipeline, whatever has written the table.
Status read_rows_of_receipts(const PastDatabase& database, const SinkTable& table,
                             const std::vector<Writer>& others) {
  RETURN_IF_ERROR(database.run(kMakeRowsOfReceipts, {}));
  return for_each_receipt(database, [&](const Writer& writer, const std::string& text) -> Status {
    // What a reset has listed was in the table then; it does not say who wrote it.
    const bool is_own = writer.pipeline == table.pipeline && !protocol::is_kept_stage(writer.stage);
    const bool is_other = std::ranges::any_of(others, [&](const Writer& other) {
      return other.pipeline == writer.pipeline &&
             (other.stage == writer.stage || protocol::kept_stage(other.stage) == writer.stage);
    });
    if (!is_own && !is_other) {
      return {};
    }
    const auto receipt = receipt_in(database, text);
    RETURN_IF_ERROR(receipt);
    if (is_other || writer.stage == table.stage || writes(*receipt, table)) {
      RETURN_IF_ERROR(keep_rows_of(database, *receipt, is_own ? "own" : "other"));
    }
    return {};
  });
}

std::string where_own() {
  return fmt::format(" WHERE {} IN {}", kSourceColumn, fmt::format(kRowsOf, "own"));
}

// Of a table that no other pipeline writes. A row that names no record is none of ours.
std::string where_written() { return fmt::format(" WHERE {} IS NOT NULL", kSourceColumn); }

Result<std::int64_t> count_rows(const PastDatabase& database, const std::string& where) {
  return count(database,
               fmt::format("SELECT CAST(count(*) AS TEXT) FROM {}{}", database.table, where), {});
}

// Two pipelines may have written the same record.
Status check_contested(const PastDatabase& database, const SinkTable& table,
                       const std::vector<Writer>& others) {
  const auto contested = count_rows(
      database,
      fmt::format("{} AND {} IN {}", where_own(), kSourceColumn, fmt::format(kRowsOf, "other")));
  RETURN_IF_ERROR(contested);
  if (*contested == 0) {
    return {};
  }
  return fail(
      ErrorCode::kRefused,
      fmt::format("table {}: {} of its rows are of records that {} has written to it, too, and "
                  "nothing says whose they are; the rule: a reset takes away the rows of its own "
                  "pipeline alone; the fix: --keep-rows, and delete by hand what is to go",
                  table.table, *contested, name_of(others.front())));
}

Status add_own_rows(const PastDatabase& database, const SinkTable& table, SinkPast& past) {
  if (past.row_count == 0) {
    return {};
  }
  const auto written = count_rows(database, where_written());
  RETURN_IF_ERROR(written);
  past.own_row_count = *written;
  const auto has_positions = has_table(database, "onceflow_positions");
  RETURN_IF_ERROR(has_positions);
  const auto has_receipts = has_table(database, "onceflow_receipts");
  RETURN_IF_ERROR(has_receipts);
  if (!*has_positions || !*has_receipts) {
    return {};
  }
  const auto others = other_writers(database, table);
  RETURN_IF_ERROR(others);
  if (others->empty()) {
    return {};
  }
  std::ranges::transform(*others, std::back_inserter(past.other_writers), name_of);
  RETURN_IF_ERROR(read_rows_of_receipts(database, table, *others));
  const auto own = count_rows(database, where_own());
  RETURN_IF_ERROR(own);
  past.own_row_count = *own;
  if (const Status checked = check_contested(database, table, *others); !checked) {
    if (checked.error().code != ErrorCode::kRefused) {
      return checked;
    }
    past.contested = checked.error().text;
  }
  RETURN_IF_ERROR(database.run(kDropRowsOfReceipts, {}));
  return {};
}

/// Who else writes the table; nothing: there is no table. Where others do, `act` may ask whose its
/// rows are (kRowsOf).
using ActOnTable = std::function<Status(const std::vector<Writer>& others)>;

// While the receipts are still there.
Status with_table(const PastDatabase& database, const SinkTable& table, const ActOnTable& act) {
  const auto is_there = has_table(database, database.table_name);
  RETURN_IF_ERROR(is_there);
  if (!*is_there) {
    return {};
  }
  const auto others = other_writers(database, table);
  RETURN_IF_ERROR(others);
  if (others->empty()) {
    return act(*others);
  }
  RETURN_IF_ERROR(read_rows_of_receipts(database, table, *others));
  RETURN_IF_ERROR(act(*others));
  RETURN_IF_ERROR(database.run(kDropRowsOfReceipts, {}));
  return {};
}

Status delete_rows(const PastDatabase& database, const SinkTable& table) {
  return with_table(database, table, [&](const std::vector<Writer>& others) -> Status {
    const bool is_shared = !others.empty();
    if (is_shared) {
      RETURN_IF_ERROR(check_contested(database, table, others));
    }
    RETURN_IF_ERROR(database.run(
        "DELETE FROM " + database.table + (is_shared ? where_own() : where_written()), {}));
    return {};
  });
}

// ------------------------------------------------------------------------------------------ past

Result<SinkPast> read_past(const PastDatabase& database, const SinkTable& table) {
  SinkPast past;
  const Row sink = {table.pipeline, table.stage};
  const auto has_positions = has_table(database, "onceflow_positions");
  RETURN_IF_ERROR(has_positions);
  if (*has_positions) {
    constexpr std::string_view kPositions =
        "SELECT topic, CAST(partition AS TEXT), CAST(next_offset AS TEXT), CAST(epoch AS TEXT), {} "
        "FROM onceflow_positions{}";
    auto rows = database.run(fmt::format(kPositions, "topic_id", kOfSink), sink);
    if (!rows) {
      // Of an earlier version, which kept no ids.
      rows = database.run(fmt::format(kPositions, "''", kOfSink), sink);
    }
    RETURN_IF_ERROR(rows);
    for (const Row& row : *rows) {
      const auto partition = number_of(row[1]);
      RETURN_IF_ERROR(partition);
      const auto next_offset = number_of(row[2]);
      RETURN_IF_ERROR(next_offset);
      const auto epoch = number_of(row[3]);
      RETURN_IF_ERROR(epoch);
      past.positions.push_back(
          {.source = {row[0], PartitionIndex(static_cast<std::int32_t>(*partition))},
           .epoch = *epoch,
           .next_offset = Offset(*next_offset),
           .topic_id = row[4]});
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
    const auto rows = count_rows(database, "");
    RETURN_IF_ERROR(rows);
    past.row_count = *rows;
    RETURN_IF_ERROR(add_own_rows(database, table, past));
  }
  return past;
}

// One that does not decode is the audit's to name.
Result<protocol::ReceiptsByStage> read_receipts(const PastDatabase& database,
                                                const SinkTable& table) {
  protocol::ReceiptsByStage receipts;
  const auto is_there = has_table(database, "onceflow_receipts");
  RETURN_IF_ERROR(is_there);
  if (!*is_there) {
    return receipts;
  }
  // The first and the newest of each stage.
  const auto rows = database.run(
      fmt::format("SELECT stage, {} FROM onceflow_receipts WHERE receipt_id IN (SELECT "
                  "min(receipt_id) FROM onceflow_receipts WHERE pipeline = $1 GROUP BY stage UNION "
                  "SELECT max(receipt_id) FROM onceflow_receipts WHERE pipeline = $1 GROUP BY "
                  "stage) ORDER BY receipt_id",
                  database.read_receipt),
      {table.pipeline});
  RETURN_IF_ERROR(rows);
  for (const Row& row : *rows) {
    const auto receipt = receipt_in(database, row[1]);
    if (receipt && !protocol::is_kept_stage(row[0])) {
      protocol::add_receipt(receipts, *receipt);
    }
  }
  return receipts;
}

// Position rows stay, and their epochs go on rising: a worker that was paused through the reset is
// fenced by them (SNK-1). What becomes of the table's rows has been decided with it.
Status move_positions(const PastDatabase& database, const SinkTable& table,
                      const SinkReset& reset) {
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

Status write_receipt(const PastDatabase& database, const SinkTable& table, const std::string& stage,
                     std::string_view receipt) {
  RETURN_IF_ERROR(database.run(
      fmt::format("INSERT INTO onceflow_receipts (pipeline, stage, receipt) VALUES ($1, $2, {})",
                  database.receipt),
      {table.pipeline, stage, database.to_receipt_text(receipt)}));
  return {};
}

// Before they are taken away; of other ids of the sink, too.
Status add_receipts(const PastDatabase& database, const SinkTable& table, KeptRows& kept) {
  const auto is_there = has_table(database, "onceflow_receipts");
  RETURN_IF_ERROR(is_there);
  if (!*is_there) {
    return {};
  }
  return for_each_receipt(database, [&](const Writer& writer, const std::string& text) -> Status {
    if (writer.pipeline == table.pipeline) {
      const auto receipt = receipt_in(database, text);
      if (receipt && writes(*receipt, table)) {
        kept.add_receipt(*receipt);
      }
    }
    return {};
  });
}

// What is in the table when nothing is known of it any more; what receipts of other pipelines know
// of is theirs.
Status list_rows(const PastDatabase& database, const SinkTable& table, KeptRows& kept) {
  return with_table(database, table, [&](const std::vector<Writer>& others) -> Status {
    std::string sql = fmt::format("SELECT {} FROM {}", kSourceColumn, database.table);
    if (!others.empty()) {
      sql += fmt::format(" WHERE {0} IS NULL OR {0} NOT IN {1}", kSourceColumn,
                         fmt::format(kRowsOf, "other"));
    }
    RETURN_IF_ERROR(
        database.for_each(fmt::format("{} ORDER BY {}", sql, kSourceColumn),
                          [&](const std::string& source) { return kept.add_row(source); }));
    return kept.finish();
  });
}

// Of ids that the sink had before: what they say of rows would excuse rows that come now.
Result<std::vector<std::string>> former_stages(const PastDatabase& database,
                                               const SinkTable& table) {
  const auto rows = database.run("SELECT DISTINCT stage FROM onceflow_receipts WHERE pipeline = $1",
                                 {table.pipeline});
  RETURN_IF_ERROR(rows);
  std::vector<std::string> former;
  for (const Row& row : *rows) {
    if (row[0] == table.stage || row[0] == protocol::kept_stage(table.stage)) {
      continue;
    }
    const auto newest = newest_receipts(database, {table.pipeline, row[0]});
    RETURN_IF_ERROR(newest);
    for (const Row& text : *newest) {
      const auto receipt = receipt_in(database, text[0]);
      if (receipt && writes(*receipt, table)) {
        former.push_back(row[0]);
        break;
      }
    }
  }
  return former;
}

// With those that list the rows of an earlier reset.
Status forget_receipts(const PastDatabase& database, const SinkTable& table) {
  auto stages = former_stages(database, table);
  RETURN_IF_ERROR(stages);
  stages->push_back(table.stage);
  stages->push_back(protocol::kept_stage(table.stage));
  for (const std::string& stage : *stages) {
    RETURN_IF_ERROR(database.run(fmt::format("DELETE FROM onceflow_receipts{}", kOfSink),
                                 {table.pipeline, stage}));
  }
  return {};
}

Status reset_in_transaction(const PastDatabase& database, const SinkTable& table,
                            const SinkReset& reset) {
  KeptRows kept(table, reset.now_ms, [&](const protocol::Receipt& receipt) {
    const Buffer bytes = encode_receipt(receipt);
    return write_receipt(database, table, receipt.stage, as_text(bytes));
  });
  RETURN_IF_ERROR(move_positions(database, table, reset));
  if (reset.deletes_rows) {
    RETURN_IF_ERROR(delete_rows(database, table));
  }
  if (reset.lists_rows) {
    RETURN_IF_ERROR(add_receipts(database, table, kept));
  }
  if (reset.forgets_receipts) {
    const auto is_there = has_table(database, "onceflow_receipts");
    RETURN_IF_ERROR(is_there);
    if (*is_there) {
      RETURN_IF_ERROR(forget_receipts(database, table));
    }
  }
  if (reset.lists_rows) {
    RETURN_IF_ERROR(list_rows(database, table, kept));
  }
  return reset.receipt.empty() ? Status{}
                               : write_receipt(database, table, table.stage, reset.receipt);
}

Status reset_sink(const PastDatabase& database, const SinkTable& table, const SinkReset& reset,
                  ResetRun run) {
  RETURN_IF_ERROR(database.run(database.begin, {}));
  RETURN_IF_ERROR(reset_in_transaction(database, table, reset));
  if (run == ResetRun::kTrial) {
    RETURN_IF_ERROR(database.run(database.check_now, {}));
  }
  RETURN_IF_ERROR(database.run(run == ResetRun::kTrial ? "ROLLBACK" : "COMMIT", {}));
  return {};
}

// What is listed of rows that stay is read; a table that is not there is not made.
NeededRights rights_to_reset(const SinkReset& reset) {
  NeededRights needed{.on_table = {"SELECT"}, .on_receipts = {"SELECT", "INSERT"}};
  if (reset.deletes_rows) {
    needed.on_table.emplace_back("DELETE");
  }
  if (reset.forgets_receipts) {
    needed.on_receipts.emplace_back("DELETE");
  }
  return needed;
}

std::string folder_of(const std::string& file) {
  const std::size_t slash = file.rfind('/');
  return slash == std::string::npos ? "." : file.substr(0, slash + 1);
}

}  // namespace

Result<SinkPast> read_sqlite_past(const SqliteSinkOptions& options, const SinkTable& table) {
  auto connection = SqliteConnection::open(options.file, options.busy_timeout);
  RETURN_IF_ERROR(connection);
  return read_past(sqlite_past_database(**connection, table), table);
}

Status reset_sqlite_sink(const SqliteSinkOptions& options, const SinkTable& table,
                         const SinkReset& reset, ResetRun run) {
  // A file that a trial would make is empty, and refuses nothing.
  if (run == ResetRun::kTrial && !io::file_identity(options.file) &&
      io::file_identity(folder_of(options.file))) {
    return {};
  }
  auto connection = run == ResetRun::kTrial
                        ? SqliteConnection::open_to_look(options.file, options.busy_timeout)
                        : SqliteConnection::open(options.file, options.busy_timeout);
  RETURN_IF_ERROR(connection);
  return reset_sink(sqlite_past_database(**connection, table), table, reset, run);
}

Result<SinkPast> read_postgres_past(const PostgresSinkOptions& options, const SinkTable& table) {
  auto connection = PostgresConnection::open(options);
  RETURN_IF_ERROR(connection);
  RETURN_IF_ERROR(check_visible(**connection, table));
  auto past = read_past(postgres_past_database(**connection, table), table);
  if (!past) {
    NeededRights needed = rights_to_reset({.forgets_receipts = false});
    needed.makes_temporary_tables = true;
    add_grants(**connection, table, needed, past.error());
  }
  return past;
}

Status check_postgres_rights(const PostgresSinkOptions& options, const SinkTable& table,
                             const SinkReset& reset) {
  auto connection = PostgresConnection::open(options);
  RETURN_IF_ERROR(connection);
  const auto missing = missing_grants(**connection, table, rights_to_reset(reset));
  RETURN_IF_ERROR(missing);
  return missing->empty()
             ? Status{}
             : fail(ErrorCode::kRefused,
                    fmt::format("table {}: the user of the dsn lacks rights, or does not see all "
                                "rows; the rule: a reset has all that it needs before its first "
                                "act; the fix: {}",
                                table.table, fmt::join(*missing, "; ")));
}

Status reset_postgres_sink(const PostgresSinkOptions& options, const SinkTable& table,
                           const SinkReset& reset, ResetRun run) {
  auto connection = PostgresConnection::open(options);
  RETURN_IF_ERROR(connection);
  Status done = reset_sink(postgres_past_database(**connection, table), table, reset, run);
  if (!done) {
    NeededRights needed = rights_to_reset(reset);
    needed.makes_temporary_tables = true;
    add_grants(**connection, table, needed, done.error());
  }
  return done;
}

Result<protocol::ReceiptsByStage> read_sqlite_receipts(const SqliteSinkOptions& options,
                                                       const SinkTable& table) {
  if (!io::file_identity(options.file)) {
    return protocol::ReceiptsByStage{};
  }
  auto connection = SqliteConnection::open(options.file, options.busy_timeout);
  RETURN_IF_ERROR(connection);
  return read_receipts(sqlite_past_database(**connection, table), table);
}

Result<protocol::ReceiptsByStage> read_postgres_receipts(const PostgresSinkOptions& options,
                                                         const SinkTable& table) {
  auto connection = PostgresConnection::open(options);
  RETURN_IF_ERROR(connection);
  RETURN_IF_ERROR(check_visible(**connection, table));
  return read_receipts(postgres_past_database(**connection, table), table);
}

}  // namespace onceflow::connectors
