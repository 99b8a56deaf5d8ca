#include "engine/definition_change.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <string_view>

#include "engine/left_topics.h"
#include "protocol/definition_lines.h"

namespace onceflow::engine {
namespace {

using protocol::definition_lines;
using protocol::PipelineDefinition;
using Stage = PipelineDefinition::Stage;
using Weight = DefinitionChange::Weight;

// "`a` is now `b`", "`a` is gone", "`b` is new", or that the same lines have another order.
std::string difference(const std::string& before, const std::string& after) {
  const std::vector<std::string> old_lines = definition_lines(before);
  const std::vector<std::string> new_lines = definition_lines(after);
  const auto lacks = [](const std::vector<std::string>& lines, const std::string& line) {
    return std::ranges::find(lines, line) == lines.end();
  };
  std::vector<std::string> gone;
  std::vector<std::string> added;
  std::ranges::copy_if(old_lines, std::back_inserter(gone),
                       [&](const std::string& line) { return lacks(new_lines, line); });
  std::ranges::copy_if(new_lines, std::back_inserter(added),
                       [&](const std::string& line) { return lacks(old_lines, line); });
  std::vector<std::string> parts;
  for (std::size_t index = 0; index < std::max(gone.size(), added.size()); ++index) {
    if (index < gone.size() && index < added.size()) {
      parts.push_back(fmt::format("`{}` is now `{}`", gone[index], added[index]));
    } else if (index < gone.size()) {
      parts.push_back(fmt::format("`{}` is gone", gone[index]));
    } else {
      parts.push_back(fmt::format("`{}` is new", added[index]));
    }
  }
  return parts.empty() ? "the same lines stand in another order"
                       : fmt::format("{}", fmt::join(parts, ", "));
}

constexpr std::string_view kExactlyOnce = "exactly_once";

std::vector<std::string> missing_in(const std::vector<std::string>& all,
                                    const std::vector<std::string>& others) {
  std::vector<std::string> missing;
  std::ranges::copy_if(all, std::back_inserter(missing), [&](const std::string& name) {
    return std::ranges::find(others, name) == others.end();
  });
  return missing;
}

// The lines that decide what a state is, and how its keys are made up: all but what is done to
// records before they are counted. Older programs have written each `where` too, and literals over
// several lines: of those nobody can say what a line is.
std::vector<std::string> shape_of(const std::string& state) {
  constexpr std::string_view kIs = " = ";
  std::vector<std::string> shape = definition_lines(state);
  if (!std::ranges::all_of(shape, protocol::has_closed_quotes)) {
    return shape;
  }
  std::erase_if(shape, [](const std::string& line) {
    return line.starts_with("where ") || protocol::without_border(line).starts_with("set ");
  });
  for (std::string& line : shape) {
    // A name of an older program may hold the sign too; where it does not tell, the whole line
    // counts.
    const std::size_t begin = protocol::begin_of_expression(line);
    if (protocol::without_border(line).starts_with("key ") && begin != std::string::npos &&
        line.find(kIs, begin) == std::string::npos) {
      line.resize(begin);
    }
  }
  return shape;
}

std::vector<std::string> keys_of(const std::string& state) {
  std::vector<std::string> keys;
  std::ranges::copy_if(
      definition_lines(state), std::back_inserter(keys),
      [](const std::string& line) { return protocol::without_border(line).starts_with("key "); });
  return keys;
}

bool is_where(const std::string& line) { return line.starts_with("where "); }

// What a state does not say of the steps before it: which records come is no part of what it is.
// A `where` judges what the `set`s before it have made: with those that `others` have, too.
std::string wheres_of(const std::string& steps, const std::string& others) {
  const std::vector<std::string> lines = definition_lines(steps);
  const std::vector<std::string> other_lines = definition_lines(others);
  const bool has_where =
      std::ranges::any_of(lines, is_where) || std::ranges::any_of(other_lines, is_where);
  std::string wheres;
  for (const std::string& line : lines) {
    const bool is_kept_set = has_where && protocol::without_border(line).starts_with("set ") &&
                             std::ranges::find(other_lines, line) != other_lines.end();
    wheres += is_where(line) || is_kept_set ? line + "\n" : std::string();
  }
  return wheres;
}

// What else comes of a `where` that treats records without a value in another way; empty: none
// does.
std::string_view effect_on_deletions(const std::string& before, const std::string& after) {
  const auto passes = [](const std::string& steps) {
    return std::ranges::any_of(definition_lines(steps), [](const std::string& line) {
      return line.starts_with("where ") && line.ends_with(protocol::kPassesDeletions);
    });
  };
  const auto judges = [](const std::string& steps) {
    return std::ranges::any_of(definition_lines(steps), [](const std::string& line) {
      return line.starts_with("where ") && !line.ends_with(protocol::kPassesDeletions);
    });
  };
  if (passes(after) && judges(before) && !passes(before)) {
    return "; a record without a value passes from now on and deletes the row of its key; where "
           "the condition dropped one before, what it was to delete stays";
  }
  if (judges(after) && passes(before) && !passes(after)) {
    return "; a record without a value does not pass unasked any more: where the condition is null "
           "or false for it, it is dropped, and a table that is filled later keeps the row of its "
           "key";
  }
  return "";
}

// A sum goes on by digits with what it has come to by SQL's numbers; a mean was rounded each time.
std::vector<std::string> goes_on_exactly(std::vector<std::string> shape,
                                         const std::vector<std::string>& later) {
  constexpr std::string_view kExact = " decimal";
  for (std::size_t index = 0; index < shape.size() && index < later.size(); ++index) {
    const std::string& line = shape[index];
    if (line.starts_with("aggregate ") && line.contains(" = sum(") &&
        later[index] == line + std::string(kExact)) {
      shape[index] = later[index];
    }
  }
  return shape;
}

DefinitionChange::KeepingState keeping(const std::string& before, const std::string& after) {
  using KeepingState = DefinitionChange::KeepingState;
  const std::vector<std::string> shape = shape_of(after);
  if (goes_on_exactly(shape_of(before), shape) != shape) {
    return KeepingState::kRefused;
  }
  return keys_of(before) == keys_of(after) ? KeepingState::kAdvised : KeepingState::kAllowed;
}

// One comparison; what two stages say about one change is said once.
class Comparison {
 public:
  Comparison(const PipelineDefinition& known, const std::vector<Stage>& retired,
             const PipelineDefinition& planned)
      : known_(known), retired_(retired), planned_(planned) {}

