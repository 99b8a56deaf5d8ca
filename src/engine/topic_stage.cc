// TopicStage: records go from topics to topics; the commit point is one Kafka transaction, which
// carries the records, the changelog, the receipt and the input positions.
//
// Owned by the worker, runs on its thread. Invariants: STG-1, because positions move in the
// transaction that carries what the records became; STG-2, because state moves after that
// transaction has answered.
#include <fmt/format.h>

#include <algorithm>
#include <variant>

#include "engine/group_positions.h"
#include "engine/keyed_state.h"
#include "engine/peers.h"
#include "engine/record_output.h"
#include "engine/stage_loop.h"
#include "engine/start_positions.h"
#include "engine/topic_writer.h"

namespace onceflow::engine {
namespace {

/// What takes longer is left to its time-out.
constexpr Duration kPeersTimeout = seconds(3);
constexpr Duration kRehearsedStateTimeMax = seconds(30);
constexpr Duration kRehearsedTroubleMax = seconds(3);
/// Changed keys that a commit writes, or takes over, before the loop may do other work.
constexpr std::size_t kKeysPerStep = 256;

class TopicStage final : public StageLoop {
 public:
  TopicStage(std::shared_ptr<client::Cluster> cluster, const Stage& stage, StageOptions options,
             std::string state_definition)
      : StageLoop(std::move(cluster), stage, std::move(options)),
        output_(make_record_output(cluster_, stage_.id, options_, reader_.group())),
        receipts_(options_.receipts_topic, *output_),
        kept_positions_(cluster_, options_, reader_.group(), *output_, receipts_,
                        [this] { return begin_receipt(); }),
        peers_(cluster_, stage_, options_) {
    for (const TopicOutput& topic : std::get<std::vector<TopicOutput>>(stage_.output)) {
      writers_.emplace_back(topic.topic, *output_);
    }
    if (stage_.aggregate) {
      state_.emplace(cluster_, *stage_.aggregate, std::move(state_definition), options_);
      changelog_.emplace(stage_.aggregate->changelog_topic, *output_);
    }
  }

  Task<Status> rehearse(StageRehearsal& found) override;

  void accept_states(std::vector<std::uint64_t> definitions) override {
    if (state_) {
      state_->accept(std::move(definitions));
    }
  }

 private:
  Status prepare() override;
  Task<Status> recover(std::vector<TopicPartition> partitions) override;
  Task<Status> work() override;
  Task<void> abandon() override;
  std::optional<client::Fetcher::Trouble> restore_trouble() const override {
    return state_ ? state_->trouble() : std::nullopt;
  }

  /// False: the topic does not exist yet.
  Task<Result<bool>> open_if_there(TopicWriter& writer);
  /// Reads it as it is read when the stage begins, for so long at most.
  Task<Status> rehearse_state(std::vector<TopicPartition> partitions);
  Task<Status> fill_and_commit();
  Task<Status> fill();
  Task<Status> commit();
  Status process(Chunk& chunk);
  /// The error with the place of the record that the output will not take, if it is one's.
  Error with_source(Error error);
  Status aggregate(Chunk& chunk);
  Task<Status> write_aggregates();
  Task<Status> check_partition_counts();
  Status begin_transaction();
  Task<Status> make_room();
  /// For the waits of the open transaction: past it the cluster has aborted it.
  MonotonicTime transaction_deadline() const;
  void reset_totals();

