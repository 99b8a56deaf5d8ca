// DeleteTopics: by name, or from version 6 on by id. Stateless; on the broker's thread.
#include "broker/handlers/handlers.h"

namespace onceflow::broker {
namespace {

using protocol::ErrorCode;
using TopicResponse = protocol::DeleteTopicsResponse::Topic;

void remove(BrokerCore& core, const log::Topic* topic, ErrorCode if_missing,
            TopicResponse& response) {
  if (topic == nullptr) {
    response.error_code = if_missing;
    return;
  }
  const TopicId id = topic->id;
  const std::string name = topic->name;
  response.topic_id = id;
  response.name = name;
  const auto deleted = core.changing([&] {
    auto done = core.log.delete_topic(name);
    if (done) {
      core.coordinator.on_topic_deleted(id);
    }
    return done;
  });
  if (!deleted) {
    response.error_code = deleted.error().code;
    response.error_message = deleted.error().text;
  }
}

}  // namespace

protocol::DeleteTopicsResponse handle_delete_topics(BrokerCore& core, const Request&,
                                                    const protocol::DeleteTopicsRequest& body) {
  protocol::DeleteTopicsResponse response;
  const log::Topics& topics = core.log.topics();
  for (const std::string& name : body.topic_names) {
    auto& answered = response.responses.emplace_back();
    answered.name = name;
    remove(core, topics.find(name), ErrorCode::kUnknownTopicOrPartition, answered);
  }
  for (const auto& topic : body.topics) {
    auto& answered = response.responses.emplace_back();
    answered.name = topic.name;
    answered.topic_id = topic.topic_id;
    if (topic.is_repeated) {
      answered.error_code = ErrorCode::kInvalidRequest;
      answered.error_message = kGivenTwice;
    } else if (topic.name) {
      remove(core, topics.find(*topic.name), ErrorCode::kUnknownTopicOrPartition, answered);
    } else {
      remove(core, topics.find(topic.topic_id), ErrorCode::kUnknownTopicId, answered);
    }
  }
  return response;
}

}  // namespace onceflow::broker
