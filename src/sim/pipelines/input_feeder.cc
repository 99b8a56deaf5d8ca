#include "sim/pipelines/input_feeder.h"

#include <algorithm>

#include "base/check.h"

namespace onceflow::sim {

namespace {

std::size_t hash_of(const Document& document) {
  std::uint32_t sum = 0;
  for (const char letter : document.key.json) {
    sum = sum * 31 + static_cast<unsigned char>(letter);
  }
  return sum;
}

}  // namespace

void InputFeeder::know_partitions(std::size_t count) {
  if (first_partition_count_ == 0) {
    first_partition_count_ = count;
  }
  input_.partitions.resize(std::max(count, input_.partitions.size()));
}

void InputFeeder::feed(SimProcess& process, client::Producer& producer, Document document) {
  const std::size_t index = placing_ == Placing::kByKey ? hash_of(document) % first_partition_count_
                                                        : random_.below(input_.partitions.size());
  feed_to(PartitionIndex(static_cast<std::int32_t>(index)), process, producer, std::move(document));
}

void InputFeeder::feed_to(PartitionIndex partition, SimProcess& process, client::Producer& producer,
                          Document document) {
  protocol::NewRecord record;
  record.timestamp_ms = process.scheduler().wall_now().ms;
  record.key = as_bytes(document.key.json);
  if (!document.is_tombstone) {
    record.value = as_bytes(document.json);
  }
  CHECK(producer.append(producer.slot({kInputTopic, partition}), record).has_value());
  input_.partitions[static_cast<std::size_t>(partition.value)].documents.push_back(
      std::move(document));
}

}  // namespace onceflow::sim
