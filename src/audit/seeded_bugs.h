// Seeded bugs (base/seeded_bug.h) of the auditor alone. They have a header of their own because every
// file of the program includes that one, and a bug more would rebuild them all.
#pragma once

#include "base/seeded_bug.h"

namespace onceflow::audit {

/// of which start-over a table's positions are is not asked (AUD-1)
inline constexpr auto kStartOverIsNotAudited = static_cast<SeededBug>(201);

}  // namespace onceflow::audit
