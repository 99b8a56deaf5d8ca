#include "engine/stage_reader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace onceflow::engine {
namespace {

// Small enough that a chunk's records and what operators make of them stay in the nearest cache.
constexpr std::size_t kChunkRecordsMax = 512;
constexpr std::size_t kChunkBytesMax = std::size_t{1} << 20;

// How long a stage that is to end reads on: while something comes, and no longer than this.
constexpr Duration kDrainMax = seconds(5);
constexpr Duration kDrainQuiet = seconds(1);

client::GroupOptions group_options(const Stage& stage, const StageOptions& options) {
  client::GroupOptions group = options.group;
  group.group_id = stage.group_id;
  return group;
}

// The count stands right before the headers.
ByteView headers_with_count(const protocol::RecordView& record) {
  if (record.header_count == 0) {
    return {};
  }
  const std::size_t count_bytes = wire::varint_bytes(record.header_count);
  return {record.header_bytes.data() - count_bytes, record.header_bytes.size() + count_bytes};
}

constexpr Duration kExplainAfter = milliseconds(1500);
constexpr Duration kExplainInterval = seconds(5);
constexpr Duration kExplainTimeout = seconds(2);
constexpr std::size_t kMembersNamedMax = 6;

// An end that no fetch has told for so long is asked for, and one that nobody has told for longer
// is not known: the stage that cannot work is the one whose lag is watched.
constexpr Duration kEndAskedAfter = seconds(1);
constexpr Duration kEndKnownFor = seconds(10);

// "group 'g' is Stable with protocol 'range': 'a' at /10.0.0.3 (client.id c) holds 4 partitions, …"
std::string describe_members(const client::GroupDescription& group,
                             const client::GroupMetadata& own) {
  std::string text = fmt::format("group '{}' is {}", group.group_id, group.state);
  if (!group.protocol.empty() || !group.protocol_type.empty()) {
    text += fmt::format(", type '{}', protocol '{}'", group.protocol_type, group.protocol);
  }
  std::size_t count = 0;
  for (const client::GroupMemberDescription& member : group.members) {
    const bool is_own =
        member.member_id == own.member_id ||
        (own.group_instance_id && member.group_instance_id == *own.group_instance_id);
    if (is_own || count == kMembersNamedMax) {
      continue;
    }
    text +=
        fmt::format("{} '{}' at {} (client.id '{}') holds {} partition{}", count++ == 0 ? ":" : ",",
                    member.group_instance_id.empty() ? member.member_id : member.group_instance_id,
                    member.client_host, member.client_id, member.assignment.size(),
                    member.assignment.size() == 1 ? "" : "s");
  }
  return count == 0 ? text + ", and has no other members" : text;
}

std::string describe(const TopicPartition& partition) {
  return fmt::format("{}-{}", partition.topic, partition.partition.value);
}

}  // namespace

StageReader::StageReader(std::shared_ptr<client::Cluster> cluster, const Stage& stage,
                         const StageOptions& options, StageStatus& status, StageNews& news)
    : cluster_(std::move(cluster)),
      options_(options),
      stage_(stage),
      status_(status),
      news_(news),
      group_(cluster_, group_options(stage, options), stage.source_topics),
      fetcher_(cluster_, options.fetch),
      admin_(cluster_),
      end_inquiry_(cluster_),
      changed_(cluster_->scheduler()),
      slice_(cluster_->scheduler(), options.slice_length) {}

void StageReader::start() {
  group_.on_event([this] {
    fetcher_.wake();
    changed_.notify_all();
  });
  group_.start();
}

void StageReader::stop() {
  stopping_ = true;
  fetcher_.wake();
  changed_.notify_all();
}