  std::vector<DefinitionChange> run() {
    if (known_.guarantee != planned_.guarantee) {
      note("",
           fmt::format("the guarantee was {}, and is now {}", known_.guarantee, planned_.guarantee),
           "it holds for what is committed from now on");
    }
    if (known_.kind != PipelineDefinition::Kind::kResetBegun && !known_.flags.empty() &&
        !planned_.flags.empty() && known_.flags != planned_.flags) {
      note("", fmt::format("`{}` is now `{}`", known_.flags, planned_.flags),
           "it holds for topics and databases that are new; what has begun stays where it is, and "
           "onceflow reset begins it elsewhere");
    }
    for (const Stage& stage : planned_.stages) {
      if (const Stage* before = find_before(stage.id)) {
        compare(*before, stage);
      } else {
        compare_new(stage);
      }
    }
    for (const Stage& stage : known_.stages) {
      if (planned_.find(stage.id) == nullptr && !handled_.contains(stage.id)) {
        compare_gone(stage);
      }
    }
    return std::move(changes_);
  }

 private:
  void note(const std::string& stage, std::string what, std::string effect) {
    changes_.push_back({Weight::kNote, stage, std::move(what), std::move(effect)});
  }
  void refuse(const std::string& stage, std::string what, std::string effect) {
    changes_.push_back({Weight::kRefused, stage, std::move(what), std::move(effect)});
  }

  const Stage* find_before(const std::string& id) const {
    if (const Stage* stage = known_.find(id)) {
      return stage;
    }
    const auto place = std::ranges::find(retired_, id, &Stage::id);
    return place == retired_.end() ? nullptr : &*place;
  }

