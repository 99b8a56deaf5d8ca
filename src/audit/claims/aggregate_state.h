// Claim: what an aggregating stage keeps of a key in its changelog is what it last wrote of it.
// Both are written in the same transactions, so once nothing is under way they must agree, key by
// key (STG-2). Keeps the last value of every key in memory, so only who asks for it gets it.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "audit/findings.h"
#include "audit/partition_scan.h"
#include "audit/subject.h"

namespace onceflow::audit {

/// The last committed value of each key of one partition.
class LastValues final : public RecordObserver {
 public:
  struct Last {
    std::optional<std::string> value;
    Offset offset;
  };

  explicit LastValues(TopicPartition partition) : partition_(std::move(partition)) {}

  void record(const protocol::RecordBatchHeader& batch, const protocol::RecordView& record,
              bool is_decided) override;
  void decided(ProducerId producer, bool is_committed) override;

  const TopicPartition& partition() const { return partition_; }
  const std::unordered_map<std::string, Last>& by_key() const { return by_key_; }

 private:
  TopicPartition partition_;
  std::unordered_map<std::string, Last> by_key_;
  std::map<ProducerId, std::vector<std::pair<std::string, Last>>> open_;
};

using LastValuesOf = std::map<TopicPartition, std::unique_ptr<LastValues>>;

/// `values` has the partitions of the stage's changelog and output topics.
void check_aggregate_state(const StageSubject& stage, const LastValuesOf& values,
                           Findings& findings);

}  // namespace onceflow::audit
