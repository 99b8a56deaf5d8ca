#include "app/reset_notes.h"

#include <fmt/format.h>

namespace onceflow::app {

using Stage = protocol::PipelineDefinition::Stage;

std::vector<std::string> tables_of_the_past(const protocol::PipelineDefinition& known,
                                            const protocol::PipelineDefinition& planned) {
  std::vector<std::string> notes;
  for (const Stage& stage : known.stages) {
    if (stage.is_database() && planned.find(stage.id) == nullptr) {
      notes.push_back(fmt::format(
          "sink {} is not in the file: table {} and its position in {} stay as they are; should it "
          "come back, run asks what becomes of them",
          stage.id, stage.outputs.front(), stage.database));
    }
  }
  return notes;
}

std::vector<std::string> states_of_the_past(const protocol::PipelineDefinition& known,
                                            const protocol::PipelineDefinition& planned) {
  std::vector<std::string> notes;
  for (const Stage& stage : known.stages) {
    if (!stage.state.empty() && planned.find(stage.id) == nullptr) {
      notes.push_back(fmt::format("stage {} is not in the file: its state is left behind in {}",
                                  stage.id, stage.changelog_topic));
    }
  }
  for (const Stage& stage : planned.stages) {
    if (!stage.state.empty() && known.find(stage.id) == nullptr) {
      notes.push_back(fmt::format("stage {} is new: its state begins empty", stage.id));
    }
  }
  return notes;
}

}  // namespace onceflow::app
