#include "protocol/position_topics.h"

namespace onceflow::protocol {
namespace {

constexpr std::string_view kReceipts = " receipts=";

}  // namespace

std::string to_text(const PositionTopics& topics) {
  std::string text = topics.topic_id;
  if (!topics.receipts_id.empty()) {
    text += kReceipts;
    text += topics.receipts_id;
  }
  return text;
}

PositionTopics parse_position_topics(std::string_view text) {
  const std::size_t place = text.find(kReceipts);
  if (place == std::string_view::npos) {
    return {.topic_id = std::string(text)};
  }
  return {.topic_id = std::string(text.substr(0, place)),
          .receipts_id = std::string(text.substr(place + kReceipts.size()))};
}

}  // namespace onceflow::protocol
