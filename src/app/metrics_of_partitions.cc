#include "app/metrics_of_partitions.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <string_view>

#include "console/metrics.h"

namespace onceflow::app {
namespace {

using broker::MirroredPartition;

struct PartitionFamily {
  std::string_view name;
  std::string_view help;
  std::int64_t (*value)(const MirroredPartition&);
};

constexpr std::array kPartitionFamilies{
    PartitionFamily{"onceflow_partition_high_watermark", "The high watermark",
                    [](const MirroredPartition& partition) { return partition.high_watermark; }},
    PartitionFamily{"onceflow_lso_gap_records", "Offsets that open transactions hold back",
                    [](const MirroredPartition& partition) { return partition.held_back(); }},
    PartitionFamily{"onceflow_partition_size_bytes", "Bytes of the partition",
                    [](const MirroredPartition& partition) {
                      return static_cast<std::int64_t>(partition.size_bytes);
                    }},
};
constexpr std::string_view kLag = "onceflow_group_lag_records";
constexpr std::size_t kFamilyCount = kPartitionFamilies.size() + 1;

void append_number(std::string& text, std::int64_t number) {
  std::array<char, 24> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  text.append(digits.data(), end);
}

}  // namespace

bool PartitionMetrics::append(std::string& text, std::size_t bytes) {
  const std::size_t begin = text.size();
  while (family_ < kFamilyCount && text.size() < begin + bytes) {
    if (family_ < kPartitionFamilies.size()) {
      append_partitions(text, begin + bytes);
    } else {
      append_lags(text, begin + bytes);
    }
  }
  return text.size() > begin;
}

void PartitionMetrics::begin_next_family() {
  ++family_;
  has_head_ = false;
  has_name_ = false;
  next_partition_ = 0;
  has_position_ = false;
}

void PartitionMetrics::append_partitions(std::string& text, std::size_t end) {
  const PartitionFamily& family = kPartitionFamilies[family_];
  const auto& topics = mirror_.topics();
  for (auto place = has_name_ ? topics.lower_bound(name_) : topics.begin(); place != topics.end();
       ++place) {
    const auto& [name, id] = *place;
    if (!has_name_ || name != name_) {
      name_ = name;
      has_name_ = true;
      next_partition_ = 0;
    }
    std::string before(family.name);
    before += "{topic=\"";
    console::append_label_value(before, secrets_.masked(name));
    before += "\",partition=\"";
    const auto& partitions = mirror_.topic(id).partitions;
    for (; next_partition_ < partitions.size(); ++next_partition_) {
      if (text.size() >= end) {
        return;
      }
      if (!has_head_) {
        console::append_family_head(text, family.name, family.help, console::MetricType::kGauge);
        has_head_ = true;
      }
      text += before;
      append_number(text, static_cast<std::int64_t>(next_partition_));
      text += "\"} ";
      append_number(text, family.value(partitions[next_partition_]));
      text += '\n';
    }
  }
  begin_next_family();
}

void PartitionMetrics::append_lags(std::string& text, std::size_t end) {
  const auto& groups = mirror_.groups();
  for (auto place = has_name_ ? groups.lower_bound(name_) : groups.begin(); place != groups.end();
       ++place) {
    const auto& [group_id, group] = *place;
    if (!has_name_ || group_id != name_) {
      name_ = group_id;
      has_name_ = true;
      has_position_ = false;
    }
    std::string before(kLag);
    before += "{group=\"";
    console::append_label_value(before, secrets_.masked(group_id));
    before += "\",topic=\"";
    auto position =
        has_position_ ? group.offsets.upper_bound(last_position_) : group.offsets.begin();
    for (; position != group.offsets.end(); ++position) {
      if (text.size() >= end) {
        return;
      }
      last_position_ = position->first;
      has_position_ = true;
      std::string_view topic;
      const MirroredPartition* const partition = mirror_.find(position->first, topic);
      if (partition == nullptr) {
        continue;
      }
      if (!has_head_) {
        console::append_family_head(text, kLag,
                                    "Offsets from a group's position to the last stable",
                                    console::MetricType::kGauge);
        has_head_ = true;
      }
      text += before;
      console::append_label_value(text, secrets_.masked(topic));
      text += "\",partition=\"";
      append_number(text, position->first.partition.value);
      text += "\"} ";
      append_number(text, broker::lag(*partition, position->second));
      text += '\n';
    }
  }
  begin_next_family();
}

}  // namespace onceflow::app
