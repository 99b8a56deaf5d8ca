// What is told of records that others have written to a topic of the pipeline's own. Stateless.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/log_event.h"

namespace onceflow::engine {

/// `first`: the first of `count`, with its offset and what it is.
inline LogEvent foreign_records(std::string_view first, std::size_t count) {
  const std::string others = count <= 1 ? "" : " and " + std::to_string(count - 1) + " more";
  return {
      .level = LogLevel::kWarn,
      .stage = {},
      .event = "foreign record",
      .text = std::string(first) + others + ": passed over; only the pipeline writes this topic"};
}

}  // namespace onceflow::engine
