// onceflow reset: begins a pipeline anew, or fits what it keeps to a changed file. Groups, internal
// topics, receipts and the positions in databases go together; without --execute it only says what
// it would do. Every act may be repeated: a reset that fails in its middle is run again, and until
// it has ended no worker starts.
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <iostream>
#include <iterator>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "app/bootstrap_servers.h"
#include "app/change_commands.h"
#include "app/log_task.h"
#include "app/masked_streams.h"
#include "app/other_pipelines.h"
#include "app/pipeline_file.h"
#include "app/pipeline_positions.h"
#include "app/rehearsed_run.h"
#include "app/reset_act.h"
#include "app/reset_command.h"
#include "app/reset_members.h"
#include "app/reset_notes.h"
#include "app/reset_receipts.h"
#include "app/reset_tables.h"
#include "app/shell_words.h"
#include "base/check.h"
#include "client/admin.h"
#include "client/group_admin.h"
#include "engine/definition_log.h"
#include "engine/kept_position.h"
#include "engine/names_in_use.h"
#include "pipeline/definition.h"
#include "pipeline/definition_spelling.h"

namespace onceflow::app {
namespace {

using connectors::ClaimedPartition;
using DefinitionStage = protocol::PipelineDefinition::Stage;

constexpr Duration kCallTimeout = seconds(15);

class Reset {
 public:
  Reset(LogAtHand log, const pipeline::PlannedPipeline& planned, const ResetCommand& command)
      : log_(std::move(log)),
        planned_(planned),
        definition_(pipeline::definition_of(planned)),
        command_(command),
        admin_(log_.cluster),
        definitions_(log_.cluster, definition_, command.named()),
        others_(log_, definition_.pipeline),
        places_(log_),
        tables_(log_, planned) {
    definitions_.ask_positions([this](std::string stage, std::vector<TopicPartition> partitions) {
      return positions_in(std::move(stage), std::move(partitions));
    });
  }

  Task<int> run() {
    const Status done = co_await prepare_and_run();
    if (!done) {
      const Tables tables = tables_of(planned_);
      std::cerr << "onceflow reset: "
                << with_file_named(done.error().text, command_.named(), tables) << '\n';
      co_return kExitFailed;
    }
    co_return kExitOk;
  }

 private:
  MonotonicTime deadline() const { return log_.os.loop().now() + kCallTimeout; }

  Task<Status> prepare_and_run() {
    const auto known = co_await definitions_.read(deadline());
    CO_RETURN_IF_ERROR(known);
    known_ = *known;
    definition_ = pipeline::spelled_as(std::move(definition_), known_);
    turn_ = known_.newest_reset();
    CO_RETURN_IF_ERROR(check_begun(known_));
    CO_RETURN_IF_ERROR(co_await check_names());
    CO_RETURN_IF_ERROR(co_await plan_members());
    if (command_.to == ResetTo::kCurrent) {
      with_lost_input_ = stages_with_lost_input(co_await rehearse());
    }
    CO_RETURN_IF_ERROR(co_await plan_acts());
    CO_RETURN_IF_ERROR(co_await carry_out());
    co_return Status{};
  }

  Task<engine::Rehearsal> rehearse() {
    co_return co_await rehearse_run(log_, planned_, command_.named(), false, tell_nobody());
  }

  // Half of one reset and half of another are neither: what was begun is ended first.
  Status check_begun(const engine::KnownDefinition& known) const {
    if (!known.is_being_reset()) {
      return {};
    }
    const protocol::PipelineDefinition& begun = known.begun();
    if (begun.is_same_pipeline(definition_) && is_same_reset(command_, begun.flags)) {
      return {};
    }
    return fail(ErrorCode::kRefused, engine::unended_reset(known, definition_, command_.named()));
  }

  // What a file names may be another pipeline's, or a consumer's.
  Task<Status> check_names() {
    CO_RETURN_IF_ERROR(co_await others_.check(all_groups(), internal_topics()));
    if (!known_.is_known() && !known_.is_being_reset()) {
      co_return co_await engine::check_names_for_reset(log_.cluster, planned_.plan, deadline());
    }
    co_return Status{};
  }

