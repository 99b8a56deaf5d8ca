#include "connectors/postgres_positions.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "connectors/postgres_positions_sql.h"
#include "connectors/postgres_rights.h"
#include "connectors/postgres_table.h"

namespace onceflow::connectors {
namespace {

constexpr std::string_view kTookTooLong = "57014";

Status run(PostgresConnection& connection, const std::string& sql) {
  const auto done = connection.execute(sql);
  return done ? Status() : std::unexpected(to_error(done.error()));
}

// Rows stay where such a table is emptied, and would be written again.
Status check_that_they_last(PostgresConnection& connection) {
  const auto found = connection.execute(kFindFleeting);
  if (!found) {
    return std::unexpected(to_error(found.error()));
  }
  if (found->row_count() == 0) {
    return {};
  }
  const std::string name = found->text(0, 0);
  constexpr std::string_view kRule = "the rule: positions and receipts are committed with the rows";
  const std::string kind = found->text(0, 1);
  if (kind == "f") {
    return fail(ErrorCode::kRefused,
                fmt::format("{0} is a foreign table, whose server commits by itself; {1}; the fix: "
                            "a dsn that leads to that server, or DROP FOREIGN TABLE {0}",
                            name, kRule));
  }
  if (kind != "r") {
    return fail(ErrorCode::kRefused,
                fmt::format("{0} is a view, which may hide some of them; {1}, and all of them are "
                            "seen; the fix: DROP VIEW {0}, and give the name to the table that it "
                            "shows",
                            name, kRule));
  }
  return fail(ErrorCode::kRefused,
              fmt::format("{0} is UNLOGGED or temporary; the rule: positions and receipts last as "
                          "long as the rows, and a crash of the server would empty it; the fix: "
                          "ALTER TABLE {0} SET LOGGED",
                          name));
}

}  // namespace

std::vector<PostgresParameter> partition_parameters(const SinkTable& table,
                                                    const TopicPartition& source) {
  return {text_parameter(table.pipeline), text_parameter(table.stage), text_parameter(source.topic),
          integer_parameter(source.partition.value)};
}

Status ensure_postgres_positions(PostgresConnection& connection) {
  RETURN_IF_ERROR(run(connection, kLockSchema));
  const auto found = connection.execute(kFindOurTables);
  if (!found) {
    return std::unexpected(to_error(found.error()));
  }
  const bool has_positions = found->integer(0, 0) != 0;
  if (!has_positions) {
    RETURN_IF_ERROR(run(connection, kCreatePositions));
  }
  if (found->integer(0, 1) == 0) {
    RETURN_IF_ERROR(run(connection, kCreateReceipts));
  }
  if (has_positions && found->integer(0, 2) == 0) {
    RETURN_IF_ERROR(run(connection, kAddTopicId));
  }
  if (has_positions && found->integer(0, 3) == 0) {
    RETURN_IF_ERROR(run(connection, kAddTableId));
  }
  RETURN_IF_ERROR(check_that_they_last(connection));
  RETURN_IF_ERROR(run(connection, kRaiseReceiptIds));
  return check_receipt_ids(connection);
}

Result<std::vector<ClaimedPartition>> raise_epochs(PostgresConnection& connection,
                                                   const SinkTable& table,
                                                   const std::vector<TopicPartition>& partitions) {
  // In one order everywhere, so that two claims wait for each other and do not deadlock.
  std::vector<std::size_t> order(partitions.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, {}, [&](std::size_t index) { return partitions[index]; });
  std::vector<ClaimedPartition> claimed(partitions.size());
  for (const std::size_t index : order) {
    const auto answer = connection.execute(kClaim, partition_parameters(table, partitions[index]));
    if (!answer) {
      return std::unexpected(to_error(answer.error()));
    }
    claimed[index] = {.source = partitions[index],
                      .epoch = answer->integer(0, 0),
                      .next_offset = Offset(answer->integer(0, 1)),
                      .topic_id = answer->text(0, 2),
                      .table_id = answer->text(0, 3)};
  }
  return claimed;
}

Status read_newest_receipts(PostgresConnection& connection, const SinkTable& table,
                            NewestReceipts& newest) {
  std::int64_t before = std::numeric_limits<std::int64_t>::max();
  while (newest.wants_more()) {
    const auto answer = connection.execute(
        kReadReceipts,
        {text_parameter(table.pipeline), text_parameter(table.stage), integer_parameter(before)});
    if (!answer) {
      return std::unexpected(to_error(answer.error()));
    }
    if (answer->row_count() == 0) {
      break;
    }
    for (std::size_t row = 0; row < answer->row_count(); ++row) {
      before = answer->integer(row, 0);
      newest.add(from_hex(answer->text(row, 1)));
    }
  }
  return {};
}

Status keep_table_ids(PostgresConnection& connection, const SinkTable& table,
                      const std::vector<ClaimedPartition>& claimed) {
  PostgresArray topics(PostgresType::kText);
  PostgresArray partitions(PostgresType::kInt8);
  PostgresArray ids(PostgresType::kText);
  for (const ClaimedPartition& partition : claimed) {
    topics.add(std::string_view(partition.source.topic));
    partitions.add(std::int64_t{partition.source.partition.value});
    ids.add(std::string_view(partition.table_id));
  }
  const auto kept = connection.execute(
      kKeepTableIds, {text_parameter(table.pipeline), text_parameter(table.stage), topics.finish(),
                      partitions.finish(), ids.finish()});
  return kept ? Status() : std::unexpected(to_error(kept.error()));
}

// The newest rows of a table that only grows, restored or not, are in its last pages.
std::string PostgresTableSearch::table() const { return postgres_table_name(table_); }

Result<TableSearch::Answer> PostgresTableSearch::find_row(const std::string& source) {
  const std::string name = postgres_table_name(table_);
  const std::string wanted = fmt::format("SELECT {0} FROM {1} WHERE {0} = $1", kSourceColumn, name);
  PostgresParameter parameter = text_parameter(source);
  const auto relation = connection_.execute(
      "SELECT (relkind = 'r')::int, greatest(pg_relation_size(oid) / 8192 - 1000, 0)"
      " FROM pg_class WHERE oid = to_regclass($1)",
      {text_parameter(name)});
  if (!relation) {
    return std::unexpected(to_error(relation.error()));
  }
  if (relation->row_count() == 1 && relation->integer(0, 0) != 0 && relation->integer(0, 1) > 0) {
    const auto in_last_pages =
        look(fmt::format("{} AND ctid >= '({},0)'::tid LIMIT 1", wanted, relation->integer(0, 1)),
             parameter);
    if (!in_last_pages || in_last_pages->found == Found::kYes) {
      return in_last_pages;
    }
  }
  return look(wanted + " LIMIT 1", parameter);
}

Result<TableSearch::Answer> PostgresTableSearch::find_row_of(
    const std::vector<std::string>& beginnings) {
  PostgresArray wanted(PostgresType::kText);
  for (const std::string& beginning : beginnings) {
    wanted.add(std::string_view(beginning));
  }
  return look(fmt::format("SELECT {0} FROM {1} WHERE rtrim({0}, '0123456789') = ANY($1) LIMIT 1",
                          kSourceColumn, postgres_table_name(table_)),
              wanted.finish());
}

// A cast of what is no number would fail, and only CASE says what is evaluated first.
Result<TableSearch::Answer> PostgresTableSearch::find_row_from(const TopicPartition& source,
                                                               Offset offset) {
  const std::string beginning = beginning_of(source);
  return look(
      fmt::format("SELECT {0} FROM {1} WHERE CASE WHEN rtrim({0}, '0123456789') = $1 AND "
                  "length({0}) > length($1) THEN substr({0}, length($1) + 1)::numeric >= {2} ELSE "
                  "false END LIMIT 1",
                  kSourceColumn, postgres_table_name(table_), offset.value),
      text_parameter(beginning));
}

// Rolling back to the savepoint undoes the timeout with it.
Result<TableSearch::Answer> PostgresTableSearch::look(const std::string& sql,
                                                      const PostgresParameter& wanted) {
  RETURN_IF_ERROR(run(connection_, fmt::format("SAVEPOINT onceflow_look; SET LOCAL "
                                               "statement_timeout = {}",
                                               timeout_.count())));
  const auto answer = connection_.execute(sql, {wanted});
  if (!answer && answer.error().sqlstate != kTookTooLong) {
    return std::unexpected(to_error(answer.error()));
  }
  RETURN_IF_ERROR(run(connection_, "ROLLBACK TO onceflow_look; RELEASE onceflow_look"));
  if (!answer) {
    return Answer{.found = Found::kNotInTime};
  }
  return answer->row_count() == 0 ? Answer{}
                                  : Answer{.found = Found::kYes, .source = answer->text(0, 0)};
}

Result<std::vector<TableSearch::Other>> PostgresTableSearch::others() {
  const auto answer = connection_.execute(
      kReadOthers,
      {text_parameter(table_.pipeline), text_parameter(table_.stage), text_parameter(table_id_)});
  if (!answer) {
    return std::unexpected(to_error(answer.error()));
  }
  std::vector<Other> others;
  others.reserve(answer->row_count());
  for (std::size_t row = 0; row < answer->row_count(); ++row) {
    const PartitionIndex partition(static_cast<std::int32_t>(answer->integer(row, 3)));
    others.push_back({.pipeline = answer->text(row, 0),
                      .stage = answer->text(row, 1),
                      .source = {answer->text(row, 2), partition},
                      .writes_here = answer->integer(row, 4) != 0,
                      .has_rows = answer->integer(row, 5) != 0});
  }
  return others;
}

}  // namespace onceflow::connectors
