// InputWatch: judges from outside whether a stage's input flows: what is readable and not moved,
// and what an open transaction of another producer hides. Pure: looked at once a second or so.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "base/ids.h"
#include "base/time.h"

namespace onceflow::engine {

class InputWatch {
 public:
  struct Partition {
    TopicPartition source;
    Offset committed = kNoOffset;
    Offset position = kNoOffset;  ///< read up to here, committed or not
    Offset last_stable = kNoOffset;
    Offset end = kNoOffset;  ///< the high watermark
  };
  struct Held {
    TopicPartition source;
    Offset first_offset;
    std::int64_t count = 0;  ///< offsets, of which some may be control records
    MonotonicTime since;
  };
  struct Verdict {
    std::vector<Held> held;
    /// There is readable input, and nothing has moved since then, which is long ago.
    std::optional<MonotonicTime> stands_since;
  };

  /// A shorter hold is how transactions work; a shorter rest is how pipelines do.
  InputWatch(Duration held_after, Duration stands_after)
      : held_after_(held_after), stands_after_(stands_after) {}

  /// `progress`: any number that changes when the stage gets on.
  Verdict look(std::span<const Partition> partitions, std::uint64_t progress, MonotonicTime now);

 private:
  struct Hold {
    Offset first_offset;
    MonotonicTime since;
  };

  Duration held_after_;
  Duration stands_after_;
  std::map<TopicPartition, Hold> holds_;
  std::optional<std::uint64_t> progress_;
  MonotonicTime moved_at_;
};

}  // namespace onceflow::engine
