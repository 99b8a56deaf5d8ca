#include "app/reset_notes.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace onceflow::app {

using Stage = protocol::PipelineDefinition::Stage;

std::string describe_start_over(const Stage& stage, const connectors::SinkPast& past,
                                bool deletes_rows, bool keeps_rows, const Positions& positions) {
  const std::string& table = stage.outputs.front();
  std::string what = fmt::format("{}, sink {}: forget {} positions and {} receipts", stage.database,
                                 stage.id, past.position_count, past.receipt_count);
  const std::int64_t strangers = past.row_count - past.own_row_count;
  if (deletes_rows) {
    what += past.other_writers.empty()
                ? fmt::format(", delete {} rows of table {}{}", past.own_row_count, table,
                              strangers == 0
                                  ? std::string()
                                  : fmt::format(" ({} that no pipeline wrote stay)", strangers))
                : fmt::format(
                      ", delete {} of {} rows of table {} (those that receipts of this "
                      "pipeline know of; {} writes it, too)",
                      past.own_row_count, past.row_count, table,
                      fmt::join(past.other_writers, " and "));
  }
  if (keeps_rows) {
    what += fmt::format(", keep {} rows of table {}", past.own_row_count, table);
  }
  if (!positions.empty()) {
    what += fmt::format(", go on at {}", describe(positions));
  }
  return what;
}

std::string is_elsewhere(const Stage& stage, const Stage& after, const Positions& read) {
  return fmt::format(
      "the database of sink {} holds no position of sink {}, which has read {} (group {}): it is "
      "another database than before, or was emptied",
      after.id, stage.id, describe(read), stage.group_id);
}

std::string states_do_not_fit(const std::vector<engine::DefinitionChange>& changes,
                              const protocol::PipelineDefinition& planned,
                              const std::string& file) {
  return fmt::format(
      "the states do not fit the file:\n{}the rule: a state is kept where its aggregates and "
      "the names of its key are the same, and nothing else needs a decision; the fix: choose one "
      "of\n{}",
      engine::describe(changes, engine::DefinitionChange::Weight::kRefused),
      engine::ways_on(changes, planned, file, " --execute"));
}

std::string not_all_is_read(std::vector<engine::DefinitionChange> changes,
                            const protocol::PipelineDefinition& planned, const std::string& file) {
  std::erase_if(changes, [](const auto& change) { return !change.must_be_read; });
  return fmt::format(
      "not all is read that lies between the stages:\n{}the rule: what a stage has passed on "
      "reaches the next one before the file leaves their topic; the fix: choose one of\n{}",
      engine::describe(changes, engine::DefinitionChange::Weight::kRefused),
      engine::ways_on(changes, planned, file, " --execute"));
}

std::string turn_is_lost(const std::string& pipeline, const std::string& what,
                         const std::string& file, const std::string& flags) {
  return fmt::format(
      "pipeline '{}': {}; the rule: of two resets one goes on, and none undoes what has run since; "
      "this one has stopped here; the fix: onceflow plan {} says how it is now; to reset it once "
      "more: onceflow reset {} {} --execute",
      pipeline, what, file, file, flags);
}

Status unended(const std::string& what, const Status& done, const std::string& file,
               const std::string& flags) {
  return done ? done
              : fail(done.error().code,
                     fmt::format("{}: {}; the reset has not ended, and no worker starts before it "
                                 "has: run the same command again: onceflow reset {} {} --execute",
                                 what, done.error().text, file, flags));
}

Status run_begins(const engine::Rehearsal& run, const std::string& file) {
  return run.refusals.empty()
             ? Status{}
             : fail(ErrorCode::kRefused,
                    fmt::format("the reset has ended, and onceflow run {} still refuses: {}", file,
                                fmt::join(run.refusals, "; ")));
}

std::set<std::string> stages_with_lost_input(const engine::Rehearsal& run) {
  std::set<std::string> found;
  for (const engine::StageRehearsal& stage : run.stages) {
    if (stage.has_lost_input) {
      found.insert(stage.stage);
    }
  }
  return found;
}

std::string goes_on_after_lost_input(const Stage& stage) {
  return fmt::format(
      "stage {} goes on after records that the log has lost: what became of them stays as it is, "
      "and onceflow audit calls them missing",
      stage.id);
}

std::string begins_with_what_comes(const Stage& stage, const Stage* before) {
  const std::string now = fmt::format("{}", fmt::join(stage.sources, ", "));
  return before == nullptr || before->sources == stage.sources
             ? fmt::format("stage {} is new: it begins with what comes to {}", stage.id, now)
             : fmt::format(
                   "stage {} read topic {}, and now reads {}, which is not there yet: it "
                   "begins with what comes to it",
                   stage.id, fmt::join(before->sources, ", "), now);
}

std::vector<std::string> kept_topics(const protocol::PipelineDefinition& planned) {
  std::vector<std::string> topics;
  for (const Stage& stage : planned.stages) {
    for (const std::string& topic : stage.outputs) {
      if (!stage.is_database() && !lies_between_stages(planned.pipeline, topic)) {
        topics.push_back(topic);
      }
    }
  }
  return topics;
}

std::vector<std::string> kept_outputs(const protocol::PipelineDefinition& planned) {
  std::vector<std::string> notes;
  for (const std::string& topic : kept_topics(planned)) {
    notes.push_back(
        fmt::format("topic {} keeps its records: its readers get the results once more; the "
                    "audit does not cover those of before",
                    topic));
  }
  return notes;
}

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