  Task<Status> plan_acts() {
    switch (command_.to) {
      case ResetTo::kCurrent:
        co_return co_await plan_going_on();
      case ResetTo::kKeepStates:
        co_return co_await plan_keeping_states();
      default:
        co_return co_await plan_starting_over();
    }
  }

  Task<Status> carry_out() {
    CO_RETURN_IF_ERROR(try_out(acts_));
    CO_RETURN_IF_ERROR(co_await tables_.check_fit());
    std::cout << fmt::format("{} pipeline '{}'\n", command_.executes ? "resetting" : "would reset",
                             definition_.pipeline);
    if (command_.executes) {
      CO_RETURN_IF_ERROR(co_await check_turn());
      // Where states are kept nothing is done by halves: one record says it.
      if (command_.to != ResetTo::kKeepStates) {
        CO_RETURN_IF_ERROR(co_await begin());
        CO_RETURN_IF_ERROR(unended("its plan, made again", co_await plan_again()));
      }
    }
    for (const Act& act : acts_) {
      std::cout << "  " << act.what << '\n' << std::flush;
      if (command_.executes) {
        CO_RETURN_IF_ERROR(co_await check_turn());
        CO_RETURN_IF_ERROR(unended(act.what, co_await do_act(act)));
      }
    }
    for (const std::string& note : notes_) {
      std::cout << "  note: " << note << '\n';
    }
    if (!command_.executes) {
      std::cout << "nothing was done; --execute does it\n";
      co_return Status{};
    }
    co_return co_await end();
  }

  // From here on no worker starts before the last act is done.
  Task<Status> begin() {
    protocol::PipelineDefinition definition = definition_;
    definition.kind = protocol::PipelineDefinition::Kind::kResetBegun;
    definition.flags = flags_of(command_);
    CO_RETURN_IF_ERROR(co_await definitions_.write(std::move(definition), deadline()));
    // Of two that begin at once the first goes on.
    const auto known = co_await definitions_.read(deadline());
    CO_RETURN_IF_ERROR(known);
    CO_RETURN_IF_ERROR(check_begun(*known));
    turn_ = known->newest_reset();
    co_return Status{};
  }

  // What a worker has committed since the first plan, before the beginning, counts.
  Task<Status> plan_again() {
    groups_there_.clear();
    acts_.clear();
    notes_.clear();
    CO_RETURN_IF_ERROR(co_await plan_members());
    co_return co_await plan_acts();
  }

  Task<Status> do_act(const Act& act) {
    if (!act.removes_members) {
      CO_RETURN_IF_ERROR(co_await check_groups_are_empty());
    }
    co_return co_await act.run();
  }

  Status unended(const std::string& what, const Status& done) const {
    return app::unended(what, done, command_.named(), flags_of(command_));
  }

  Task<Status> end() {
    CO_RETURN_IF_ERROR(co_await check_turn());
    const Status are_empty = co_await check_groups_are_empty();
    CO_RETURN_IF_ERROR(command_.to == ResetTo::kKeepStates ? are_empty
                                                           : unended("its last act", are_empty));
    // A worker that finds a definition and no receipts takes them for lost.
    CO_RETURN_IF_ERROR(
        co_await make_receipts_topic(log_, planned_.plan.receipts_topic, {}, deadline()));
    CO_RETURN_IF_ERROR(co_await check_turn());
    protocol::PipelineDefinition definition = definition_;
    definition.kind = command_.to == ResetTo::kKeepStates
                          ? protocol::PipelineDefinition::Kind::kStatesKept
                          : protocol::PipelineDefinition::Kind::kAccepted;
    if (engine::is_start_over(flags_of(command_))) {
      definition.flags += engine::places_text(places_begun_);
    }
    CO_RETURN_IF_ERROR(co_await definitions_.write(std::move(definition), deadline()));
    CO_RETURN_IF_ERROR(run_begins(co_await rehearse(), command_.named()));
    std::cout << "done: onceflow run " << command_.named() << " begins with it\n";
    co_return Status{};
  }

