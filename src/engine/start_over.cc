#include "engine/start_over.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>

#include "base/log_line.h"

namespace onceflow::engine {
namespace {

constexpr std::string_view kBegins = "begins ";
constexpr std::string_view kForgotten = "forgotten";

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  while (!line.empty()) {
    const std::size_t end = std::min(line.find(' '), line.size());
    words.push_back(line.substr(0, end));
    line.remove_prefix(std::min(end + 1, line.size()));
  }
  return words;
}

template <typename Number>
bool read_number(std::string_view text, Number& number) {
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  return parsed.ec == std::errc() && parsed.ptr == text.data() + text.size();
}

// "out f81d…"; then "0@5 1@7".
void read_places(std::string_view line, std::vector<StartOver::Place>& places) {
  const std::vector<std::string_view> words = words_of(line);
  for (std::size_t index = 2; index < words.size(); ++index) {
    const std::size_t at = words[index].find('@');
    std::int32_t partition = 0;
    std::int64_t offset = 0;
    if (at != std::string_view::npos && read_number(words[index].substr(0, at), partition) &&
        read_number(words[index].substr(at + 1), offset)) {
      places.push_back({.source = {std::string(words[0]), PartitionIndex(partition)},
                        .topic_id = std::string(words[1]),
                        .offset = Offset(offset)});
    }
  }
}

}  // namespace

const StartOver::Place* StartOver::find(const TopicPartition& source) const {
  const auto place = std::ranges::find(places, source, &Place::source);
  return place == places.end() ? nullptr : &*place;
}

std::string StartOver::why_unknown(std::string_view pipeline, std::string_view topic) const {
  const std::string when = to_iso8601_ms(WallTime(ended_at_ms));
  if (is_forgotten) {
    return fmt::format(
        "where the newest start-over of pipeline '{}' has put it in {} was lost with topic {} "
        "(found {})",
        pipeline, topic, protocol::definitions_topic(std::string(pipeline)), when);
  }
  return fmt::format(
      "pipeline '{}' was started over ({}) by a version that did not write down where {} was to "
      "begin",
      pipeline, when, topic);
}

bool lies_between_stages(std::string_view pipeline, std::string_view topic) {
  constexpr std::array<std::string_view, 3> kEnds = {"-repartition", "-results", "-rows"};
  return topic.starts_with(pipeline) && topic.substr(pipeline.size()).starts_with("-") &&
         std::ranges::any_of(kEnds, [&](std::string_view end) { return topic.ends_with(end); });
}

std::string places_text(const std::vector<StartOver::Place>& places) {
  std::string text;
  const std::string* topic = nullptr;
  for (const StartOver::Place& place : places) {
    if (topic == nullptr || *topic != place.source.topic) {
      topic = &place.source.topic;
      text += fmt::format("\n{}{} {}", kBegins, *topic, place.topic_id);
    }
    text += fmt::format(" {}@{}", place.source.partition.value, place.offset.value);
  }
  return text.empty() ? "\n" : text;
}

std::string forgotten_places_text() { return fmt::format("\n{}", kForgotten); }

bool tells_of_start_over(const protocol::PipelineDefinition& record) {
  return record.flags.contains('\n');
}

// Where a version did not keep what it was told, nobody knows.
bool is_start_over(std::string_view begun_flags) {
  return begun_flags.starts_with("--to-") && !begun_flags.starts_with("--to-current");
}

StartOver take_start_over(std::string_view begun_flags, protocol::PipelineDefinition& ended) {
  StartOver found{.ended_at_ms = ended.written_at_ms};
  for (std::size_t index = 0; index < ended.stages.size(); ++index) {
    const protocol::PipelineDefinition::Stage& stage = ended.stages[index];
    found.stages.push_back(stage.id);
    // From the earliest record on is where it begins by itself.
    if (index == 0 && !begun_flags.starts_with("--to-earliest")) {
      std::ranges::copy(stage.sources, std::back_inserter(found.topics));
    }
    if (!stage.is_database()) {
      std::ranges::copy_if(
          stage.outputs, std::back_inserter(found.topics),
          [&](const std::string& topic) { return !lies_between_stages(ended.pipeline, topic); });
    }
  }
  const std::size_t end = ended.flags.find('\n');
  found.is_unknown = end == std::string::npos;
  std::string_view rest = std::string_view(ended.flags).substr(std::min(end, ended.flags.size()));
  while (!rest.empty()) {
    rest.remove_prefix(1);
    const std::string_view line = rest.substr(0, rest.find('\n'));
    if (line.starts_with(kBegins)) {
      read_places(line.substr(kBegins.size()), found.places);
    } else if (line == kForgotten) {
      found.is_unknown = true;
      found.is_forgotten = true;
    }
    rest.remove_prefix(line.size());
  }
  ended.flags.resize(std::min(end, ended.flags.size()));
  return found;
}

}  // namespace onceflow::engine