Task<Result<std::vector<TopicPartition>>> StageReader::wait_for_assignment() {
  fetcher_.assign({});
  MonotonicTime explain_at = cluster_->scheduler().now() + kExplainAfter;
  while (!stopping_) {
    CO_RETURN_IF_ERROR(take_group_events());
    if (!partitions_.empty()) {
      co_return partitions_;
    }
    tell_waiting();
    if (!co_await changed_.wait_until(explain_at) && !stopping_) {
      co_await explain_waiting();
      explain_at = cluster_->scheduler().now() + kExplainInterval;
    }
  }
  co_return std::vector<TopicPartition>{};
}

Status StageReader::take_group_events() {
  while (auto event = group_.take_event()) {
    switch (event->kind) {
      case client::GroupEvent::Kind::kAssigned:
        partitions_ = std::move(event->partitions);
        status_.is_standby = partitions_.empty();
        group_metadata_ = std::move(event->metadata);
        break;
      case client::GroupEvent::Kind::kRevoked:
        partitions_.clear();
        status_.is_standby = false;
        news_.note(LogLevel::kInfo, "rebalance",
                   "of group '" + stage_.group_id + "'; its partitions are given up");
        group_.give_up();
        break;
      case client::GroupEvent::Kind::kLost:
        partitions_.clear();
        status_.is_standby = false;
        news_.note(LogLevel::kWarn, "membership lost",
                   "group '" + stage_.group_id +
                       "' has gone on without it; it joins again, and what was open is undone");
        break;
      case client::GroupEvent::Kind::kFenced:
        return fail(ErrorCode::kRefused,
                    fmt::format("worker '{}': another process has taken its place in group '{}'; "
                                "every live worker of the pipeline has a name of its own: start "
                                "this one with another --worker, or not at all",
                                options_.worker, group_.metadata().group_id));
    }
  }
  if (const Error* ended = group_.failure()) {
    // Whatever it was to the group, there is no way on for this member.
    return fail(ErrorCode::kRefused, ended->text);
  }
  return {};
}

void StageReader::tell_waiting() {
  status_.positions.clear();
  const auto* trouble = group_.trouble();
  const bool is_held = trouble != nullptr && trouble->is_held_by_others;
  const StageState state = status_.state();
  const bool has_been_told =
      state == StageState::kWaitingForPartitions || state == StageState::kWaitingForTopic ||
      // The look from outside says what is in the way; this is no news until it is out of it.
      (state == StageState::kRetrying && trouble != nullptr && !is_held);
  if (!has_been_told) {
    // Who holds them is found out by explain_waiting().
    news_.on(StageEvent::kNoPartitions,
             {is_held ? trouble->error.text : "of group '" + stage_.group_id + "'", {}});
  }
}

Task<void> StageReader::explain_waiting() {
  std::vector<std::string> missing;
  for (const std::string& source : stage_.source_topics) {
    cluster_->forget_topic(source);
    const auto topic =
        co_await cluster_->existing_topic(source, cluster_->scheduler().now() + kExplainTimeout);
    if (!topic && topic.error().code == ErrorCode::kNotFound) {
      missing.push_back(source);
    }
  }
  if (!missing.empty()) {
    news_.on(StageEvent::kTopicMissing, missing_topics(missing));
    co_return;
  }
  const auto group = co_await admin_.describe_group(stage_.group_id,
                                                    cluster_->scheduler().now() + kExplainTimeout);
  if (stopping_ || !partitions_.empty() || group_.has_event()) {
    co_return;
  }
  const auto* trouble = group_.trouble();
  if (trouble != nullptr && !trouble->is_held_by_others) {
    co_return;
  }
  const std::string refused = trouble == nullptr ? "" : trouble->error.text + "; ";
  news_.on(StageEvent::kNoPartitions,
           {refused + (group ? describe_members(*group, group_.metadata())
                             : "of group '" + stage_.group_id +
                                   "': who holds them is not known: " + group.error().text),
            {}});
}

Task<void> StageReader::pause(Duration duration) {
  const MonotonicTime until = cluster_->scheduler().now() + duration;
  while (!must_leave() && co_await changed_.wait_until(until)) {
  }
}