  // One that was held up between two of its acts must not undo what has run since: the same reset
  // may have been ended by another process meanwhile.
  Task<Status> check_turn() {
    const auto known = co_await definitions_.read(deadline());
    CO_RETURN_IF_ERROR(known);
    if (known->newest_reset() == turn_ && known->is_known() == known_.is_known() &&
        known->current().is_same_pipeline(known_.current())) {
      co_return Status{};
    }
    std::string what = "another definition was recorded since this reset looked";
    if (known->newest_reset() != turn_) {
      what = known->is_being_reset() ? "another reset has begun, and goes on in its place"
                                     : "another reset has ended this one";
    }
    co_return fail(ErrorCode::kRefused,
                   turn_is_lost(definition_.pipeline, what, command_.named(), flags_of(command_)));
  }

  // ------------------------------------------------------------------------------------ members

  std::set<std::string> all_groups() const {
    std::set<std::string> groups = groups_of(known_.current());
    groups.merge(groups_of(definition_));
    return groups;
  }

  // One that slept when the reset began may have come back.
  Task<Status> check_groups_are_empty() {
    const auto groups = co_await client::describe_groups(log_.cluster, all_groups(), deadline());
    CO_RETURN_IF_ERROR(groups);
    for (const auto& [group, described] : *groups) {
      if (!described.members.empty()) {
        co_return members_live(group, names_of(described.members));
      }
    }
    co_return Status{};
  }

  // A worker that is alive is a member of its groups. So may be one that is gone, until its session
  // ends; on a log that nobody else has open, no member is alive.
  Task<Status> plan_members() {
    const auto groups = co_await client::describe_groups(log_.cluster, all_groups(), deadline());
    CO_RETURN_IF_ERROR(groups);
    for (const auto& [group, described] : *groups) {
      if (described.state != "Dead") {
        groups_there_.push_back(group);
      }
      if (described.members.empty()) {
        continue;
      }
      const std::string names = names_of(described.members);
      const std::vector<std::string> instances = instances_of(described.members);
      const bool all_are_static = instances.size() == described.members.size();
      if (!all_are_static || !(log_.is_ours || command_.removes_members)) {
        co_return members_live(group, names);
      }
      acts_.push_back(
          {.what = fmt::format("remove from group {}: {}, which are gone", group, names),
           .run = [this, group, instances]() -> Task<Status> {
             co_return co_await client::remove_members(log_.cluster, group, instances, deadline());
           },
           .removes_members = true});
    }
    co_return Status{};
  }

  // ----------------------------------------------------------------------------- starting over

  Task<Status> plan_starting_over() {
    CO_RETURN_IF_ERROR(tables_.check_rights(
        definition_, {.forgets_receipts = true, .deletes_rows = command_.deletes_rows}));
    std::ranges::move(tables_of_the_past(known_.current(), definition_),
                      std::back_inserter(notes_));
    for (const std::string& group : groups_there_) {
      plan_deletion_of_group(group);
    }
    for (const std::string& topic : internal_topics()) {
      CO_RETURN_IF_ERROR(co_await plan_deletion(topic));
    }
    CO_RETURN_IF_ERROR(co_await plan_new_receipts());
    const std::int64_t timestamp_ms = command_.to == ResetTo::kEarliest ? client::Admin::kEarliest
                                      : command_.to == ResetTo::kLatest ? client::Admin::kLatest
                                                                        : command_.datetime_ms;
    const auto begins = co_await places_.at_time(planned_.spec.source.topics, timestamp_ms);
    CO_RETURN_IF_ERROR(begins);
    CO_RETURN_IF_ERROR(co_await note_what_is_never_read(*begins));
    const auto ends = co_await places_.ends_of(kept_topics(definition_));
    CO_RETURN_IF_ERROR(ends);
    places_begun_ = start_over_places(*begins);
    std::ranges::move(start_over_places(*ends), std::back_inserter(places_begun_));
    for (std::size_t index = 0; index < definition_.stages.size(); ++index) {
      const DefinitionStage& stage = definition_.stages[index];
      if (stage.is_database()) {
        auto kept = index == 0 ? begins : co_await positions_after_a_stage(stage);
        CO_RETURN_IF_ERROR(kept);
        CO_RETURN_IF_ERROR(plan_table(stage, *kept));
      } else if (index == 0) {
        plan_offsets(stage, *begins);
        if (begins->empty()) {
          plan_receipt(stage, {});  // That there was a start-over is told by the first receipt.
        }
      }
    }
    std::ranges::move(kept_outputs(definition_), std::back_inserter(notes_));
    co_return Status{};
  }

