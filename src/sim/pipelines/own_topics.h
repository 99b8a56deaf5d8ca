// OwnTopics: the topics that a pipeline writes, by what they are for; and what an operator, or
// somebody else, does to topics. Stateless.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "client/cluster.h"
#include "pipeline/planner.h"

namespace onceflow::sim {

struct OwnTopic {
  enum class Use : std::uint8_t {
    kDefinitions,
    kReceipts,
    kChangelog,
    kBetweenStages,  ///< the pipeline's alone, from one stage to the next
    kResults,        ///< named in the file
  };
  std::string name;
  Use use = Use::kResults;
};

std::vector<OwnTopic> own_topics(const pipeline::PlannedPipeline& planned);
std::string describe(const OwnTopic& topic);

/// Deletes the topic's records, all of them.
Task<void> empty_topic(std::shared_ptr<client::Cluster> cluster, std::string topic,
                       MonotonicTime deadline);
/// Until the topic has that many partitions.
Task<void> grow_topic(std::shared_ptr<client::Cluster> cluster, std::string topic,
                      std::int32_t partition_count, MonotonicTime deadline);

}  // namespace onceflow::sim