  bool is_first(const PipelineDefinition& definition, const Stage& stage) const {
    return !definition.stages.empty() && definition.stages.front().id == stage.id;
  }
  bool is_first_in_both(const Stage& before, const Stage& after) const {
    return is_first(known_, before) && is_first(planned_, after);
  }

  static std::vector<std::string> topics_of_state(const Stage& stage) {
    std::vector<std::string> topics = stage.sources;
    topics.push_back(stage.changelog_topic);
    return topics;
  }

  // The plan's stage as the version wrote it that has recorded the one before.
  static Stage in_form_of(const Stage& before, Stage after) {
    after.steps = protocol::in_form_of(before.steps, after.steps);
    after.state = protocol::in_form_of(before.state, after.state);
    after.columns = protocol::in_form_of(before.columns, after.columns);
    return after;
  }

  // The stage that sets an aggregate's key: what is to be said of it is said of the aggregate.
  static bool is_before_aggregate(const PipelineDefinition& definition, const Stage& stage) {
    constexpr std::string_view kEnd = "-key";
    if (!stage.id.ends_with(kEnd)) {
      return false;
    }
    const Stage* aggregate = definition.find(stage.id.substr(0, stage.id.size() - kEnd.size()));
    return aggregate != nullptr && !aggregate->state.empty();
  }

  // A changed key: its aggregate's state has changed with it, and says all but the `where`.
  bool is_said_of_aggregate(const Stage& stage) const {
    if (!is_before_aggregate(planned_, stage)) {
      return false;
    }
    const std::string id = stage.id.substr(0, stage.id.size() - std::string_view("-key").size());
    const Stage* before = find_before(id);
    return before == nullptr ||
           before->state != protocol::in_form_of(before->state, planned_.find(id)->state);
  }

  // ---------------------------------------------------------------------------------- the same id

  void compare(const Stage& before, const Stage& planned) {
    const Stage after = in_form_of(before, planned);
    if (before.is_database() != after.is_database() ||
        before.state.empty() != after.state.empty()) {
      refuse(after.id, "it is a stage of another kind than before",
             "what is kept under this name is of no use to it");
      return;
    }
    if (before.state != after.state) {
      refuse(after.id, difference(before.state, after.state),
             "its state was made by the definition before; gone on with, old and new values would "
             "be mixed");
      changes_.back().state_topics = topics_of_state(before);
      changes_.back().keeping_state = keeping(before.state, after.state);
    }
    if (before.state != after.state || is_said_of_aggregate(after)) {
      compare_steps(after.id, wheres_of(before.steps, after.steps),
                    wheres_of(after.steps, before.steps));
    } else {
      compare_steps(after.id, before.steps, after.steps);
    }
    compare_columns(before, after);
    compare_group(before, after);
    compare_sources(before, after);
    compare_outputs(before, after);
  }

  void compare_steps(const std::string& stage, const std::string& before,
                     const std::string& after) {
    if (before != after) {
      note(stage, difference(before, after),
           fmt::format("it holds from the next record on; what was written before stays as it is{}",
                       effect_on_deletions(before, after)));
    }
  }

  void compare_columns(const Stage& before, const Stage& after) {
    if (before.columns == after.columns) {
      return;
    }
    const std::string what = difference(before.columns, after.columns);
    if (before.kept_by() == after.kept_by()) {
      note(after.id, what, "it holds from the next row on; rows written before stay as they are");
      return;
    }
    refuse(after.id, what,
           "rows are kept by the mode and the key before: later records would not find them, to "
           "update or delete them");
    changes_.back().state_topics = before.sources;
  }

  void compare_group(const Stage& before, const Stage& after) {
    if (before.group_id == after.group_id) {
      return;
    }
    const std::string what =
        fmt::format("group.id was {}, and is now {}", before.group_id, after.group_id);
    if (after.is_database()) {
      note(after.id, what, "its position is in the database, and stays");
    } else {
      refuse(after.id, what,
             "its position is kept under the group: under another one all records are read again, "
             "and their results are there twice");
    }
  }

