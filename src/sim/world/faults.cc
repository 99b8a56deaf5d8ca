#include "sim/world/faults.h"

#include <fmt/format.h>

#include <iterator>

namespace onceflow::sim {

namespace {

struct FaultKind {
  const char* name;
  Chance Faults::* chance;
  // Drawn between these denominators, 1 in so many.
  std::uint32_t often;
  std::uint32_t seldom;
};

constexpr FaultKind kKinds[] = {
    {"connection_cut", &Faults::connection_cut, 20, 500},
    {"reply_lost", &Faults::reply_lost, 20, 300},
    {"half_open", &Faults::half_open, 2, 6},
    {"connect_fails", &Faults::connect_fails, 3, 20},
    {"slow_sync", &Faults::slow_sync, 5, 50},
    {"sync_fails", &Faults::sync_fails, 200, 2000},
    {"kill_at_disk", &Faults::kill_at_disk, 50, 2000},
    {"crash_at_disk", &Faults::crash_at_disk, 50, 2000},
    {"kill", &Faults::kill, 5, 100},
    {"crash", &Faults::crash, 5, 100},
    {"pause", &Faults::pause, 10, 200},
    {"partition", &Faults::partition, 10, 200},
    {"disk_full", &Faults::disk_full, 20, 300},
    {"wall_clock_jump", &Faults::wall_clock_jump, 10, 100},
    {"bit_rot", &Faults::bit_rot, 2, 20},
    {"file_damage", &Faults::file_damage, 2, 20},
};

}  // namespace

Faults Faults::swarm(SimRandom& random) {
  Faults faults;
  for (const FaultKind& kind : kKinds) {
    const bool on = random.coin();
    const auto one_in = static_cast<std::uint32_t>(random.between(kind.often, kind.seldom));
    if (on) {
      faults.*kind.chance = Chance{1, one_in};
    }
  }
  if (random.coin()) {
    faults.latency_max = milliseconds(random.between(1, 50));
  }
  faults.interval = milliseconds(random.between(5, 100));
  return faults;
}

std::string Faults::describe() const {
  std::string text;
  for (const FaultKind& kind : kKinds) {
    const Chance chance = this->*kind.chance;
    if (!chance.is_never()) {
      fmt::format_to(std::back_inserter(text), "{}{} {}/{}", text.empty() ? "" : ", ", kind.name,
                     chance.numerator, chance.denominator);
    }
  }
  return text.empty() ? "none" : text;
}

}  // namespace onceflow::sim