  Task<Status> learn_receipts_id() {
    const auto topic =
        co_await log_.cluster->existing_topic(planned_.plan.receipts_topic, deadline());
    if (!topic && topic.error().code != ErrorCode::kNotFound) {
      co_return std::unexpected(topic.error());
    }
    receipts_id_ = topic ? topic->id : TopicId{};
    co_return Status{};
  }

  Task<Status> plan_new_receipts() {
    const std::string& topic = planned_.plan.receipts_topic;
    CO_RETURN_IF_ERROR(co_await learn_receipts_id());
    CO_RETURN_IF_ERROR(co_await plan_deletion(topic));
    act(fmt::format("make topic {}", topic), [this, &topic]() -> Task<Status> {
      const auto id = co_await make_receipts_topic(log_, topic, receipts_id_, deadline());
      CO_RETURN_IF_ERROR(id);
      receipts_id_ = *id;
      co_return Status{};
    });
    co_return Status{};
  }

  // From the earliest records on all is made again; else what was not read is gone.
  Task<Status> note_what_is_never_read(const Positions& begins) {
    if (command_.to == ResetTo::kEarliest || known_.is_being_reset()) {
      co_return Status{};
    }
    const auto changes = co_await definitions_.changes(known_, deadline());
    CO_RETURN_IF_ERROR(changes);
    std::set<std::string> said;
    for (const engine::DefinitionChange& change : *changes) {
      if (change.must_be_read) {
        notes_.push_back(fmt::format("{}: {}; {}", change.stage, change.what, change.effect));
        said.insert(change.left_topics.begin(), change.left_topics.end());
      }
    }
    const auto passed = co_await places_.passed_over(
        known_.current(), begins, std::move(said),
        [this](std::string stage, std::vector<TopicPartition> partitions) {
          return positions_in(std::move(stage), std::move(partitions));
        });
    CO_RETURN_IF_ERROR(passed);
    std::ranges::copy(*passed, std::back_inserter(notes_));
    co_return Status{};
  }

  // The results so far stay in topics that are kept: who begins anew does not take them again. Rows
  // that are kept are accepted by positions, also where those have been lost.
  Task<Result<Positions>> positions_after_a_stage(const DefinitionStage& stage) {
    std::vector<std::string> kept;
    std::vector<std::string> made_anew;
    for (const std::string& topic : stage.sources) {
      (lies_between_stages(definition_.pipeline, topic) ? made_anew : kept).push_back(topic);
    }
    auto positions = co_await places_.ends_of(std::move(kept));
    CO_RETURN_IF_ERROR(positions);
    if (command_.keeps_rows) {
      const auto partitions = co_await places_.partitions_of(std::move(made_anew));
      CO_RETURN_IF_ERROR(partitions);
      std::ranges::transform(*partitions, std::back_inserter(*positions),
                             [](const auto& each) { return ClaimedPartition{.source = each}; });
    }
    co_return positions;
  }

  // ------------------------------------------------------------------------------ going on

  // Positions stay, wherever the changed file keeps them; states that it changes begin empty.
  Task<Status> plan_going_on() {
    if (!known_.is_known()) {
      co_return fail(ErrorCode::kInvalidArgument,
                     "nothing is known of this pipeline; the rule: going on needs where it was; "
                     "the fix: name a beginning: --to-earliest, --to-latest or --to-datetime");
    }
    CO_RETURN_IF_ERROR(co_await check_that_all_is_read());
    CO_RETURN_IF_ERROR(co_await learn_receipts_id());
    for (std::size_t index = 0; index < definition_.stages.size(); ++index) {
      const DefinitionStage& stage = definition_.stages[index];
      CO_RETURN_IF_ERROR(co_await plan_state(stage));
      const auto before = index == 0 && !known_.current().stages.empty()
                              ? Result<const DefinitionStage*>(&known_.current().stages.front())
                              : tables_.predecessor_of(stage, known_.current(), definition_);
      CO_RETURN_IF_ERROR(before);
      CO_RETURN_IF_ERROR(co_await plan_position(*before, stage));
    }
    std::ranges::move(states_of_the_past(known_.current(), definition_),
                      std::back_inserter(notes_));
    std::ranges::move(new_outputs(known_.current(), definition_), std::back_inserter(notes_));
    co_return Status{};
  }

