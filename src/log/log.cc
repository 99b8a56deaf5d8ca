#include "log/log.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/check.h"
#include "io/time_slice.h"
#include "log/log_state.h"

namespace onceflow::log {

using protocol::ErrorCode;

namespace {
// By retention, before others get their turn: removing one takes the file system long.
constexpr std::size_t kFilesRemovedAtOnce = 16;
}  // namespace

protocol::EndTransactionMarker marker_of(const EndTransaction& end) {
  return {.type = end.commit ? protocol::ControlRecordType::kCommit
                             : protocol::ControlRecordType::kAbort,
          .producer = end.producer,
          .coordinator_epoch = end.coordinator_epoch,
          .timestamp_ms = end.timestamp_ms};
}

Result<std::unique_ptr<Log>> Log::open(const io::Environment& environment, LogOptions options,
                                       RecoveryListener& listener) {
  CHECK(options.on_fatal != nullptr);
  auto state = std::make_unique<LogState>(environment, std::move(options));
  RETURN_IF_ERROR(Recovery(*state, listener).run());
  auto log = std::unique_ptr<Log>(new Log(std::move(state)));
  // An operator hears of a disk without room before the first record is refused.
  const LogOptions& set = log->state_->options;
  if (const auto free_bytes = environment.disk.free_bytes(set.directory);
      free_bytes && *free_bytes < set.free_bytes_min) {
    static_cast<void>(log->state_->has_room());
  }
  log->start_upkeep(std::min(set.first_retention_after, set.retention_check_interval));
  return log;
}

Log::Log(std::unique_ptr<LogState> state) : state_(std::move(state)) {}
Log::~Log() = default;

void Log::start_upkeep(Duration first_after) {
  state_->remove_doomed();
  state_->environment.scheduler.schedule_after(first_after, state_->guarded([this] {
    apply_retention();
    start_upkeep(state_->options.retention_check_interval);
  }));
}

// --- Writing ---

Answer<AppendedBatch> Log::append_batch(Partition& partition,
                                        const protocol::ValidatedBatch& validated, ByteView batch,
                                        UnknownProducer unknown) {
  LogState& state = *state_;
  protocol::RecordBatchHeader header = validated.header;
  CHECK(header.size_bytes() == batch.size());
  if (header.has_producer_id()) {
    const IncomingBatch incoming = IncomingBatch::of(header);
    if (const BatchDescriptor* original = partition.producers_.find_duplicate(incoming)) {
      CHECK_INVARIANT("PRD-1", original->first_offset < partition.log_end_offset_);
      return AppendedBatch{.base_offset = original->first_offset,
                           .log_append_time_ms = original->timestamp,
                           .log_start_offset = partition.log_start_offset_,
                           .position = original->journal_position,
                           .is_duplicate = true};
    }
    const auto epoch_check = state.environment.seeded_bug == SeededBug::kSkipEpochCheck
                                 ? ProducerStates::EpochCheck::kOff
                                 : ProducerStates::EpochCheck::kOn;
    if (const ErrorCode error = partition.producers_.check(incoming, unknown, epoch_check);
        error != ErrorCode::kNone) {
      return std::unexpected(error);
    }
    const ProducerState* known = partition.producers_.find(incoming.producer.id);
    CHECK_INVARIANT("PRD-2", known == nullptr || incoming.producer.epoch >= known->epoch ||
                                 epoch_check == ProducerStates::EpochCheck::kOff);
  }
  const TopicConfig& config = partition.topic_.config;
  if (batch.size() > static_cast<std::size_t>(config.max_message_bytes)) {
    return std::unexpected(ErrorCode::kMessageTooLarge);
  }
  if (batch.size() > static_cast<std::size_t>(config.segment_bytes)) {
    return std::unexpected(ErrorCode::kRecordListTooLarge);
  }
  if (state.journal->has_failed() || state.is_closed || !state.has_room()) {
    return std::unexpected(ErrorCode::kKafkaStorageError);
  }
  const bool is_new_here =
      header.has_producer_id() && partition.producers_.find(header.producer_id) == nullptr;
  if (is_new_here && !state.has_room_for_producer()) {
    return std::unexpected(ErrorCode::kRequestTimedOut);
  }

  std::byte head[kBatchEntryHeadBytes];
  encode_batch_head(partition.id_, head);
  Journal::Placed placed;
  const JournalPosition position = state.journal->append(EntryType::kBatch, head, batch, &placed);
  header.base_offset = partition.log_end_offset_;
  header.partition_leader_epoch = 0;
  protocol::rewrite_base_offset(placed.bytes, header.base_offset);
  protocol::rewrite_partition_leader_epoch(placed.bytes, 0);
  std::int64_t append_time_ms = -1;
  if (config.message_timestamp_type == TimestampType::kLogAppendTime) {
    const WallTime now = state.environment.scheduler.wall_now();
    protocol::rewrite_log_append_time(placed.bytes, now);
    header.attributes = static_cast<std::int16_t>(header.attributes | protocol::kLogAppendTimeBit);
    header.max_timestamp = append_time_ms = now.ms;
  } else if (validated.max_timestamp != header.max_timestamp) {
    protocol::rewrite_max_timestamp(placed.bytes, validated.max_timestamp);
    header.max_timestamp = validated.max_timestamp;
  }
  Segment& segment = partition.apply_batch({placed.bytes, placed.owner}, header, position,
                                           state.environment.scheduler.now());
  state.producer_state_count += is_new_here ? 1 : 0;
  state.advance_when_durable(position, partition, segment);
  return AppendedBatch{.base_offset = header.base_offset,
                       .log_append_time_ms = append_time_ms,
                       .log_start_offset = partition.log_start_offset_,
                       .position = position};
}

AppendedMarkers Log::append_end_transaction(const EndTransaction& end, ByteView record) {
  LogState& state = *state_;
  std::vector<Partition*> partitions;
  AppendedMarkers appended;
  for (const TopicIdPartition& id : end.partitions) {
    Partition* partition = state.topics.find(id);
    partitions.push_back(partition);
    appended.offsets.push_back(partition != nullptr ? partition->log_end_offset_ : kNoOffset);
  }
  appended.position = state.journal->append(
      EntryType::kEndTransaction, encode_end_transaction_head(end, appended.offsets), record);
  for (Partition* partition : partitions) {
    if (partition != nullptr) {
      Segment& segment = state.apply_marker(*partition, marker_of(end));
      state.advance_when_durable(appended.position, *partition, segment);
    }
  }
  return appended;
}

JournalPosition Log::append_record(ByteView record) {
  return state_->journal->append(EntryType::kRecord, record);
}

// --- Topics ---

const Topics& Log::topics() const { return state_->topics; }
std::size_t Log::producer_state_count() const { return state_->producer_state_count; }
const std::string& Log::cluster_id() const { return state_->cluster_id; }

namespace {
std::unexpected<Refusal> refuse(ErrorCode code, std::string text) {
  return std::unexpected<Refusal>(Refusal{code, std::move(text)});
}

std::unexpected<Refusal> unknown_topic(std::string_view name) {
  return refuse(ErrorCode::kUnknownTopicOrPartition,
                fmt::format("Topic '{}' does not exist.", name));
}

TopicAnswer<TopicConfig> check_config(const LogState& state, const TopicConfigOverrides& overrides,
                                      const TopicConfigOverrides& before) {
  auto config =
      check_overrides(state.options.topic_defaults, overrides, state.options.config_bounds, before);
  if (!config) {
    return refuse(ErrorCode::kInvalidConfig, config.error().text);
  }
  const std::size_t bytes = bytes_of(overrides);
  const std::size_t bytes_before = bytes_of(before);
  if (bytes > bytes_before &&
      state.topics.config_bytes() - bytes_before + bytes > state.options.config_bytes_max) {
    return refuse(ErrorCode::kPolicyViolation,
                  fmt::format("No more than {} bytes of settings on all topics "
                              "(topic.configs.max.bytes).",
                              state.options.config_bytes_max));
  }
  return *config;
}
}  // namespace

TopicAnswer<TopicConfig> Log::check_new_topic(std::string_view name, std::int32_t partition_count,
                                              const TopicConfigOverrides& overrides) const {
  if (const Status legal = check_topic_name(name); !legal) {
    return refuse(ErrorCode::kInvalidTopicException, legal.error().text);
  }
  if (state_->topics.find(name) != nullptr) {
    return refuse(ErrorCode::kTopicAlreadyExists, fmt::format("Topic '{}' already exists.", name));
  }
  if (const std::string* other = state_->topics.find_colliding(name)) {
    return refuse(ErrorCode::kInvalidTopicException,
                  fmt::format("Topic '{}' collides with existing topic: {}", name, *other));
  }
  if (partition_count < 1) {
    return refuse(ErrorCode::kInvalidPartitions, "Number of partitions must be larger than 0.");
  }
  if (state_->topics.partition_count() + static_cast<std::size_t>(partition_count) >
      state_->options.partitions_max) {
    return refuse(ErrorCode::kPolicyViolation, fmt::format("No more than {} partitions in all.",
                                                           state_->options.partitions_max));
  }
  return check_config(*state_, overrides, {});
}

TopicAnswer<ChangedTopic> Log::create_topic(std::string_view name, std::int32_t partition_count,
                                            const TopicConfigOverrides& overrides) {
  const auto config = check_new_topic(name, partition_count, overrides);
  if (!config) {
    return std::unexpected(config.error());
  }
  TopicEntry entry{.id = state_->environment.random.uuid(),
                   .name = std::string(name),
                   .partition_count = partition_count,
                   .overrides = overrides};
  Buffer body;
  WireWriter writer(body);
  encode_topic_entry(writer, entry);
  auto topic = state_->make_topic(entry);
  CHECK(topic.has_value());
  const JournalPosition position = state_->journal->append(EntryType::kTopicCreated, body);
  state_->topics.add(*std::move(topic));
  state_->changes.note_topic(entry.id, state_->topics);
  return ChangedTopic{entry.id, position};
}

TopicAnswer<ChangedTopic> Log::add_partitions(std::string_view name, std::int32_t partition_count) {
  Topic* topic = state_->topics.find(name);
  if (topic == nullptr) {
    return unknown_topic(name);
  }
  const std::size_t before = topic->partitions.size();
  if (partition_count <= static_cast<std::int32_t>(before)) {
    return refuse(ErrorCode::kInvalidPartitions,
                  fmt::format("The topic {} currently has {} partition(s); {} would not be an "
                              "increase.",
                              name, before, partition_count));
  }
  const std::size_t added = static_cast<std::size_t>(partition_count) - before;
  if (state_->topics.partition_count() + added > state_->options.partitions_max) {
    return refuse(ErrorCode::kPolicyViolation, fmt::format("No more than {} partitions in all.",
                                                           state_->options.partitions_max));
  }
  const JournalPosition position = state_->journal->append(
      EntryType::kPartitionsAdded, encode_partitions_added({topic->id, partition_count}));
  state_->add_partitions(*topic, partition_count);
  state_->topics.count_partitions(added);
  state_->changes.note_topic(topic->id, state_->topics);
  return ChangedTopic{topic->id, position};
}

TopicAnswer<TopicConfig> Log::check_topic_config(std::string_view name,
                                                 const TopicConfigOverrides& overrides) const {
  const Topic* topic = state_->topics.find(name);
  if (topic == nullptr) {
    return unknown_topic(name);
  }
  return check_config(*state_, overrides, topic->overrides);
}

TopicAnswer<ChangedTopic> Log::set_topic_config(std::string_view name,
                                                const TopicConfigOverrides& overrides) {
  Topic* topic = state_->topics.find(name);
  if (topic == nullptr) {
    return unknown_topic(name);
  }
  const auto config = check_config(*state_, overrides, topic->overrides);
  if (!config) {
    return std::unexpected(config.error());
  }
  const JournalPosition position = state_->journal->append(
      EntryType::kTopicConfigured, encode_topic_configured({topic->id, overrides}));
  state_->topics.configure(*topic, *config, overrides);
  return ChangedTopic{topic->id, position};
}

TopicAnswer<ChangedTopic> Log::delete_topic(std::string_view name) {
  const Topic* topic = state_->topics.find(name);
  if (topic == nullptr) {
    return unknown_topic(name);
  }
  const TopicId id = topic->id;
  const JournalPosition position =
      state_->journal->append(EntryType::kTopicDeleted, encode_topic_deleted(id));
  if (state_->topic_removed) {
    state_->topic_removed(*topic);
  }
  state_->forget_topic(state_->topics.remove(id), position);
  state_->changes.note_topic(id, state_->topics);
  return ChangedTopic{id, position};
}

Answer<JournalPosition> Log::delete_records(Partition& partition, Offset offset) {
  const Offset target = offset == kNoOffset ? partition.high_watermark() : offset;
  if (target > partition.high_watermark() || target < Offset(0)) {
    return std::unexpected(ErrorCode::kOffsetOutOfRange);
  }
  return move_log_start(partition, std::min(target, partition.last_stable_offset()));
}

JournalPosition Log::move_log_start(Partition& partition, Offset offset) {
  if (offset <= partition.log_start_offset_) {
    return state_->journal->durable();
  }
  const JournalPosition position =
      state_->journal->append(EntryType::kLogStartMoved, encode_log_start({partition.id_, offset}));
  for (std::unique_ptr<Segment>& segment : partition.apply_log_start(offset)) {
    state_->remove_when_durable(position, partition.id_, std::move(segment));
  }
  state_->changes.note(partition);
  return position;
}

// --- Durability ---

JournalPosition Log::durable() const { return state_->journal->durable(); }
JournalPosition Log::end() const { return state_->journal->end(); }
void Log::when_durable(JournalPosition position, Callback<void()> callback) {
  state_->journal->when_durable(position, std::move(callback));
}
Task<void> Log::wait_durable(JournalPosition position) {
  co_await io::await_callback<bool>([this, position](auto callback) {
    state_->journal->when_durable(position, [then = std::move(callback)]() mutable { then(true); });
  });
}
bool Log::is_full() const { return state_->journal->is_full(); }

std::size_t Log::buffered_bytes() const { return state_->journal->buffered_bytes(); }
void Log::when_not_full(Callback<void()> callback) {
  state_->journal->when_not_full(std::move(callback));
}
bool Log::has_failed() const { return state_->journal->has_failed(); }
void Log::on_partition_advanced(std::function<void(Partition&)> listener) {
  state_->partition_advanced = std::move(listener);
}
void Log::on_topic_removed(std::function<void(const Topic&)> listener) {
  state_->topic_removed = std::move(listener);
}

// --- Watching ---

void Log::watch() { state_->changes.watch(state_->topics); }
void Log::begin_news() { state_->changes.begin(); }
bool Log::has_news() const { return state_->changes.has_more(); }
LogNews Log::take_news(std::size_t count_max) {
  return state_->changes.take(state_->topics, count_max);
}

// --- Upkeep ---

void Log::set_snapshot_writer(std::function<void(Buffer&)> writer) {
  state_->snapshot_writer = std::move(writer);
}

Task<Status> Log::checkpoint() {
  LogState& state = *state_;
  while (state.is_checkpointing && !state.journal->has_failed()) {
    co_await state.checkpoint_done.wait();
  }
  if (state.journal->has_failed()) {
    co_return fail(onceflow::ErrorCode::kIo, "the disk has failed before");
  }
  state.start_checkpoint();
  while (state.is_checkpointing) {
    co_await state.checkpoint_done.wait();
  }
  co_return state.last_checkpoint;
}

void Log::apply_retention() {
  if (!std::exchange(is_retaining_, true)) {
    state_->environment.scheduler.spawn(retain_all(state_->alive));
  }
}

void Log::apply_retention(std::string_view topic) {
  if (const Topic* const found = state_->topics.find(topic)) {
    const std::int64_t now_ms = state_->environment.scheduler.wall_now().ms;
    for (const auto& partition : found->partitions) {
      retain(*partition, now_ms);
    }
  }
}

Task<void> Log::retain_all(std::shared_ptr<bool> alive) {
  LogState& state = *state_;
  const std::int64_t now_ms = state.environment.scheduler.wall_now().ms;
  io::TimeSlice slice(state.environment.scheduler);
  std::size_t removed_count = 0;
  // By name and index: topics come and go between slices.
  std::string name;
  for (auto place = state.topics.by_name().begin(); place != state.topics.by_name().end();
       place = state.topics.by_name().upper_bound(name)) {
    name = place->first;
    for (std::size_t index = 0;; ++index) {
      const Topic* const topic = state.topics.find(name);
      if (topic == nullptr || index >= topic->partitions.size() || state.is_closed) {
        break;
      }
      removed_count += retain(*topic->partitions[index], now_ms);
      if (removed_count >= kFilesRemovedAtOnce) {
        removed_count = 0;
        co_await wait_durable(state.journal->end());
      } else {
        co_await slice.rest();
      }
      if (!*alive) {
        co_return;
      }
    }
  }
  is_retaining_ = false;
}

// The count of segments that go, when that is durable.
std::size_t Log::retain(Partition& partition, std::int64_t now_ms) {
  LogState& state = *state_;
  const std::size_t before = partition.segments_.all().size();
  if (!state.journal->has_failed() && !state.is_closed) {
    Offset start = partition.retention_start(now_ms);
    if (state.environment.seeded_bug == SeededBug::kRetentionTakesOneMore &&
        !partition.segments_.all().empty()) {
      start = std::max(start, std::min(partition.segments_.all().front()->next_offset(),
                                       partition.last_stable_offset_));
    }
    move_log_start(partition, start);
  }
  state.producer_state_count -= partition.producers_.expire(state.environment.scheduler.now() -
                                                            state.options.producer_id_expiration);
  return before - partition.segments_.all().size();
}

Task<Status> Log::close() {
  state_->is_closed = true;
  return checkpoint();
}

Log::Statistics Log::statistics() const {
  Statistics statistics = state_->statistics;
  statistics.journal_bytes = state_->journal->end() - state_->journal->released();
  statistics.journal_flushes = state_->journal->flush_count();
  statistics.last_flush = state_->journal->last_flush();
  if (const auto free_bytes = state_->environment.disk.free_bytes(state_->options.directory)) {
    statistics.free_bytes = *free_bytes;
  }
  statistics.free_bytes_min = state_->options.free_bytes_min;
  statistics.is_out_of_room = state_->is_out_of_room();
  return statistics;
}

}  // namespace onceflow::log