  void compare_sources(const Stage& before, const Stage& after) {
    const auto added = missing_in(after.sources, before.sources);
    const auto gone = missing_in(before.sources, after.sources);
    if (added.empty() && gone.empty()) {
      return;
    }
    if (!is_first_in_both(before, after)) {
      refuse(after.id,
             fmt::format("it read {}, and now reads {}", fmt::join(before.sources, ", "),
                         fmt::join(after.sources, ", ")),
             "its position is one in the topic before, and the records of the other one are not "
             "those");
      return;
    }
    if (!added.empty()) {
      note(after.id, fmt::format("source topic {} is new", fmt::join(added, ", ")),
           "it is read from where auto.offset.reset says");
      changes_.back().begins_in = added;
    }
    if (!gone.empty()) {
      note(after.id, fmt::format("source topic {} is gone", fmt::join(gone, ", ")),
           "its position is kept, should it come back");
      changes_.back().left_topics = gone;
      changes_.back().left_group = before.group_id;
    }
  }

  void compare_outputs(const Stage& before, const Stage& after) {
    const auto added = missing_in(after.outputs, before.outputs);
    const auto gone = missing_in(before.outputs, after.outputs);
    if (after.is_database()) {
      if (before.database != after.database) {
        note(after.id,
             fmt::format("the database was {}, and is now {}", before.database, after.database),
             "where it holds no position of this sink, its rows are written again from the "
             "beginning; with auto.offset.reset: latest, which is decided once, run stops");
        changes_.back().begins_in = after.sources;
      } else if (!added.empty()) {
        refuse(after.id, fmt::format("table {} is now {}", before.outputs.front(), added.front()),
               "the new table would stay without the rows of the records before");
      }
      return;
    }
    if (!added.empty()) {
      refuse(after.id, fmt::format("topic {} is a new output", fmt::join(added, ", ")),
             "it would stay without the results of the records before");
    }
    if (!gone.empty()) {
      note(after.id, fmt::format("topic {} is no output any more", fmt::join(gone, ", ")),
           "it stays as it is, and gets no more records");
    }
  }

  // ------------------------------------------------------------------------------ new, and gone

  // A stage that is not planned any more and was this one under another name.
  const Stage* find_renamed(const Stage& stage) {
    for (const Stage& before : known_.stages) {
      if (planned_.find(before.id) == nullptr && before.is_database() == stage.is_database() &&
          before.state == protocol::in_form_of(before.state, stage.state) &&
          (!stage.state.empty() ||
           (before.database == stage.database && before.outputs == stage.outputs))) {
        return &before;
      }
    }
    return nullptr;
  }

  void compare_new(const Stage& stage) {
    if (is_before_aggregate(planned_, stage)) {
      return;
    }
    if (const Stage* before = find_renamed(stage)) {
      handled_.insert(before->id);
      refuse(stage.id, fmt::format("{} is now called {}", before->id, stage.id),
             stage.state.empty()
                 ? std::string("its position and receipts are kept under its name: under another "
                               "one its records are written again")
                 : std::string("its state is kept under its name: under another one it begins at "
                               "nothing, and so do its results"));
      if (!before->state.empty()) {
        changes_.back().state_topics = topics_of_state(*before);
      }
    } else if (!stage.state.empty()) {
      refuse(stage.id, "it is new, and keeps a state",
             "it would count from now on, and not what has passed already");
    } else if (stage.is_database()) {
      compare_new_table(stage);
    } else {
      refuse(stage.id, fmt::format("it is new, and writes {}", fmt::join(stage.outputs, ", ")),
             "its output would stay without the records that have passed already");
    }
  }

  void compare_new_table(const Stage& stage) {
    const bool has_source = std::ranges::any_of(known_.stages, [&](const Stage& before) {
      return !before.is_database() &&
             std::ranges::find(before.outputs, stage.sources.front()) != before.outputs.end();
    });
    const auto writes_it = [&](const Stage& before) {
      return before.database == stage.database && before.outputs == stage.outputs;
    };
    if (std::ranges::any_of(known_.stages, writes_it) || std::ranges::any_of(retired_, writes_it)) {
      refuse(
          stage.id,
          fmt::format("it writes table {}, which another sink has written", stage.outputs.front()),
          "positions are kept under the sink's name: it would write all rows again");
    } else if (has_source) {
      changes_.push_back(
          {Weight::kNote,
           stage.id,
           "it is a new sink",
           fmt::format("its table is filled from the beginning of topic {}", stage.sources.front()),
           stage.sources.front(),
           {stage.sources.front()}});
    } else {
      refuse(stage.id, "it is a new sink",
             "its table would stay without the records that have passed already");
    }
  }

