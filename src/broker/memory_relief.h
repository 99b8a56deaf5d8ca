// Which connections are closed when somebody waits for memory (memory_budget.h). Pure: the
// connections say what they hold and since when they have made no progress; the Server closes.
//
// In this order, of each the one that holds most first:
//   1. readers that do not read: an answer is under way and nothing of it leaves;
//   2. half requests of which nothing comes;
//   3. those that hold more than their fair share and make progress so slowly that they would hold
//      it for long.
//   4. if nothing has come free for long though none of those is there: of those that wait. It is
//      the way out when what small requests hold has broken the order in which all could have been
//      finished.
// A slow link that makes some progress each second and holds no more than its share is never among
// them. The silence of one that is itself waiting for memory is ours, and is not held against it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "coordinator/effects.h"

namespace onceflow::broker {

enum class ClosedForMemory : std::uint8_t { kUnreadAnswer, kHalfRequest, kSlow, kStuck };
inline constexpr std::size_t kClosedForMemoryCount = 4;
/// As the label of the metric says it.
std::string_view to_string(ClosedForMemory reason);

struct MemoryHolder {
  coordinator::ConnectionNumber connection;
  std::size_t held_bytes = 0;
  std::size_t address_bytes = 0;  ///< of all connections of its address
  bool has_unread_answer = false;
  bool has_half_request = false;
  bool is_waiting = false;  ///< for memory
  Duration silence{};       ///< since anything of it came or left
  /// Over the last second or more; nullopt: not known yet.
  std::optional<std::uint64_t> bytes_per_second;
};

struct MemoryShortage {
  std::size_t wanted_bytes = 0;  ///< close until so much has come free
  std::size_t fair_share_bytes = 0;
  std::size_t fair_share_of_address_bytes = 0;
  Duration patience{};       ///< silence for longer than this is held against a connection
  bool is_critical = false;  ///< only small requests go on: those beyond their share get less of it
  bool is_stuck = false;     ///< nothing has come free for long
};

struct MemoryVictim {
  coordinator::ConnectionNumber connection;
  ClosedForMemory reason = ClosedForMemory::kUnreadAnswer;
  std::size_t held_bytes = 0;
};

std::vector<MemoryVictim> choose_victims(const std::vector<MemoryHolder>& holders,
                                         const MemoryShortage& shortage);

}  // namespace onceflow::broker
