// A topic id as people and databases hold it: 22 characters of URL-safe base64, as Kafka's tools
// print it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"

namespace onceflow {

std::string to_text(const TopicId& id);
/// Nullopt: it is not the text of a topic id.
std::optional<TopicId> parse_topic_id(std::string_view text);

}  // namespace onceflow
