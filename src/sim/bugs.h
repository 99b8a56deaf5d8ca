// The seeded bugs: each must be found by some workload within so many seeds, or the checkers prove
// nothing.
#pragma once

#include <string_view>
#include <vector>

#include "base/seeded_bug.h"

namespace onceflow::sim {

struct BugKind {
  SeededBug bug;
  std::string_view name;
  std::string_view workload;   ///< where it is looked for
  std::string_view invariant;  ///< that it breaks
};

const std::vector<BugKind>& bug_kinds();

}  // namespace onceflow::sim
