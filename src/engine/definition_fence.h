// DefinitionFence: whether a worker may still go by the definition that it began with. What was
// checked before its stages began is checked again whenever one of them takes partitions: a worker
// that slept past its session (a paused machine) may wake after a reset, or after another file has
// run, and nothing else tells it so.
//
// Owned by the worker, on its thread. Decides alone; the worker reads the topic and the groups.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "engine/definition_change.h"
#include "engine/other_workers.h"

namespace onceflow::engine {

class DefinitionFence {
 public:
  /// A worker writes its definition before it joins a group: the others are looked for so long.
  static constexpr Duration kOthersAwaited = seconds(3);

  /// The worker has recorded its definition, and this is known with it.
  void begin(const KnownDefinition& known);
  struct Look {
    const KnownDefinition& known;
    const protocol::PipelineDefinition& own;
    /// Live workers that go by another definition.
    std::span<const OtherWorker> others;
    Rolling rolling = Rolling::kNo;
    std::string file;
  };
  /// kRefused where a reset has begun or ended since, or another definition is in force beside
  /// which it does not go; retriable for as long as its workers may yet be seen. A definition
  /// beside which it has gone (--rolling-change) stays so when their workers end.
  Status check(const Look& look, MonotonicTime now);

 private:
  std::optional<ResetMark> reset_at_start_;
  std::optional<std::uint64_t> goes_beside_;  ///< the hash of that definition
  std::optional<MonotonicTime> overtaken_since_;
};

}  // namespace onceflow::engine
