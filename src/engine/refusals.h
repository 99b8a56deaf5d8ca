// Refusals: records that a stage will never take, and how the stage comes to stop in front of them
// with everything else committed.
//
// What only a commit finds out, of a state that several records have made, is committed record by
// record in the second round.
//
// It goes in rounds, each from the committed positions on, because what failed half-way is rolled
// back. The first round fails on a chunk; the second reads that chunk record by record, and fails
// on the record; in the third its partition is held in front of it, while the other partitions are
// read to their end. What was committed by then stays, and the stage stops with the record's error.
//
// Owned by a StageReader.
#pragma once

#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"

namespace onceflow::engine {

/// How far the next chunk of a partition may go.
struct ChunkLimit {
  std::size_t records_max = 0;
  Offset end{std::numeric_limits<std::int64_t>::max()};  ///< no record from here on
  bool is_commit = false;                                ///< the chunk is a commit of its own
};

class Refusals {
 public:
  struct Refusal {
    TopicPartition source;
    Offset first_offset;
    Offset last_offset;  ///< the same, once it is one record
    Error error;
    bool only_commits_tell = false;  ///< processing the records does not fail
    bool is_one_record() const { return first_offset == last_offset; }
  };

  /// Reading begins at the committed positions; what was noted and not learnt does not count.
  void begin_round() { noted_.reset(); }
  /// These records failed, with an error that will come again.
  void note(Refusal refusal) { noted_ = std::move(refusal); }
  /// After a round has failed for good: true if a record or chunk has been noted that was not
  /// known, so that another round gets further.
  bool learn();

  ChunkLimit limit(const TopicPartition& source, Offset position, std::size_t records_max) const;
  /// The partition has come to this position; what lies before it is settled.
  void settle(const TopicPartition& source, Offset position);
  /// The partition stands in front of a refused record.
  bool holds(const TopicPartition& source) const;
  /// The error of the first record that holds its partition, if any does.
  Status held_up() const;

 private:
  struct Known : Refusal {
    bool is_reached = false;
  };
  const Known* find(const TopicPartition& source) const;

  std::vector<Known> known_;  ///< one a partition at most
  std::optional<Refusal> noted_;
};

/// The way past one record that no condition tells from others, ready to be typed: a step that
/// knows it by its place.
std::string way_past(const TopicPartition& source, Offset offset);

/// What a step begins with that a fix prints. The file may have one of this id already.
inline constexpr std::string_view kStepToAdd = "- { id: known, ";
/// The same text, and its step has this id instead.
std::string with_step_id(std::string text, std::string_view id);

}  // namespace onceflow::engine
