// StageOptions: what a stage is told by its worker, beside its part of the plan.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/error_class.h"
#include "base/log_event.h"
#include "base/result.h"
#include "base/seeded_bug.h"
#include "base/task.h"
#include "base/time.h"
#include "client/options.h"
#include "engine/topology.h"
#include "io/time_slice.h"

namespace onceflow::engine {

/// What a worker does with its place in the groups when it is stopped.
enum class AtStop {
  kLeave,  ///< its partitions go to the others at once
  kStay,   ///< they wait for it, for session.timeout.ms: a rolling restart
};

/// What a table keeps by its key, and so by the order of the records of one key: it has none across
/// partitions, and a partition that is added moves keys.
enum class UpsertsFrom : std::uint8_t {
  kNothing,  ///< the stage writes no table, or appends to it
  kSources,  ///< topics of others, who choose the partitions
  kStages,   ///< what the pipeline has written, by its own partitioner
};

struct StageOptions {
  std::string pipeline;
  /// Stable over restarts and of its own for every live worker of the pipeline: it names the
  /// transactional ids, so a restarted worker fences its predecessor at once.
  std::string worker;
  std::string receipts_topic;
  /// The pipeline file with the flags that say which log it is, as a fix names them.
  std::string file = "FILE";
  /// Of a step that a fix adds to the file: no step or sink there has it.
  std::string new_step_id = "known";
  /// Of the stage: what stands in its receipts (docs/formats/receipt.md). 0: unknown.
  std::uint64_t definition = 0;
  Guarantee guarantee = Guarantee::kExactlyOnce;
  /// Where a partition begins that has no committed position.
  OffsetReset offset_reset = OffsetReset::kEarliest;
  /// Where records were deleted before they were read: go on after them, and leave a receipt that
  /// says so. Else the stage refuses to begin.
  bool skips_deleted = false;
  /// The stage keeps a state by key: partitions that are added would change where keys belong.
  bool has_state = false;
  UpsertsFrom upserts_from = UpsertsFrom::kNothing;
  Duration commit_interval = milliseconds(100);
  /// A commit is made earlier when this many records have been read since the last one.
  std::size_t commit_records_max = 1'000'000;
  std::size_t sink_rows_max = 10'000;  ///< the same, for the rows of a sink
  /// The same, for the bytes of the records that the rows were made of: they are kept until then.
  std::size_t sink_bytes_max = std::size_t{32} << 20;
  /// How long it works before the loop may do other work. Zero in the simulator, where no time
  /// passes meanwhile: then it is after every step.
  Duration slice_length = io::kSliceLength;
  /// How long a single call to the cluster may take before the stage goes back to recovery.
  Duration call_timeout = seconds(30);
  Duration retry_backoff = milliseconds(100);
  client::FetchOptions fetch;
  client::ProducerOptions producer;
  client::GroupOptions group;
  /// How long the waits in an open transaction may take beside the commit interval: for room in the
  /// producer's buffer, for the answers of its commit.
  Duration transaction_wait_max = seconds(9);
  AtStop at_stop = AtStop::kLeave;
  /// Asked after each assignment, before anything is read; an error is treated as any of the stage.
  std::function<Task<Status>()> on_assignment;
  /// Asked when its claims fence whatever begins from then on, before it reads; errors as above.
  std::function<Task<Status>()> on_claimed;
  TellEvent tell = tell_nobody();
  SeededBug seeded_bug = SeededBug::kNone;

  // Times that follow from others. Nothing else in the engine computes them; check_times() has the
  // rules between those that are set.

  /// transaction.timeout.ms: the transaction of a commit lasts its interval and its waits.
  Duration transaction_timeout() const;
  /// What another worker's open transaction holds back is decided when that one has timed out.
  Duration decision_wait_max() const { return transaction_timeout() + call_timeout; }
};

/// Who writes what a stage reads. Between stages only the pipeline does: its producers have ids,
/// and where it was never at least once all their records are in transactions.
enum class SourceWriters : std::uint8_t { kAnyone, kPipeline, kPipelineInTransactions };

/// kInvalidArgument, naming both, if a time does not fit another that depends on it.
Status check_times(const StageOptions& options);

/// Whether recovery can help. Everything that a crash could also have caused can be recovered from;
/// what is wrong with a record, a file, a definition or the set-up of another system will be wrong
/// again. `was_tried_again`: an unclear error (base/error_class.h) came before, and nothing was
/// committed since.
inline bool is_final(const Error& error, bool was_tried_again = true) {
  switch (error.code) {
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kCorrupt:
      return true;
    case ErrorCode::kUnsupported:
      return was_tried_again || !is_unclear(error);
    case ErrorCode::kRefused:
      return error.recovery == Recovery::kFatal;
    default:
      return false;
  }
}

}  // namespace onceflow::engine
