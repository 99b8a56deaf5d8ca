#include "engine/kept_position.h"

#include "base/topic_id_text.h"
#include "connectors/sink.h"

namespace onceflow::engine {
namespace {

constexpr std::string_view kPrefix = "onceflow topic=";
constexpr std::string_view kChangelog = " changelog=";

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
  return text;
}

GroupPositionText parse_group_position(std::string_view metadata) {
  if (!metadata.starts_with(kPrefix)) {
    return {};
  }
  metadata.remove_prefix(kPrefix.size());
  const std::size_t end = metadata.find(kChangelog);
  GroupPositionText position{.topic_id = std::string(metadata.substr(0, end))};
  if (end != std::string_view::npos) {
    position.changelog_id = std::string(metadata.substr(end + kChangelog.size()));
  }
  return position;
}

}  // namespace onceflow::engine