  // What a stage has passed on and the next one has not read yet. Where the reset was begun before,
  // this has been asked, and positions may have been moved since.
  Task<Status> check_that_all_is_read() {
    if (known_.is_being_reset()) {
      co_return Status{};
    }
    const auto changes = co_await definitions_.changes(known_, deadline());
    CO_RETURN_IF_ERROR(changes);
    if (!engine::leaves_unread(*changes)) {
      co_return Status{};
    }
    co_return fail(ErrorCode::kRefused, not_all_is_read(*changes, definition_, command_.named()));
  }

  // The group has a copy of a sink's positions, for where the file does not name the database any
  // more.
  Task<Result<std::vector<client::CommittedOffset>>> positions_in(
      std::string id, std::vector<TopicPartition> partitions) {
    const DefinitionStage* stage = known_.find(id);
    CHECK(stage != nullptr);
    if (stage->is_database()) {
      const auto past = tables_.past_of(*stage);
      if (!past && past.error().code != ErrorCode::kRefused) {
        co_return std::unexpected(past.error());
      }
      if (past) {
        co_return offsets_in(*past, std::move(partitions));
      }
    }
    co_return co_await admin_.committed(stage->group_id, std::move(partitions), deadline());
  }

  // Positions, states and rows stay; that the changed file goes on with them is all that is
  // written.
  Task<Status> plan_keeping_states() {
    if (!known_.is_known()) {
      co_return fail(ErrorCode::kInvalidArgument,
                     "nothing is known of this pipeline; the rule: states are kept as they are, or "
                     "not at all; the fix: onceflow run begins with the file as it is");
    }
    const auto changes = co_await definitions_.changes(known_, deadline());
    CO_RETURN_IF_ERROR(changes);
    if (engine::has_refusal(*changes) && !engine::may_keep_states(*changes)) {
      co_return fail(ErrorCode::kRefused,
                     states_do_not_fit(*changes, definition_, command_.named()));
    }
    for (const engine::DefinitionChange& change : *changes) {
      if (change.weight == engine::DefinitionChange::Weight::kRefused) {
        notes_.push_back(fmt::format(
            "{}: {}; its state is kept: what was counted before stays counted as it was; the "
            "change holds from the next record on",
            change.stage, change.what));
      }
    }
    if (notes_.empty()) {
      notes_.emplace_back("no state is in the way: onceflow run goes on without this");
    }
    co_return Status{};
  }

  Task<Status> plan_state(const DefinitionStage& stage) {
    const DefinitionStage* before = known_.current().find(stage.id);
    if (stage.state.empty() || (before != nullptr && before->state == stage.state)) {
      co_return Status{};
    }
    CO_RETURN_IF_ERROR(co_await plan_deletion(stage.changelog_topic, "its state begins empty"));
    if (before != nullptr) {
      // Written again without the id of the changelog that is gone.
      const auto positions = co_await positions_of(*before, stage);
      CO_RETURN_IF_ERROR(positions);
      plan_offsets(stage, *positions);
    }
    co_return Status{};
  }

