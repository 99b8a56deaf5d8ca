// PositionTopics: what stands as topic_id in a row of onceflow_positions
// (docs/formats/positions.md): which topic the position belongs to, and which receipts topic the
// pipeline had then. A start-over makes the receipts topic anew, so its id tells one start-over
// from another. Pure functions.
#pragma once

#include <string>
#include <string_view>

namespace onceflow::protocol {

struct PositionTopics {
  std::string topic_id;
  std::string receipts_id{};  ///< empty: not known
};

/// "ID", or "ID receipts=ID".
std::string to_text(const PositionTopics& topics);
PositionTopics parse_position_topics(std::string_view text);

}  // namespace onceflow::protocol
