// WorkerPlace: whether this worker may take the place of its name in the pipeline's groups. A
// second process with the name of one that lives would throw that one out; so it is refused, with
// the address of the one that lives. A place whose process is dead is taken at once where that can
// be seen (the same machine), and after session.timeout.ms where it cannot: by then a dead member
// is gone, and one that is still there lives.
//
// Simpler than a lock of its own: the group knows its members, on our log as on Apache Kafka.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/task.h"
#include "client/cluster.h"
#include "engine/stage_state.h"

namespace onceflow::engine {

/// Of the process that a member's note names.
enum class MemberLife : std::uint8_t { kAlive, kDead, kUnknown };

enum class PlaceRule : std::uint8_t {
  kTakeOver,      ///< whoever has it is thrown out: --take-over
  kRefuseIfHeld,  ///< while a live process has it
};

struct PlaceOptions {
  PlaceRule rule = PlaceRule::kTakeOver;
  std::function<MemberLife(std::string_view note)> judge;
  std::function<std::string(std::string_view note)> describe;
};

struct PlaceQuestion {
  std::vector<std::string> group_ids;
  std::string group_instance_id;
  std::string worker;
  Duration session_timeout{};
};

/// kRefused: a live process has this name. kCancelled: `must_stop` said so. `waits` is told once it
/// has to wait. What cannot be asked (no right to describe groups) is no obstacle.
Task<Status> take_place(std::shared_ptr<client::Cluster> cluster, PlaceOptions options,
                        PlaceQuestion question, std::function<bool()> must_stop,
                        std::function<void(StageCause)> waits);

}  // namespace onceflow::engine