  Task<Status> plan_position(const DefinitionStage* before, const DefinitionStage& stage) {
    const bool is_same_place =
        before != nullptr && before->is_database() == stage.is_database() &&
        (stage.is_database() ? before->id == stage.id && before->database == stage.database &&
                                   before->outputs == stage.outputs
                             : before->group_id == stage.group_id);
    const bool reads_the_same = before != nullptr && before->sources == stage.sources;
    const bool is_first = stage.id == definition_.stages.front().id;
    if (stage.is_database()) {
      const auto is_missed = tables_.has_missed_start_over(stage, receipts_id_);
      CO_RETURN_IF_ERROR(is_missed);
      if (*is_missed) {
        co_return co_await plan_missed_start_over(stage, is_first);
      }
    }
    if (is_same_place && !stage.is_database()) {
      const auto forgotten = co_await places_.forgotten_by_group(*before, definition_.pipeline,
                                                                 planned_.plan.receipts_topic);
      CO_RETURN_IF_ERROR(forgotten);
      plan_move_of_group(stage, *forgotten);  // Their receipts are there.
    }
    if (is_same_place && with_lost_input_.contains(stage.id)) {
      co_return co_await plan_lost_input(*before, stage);
    }
    if (is_same_place && (reads_the_same || is_first)) {
      if (stage.is_database()) {
        CO_RETURN_IF_ERROR(co_await note_if_it_is_elsewhere(stage));
      }
      co_return before->id == stage.id ? Status{} : co_await plan_new_name(*before, stage);
    }
    if (before == nullptr || !(reads_the_same || is_first)) {
      co_return co_await plan_position_at_end(stage, before);
    }
    auto positions = co_await positions_of(*before, stage);
    CO_RETURN_IF_ERROR(positions);
    plan_positions_at(stage, *positions);
    co_return Status{};
  }

  // Its position stays, and is told anew: what it has read before is compared no more.
  Task<Status> plan_lost_input(const DefinitionStage& before, const DefinitionStage& stage) {
    const auto positions = co_await positions_of(before, stage);
    CO_RETURN_IF_ERROR(positions);
    plan_positions_at(stage, *positions);
    notes_.push_back(goes_on_after_lost_input(stage));
    co_return Status{};
  }

  // Its table has what was written before the start-over. What others write is read on; of what the
  // pipeline has written again nothing says how much the table has.
  Task<Status> plan_missed_start_over(const DefinitionStage& stage, bool is_first) {
    notes_.push_back(fmt::format(
        "sink {}: its positions are not of the newest start-over: table {} keeps its rows{}",
        stage.id, stage.outputs.front(), is_first ? "" : ", and gets the results from now on"));
    if (!is_first) {
      co_return co_await plan_position_at_end(stage, &stage);
    }
    const auto positions = co_await positions_of(stage, stage);
    CO_RETURN_IF_ERROR(positions);
    plan_table_positions(stage, *positions);
    co_return Status{};
  }

  void plan_positions_at(const DefinitionStage& stage, const Positions& positions) {
    if (stage.is_database() && !positions.empty()) {
      plan_table_positions(stage, positions);
    } else if (!stage.is_database()) {
      plan_offsets(stage, positions);
    }
  }

  // Its position stays where it is; the receipts so far are the old name's.
  Task<Status> plan_new_name(const DefinitionStage& before, const DefinitionStage& stage) {
    const auto positions = co_await positions_of(before, stage);
    CO_RETURN_IF_ERROR(positions);
    if (!positions->empty()) {
      plan_receipt(stage, *positions);
    }
    co_return Status{};
  }

  // A stage that is new, or reads other topics than before, reads what is written from now on.
  Task<Status> plan_position_at_end(const DefinitionStage& stage, const DefinitionStage* before) {
    const auto positions = co_await places_.at_time(stage.sources, client::Admin::kLatest);
    CO_RETURN_IF_ERROR(positions);
    if (positions->empty()) {
      notes_.push_back(begins_with_what_comes(stage, before));
      co_return Status{};
    }
    plan_positions_at(stage, *positions);
    co_return Status{};
  }

