#include "connectors/postgres_store.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "base/wire.h"
#include "connectors/convert_value.h"
#include "connectors/positions.h"
#include "connectors/postgres_positions.h"
#include "connectors/postgres_positions_sql.h"
#include "connectors/postgres_rights.h"
#include "connectors/sink_past.h"
#include "connectors/table_rules.h"

namespace onceflow::connectors {
namespace {

constexpr std::string_view kTwoRowsOfOneKey = "21000";

constexpr const char* kUpsertStatement = "onceflow_upsert";
constexpr const char* kDeleteStatement = "onceflow_delete";
constexpr const char* kRemainingStatement = "onceflow_remaining";
constexpr const char* kInPlaceStatement = "onceflow_in_place";
constexpr std::size_t kRowsPerStatement = 10'000;
constexpr std::size_t kCopyBytes = 256 * 1024;
/// For what no index helps to find: a claim must not take long.
constexpr milliseconds kLookTimeout{3'000};

PostgresFailure rows_dropped(std::string_view what) {
  return {.text = fmt::format(
              "the database {} and said no error, as it does where a trigger returns NULL; the "
              "rule: a record is in the table as it says, or the stage stops; the fix: let the "
              "trigger return the row or raise an error, or keep such records out with `where`",
              what),
          .is_dropped_row = true};
}

CommitOutcome refused(std::size_t row, std::string text) {
  return {.kind = CommitOutcome::Kind::kRefused, .refused_row = row, .text = std::move(text)};
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
  RETURN_IF_ERROR(check_visible(*connection_, table_));
  RETURN_IF_ERROR(ensure_postgres_positions(*connection_));
  Result<PostgresTable> table = ensure_postgres_table(*connection_, table_);
  RETURN_IF_ERROR(table);
  written_table_ = std::move(*table);
  writes_in_order_ = writes_in_order_ || !written_table_.keys_differ_by_bytes;
  return table_.mode == SinkMode::kUpsert ? prepare_statements() : Status();
}

Status PostgresStore::prepare_statements() {
  if (const auto dropped = connection_->execute("DEALLOCATE ALL"); !dropped) {
    return std::unexpected(to_error(dropped.error()));
  }
  if (const auto prepared = connection_->prepare(
          kUpsertStatement,
          postgres_upsert_sql(table_, written_table_, !written_table_.keys_differ_by_bytes));
      !prepared) {
    return std::unexpected(to_error(prepared.error()));
  }
  // Only planning finds out whether the key is unique; explaining plans and does nothing. What it
  // refuses would end the transaction, in which the rows are looked at then.
  if (const auto kept = connection_->execute("SAVEPOINT onceflow_key"); !kept) {
    return std::unexpected(to_error(kept.error()));
  }
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
    if (const auto back = connection_->execute("ROLLBACK TO onceflow_key"); !back) {
      return std::unexpected(to_error(back.error()));
    }
    return refuse_without_unique_key(*connection_, table_, planned.error().text);
  }
  for (const auto& [name, sql] :
       {std::pair(kDeleteStatement, postgres_delete_sql(table_, written_table_)),
        std::pair(kRemainingStatement, postgres_remaining_sql(table_, written_table_)),
        std::pair(kInPlaceStatement, postgres_in_place_sql(table_, written_table_))}) {
    if (const auto prepared = connection_->prepare(name, sql); !prepared) {
      return std::unexpected(to_error(prepared.error()));
    }
  }
  return {};
}

PostgresTableSearch PostgresStore::table_search() const {
  return {*connection_, table_, written_table_.id,
          std::min(kLookTimeout, options_.statement_timeout)};
}

Result<std::vector<ClaimedPartition>> PostgresStore::claim_in_transaction(
    const std::vector<TopicPartition>& partitions, const char* end) {
  RETURN_IF_ERROR(open());
  if (const auto begun = connection_->execute("BEGIN"); !begun) {
    return std::unexpected(to_error(begun.error()));
  }
  RETURN_IF_ERROR(prepare_tables());
  auto claimed = raise_epochs(*connection_, table_, partitions);
  RETURN_IF_ERROR(claimed);
  const bool is_other_id = std::ranges::any_of(*claimed, [this](const ClaimedPartition& each) {
    return !each.table_id.empty() && each.table_id != written_table_.id;
  });
  NewestReceipts newest(
      *claimed, is_other_id ? NewestReceipts::Row::kWanted : NewestReceipts::Row::kNotWanted);
  RETURN_IF_ERROR(read_newest_receipts(*connection_, table_, newest));
  PostgresTableSearch search = table_search();
  RETURN_IF_ERROR(check_past(table_, {written_table_.id, written_table_.was_created}, newest,
                             search, *claimed));
  RETURN_IF_ERROR(keep_table_ids(*connection_, table_, *claimed));
  const auto ended = connection_->execute(end);
  if (!ended) {
    return std::unexpected(to_error(ended.error()));
  }
  return claimed;
}

Result<std::vector<ClaimedPartition>> PostgresStore::claim(
    const std::vector<TopicPartition>& partitions) {
  const bool was_open = connection_ != nullptr;
  auto claimed = claim_in_transaction(partitions, "COMMIT");
  if (!claimed && was_open && claimed.error().code == ErrorCode::kConnectionLost) {
    // A connection that had died unnoticed; a fresh one answers for itself.
    connection_.reset();
    claimed = claim_in_transaction(partitions, "COMMIT");
  }
  if (!claimed) {
    explain_and_disconnect(claimed.error());
  }
  return claimed;
}

// What is rolled back has still raised the sequence of receipts where it lay behind their ids.
Result<std::vector<ClaimedPartition>> PostgresStore::look(
    const std::vector<TopicPartition>& partitions) {
  auto found = claim_in_transaction(partitions, "ROLLBACK");
  if (!found) {
    explain_and_disconnect(found.error());
  }
  connection_.reset();
  return found;
}

Result<std::string> PostgresStore::check_rows_past(const std::vector<ClaimedPartition>& positions) {
  const auto check = [&]() -> Result<std::string> {
    RETURN_IF_ERROR(open());
    const auto begun = connection_->execute("BEGIN");
    PostgresTableSearch search = table_search();
    auto checked = connectors::check_rows_past(table_, search, positions);
    const auto ended = connection_->execute("ROLLBACK");
    return begun && ended ? checked : std::unexpected(to_error((begun ? ended : begun).error()));
  };
  auto checked = check();
  if (!checked) {
    explain_and_disconnect(checked.error());
  }
  return checked;
}

void PostgresStore::explain_and_disconnect(Error& error) {
  if (connection_) {
    add_grants(*connection_, table_, rights_to_write(table_), error);
  }
  connection_.reset();
  error.text = "postgres: " + error.text;
}

Result<ClaimedPartition> PostgresStore::read_position(const TopicPartition& source) {
  const auto answer = connection_->execute(kReadPosition, partition_parameters(table_, source));
  if (!answer) {
    return std::unexpected(to_error(answer.error()));
  }
  ClaimedPartition position{source, 0, kNoOffset};
  if (answer->row_count() == 1) {
    position.epoch = answer->integer(0, 0);
    position.next_offset = Offset(answer->integer(0, 1));
    position.topic_id = answer->text(0, 2);
  }
  return position;
}

Result<std::vector<ClaimedPartition>> PostgresStore::read_positions(
    const std::vector<TopicPartition>& partitions) {
  RETURN_IF_ERROR(open());
  if (!written_table_.shape.empty()) {
    const auto is_same = has_claimed_shape();
    if (!is_same || !*is_same) {
      connection_.reset();
      return is_same
                 ? fail(ErrorCode::kTimedOut, "postgres: " + what_changed(), Recovery::kRetriable)
                 : std::unexpected(to_error(is_same.error()));
    }
  }
  const auto found = connection_->execute(kFindOurTables);
  if (!found) {
    connection_.reset();
    return std::unexpected(to_error(found.error()));
  }
  // A table without topic_id has not been claimed by this version yet, so nothing is known.
  const bool is_there = found->integer(0, 2) != 0;
  std::vector<ClaimedPartition> positions;
  for (const TopicPartition& source : partitions) {
    auto position = is_there ? read_position(source) : ClaimedPartition{source, 0, kNoOffset};
    if (!position) {
      connection_.reset();
      return std::unexpected(position.error());
    }
    positions.push_back(std::move(*position));
  }
  return positions;
}

// -----------------------------------------------------------------------------------------
// committing

CommitOutcome PostgresStore::commit(const SinkCommit& commit) {
  if (!connection_) {
    return not_now("not connected");
  }
  const auto values = convert(commit);
  if (!values) {
    // The table may have been changed to take what it could not.
    const auto is_same = has_claimed_shape();
    return !is_same ? not_written(is_same.error()) : *is_same ? values.error() : shape_changed();
  }
  const Rows rows = rows_to_write(commit, *values);
  if (const auto begun = connection_->execute("BEGIN"); !begun) {
    return not_written(begun.error());
  }
  if (auto added = add_unclaimed(commit.positions); !added) {
    return std::move(added).error();
  }
  const auto moved = move_positions(commit.positions);
  if (!moved) {
    return not_written(moved.error());
  }
  if (*moved != static_cast<std::int64_t>(commit.positions.size())) {
    return fenced(commit.positions);
  }
  if (const Written written = write_rows(commit, *values, rows); !written) {
    return rows_failed(commit, *values, rows, written.error());
  }
  const auto is_same = write_receipt(commit.receipt);
  if (!is_same) {
    return not_written(is_same.error());
  }
  if (!*is_same) {
    return shape_changed();
  }
  const auto committed = connection_->execute("COMMIT");
  if (!committed) {
    return not_committed(commit, *values, rows, committed.error());
  }
  if (committed->command_tag() != "COMMIT") {
    CommitOutcome outcome = not_now("the server answered COMMIT with " + committed->command_tag());
    outcome.kind = CommitOutcome::Kind::kRefused;
    outcome.is_final = false;
    return outcome;
  }
  return {.kind = CommitOutcome::Kind::kCommitted};
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
      if (const Status kept =
              check_kept(table_, column.name, written_table_.columns[index], *value);
          !kept) {
        return std::unexpected(refused(row, kept.error().text));
      }
    }
  }
  return values;
}

