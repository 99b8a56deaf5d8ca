// Seeded bugs (base/seeded_bug.h) that only the engine and what is built on it ask for. They have a
// header of their own because every file of the program includes that one, and a bug more would
// rebuild them all.
#pragma once

#include "base/seeded_bug.h"

namespace onceflow::engine {

/// sink: whose rows a table has is not asked (STG-1)
inline constexpr auto kTableByNameOnly = static_cast<SeededBug>(101);
/// what a sink has read is forgotten with its database (STG-1)
inline constexpr auto kLostDatabaseIsFirstStart = static_cast<SeededBug>(102);
/// a log that went back is gone on with (STG-1)
inline constexpr auto kRestoredLogIsNotCompared = static_cast<SeededBug>(103);
/// a worker that slept through a reset compares its file alone (STG-1)
inline constexpr auto kResetReachesTheFileOnly = static_cast<SeededBug>(104);
/// definitions are compared at the start only (STG-2)
inline constexpr auto kSleeperGoesOn = static_cast<SeededBug>(105);
/// who wrote between stages is not asked (STG-1)
inline constexpr auto kStrangerIsCounted = static_cast<SeededBug>(106);
/// sink: of which start-over its positions are is not asked (STG-1)
inline constexpr auto kStartOverIsNotCompared = static_cast<SeededBug>(107);
/// sink: where a start-over began is known by its database only (STG-1)
inline constexpr auto kStartOverIsNotRecalled = static_cast<SeededBug>(108);

}  // namespace onceflow::engine
