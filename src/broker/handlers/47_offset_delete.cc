// OffsetDelete: forgets a group's offsets of partitions that none of its members reads. Stateless;
// on the broker's thread.
#include <algorithm>
#include <set>

#include "broker/handlers/handlers.h"
#include "broker/handlers/names.h"

namespace onceflow::broker {
namespace {

using protocol::ErrorCode;

constexpr std::string_view kConsumerProtocol = "consumer";

/// The topics that members subscribe to; nullopt if that cannot be known now.
std::optional<std::set<std::string>> subscribed_topics(const coordinator::GroupDescription& group) {
  std::set<std::string> topics;
  for (const auto& member : group.members) {
    WireReader reader(member.metadata);
    const std::int16_t version = reader.read_int16();
    using Subscription = protocol::ConsumerProtocolSubscription;
    const auto subscription = Subscription::decode(
        reader, std::clamp(version, Subscription::kVersionMin, Subscription::kVersionMax));
    if (!subscription) {
      return std::nullopt;
    }
    topics.insert(subscription->topics.begin(), subscription->topics.end());
  }
  return topics;
}

class OffsetDelete {
 public:
  OffsetDelete(BrokerCore& core, const protocol::OffsetDeleteRequest& body)
      : core_(core), body_(body) {}

  protocol::OffsetDeleteResponse run() {
    const coordinator::GroupDescription group = core_.coordinator.groups().describe(body_.group_id);
    protocol::OffsetDeleteResponse response;
    if (body_.group_id.empty()) {
      response.error_code = ErrorCode::kInvalidGroupId;
    } else if (group.state == "Dead") {
      response.error_code = ErrorCode::kGroupIdNotFound;
    } else if (!group.members.empty() && group.protocol_type != kConsumerProtocol) {
      response.error_code = ErrorCode::kNonEmptyGroup;
    } else {
      subscribed_ = subscribed_topics(group);
      remove(response);
    }
    return response;
  }

 private:
  void remove(protocol::OffsetDeleteResponse& response) {
    std::vector<TopicIdPartition> deleted;
    for (const auto& topic : body_.topics) {
      auto& answered = response.topics.emplace_back();
      answered.name = topic.name;
      for (const auto& partition : topic.partitions) {
        auto& one = answered.partitions.emplace_back();
        one.partition_index = partition.partition_index;
        const auto id = identify(core_, topic.name, partition.partition_index);
        one.error_code = may_remove(topic.name, id.has_value());
        if (one.error_code == ErrorCode::kNone) {
          deleted.push_back(*id);
        }
      }
    }
    const std::vector<ErrorCode> errors = core_.changing([&] {
      auto answered =
          core_.coordinator.groups().delete_offsets(body_.group_id, deleted, core_.effects);
      core_.settle();
      return answered;
    });
    std::size_t asked = 0;
    for (auto& topic : response.topics) {
      for (auto& partition : topic.partitions) {
        if (partition.error_code == ErrorCode::kNone) {
          partition.error_code = errors[asked++];
        }
      }
    }
  }

  ErrorCode may_remove(const std::string& topic, bool is_known) const {
    if (!is_known) {
      return ErrorCode::kUnknownTopicOrPartition;
    }
    return !subscribed_ || subscribed_->contains(topic) ? ErrorCode::kGroupSubscribedToTopic
                                                        : ErrorCode::kNone;
  }

  BrokerCore& core_;
  const protocol::OffsetDeleteRequest& body_;
  std::optional<std::set<std::string>> subscribed_;
};

}  // namespace

protocol::OffsetDeleteResponse handle_offset_delete(BrokerCore& core, const Request&,
                                                    const protocol::OffsetDeleteRequest& body) {
  return OffsetDelete(core, body).run();
}

}  // namespace onceflow::broker