void StageReader::begin_at(const std::vector<InputAccount::Position>& positions) {
  std::vector<client::Fetcher::Position> fetch_positions;
  status_.positions.clear();
  for (const InputAccount::Position& position : positions) {
    fetch_positions.push_back({position.source, position.offset, position.topic_id});
    status_.positions[position.source].committed = position.offset;
  }
  release();
  runs_.clear();
  input_error_.reset();
  account_.begin(positions);
  fetcher_.assign(std::move(fetch_positions));
  if (!ends_when_drained_) {
    drains_since_.reset();
  }
  refusals_.begin_round();
  for (const InputAccount::Position& position : positions) {
    refusals_.settle(position.source, position.offset);
    if (refusals_.holds(position.source)) {
      hold(position.source);
    }
  }
}

Task<Status> StageReader::poll(MonotonicTime deadline, const Process& process) {
  co_await slice_.rest();
  if (runs_.empty()) {
    if (const Status fetched = co_await fetch(deadline); !fetched) {
      co_return end_input(fetched.error());
    }
  }
  co_return runs_.empty() ? Status{} : show_next(process);
}

// What cannot be read ends the stage, once what was read before it is committed.
Status StageReader::end_input(const Error& error) {
  if (!is_final(error) || account_.is_empty()) {
    return std::unexpected(error);
  }
  input_error_ = error;
  return {};
}

Task<Status> StageReader::fetch(MonotonicTime deadline) {
  if (drains_since_) {
    deadline = std::min(deadline, cluster_->scheduler().now() + kDrainQuiet / 10);
  }
  auto polled = co_await fetcher_.poll(deadline);
  CO_RETURN_IF_ERROR(polled);
  if (!polled->out_of_range.empty()) {
    const client::OffsetOutOfRange& lost = polled->out_of_range.front();
    is_out_of_range_ = true;
    co_return fail(ErrorCode::kNotFound,
                   fmt::format("{}: position {} is outside the log", describe(lost.partition),
                               lost.position.value),
                   Recovery::kRetriable);
  }
  for (client::FetchedRun& run : polled->runs) {
    runs_.emplace_back(std::move(run));
  }
  co_return Status{};
}

Status StageReader::show_next(const Process& process) {
  client::RunReader& run = runs_.front();
  const TopicPartition source = run.run().partition;
  const ChunkLimit limit = limit_of(source);
  is_commit_due_ = limit.is_commit;
  if (is_commit_due()) {
    return {};
  }
  std::unique_ptr<Chunk> chunk = take_chunk(source);
  const auto has_met_end = fill(run, *chunk, limit);
  if (!has_met_end && chunk->records.empty()) {
    return end_input(has_met_end.error());
  }
  if (chunk->records.empty()) {
    spare_chunks_.push_back(std::move(chunk));
  } else {
    RETURN_IF_ERROR(show(std::move(chunk), process));
  }
  if (has_met_end && *has_met_end) {
    account_.advance(source, limit.end);
  }
  if (run.is_done()) {
    finish_run();
  }
  refusals_.settle(source, account_.next_offset(source));
  if (refusals_.holds(source)) {
    hold(source);
  }
  return {};
}

// True: a record at or after the limit's end came and was left for later.
Result<bool> StageReader::fill(client::RunReader& run, Chunk& chunk, const ChunkLimit& limit) {
  std::size_t bytes = 0;
  bool has_met_end = false;
  std::optional<Offset> foreign;
  const Status read =
      run.read([&](const protocol::RecordBatchHeader& header, const protocol::RecordView& record) {
        if (chunk.records.size() >= limit.records_max || bytes >= kChunkBytesMax) [[unlikely]] {
          return false;
        }
        const Offset offset = header.offset_of(record);
        if (offset >= limit.end) [[unlikely]] {
          has_met_end = true;
          return false;
        }
        if (!is_of_pipeline(header)) [[unlikely]] {
          foreign = offset;
          return false;
        }
        chunk.records.push_back({.offset = offset,
                                 .timestamp_ms = header.timestamp_of(record),
                                 .key = record.key,
                                 .value = record.value,
                                 .headers = headers_with_count(record)});
        bytes += record.raw.size();
        return true;
      });
  if (keeps_chunks_) {
    kept_bytes_ += bytes;
  }
  RETURN_IF_ERROR(read);
  if (foreign && chunk.records.empty()) {
    return std::unexpected(foreign_record(run.run().partition, *foreign));
  }
  return has_met_end;
}

