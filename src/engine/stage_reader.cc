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

std::string describe(const TopicPartition& partition) {
  return fmt::format("{}-{}", partition.topic, partition.partition.value);
}

}  // namespace

StageReader::StageReader(std::shared_ptr<client::Cluster> cluster, const Stage& stage,
                         const StageOptions& options, StageStatus& status)
    : cluster_(std::move(cluster)),
      options_(options),
      status_(status),
      group_(cluster_, group_options(stage, options), stage.source_topics),
      fetcher_(cluster_, options.fetch),
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
  while (!stopping_) {
    while (auto event = group_.take_event()) {
      switch (event->kind) {
        case client::GroupEvent::Kind::kAssigned:
          partitions_ = std::move(event->partitions);
          group_metadata_ = std::move(event->metadata);
          break;
        case client::GroupEvent::Kind::kRevoked:
          partitions_.clear();
          group_.give_up();
          break;
        case client::GroupEvent::Kind::kLost:
          partitions_.clear();
          break;
        case client::GroupEvent::Kind::kFenced:
          co_return fail(
              ErrorCode::kRefused,
              fmt::format("worker '{}': another live process is the same member of group "
                          "'{}'; give every worker of the pipeline its own name",
                          options_.worker, group_.metadata().group_id));
      }
    }
    if (!partitions_.empty()) {
      co_return partitions_;
    }
    status_.state = StageStatus::State::kWaitingForPartitions;
    co_await changed_.wait();
  }
  co_return std::vector<TopicPartition>{};
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
    StageStatus::Position& reported = status_.positions[position.source];
    reported.committed = position.offset;
    reported.end = fetcher_.known_end(position.source);
  }
}

Task<void> StageReader::leave() {
  fetcher_.close();
  co_await group_.leave(cluster_->scheduler().now() + seconds(5));
}

}  // namespace onceflow::engine
