#include "engine/left_topics.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <string>

#include "protocol/definition_lines.h"

namespace onceflow::engine {
namespace {

using protocol::PipelineDefinition;
using Stage = PipelineDefinition::Stage;

bool has(const std::vector<std::string>& names, const std::string& name) {
  return std::ranges::find(names, name) != names.end();
}

class LeftTopics {
 public:
  LeftTopics(const PipelineDefinition& known, const PipelineDefinition& planned)
      : known_(known), planned_(planned) {}

  void look_at(const Stage& before) {
    const Stage* after = planned_.find(before.id);
    std::vector<std::string> left;
    std::ranges::copy_if(before.sources, std::back_inserter(left), [&](const std::string& topic) {
      return !is_source(topic) &&
             (after != nullptr ? !has(after->sources, topic) : leaves(before, topic));
    });
    if (left.empty()) {
      if (after != nullptr && before.sources == after->sources &&
          std::ranges::none_of(before.sources,
                               [&](const auto& topic) { return is_source(topic); }) &&
          made_of(before.state) != made_of(protocol::in_form_of(before.state, after->state))) {
        add_keyed_before(before);
      }
      return;
    }
    const std::string names = fmt::format("{}", fmt::join(left, ", "));
    changes_.push_back(
        {.stage = before.id,
         .what = after != nullptr
                     ? fmt::format("it read topic {}, which it does not read any more", names)
                     : fmt::format("it read topic {}, and no stage goes on there", names),
         .effect = {},
         .left_topics = left,
         .left_group = before.group_id,
         .must_be_read = true});
  }

  std::vector<DefinitionChange> take() { return std::move(changes_); }

 private:
  /// What the records of a state are by the time they are counted. Where only what is counted has
  /// changed, those that wait are counted as the file says. Older programs have written each
  /// `where` too.
  static std::vector<std::string> made_of(const std::string& state) {
    std::vector<std::string> lines = protocol::definition_lines(state);
    if (!std::ranges::all_of(lines, protocol::has_closed_quotes)) {
      return lines;
    }
    std::erase_if(lines, [](const std::string& line) {
      return line.starts_with("aggregate ") || line.starts_with("where ");
    });
    return lines;
  }

  // Its state needs a decision of its own, which is kept to: with --keep-states they are counted as
  // they are.
  void add_keyed_before(const Stage& before) {
    changes_.push_back(
        {.stage = before.id,
         .what = fmt::format("it has not read all of topic {}", fmt::join(before.sources, ", ")),
         .effect = "were made by the steps and the key that the file had before",
         .keeping_state = DefinitionChange::KeepingState::kAdvised,
         .left_topics = before.sources,
         .left_group = before.group_id,
         .must_be_read = true});
  }

  // The pipeline's input: what is unread there stays unread, and is said as that.
  bool is_source(const std::string& topic) const {
    return std::ranges::any_of(std::vector{&known_, &planned_}, [&](const auto* definition) {
      return !definition->stages.empty() && has(definition->stages.front().sources, topic);
    });
  }

  // Of a stage that is gone.
  bool leaves(const Stage& before, const std::string& topic) const {
    const auto is_new = [&](const Stage& stage) { return known_.find(stage.id) == nullptr; };
    if (std::ranges::any_of(planned_.stages, [&](const Stage& stage) {
          return is_new(stage) && takes_over(before, stage);
        })) {
      return false;
    }
    if (!before.is_database()) {
      return true;
    }
    if (std::ranges::any_of(planned_.stages, [&](const Stage& stage) {
          return is_new(stage) && stage.database == before.database &&
                 stage.outputs == before.outputs;
        })) {
      return true;
    }
    const bool is_kept =
        std::ranges::any_of(planned_.stages,
                            [&](const Stage& stage) {
                              return !stage.is_database() && has(stage.outputs, topic);
                            }) ||
        std::ranges::any_of(known_.stages, [&](const Stage& stage) {
          return planned_.find(stage.id) != nullptr && has(stage.sources, topic);
        });
    return !is_kept && std::ranges::any_of(planned_.stages, [&](const Stage& stage) {
      return is_new(stage) && stage.is_database();
    });
  }

  const PipelineDefinition& known_;
  const PipelineDefinition& planned_;
  std::vector<DefinitionChange> changes_;
};

}  // namespace

bool takes_over(const Stage& before, const Stage& after) {
  return before.sources == after.sources && before.outputs == after.outputs &&
         before.database == after.database;
}

std::vector<DefinitionChange> left_between_stages(const PipelineDefinition& known,
                                                  std::span<const Stage> retired,
                                                  const PipelineDefinition& planned) {
  LeftTopics topics(known, planned);
  for (const Stage& stage : known.stages) {
    topics.look_at(stage);
  }
  for (const Stage& stage : retired) {
    if (planned.find(stage.id) != nullptr) {
      topics.look_at(stage);
    }
  }
  return topics.take();
}

}  // namespace onceflow::engine
