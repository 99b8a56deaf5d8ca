#include "sim/bugs.h"

#include "audit/seeded_bugs.h"
#include "engine/seeded_bugs.h"

namespace onceflow::sim {

const std::vector<BugKind>& bug_kinds() {
  static const std::vector<BugKind> kinds = {
      {SeededBug::kAcknowledgeBeforeSync, "acknowledge-before-sync", "log", "LOG-1"},
      {SeededBug::kForgetOneOfFiveBatches, "forget-one-of-five-batches", "log", "PRD-1"},
      {SeededBug::kSkipEpochCheck, "skip-epoch-check", "log", "PRD-2"},
      {SeededBug::kLastStablePastUnsyncedMarker, "last-stable-past-unsynced-marker", "log",
       "LOG-3"},
      {SeededBug::kForgetLogStart, "forget-log-start", "storage", "LOG-3"},
      {SeededBug::kRetentionTakesOneMore, "retention-takes-one-more", "storage", "LOG-1"},
      {SeededBug::kCheckpointBeforeNames, "checkpoint-before-names", "log", "LOG-1"},
      {SeededBug::kCutInSilence, "cut-in-silence", "storage", "LOG-1"},
      {SeededBug::kCommitOffsetsOutsideTransaction, "commit-offsets-outside-transaction",
       "pipeline", "TXN-2"},
      {SeededBug::kApplyStateBeforeCommit, "apply-state-before-commit", "pipeline", "STG-2"},
      {SeededBug::kGoOnWithForeignState, "go-on-with-foreign-state", "pipeline", "STG-2"},
      {SeededBug::kIdleIsNotCompared, "idle-is-not-compared", "endings", "STG-1"},
      {SeededBug::kPositionRowWithoutEpoch, "position-row-without-epoch", "pipeline", "SNK-1"},
      {SeededBug::kPositionRowWithoutOffset, "position-row-without-offset", "endings", "STG-1"},
      {SeededBug::kCutTextAtNul, "cut-text-at-nul", "pipeline", "STG-1"},
      {SeededBug::kBeginningIsNotKept, "beginning-is-not-kept", "pipeline", "STG-1"},
      {engine::kTableByNameOnly, "table-by-name-only", "endings", "STG-1"},
      {engine::kLostDatabaseIsFirstStart, "lost-database-is-first-start", "endings", "STG-1"},
      {engine::kRestoredLogIsNotCompared, "restored-log-is-not-compared", "endings", "STG-1"},
      {engine::kResetReachesTheFileOnly, "reset-reaches-the-file-only", "endings", "STG-1"},
      {engine::kSleeperGoesOn, "sleeper-goes-on", "endings", "STG-2"},
      {engine::kStrangerIsCounted, "stranger-is-counted", "endings", "STG-1"},
      {engine::kStartOverIsNotCompared, "start-over-is-not-compared", "endings", "STG-1"},
      {engine::kStartOverIsNotRecalled, "start-over-is-not-recalled", "endings", "STG-1"},
      {audit::kStartOverIsNotAudited, "start-over-is-not-audited", "endings", "AUD-1"},
      {SeededBug::kTopicByNameOnly, "topic-by-name-only", "endings", "STG-1"},
      {SeededBug::kTimeoutApartFromInterval, "timeout-apart-from-interval", "pipeline", "STG-1"},
      {SeededBug::kDeletedWasNeverThere, "deleted-was-never-there", "endings", "AUD-1"},
      {SeededBug::kRetryEndTxnIntoNextTransaction, "retry-end-txn-into-next-transaction",
       "pipeline", "STG-1"},
      {SeededBug::kCommitOffsetsOfAborted, "commit-offsets-of-aborted", "transactions", "TXN-2"},
      {SeededBug::kForgetTransactionTimeouts, "forget-transaction-timeouts", "transactions",
       "TXN-3"},
      {SeededBug::kForgetGeneration, "forget-generation", "groups", "GRP-1"},
      {SeededBug::kAcceptStaleGeneration, "accept-stale-generation", "groups", "GRP-2"},
  };
  return kinds;
}

}  // namespace onceflow::sim