  // For the stage of the file that goes on with them.
  Task<Result<Positions>> positions_of(const DefinitionStage& stage, const DefinitionStage& after) {
    if (!stage.is_database()) {
      co_return co_await places_.committed(stage.group_id, stage.sources);
    }
    const auto past = after.is_database() ? tables_.past_in(after, stage) : tables_.past_of(stage);
    CO_RETURN_IF_ERROR(past);
    if (!has_any(*past)) {
      auto copy = co_await places_.committed(stage.group_id, stage.sources);
      CO_RETURN_IF_ERROR(copy);
      if (!copy->empty()) {
        co_return fail(ErrorCode::kRefused, is_elsewhere(stage, after, *copy) + kFixOfElsewhere);
      }
    }
    Positions positions;
    std::ranges::copy_if(past->positions, std::back_inserter(positions),
                         [](const ClaimedPartition& one) { return one.next_offset >= Offset(0); });
    CO_RETURN_IF_ERROR(co_await places_.add_topic_ids(positions));
    co_return positions;
  }

  // What is done with it run decides, and says.
  Task<Status> note_if_it_is_elsewhere(const DefinitionStage& stage) {
    const auto past = tables_.past_of(stage);
    CO_RETURN_IF_ERROR(past);
    const auto copy = co_await places_.committed(stage.group_id, stage.sources);
    CO_RETURN_IF_ERROR(copy);
    if (!has_any(*past) && !copy->empty()) {
      notes_.push_back(is_elsewhere(stage, stage, *copy) + kRunDecidesElsewhere);
    }
    co_return Status{};
  }

  // ------------------------------------------------------------------------------------- databases

  Status plan_table(const DefinitionStage& stage, const Positions& positions) {
    const auto past = tables_.past_of(stage);
    RETURN_IF_ERROR(past);
    const std::string& table = stage.outputs.front();
    const bool has_past = past->position_count + past->receipt_count > 0;
    if (past->own_row_count > 0 && !command_.deletes_rows && !command_.keeps_rows) {
      return fail(
          ErrorCode::kInvalidArgument,
          fmt::format("table {} has {} rows, and the records that made them are read again; "
                      "the rule: no row is written twice in silence; the fix: "
                      "--delete-rows, or --keep-rows if they may stay",
                      table, past->own_row_count));
    }
    if (command_.deletes_rows && !past->contested.empty()) {
      return fail(ErrorCode::kRefused, past->contested);
    }
    const bool keeps_rows = command_.keeps_rows && past->own_row_count > 0;
    if (!has_past && !command_.deletes_rows && !keeps_rows && positions.empty()) {
      notes_.push_back(
          fmt::format("sink {} has no position yet: it begins where auto.offset.reset "
                      "says",
                      stage.id));
      return {};
    }
    const std::string what =
        describe_start_over(stage, *past, command_.deletes_rows, keeps_rows, positions);
    plan_sink_reset(stage, what,
                    {.forgets_receipts = true,
                     .deletes_rows = command_.deletes_rows,
                     .lists_rows = true,
                     .positions = positions});
    return {};
  }

  void plan_table_positions(const DefinitionStage& stage, const Positions& positions) {
    plan_sink_reset(
        stage,
        fmt::format("{}, sink {}: go on at {}", stage.database, stage.id, describe(positions)),
        {.forgets_receipts = false, .deletes_rows = false, .positions = positions});
  }

  void plan_sink_reset(const DefinitionStage& stage, std::string what,
                       connectors::SinkReset reset) {
    const WallTime now = log_.os.loop().wall_now();
    const protocol::Receipt begins =
        receipt_of_reset(definition_.pipeline, stage, reset.positions, now);
    reset.now_ms = now.ms;
    if (!begins.inputs.empty()) {
      const Buffer receipt = encode_receipt(begins);
      reset.receipt = std::string(as_text(receipt));
    }
    act(std::move(what), [this, &stage, reset]() -> Task<Status> {
      co_return tables_.reset(stage, reset, receipts_id_);
    });
    acts_.back().try_out = [this, &stage, reset] {
      return tables_.try_out(stage, reset, receipts_id_);
    };
  }

  // ------------------------------------------------------------------------------------ the log
  std::set<std::string> internal_topics() const {
    std::set<std::string> topics = internal_topics_of(known_.current());
    topics.merge(internal_topics_of(definition_));
    return topics;
  }

