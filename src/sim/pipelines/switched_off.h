// What the pipeline workload knows how to draw and does not draw yet, because the product is known
// to answer wrong. Each goes with the change that makes it right.
#pragma once

namespace onceflow::sim {

/// A document's names with escapes in them.
inline constexpr bool kDrawsEscapedNames = true;
/// U+0000 in a text, a lone surrogate, integers beyond 64 bits as keys, lists and objects as parts
/// of a key: some are cut, rounded or passed on.
inline constexpr bool kDrawsDoubtfulTexts = false;
/// auto.offset.reset: latest.
inline constexpr bool kDrawsLatest = true;
/// Partitions added to the source topic while it is read.
inline constexpr bool kDrawsAddedPartitions = true;
/// A backup of the database restored, rows, receipts and positions together.
inline constexpr bool kDrawsRestores = true;
/// Positions of the database set back alone. The stage stops and the audit names it; the model
/// judges as if neither had anything to say, and as if no other worker went on.
inline constexpr bool kDrawsPositionsSetBack = false;
/// The pipeline file changed between two starts: a state of another definition is taken.
inline constexpr bool kDrawsChangedFiles = false;
/// The source topic deleted and made again under its name: as above.
inline constexpr bool kDrawsTopicsMadeAgain = false;
/// Records deleted by retention before they were read: not yet seen on enough seeds.
inline constexpr bool kDrawsDeletedRecords = false;
/// commit.interval.ms beyond the transaction time-out, which does not follow it.
inline constexpr bool kDrawsLongIntervals = false;

}  // namespace onceflow::sim