  void compare_gone(const Stage& stage) {
    if (is_before_aggregate(known_, stage)) {
      return;
    }
    if (!stage.state.empty()) {
      refuse(stage.id, "it is gone, and has kept a state",
             "the state stays behind; should it come back, it lacks what has passed in between");
    } else if (stage.is_database()) {
      note(stage.id, "the sink is gone",
           fmt::format("table {} stays as it is, and so does its position", stage.outputs.front()));
      changes_.back().left_topics = stage.sources;
      changes_.back().left_group = stage.group_id;
    } else {
      refuse(stage.id,
             fmt::format("the stage that wrote {} is gone", fmt::join(stage.outputs, ", ")),
             "its position stays behind");
    }
  }

  const PipelineDefinition& known_;
  const std::vector<Stage>& retired_;
  const PipelineDefinition& planned_;
  std::vector<DefinitionChange> changes_;
  std::set<std::string> handled_;
};

}  // namespace

void KnownDefinition::add(const PipelineDefinition& record) {
  using Kind = PipelineDefinition::Kind;
  if (record.kind == Kind::kResetBegun) {
    if (!begun_) {
      begun_ = record;
    }
    if (begun_->is_same_pipeline(record) && begun_->flags == record.flags) {
      newest_reset_ = {record.kind, record.written_at_ms};
    }
    return;
  }
  if (record.kind == Kind::kRun && (begun_ || has_refusal(compare(record)))) {
    return;
  }
  if (record.kind == Kind::kAccepted) {
    retired_.clear();
  }
  if (begun_ || record.kind == Kind::kStatesKept) {
    newest_reset_ = {record.kind, record.written_at_ms};
  }
  PipelineDefinition counted = record;
  if (begun_ ? is_start_over(begun_->flags) : tells_of_start_over(record)) {
    newest_start_over_ = take_start_over(begun_ ? begun_->flags : std::string(), counted);
  }
  begun_.reset();
  was_at_least_once_ = was_at_least_once_ || record.guarantee != kExactlyOnce;
  accept_states(record);
  for (const Stage& stage : current_.stages) {
    if (record.kind != Kind::kAccepted && record.find(stage.id) == nullptr && stage.is_database()) {
      retired_.push_back(stage);
    }
  }
  std::erase_if(retired_, [&](const Stage& stage) { return record.find(stage.id) != nullptr; });
  current_ = std::move(counted);
  is_known_ = true;
}

// What a stage accepts it accepts for as long as its definition stays, or is changed with its
// states kept.
void KnownDefinition::accept_states(const PipelineDefinition& record) {
  std::map<std::string, std::vector<std::uint64_t>> accepted;
  for (const Stage& stage : record.stages) {
    const Stage* before = current_.find(stage.id);
    if (before == nullptr || before->state.empty() || stage.state.empty()) {
      continue;
    }
    const bool is_same = before->state == stage.state;
    if (!is_same && record.kind != PipelineDefinition::Kind::kStatesKept) {
      continue;
    }
    std::vector<std::uint64_t> hashes = accepted_states(stage.id);
    const std::uint64_t hash_before = protocol::definition_hash(before->state);
    if (!is_same && std::ranges::find(hashes, hash_before) == hashes.end()) {
      hashes.push_back(hash_before);
    }
    accepted.emplace(stage.id, std::move(hashes));
  }
  accepted_states_ = std::move(accepted);
}

std::vector<std::uint64_t> KnownDefinition::accepted_states(const std::string& stage) const {
  const auto place = accepted_states_.find(stage);
  return place == accepted_states_.end() ? std::vector<std::uint64_t>{} : place->second;
}

const Stage* KnownDefinition::find(const std::string& stage) const {
  if (const Stage* found = current_.find(stage)) {
    return found;
  }
  const auto place = std::ranges::find(retired_, stage, &Stage::id);
  return place == retired_.end() ? nullptr : &*place;
}

std::vector<DefinitionChange> KnownDefinition::compare(const PipelineDefinition& planned) const {
  if (!is_known_) {
    return {};
  }
  return Comparison(current_, retired_, planned).run();
}

std::vector<DefinitionChange> KnownDefinition::left_topics(
    const PipelineDefinition& planned) const {
  return is_known_ ? left_between_stages(current_, retired_, planned)
                   : std::vector<DefinitionChange>{};
}

bool has_refusal(std::span<const DefinitionChange> changes) {
  return std::ranges::any_of(changes, [](const DefinitionChange& change) {
    return change.weight == DefinitionChange::Weight::kRefused;
  });
}

bool may_keep_states(std::span<const DefinitionChange> changes) {
  return has_refusal(changes) && std::ranges::all_of(changes, [](const DefinitionChange& change) {
           return change.weight == Weight::kNote ||
                  change.keeping_state != DefinitionChange::KeepingState::kRefused;
         });
}

bool leaves_unread(std::span<const DefinitionChange> changes) {
  return std::ranges::any_of(changes, [](const DefinitionChange& change) {
    return change.must_be_read && change.weight == Weight::kRefused;
  });
}

std::string ways_on(std::span<const DefinitionChange> changes,
                    const protocol::PipelineDefinition& planned, std::string_view file,
                    std::string_view end) {
  const bool has_table = std::ranges::any_of(planned.stages, &Stage::is_database);
  const std::string keep_it = "  keep it as it was: change the file back; nothing is lost\n";
  const std::string keep_states = fmt::format(
      "  keep the state:    onceflow reset {} --keep-states{}\n"
      "                     what was counted before stays counted as it was; the change "
      "holds from the next record on\n",
      file, end);
  const bool is_advised = std::ranges::all_of(changes, [](const DefinitionChange& change) {
    return change.weight == Weight::kNote ||
           change.keeping_state == DefinitionChange::KeepingState::kAdvised;
  });
  std::string ways = keep_it;
  if (may_keep_states(changes)) {
    ways = is_advised ? keep_states + keep_it : keep_it + keep_states;
  }
  ways += leaves_unread(changes)
              ? fmt::format(
                    "  catch up first:    change the file back, run it until all is read (onceflow "
                    "audit {} --until-caught-up 60s), and then change it again\n",
                    file)
              : fmt::format("  go on from now:    onceflow reset {} --to-current{}\n", file, end);
  return ways + fmt::format("  start over:        onceflow reset {} --to-earliest{}{}\n", file,
                            has_table ? " (--delete-rows | --keep-rows)" : "", end);
}

std::string unended_reset(const KnownDefinition& known, const PipelineDefinition& planned,
                          std::string_view file) {
  const PipelineDefinition& begun = known.begun();
  std::string fix =
      begun.flags.empty()
          ? fmt::format("run the same `onceflow reset {} --to-… --execute` again", file)
          : fmt::format("onceflow reset {} {} --execute", file, begun.flags);
  if (!begun.is_same_pipeline(planned)) {
    std::string changed;
    for (const DefinitionChange& change : Comparison(begun, {}, planned).run()) {
      changed += fmt::format("{}{}{}{}", changed.empty() ? "" : "; ", change.stage,
                             change.stage.empty() ? "" : ": ", change.what);
    }
    fix = fmt::format("change the file back to what it was when the reset began{}{}{}, and then {}",
                      changed.empty() ? "" : " (since then: ", changed, changed.empty() ? "" : ")",
                      fix);
  }
  return fmt::format(
      "a reset of pipeline '{}' was begun and has not ended; the rule: nothing runs on half of a "
      "reset, and none but the same one ends it; the fix: {}",
      planned.pipeline, fix);
}

std::string describe(std::span<const DefinitionChange> changes, DefinitionChange::Weight weight) {
  std::string text;
  for (const DefinitionChange& change : changes) {
    if (change.weight == weight) {
      text += fmt::format("  {}{}{}; {}\n", change.stage, change.stage.empty() ? "" : ": ",
                          change.what, change.effect);
    }
  }
  return text;
}

}  // namespace onceflow::engine
