// The partitions and groups of a broker as JSON: a few in /status, all of them in pages. Stateless;
// on the watcher's thread.
#pragma once

#include <cstddef>
#include <map>
#include <string>

#include "broker/status_mirror.h"

namespace onceflow::app {

/// How many partitions, groups, and positions of groups /status has at most.
inline constexpr std::size_t kStatusPartitionsMax = 100;
inline constexpr std::size_t kStatusGroupsMax = 100;
inline constexpr std::size_t kStatusPositionsMax = 500;
/// How many a page has, if it is not asked for fewer.
inline constexpr std::size_t kPageRowsMax = 1000;

/// A JSON object with `partitions` and `groups` as of now and how many there are. All of them, by
/// name, if they are few; else the worst: the partitions of which most is held back, then the
/// largest, and the groups with the greatest lag.
std::string lists_json(const broker::StatusMirror& mirror);

using Query = std::map<std::string, std::string>;
/// A page of partitions, by name. Query: `topic`, only of this one; `limit`; `after`, as `next` of
/// the page before gives it.
std::string partitions_page(const broker::StatusMirror& mirror, const Query& query);
/// A page of groups, by name; with `group` of the positions of that one. `limit` and `after` as
/// above.
std::string groups_page(const broker::StatusMirror& mirror, const Query& query);

}  // namespace onceflow::app
