#include "connectors/sqlite_store.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <utility>

#include "connectors/convert_value.h"
#include "connectors/positions.h"
#include "connectors/sink_past.h"
#include "connectors/sqlite_errors.h"
#include "connectors/sqlite_positions.h"
#include "connectors/table_rules.h"
#include "io/os/file_identity.h"

namespace onceflow::connectors {
namespace {

constexpr const char* kAddUnclaimed =
    "INSERT INTO onceflow_positions (pipeline, stage, topic, partition, next_offset, epoch,"
    " table_id) VALUES (?1, ?2, ?3, ?4, -1, 0, ?5) ON CONFLICT DO NOTHING";

// The fence (SNK-1): a claim raises the epoch, so a zombie's update matches no row; nor does one
// that moves from where the row is not.
constexpr const char* kMovePosition =
    "UPDATE onceflow_positions SET next_offset = ?5,"
    " topic_id = CASE ?8 WHEN '' THEN topic_id ELSE ?8 END"
    " WHERE pipeline = ?1 AND stage = ?2 AND topic = ?3 AND partition = ?4 AND epoch = ?6"
    " AND next_offset = ?7";

constexpr const char* kReadPosition =
    "SELECT epoch, next_offset, topic_id FROM onceflow_positions"
    " WHERE pipeline = ?1 AND stage = ?2 AND topic = ?3 AND partition = ?4";

constexpr const char* kWriteReceipt =
    "INSERT INTO onceflow_receipts (pipeline, stage, receipt) VALUES (?1, ?2, ?3)";

Value text_value(const std::string& text) { return std::string_view(text); }

std::string folder_of(const std::string& file) {
  const std::size_t slash = file.rfind('/');
  return slash == std::string::npos ? "." : file.substr(0, slash + 1);
}

std::string null_rowid(const SinkColumn& column) {
  return fmt::format(
      "column {0} is null, and is the table's INTEGER PRIMARY KEY, for which SQLite makes up a "
      "number; the rule: a row holds what its record says; the fix: keep such records out with "
      "`where`, give the column a value with coalesce(), or leave {0} out of the sink's `columns` "
      "if SQLite is to number the rows",
      column.name);
}

CommitOutcome refused(std::size_t row, std::string text) {
  return {.kind = CommitOutcome::Kind::kRefused, .refused_row = row, .text = std::move(text)};
}

}  // namespace

SqliteStore::SqliteStore(SqliteSinkOptions options, SinkTable table)
    : options_(std::move(options)), table_(std::move(table)) {}

Status SqliteStore::open() {
  if (connection_) {
    return {};
  }
  auto opened = SqliteConnection::open(options_.file, options_.busy_timeout);
  RETURN_IF_ERROR(opened);
  connection_ = std::move(*opened);
  return {};
}

void SqliteStore::close() {
  move_position_ = {};
  read_position_ = {};
  write_row_ = {};
  delete_row_ = {};
  remaining_row_ = {};
  in_place_ = {};
  write_receipt_ = {};
  connection_.reset();
}

Result<TableState> SqliteStore::prepare_tables() {
  RETURN_IF_ERROR(ensure_sqlite_positions(*connection_));
  const Result<TableState> state = ensure_sqlite_table(*connection_, table_);
  RETURN_IF_ERROR(state);
  const auto prepare = [&](SqliteStatement& statement, const std::string& sql) -> Status {
    Result<SqliteStatement> prepared = connection_->prepare(sql);
    RETURN_IF_ERROR(prepared);
    statement = std::move(*prepared);
    return {};
  };
  RETURN_IF_ERROR(prepare(move_position_, kMovePosition));
  RETURN_IF_ERROR(prepare(read_position_, kReadPosition));
  RETURN_IF_ERROR(prepare(write_receipt_, kWriteReceipt));
  const Result<bool> keys_differ = sqlite_keys_differ_by_bytes(*connection_, table_);
  RETURN_IF_ERROR(keys_differ);
  const Result<bool> has_clause = sqlite_has_conflict_clause(*connection_, table_);
  RETURN_IF_ERROR(has_clause);
  RETURN_IF_ERROR(prepare(
      write_row_, sqlite_write_row_sql(table_, {.writes_keys = !*keys_differ,
                                                .overrides_conflict_clauses = *has_clause})));
  if (table_.mode == SinkMode::kUpsert) {
    RETURN_IF_ERROR(prepare(delete_row_, sqlite_delete_row_sql(table_)));
    RETURN_IF_ERROR(prepare(remaining_row_, sqlite_remaining_row_sql(table_)));
    RETURN_IF_ERROR(prepare(in_place_, sqlite_in_place_sql(table_)));
    Result<std::string> triggers = sqlite_triggers(*connection_, table_);
    RETURN_IF_ERROR(triggers);
    triggers_ = std::move(*triggers);
  }
  Result<std::string> rowid_column = sqlite_rowid_column(*connection_, table_);
  RETURN_IF_ERROR(rowid_column);
  rowid_column_ = std::move(*rowid_column);
  const Result<SqliteShape> shape = read_sqlite_shape(*connection_, table_, {});
  RETURN_IF_ERROR(shape);
  shape_ = *shape;
  Result<std::string> id = read_sqlite_table_id(*connection_, table_);
  RETURN_IF_ERROR(id);
  table_id_ = std::move(*id);
  return *state;
}

Status SqliteStore::check_claimed(TableState state, std::vector<ClaimedPartition>& claimed) {
  const bool is_other_id = std::ranges::any_of(claimed, [this](const ClaimedPartition& each) {
    return !each.table_id.empty() && each.table_id != table_id_;
  });
  NewestReceipts newest(
      claimed, is_other_id ? NewestReceipts::Row::kWanted : NewestReceipts::Row::kNotWanted);
  RETURN_IF_ERROR(read_newest_receipts(*connection_, table_, newest));
  SqliteTableSearch search(*connection_, table_);
  RETURN_IF_ERROR(
      check_past(table_, {table_id_, state == TableState::kCreated}, newest, search, claimed));
  const Result<std::string> foreign_keys = remark_on_foreign_keys(*connection_, table_);
  RETURN_IF_ERROR(foreign_keys);
  if (!foreign_keys->empty() && !claimed.empty()) {
    std::string& remark = claimed.front().remark;
    remark += (remark.empty() ? "" : "; ") + *foreign_keys;
  }
  return keep_table_ids(*connection_, table_, claimed);
}

Result<std::vector<ClaimedPartition>> SqliteStore::claim_in_transaction(
    const std::vector<TopicPartition>& partitions, const char* end) {
  RETURN_IF_ERROR(connection_->execute("BEGIN IMMEDIATE"));
  const Result<TableState> state = prepare_tables();
  RETURN_IF_ERROR(state);
  auto claimed = raise_epochs(*connection_, table_, partitions);
  RETURN_IF_ERROR(claimed);
  RETURN_IF_ERROR(check_claimed(*state, *claimed));
  RETURN_IF_ERROR(connection_->execute(end));
  return claimed;
}

Result<std::vector<ClaimedPartition>> SqliteStore::claim(
    const std::vector<TopicPartition>& partitions) {
  const auto attempt = [&]() -> Result<std::vector<ClaimedPartition>> {
    RETURN_IF_ERROR(open());
    return claim_in_transaction(partitions, "COMMIT");
  };
  auto claimed = attempt();
  if (!claimed) {
    close();  // Rolls back.
    claimed.error().text = fmt::format("sqlite {}: {}", options_.file, claimed.error().text);
  }
  return claimed;
}

// A file that is missing in a folder that is there would be made, and know of nothing.
Result<std::vector<ClaimedPartition>> SqliteStore::look(
    const std::vector<TopicPartition>& partitions) {
  if (!io::file_identity(options_.file) && io::file_identity(folder_of(options_.file))) {
    std::vector<ClaimedPartition> unknown;
    unknown.reserve(partitions.size());
    for (const TopicPartition& partition : partitions) {
      unknown.push_back({.source = partition, .epoch = 1});
    }
    return unknown;
  }
  const auto attempt = [&]() -> Result<std::vector<ClaimedPartition>> {
    auto opened = SqliteConnection::open_to_look(options_.file, options_.busy_timeout);
    RETURN_IF_ERROR(opened);
    connection_ = std::move(*opened);
    return claim_in_transaction(partitions, "ROLLBACK");
  };
  auto found = attempt();
  close();
  if (!found) {
    found.error().text = fmt::format("sqlite {}: {}", options_.file, found.error().text);
  }
  return found;
}

Result<std::string> SqliteStore::check_rows_past(const std::vector<ClaimedPartition>& positions) {
  const bool was_open = connection_ != nullptr;
  if (!was_open) {
    auto opened = SqliteConnection::open_to_look(options_.file, options_.busy_timeout);
    RETURN_IF_ERROR(opened);
    connection_ = std::move(*opened);
  }
  SqliteTableSearch search(*connection_, table_);
  auto checked = connectors::check_rows_past(table_, search, positions);
  if (!was_open) {
    close();
  }
  if (!checked) {
    checked.error().text = fmt::format("sqlite {}: {}", options_.file, checked.error().text);
  }
  return checked;
}

Result<ClaimedPartition> SqliteStore::read_position(const TopicPartition& source) {
  bind_partition(read_position_, table_, source);
  const auto step = read_position_.step();
  if (!step) {
    return std::unexpected(step.error());
  }
  ClaimedPartition position{source, 0, kNoOffset};
  if (*step == SqliteStatement::Step::kRow) {
    position.epoch = read_position_.integer(0);
    position.next_offset = Offset(read_position_.integer(1));
    position.topic_id = std::string(read_position_.text(2));
  }
  read_position_.reset();
  return position;
}

Result<std::vector<ClaimedPartition>> SqliteStore::read_positions(
    const std::vector<TopicPartition>& partitions) {
  if (connection_) {
    if (const auto checked = check_file(); !checked) {
      const CommitOutcome& moved = checked.error();
      return fail(
          ErrorCode::kConnectionLost, moved.text,
          moved.kind == CommitOutcome::Kind::kRefused ? Recovery::kFatal : Recovery::kRetriable);
    }
  }
  RETURN_IF_ERROR(open());
  RETURN_IF_ERROR(ensure_sqlite_positions(*connection_));
  if (!shape_.definition.empty()) {
    std::vector<SinkPosition> held;
    held.reserve(partitions.size());
    for (const TopicPartition& source : partitions) {
      held.push_back({.source = source});
    }
    if (const auto checked = check_shape(held); !checked) {
      return fail(ErrorCode::kTimedOut, checked.error().text, Recovery::kRetriable);
    }
  }
  Result<SqliteStatement> read = connection_->prepare(kReadPosition);
  RETURN_IF_ERROR(read);
  read_position_ = std::move(*read);
  std::vector<ClaimedPartition> positions;
  for (const TopicPartition& source : partitions) {
    auto position = read_position(source);
    RETURN_IF_ERROR(position);
    positions.push_back(std::move(*position));
  }
  return positions;
}

CommitOutcome SqliteStore::commit(const SinkCommit& commit) {
  if (!connection_) {
    return {.kind = CommitOutcome::Kind::kNotNow, .text = "sqlite: not connected"};
  }
  if (!connection_->execute("BEGIN IMMEDIATE")) {
    return not_written("begin");
  }
  auto written = check_shape(commit.positions);
  if (written) {
    written = move_positions(commit.positions);
  }
  if (written) {
    written = write_rows(commit);
  }
  if (written) {
    written = check_file();
  }
  if (!written) {
    if (connection_ && !connection_->execute("ROLLBACK")) {
      close();  // Closing rolls back.
    }
    return std::move(written).error();
  }
  if (!commit.receipt.empty()) {
    write_receipt_.bind(1, text_value(table_.pipeline));
    write_receipt_.bind(2, text_value(table_.stage));
    write_receipt_.bind_blob(3, as_bytes(commit.receipt));
    if (!write_receipt_.run()) {
      return not_written("the receipt");
    }
  }
  if (!connection_->execute("COMMIT")) {
    return not_committed();
  }
  return {.kind = CommitOutcome::Kind::kCommitted};
}

// What a column's declaration makes of a value may have changed since the claim.
std::expected<void, CommitOutcome> SqliteStore::check_shape(
    const std::vector<SinkPosition>& positions) {
  const Result<SqliteShape> shape = read_sqlite_shape(*connection_, table_, shape_);
  if (!shape) {
    return std::unexpected(not_written("the table's shape"));
  }
  // Another table may have the same definition.
  const bool is_same =
      shape->definition == shape_.definition &&
      (shape->schema_version == shape_.schema_version || recognizes_table(positions));
  if (!is_same) {
    return std::unexpected(
        CommitOutcome{.kind = CommitOutcome::Kind::kNotNow,
                      .text = fmt::format("sqlite {}: table {} was changed; it is read again",
                                          options_.file, table_.table)});
  }
  shape_ = *shape;
  return {};
}

// The next claim compares with the table as it was known last.
Status SqliteStore::keep_table_id(const std::vector<SinkPosition>& positions) {
  Result<std::string> id = read_sqlite_table_id(*connection_, table_);
  RETURN_IF_ERROR(id);
  std::vector<ClaimedPartition> held;
  held.reserve(positions.size());
  for (const SinkPosition& position : positions) {
    held.push_back({.source = position.source, .table_id = *id});
  }
  RETURN_IF_ERROR(keep_table_ids(*connection_, table_, held));
  table_id_ = std::move(*id);
  return {};
}

// Whether the table, which may be another one since tables of the file were changed, has what was
// written last; if that is not known, the claim decides.
bool SqliteStore::recognizes_table(const std::vector<SinkPosition>& positions) {
  std::vector<ClaimedPartition> none;
  NewestReceipts newest(none, NewestReceipts::Row::kWanted);
  if (!read_newest_receipts(*connection_, table_, newest)) {
    return false;
  }
  if (newest.row().empty()) {
    const Result<std::string> id = read_sqlite_table_id(*connection_, table_);
    return id && is_at_the_same_place(table_id_, *id);
  }
  const auto answer = SqliteTableSearch(*connection_, table_).find_row(newest.row());
  return answer && answer->found == TableSearch::Found::kYes && keep_table_id(positions);
}

// What would be committed to a file that nobody can open any more is lost. The next claim opens
// the file that is there now, and its own positions decide.
std::expected<void, CommitOutcome> SqliteStore::check_file() {
  if (!connection_->has_moved()) {
    return {};
  }
  const bool has_old_log = connection_->left_its_log();
  close();  // Rolls back.
  if (has_old_log) {
    return std::unexpected(refused(
        CommitOutcome::kNoRow,
        fmt::format("sqlite {0}: the file was moved or replaced while it was open, but {0}-wal "
                    "beside it is the old file's; the rule: SQLite would mix it into the new file; "
                    "the fix: rm {0}-wal {0}-shm, look at the file, and start again",
                    options_.file)));
  }
  return std::unexpected(CommitOutcome{
      .kind = CommitOutcome::Kind::kNotNow,
      .text = fmt::format("sqlite {}: the file was deleted, moved or replaced while it was open; "
                          "nothing was written, and what is there now is opened",
                          options_.file)});
}

std::expected<void, CommitOutcome> SqliteStore::add_unclaimed(
    const std::vector<SinkPosition>& positions) {
  std::vector<TopicPartition> added;
  for (const SinkPosition& position : positions) {
    if (position.epoch != 0) {
      continue;
    }
    auto add = connection_->prepare(kAddUnclaimed);
    if (!add) {
      return std::unexpected(not_written("the positions"));
    }
    bind_partition(*add, table_, position.source);
    add->bind(5, text_value(table_id_));
    if (!add->run()) {
      return std::unexpected(not_written("the positions"));
    }
    if (connection_->changes() == 1) {
      added.push_back(position.source);
    }
  }
  SqliteTableSearch search(*connection_, table_);
  const auto looked = check_new_partitions(table_, search, std::move(added));
  if (looked) {
    return {};
  }
  return std::unexpected(looked.error().code == ErrorCode::kRefused
                             ? refused(CommitOutcome::kNoRow, looked.error().text)
                             : not_written("a look into the table"));
}

std::expected<void, CommitOutcome> SqliteStore::move_positions(
    const std::vector<SinkPosition>& positions) {
  if (auto added = add_unclaimed(positions); !added) {
    return added;
  }
  for (const SinkPosition& position : positions) {
    const auto moved = move_position(position);
    if (!moved) {
      return std::unexpected(not_written("the positions"));
    }
    if (!*moved) {
      const auto stored = read_position(position.source);
      if (!stored) {
        return std::unexpected(not_written("the positions"));
      }
      return std::unexpected(CommitOutcome{.kind = CommitOutcome::Kind::kFenced,
                                           .text = describe_fence(position, *stored)});
    }
  }
  return {};
}

Result<bool> SqliteStore::move_position(const SinkPosition& position) {
  if (!position.is_written()) {
    const auto stored = read_position(position.source);
    RETURN_IF_ERROR(stored);
    return stored->epoch == position.epoch && stored->next_offset == position.next_offset;
  }
  bind_partition(move_position_, table_, position.source);
  move_position_.bind(5, position.next_offset.value);
  move_position_.bind(6, position.epoch);
  move_position_.bind(7, position.from_offset.value);
  move_position_.bind(8, text_value(position.topic_id));
  RETURN_IF_ERROR(move_position_.run());
  return connection_->changes() == 1;
}

std::expected<void, CommitOutcome> SqliteStore::write_rows(const SinkCommit& commit) {
  for (std::size_t row = 0; row < commit.rows.size(); ++row) {
    if (auto written = write_row(commit, row); !written) {
      return written;
    }
  }
  return {};
}

std::expected<void, CommitOutcome> SqliteStore::bind_row(SqliteStatement& statement,
                                                         const SinkCommit& commit,
                                                         std::size_t row) {
  int parameter = 0;
  for (std::size_t index = 0; index < table_.columns.size(); ++index) {
    const SinkColumn& column = table_.columns[index];
    if (commit.rows[row].is_delete && !column.is_key) {
      continue;
    }
    const Result<Value> value =
        convert_value(column.name, column.type, commit.values[row * table_.columns.size() + index]);
    if (!value) {
      return std::unexpected(refused(row, value.error().text));
    }
    if (column.is_key && is_null(*value)) {
      return std::unexpected(refused(row, fmt::format("key column {} is null", column.name)));
    }
    if (is_null(*value) && column.name == rowid_column_) {
      return std::unexpected(refused(row, null_rowid(column)));
    }
    if (const auto* bytes = std::get_if<std::string_view>(&*value);
        bytes != nullptr && column.type == ColumnType::kBytea) {
      statement.bind_blob(++parameter, as_bytes(*bytes));
    } else {
      statement.bind(++parameter, *value);
    }
  }
  return {};
}

std::expected<void, CommitOutcome> SqliteStore::write_row(const SinkCommit& commit,
                                                          std::size_t row) {
  const SinkRow& place = commit.rows[row];
  SqliteStatement& statement = place.is_delete ? delete_row_ : write_row_;
  if (auto bound = bind_row(statement, commit, row); !bound) {
    return bound;
  }
  std::string source;
  if (!place.is_delete) {
    source = source_of_row(commit, place);
    statement.bind(static_cast<int>(table_.columns.size()) + 1, text_value(source));
  }
  if (const Status status = statement.run(); !status) {
    if (class_of_sqlite_code(connection_->error_code()) == ErrorClass::kRecord) {
      return std::unexpected(refused(row, status.error().text));
    }
    CommitOutcome outcome = not_written("a row");
    outcome.refused_row = row;
    return std::unexpected(std::move(outcome));
  }
  if (auto checked = check_written(commit, row); !checked) {
    return checked;
  }
  return place.is_delete || triggers_.empty() ? std::expected<void, CommitOutcome>()
                                              : check_in_place(commit, row, source);
}

std::expected<void, CommitOutcome> SqliteStore::check_in_place(const SinkCommit& commit,
                                                               std::size_t row,
                                                               const std::string& source) {
  if (auto bound = bind_row(in_place_, commit, row); !bound) {
    return bound;
  }
  in_place_.bind(static_cast<int>(table_.columns.size()) + 1, text_value(source));
  if (!in_place_.step()) {
    return std::unexpected(not_written("a look at the row"));
  }
  const bool is_there = in_place_.integer(0) != 0;
  in_place_.reset();
  if (is_there) {
    return {};
  }
  return std::unexpected(refused(row, row_is_elsewhere(triggers_)));
}

std::expected<void, CommitOutcome> SqliteStore::check_written(const SinkCommit& commit,
                                                              std::size_t row) {
  if (connection_->changes() > 0) {
    return {};
  }
  const bool is_delete = commit.rows[row].is_delete;
  if (is_delete) {
    // A key that was not there is as good as deleted.
    if (auto bound = bind_row(remaining_row_, commit, row); !bound) {
      return bound;
    }
    if (!remaining_row_.step()) {
      return std::unexpected(not_written("a deleted row"));
    }
    const bool is_gone = remaining_row_.integer(0) == 0;
    remaining_row_.reset();
    if (is_gone) {
      return {};
    }
  }
  return std::unexpected(refused(
      row, fmt::format("the database {} and said no error, as it does where a trigger says "
                       "RAISE(IGNORE); the rule: a record is in the table as it says, or the stage "
                       "stops; the fix: let the trigger raise an error or nothing, or keep such "
                       "records out with `where`",
                       is_delete ? "kept a row that was deleted" : "dropped the row")));
}

// A claim looks at the table anew, and says better than a statement what is wrong with it.
CommitOutcome SqliteStore::not_written(std::string_view during) {
  const Error error = connection_->error();
  close();  // Rolls back.
  CommitOutcome outcome{
      .kind = CommitOutcome::Kind::kNotNow,
      .text = fmt::format("sqlite {}: {} (during {})", options_.file, error.text, during)};
  if (error.recovery != Recovery::kRetriable) {
    outcome.kind = CommitOutcome::Kind::kRefused;
    outcome.refused_row = CommitOutcome::kNoRow;
    outcome.is_final = false;
  }
  return outcome;
}

CommitOutcome SqliteStore::not_committed() {
  // Only an error of the disk leaves open what is in the file; the next claim reads it.
  if ((connection_->error_code() & 0xff) != SQLITE_IOERR) {
    return not_written("commit");
  }
  CommitOutcome outcome = not_written("commit");
  outcome.kind = CommitOutcome::Kind::kUnknown;
  return outcome;
}

// Once, before anything is claimed: over a connection of its own.
Result<protocol::ReceiptsByStage> SqliteStore::receipts_by_stage() const {
  return read_sqlite_receipts(options_, table_);
}

}  // namespace onceflow::connectors
