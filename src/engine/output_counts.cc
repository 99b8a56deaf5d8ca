#include "engine/output_counts.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/parse_number.h"

namespace onceflow::engine {
namespace {

constexpr std::string_view kOutputs = " outputs=";
/// Kafka takes metadata of 4096 bytes (offset.metadata.max.bytes).
constexpr std::size_t kTextBytesMax = 2'048;

// What comes before the separator; `rest` is left with what comes after it.
std::string_view take_until(std::string_view& rest, char separator) {
  const std::size_t end = rest.find(separator);
  const std::string_view part = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  return part;
}

}  // namespace

void OutputCounts::set(const std::string& topic, const std::string& topic_id, std::int32_t count) {
  Topic& kept = topics_[topic];
  if (kept.id != topic_id) {
    kept = {.id = topic_id};
  }
  if (kept.now != count) {
    kept.now = count;
    kept.is_told = false;
  }
}

void OutputCounts::learn(std::string_view metadata) {
  const std::size_t place = metadata.find(kOutputs);
  if (place == std::string_view::npos) {
    return;
  }
  metadata.remove_prefix(place + kOutputs.size());
  std::string_view outputs = take_until(metadata, ' ');
  while (!outputs.empty()) {
    std::string_view counts = take_until(outputs, ',');
    const std::string_view name = take_until(counts, '@');
    const std::string_view id = take_until(counts, ':');
    const auto topic = topics_.find(std::string(name));
    while (!counts.empty()) {
      const auto count = parse_number<std::int32_t>(take_until(counts, '/'));
      if (count && topic != topics_.end() && topic->second.id == id) {
        topic->second.had.insert(*count);
      }
    }
  }
}

std::vector<OutputCounts::Grown> OutputCounts::take_grown() {
  std::vector<Grown> grown;
  for (auto& [name, topic] : topics_) {
    if (!topic.is_told && !topic.had.empty() && *topic.had.rbegin() < topic.now) {
      grown.push_back({.topic = name, .before = *topic.had.rbegin(), .now = topic.now});
      topic.is_told = true;
    }
  }
  return grown;
}

std::string OutputCounts::to_text() const {
  std::string text;
  for (const auto& [name, topic] : topics_) {
    std::set<std::int32_t> counts = topic.had;
    counts.insert(topic.now);
    text += fmt::format("{}{}@{}:{}", text.empty() ? kOutputs : std::string_view(","), name,
                        topic.id, fmt::join(counts, "/"));
  }
  return text.size() > kTextBytesMax ? std::string() : text;
}

}  // namespace onceflow::engine