bool StageReader::is_of_pipeline(const protocol::RecordBatchHeader& batch) const {
  switch (writers_) {
    case SourceWriters::kAnyone:
      return true;
    case SourceWriters::kPipeline:
      return batch.has_producer_id();
    case SourceWriters::kPipelineInTransactions:
      return batch.is_transactional();
  }
  return true;
}

// All before it has been committed when the stage ends on it, so to delete up to it deletes it
// alone.
Error StageReader::foreign_record(const TopicPartition& source, Offset offset) const {
  return {
      ErrorCode::kRefused,
      fmt::format("{}@{}: a record of somebody else, as {}; the rule: only the pipeline writes "
                  "the topics between its stages, and this record would be counted like its "
                  "own; the fix: delete the records of {} before offset {} (DeleteRecords; what "
                  "else lies before it was processed), and start once with onceflow run {} "
                  "--skip-deleted; or begin anew: onceflow reset {} --to-earliest --execute",
                  describe(source), offset.value,
                  writers_ == SourceWriters::kPipeline ? "its producer has no id"
                                                       : "it is in no transaction",
                  describe(source), offset.value + 1, options_.file, options_.file)};
}

Status StageReader::show(std::unique_ptr<Chunk> chunk, const Process& process) {
  status_.records_in += chunk->records.size();
  busy_at_ = cluster_->scheduler().now();
  account_.add(*chunk);
  const Offset first = chunk->records.front().offset;
  const Offset last = chunk->records.back().offset;
  const Status processed = process(*chunk);
  if (!processed && is_final(processed.error())) {
    refusals_.note({chunk->source, first, last, processed.error()});
  }
  (keeps_chunks_ ? kept_chunks_ : spare_chunks_).push_back(std::move(chunk));
  return processed;
}

// The run that was shown to its end.
void StageReader::finish_run() {
  client::RunReader& run = runs_.front();
  account_.advance(run.run().partition, run.run().next_offset);
  tell_lost(run.run());
  if (keeps_chunks_) {
    kept_runs_.push_back(std::move(run).take_run());
  }
  runs_.pop_front();
}

void StageReader::tell_lost(const client::FetchedRun& run) {
  for (const client::LostRange& lost : run.lost) {
    news_.note(
        LogLevel::kWarn, "lost records",
        fmt::format("{} offsets {}..{} are lost, and are passed over: onceflow salvage found "
                    "nothing there that could be read; onceflow audit {} calls them missing; "
                    "to have them again, send them once more",
                    describe(run.partition), lost.from.value, lost.next.value - 1, options_.file));
  }
}

// Nothing more is read of it: the stage has come to a record that it refuses.
void StageReader::hold(const TopicPartition& source) {
  fetcher_.pause(source);
  for (auto run = runs_.begin(); run != runs_.end();) {
    if (run->run().partition != source) {
      ++run;
      continue;
    }
    if (keeps_chunks_) {
      kept_runs_.push_back(std::move(*run).take_run());
    }
    run = runs_.erase(run);
  }
  if (!drains_since_) {
    drains_since_ = cluster_->scheduler().now();
  }
}

ChunkLimit StageReader::limit_of(const TopicPartition& source) const {
  return refusals_.limit(source, account_.next_offset(source), kChunkRecordsMax);
}

void StageReader::drain() {
  ends_when_drained_ = true;
  drains_since_ = cluster_->scheduler().now();
  fetcher_.wake();
  changed_.notify_all();
}

