#include "sim/checkers/storage_history.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/parse_number.h"
#include "log/topics.h"
#include "protocol/record_batch.h"

namespace onceflow::sim {

namespace {

constexpr std::size_t kReadBytes = 16 * 1024;
constexpr std::uint64_t kValueBytesMax = 300;

// Where a log that has the move may have its start: at most there, and never back.
void move(Stored& stored, const StorageHistory::LogStartMove& to) {
  StoredPartition& partition = stored.partition(to.topic, to.partition);
  partition.log_start = std::max(partition.log_start, to.to);
}

}  // namespace

std::string StorageHistory::value_of(std::uint64_t number, Offset offset) {
  const std::uint64_t filling = static_cast<std::uint64_t>(offset.value) * 37 % kValueBytesMax;
  return fmt::format("{:06}:{}", number, std::string(filling, 'x'));
}

void StorageHistory::done(JournalPosition end, Change change) {
  change(now_);
  done_.push_back({end, end, std::move(change), {}});
}

void StorageHistory::done(JournalPosition begin, JournalPosition end,
                          const std::vector<LogStartMove>& moves) {
  for (const LogStartMove& to : moves) {
    move(now_, to);
  }
  done_.push_back({begin, end, nullptr, moves});
}

void StorageHistory::begin_life(bool machine_went_down_on_os) {
  is_named_ = false;
  if (machine_went_down_on_os) {
    ++power_loss_count_;
    promised_ = recovered_;
  }
}

void StorageHistory::report(std::string_view invariant, const std::string& topic, std::size_t index,
                            std::string what) {
  findings_.report(invariant, fmt::format("{}-{}: {}", topic, index, std::move(what)));
}

// ----------------------------------------------------------------------------------------------
// After a start

void StorageHistory::fold(JournalPosition end) {
  now_ = base_;
  JournalPosition last = recovered_;
  for (const Done& done : done_) {
    if (done.end <= end) {
      last = std::max(last, done.end);
      if (done.change) {
        done.change(now_);
      }
      for (const LogStartMove& to : done.moves) {
        move(now_, to);
      }
    } else if (done.begin < end) {
      last = end;
      for (const LogStartMove& to : done.moves) {
        now_.partition(to.topic, to.partition).log_start_moving = to.to;
      }
    }
  }
  done_.clear();
  if (last != end) {
    findings_.report("LOG-2", fmt::format("the journal ends at {}, where nothing that was done "
                                          "ended; the last before it did at {}",
                                          end.value, last.value));
  }
}

void StorageHistory::recovered(log::Log& log, std::uint64_t records) {
  const JournalPosition end = log.end();
  if (end < promised_) {
    if (!is_named_) {
      findings_.report("LOG-1", fmt::format("the journal ends at {}; what was promised reaches to "
                                            "{}, and nothing was said of damage",
                                            end.value, promised_.value));
    }
    is_over_ = true;
    return;
  }
  fold(end);
  if (records != now_.records) {
    findings_.report("LOG-1", "the coordinators' records are not those that were written");
  }
  const auto& topics = log.topics().by_name();
  for (const auto& [name, topic] : topics) {
    if (!now_.topics.contains(name)) {
      findings_.report("LOG-2", fmt::format("topic {} is there and should not be", name));
    }
  }
  for (auto& [name, stored] : now_.topics) {
    const auto found = topics.find(name);
    if (found == topics.end() || found->second->id != stored.id ||
        found->second->partitions.size() != stored.partitions.size()) {
      findings_.report("LOG-1", fmt::format("topic {} is not the one that was made", name));
      continue;
    }
    if (found->second->overrides != stored.overrides) {
      findings_.report("LOG-1",
                       fmt::format("topic {} has not the configuration it was given", name));
    }
    for (std::size_t index = 0; index < stored.partitions.size(); ++index) {
      compare(name, index, stored.partitions[index], *found->second->partitions[index]);
    }
  }
  if (!findings_.empty()) {
    return;
  }
  base_ = now_;
  recovered_ = end;
  promise(end);  // recovery has made durable what it found
  read_all(log);
}

void StorageHistory::compare(const std::string& name, std::size_t index, StoredPartition& stored,
                             log::Partition& partition) {
  if (partition.log_end_offset() != stored.end() ||
      partition.high_watermark() != partition.log_end_offset()) {
    report("LOG-1", name, index,
           fmt::format("ends at {}, its high watermark is {}; {} records were written",
                       partition.log_end_offset().value, partition.high_watermark().value,
                       stored.records.size()));
  }
  if (stored.log_start_moving && partition.log_start_offset() == *stored.log_start_moving) {
    stored.log_start = *stored.log_start_moving;
  }
  stored.log_start_moving.reset();
  if (partition.log_start_offset() != stored.log_start) {
    report("LOG-3", name, index,
           fmt::format("begins at {}, its log start was moved to {}",
                       partition.log_start_offset().value, stored.log_start.value));
  }
  Offset stable = stored.end();
  for (const auto& [producer, first] : stored.open) {
    stable = std::min(stable, first);
  }
  if (partition.last_stable_offset() != stable ||
      partition.open_transactions().size() != stored.open.size()) {
    report(
        "TXN-1", name, index,
        fmt::format("the last stable offset is {} with {} open transactions instead of {} with {}",
                    partition.last_stable_offset().value, partition.open_transactions().size(),
                    stable.value, stored.open.size()));
  }
  // Those before the log start are forgotten.
  if (stored.log_start == Offset(0) &&
      partition.aborted_transactions(Offset(0), partition.high_watermark()).size() !=
          stored.aborted_count) {
    report("TXN-1", name, index, "the aborted transactions are not those that were aborted");
  }
}

// ----------------------------------------------------------------------------------------------
// Readers

void StorageHistory::read_all(log::Log& log) {
  for (const auto& [name, topic] : log.topics().by_name()) {
    for (std::size_t index = 0; index < topic->partitions.size(); ++index) {
      read(name, index, *topic->partitions[index]);
    }
  }
}

void StorageHistory::read(const std::string& topic, std::size_t index, log::Partition& partition) {
  const StoredPartition& stored = now_.partition(topic, index);
  const Offset end = partition.high_watermark();
  if (end > stored.end() || partition.log_start_offset() != stored.log_start) {
    report(
        "LOG-2", topic, index,
        fmt::format("shows offsets {} to {}; it has {} to {}", partition.log_start_offset().value,
                    end.value, stored.log_start.value, stored.end().value));
    return;
  }
  if (const auto last = stored.position_of_end.upper_bound(end);
      last != stored.position_of_end.begin()) {
    promise(std::prev(last)->second);
  }
  Offset from = partition.log_start_offset();
  while (from < end) {
    Buffer bytes;
    const auto read =
        partition.read(from, kReadBytes, log::IsolationLevel::kReadUncommitted, bytes);
    if (!read || bytes.empty()) {
      if (!is_named_) {
        report("LOG-1", topic, index, fmt::format("offset {} cannot be read", from.value));
      }
      return;
    }
    protocol::RecordBatchReader batches{ByteView(bytes)};
    while (from < read->end) {
      const auto batch = batches.next();
      if (!batch || !*batch || !(*batch)->crc_matches()) {
        report("LOG-3", topic, index,
               fmt::format("what it serves as offset {} does not decode or has a wrong checksum",
                           from.value));
        return;
      }
      if (!was_written(stored, **batch)) {
        report("LOG-3", topic, index,
               fmt::format("what it serves at offset {} was not written there", from.value));
        return;
      }
      from = (*batch)->header().next_offset();
    }
  }
}

bool StorageHistory::was_written(const StoredPartition& stored,
                                 const protocol::RecordBatchView& batch) {
  const protocol::RecordBatchHeader& header = batch.header();
  const auto decoded = protocol::DecodedBatch::decode(batch);
  if (!decoded || header.next_offset() > stored.end()) {
    return false;
  }
  protocol::RecordReader records = decoded->records();
  return std::ranges::all_of(records, [&](const protocol::RecordView& record) {
    const Offset offset = header.offset_of(record);
    const StoredRecord& written = stored.records[static_cast<std::size_t>(offset.value)];
    return header.is_control()
               ? written.number == 0
               : written.number != 0 &&
                     as_text(record.value.value_or(ByteView{})) == value_of(written.number, offset);
  });
}

namespace {
/// `judge` gets the number of each record, nullopt if its value is not one of ours.
template <typename Judge>
bool all_records(const protocol::RecordBatchView& batch, const Judge& judge) {
  const auto decoded = protocol::DecodedBatch::decode(batch);
  if (!decoded) {
    return false;
  }
  protocol::RecordReader records = decoded->records();
  return std::ranges::all_of(records, [&](const protocol::RecordView& record) {
    const Offset offset = batch.header().offset_of(record);
    const std::string_view value = as_text(record.value.value_or(ByteView{}));
    const auto number = parse_number<std::uint64_t>(value.substr(0, value.find(':')));
    return number && value == StorageHistory::value_of(*number, offset) && judge(*number, offset);
  });
}
}  // namespace

bool StorageHistory::was_once_written(const TopicId& topic, std::size_t partition,
                                      const protocol::RecordBatchView& batch) const {
  return batch.header().is_control() ||
         all_records(batch, [&](std::uint64_t number, Offset offset) {
           const auto place = places_.find(number);
           return place != places_.end() && place->second == Place{topic, partition, offset};
         });
}

bool StorageHistory::may_be_of_another_file(const protocol::RecordBatchView& batch) const {
  return damage_count_ + power_loss_count_ > 1 &&
         all_records(batch, [&](std::uint64_t number, Offset offset) {
           const auto place = places_.find(number);
           return place != places_.end() && place->second.offset == offset;
         });
}

Offset StorageHistory::promised_end(const StoredPartition& partition) const {
  Offset end{0};
  for (const auto& [next, position] : partition.position_of_end) {
    end = position <= promised_ ? next : end;
  }
  return end;
}

namespace {

// A segment whose latest record is of the future, by a clock that has gone back since, is at least
// as old as what follows it.
bool is_before_what_is_too_old(const StoredPartition& stored, Offset offset, std::int64_t now_ms,
                               std::int64_t retention_ms) {
  bool is_after_the_future = false;  // it may be before `offset` in the same segment
  for (auto place = static_cast<std::size_t>(stored.log_start.value); place < stored.records.size();
       ++place) {
    const std::int64_t age_ms = now_ms - stored.records[place].timestamp_ms;
    if (is_after_the_future && age_ms > retention_ms && std::cmp_greater(place, offset.value)) {
      return true;
    }
    is_after_the_future |= age_ms < 0;
  }
  return false;
}

}  // namespace

void StorageHistory::judge_retention(const std::string& topic, std::size_t index,
                                     const log::Partition& partition, std::int64_t now_ms) {
  const log::TopicConfig& config = partition.topic().config;
  const StoredPartition& stored = now_.partition(topic, index);
  if (partition.log_start_offset() > partition.last_stable_offset()) {
    report("LOG-1", topic, index, "retention took what is not stable");
  }
  const bool is_too_small =
      config.retention_bytes >= 0 &&
      partition.size_bytes() < static_cast<std::uint64_t>(config.retention_bytes);
  for (Offset offset = stored.log_start; offset < partition.log_start_offset();
       offset = offset + 1) {
    const StoredRecord& taken = stored.records[static_cast<std::size_t>(offset.value)];
    const bool is_old = config.retention_ms >= 0 &&
                        (now_ms - taken.timestamp_ms > config.retention_ms ||
                         is_before_what_is_too_old(stored, offset, now_ms, config.retention_ms));
    const bool is_too_much = config.retention_bytes >= 0 && !is_too_small;
    if (!is_old && !is_too_much) {
      report("LOG-1", topic, index,
             fmt::format("retention took offset {} of {} ms ago and left {} bytes; retention.ms is "
                         "{}, retention.bytes {}",
                         offset.value, now_ms - taken.timestamp_ms, partition.size_bytes(),
                         config.retention_ms, config.retention_bytes));
      return;
    }
  }
}

}  // namespace onceflow::sim
