#include "engine/topic_writer.h"

#include "base/record_hash.h"
#include "client/admin.h"
#include "client/partitioner.h"

namespace onceflow::engine {

Task<Status> TopicWriter::open(client::Cluster& cluster, MonotonicTime deadline) {
  const auto topic = co_await cluster.topic(topic_, deadline);
  CO_RETURN_IF_ERROR(topic);
  topic_id_ = topic->id;
  partitions_.assign(static_cast<std::size_t>(topic->partition_count()), {});
  for (std::int32_t partition = 0; partition < topic->partition_count(); ++partition) {
    partitions_[static_cast<std::size_t>(partition)].slot =
        output_.slot({topic_, PartitionIndex(partition)});
  }
  // A broker that does not say how much it takes says so of the batch that is too large.
  client::Admin admin(cluster.shared_from_this());
  if (const auto bytes_max = co_await admin.message_bytes_max(topic_, deadline)) {
    for (const PartitionTotals& partition : partitions_) {
      output_.limit_batches(partition.slot, *bytes_max);
    }
  } else if (bytes_max.error().code == ErrorCode::kCancelled) {
    co_return std::unexpected(bytes_max.error());
  }
  co_return Status{};
}

Status TopicWriter::append(const Record& record, PartitionIndex source_partition,
                           client::RecordOrigin origin) {
  const PartitionIndex partition = record.key
                                       ? client::partition_of_key(*record.key, partition_count())
                                       : PartitionIndex(source_partition.value % partition_count());
  return append_to(partition,
                   {.timestamp_ms = record.timestamp_ms,
                    .key = record.key,
                    .value = record.value,
                    .encoded_headers = record.headers},
                   origin);
}

Status TopicWriter::append_to(PartitionIndex partition, const protocol::NewRecord& record,
                              client::RecordOrigin origin) {
  PartitionTotals& totals = partitions_[static_cast<std::size_t>(partition.value)];
  RETURN_IF_ERROR(output_.append(totals.slot, record, origin));
  ++totals.record_count;
  totals.record_hash_sum += output_record_hash(partition, record.key, record.value);
  return {};
}

std::int64_t TopicWriter::record_count() const {
  std::int64_t count = 0;
  for (const PartitionTotals& totals : partitions_) {
    count += totals.record_count;
  }
  return count;
}

void TopicWriter::add_to(protocol::Receipt& receipt) const {
  for (std::size_t index = 0; index < partitions_.size(); ++index) {
    if (partitions_[index].record_count != 0) {
      receipt.outputs.push_back({.name = topic_,
                                 .partition = PartitionIndex(static_cast<std::int32_t>(index)),
                                 .record_count = partitions_[index].record_count,
                                 .record_hash_sum = partitions_[index].record_hash_sum});
    }
  }
}

void TopicWriter::reset() {
  for (PartitionTotals& totals : partitions_) {
    totals.record_count = 0;
    totals.record_hash_sum = 0;
  }
}

}  // namespace onceflow::engine
