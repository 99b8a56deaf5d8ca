// DescribeLogDirs: the one data directory, and what each partition takes of it. Stateless; on the
// broker's thread.
#include "broker/handlers/handlers.h"

namespace onceflow::broker {
namespace {

using LogDir = protocol::DescribeLogDirsResponse::LogDir;
using TopicResponse = protocol::DescribeLogDirsResponse::Topic;

void add_partition(const log::Partition& partition, TopicResponse& answered) {
  answered.partitions.push_back(
      {.partition_index = partition.id().partition.value,
       .partition_size = static_cast<std::int64_t>(partition.size_bytes())});
}

void add_all(const BrokerCore& core, LogDir& dir) {
  for (const auto& [name, topic] : core.log.topics().by_name()) {
    TopicResponse& answered = dir.topics.emplace_back();
    answered.name = name;
    for (const auto& partition : topic->partitions) {
      add_partition(*partition, answered);
    }
  }
}

/// What does not exist is left out, as by Kafka.
void add_named(const BrokerCore& core, const protocol::DescribeLogDirsRequest& body, LogDir& dir) {
  for (const auto& asked : *body.topics) {
    TopicResponse answered;
    answered.name = asked.topic;
    for (const std::int32_t index : asked.partitions) {
      if (const log::Partition* const partition =
              core.log.topics().find(asked.topic, PartitionIndex(index))) {
        add_partition(*partition, answered);
      }
    }
    if (!answered.partitions.empty()) {
      dir.topics.push_back(std::move(answered));
    }
  }
}

}  // namespace

protocol::DescribeLogDirsResponse handle_describe_log_dirs(
    BrokerCore& core, const Request&, const protocol::DescribeLogDirsRequest& body) {
  protocol::DescribeLogDirsResponse response;
  LogDir& dir = response.results.emplace_back();
  const std::string& directory = core.options.log.directory;
  dir.log_dir = directory;
  if (const auto free_bytes = core.environment.disk.free_bytes(directory)) {
    dir.usable_bytes = static_cast<std::int64_t>(*free_bytes);
  }
  if (body.topics) {
    add_named(core, body, dir);
  } else {
    add_all(core, dir);
  }
  return response;
}

}  // namespace onceflow::broker
