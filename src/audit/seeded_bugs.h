// Seeded bugs (base/seeded_bug.h) of the auditor alone: as engine/seeded_bugs.h.
#pragma once

#include "base/seeded_bug.h"

namespace onceflow::audit {

/// of which start-over a table's positions are is not asked (AUD-1)
inline constexpr auto kStartOverIsNotAudited = static_cast<SeededBug>(201);

}  // namespace onceflow::audit