PostgresStore::Rows PostgresStore::rows_to_write(const SinkCommit& commit,
                                                 const std::vector<Value>& values) const {
  Rows rows(commit.rows.size());
  std::iota(rows.begin(), rows.end(), std::size_t{0});
  if (table_.mode == SinkMode::kAppend || writes_in_order_) {
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

std::expected<void, CommitOutcome> PostgresStore::add_unclaimed(
    const std::vector<SinkPosition>& positions) {
  std::vector<TopicPartition> added;
  for (const SinkPosition& position : positions) {
    if (position.epoch != 0) {
      continue;
    }
    std::vector<PostgresParameter> parameters = partition_parameters(table_, position.source);
    parameters.push_back(text_parameter(written_table_.id));
    const auto answer = connection_->execute(kAddUnclaimed, parameters);
    if (!answer) {
      return std::unexpected(not_written(answer.error()));
    }
    if (answer->affected_rows() == 1) {
      added.push_back(position.source);
    }
  }
  PostgresTableSearch search = table_search();
  const auto looked = check_new_partitions(table_, search, std::move(added));
  if (looked) {
    return {};
  }
  CommitOutcome outcome = not_now(looked.error().text);
  if (looked.error().code == ErrorCode::kRefused) {
    outcome.kind = CommitOutcome::Kind::kRefused;
  }
  return std::unexpected(std::move(outcome));
}

std::expected<std::int64_t, PostgresFailure> PostgresStore::move_positions(
    const std::vector<SinkPosition>& positions) {
  PostgresArray topics(PostgresType::kText);
  PostgresArray partitions(PostgresType::kInt8);
  PostgresArray offsets(PostgresType::kInt8);
  PostgresArray epochs(PostgresType::kInt8);
  PostgresArray from_offsets(PostgresType::kInt8);
  PostgresArray topic_ids(PostgresType::kText);
  for (const SinkPosition& position : positions) {
    topics.add(std::string_view(position.source.topic));
    partitions.add(std::int64_t{position.source.partition.value});
    offsets.add(position.next_offset.value);
    epochs.add(position.epoch);
    from_offsets.add(position.from_offset.value);
    topic_ids.add(std::string_view(position.topic_id));
  }
  const auto answer = connection_->execute(
      kMovePositions, {text_parameter(table_.pipeline), text_parameter(table_.stage),
                       topics.finish(), partitions.finish(), offsets.finish(), epochs.finish(),
                       from_offsets.finish(), topic_ids.finish()});
  if (!answer) {
    return std::unexpected(answer.error());
  }
  return answer->integer(0, 0);
}

// Which row is to blame is read after the rollback: the transaction may have moved others.
CommitOutcome PostgresStore::fenced(const std::vector<SinkPosition>& positions) {
  CommitOutcome outcome{.kind = CommitOutcome::Kind::kFenced,
                        .text = "a position is not as this worker left it"};
  bool is_open = connection_->execute("ROLLBACK").has_value();
  for (const SinkPosition& position : positions) {
    const auto stored = is_open ? read_position(position.source) : ClaimedPartition{};
    is_open = is_open && stored;
    if (!is_open) {
      connection_.reset();
      break;
    }
    if (stored->epoch != position.epoch || stored->next_offset != position.from_offset) {
      outcome.text = describe_fence(position, *stored);
      break;
    }
  }
  return outcome;
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
  if (writes_in_order_) {
    return write_in_order(commit, values, rows);
  }
  // Keys differ from row to row, so deleting first changes nothing.
  Rows upserts;
  Rows deletes;
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

PostgresStore::Written PostgresStore::write_in_order(const SinkCommit& commit,
                                                     const std::vector<Value>& values,
                                                     std::span<const std::size_t> rows) {
  while (!rows.empty()) {
    // A run: rows of one kind, no key in it twice as far as its bytes tell.
    const bool is_delete = commit.rows[rows.front()].is_delete;
    std::unordered_set<std::string> keys;
    std::size_t count = 0;
    while (count < std::min(rows.size(), kRowsPerStatement) &&
           commit.rows[rows[count]].is_delete == is_delete &&
           keys.insert(key_bytes(table_, &values[rows[count] * table_.columns.size()])).second) {
      ++count;
    }
    const std::span<const std::size_t> run = rows.first(count);
    const Written written = is_delete ? delete_rows(values, run) : upsert_run(commit, values, run);
    if (!written) {
      return written;
    }
    rows = rows.subspan(count);
  }
  return {};
}

// A statement may touch a row only once. Where it would touch one twice it is undone and given in
// halves, so that equal keys come one after the other, as their records did.
PostgresStore::Written PostgresStore::upsert_run(const SinkCommit& commit,
                                                 const std::vector<Value>& values,
                                                 std::span<const std::size_t> run) {
  std::vector<std::span<const std::size_t>> parts = {run};  // the next one is the last
  while (!parts.empty()) {
    const std::span<const std::size_t> part = parts.back();
    parts.pop_back();
    if (part.size() == 1) {
      if (Written written = upsert_rows(commit, values, part); !written) {
        return written;
      }
      continue;
    }
    if (const auto saved = connection_->execute("SAVEPOINT onceflow_run"); !saved) {
      return std::unexpected(saved.error());
    }
    const Written written = upsert_rows(commit, values, part);
    if (!written && written.error().sqlstate != kTwoRowsOfOneKey) {
      return written;
    }
    if (const auto ended =
            connection_->execute(written ? "RELEASE onceflow_run" : "ROLLBACK TO onceflow_run");
        !ended) {
      return std::unexpected(ended.error());
    }
    if (!written) {
      parts.push_back(part.subspan(part.size() / 2));
      parts.push_back(part.first(part.size() / 2));
    }
  }
  return {};
}

PostgresStore::Written PostgresStore::check_written(const PostgresResult& result,
                                                    std::size_t sent) {
  return result.affected_rows() == static_cast<std::int64_t>(sent)
             ? Written()
             : std::unexpected(rows_dropped("dropped the row"));
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
      write_postgres_field(writer, written_table_.columns[index].type, values[row * width + index]);
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
  auto ended = connection_->end_copy();
  if (!ended) {
    return std::unexpected(std::move(ended).error());
  }
  return check_written(*ended, rows.size());
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
  auto written = connection_->execute_prepared(kUpsertStatement, parameters);
  if (!written) {
    return std::unexpected(std::move(written).error());
  }
  if (Written checked = check_written(*written, rows.size()); !checked) {
    return checked;
  }
  return written_table_.triggers.empty() ? Written() : check_in_place(parameters, rows.size());
}

PostgresStore::Written PostgresStore::check_in_place(
    const std::vector<PostgresParameter>& parameters, std::size_t sent) {
  auto found = connection_->execute_prepared(kInPlaceStatement, parameters);
  if (!found) {
    return std::unexpected(std::move(found).error());
  }
  return found->integer(0, 0) == static_cast<std::int64_t>(sent)
             ? Written()
             : std::unexpected(PostgresFailure{.text = row_is_elsewhere(written_table_.triggers),
                                               .is_dropped_row = true});
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
  auto deleted = connection_->execute_prepared(kDeleteStatement, parameters);
  if (!deleted) {
    return std::unexpected(std::move(deleted).error());
  }
  if (deleted->affected_rows() == static_cast<std::int64_t>(rows.size())) {
    return {};
  }
  // A key that was not there is as good as deleted.
  auto remaining = connection_->execute_prepared(kRemainingStatement, parameters);
  if (!remaining) {
    return std::unexpected(std::move(remaining).error());
  }
  return remaining->integer(0, 0) == 0
             ? Written()
             : std::unexpected(rows_dropped("kept a row that was deleted"));
}

std::expected<bool, PostgresFailure> PostgresStore::write_receipt(const std::string& receipt) {
  if (receipt.empty()) {
    return has_claimed_shape();
  }
  const auto written = connection_->execute(
      write_receipt_sql(),
      {text_parameter(table_.pipeline), text_parameter(table_.stage),
       bytea_parameter(as_bytes(receipt)), text_parameter(postgres_table_name(table_)),
       text_parameter(written_table_.shape)});
  if (!written) {
    return std::unexpected(written.error());
  }
  return written->integer(0, 0) != 0;
}

std::expected<bool, PostgresFailure> PostgresStore::has_claimed_shape() {
  const auto shape = connection_->execute("SELECT " + postgres_shape_sql("$1"),
                                          {text_parameter(postgres_table_name(table_))});
  if (!shape) {
    return std::unexpected(shape.error());
  }
  return !shape->is_null(0, 0) && shape->text(0, 0) == written_table_.shape;
}

// -------------------------------------------------------------------------------------------
// refusals

CommitOutcome PostgresStore::rows_failed(const SinkCommit& commit, const std::vector<Value>& values,
                                         std::span<const std::size_t> rows,
                                         const PostgresFailure& failure) {
  const ErrorClass error_class = failure.error_class();
  if (error_class == ErrorClass::kLost || error_class == ErrorClass::kPasses ||
      !connection_->execute("ROLLBACK")) {
    return not_written(failure);
  }
  const auto is_same = has_claimed_shape();
  if (!is_same) {
    return not_written(is_same.error());
  }
  if (!*is_same) {
    return shape_changed();
  }
  if (table_.mode == SinkMode::kUpsert && !writes_in_order_ &&
      (failure.sqlstate == kTwoRowsOfOneKey || error_class == ErrorClass::kRecord)) {
    // Not to be known from the columns: a trigger makes different keys the same one, or a rule of
    // the table holds between rows, which the records obey in their order and the last ones of
    // each key do not: a value of another unique column that moves from row to row.
    writes_in_order_ = true;
    return this->commit(commit);
  }
  return error_class == ErrorClass::kSetUp ? not_written(failure)
                                           : find_refused_row(commit, values, rows, failure);
}

CommitOutcome PostgresStore::find_refused_row(const SinkCommit& commit,
                                              const std::vector<Value>& values,
                                              std::span<const std::size_t> rows,
                                              PostgresFailure failure) {
  const auto is_refusal = [](const Written& written) {
    return !written && (written.error().error_class() == ErrorClass::kRecord ||
                        written.error().error_class() == ErrorClass::kOnce);
  };
  // Invariant: the first `accepted` rows are taken, the first `refused_count` are not.
  std::size_t accepted = 0;
  std::size_t refused_count = rows.size();
  Written all = try_rows(commit, values, rows);
  while (is_refusal(all) && refused_count - accepted > 1) {
    const std::size_t middle = accepted + (refused_count - accepted) / 2;
    Written part = try_rows(commit, values, rows.first(middle));
    if (part) {
      accepted = middle;
    } else {
      refused_count = middle;
      all = std::move(part);
    }
  }
  if (!all && !is_refusal(all)) {
    return not_written(all.error());
  }
  CommitOutcome outcome =
      refused(all || rows.empty() ? CommitOutcome::kNoRow : rows[refused_count - 1],
              "postgres: " + (all ? failure : all.error()).explained());
  // What is refused now and then, or for a reason that is not known, may be tried once more.
  if (all || all.error().error_class() == ErrorClass::kOnce) {
    outcome.is_final = false;
  }
  return outcome;
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

CommitOutcome PostgresStore::not_now(std::string text) {
  connection_.reset();
  return {.kind = CommitOutcome::Kind::kNotNow,
          .refused_row = CommitOutcome::kNoRow,
          .text = "postgres: " + std::move(text)};
}

CommitOutcome PostgresStore::not_written(const PostgresFailure& failure) {
  const PostgresFailure explained =
      connection_ ? with_grants(*connection_, table_, rights_to_write(table_), failure) : failure;
  CommitOutcome outcome = not_now(explained.explained());
  const ErrorClass error_class = failure.error_class();
  if (error_class != ErrorClass::kLost && error_class != ErrorClass::kPasses) {
    outcome.kind = CommitOutcome::Kind::kRefused;
    // The next claim looks at the database anew, and says better than a statement what is wrong.
    outcome.is_final = false;
  }
  return outcome;
}

// Some constraints are looked at by COMMIT alone. An answer that ends the connection leaves open
// what became of the commit; the positions in the database are the truth, and a claim reads them.
CommitOutcome PostgresStore::not_committed(const SinkCommit& commit,
                                           const std::vector<Value>& values,
                                           std::span<const std::size_t> rows,
                                           const PostgresFailure& failure) {
  if (failure.error_class() == ErrorClass::kLost) {
    CommitOutcome outcome = not_written(failure);
    outcome.kind = CommitOutcome::Kind::kUnknown;
    return outcome;
  }
  return rows_failed(commit, values, rows, failure);
}

CommitOutcome PostgresStore::shape_changed() { return not_now(what_changed()); }

std::string PostgresStore::what_changed() const {
  return fmt::format(
      "table {}, onceflow_positions or onceflow_receipts was changed; they are read "
      "again",
      table_.table);
}

// Once, before anything is claimed: over a connection of its own.
Result<protocol::ReceiptsByStage> PostgresStore::receipts_by_stage() const {
  return read_postgres_receipts(options_, table_);
}

}  // namespace onceflow::connectors