bool StageReader::is_drained() const {
  if (input_error_) {
    return true;
  }
  if (!drains_since_) {
    return false;
  }
  const MonotonicTime now = cluster_->scheduler().now();
  bool all_are_held = !ends_when_drained_;
  bool all_are_at_end = runs_.empty();
  for (const TopicPartition& partition : partitions_) {
    if (!refusals_.holds(partition)) {
      all_are_held = false;
      all_are_at_end = all_are_at_end && fetcher_.is_at_end(partition);
    }
  }
  return all_are_held || now >= *drains_since_ + kDrainMax ||
         (all_are_at_end && now >= std::max(busy_at_, *drains_since_) + kDrainQuiet);
}

Status StageReader::held_up() const {
  if (input_error_) {
    return std::unexpected(*input_error_);
  }
  return is_drained() ? refusals_.held_up() : Status{};
}

std::unique_ptr<Chunk> StageReader::take_chunk(const TopicPartition& source) {
  std::unique_ptr<Chunk> chunk;
  if (spare_chunks_.empty()) {
    chunk = std::make_unique<Chunk>();
  } else {
    chunk = std::move(spare_chunks_.back());
    spare_chunks_.pop_back();
    chunk->clear();
  }
  chunk->source = source;
  return chunk;
}

void StageReader::release() {
  kept_runs_.clear();
  kept_bytes_ = 0;
  for (std::unique_ptr<Chunk>& chunk : kept_chunks_) {
    spare_chunks_.push_back(std::move(chunk));
  }
  kept_chunks_.clear();
}

void StageReader::report_positions() {
  for (const InputAccount::Position& position : account_.moved_positions()) {
    status_.positions[position.source].committed = position.offset;
  }
  refresh_ends();
}

void StageReader::refresh_ends() {
  const MonotonicTime now = cluster_->scheduler().now();
  std::vector<TopicPartition> unheard;
  for (auto& [source, reported] : status_.positions) {
    for (const auto& ends : {fetcher_.known_ends(source), end_inquiry_.ends(source)}) {
      if (ends.high_watermark != kNoOffset && ends.heard_at >= reported.ends_heard_at) {
        reported.last_stable = ends.last_stable;
        reported.end = ends.high_watermark;
        reported.ends_heard_at = ends.heard_at;
      }
    }
    const Duration age = now - reported.ends_heard_at - options_.fetch.fetch_wait_max;
    if (reported.end == kNoOffset || age >= kEndAskedAfter) {
      unheard.push_back(source);
    }
    if (age >= kEndKnownFor) {
      reported.last_stable = reported.end = kNoOffset;
    }
  }
  if (!unheard.empty()) {
    end_inquiry_.ask(std::move(unheard));
  }
}

std::vector<InputWatch::Partition> StageReader::input_view() const {
  std::vector<InputWatch::Partition> view;
  view.reserve(status_.positions.size());
  for (const auto& [source, reported] : status_.positions) {
    view.push_back({.source = source,
                    .committed = reported.committed,
                    .position = fetcher_.position(source),
                    .last_stable = reported.last_stable,
                    .end = reported.end});
  }
  return view;
}

Task<void> StageReader::leave(MonotonicTime deadline) {
  fetcher_.close();
  if (options_.at_stop == AtStop::kLeave) {
    co_await group_.leave(deadline);
  }
  group_.close();
}

StageCause missing_topics(const std::vector<std::string>& topics) {
  return topics.size() == 1
             ? StageCause{fmt::format("{}, which does not exist", topics.front()),
                          "it is not made by the pipeline, as its name may be mistyped; make it "
                          "(any producer or Kafka's tools do), or correct `topics` in source.kafka"}
             : StageCause{
                   fmt::format("{}, which do not exist", fmt::join(topics, ", ")),
                   "they are not made by the pipeline, as their names may be mistyped; make them "
                   "(any producer or Kafka's tools do), or correct `topics` in source.kafka"};
}

}  // namespace onceflow::engine
