#include "sim/sim_database.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "connectors/positions.h"
#include "connectors/table_past.h"
#include "io/event.h"

namespace onceflow::sim {
namespace {

StoredValue to_stored(const Value& value) {
  return std::visit(
      [](const auto& held) -> StoredValue {
        using Held = std::decay_t<decltype(held)>;
        if constexpr (std::is_same_v<Held, std::string_view>) {
          return std::string(held);
        } else if constexpr (std::is_same_v<Held, Decimal>) {
          return StoredDecimal{std::string(held.digits)};
        } else {
          return held;
        }
      },
      value);
}

constexpr std::string_view kRenamed = "_renamed";

std::vector<StoredValue> key_of(const connectors::SinkTable& definition,
                                const SentCommit::Row& row) {
  std::vector<StoredValue> key;
  for (std::size_t column = 0; column < definition.columns.size(); ++column) {
    if (definition.columns[column].is_key) {
      key.push_back(row.values[column]);
    }
  }
  return key;
}

// What a library makes of a text that it takes for a C string.
void cut_at_nul(StoredValue& value) {
  if (auto* text = std::get_if<std::string>(&value)) {
    text->resize(std::min(text->find('\0'), text->size()));
  }
}

SentCommit to_sent(const connectors::SinkTable& definition, const connectors::SinkCommit& commit,
                   SeededBug seeded_bug) {
  SentCommit sent{.rows = {}, .positions = commit.positions, .receipt = commit.receipt};
  const std::size_t width = definition.columns.size();
  for (std::size_t index = 0; index < commit.rows.size(); ++index) {
    const connectors::SinkRow& row = commit.rows[index];
    SentCommit::Row& copied = sent.rows.emplace_back();
    copied.source = commit.positions[row.source_index].source;
    copied.source_offset = row.source_offset;
    copied.is_delete = row.is_delete;
    for (std::size_t column = 0; column < width; ++column) {
      copied.values.push_back(to_stored(commit.values[index * width + column]));
      if (seeded_bug == SeededBug::kCutTextAtNul) {
        cut_at_nul(copied.values.back());
      }
    }
  }
  return sent;
}

// Finds all, at once. No other pipeline writes the table.
class SimTableSearch final : public connectors::TableSearch {
 public:
  explicit SimTableSearch(const SimDatabase::Table& table) : table_(table) {}

  std::string table() const override { return "t"; }

  Result<Answer> find_row(const std::string& source) override {
    return find_if([&](const SentCommit::Row& row) { return source_of(row) == source; });
  }
  Result<Answer> find_row_of(const std::vector<std::string>& beginnings) override {
    return find_if([&](const SentCommit::Row& row) {
      return std::ranges::any_of(
          beginnings, [&](const std::string& each) { return source_of(row).starts_with(each); });
    });
  }
  Result<Answer> find_row_from(const TopicPartition& source, Offset offset) override {
    return find_if([&](const SentCommit::Row& row) {
      return row.source == source && row.source_offset >= offset;
    });
  }
  Result<std::vector<Other>> others() override { return std::vector<Other>{}; }

 private:
  static std::string source_of(const SentCommit::Row& row) {
    return connectors::source_text(row.source, row.source_offset);
  }
  template <typename Predicate>
  Answer find_if(const Predicate& is_wanted) const {
    for (const SentCommit::Row& row : table_.appended) {
      if (is_wanted(row)) {
        return {.found = Found::kYes, .source = source_of(row)};
      }
    }
    for (const auto& [key, row] : table_.by_key) {
      if (is_wanted(row)) {
        return {.found = Found::kYes, .source = source_of(row)};
      }
    }
    return {};
  }

