#include "connectors/sqlite_positions.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace onceflow::connectors {
namespace {

/// Some seconds: a claim must not take long.
constexpr std::size_t kMillionStepsOfLook = 200;

constexpr const char* kCreateOurTables =
    "CREATE TABLE IF NOT EXISTS onceflow_positions ("
    " pipeline TEXT NOT NULL, stage TEXT NOT NULL, topic TEXT NOT NULL, partition INTEGER NOT NULL,"
    " next_offset INTEGER NOT NULL, epoch INTEGER NOT NULL, topic_id TEXT NOT NULL DEFAULT '',"
    " table_id TEXT NOT NULL DEFAULT '', PRIMARY KEY (pipeline, stage, topic, partition));"
    "CREATE TABLE IF NOT EXISTS onceflow_receipts ("
    " receipt_id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " pipeline TEXT NOT NULL, stage TEXT NOT NULL, receipt BLOB NOT NULL);";

// Tables of earlier versions lack some of these columns; each with the statement that adds it.
constexpr std::array<std::pair<std::string_view, const char*>, 2> kAddedColumns = {{
    {"topic_id", "ALTER TABLE onceflow_positions ADD COLUMN topic_id TEXT NOT NULL DEFAULT ''"},
    {"table_id", "ALTER TABLE onceflow_positions ADD COLUMN table_id TEXT NOT NULL DEFAULT ''"},
}};
constexpr const char* kHasColumn =
    "SELECT count(*) FROM pragma_table_info('onceflow_positions') WHERE name = ?1";

constexpr const char* kClaim =
    "INSERT INTO onceflow_positions (pipeline, stage, topic, partition, next_offset, epoch)"
    " VALUES (?1, ?2, ?3, ?4, -1, 1)"
    " ON CONFLICT (pipeline, stage, topic, partition) DO UPDATE SET epoch = epoch + 1"
    " RETURNING epoch, next_offset, topic_id, table_id";

// Its columns take values of any type, and numbers beyond 64 bits become real ones.
constexpr const char* kReadOdd =
    "SELECT topic, partition, iif(is_epoch, 'epoch', 'next_offset'),"
    " quote(iif(is_epoch, epoch, next_offset)) FROM (SELECT *, typeof(epoch) <> 'integer'"
    " OR epoch = 9223372036854775807 AS is_epoch FROM onceflow_positions)"
    " WHERE pipeline = ?1 AND stage = ?2 AND (is_epoch OR typeof(next_offset) <> 'integer')"
    " LIMIT 1";

constexpr const char* kReadReceipts =
    "SELECT receipt FROM onceflow_receipts WHERE pipeline = ?1 AND stage = ?2"
    " ORDER BY receipt_id DESC";

constexpr const char* kKeepTableId =
    "UPDATE onceflow_positions SET table_id = ?5"
    " WHERE pipeline = ?1 AND stage = ?2 AND topic = ?3 AND partition = ?4 AND table_id <> ?5";

// The ids of one table differ in their first part alone: the rest is its place.
constexpr const char* kReadOthers =
    "SELECT pipeline, stage, topic, partition, place = ?3, next_offset > 0 FROM (SELECT *,"
    " substr(table_id, instr(table_id, ':')) AS place FROM onceflow_positions)"
    " WHERE (pipeline <> ?1 OR stage <> ?2) AND (table_id = '' OR place = ?3)"
    " AND (next_offset > 0 OR place = ?3)";

constexpr const char* kReadTableId =
    "SELECT (SELECT schema_version FROM pragma_schema_version) || ':' || rootpage || ':' ||"
    " lower(name) FROM sqlite_master WHERE type = 'table' AND name = ?1 COLLATE NOCASE";

Value text_value(const std::string& text) { return std::string_view(text); }

Result<bool> has_column(SqliteConnection& connection, std::string_view name) {
  Result<SqliteStatement> statement = connection.prepare(kHasColumn);
  RETURN_IF_ERROR(statement);
  statement->bind(1, name);
  const auto step = statement->step();
  RETURN_IF_ERROR(step);
  return statement->integer(0) != 0;
}

