#include "connectors/postgres_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "base/wire.h"
#include "connectors/convert_value.h"
#include "connectors/positions.h"

namespace onceflow::connectors {
namespace {

// Two workers that start at once create our tables one after the other.
constexpr const char* kLockSchema =
    "SELECT pg_advisory_xact_lock(hashtextextended('onceflow_positions', 0))";

constexpr const char* kFindOurTables =
    "SELECT (to_regclass('onceflow_positions') IS NOT NULL)::int,"
    " (to_regclass('onceflow_receipts') IS NOT NULL)::int";

constexpr const char* kCreatePositions =
    "CREATE TABLE onceflow_positions ("
    " pipeline text NOT NULL, stage text NOT NULL, topic text NOT NULL, partition integer NOT NULL,"
    " next_offset bigint NOT NULL, epoch bigint NOT NULL,"
    " PRIMARY KEY (pipeline, stage, topic, partition))";

constexpr const char* kCreateReceipts =
    "CREATE TABLE onceflow_receipts ("
    " receipt_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
    " pipeline text NOT NULL, stage text NOT NULL, receipt bytea NOT NULL)";

constexpr const char* kClaim =
    "INSERT INTO onceflow_positions AS claimed"
    " (pipeline, stage, topic, partition, next_offset, epoch)"
    " VALUES ($1, $2, $3, $4, -1, 1)"
    " ON CONFLICT (pipeline, stage, topic, partition) DO UPDATE SET epoch = claimed.epoch + 1"
    " RETURNING epoch, next_offset";

// The fence (SNK-1): a claim raises the epoch, so a zombie's update matches no row. It waits for a
// claim that is under way, and then sees the epoch that was claimed.
constexpr const char* kMovePositions =
    "UPDATE onceflow_positions AS held SET next_offset = moved.next_offset"
    " FROM unnest($3::text[], $4::bigint[], $5::bigint[], $6::bigint[])"
    " AS moved (topic, partition, next_offset, epoch)"
    " WHERE held.pipeline = $1 AND held.stage = $2 AND held.topic = moved.topic"
    " AND held.partition = moved.partition AND held.epoch = moved.epoch";

constexpr const char* kReadPosition =
    "SELECT epoch, next_offset FROM onceflow_positions"
    " WHERE pipeline = $1 AND stage = $2 AND topic = $3 AND partition = $4";

constexpr const char* kWriteReceipt =
    "INSERT INTO onceflow_receipts (pipeline, stage, receipt) VALUES ($1, $2, $3)";

constexpr const char* kUpsertStatement = "onceflow_upsert";
constexpr const char* kDeleteStatement = "onceflow_delete";
constexpr std::size_t kRowsPerStatement = 10'000;
constexpr std::size_t kCopyBytes = 256 * 1024;

std::vector<PostgresParameter> partition_parameters(const SinkTable& table,
                                                    const TopicPartition& source) {
  return {text_parameter(table.pipeline), text_parameter(table.stage), text_parameter(source.topic),
          integer_parameter(source.partition.value)};
}

CommitOutcome refused(std::size_t row, std::string text) {
  return {CommitOutcome::Kind::kRefused, row, std::move(text)};
}

// A table's integer column may be narrower than ours.
bool fits(PostgresType type, const Value& value) {
  if (type != PostgresType::kInt2 && type != PostgresType::kInt4) {
    return true;
  }
  Buffer unused;
  WireWriter writer(unused);
  return write_postgres_field(writer, type, value);
}

// Bytes that differ for different keys.
std::string key_bytes(const SinkTable& table, const Value* row) {
  Buffer bytes;
  WireWriter writer(bytes);
  for (std::size_t index = 0; index < table.columns.size(); ++index) {
    if (table.columns[index].is_key) {
      write_postgres_field(writer, array_element_type(table.columns[index].type), row[index]);
    }
  }
  return std::string(as_text(bytes));
}

}  // namespace

PostgresStore::PostgresStore(PostgresSinkOptions options, SinkTable table)
    : options_(std::move(options)), table_(std::move(table)) {}

// -------------------------------------------------------------------------------------------
// claiming

Status PostgresStore::open() {
  if (connection_) {
    return {};
  }
  auto opened = PostgresConnection::open(options_);
  RETURN_IF_ERROR(opened);
  connection_ = std::move(*opened);
  return {};
}

Status PostgresStore::prepare_tables() {
  if (const auto locked = connection_->execute(kLockSchema); !locked) {
    return std::unexpected(to_error(locked.error()));
  }
  const auto found = connection_->execute(kFindOurTables);
  if (!found) {
    return std::unexpected(to_error(found.error()));
  }
  const char* const create[] = {kCreatePositions, kCreateReceipts};
  for (int column = 0; column < 2; ++column) {
    if (found->integer(0, column) == 0) {
      if (const auto created = connection_->execute(create[column]); !created) {
        return std::unexpected(to_error(created.error()));
      }
    }
  }
  Result<PostgresTable> table = ensure_postgres_table(*connection_, table_);
  RETURN_IF_ERROR(table);
  written_table_ = std::move(*table);
  return table_.mode == SinkMode::kUpsert ? prepare_statements() : Status();
}

Status PostgresStore::prepare_statements() {
  if (const auto dropped = connection_->execute("DEALLOCATE ALL"); !dropped) {
    return std::unexpected(to_error(dropped.error()));
  }
  if (const auto prepared = connection_->prepare(kUpsertStatement, postgres_upsert_sql(table_));
      !prepared) {
    return std::unexpected(to_error(prepared.error()));
  }
  // Only planning finds out whether the key is unique; explaining plans and does nothing.
  std::string nulls = "NULL";
  for (std::size_t index = 0; index < table_.columns.size(); ++index) {
    nulls += ", NULL";
  }
  if (const auto planned =
          connection_->execute(fmt::format("EXPLAIN EXECUTE {}({})", kUpsertStatement, nulls));
      !planned) {
    constexpr std::string_view kNoUniqueKey = "42P10";
    if (planned.error().sqlstate != kNoUniqueKey) {
      return std::unexpected(to_error(planned.error()));
    }
    return fail(ErrorCode::kRefused, unique_key_needed(table_, planned.error().text));
  }
  if (const auto prepared = connection_->prepare(kDeleteStatement, postgres_delete_sql(table_));
      !prepared) {
    return std::unexpected(to_error(prepared.error()));
  }
  return {};
}

Result<std::vector<ClaimedPartition>> PostgresStore::raise_epochs(
    const std::vector<TopicPartition>& partitions) {
  // In one order everywhere, so that two claims wait for each other and do not deadlock.
  std::vector<std::size_t> order(partitions.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, {}, [&](std::size_t index) { return partitions[index]; });
  std::vector<ClaimedPartition> claimed(partitions.size());
  for (const std::size_t index : order) {
    const auto answer =
        connection_->execute(kClaim, partition_parameters(table_, partitions[index]));
    if (!answer) {
      return std::unexpected(to_error(answer.error()));
    }
    claimed[index] = {partitions[index], answer->integer(0, 0), Offset(answer->integer(0, 1))};
  }
  return claimed;
}

Result<std::vector<ClaimedPartition>> PostgresStore::claim_in_transaction(
    const std::vector<TopicPartition>& partitions) {
  RETURN_IF_ERROR(open());
  if (const auto begun = connection_->execute("BEGIN"); !begun) {
    return std::unexpected(to_error(begun.error()));
  }
  RETURN_IF_ERROR(prepare_tables());
  auto claimed = raise_epochs(partitions);
  RETURN_IF_ERROR(claimed);
  if (written_table_.was_created) {
    RETURN_IF_ERROR(check_nothing_was_written(table_, *claimed));
  }
  const auto committed = connection_->execute("COMMIT");
  if (!committed) {
    return std::unexpected(to_error(committed.error()));
  }
  return claimed;
}

Result<std::vector<ClaimedPartition>> PostgresStore::claim(
    const std::vector<TopicPartition>& partitions) {
  const bool was_open = connection_ != nullptr;
  auto claimed = claim_in_transaction(partitions);
  if (!claimed && was_open && claimed.error().code == ErrorCode::kConnectionLost) {
    // A connection that had died unnoticed; a fresh one answers for itself.
    connection_.reset();
    claimed = claim_in_transaction(partitions);
  }
  if (!claimed) {
    connection_.reset();
    claimed.error().text = "postgres: " + claimed.error().text;
  }
  return claimed;
}

Result<std::vector<ClaimedPartition>> PostgresStore::read_positions(
    const std::vector<TopicPartition>& partitions) {
  RETURN_IF_ERROR(open());
  const auto found = connection_->execute(kFindOurTables);
  if (!found) {
    connection_.reset();
    return std::unexpected(to_error(found.error()));
  }
  std::vector<ClaimedPartition> positions;
  for (const TopicPartition& source : partitions) {
    positions.push_back({source, 0, kNoOffset});
    if (found->integer(0, 0) == 0) {
      continue;
    }
    const auto answer = connection_->execute(kReadPosition, partition_parameters(table_, source));
    if (!answer) {
      connection_.reset();
      return std::unexpected(to_error(answer.error()));
    }
    if (answer->row_count() == 1) {
      positions.back().epoch = answer->integer(0, 0);
      positions.back().next_offset = Offset(answer->integer(0, 1));
    }
  }
  return positions;
}

// -----------------------------------------------------------------------------------------
// committing

CommitOutcome PostgresStore::commit(const SinkCommit& commit) {
  if (!connection_) {
    return in_doubt("not connected");
  }
  const auto values = convert(commit);
  if (!values) {
    return values.error();
  }
  const std::vector<std::size_t> rows = rows_to_write(commit, *values);
  if (const auto begun = connection_->execute("BEGIN"); !begun) {
    return in_doubt(begun.error().text);
  }
  const auto moved = move_positions(commit.positions);
  if (!moved) {
    return in_doubt(moved.error().text);
  }
  if (*moved != static_cast<std::int64_t>(commit.positions.size())) {
    if (!connection_->execute("ROLLBACK")) {
      connection_.reset();
    }
    return {CommitOutcome::Kind::kFenced, 0,
            fmt::format("{} of {} partitions were claimed by another",
                        static_cast<std::int64_t>(commit.positions.size()) - *moved,
                        commit.positions.size())};
  }
  if (Written written = write_rows(commit, *values, rows); !written) {
    return find_refused_row(commit, *values, rows, std::move(written).error());
  }
  if (Written written = write_receipt(commit.receipt); !written) {
    return in_doubt(written.error().text);
  }
  const auto committed = connection_->execute("COMMIT");
  if (!committed) {
    return find_refused_row(commit, *values, rows, committed.error());
  }
  if (committed->command_tag() != "COMMIT") {
    return in_doubt("the server answered COMMIT with " + committed->command_tag());
  }
  return {CommitOutcome::Kind::kCommitted, 0, {}};
}

std::expected<std::vector<Value>, CommitOutcome> PostgresStore::convert(
    const SinkCommit& commit) const {
  std::vector<Value> values(commit.values.size());
  const std::size_t width = table_.columns.size();
  for (std::size_t row = 0; row < commit.rows.size(); ++row) {
    for (std::size_t index = 0; index < width; ++index) {
      const SinkColumn& column = table_.columns[index];
      if (commit.rows[row].is_delete && !column.is_key) {
        continue;
      }
      const Result<Value> value =
          convert_value(column.name, column.type, commit.values[row * width + index]);
      if (!value) {
        return std::unexpected(refused(row, value.error().text));
      }
      if (column.is_key && is_null(*value)) {
        return std::unexpected(refused(row, fmt::format("key column {} is null", column.name)));
      }
      values[row * width + index] = *value;
      if (!fits(written_table_.types[index], *value)) {
        return std::unexpected(
            refused(row, fmt::format("column {}: {} is out of its range", column.name,
                                     std::get<std::int64_t>(*value))));
      }
    }
  }
  return values;
}

std::vector<std::size_t> PostgresStore::rows_to_write(const SinkCommit& commit,
                                                      const std::vector<Value>& values) const {
  std::vector<std::size_t> rows(commit.rows.size());
  std::iota(rows.begin(), rows.end(), std::size_t{0});
  if (table_.mode == SinkMode::kAppend) {
    return rows;
  }
  // One statement may touch a row once, so only the last word on each key is said.
  std::unordered_map<std::string, std::size_t> last;
  std::vector<bool> is_superseded(rows.size());
  for (std::size_t row = 0; row < rows.size(); ++row) {
    const auto [place, is_new] =
        last.try_emplace(key_bytes(table_, &values[row * table_.columns.size()]), row);
    if (!is_new) {
      is_superseded[place->second] = true;
      place->second = row;
    }
  }
  std::erase_if(rows, [&](std::size_t row) { return is_superseded[row]; });
  return rows;
}

std::expected<std::int64_t, PostgresFailure> PostgresStore::move_positions(
    const std::vector<SinkPosition>& positions) {
  PostgresArray topics(PostgresType::kText);
  PostgresArray partitions(PostgresType::kInt8);
  PostgresArray offsets(PostgresType::kInt8);
  PostgresArray epochs(PostgresType::kInt8);
  for (const SinkPosition& position : positions) {
    topics.add(std::string_view(position.source.topic));
    partitions.add(std::int64_t{position.source.partition.value});
    offsets.add(position.next_offset.value);
    epochs.add(position.epoch);
  }
  const auto answer = connection_->execute(
      kMovePositions, {text_parameter(table_.pipeline), text_parameter(table_.stage),
                       topics.finish(), partitions.finish(), offsets.finish(), epochs.finish()});
  if (!answer) {
    return std::unexpected(answer.error());
  }
  return answer->affected_rows();
}

PostgresStore::Written PostgresStore::write_rows(const SinkCommit& commit,
                                                 const std::vector<Value>& values,
                                                 std::span<const std::size_t> rows) {
  if (rows.empty()) {
    return {};
  }
  if (table_.mode == SinkMode::kAppend) {
    return copy_rows(commit, values, rows);
  }
  // Keys differ from row to row, so deleting first changes nothing.
  std::vector<std::size_t> upserts;
  std::vector<std::size_t> deletes;
  for (const std::size_t row : rows) {
    (commit.rows[row].is_delete ? deletes : upserts).push_back(row);
  }
  const auto in_parts = [](std::span<const std::size_t> part, auto&& write) -> Written {
    while (!part.empty()) {
      const std::size_t count = std::min(part.size(), kRowsPerStatement);
      if (Written written = write(part.first(count)); !written) {
        return written;
      }
      part = part.subspan(count);
    }
    return {};
  };
  Written written = in_parts(deletes, [&](auto part) { return delete_rows(values, part); });
  if (!written) {
    return written;
  }
  return in_parts(upserts, [&](auto part) { return upsert_rows(commit, values, part); });
}

PostgresStore::Written PostgresStore::copy_rows(const SinkCommit& commit,
                                                const std::vector<Value>& values,
                                                std::span<const std::size_t> rows) {
  if (Written begun = connection_->begin_copy(postgres_copy_sql(table_)); !begun) {
    return begun;
  }
  const std::size_t width = table_.columns.size();
  Buffer bytes;
  bytes.reserve(kCopyBytes + kCopyBytes / 4);
  WireWriter writer(bytes);
  write_copy_header(writer);
  for (const std::size_t row : rows) {
    writer.write_int16(static_cast<std::int16_t>(width + 1));
    for (std::size_t index = 0; index < width; ++index) {
      write_postgres_field(writer, written_table_.types[index], values[row * width + index]);
    }
    const std::string source = source_of_row(commit, commit.rows[row]);
    write_postgres_field(writer, PostgresType::kText, std::string_view(source));
    if (bytes.size() >= kCopyBytes) {
      if (Written copied = connection_->copy(bytes); !copied) {
        return copied;
      }
      bytes.clear();
    }
  }
  write_copy_trailer(writer);
  if (Written copied = connection_->copy(bytes); !copied) {
    return copied;
  }
  if (auto ended = connection_->end_copy(); !ended) {
    return std::unexpected(std::move(ended).error());
  }
  return {};
}

PostgresStore::Written PostgresStore::upsert_rows(const SinkCommit& commit,
                                                  const std::vector<Value>& values,
                                                  std::span<const std::size_t> rows) {
  std::vector<PostgresParameter> parameters;
  const std::size_t width = table_.columns.size();
  for (std::size_t index = 0; index < width; ++index) {
    PostgresArray column(array_element_type(table_.columns[index].type));
    for (const std::size_t row : rows) {
      column.add(values[row * width + index]);
    }
    parameters.push_back(column.finish());
  }
  PostgresArray sources(PostgresType::kText);
  for (const std::size_t row : rows) {
    const std::string source = source_of_row(commit, commit.rows[row]);
    sources.add(std::string_view(source));
  }
  parameters.push_back(sources.finish());
  if (auto written = connection_->execute_prepared(kUpsertStatement, parameters); !written) {
    return std::unexpected(std::move(written).error());
  }
  return {};
}

PostgresStore::Written PostgresStore::delete_rows(const std::vector<Value>& values,
                                                  std::span<const std::size_t> rows) {
  std::vector<PostgresParameter> parameters;
  const std::size_t width = table_.columns.size();
  for (std::size_t index = 0; index < width; ++index) {
    if (table_.columns[index].is_key) {
      PostgresArray column(array_element_type(table_.columns[index].type));
      for (const std::size_t row : rows) {
        column.add(values[row * width + index]);
      }
      parameters.push_back(column.finish());
    }
  }
  if (auto written = connection_->execute_prepared(kDeleteStatement, parameters); !written) {
    return std::unexpected(std::move(written).error());
  }
  return {};
}

PostgresStore::Written PostgresStore::write_receipt(const std::string& receipt) {
  const auto written = connection_->execute(
      kWriteReceipt, {text_parameter(table_.pipeline), text_parameter(table_.stage),
                      bytea_parameter(as_bytes(receipt))});
  return written ? Written() : std::unexpected(written.error());
}

// -------------------------------------------------------------------------------------------
// refusals

CommitOutcome PostgresStore::find_refused_row(const SinkCommit& commit,
                                              const std::vector<Value>& values,
                                              std::span<const std::size_t> rows,
                                              PostgresFailure failure) {
  if (!failure.is_of_row() || rows.empty() || !connection_->execute("ROLLBACK")) {
    return in_doubt(failure.text);
  }
  // Invariant: the first `accepted` rows are taken, the first `refused_count` are not.
  std::size_t accepted = 0;
  std::size_t refused_count = rows.size();
  Written all = try_rows(commit, values, rows);
  while (!all && all.error().is_of_row() && refused_count - accepted > 1) {
    const std::size_t middle = accepted + (refused_count - accepted) / 2;
    Written part = try_rows(commit, values, rows.first(middle));
    if (part) {
      accepted = middle;
    } else {
      refused_count = middle;
      all = std::move(part);
    }
  }
  if (all) {
    return in_doubt("a row was refused, and is not any more: " + failure.text);
  }
  if (!all.error().is_of_row()) {
    return in_doubt(all.error().text);
  }
  return refused(rows[refused_count - 1], fmt::format("postgres: {}", all.error().text));
}

PostgresStore::Written PostgresStore::try_rows(const SinkCommit& commit,
                                               const std::vector<Value>& values,
                                               std::span<const std::size_t> rows) {
  if (const auto begun = connection_->execute("BEGIN"); !begun) {
    return std::unexpected(begun.error());
  }
  Written written = write_rows(commit, values, rows);
  if (written) {
    // What is checked at the commit is checked here.
    if (auto checked = connection_->execute("SET CONSTRAINTS ALL IMMEDIATE"); !checked) {
      written = std::unexpected(std::move(checked).error());
    }
  }
  if (const auto back = connection_->execute("ROLLBACK"); !back) {
    return std::unexpected(back.error());
  }
  return written;
}

// Whatever this was, the positions in the database are the truth; the next claim reads them.
CommitOutcome PostgresStore::in_doubt(std::string text) {
  connection_.reset();
  return {CommitOutcome::Kind::kUnknown, 0, "postgres: " + text};
}

}  // namespace onceflow::connectors
