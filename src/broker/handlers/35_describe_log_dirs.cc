// DescribeLogDirs: the one data directory, and what each partition takes of it. Stateless; on the
// broker's thread.
#include <algorithm>

#include "broker/handlers/handlers.h"

namespace onceflow::broker {
namespace {

using TopicRequest = protocol::DescribeLogDirsRequest::Topic;
using LogDir = protocol::DescribeLogDirsResponse::LogDir;

bool is_asked_for(const protocol::DescribeLogDirsRequest& body, const std::string& topic,
                  std::int32_t partition) {
  if (!body.topics) {
    return true;
  }
  return std::ranges::any_of(*body.topics, [&](const TopicRequest& asked) {
    return asked.topic == topic &&
           std::ranges::find(asked.partitions, partition) != asked.partitions.end();
  });
}

void add_topic(const protocol::DescribeLogDirsRequest& body, const log::Topic& topic, LogDir& dir) {
  protocol::DescribeLogDirsResponse::Topic answered;
  answered.name = topic.name;
  for (const auto& partition : topic.partitions) {
    const std::int32_t index = partition->id().partition.value;
    if (is_asked_for(body, topic.name, index)) {
      answered.partitions.push_back(
          {.partition_index = index,
           .partition_size = static_cast<std::int64_t>(partition->size_bytes())});
    }
  }
  if (!answered.partitions.empty()) {
    dir.topics.push_back(std::move(answered));
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
  for (const auto& [name, topic] : core.log.topics().by_name()) {
    add_topic(body, *topic, dir);
  }
  return response;
}

}  // namespace onceflow::broker