  std::unique_ptr<RecordOutput> output_;
  std::vector<TopicWriter> writers_;
  TopicWriter receipts_;
  GroupPositions kept_positions_;
  Peers peers_;
  OperatorChain operators_;
  std::optional<KeyedState> state_;
  std::optional<TopicWriter> changelog_;
  std::unique_ptr<Projection> arguments_;
  std::vector<Value> values_;
  client::GroupMetadata group_metadata_;
  MonotonicTime transaction_began_at_;
  std::uint64_t records_in_at_begin_ = 0;
  std::vector<TopicPartition> sources_;  ///< what RecordOrigin::source_index means
};

Status TopicStage::prepare() {
  auto operators = OperatorChain::make(stage_);
  RETURN_IF_ERROR(operators);
  operators_ = std::move(*operators);
  if (stage_.aggregate) {
    auto arguments = stage_.aggregate->arguments();
    RETURN_IF_ERROR(arguments);
    arguments_ = std::move(*arguments);
  }
  return {};
}

// D5, step by step: taking over aborts whatever was open and fences what is still on its way; after
// it the committed positions are decided; then the state is brought to the same point.
Task<Status> TopicStage::recover(std::vector<TopicPartition> partitions) {
  sources_ = partitions;
  news_.doing("taking over from whoever wrote here before (transactional.id)");
  CO_RETURN_IF_ERROR(co_await output_->take_over(call_deadline()));
  status_.transaction_open_since.reset();
  news_.doing("looking up the topics that it writes to");
  CO_RETURN_IF_ERROR(co_await look_up_outputs());
  for (TopicWriter& writer : writers_) {
    CO_RETURN_IF_ERROR(co_await writer.open(*cluster_, call_deadline()));
    kept_positions_.set_output(writer);
  }
  CO_RETURN_IF_ERROR(co_await receipts_.open(*cluster_, call_deadline()));
  reset_totals();
  group_metadata_ = reader_.group_metadata();
  news_.doing("ending what workers that have gone left open");
  co_await peers_.end_what_is_left(now() + kPeersTimeout);
  news_.doing("reading the committed positions of group '" + stage_.group_id + "'");
  if (state_) {
    CO_RETURN_IF_ERROR(co_await changelog_->open(*cluster_, call_deadline()));
    CO_RETURN_IF_ERROR(co_await check_partition_counts());
    kept_positions_.begin(group_metadata_, changelog_->topic(), changelog_->topic_id());
  } else {
    kept_positions_.begin(group_metadata_, {}, std::nullopt);
  }
  auto kept = co_await kept_positions_.read(partitions);
  CO_RETURN_IF_ERROR(kept);
  const auto positions =
      co_await settle(kept_positions_, "group '" + stage_.group_id + "'", std::move(*kept),
                      reader_.take_out_of_range() ? LogBounds::kChecked : LogBounds::kTrusted);
  CO_RETURN_IF_ERROR(positions);
  if (state_) {
    news_.doing("restoring its state from " + stage_.aggregate->changelog_topic);
    CO_RETURN_IF_ERROR(co_await state_->restore(
        partitions, [this](std::uint64_t count) { status_.restored_records += count; },
        [this] { return reader_.must_leave(); }));
    status_.state_keys = state_->key_count();
  }
  if (reader_.must_leave()) {
    co_return Status{};
  }
  reader_.begin_at(*positions);
  co_return Status{};
}

// As recover(), without taking over.
Task<Status> TopicStage::rehearse(StageRehearsal& found) {
  CO_RETURN_IF_ERROR(prepare());
  const auto sources = co_await find_sources();
  CO_RETURN_IF_ERROR(sources);
  const auto has_receipts = co_await open_if_there(receipts_);
  CO_RETURN_IF_ERROR(has_receipts);
  Result<bool> has_changelog = false;
  if (state_) {
    has_changelog = co_await open_if_there(*changelog_);
    CO_RETURN_IF_ERROR(has_changelog);
  }
  for (TopicWriter& writer : writers_) {
    const auto is_there = co_await open_if_there(writer);
    CO_RETURN_IF_ERROR(is_there);
    if (*is_there) {
      kept_positions_.set_output(writer);
    }
  }
  kept_positions_.begin(reader_.group().metadata(), state_ ? changelog_->topic() : std::string(),
                        *has_changelog ? std::optional(changelog_->topic_id()) : std::nullopt);
  if (*has_receipts) {
    CO_RETURN_IF_ERROR(co_await check_not_read(kept_positions_, sources->gone));
  }
  if (*has_changelog && sources->gone.empty()) {
    CO_RETURN_IF_ERROR(co_await check_partition_counts());
  }
  auto kept = co_await kept_positions_.read(sources->partitions);
  CO_RETURN_IF_ERROR(kept);
  found.note_kept(*kept);
  RehearsedPositions rehearsed(
      kept_positions_,
      [this](std::vector<TopicPartition> wanted) {
        return kept_positions_.read(std::move(wanted));
      },
      *has_receipts ? RehearsedPositions::Receipts::kKept : RehearsedPositions::Receipts::kNone,
      found);
  const auto positions = co_await settle(rehearsed, "group '" + stage_.group_id + "'",
                                         std::move(*kept), LogBounds::kChecked);
  CO_RETURN_IF_ERROR(positions);
  if (*has_changelog && sources->gone.empty()) {
    CO_RETURN_IF_ERROR(co_await rehearse_state(sources->partitions));
  }
  co_return Status{};
}

Task<Result<bool>> TopicStage::open_if_there(TopicWriter& writer) {
  const auto topic = co_await cluster_->existing_topic(writer.topic(), call_deadline());
  if (!topic && topic.error().code == ErrorCode::kNotFound) {
    co_return false;
  }
  CO_RETURN_IF_ERROR(topic);
  CO_RETURN_IF_ERROR(co_await writer.open(*cluster_, call_deadline()));
  co_return true;
}

Task<Status> TopicStage::rehearse_state(std::vector<TopicPartition> partitions) {
  const MonotonicTime until = now() + kRehearsedStateTimeMax;
  std::optional<Error> lasting;
  const auto is_over = [&] {
    const auto trouble = state_->trouble();
    if (trouble && now() - trouble->since >= kRehearsedTroubleMax) {
      lasting = trouble->error;
    }
    return lasting || now() >= until;
  };
  CO_RETURN_IF_ERROR(co_await state_->restore(partitions, [](std::uint64_t) {}, is_over));
  if (lasting) {
    co_return fail(lasting->code, "its state: " + lasting->text, Recovery::kRetriable);
  }
  if (is_over()) {
    news_.note(LogLevel::kInfo, "not compared",
               fmt::format("its state: changelog {} was not read to its end within {}",
                           stage_.aggregate->changelog_topic, to_text(kRehearsedStateTimeMax)));
  }
  co_return Status{};
}

// The state of a key is in the partition that the key belongs to, in both topics.
Task<Status> TopicStage::check_partition_counts() {
  for (const std::string& source : stage_.source_topics) {
    cluster_->forget_topic(source);
    const auto topic = co_await cluster_->existing_topic(source, call_deadline());
    CO_RETURN_IF_ERROR(topic);
    if (topic->partition_count() > changelog_->partition_count()) {
      co_return fail(
          ErrorCode::kRefused,
          fmt::format(
              "topic {} has {} partitions and its changelog {} has {}: keys would come to "
              "partitions that hold no state of theirs; the topics of an aggregate keep the "
              "number of partitions that they were made with; to count anew, with the "
              "topics made again: onceflow reset {} --to-earliest --execute",
              source, topic->partition_count(), changelog_->topic(), changelog_->partition_count(),
              options_.file));
    }
  }
  co_return Status{};
}

Task<Status> TopicStage::work() {
  news_.doing({});
  while (!reader_.must_leave()) {
    Status worked = co_await fill_and_commit();
    if (!worked) {
      co_return std::unexpected(with_source(std::move(worked).error()));
    }
    CO_RETURN_IF_ERROR(reader_.held_up());
  }
  co_return Status{};
}

Error TopicStage::with_source(Error error) {
  const auto& origin = output_->refused_origin();
  if (origin && origin->offset != kNoOffset && is_final(error)) {
    const TopicPartition& source = sources_[origin->source_index];
    error.text = fmt::format("what {}-{}@{} became: {}", source.topic, source.partition.value,
                             origin->offset.value, error.text);
    // Of a state, the last record that changed it; which of them made it too large, commits tell.
    const Offset first = state_
                             ? state_->table(source.partition).first_pending_record(origin->offset)
                             : origin->offset;
    reader_.refusals().note({source, first, origin->offset, error, state_.has_value()});
  }
  return error;
}

Task<Status> TopicStage::fill_and_commit() {
  CO_RETURN_IF_ERROR(co_await fill());
  co_return reader_.account().is_empty() ? Status{} : co_await commit();
}

// Reads and processes for one commit interval, counted from the first record.
Task<Status> TopicStage::fill() {
  const auto process_chunk = [this](Chunk& chunk) { return process(chunk); };
  records_in_at_begin_ = status_.records_in;
  while (reader_.account().is_empty() && !must_commit()) {
    CO_RETURN_IF_ERROR(co_await reader_.poll(now() + seconds(1), process_chunk));
  }
  if (reader_.account().is_empty()) {
    co_return Status{};
  }
  CO_RETURN_IF_ERROR(begin_transaction());
  const MonotonicTime commit_at = transaction_began_at_ + options_.commit_interval;
  while (now() < commit_at && !must_commit() &&
         status_.records_in - records_in_at_begin_ < options_.commit_records_max) {
    CO_RETURN_IF_ERROR(co_await make_room());
    CO_RETURN_IF_ERROR(co_await reader_.poll(commit_at, process_chunk));
  }
  co_return Status{};
}

Status TopicStage::begin_transaction() {
  if (!status_.transaction_open_since) {
    RETURN_IF_ERROR(output_->begin());
    transaction_began_at_ = now();
    status_.transaction_open_since = transaction_began_at_;
  }
  return {};
}

Task<Status> TopicStage::make_room() {
  co_return output_->has_room() ? Status{}
                                : co_await output_->wait_for_room(transaction_deadline());
}

MonotonicTime TopicStage::transaction_deadline() const {
  return std::min(call_deadline(), transaction_began_at_ + options_.transaction_timeout());
}

Task<Status> TopicStage::commit() {
  if (state_) {
    CO_RETURN_IF_ERROR(co_await write_aggregates());
  }
  protocol::Receipt receipt = begin_receipt();
  std::int64_t written_count = 0;
  for (const TopicWriter& writer : writers_) {
    writer.add_to(receipt);
    written_count += writer.record_count();
  }
  if (changelog_) {
    changelog_->add_to(receipt);
  }
  const Buffer encoded = encode_receipt(receipt);
  CO_RETURN_IF_ERROR(
      receipts_.append_to(PartitionIndex(0), {.timestamp_ms = receipt.committed_at_ms,
                                              .key = as_bytes(stage_.id),
                                              .value = ByteView(encoded)}));
  if (state_ && options_.seeded_bug == SeededBug::kApplyStateBeforeCommit) {
    for (const auto& [partition, table] : state_->tables()) {
      table->apply_pending(table->pending_count());
    }
  }
  const MonotonicTime started = now();
  news_.doing("committing a transaction");
  CO_RETURN_IF_ERROR(co_await output_->commit(
      group_metadata_, kept_positions_.to_commit(reader_.account().moved_positions()),
      transaction_deadline()));
  news_.doing({});
  status_.commit_latency.add(now() - started);
  status_.transaction_open_since.reset();
  status_.records_out += static_cast<std::uint64_t>(written_count);
  ++status_.commits;
  if (state_) {
    CO_RETURN_IF_ERROR(co_await state_->apply(*changelog_, *output_));
    status_.state_keys = state_->key_count();
  }
  reader_.report_positions();
  reader_.account().commit();
  reset_totals();
  co_return Status{};
}

Task<void> TopicStage::abandon() {
  if (state_) {
    state_->drop_pending();
  }
  co_await output_->abandon(farewell_deadline());
}

Status TopicStage::process(Chunk& chunk) {
  // The first chunk comes before fill() has opened the transaction that it belongs to.
  RETURN_IF_ERROR(begin_transaction());
  RETURN_IF_ERROR(operators_.process(chunk));
  if (state_) {
    return aggregate(chunk);
  }
  const auto source_index =
      static_cast<std::uint32_t>(std::ranges::find(sources_, chunk.source) - sources_.begin());
  for (TopicWriter& writer : writers_) {
    for (const Record& record : chunk.records) {
      RETURN_IF_ERROR(writer.append(record, chunk.source.partition, {source_index, record.offset}));
    }
  }
  return {};
}

Status TopicStage::aggregate(Chunk& chunk) {
  values_.clear();
  RETURN_IF_ERROR(arguments_->evaluate(chunk, values_));
  AggregateTable& table = state_->table(chunk.source.partition);
  const std::size_t width = stage_.aggregate->columns.size();
  CHECK(values_.size() == chunk.records.size() * width);
  for (std::size_t index = 0; index < chunk.records.size(); ++index) {
    const Record& record = chunk.records[index];
    if (!record.key) {
      return fail(ErrorCode::kInvalidArgument,
                  "step '" + stage_.aggregate->step + "': " + chunk.source.topic + "-" +
                      std::to_string(chunk.source.partition.value) + "@" +
                      std::to_string(record.offset.value) +
                      " has no key; an aggregate groups by key, so drop such records with a "
                      "'where' step or set their key before");
    }
    const std::span<const Value> arguments(values_.data() + index * width, width);
    if (Status added = table.update(*record.key, arguments, record.offset); !added) {
      return fail(added.error().code,
                  "step '" + stage_.aggregate->step + "': " + chunk.source.topic + "-" +
                      std::to_string(chunk.source.partition.value) + "@" +
                      std::to_string(record.offset.value) + ": " + added.error().text);
    }
  }
  return {};
}

// In pieces: a commit may have touched any number of keys.
Task<Status> TopicStage::write_aggregates() {
  const std::int64_t timestamp_ms = cluster_->scheduler().wall_now().ms;
  for (const auto& [index, table] : state_->tables()) {
    const PartitionIndex partition = index;
    const auto source_index = static_cast<std::uint32_t>(
        std::ranges::find(sources_, partition, &TopicPartition::partition) - sources_.begin());
    // Offsets of several topics could not be told apart.
    const bool is_told = stage_.source_topics.size() == 1;
    Status written;
    const auto write = [&](const AggregateTable::Change& change) {
      const client::RecordOrigin origin{source_index, is_told ? change.last_record : kNoOffset};
      if (written) {
        written =
            changelog_->append_to(partition, {.key = change.key, .value = change.state}, origin);
      }
      for (TopicWriter& writer : writers_) {
        if (written && change.output) {
          written = writer.append(
              {.timestamp_ms = timestamp_ms, .key = change.key, .value = *change.output}, partition,
              origin);
        }
      }
    };
    for (std::size_t first = 0; first < table->pending_count(); first += kKeysPerStep) {
      table->for_each_pending(first, kKeysPerStep, write);
      CO_RETURN_IF_ERROR(written);
      CO_RETURN_IF_ERROR(co_await make_room());
      co_await reader_.rest();
    }
  }
  co_return Status{};
}

void TopicStage::reset_totals() {
  for (TopicWriter& writer : writers_) {
    writer.reset();
  }
  receipts_.reset();
  if (changelog_) {
    changelog_->reset();
  }
}

}  // namespace

std::unique_ptr<StageTask> make_topic_stage(std::shared_ptr<client::Cluster> cluster,
                                            const Stage& stage, StageOptions options,
                                            std::string state_definition) {
  return std::make_unique<TopicStage>(std::move(cluster), stage, std::move(options),
                                      std::move(state_definition));
}

}  // namespace onceflow::engine
