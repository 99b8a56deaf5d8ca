#include "engine/stage_reader.h"

#include <fmt/format.h>

namespace onceflow::engine {
namespace {

// Small enough that a chunk's records and what operators make of them stay in the nearest cache.
constexpr std::size_t kChunkRecordsMax = 512;

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
      changed_(cluster_->scheduler()) {}

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
  for (const std::string& source : stage_.source_topics) {
    cluster_->forget_topic(source);
    const auto topic =
        co_await cluster_->existing_topic(source, cluster_->scheduler().now() + kExplainTimeout);
    if (!topic && topic.error().code == ErrorCode::kNotFound) {
      news_.on(StageEvent::kTopicMissing, missing_topic(source));
      co_return;
    }
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
  account_.begin(positions);
  fetcher_.assign(std::move(fetch_positions));
}

Task<Status> StageReader::poll(MonotonicTime deadline, const Process& process) {
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
    CO_RETURN_IF_ERROR(show(run, process));
    account_.advance(run.partition, run.next_offset);
    if (keeps_chunks_) {
      kept_runs_.push_back(std::move(run));
    }
  }
  co_return Status{};
}

Status StageReader::show(const client::FetchedRun& run, const Process& process) {
  Status shown;
  std::unique_ptr<Chunk> chunk = take_chunk(run.partition);
  const Status read = run.for_each(
      [&](const protocol::RecordBatchHeader& header, const protocol::RecordView& record) {
        if (!shown) {
          return;
        }
        chunk->records.push_back({.offset = header.offset_of(record),
                                  .timestamp_ms = header.timestamp_of(record),
                                  .key = record.key,
                                  .value = record.value,
                                  .headers = headers_with_count(record)});
        if (chunk->records.size() == kChunkRecordsMax) {
          shown = show_chunk(chunk, process);
        }
      });
  if (shown && !read) {
    shown = read;
  }
  if (shown && !chunk->records.empty()) {
    shown = show_chunk(chunk, process);
  }
  spare_chunks_.push_back(std::move(chunk));
  return shown;
}

Status StageReader::show_chunk(std::unique_ptr<Chunk>& chunk, const Process& process) {
  status_.records_in += chunk->records.size();
  account_.add(*chunk);
  const Status processed = process(*chunk);
  if (keeps_chunks_) {
    TopicPartition source = chunk->source;
    kept_chunks_.push_back(std::move(chunk));
    chunk = take_chunk(source);
  } else {
    chunk->clear();
  }
  return processed;
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
  for (auto& [source, reported] : status_.positions) {
    if (const client::Fetcher::Ends ends = fetcher_.known_ends(source);
        ends.high_watermark != kNoOffset) {
      reported.last_stable = ends.last_stable;
      reported.end = ends.high_watermark;
    }
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

StageCause missing_topic(const std::string& topic) {
  return {fmt::format("{}, which does not exist", topic),
          "it is not made by the pipeline, as its name may be mistyped; make it (any producer or "
          "Kafka's tools do), or correct `topics` in source.kafka"};
}

}  // namespace onceflow::engine
