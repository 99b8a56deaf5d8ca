// What the pipeline workload knows how to draw and does not draw yet, because the product is known
// to answer wrong. Each goes with the change that makes it right.
#pragma once

namespace onceflow::sim {

/// The pipeline file changed between two starts: a state of another definition is taken.
inline constexpr bool kDrawsChangedFiles = false;

}  // namespace onceflow::sim
