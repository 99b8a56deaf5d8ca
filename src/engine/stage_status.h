// StageStatus: what a stage tells about itself. Written by the stage on its worker's thread, read
// there by the status page. What is not known is absent, never 0.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/histogram.h"
#include "base/ids.h"
#include "base/time.h"
#include "engine/stage_state.h"

namespace onceflow::engine {

struct StageStatus {
  struct Position {
    Offset committed = kNoOffset;
    Offset last_stable = kNoOffset;  ///< as last heard; what read_committed can reach
    Offset end = kNoOffset;          ///< the high watermark, as last heard
    MonotonicTime ends_heard_at;
    /// Records (offsets) up to the end that no commit covers; none while an end is not known.
    std::optional<std::int64_t> lag() const;
    /// Of these, those behind a foreign open transaction.
    std::optional<std::int64_t> held_back() const;
  };
  /// An open transaction of another producer that hides what lies after `first_offset`.
  struct Holder {
    TopicPartition partition;
    Offset first_offset = kNoOffset;
    std::optional<std::int64_t> producer_id;
    std::optional<std::int64_t> producer_epoch;
    std::string transactional_id;  ///< empty: not known
    std::optional<std::int64_t> started_at_ms;
    std::optional<std::int64_t> timeout_ms;
    std::string unknown_why;  ///< why there is no more to say
  };

  explicit StageStatus(MonotonicTime now) : life(now) {}

  std::string stage;
  std::string worker;
  StageLife life;
  std::string doing;  ///< the step of its work that it is in
  MonotonicTime doing_since;
  std::uint64_t records_in = 0;
  std::uint64_t records_out = 0;
  std::uint64_t commits = 0;
  std::uint64_t aborts = 0;
  std::uint64_t recoveries = 0;
  std::uint64_t in_doubt = 0;  ///< commits whose answer was lost
  std::uint64_t fenced = 0;
  Histogram commit_latency;
  std::optional<MonotonicTime> transaction_open_since;
  std::map<TopicPartition, Position> positions;  ///< of the partitions that it holds
  bool is_standby = false;  ///< a member of its group, which has no partitions left for it
  std::vector<Holder> holders;
  std::uint64_t restored_records = 0;  ///< of changelogs, read in recovery
  std::uint64_t state_keys = 0;
  std::string last_error;
  std::optional<MonotonicTime> last_error_at;

  StageState state() const { return life.state(); }
  /// Over all partitions; none if that of one is not known, or there are no partitions.
  std::optional<std::int64_t> lag() const;
};

}  // namespace onceflow::engine
