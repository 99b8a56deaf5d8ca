#include "engine/input_comparison.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/record_hash.h"

namespace onceflow::engine {
namespace {

using Input = protocol::Receipt::Input;

constexpr Duration kPollInterval = milliseconds(50);
constexpr std::int32_t kAnswerBytesMax = 4 << 20;
constexpr std::int32_t kPartitionBytesMax = 256 << 10;

std::string place_of(const Input& input) {
  return fmt::format("{}-{} offsets {}..{}", input.source.topic, input.source.partition.value,
                     input.from_offset.value, input.next_offset.value - 1);
}

}  // namespace

InputComparison::InputComparison(std::shared_ptr<client::Cluster> cluster,
                                 client::FetchOptions fetch, Bounds bounds)
    : cluster_(std::move(cluster)), fetch_(fetch), bounds_(bounds) {
  fetch_.fetch_wait_max = kPollInterval;
  fetch_.fetch_bytes_max = std::min(fetch_.fetch_bytes_max, kAnswerBytesMax);
  fetch_.partition_bytes_max = std::min(fetch_.partition_bytes_max, kPartitionBytesMax);
}

Task<std::vector<Input>> InputComparison::find_changed(std::vector<Input> inputs) {
  Opened open;
  std::vector<client::Fetcher::Position> positions;
  positions.reserve(inputs.size());
  for (const Input& input : inputs) {
    if (input.from_offset < input.next_offset) {
      positions.push_back({input.source, input.from_offset, input.topic_id});
      open[input.source] = {.input = input};
    }
  }
  if (open.empty()) {
    co_return std::vector<Input>{};
  }
  client::Fetcher fetcher(cluster_, fetch_);
  fetcher.assign(std::move(positions));
  const MonotonicTime until = cluster_->scheduler().now() + bounds_.time_max;
  std::string why = "it took too long";
  while (!open.empty() && cluster_->scheduler().now() < until) {
    const auto polled =
        co_await fetcher.poll(std::min(until, cluster_->scheduler().now() + kPollInterval));
    if (!polled) {
      why = "its log could not be read";  // The reader comes to it, and says more.
      break;
    }
    for (const client::OffsetOutOfRange& one : polled->out_of_range) {
      if (const auto place = open.find(one.partition); place != open.end()) {
        out_of_range_.push_back(std::move(place->second.input));
        open.erase(place);
      }
    }
    for (const client::FetchedRun& run : polled->runs) {
      add(run, open);
      if (!open.contains(run.partition)) {
        fetcher.pause(run.partition);
      }
    }
    drop_hidden(fetcher, open);
    if (read_bytes_ > bounds_.bytes_max) {
      why = "they are too large to be read again at each start";
      break;
    }
  }
  if (const auto trouble = fetcher.trouble()) {
    why = trouble->error.text;
  }
  for (const auto& [source, left] : open) {
    leave_out(left.input, why);
  }
  fetcher.close();
  co_await judge_out_of_range();
  co_return co_await judge(std::move(read_));
}

void InputComparison::add(const client::FetchedRun& run, Opened& open) {
  const auto place = open.find(run.partition);
  if (place == open.end()) {
    return;
  }
  Open& reading = place->second;
  for (const client::LostRange& lost : run.lost) {
    reading.lost_count +=
        std::max<std::int64_t>(0, std::min(lost.next, reading.input.next_offset) - lost.from);
  }
  const Status whole = run.for_each(
      [&](const protocol::RecordBatchHeader& header, const protocol::RecordView& record) {
        const Offset offset = header.offset_of(record);
        if (offset >= reading.input.next_offset) {
          return;
        }
        ++reading.record_count;
        reading.record_hash_sum +=
            input_record_hash(run.partition.partition, offset, record.key, record.value);
        read_bytes_ +=
            record.key.value_or(ByteView{}).size() + record.value.value_or(ByteView{}).size();
      });
  if (!whole) {
    leave_out(reading.input, "its log could not be read");
    open.erase(place);
  } else if (run.next_offset >= reading.input.next_offset) {
    read_.push_back(std::move(reading));
    open.erase(place);
  }
}

void InputComparison::drop_hidden(const client::Fetcher& fetcher, Opened& open) {
  const bool is_read_committed = fetch_.isolation_level == client::IsolationLevel::kReadCommitted;
  std::erase_if(open, [&](const auto& entry) {
    const client::Fetcher::Ends ends = fetcher.known_ends(entry.first);
    const Offset next = entry.second.input.next_offset;
    if (ends.high_watermark == kNoOffset) {
      return false;  // It has not answered yet.
    }
    const bool is_hidden =
        ends.high_watermark < next || (is_read_committed && ends.last_stable < next);
    if (is_hidden) {
      hide(entry.second.input);
    }
    return is_hidden;
  });
}

Task<void> InputComparison::judge_out_of_range() {
  if (out_of_range_.empty()) {
    co_return;
  }
  std::vector<TopicPartition> partitions;
  partitions.reserve(out_of_range_.size());
  for (const Input& input : out_of_range_) {
    partitions.push_back(input.source);
  }
  client::Admin admin(cluster_);
  const auto starts = co_await admin.list_offsets(std::move(partitions), client::Admin::kEarliest,
                                                  client::IsolationLevel::kReadUncommitted,
                                                  cluster_->scheduler().now() + bounds_.time_max);
  for (const Input& input : out_of_range_) {
    const bool was_deleted =
        starts && std::ranges::any_of(*starts, [&](const client::ListedOffset& start) {
          return start.partition == input.source && start.offset > input.from_offset;
        });
    if (was_deleted) {
      leave_out(input, "they were deleted");
    } else {
      hide(input);
    }
  }
}

// Compaction takes records away, and never adds or alters one.
Task<std::vector<Input>> InputComparison::judge(std::vector<Open> read) {
  std::vector<Input> changed;
  client::Admin admin(cluster_);
  const MonotonicTime until = cluster_->scheduler().now() + bounds_.time_max;
  for (const Open& one : read) {
    const Input& input = one.input;
    if (one.record_count == input.record_count && one.record_hash_sum == input.record_hash_sum) {
      continue;
    }
    if (one.lost_count > 0 && one.record_count < input.record_count) {
      lost_.push_back(input);
      continue;
    }
    if (one.record_count < input.record_count) {
      const auto policy = co_await admin.topic_config(input.source.topic, "cleanup.policy", until);
      if (!policy || policy->contains("compact")) {
        leave_out(input, policy ? "the topic is compacted" : "its cleanup.policy is not known");
        continue;
      }
    }
    changed.push_back(input);
  }
  co_return changed;
}

void InputComparison::hide(const Input& input) {
  hidden_ += (hidden_.empty() ? "" : ", ") + place_of(input);
}

void InputComparison::leave_out(const Input& input, std::string_view why) {
  remark_ += fmt::format("{}{} are not compared with the newest receipt: {}",
                         remark_.empty() ? "" : "; ", place_of(input), why);
}

}  // namespace onceflow::engine
