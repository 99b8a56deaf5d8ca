#include "app/status_lists.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <tuple>
#include <vector>

#include "app/status_parts.h"
#include "base/topic_id_text.h"
#include "console/http.h"

namespace onceflow::app {
namespace {

using broker::MirroredGroup;
using broker::MirroredPartition;
using broker::StatusMirror;
using Json = nlohmann::ordered_json;

std::string dumped(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// --- Partitions ---

struct PartitionRow {
  const std::string* topic = nullptr;
  std::size_t partition = 0;
  const MirroredPartition* values = nullptr;
};

Json to_json(const PartitionRow& row) {
  return {{"topic", *row.topic},
          {"partition", row.partition},
          {"log_start_offset", row.values->log_start_offset},
          {"last_stable_offset", row.values->last_stable_offset},
          {"high_watermark", row.values->high_watermark},
          {"size_bytes", row.values->size_bytes}};
}

template <typename Visit>
void for_each_partition(const StatusMirror& mirror, Visit visit) {
  for (const auto& [name, id] : mirror.topics()) {
    const auto& partitions = mirror.topic(id).partitions;
    for (std::size_t index = 0; index < partitions.size(); ++index) {
      visit(PartitionRow{&name, index, &partitions[index]});
    }
  }
}

// The worst come first; of equals the first by name.
bool is_worse(const PartitionRow& one, const PartitionRow& other) {
  if (one.values->held_back() != other.values->held_back()) {
    return one.values->held_back() > other.values->held_back();
  }
  if (one.values->size_bytes != other.values->size_bytes) {
    return one.values->size_bytes > other.values->size_bytes;
  }
  return std::tie(*one.topic, one.partition) < std::tie(*other.topic, other.partition);
}

/// Of what is added, the `count_max` that come first.
template <typename Row, typename Less>
class Worst {
 public:
  Worst(std::size_t count_max, Less is_worse) : count_max_(count_max), is_worse_(is_worse) {}

  void add(Row row) {
    if (rows_.size() == count_max_ && !is_worse_(row, rows_.front())) {
      return;
    }
    rows_.push_back(std::move(row));
    std::ranges::push_heap(rows_, is_worse_);
    if (rows_.size() > count_max_) {
      std::ranges::pop_heap(rows_, is_worse_);
      rows_.pop_back();
    }
  }
  std::vector<Row> take() {
    std::ranges::sort_heap(rows_, is_worse_);
    return std::move(rows_);
  }

 private:
  const std::size_t count_max_;
  const Less is_worse_;
  std::vector<Row> rows_;  // a heap, the least bad in front
};

Json partitions_json(const StatusMirror& mirror) {
  std::vector<PartitionRow> rows;
  if (mirror.partition_count() <= kStatusPartitionsMax) {
    for_each_partition(mirror, [&](const PartitionRow& row) { rows.push_back(row); });
  } else {
    Worst<PartitionRow, decltype(&is_worse)> worst(kStatusPartitionsMax, is_worse);
    for_each_partition(mirror, [&](const PartitionRow& row) { worst.add(row); });
    rows = worst.take();
  }
  Json json = Json::array();
  for (const PartitionRow& row : rows) {
    json.push_back(to_json(row));
  }
  return json;
}

// --- Groups ---

struct GroupRow {
  const std::string* group_id = nullptr;
  const MirroredGroup* group = nullptr;
  std::size_t position_count = 0;
  std::int64_t lag = 0;
};

GroupRow row_of(const StatusMirror& mirror, const std::string& group_id,
                const MirroredGroup& group) {
  GroupRow row{.group_id = &group_id, .group = &group};
  std::string_view topic;
  for (const auto& [partition, offset] : group.offsets) {
    if (const MirroredPartition* const values = mirror.find(partition, topic)) {
      ++row.position_count;
      row.lag += broker::lag(*values, offset);
    }
  }
  return row;
}

bool lags_more(const GroupRow& one, const GroupRow& other) {
  return one.lag != other.lag ? one.lag > other.lag : *one.group_id < *other.group_id;
}

Json to_json(const GroupRow& row) {
  return {{"group_id", *row.group_id},
          {"state", row.group->state},
          {"members", row.group->member_count},
          {"position_count", row.position_count},
          {"lag", row.lag}};
}

Json position_json(std::string_view topic, const TopicIdPartition& partition, std::int64_t offset,
                   const MirroredPartition& values) {
  return {{"topic", topic},
          {"partition", partition.partition.value},
          {"committed_offset", offset},
          {"lag", broker::lag(values, offset)}};
}

Json positions_json(const StatusMirror& mirror, const MirroredGroup& group, std::size_t& left) {
  Json positions = Json::array();
  std::string_view topic;
  for (const auto& [partition, offset] : group.offsets) {
    if (left == 0) {
      break;
    }
    if (const MirroredPartition* const values = mirror.find(partition, topic)) {
      --left;
      positions.push_back(position_json(topic, partition, offset, *values));
    }
  }
  return positions;
}

Json groups_json(const StatusMirror& mirror) {
  std::vector<GroupRow> rows;
  if (mirror.groups().size() <= kStatusGroupsMax) {
    for (const auto& [group_id, group] : mirror.groups()) {
      rows.push_back(row_of(mirror, group_id, group));
    }
  } else {
    Worst<GroupRow, decltype(&lags_more)> worst(kStatusGroupsMax, lags_more);
    for (const auto& [group_id, group] : mirror.groups()) {
      worst.add(row_of(mirror, group_id, group));
    }
    rows = worst.take();
  }
  Json json = Json::array();
  std::size_t left = kStatusPositionsMax;
  for (const GroupRow& row : rows) {
    json.push_back(to_json(row));
    json.back()["positions"] = positions_json(mirror, *row.group, left);
  }
  return json;
}

// --- Pages ---

const std::string* find(const Query& query, const std::string& name) {
  const auto found = query.find(name);
  return found == query.end() ? nullptr : &found->second;
}

std::size_t limit_of(const Query& query) {
  std::size_t limit = kPageRowsMax;
  if (const std::string* const text = find(query, "limit")) {
    std::from_chars(text->data(), text->data() + text->size(), limit);
  }
  return std::clamp<std::size_t>(limit, 1, kPageRowsMax);
}

constexpr std::int64_t kPartitionMax = std::numeric_limits<std::int32_t>::max();
struct NamedPartition {
  std::string name;
  std::int64_t partition = -1;
};
// "name/3", as `after` has it; before the first of a name that has no number.
NamedPartition parse_place(const std::string& text) {
  NamedPartition place{.name = text};
  const std::size_t slash = text.rfind('/');
  std::int64_t number = -1;
  if (slash != std::string::npos &&
      std::from_chars(text.data() + slash + 1, text.data() + text.size(), number).ec ==
          std::errc()) {
    place = {.name = text.substr(0, slash),
             .partition = std::clamp<std::int64_t>(number, -1, kPartitionMax)};
  }
  return place;
}

Json next_page(const std::string& path, const Query& query, const std::string& after) {
  std::string text = path + "?after=" + console::percent_encoded(after);
  for (const auto& [name, value] : query) {
    if (name != "after") {
      text += "&" + console::percent_encoded(name) + "=" + console::percent_encoded(value);
    }
  }
  return text;
}

}  // namespace

std::string lists_json(const StatusMirror& mirror) {
  return dumped({{"partition_count", mirror.partition_count()},
                 {"partitions", partitions_json(mirror)},
                 {"group_count", mirror.groups().size()},
                 {"groups", groups_json(mirror)}});
}

std::string partitions_page(const StatusMirror& mirror, const Query& query) {
  const std::size_t limit = limit_of(query);
  const std::string* const only = find(query, "topic");
  const std::string* const after = find(query, "after");
  const NamedPartition from = after != nullptr ? parse_place(*after) : NamedPartition{};
  const auto& topics = mirror.topics();
  Json rows = Json::array();
  Json next = nullptr;
  const std::string& first = only != nullptr ? *only : from.name;
  for (auto place = topics.lower_bound(first);
       place != topics.end() && next.is_null() && (only == nullptr || place->first == *only);
       ++place) {
    const auto& [name, id] = *place;
    const auto& partitions = mirror.topic(id).partitions;
    const bool goes_on = after != nullptr && name == from.name;
    for (std::size_t index = goes_on ? static_cast<std::size_t>(from.partition + 1) : 0;
         index < partitions.size(); ++index) {
      if (rows.size() == limit) {
        next = next_page("/status/partitions", query,
                         fmt::format("{}/{}", rows.back()["topic"].get<std::string>(),
                                     rows.back()["partition"].get<std::size_t>()));
        break;
      }
      rows.push_back(to_json(PartitionRow{&name, index, &partitions[index]}));
    }
  }
  return lay_out(dumped({{"partition_count", mirror.partition_count()},
                         {"partitions", std::move(rows)},
                         {"next", std::move(next)}}));
}

namespace {

std::string positions_page(const StatusMirror& mirror, const Query& query,
                           const std::string& group_id) {
  const auto found = mirror.groups().find(group_id);
  if (found == mirror.groups().end()) {
    return lay_out(dumped({{"group_id", group_id}, {"state", "Dead"}}));
  }
  const MirroredGroup& group = found->second;
  auto place = group.offsets.begin();
  if (const std::string* const after = find(query, "after")) {
    const NamedPartition from = parse_place(*after);
    if (const auto id = parse_topic_id(from.name)) {
      place = group.offsets.upper_bound(
          {*id, PartitionIndex(static_cast<std::int32_t>(from.partition))});
    }
  }
  Json rows = Json::array();
  Json next = nullptr;
  TopicIdPartition last;
  for (; place != group.offsets.end(); ++place) {
    std::string_view topic;
    const MirroredPartition* const values = mirror.find(place->first, topic);
    if (values == nullptr) {
      continue;
    }
    if (rows.size() == limit_of(query)) {
      next = next_page("/status/groups", query,
                       fmt::format("{}/{}", to_text(last.topic_id), last.partition.value));
      break;
    }
    rows.push_back(position_json(topic, place->first, place->second, *values));
    last = place->first;
  }
  Json json = to_json(row_of(mirror, found->first, group));
  json["positions"] = std::move(rows);
  json["next"] = std::move(next);
  return lay_out(dumped(json));
}

}  // namespace

std::string groups_page(const StatusMirror& mirror, const Query& query) {
  if (const std::string* const group_id = find(query, "group")) {
    return positions_page(mirror, query, *group_id);
  }
  const auto& groups = mirror.groups();
  const std::string* const after = find(query, "after");
  Json rows = Json::array();
  Json next = nullptr;
  const std::string* last = nullptr;
  for (auto place = after != nullptr ? groups.upper_bound(*after) : groups.begin();
       place != groups.end(); ++place) {
    if (rows.size() == limit_of(query)) {
      next = next_page("/status/groups", query, *last);
      break;
    }
    rows.push_back(to_json(row_of(mirror, place->first, place->second)));
    last = &place->first;
  }
  return lay_out(dumped(
      {{"group_count", groups.size()}, {"groups", std::move(rows)}, {"next", std::move(next)}}));
}

}  // namespace onceflow::app
