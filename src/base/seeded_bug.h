// Seeded bugs: ways of being wrong that the simulator switches on, one at a time, to prove that its
// checkers notice. Always kNone outside the simulator; the code that asks is one branch on a value
// that never changes in a run.
#pragma once

namespace onceflow {

enum class SeededBug {
  kNone,
  kAcknowledgeBeforeSync,            ///< log: replies do not wait for the journal (LOG-1)
  kForgetOneOfFiveBatches,           ///< log: recovery keeps four of the five batches (PRD-1)
  kSkipEpochCheck,                   ///< log: a stale producer epoch is let in (PRD-2)
  kLastStablePastUnsyncedMarker,     ///< log: the LSO moves before the marker is durable (LOG-3)
  kCommitOffsetsOutsideTransaction,  ///< engine: offsets committed apart from the output (TXN-2)
  kApplyStateBeforeCommit,           ///< engine: state moves before EndTxn has answered (STG-2)
  kGoOnWithForeignState,             ///< engine: definitions are not compared (STG-2)
  kIdleIsNotCompared,                ///< engine: a restore is seen by a commit only (STG-1)
  kRetryEndTxnIntoNextTransaction,   ///< client: a lost EndTxn answer is retried blindly (STG-1)
  kCommitOffsetsOfAborted,           ///< coordinator: an abort commits the group's offsets (TXN-2)
  kForgetTransactionTimeouts,        ///< coordinator: a restart forgets them (TXN-3)
  kIdNotGivenOutAccepted,            ///< coordinator: a stranger's id writes at once (PRD-3)
  kForgetGeneration,                 ///< coordinator: a restart counts from 1 again (GRP-1)
  kAcceptStaleGeneration,            ///< coordinator: a fenced member's commit is let in (GRP-2)
  kPositionRowWithoutEpoch,          ///< sink: the position update ignores the epoch (SNK-1)
  kPositionRowWithoutOffset,         ///< sink: it ignores where it moves from (STG-1)
  kCutTextAtNul,                     ///< sink: a text ends at its first U+0000 (STG-1)
  kBeginningIsNotKept,               ///< engine: it is decided anew at each claim (STG-1)
  kTableByNameOnly,                  ///< sink: whose rows a table has is not asked (STG-1)
  kLostDatabaseIsFirstStart,         ///< engine: what a sink has read is forgotten (STG-1)
  kRestoredLogIsNotCompared,         ///< engine: a log that went back is gone on with (STG-1)
  kResetReachesTheFileOnly,          ///< engine: a reset of the pipeline is not compared (STG-1)
  kSleeperGoesOn,                    ///< engine: definitions are compared at the start only (STG-2)
  kStrangerIsCounted,                ///< engine: who wrote between stages is not asked (STG-1)
  kStartOverIsNotCompared,           ///< sink: a position's start-over is not asked (STG-1)
  kStartOverIsNotRecalled,           ///< sink: its database alone knows where one began (STG-1)
  kStartOverStaysForgotten,          ///< engine: receipts are not asked for a lost one (STG-1)
  kTopicByNameOnly,                  ///< engine: a topic made again is the old one (STG-1)
  kTimeoutApartFromInterval,         ///< engine: transactions end before their commit (STG-1)
  kDeletedWasNeverThere,             ///< audit: what was deleted unread is no hole (AUD-1)
  kStartOverIsNotAudited,            ///< audit: a position's start-over is not asked (AUD-1)
  kForgetLogStart,                   ///< log: recovery brings back deleted records (LOG-3)
  kRetentionTakesOneMore,            ///< log: it takes a segment before its time (LOG-1)
  kCheckpointBeforeNames,            ///< log: a checkpoint does not wait for its folders (LOG-1)
  kCutInSilence,                     ///< log: damage to the journal's end is not named (LOG-1)
  kBudgetHasAnException,             ///< broker: who holds nothing may take any memory (MEM-1)
  kHalfRequestKept,                  ///< broker: half requests are kept while others wait (MEM-2)
  kRepeatsAreWorkedOff,              ///< broker: what is named again is done again (REQ-1)
  kJournalFileNotChecked,            ///< log: nothing says how far the journal was (LOG-1)
  kLostIsNotTold,                    ///< log: salvage says nothing of what it leaves out (LOG-1)
  kAnyMarkerEnds,                    ///< log: salvage takes a later one for a lost one (TXN-1)
  kSegmentOfAnotherTopicServed,      ///< log: what a segment holds is not compared (LOG-3)
};

}  // namespace onceflow
