// MemoryLog: a LogReader over a history that a test writes batch by batch, so that it can be wrong
// in any way that a test wants to see named.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "audit/log_reader.h"
#include "base/record_hash.h"
#include "protocol/control_batch.h"
#include "protocol/receipt.h"
#include "protocol/record_batch_builder.h"

namespace onceflow::audit {

struct TestRecord {
  std::string key;
  std::string value;
};

inline TopicPartition at(const std::string& topic, std::int32_t partition) {
  return {topic, PartitionIndex(partition)};
}

class MemoryLog final : public LogReader {
 public:
  struct Batch {
    Offset base;
    Offset next;
    Buffer bytes;
    ProducerIdentity producer;
    bool is_transactional = false;
    std::optional<bool> ends_committed;  ///< of a marker
    std::vector<TestRecord> records;
  };

  void create(const std::string& topic, std::int32_t partition_count) {
    topics_[topic].partition_count = partition_count;
  }
  void set_id(const std::string& topic, std::uint8_t id) { topics_[topic].id.bytes[0] = id; }
  void set_compacted(const std::string& topic) { topics_[topic].is_compacted = true; }
  std::vector<Batch>& batches(const TopicPartition& partition) { return batches_[partition]; }

  /// Nobody's producer: committed at once.
  Offset append(const TopicPartition& partition, std::vector<TestRecord> records) {
    return append(partition, {}, false, std::move(records));
  }
  Offset append(const TopicPartition& partition, ProducerIdentity producer, bool is_transactional,
                std::vector<TestRecord> records) {
    protocol::RecordBatchBuilder builder;
    for (const TestRecord& record : records) {
      builder.append(
          {.timestamp_ms = 1, .key = as_bytes(record.key), .value = as_bytes(record.value)});
    }
    const Offset base = end(partition);
    const bool has_producer = producer.id != kNoProducerId;
    std::int32_t& sequence = sequences_[{partition, producer}];
    Buffer bytes = builder.finish({.base_offset = base,
                                   .producer = producer,
                                   .base_sequence = has_producer ? Sequence(sequence) : kNoSequence,
                                   .is_transactional = is_transactional});
    sequence += static_cast<std::int32_t>(records.size());
    batches_[partition].push_back({base, base + static_cast<std::int64_t>(records.size()),
                                   std::move(bytes), producer, is_transactional, std::nullopt,
                                   std::move(records)});
    return base;
  }
  void end_transaction(const TopicPartition& partition, ProducerIdentity producer,
                       bool is_committed) {
    const Offset base = end(partition);
    const protocol::EndTransactionMarker marker{.type = is_committed
                                                            ? protocol::ControlRecordType::kCommit
                                                            : protocol::ControlRecordType::kAbort,
                                                .producer = producer};
    batches_[partition].push_back({base,
                                   base + 1,
                                   protocol::encode_end_transaction_marker(marker, base, 0),
                                   producer,
                                   true,
                                   is_committed,
                                   {}});
  }
  Offset end(const TopicPartition& partition) {
    const auto& batches = batches_[partition];
    return batches.empty() ? Offset(0) : batches.back().next;
  }
  void set_position(const std::string& group, const TopicPartition& source, Offset position) {
    positions_[group][source] = position;
  }
  void set_start(const TopicPartition& partition, Offset start) { starts_[partition] = start; }
  /// A broker that does not tell consumers which transactions were aborted.
  void forget_aborted() { tells_aborted_ = false; }

  /// What an honest reader of [from, next) counts.
  protocol::Receipt::Input read(const TopicPartition& source, Offset from, Offset next) {
    protocol::Receipt::Input input{.source = source, .from_offset = from, .next_offset = next};
    for (const Batch& batch : batches_[source]) {
      if (batch.ends_committed || !is_committed(source, batch)) {
        continue;
      }
      for (std::size_t index = 0; index < batch.records.size(); ++index) {
        const Offset offset = batch.base + static_cast<std::int64_t>(index);
        if (offset >= from && offset < next) {
          ++input.record_count;
          input.record_hash_sum +=
              input_record_hash(source.partition, offset, as_bytes(batch.records[index].key),
                                as_bytes(batch.records[index].value));
        }
      }
    }
    return input;
  }

  // ---- LogReader

  Task<Result<std::optional<TopicDescription>>> describe(std::string topic) override {
    const auto place = topics_.find(topic);
    co_return place == topics_.end() ? std::nullopt : std::optional(place->second);
  }
  Task<Result<PartitionBounds>> bounds(TopicPartition partition) override {
    co_return PartitionBounds{starts_[partition], last_stable_offset(partition), end(partition)};
  }
  Task<Result<FetchedBatches>> fetch(TopicPartition partition, Offset from,
                                     Isolation isolation) override {
    FetchedBatches fetched;
    const bool committed_only = isolation == Isolation::kReadCommitted;
    const Offset until = committed_only ? last_stable_offset(partition) : end(partition);
    for (const Batch& batch : batches_[partition]) {
      if (batch.next > from && batch.base < until) {
        onceflow::append(fetched.bytes, batch.bytes);
        if (committed_only && tells_aborted_ && !batch.ends_committed &&
            !is_committed(partition, batch)) {
          fetched.aborted_transactions.push_back({batch.producer.id, batch.base});
        }
      }
    }
    co_return fetched;
  }
  Task<Result<std::vector<GroupPosition>>> positions(
      std::string group_id, std::vector<TopicPartition> partitions) override {
    std::vector<GroupPosition> positions;
    for (const TopicPartition& partition : partitions) {
      const auto place = positions_[group_id].find(partition);
      positions.push_back(
          {partition, place == positions_[group_id].end() ? kNoOffset : place->second});
    }
    co_return positions;
  }
  Task<void> pause() override { co_return; }

 private:
  /// How the transaction of a batch ended; nullopt: it has not.
  std::optional<bool> ending(const TopicPartition& partition, const Batch& batch) {
    for (const Batch& other : batches_[partition]) {
      if (other.base > batch.base && other.ends_committed &&
          other.producer.id == batch.producer.id) {
        return other.ends_committed;
      }
    }
    return std::nullopt;
  }
  bool is_committed(const TopicPartition& partition, const Batch& batch) {
    return !batch.is_transactional || ending(partition, batch).value_or(false);
  }
  Offset last_stable_offset(const TopicPartition& partition) {
    for (const Batch& batch : batches_[partition]) {
      if (batch.is_transactional && !batch.ends_committed && !ending(partition, batch)) {
        return batch.base;
      }
    }
    return end(partition);
  }

  std::map<std::string, TopicDescription> topics_;
  std::map<TopicPartition, std::vector<Batch>> batches_;
  std::map<std::pair<TopicPartition, ProducerIdentity>, std::int32_t> sequences_;
  std::map<TopicPartition, Offset> starts_;
  std::map<std::string, std::map<TopicPartition, Offset>> positions_;
  bool tells_aborted_ = true;
};

/// Runs a task that never waits for anything outside.
template <typename T>
T run_now(Task<T> task) {
  std::optional<T> result;
  const auto collect = [](Task<T> inner, std::optional<T>& place) -> Task<void> {
    place.emplace(co_await inner);
  };
  Task<void> outer = collect(std::move(task), result);
  outer.start();
  CHECK(result.has_value());
  return std::move(*result);
}

}  // namespace onceflow::audit
