#include "sim/pipelines/endings.h"

#include <vector>

#include "sim/pipelines/ending.h"

namespace onceflow::sim {

void end_run(EndScene scene) {
  std::vector<EndingKind> kinds;
  for (const auto& group : {input_endings(), table_endings(), topic_endings(), sleeper_endings()}) {
    kinds.insert(kinds.end(), group.begin(), group.end());
  }
  const EndingKind& drawn = kinds[scene.random.below(kinds.size())];
  scene.world.note("world", drawn.name);
  scene.workers.may_refuse();
  Ending ending(scene);
  drawn.play(ending);
}

}  // namespace onceflow::sim