Status check_types(SqliteConnection& connection, const SinkTable& table) {
  Result<SqliteStatement> odd = connection.prepare(kReadOdd);
  RETURN_IF_ERROR(odd);
  odd->bind(1, text_value(table.pipeline));
  odd->bind(2, text_value(table.stage));
  const auto step = odd->step();
  RETURN_IF_ERROR(step);
  if (*step != SqliteStatement::Step::kRow) {
    return {};
  }
  const std::string column(odd->text(2));
  return refuse_position(
      table,
      {std::string(odd->text(0)), PartitionIndex(static_cast<std::int32_t>(odd->integer(1)))},
      fmt::format("{} {}", column, odd->text(3)),
      "epochs and offsets are integers of 64 bits, and there is an epoch after this one",
      column == "epoch" ? "epoch = 1" : "");
}

}  // namespace

void bind_partition(SqliteStatement& statement, const SinkTable& table,
                    const TopicPartition& source) {
  statement.bind(1, text_value(table.pipeline));
  statement.bind(2, text_value(table.stage));
  statement.bind(3, text_value(source.topic));
  statement.bind(4, std::int64_t{source.partition.value});
}

Status ensure_sqlite_positions(SqliteConnection& connection) {
  RETURN_IF_ERROR(connection.execute(kCreateOurTables));
  for (const auto& [column, add] : kAddedColumns) {
    const Result<bool> is_there = has_column(connection, column);
    RETURN_IF_ERROR(is_there);
    if (!*is_there) {
      RETURN_IF_ERROR(connection.execute(add));
    }
  }
  return {};
}

Result<std::vector<ClaimedPartition>> raise_epochs(SqliteConnection& connection,
                                                   const SinkTable& table,
                                                   const std::vector<TopicPartition>& partitions) {
  RETURN_IF_ERROR(check_types(connection, table));
  Result<SqliteStatement> claim = connection.prepare(kClaim);
  RETURN_IF_ERROR(claim);
  std::vector<ClaimedPartition> claimed;
  claimed.reserve(partitions.size());
  for (const TopicPartition& source : partitions) {
    bind_partition(*claim, table, source);
    const auto step = claim->step();
    RETURN_IF_ERROR(step);
    claimed.push_back({.source = source,
                       .epoch = claim->integer(0),
                       .next_offset = Offset(claim->integer(1)),
                       .topic_id = std::string(claim->text(2)),
                       .table_id = std::string(claim->text(3))});
    RETURN_IF_ERROR(claim->run());
  }
  return claimed;
}

Status read_newest_receipts(SqliteConnection& connection, const SinkTable& table,
                            NewestReceipts& newest) {
  Result<SqliteStatement> read = connection.prepare(kReadReceipts);
  RETURN_IF_ERROR(read);
  read->bind(1, text_value(table.pipeline));
  read->bind(2, text_value(table.stage));
  while (newest.wants_more()) {
    const auto step = read->step();
    RETURN_IF_ERROR(step);
    if (*step != SqliteStatement::Step::kRow) {
      break;
    }
    newest.add(as_bytes(read->text(0)));
  }
  return {};
}

Status keep_table_ids(SqliteConnection& connection, const SinkTable& table,
                      const std::vector<ClaimedPartition>& claimed) {
  Result<SqliteStatement> keep = connection.prepare(kKeepTableId);
  RETURN_IF_ERROR(keep);
  for (const ClaimedPartition& partition : claimed) {
    bind_partition(*keep, table, partition.source);
    keep->bind(5, text_value(partition.table_id));
    RETURN_IF_ERROR(keep->run());
  }
  return {};
}

Result<std::string> read_sqlite_table_id(SqliteConnection& connection, const SinkTable& table) {
  Result<SqliteStatement> read = connection.prepare(kReadTableId);
  RETURN_IF_ERROR(read);
  read->bind(1, text_value(table.table));
  const auto step = read->step();
  RETURN_IF_ERROR(step);
  return std::string(read->text(0));
}