  const SimDatabase::Table& table_;
};

}  // namespace

Status SimDatabase::check_table(const connectors::SinkTable& definition, Table& table,
                                bool was_created,
                                std::vector<connectors::ClaimedPartition>& claimed) const {
  const bool is_other_id = std::ranges::any_of(claimed, [&](const auto& partition) {
    return !partition.table_id.empty() && partition.table_id != table.id;
  });
  using Row = connectors::NewestReceipts::Row;
  connectors::NewestReceipts newest(claimed, is_other_id ? Row::kWanted : Row::kNotWanted);
  for (auto receipt = table.receipts.rbegin();
       receipt != table.receipts.rend() && newest.wants_more(); ++receipt) {
    newest.add(as_bytes(*receipt));
  }
  if (world_.seeded_bug() == SeededBug::kTableByNameOnly) {
    return {};
  }
  SimTableSearch search(table);
  return connectors::check_past(definition, {table.id, was_created}, newest, search, claimed);
}

Status SimDatabase::check_unclaimed(const connectors::SinkTable& definition, const Table& table,
                                    const SentCommit& sent) const {
  std::vector<TopicPartition> added;
  for (const connectors::SinkPosition& position : sent.positions) {
    if (position.epoch == 0 && !table.positions.contains(position.source)) {
      added.push_back(position.source);
    }
  }
  if (world_.seeded_bug() == SeededBug::kTableByNameOnly) {
    return {};
  }
  SimTableSearch search(table);
  const auto looked = connectors::check_new_partitions(definition, search, std::move(added));
  return looked ? Status() : std::unexpected(looked.error());
}

Result<SimDatabase::Claim> SimDatabase::claim(const connectors::SinkTable& definition,
                                              const std::vector<TopicPartition>& partitions) {
  Table& table = tables_[definition.table];
  const bool is_new = table.columns.empty();
  if (is_new) {
    table.id = fmt::format("{}", ++last_table_id_);
  }
  for (const connectors::SinkColumn& column : definition.columns) {
    if (is_new) {
      table.columns.push_back(column.name);
    } else if (std::ranges::find(table.columns, column.name) == table.columns.end()) {
      return fail(ErrorCode::kRefused,
                  fmt::format("table '{}' has no column '{}'", definition.table, column.name));
    }
  }
  auto positions = table.positions;  // a claim that is refused changes nothing
  std::vector<connectors::ClaimedPartition> claimed;
  for (const TopicPartition& partition : partitions) {
    Position& position = positions[partition];
    ++position.epoch;
    claimed.push_back({.source = partition,
                       .epoch = position.epoch,
                       .next_offset = position.next_offset,
                       .topic_id = position.topic_id,
                       .table_id = position.table_id});
  }
  RETURN_IF_ERROR(check_table(definition, table, is_new, claimed));
  for (const connectors::ClaimedPartition& partition : claimed) {
    positions[partition.source].table_id = partition.table_id;
  }
  table.positions = std::move(positions);
  return Claim{std::move(claimed), table.shape};
}

Result<std::vector<connectors::ClaimedPartition>> SimDatabase::look(
    const connectors::SinkTable& definition, const std::vector<TopicPartition>& partitions) {
  const auto place = tables_.find(definition.table);
  const auto before = place == tables_.end() ? std::nullopt : std::optional(place->second);
  auto claimed = claim(definition, partitions);
  // Only this one is put back: others may be read meanwhile.
  if (before) {
    tables_[definition.table] = *before;
  } else {
    tables_.erase(definition.table);
  }
  RETURN_IF_ERROR(claimed);
  return std::move(claimed->partitions);
}

std::vector<connectors::ClaimedPartition> SimDatabase::read_positions(
    const connectors::SinkTable& definition, const std::vector<TopicPartition>& partitions) {
  const Table& table = tables_[definition.table];
  std::vector<connectors::ClaimedPartition> read;
  read.reserve(partitions.size());
  for (const TopicPartition& partition : partitions) {
    const auto place = table.positions.find(partition);
    const Position position = place != table.positions.end() ? place->second : Position{};
    read.push_back({partition, position.epoch, position.next_offset, position.topic_id});
  }
  return read;
}

protocol::ReceiptsByStage SimDatabase::receipts_by_stage(const std::string& pipeline) const {
  protocol::ReceiptsByStage found;
  for (const auto& [name, table] : tables_) {
    for (const std::string& bytes : table.receipts) {
      const auto receipt = protocol::decode_receipt(as_bytes(bytes));
      if (receipt && receipt->pipeline == pipeline) {
        protocol::add_receipt(found, *receipt);
      }
    }
  }
  return found;
}

std::string SimDatabase::why_fenced(const Table& table,
                                    const connectors::SinkPosition& position) const {
  const SeededBug bug = world_.seeded_bug();
  const auto place = table.positions.find(position.source);
  const Position stored = place != table.positions.end() ? place->second : Position{};
  const bool is_claimed =
      stored.epoch == position.epoch || bug == SeededBug::kPositionRowWithoutEpoch;
  const bool is_where_it_was =
      stored.next_offset == position.from_offset || bug == SeededBug::kPositionRowWithoutEpoch ||
      bug == SeededBug::kPositionRowWithoutOffset || bug == SeededBug::kBeginningIsNotKept;
  if (is_claimed && is_where_it_was) {
    return {};
  }
  return connectors::describe_fence(position, {position.source, stored.epoch, stored.next_offset});
}

connectors::CommitOutcome SimDatabase::commit(const connectors::SinkTable& definition,
                                              const SentCommit& sent) {
  Table& table = tables_[definition.table];
  if (sent.shape != table.shape) {
    return {.kind = connectors::CommitOutcome::Kind::kNotNow,
            .text = fmt::format("table '{}' was altered", definition.table)};
  }
  for (const connectors::SinkPosition& position : sent.positions) {
    if (std::string why = why_fenced(table, position); !why.empty()) {
      return {.kind = connectors::CommitOutcome::Kind::kFenced, .text = std::move(why)};
    }
  }
  if (const Status checked = check_unclaimed(definition, table, sent); !checked) {
    return {.kind = connectors::CommitOutcome::Kind::kRefused,
            .refused_row = connectors::CommitOutcome::kNoRow,
            .text = checked.error().text};
  }
  if (auto refused = look_at_rows(definition, table, sent);
      refused.kind == connectors::CommitOutcome::Kind::kRefused) {
    return refused;
  }
  for (const connectors::SinkPosition& position : sent.positions) {
    Position& stored = table.positions[position.source];
    if (stored.epoch != position.epoch && on_stale_commit_) {
      on_stale_commit_(fmt::format(
          "table {}: a commit of claim {} on {}-{} took effect after claim {}", definition.table,
          position.epoch, position.source.topic, position.source.partition.value, stored.epoch));
    }
    stored.next_offset = position.next_offset;
    if (stored.table_id.empty()) {
      stored.table_id = table.id;
    }
    if (!position.topic_id.empty()) {
      stored.topic_id = position.topic_id;
    }
  }
  for (const SentCommit::Row& row : sent.rows) {
    if (definition.mode == connectors::SinkMode::kAppend) {
      table.appended.push_back(row);
    } else if (row.is_delete) {
      table.by_key.erase(key_of(definition, row));
    } else {
      table.by_key.insert_or_assign(key_of(definition, row), row);
    }
  }
  if (!sent.receipt.empty()) {
    table.receipts.push_back(sent.receipt);
  }
  return {.kind = connectors::CommitOutcome::Kind::kCommitted};
}

connectors::CommitOutcome SimDatabase::look_at_rows(const connectors::SinkTable& definition,
                                                    const Table& table, const SentCommit& sent) {
  for (std::size_t row = 0; table.integers == Integers::kNarrow && row < sent.rows.size(); ++row) {
    for (std::size_t column = 0; column < definition.columns.size(); ++column) {
      const auto* integer = std::get_if<std::int64_t>(&sent.rows[row].values[column]);
      if (integer != nullptr && !std::in_range<std::int32_t>(*integer)) {
        return {.kind = connectors::CommitOutcome::Kind::kRefused,
                .refused_row = row,
                .text = fmt::format("column '{}' has 32 bits, {} more",
                                    definition.columns[column].name, *integer)};
      }
    }
  }
  return {.kind = connectors::CommitOutcome::Kind::kCommitted};
}

std::string SimDatabase::rename_column(const std::string& table, SimRandom& random) {
  Table& altered = tables_[table];
  std::string& column = altered.columns[random.below(altered.columns.size())];
  ++altered.shape;
  return std::exchange(column, fmt::format("{}{}", column, kRenamed));
}

void SimDatabase::rename_back(const std::string& table) {
  Table& altered = tables_[table];
  for (std::string& column : altered.columns) {
    if (column.ends_with(kRenamed)) {
      column.resize(column.size() - kRenamed.size());
    }
  }
  ++altered.shape;
}

void SimDatabase::set_integers(const std::string& table, Integers integers) {
  tables_[table].integers = integers;
  ++tables_[table].shape;
}

void SimDatabase::forget_rows(const std::string& table) {
  tables_[table].appended.clear();
  tables_[table].by_key.clear();
  tables_[table].id = fmt::format("{}", ++last_table_id_);
  ++tables_[table].shape;
}

void SimDatabase::forget_positions(const std::string& table, Receipts receipts) {
  tables_[table].positions.clear();
  if (receipts == Receipts::kGoToo) {
    tables_[table].receipts.clear();
  }
}

void SimDatabase::reset(const std::string& table) {
  Table& forgotten = tables_[table];
  forgotten.appended.clear();
  forgotten.by_key.clear();
  forgotten.receipts.clear();
  for (auto& [source, position] : forgotten.positions) {
    position = {.epoch = position.epoch + 1, .table_id = std::string(connectors::kAnyTable)};
  }
}

void SimDatabase::forget_all(const std::string& table) { tables_[table] = Table{}; }

void SimDatabase::restore(const std::string& table, const Image& backup) {
  const auto kept = backup.find(table);
  tables_[table] = kept == backup.end() ? Table{} : kept->second;
}

std::string SimDatabase::set_position_back(const std::string& table, SimRandom& random) {
  std::vector<std::pair<const TopicPartition, Position>*> candidates;
  for (auto& entry : tables_[table].positions) {
    if (entry.second.next_offset > Offset(0)) {
      candidates.push_back(&entry);
    }
  }
  if (candidates.empty()) {
    return {};
  }
  auto& [source, position] = *candidates[random.below(candidates.size())];
  const Offset before = std::exchange(
      position.next_offset, Offset(static_cast<std::int64_t>(random.below(
                                static_cast<std::uint64_t>(position.next_offset.value)))));
  return fmt::format("the position of table {} in {}-{} is set from offset {} back to {}", table,
                     source.topic, source.partition.value, before.value,
                     position.next_offset.value);
}

// A question to the database: it may be lost on the way there, and so may the answer on the way
// back; in both cases the asker learns only that the connection is gone. What has arrived is served
// whatever has become of the asker.
template <typename T>
auto SimSink::ask(std::function<T()> serve, T lost) {
  return io::await_callback<T>([this, serve = std::move(serve),
                                lost = std::move(lost)](auto callback) mutable {
    SimWorld& world = database_.world();
    const auto travel = [&world] {
      return world.random().between(world.faults().latency_min, world.faults().latency_max);
    };
    auto answer = std::make_shared<Callback<void(T)>>(std::move(callback));
    const auto reply = [&world, process = &process_, answer](Duration delay, T value) {
      world.schedule(process, world.now() + delay, EventKind::kNetwork,
                     [answer, value = std::move(value)]() mutable { (*answer)(std::move(value)); });
    };
    if (world.random().happens(world.faults().connection_cut)) {
      reply(travel() * 10, std::move(lost));
      return;
    }
    world.schedule_after(travel(), [&world, travel, reply, serve = std::move(serve),
                                    lost = std::move(lost)]() mutable {
      T value = serve();
      const bool is_lost = world.random().happens(world.faults().reply_lost);
      reply(travel(), is_lost ? std::move(lost) : std::move(value));
    });
  });
}

Task<Result<std::vector<connectors::ClaimedPartition>>> SimSink::claim(
    std::vector<TopicPartition> partitions) {
  using Answer = Result<SimDatabase::Claim>;
  auto claim = co_await ask<Answer>(
      [&database = database_, definition = definition_, partitions]() -> Answer {
        return database.claim(definition, partitions);
      },
      fail(ErrorCode::kConnectionLost, "the database is gone", Recovery::kRetriable));
  CO_RETURN_IF_ERROR(claim);
  shape_ = claim->shape;
  co_return std::move(claim->partitions);
}

Task<Result<std::vector<connectors::ClaimedPartition>>> SimSink::look(
    std::vector<TopicPartition> partitions) {
  using Answer = Result<std::vector<connectors::ClaimedPartition>>;
  co_return co_await ask<Answer>(
      [&database = database_, definition = definition_, partitions]() -> Answer {
        return database.look(definition, partitions);
      },
      fail(ErrorCode::kConnectionLost, "the database is gone", Recovery::kRetriable));
}

Task<connectors::CommitOutcome> SimSink::commit(const connectors::SinkCommit& commit) {
  SentCommit travelling = to_sent(definition_, commit, process_.world().seeded_bug());
  travelling.shape = shape_.value_or(0);
  co_return co_await ask<connectors::CommitOutcome>(
      [&database = database_, definition = definition_, sent = std::move(travelling)]()
          -> connectors::CommitOutcome { return database.commit(definition, sent); },
      {.kind = connectors::CommitOutcome::Kind::kUnknown, .text = "the database is gone"});
}

Task<Result<std::vector<connectors::ClaimedPartition>>> SimSink::read_positions(
    std::vector<TopicPartition> partitions) {
  using Answer = Result<std::vector<connectors::ClaimedPartition>>;
  co_return co_await ask<Answer>(
      [&database = database_, definition = definition_, partitions, shape = shape_]() -> Answer {
        if (shape && *shape != database.table(definition.table).shape) {
          return fail(ErrorCode::kTimedOut, "the table was changed since the claim",
                      Recovery::kRetriable);
        }
        return database.read_positions(definition, partitions);
      },
      fail(ErrorCode::kConnectionLost, "the database is gone", Recovery::kRetriable));
}

Task<Result<protocol::ReceiptsByStage>> SimSink::receipts_by_stage() {
  using Answer = Result<protocol::ReceiptsByStage>;
  co_return co_await ask<Answer>(
      [&database = database_, pipeline = definition_.pipeline]() -> Answer {
        return database.receipts_by_stage(pipeline);
      },
      fail(ErrorCode::kConnectionLost, "the database is gone", Recovery::kRetriable));
}

}  // namespace onceflow::sim
