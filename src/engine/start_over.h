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
  /// By a version that did not write them down, or they were lost.
  bool is_unknown = false;
  /// They were lost with the definitions topic. `ended_at_ms` is then when that was found.
  bool is_forgotten = false;
  std::vector<std::string> stages{};  ///< that it has reached
  /// What they read from elsewhere than the beginning, and what they write for others.
  std::vector<std::string> topics{};

  const Place* find(const TopicPartition& source) const;
  /// "pipeline 'p' was started over (…) by a version that …"; while is_unknown.
  std::string why_unknown(std::string_view pipeline, std::string_view topic) const;
};

/// Whether the topic is one of the pipeline's own: a start-over deletes it.
bool lies_between_stages(std::string_view pipeline, std::string_view topic);
/// What the record that ends it says behind the flags of any other.
std::string places_text(const std::vector<StartOver::Place>& places);
/// What a worker's record says there where the topic was lost, and receipts tell of a start-over.
std::string forgotten_places_text();
/// Whether it says one of these.
bool tells_of_start_over(const protocol::PipelineDefinition& record);
/// Whether a reset with these flags is one.
bool is_start_over(std::string_view begun_flags);
/// Of the record that ends it, or that tells of it; where nobody knows what it was told,
/// `begun_flags` are empty. The record's flags are then those of any other.
StartOver take_start_over(std::string_view begun_flags, protocol::PipelineDefinition& ended);

}  // namespace onceflow::engine
