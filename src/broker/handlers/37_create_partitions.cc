// CreatePartitions: the count is the new total. Stateless; on the broker's thread.
#include <algorithm>

#include "broker/handlers/handlers.h"

namespace onceflow::broker {
namespace {

using protocol::ErrorCode;
using TopicRequest = protocol::CreatePartitionsRequest::Topic;

// What the log would refuse, without doing it.
std::optional<log::Refusal> check(const BrokerCore& core, const TopicRequest& topic) {
  if (topic.is_repeated) {
    return log::Refusal{ErrorCode::kInvalidRequest, std::string(kGivenTwice)};
  }
  const log::Topic* const found = core.log.topics().find(topic.name);
  if (found == nullptr) {
    return log::Refusal{ErrorCode::kUnknownTopicOrPartition, "there is no such topic"};
  }
  if (std::cmp_less_equal(topic.count, found->partitions.size())) {
    return log::Refusal{ErrorCode::kInvalidPartitions,
                        "the topic has " + std::to_string(found->partitions.size()) +
                            " partitions; their number can only grow"};
  }
  const std::size_t added = static_cast<std::size_t>(topic.count) - found->partitions.size();
  if (topic.assignments && topic.assignments->size() != added) {
    return log::Refusal{ErrorCode::kInvalidReplicaAssignment,
                        "not one assignment for each new partition"};
  }
  return std::nullopt;
}

}  // namespace

protocol::CreatePartitionsResponse handle_create_partitions(
    BrokerCore& core, const Request&, const protocol::CreatePartitionsRequest& body) {
  protocol::CreatePartitionsResponse response;
  for (const TopicRequest& topic : body.topics) {
    auto& answered = response.results.emplace_back();
    answered.name = topic.name;
    std::optional<log::Refusal> refusal = check(core, topic);
    if (!refusal && !body.validate_only) {
      const auto added =
          core.changing([&] { return core.log.add_partitions(topic.name, topic.count); });
      if (!added) {
        refusal = added.error();
      }
    }
    if (refusal) {
      answered.error_code = refusal->code;
      answered.error_message = refusal->text;
    }
  }
  return response;
}

}  // namespace onceflow::broker