// The newest rows of a table that only grows are at its end.
std::string SqliteTableSearch::table() const { return quote_identifier(table_.table); }

Result<TableSearch::Answer> SqliteTableSearch::find_row(const std::string& source) {
  const std::string name = quote_identifier(table_.table);
  const std::string from_end = fmt::format(
      "SELECT source FROM (SELECT {} AS source FROM {} ORDER BY rowid DESC) "
      "WHERE source = ?1 LIMIT 1",
      kSourceColumn, name);
  // A table WITHOUT ROWID has no such order.
  const bool has_rowid = connection_.prepare(from_end).has_value();
  return look(has_rowid
                  ? from_end
                  : fmt::format("SELECT {0} FROM {1} WHERE {0} = ?1 LIMIT 1", kSourceColumn, name),
              {source});
}

Result<TableSearch::Answer> SqliteTableSearch::find_row_of(
    const std::vector<std::string>& beginnings) {
  std::vector<std::string> places;
  places.reserve(beginnings.size());
  for (std::size_t index = 1; index <= beginnings.size(); ++index) {
    places.push_back(fmt::format("?{}", index));
  }
  return look(fmt::format("SELECT {0} FROM {1} WHERE rtrim({0}, '0123456789') IN ({2}) LIMIT 1",
                          kSourceColumn, quote_identifier(table_.table), fmt::join(places, ", ")),
              beginnings);
}

Result<TableSearch::Answer> SqliteTableSearch::find_row_from(const TopicPartition& source,
                                                             Offset offset) {
  return look(fmt::format("SELECT {0} FROM {1} WHERE rtrim({0}, '0123456789') = ?1 AND "
                          "CAST(substr({0}, length(?1) + 1) AS INTEGER) >= {2} LIMIT 1",
                          kSourceColumn, quote_identifier(table_.table), offset.value),
              {beginning_of(source)});
}

Result<TableSearch::Answer> SqliteTableSearch::look(const std::string& sql,
                                                    const std::vector<std::string>& wanted) {
  Result<SqliteStatement> statement = connection_.prepare(sql);
  RETURN_IF_ERROR(statement);
  for (std::size_t index = 0; index < wanted.size(); ++index) {
    statement->bind(static_cast<int>(index) + 1, text_value(wanted[index]));
  }
  connection_.limit_steps(kMillionStepsOfLook);
  const auto step = statement->step();
  const bool was_interrupted = connection_.was_interrupted();
  connection_.limit_steps(0);
  if (!step && was_interrupted) {
    return Answer{.found = Found::kNotInTime};
  }
  RETURN_IF_ERROR(step);
  return *step == SqliteStatement::Step::kRow
             ? Answer{.found = Found::kYes, .source = std::string(statement->text(0))}
             : Answer{};
}

Result<std::vector<TableSearch::Other>> SqliteTableSearch::others() {
  const Result<std::string> id = read_sqlite_table_id(connection_, table_);
  RETURN_IF_ERROR(id);
  const std::string place = id->substr(std::min(id->find(':'), id->size()));
  Result<SqliteStatement> read = connection_.prepare(kReadOthers);
  RETURN_IF_ERROR(read);
  read->bind(1, text_value(table_.pipeline));
  read->bind(2, text_value(table_.stage));
  read->bind(3, text_value(place));
  std::vector<Other> others;
  for (;;) {
    const auto step = read->step();
    RETURN_IF_ERROR(step);
    if (*step != SqliteStatement::Step::kRow) {
      return others;
    }
    const PartitionIndex partition(static_cast<std::int32_t>(read->integer(3)));
    others.push_back({.pipeline = std::string(read->text(0)),
                      .stage = std::string(read->text(1)),
                      .source = {std::string(read->text(2)), partition},
                      .writes_here = read->integer(4) != 0,
                      .has_rows = read->integer(5) != 0});
  }
}

}  // namespace onceflow::connectors
