#include "engine/kept_position.h"

#include "base/topic_id_text.h"
#include "connectors/sink.h"

namespace onceflow::engine {
namespace {

constexpr std::string_view kPrefix = "onceflow topic=";
constexpr std::string_view kTopic = " topic=";
constexpr std::string_view kChangelog = " changelog=";
constexpr std::string_view kReceipts = " receipts=";
constexpr std::string_view kPipeline = " pipeline=";

std::string field_of(std::string_view text, std::string_view name) {
  const std::size_t place = text.find(name);
  if (place == std::string_view::npos) {
    return {};
  }
  text.remove_prefix(place + name.size());
  return std::string(text.substr(0, text.find(' ')));
}

}  // namespace

std::string topic_id_text(const TopicId& id) {
  return id.is_zero() ? std::string(connectors::kUnknownTopicId) : onceflow::to_text(id);
}

bool is_another_topic(std::string_view kept, std::string_view now) {
  return parse_topic_id(kept) && parse_topic_id(now) && kept != now;
}

std::string to_text(const GroupPositionText& position) {
  std::string text(kPrefix);
  text += position.topic_id;
  if (!position.changelog_id.empty()) {
    text += kChangelog;
    text += position.changelog_id;
  }
  if (!position.receipts_id.empty()) {
    text += kReceipts;
    text += position.receipts_id;
  }
  if (!position.pipeline.empty()) {
    text += kPipeline;
    text += position.pipeline;
  }
  return text;
}

GroupPositionText parse_group_position(std::string_view metadata) {
  if (!metadata.starts_with(kPrefix)) {
    return {};
  }
  return {.topic_id = field_of(metadata, kTopic),
          .changelog_id = field_of(metadata, kChangelog),
          .receipts_id = field_of(metadata, kReceipts),
          .pipeline = field_of(metadata, kPipeline)};
}

}  // namespace onceflow::engine
