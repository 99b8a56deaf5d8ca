#include "broker/memory_relief.h"

#include <algorithm>
#include <tuple>

namespace onceflow::broker {
namespace {

// Slower than this, what is more than a fair share is held for long.
constexpr std::uint64_t kBytesPerSecondMin = 1u << 20;
// How many times less patience there is where it is critical.
constexpr int kCriticalPatienceShare = 4;

std::optional<ClosedForMemory> reason_to_close(const MemoryHolder& holder,
                                               const MemoryShortage& shortage) {
  const bool has_too_much = holder.held_bytes > shortage.fair_share_bytes;
  const Duration patience = shortage.is_critical && has_too_much
                                ? shortage.patience / kCriticalPatienceShare
                                : shortage.patience;
  if (holder.has_unread_answer && holder.silence >= patience) {
    return ClosedForMemory::kUnreadAnswer;
  }
  if (holder.has_half_request && holder.silence >= patience) {
    return ClosedForMemory::kHalfRequest;
  }
  const bool is_slow = holder.bytes_per_second && *holder.bytes_per_second < kBytesPerSecondMin;
  if ((holder.has_unread_answer || holder.has_half_request) && has_too_much && is_slow) {
    return ClosedForMemory::kSlow;
  }
  return std::nullopt;
}

}  // namespace

std::string_view to_string(ClosedForMemory reason) {
  switch (reason) {
    case ClosedForMemory::kUnreadAnswer:
      return "unread answer";
    case ClosedForMemory::kHalfRequest:
      return "half request";
    case ClosedForMemory::kSlow:
      return "slow";
    case ClosedForMemory::kStuck:
      return "stuck";
  }
  return "";
}

std::vector<MemoryVictim> choose_victims(const std::vector<MemoryHolder>& holders,
                                         const MemoryShortage& shortage) {
  struct Choice {
    MemoryVictim victim;
    bool has_modest_address = false;
  };
  std::vector<Choice> choices;
  for (const MemoryHolder& holder : holders) {
    if (const auto reason = reason_to_close(holder, shortage)) {
      choices.push_back({{holder.connection, *reason, holder.held_bytes},
                         holder.address_bytes <= shortage.fair_share_of_address_bytes});
    }
  }
  std::ranges::sort(choices, {}, [](const Choice& choice) {
    return std::tuple(choice.victim.reason, choice.has_modest_address, ~choice.victim.held_bytes,
                      choice.victim.connection.value);
  });
  if (choices.empty() && shortage.is_stuck) {
    const auto most = std::ranges::max_element(holders, {}, [](const MemoryHolder& holder) {
      return holder.is_waiting ? holder.held_bytes : 0;
    });
    if (most != holders.end() && most->is_waiting) {
      choices.push_back({{most->connection, ClosedForMemory::kStuck, most->held_bytes}, false});
    }
  }
  std::vector<MemoryVictim> victims;
  std::size_t freed = 0;
  for (const Choice& choice : choices) {
    if (freed >= shortage.wanted_bytes) {
      break;
    }
    freed += choice.victim.held_bytes;
    victims.push_back(choice.victim);
  }
  return victims;
}

}  // namespace onceflow::broker
