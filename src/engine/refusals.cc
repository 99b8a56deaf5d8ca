#include "engine/refusals.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace onceflow::engine {

const Refusals::Known* Refusals::find(const TopicPartition& source) const {
  const auto place = std::ranges::find(known_, source, &Refusal::source);
  return place == known_.end() ? nullptr : &*place;
}

bool Refusals::learn() {
  if (!noted_) {
    return false;
  }
  const Refusal noted = *std::exchange(noted_, std::nullopt);
  const auto gets_no_further = [&](const Refusal& known) {
    const bool is_inside = known.source == noted.source &&
                           known.first_offset <= noted.first_offset &&
                           noted.last_offset <= known.last_offset;
    // A record that was known and is met again, whatever is said of it, would be met for ever. And
    // an error about a record names it: the same words about two places are not about a record.
    return is_inside ? known.is_one_record() : known.error.text == noted.error.text;
  };
  if (std::ranges::any_of(known_, gets_no_further)) {
    return false;
  }
  std::erase_if(known_, [&](const Known& known) { return known.source == noted.source; });
  known_.push_back({noted});
  return true;
}

ChunkLimit Refusals::limit(const TopicPartition& source, Offset position,
                           std::size_t records_max) const {
  const Known* const known = find(source);
  if (known == nullptr || position > known->last_offset) {
    return {.records_max = records_max, .end = ChunkLimit{}.end, .is_commit = false};
  }
  if (known->is_one_record() || position < known->first_offset) {
    return {.records_max = records_max, .end = known->first_offset, .is_commit = false};
  }
  return {.records_max = 1, .end = ChunkLimit{}.end, .is_commit = known->only_commits_tell};
}

void Refusals::settle(const TopicPartition& source, Offset position) {
  for (Known& known : known_) {
    if (known.source == source && known.is_one_record()) {
      known.is_reached = position == known.first_offset;
    }
  }
}

bool Refusals::holds(const TopicPartition& source) const {
  const Known* const known = find(source);
  return known != nullptr && known->is_reached;
}

Status Refusals::held_up() const {
  const auto reached = std::ranges::find(known_, true, &Known::is_reached);
  return reached == known_.end() ? Status{} : Status(std::unexpected(reached->error));
}

std::string way_past(const TopicPartition& source, Offset offset) {
  return fmt::format(
      "past this record alone: `- {{ id: known, where: \"not (topic = '{}' and partition = {} and "
      "offset = {})\" }}`",
      source.topic, source.partition.value, offset.value);
}

std::string with_step_id(std::string text, std::string_view id) {
  const std::string begin = fmt::format("- {{ id: {}, ", id);
  for (std::size_t at = text.find(kStepToAdd); at != std::string::npos;
       at = text.find(kStepToAdd, at + begin.size())) {
    text.replace(at, kStepToAdd.size(), begin);
  }
  return text;
}

}  // namespace onceflow::engine