  Task<Status> plan_deletion(std::string topic, std::string why = {}) {
    const auto there = co_await admin_.describe_topic(topic, deadline());
    if (!there && there.error().code == ErrorCode::kNotFound) {
      co_return Status{};
    }
    CO_RETURN_IF_ERROR(there);
    act(fmt::format("delete topic {}{}{}", topic, why.empty() ? "" : ": ", why),
        [this, topic]() -> Task<Status> {
          const Status deleted = co_await admin_.delete_topic(topic, deadline());
          co_return !deleted && deleted.error().code == ErrorCode::kNotFound ? Status{} : deleted;
        });
    co_return Status{};
  }

  void plan_deletion_of_group(const std::string& group) {
    act(fmt::format("delete group {} and its positions", group), [this, group]() -> Task<Status> {
      const Status deleted = co_await admin_.delete_group(group, deadline());
      co_return !deleted && deleted.error().code == ErrorCode::kNotFound ? Status{} : deleted;
    });
  }

  void plan_offsets(const DefinitionStage& stage, const Positions& positions) {
    if (!positions.empty()) {
      plan_move_of_group(stage, positions);
      plan_receipt(stage, positions);
    }
  }

  void plan_move_of_group(const DefinitionStage& stage, const Positions& positions) {
    if (positions.empty()) {
      return;
    }
    std::vector<client::OffsetToCommit> offsets;
    offsets.reserve(positions.size());
    for (const ClaimedPartition& position : positions) {
      offsets.push_back({position.source, position.next_offset,
                         engine::to_text(engine::GroupPositionText{
                             .topic_id = position.topic_id, .pipeline = planned_.plan.pipeline})});
    }
    const std::string group = stage.group_id;
    act(fmt::format("group {}: go on at {}", group, describe(positions)),
        [this, group, offsets]() -> Task<Status> {
          co_return co_await client::move_offsets(log_.cluster, group, offsets, deadline());
        });
  }

  void plan_receipt(const DefinitionStage& stage, const Positions& positions) {
    const std::string& topic = planned_.plan.receipts_topic;
    act(fmt::format(
            "topic {}: stage {} was told to begin {}", topic, stage.id,
            positions.empty() ? "where auto.offset.reset says" : "at " + describe(positions)),
        [this, &stage, &topic, positions]() -> Task<Status> {
          co_return co_await write_receipt(
              log_, topic,
              receipt_of_reset(definition_.pipeline, stage, positions, log_.os.loop().wall_now()),
              deadline());
        });
  }

  void act(std::string what, std::function<Task<Status>()> run) {
    acts_.push_back({std::move(what), std::move(run)});
  }

  LogAtHand log_;
  const pipeline::PlannedPipeline& planned_;
  protocol::PipelineDefinition definition_;
  const ResetCommand& command_;
  client::Admin admin_;
  engine::DefinitionLog definitions_;
  engine::KnownDefinition known_;
  /// The newest record of a reset while it is this one's turn: as it looked, then its own.
  std::optional<engine::ResetMark> turn_;
  TopicId receipts_id_;  ///< a start-over makes the topic anew, and positions say which it was
  OtherPipelines others_;
  PipelinePositions places_;
  ResetTables tables_;
  std::vector<engine::StartOver::Place> places_begun_;  ///< of a start-over
  std::vector<std::string> groups_there_;
  std::set<std::string> with_lost_input_;  ///< stages
  std::vector<Act> acts_;
  std::vector<std::string> notes_;
};

}  // namespace

int run_reset(const Arguments& arguments) {
  auto command = read_reset_command(arguments);
  if (!command) {
    return command.error();
  }
  const auto planned = load_pipeline_file(command->file);
  if (!planned) {
    return kExitUsage;
  }
  const MaskedStreams masked_streams(planned->spec.secrets);
  if (command->log.bootstrap_servers.empty()) {
    command->log.bootstrap_servers = joined(planned->spec.bootstrap_servers);
  }
  if (is_log_missing(command->log)) {
    std::cerr << missing_log(command->log);
    return kExitUsage;
  }
  return run_on_log(command->log, [&](LogAtHand log) -> Task<int> {
    Reset reset(std::move(log), *planned, *command);
    co_return co_await reset.run();
  });
}

}  // namespace onceflow::app
