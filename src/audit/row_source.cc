#include "audit/row_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "audit/names.h"

namespace onceflow::audit {
namespace {

template <typename Integer>
std::optional<Integer> parse_integer(std::string_view text) {
  Integer number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return number;
}

}  // namespace

std::uint32_t RowSources::number_of(const TopicPartition& partition) {
  const auto [place, is_new] =
      numbers_.try_emplace(partition, static_cast<std::uint32_t>(partitions_.size()));
  if (is_new) {
    partitions_.push_back(partition);
  }
  return place->second;
}

std::optional<RowSource> RowSources::parse(std::string_view text) const {
  const std::size_t last = text.rfind('/');
  const std::size_t middle = last == 0 || last == std::string_view::npos
                                 ? std::string_view::npos
                                 : text.rfind('/', last - 1);
  if (middle == std::string_view::npos) {
    return std::nullopt;
  }
  const auto partition = parse_integer<std::int32_t>(text.substr(middle + 1, last - middle - 1));
  const auto offset = parse_integer<std::int64_t>(text.substr(last + 1));
  if (!partition || !offset) {
    return std::nullopt;
  }
  const auto place =
      numbers_.find({std::string(text.substr(0, middle)), PartitionIndex(*partition)});
  if (place == numbers_.end()) {
    return std::nullopt;
  }
  return RowSource{place->second, Offset(*offset)};
}

std::string RowSources::name_of(const RowSource& source) const {
  const TopicPartition& partition = partitions_.at(source.partition_number);
  return fmt::format("{}/{}/{}", partition.topic, partition.partition.value, source.offset.value);
}

void RowRanges::add(const std::optional<RowSource>& source) {
  ++row_count_;
  if (!source) {
    return;
  }
  Range& range =
      ranges_.try_emplace(source->partition_number, Range{source->offset, source->offset})
          .first->second;
  range.first = std::min(range.first, source->offset);
  range.last = std::max(range.last, source->offset);
}

std::string RowRanges::describe(const RowSources& sources) const {
  std::string text = count_of(row_count_, "row");
  for (const auto& [number, range] : ranges_) {
    text += fmt::format("{} {}", number == ranges_.begin()->first ? ", of" : ",",
                        sources.name_of({number, range.first}));
    if (range.last > range.first) {
      text += " to " + sources.name_of({number, range.last});
    }
  }
  return text;
}

}  // namespace onceflow::audit
