// StartOver: where the newest start-over of a pipeline (onceflow reset --to-earliest and the like)
// has put its stages. A sink keeps its position in its database; where that holds none, because it
// is another one or the sink is new, the definitions topic tells what the start-over has decided.
//
// It stands in the flags of the record that ends the reset (docs/formats/definition.md).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "protocol/definition.h"

namespace onceflow::engine {

struct StartOver {
  struct Place {
    TopicPartition source;
    std::string topic_id;
    Offset offset;
    friend bool operator==(const Place&, const Place&) = default;
  };
  std::int64_t ended_at_ms = 0;
  /// Of the topics of others that it reads, and those of the user that it writes. What lies between
  /// its stages a start-over makes anew.
  std::vector<Place> places{};
  /// By a version that did not write them down.
  bool is_unknown = false;
  std::vector<std::string> stages{};  ///< that it has reached
  /// What they read from elsewhere than the beginning, and what they write for others.
  std::vector<std::string> topics{};

  const Place* find(const TopicPartition& source) const;
};

/// Whether the topic is one of the pipeline's own: a start-over deletes it.
bool lies_between_stages(std::string_view pipeline, std::string_view topic);
/// What the record that ends it says behind the flags of any other.
std::string places_text(const std::vector<StartOver::Place>& places);
/// Whether a reset with these flags is one.
bool is_start_over(std::string_view begun_flags);
/// Of the record that ends it. Its flags are then those of any other.
StartOver take_start_over(std::string_view begun_flags, protocol::PipelineDefinition& ended);

}  // namespace onceflow::engine
