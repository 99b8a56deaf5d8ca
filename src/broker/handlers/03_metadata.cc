// Metadata: one broker, which leads every partition; makes topics that are asked for by name, where
// that is allowed. Stateless; on the broker's thread.
#include "broker/answer_bytes.h"
#include "broker/handlers/handlers.h"
#include "broker/handlers/no_authorizer.h"

namespace onceflow::broker {
namespace {

using protocol::ErrorCode;
using TopicResponse = protocol::MetadataResponse::Topic;

TopicResponse describe(const BrokerCore& core, const log::Topic& topic) {
  TopicResponse response;
  response.name = topic.name;
  response.topic_id = topic.id;
  response.partitions.reserve(topic.partitions.size());
  const std::int32_t node_id = core.options.node_id;
  for (std::size_t index = 0; index < topic.partitions.size(); ++index) {
    auto& partition = response.partitions.emplace_back();
    partition.partition_index = static_cast<std::int32_t>(index);
    partition.leader_id = node_id;
    partition.leader_epoch = 0;
    partition.replica_nodes = {node_id};
    partition.isr_nodes = {node_id};
  }
  return response;
}

TopicResponse find_by_id(const BrokerCore& core, const TopicId& id) {
  if (const log::Topic* const topic = core.log.topics().find(id)) {
    return describe(core, *topic);
  }
  TopicResponse response;
  response.error_code = ErrorCode::kUnknownTopicId;
  response.topic_id = id;
  return response;
}

enum class IfMissing { kCreate, kRefuse };

TopicResponse find_by_name(BrokerCore& core, const std::string& name, IfMissing if_missing) {
  if (const log::Topic* const topic = core.log.topics().find(name)) {
    return describe(core, *topic);
  }
  TopicResponse response;
  response.name = name;
  if (!log::check_topic_name(name)) {
    response.error_code = ErrorCode::kInvalidTopicException;
    return response;
  }
  response.error_code = ErrorCode::kUnknownTopicOrPartition;
  if (if_missing == IfMissing::kRefuse) {
    return response;
  }
  const auto created =
      core.changing([&] { return core.log.create_topic(name, core.options.num_partitions); });
  if (!created) {
    response.error_code = created.error().code;
    return response;
  }
  return describe(core, *core.log.topics().find(name));
}

}  // namespace

protocol::MetadataResponse handle_metadata(BrokerCore& core, const Request& request,
                                           const protocol::MetadataRequest& body) {
  protocol::MetadataResponse response;
  const io::Endpoint advertised = core.advertised();
  auto& broker = response.brokers.emplace_back();
  broker.node_id = core.options.node_id;
  broker.host = advertised.host;
  broker.port = advertised.port;
  response.cluster_id = core.cluster_id;
  response.controller_id = core.options.node_id;

  if (body.include_cluster_authorized_operations) {
    response.cluster_authorized_operations = kClusterOperations;
  }
  const auto operations_of_topics = [&] {
    for (TopicResponse& topic : response.topics) {
      if (body.include_topic_authorized_operations && topic.error_code == ErrorCode::kNone) {
        topic.topic_authorized_operations = kTopicOperations;
      }
    }
  };

  if (asks_for_all(request, body)) {
    response.topics.reserve(core.log.topics().by_name().size());
    for (const auto& [name, topic] : core.log.topics().by_name()) {
      response.topics.push_back(describe(core, *topic));
    }
    operations_of_topics();
    return response;
  }
  const auto if_missing = core.options.auto_create_topics && body.allow_auto_topic_creation
                              ? IfMissing::kCreate
                              : IfMissing::kRefuse;
  for (const auto& topic : *body.topics) {
    response.topics.push_back(topic.name ? find_by_name(core, *topic.name, if_missing)
                                         : find_by_id(core, topic.topic_id));
  }
  operations_of_topics();
  return response;
}

}  // namespace onceflow::broker
