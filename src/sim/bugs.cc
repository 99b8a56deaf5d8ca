#include "sim/bugs.h"

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
      {SeededBug::kJournalFileNotChecked, "journal-file-not-checked", "storage", "LOG-1"},
      {SeededBug::kLostIsNotTold, "lost-is-not-told", "storage", "LOG-1"},
      {SeededBug::kAnyMarkerEnds, "any-marker-ends", "storage", "TXN-1"},
      {SeededBug::kSegmentOfAnotherTopicServed, "segment-of-another-topic-served", "storage",
       "LOG-3"},
      {SeededBug::kCommitOffsetsOutsideTransaction, "commit-offsets-outside-transaction",
       "pipeline", "TXN-2"},
      {SeededBug::kApplyStateBeforeCommit, "apply-state-before-commit", "pipeline", "STG-2"},
      {SeededBug::kGoOnWithForeignState, "go-on-with-foreign-state", "pipeline", "STG-2"},
      {SeededBug::kIdleIsNotCompared, "idle-is-not-compared", "endings", "STG-1"},
      {SeededBug::kPositionRowWithoutEpoch, "position-row-without-epoch", "pipeline", "SNK-1"},
      {SeededBug::kPositionRowWithoutOffset, "position-row-without-offset", "endings", "STG-1"},
      {SeededBug::kCutTextAtNul, "cut-text-at-nul", "pipeline", "STG-1"},
      {SeededBug::kBeginningIsNotKept, "beginning-is-not-kept", "pipeline", "STG-1"},
      {SeededBug::kTableByNameOnly, "table-by-name-only", "endings", "STG-1"},
      {SeededBug::kLostDatabaseIsFirstStart, "lost-database-is-first-start", "endings", "STG-1"},
      {SeededBug::kRestoredLogIsNotCompared, "restored-log-is-not-compared", "endings", "STG-1"},
      {SeededBug::kResetReachesTheFileOnly, "reset-reaches-the-file-only", "endings", "STG-1"},
      {SeededBug::kSleeperGoesOn, "sleeper-goes-on", "endings", "STG-2"},
      {SeededBug::kStrangerIsCounted, "stranger-is-counted", "endings", "STG-1"},
      {SeededBug::kStartOverIsNotCompared, "start-over-is-not-compared", "endings", "STG-1"},
      {SeededBug::kStartOverIsNotRecalled, "start-over-is-not-recalled", "endings", "STG-1"},
      {SeededBug::kStartOverStaysForgotten, "start-over-stays-forgotten", "endings", "STG-1"},
      {SeededBug::kStartOverIsNotAudited, "start-over-is-not-audited", "endings", "AUD-1"},
      {SeededBug::kTopicByNameOnly, "topic-by-name-only", "endings", "STG-1"},
      {SeededBug::kTimeoutApartFromInterval, "timeout-apart-from-interval", "pipeline", "STG-1"},
      {SeededBug::kDeletedWasNeverThere, "deleted-was-never-there", "endings", "AUD-1"},
      {SeededBug::kRetryEndTxnIntoNextTransaction, "retry-end-txn-into-next-transaction",
       "pipeline", "STG-1"},
      {SeededBug::kCommitOffsetsOfAborted, "commit-offsets-of-aborted", "transactions", "TXN-2"},
      {SeededBug::kForgetTransactionTimeouts, "forget-transaction-timeouts", "transactions",
       "TXN-3"},
      {SeededBug::kIdNotGivenOutAccepted, "id-not-given-out-accepted", "transactions", "PRD-3"},
      {SeededBug::kBudgetHasAnException, "budget-has-an-exception", "groups", "MEM-1"},
      {SeededBug::kHalfRequestKept, "half-request-kept", "groups", "MEM-2"},
      {SeededBug::kRepeatsAreWorkedOff, "repeats-are-worked-off", "groups", "REQ-1"},
      {SeededBug::kForgetGeneration, "forget-generation", "groups", "GRP-1"},
      {SeededBug::kAcceptStaleGeneration, "accept-stale-generation", "groups", "GRP-2"},
  };
  return kinds;
}

}  // namespace onceflow::sim
