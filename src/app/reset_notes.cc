#include "app/reset_notes.h"

#include <fmt/format.h>

#include <algorithm>

#include "app/pipeline_positions.h"

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

std::vector<std::string> new_outputs(const protocol::PipelineDefinition& known,
                                     const protocol::PipelineDefinition& planned) {
  const auto writes = [](const std::string& topic) {
    return [&topic](const Stage& stage) {
      return !stage.is_database() && std::ranges::find(stage.outputs, topic) != stage.outputs.end();
    };
  };
  std::vector<std::string> notes;
  for (const Stage& stage : planned.stages) {
    for (const std::string& topic : stage.outputs) {
      if (!stage.is_database() && !lies_between_stages(planned.pipeline, topic) &&
          std::ranges::none_of(known.stages, writes(topic))) {
        notes.push_back(fmt::format(
            "topic {} is a new output of stage {}: it lacks the results of all records before, and "
            "gets those from now on",
            topic, stage.id));
      }
    }
  }
  return notes;
}

}  // namespace onceflow::app
