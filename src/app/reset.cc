// onceflow reset: begins a pipeline anew, or fits what it keeps to a changed file. Groups, internal
// topics, receipts and the positions in databases go together; without --execute it only says what
// it would do. Every act may be repeated: a reset that fails in its middle is run again, and until
// it has ended no worker starts.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <array>
#include <functional>
#include <iostream>
#include <iterator>
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
#include "app/reset_command.h"
#include "app/reset_receipts.h"
#include "app/reset_tables.h"
#include "client/admin.h"
#include "client/group_admin.h"
#include "connectors/sink_past.h"
#include "engine/definition_log.h"
#include "engine/kept_position.h"
#include "engine/names_in_use.h"
#include "pipeline/definition.h"

namespace onceflow::app {
namespace {

using connectors::ClaimedPartition;
using DefinitionStage = protocol::PipelineDefinition::Stage;

constexpr Duration kCallTimeout = seconds(15);

/// Something to do, said before it is done.
struct Act {
  std::string what;
  std::function<Task<Status>()> run;
};

/// How the names of topics between stages end.
constexpr std::array<std::string_view, 3> kInternalEnds = {"-repartition", "-results", "-rows"};

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
        tables_(log_, planned) {}

  Task<int> run() {
    const Status done = co_await prepare_and_run();
    if (!done) {
      std::cerr << "onceflow reset: " << done.error().text << '\n';
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
    CO_RETURN_IF_ERROR(check_begun(known_));
    CO_RETURN_IF_ERROR(co_await check_names());
    CO_RETURN_IF_ERROR(co_await plan_members());
    CO_RETURN_IF_ERROR(co_await plan_acts());
    CO_RETURN_IF_ERROR(co_await carry_out());
    co_return Status{};
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
      co_return co_await engine::check_names_are_free(log_.cluster, planned_.plan, deadline());
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
    std::cout << fmt::format("{} pipeline '{}'\n", command_.executes ? "resetting" : "would reset",
                             definition_.pipeline);
    // Where states are kept nothing is done by halves: one record says it.
    if (command_.executes && command_.to != ResetTo::kKeepStates) {
      CO_RETURN_IF_ERROR(co_await begin());
    }
    for (const Act& act : acts_) {
      std::cout << "  " << act.what << '\n' << std::flush;
      if (command_.executes) {
        if (const Status done = co_await act.run(); !done) {
          co_return fail(
              done.error().code,
              fmt::format("{}: {}; the reset has not ended, and no worker starts before "
                          "it has: run the same command again: onceflow reset {} {} "
                          "--execute",
                          act.what, done.error().text, command_.named(), flags_of(command_)));
        }
      }
    }
    for (const std::string& note : notes_) {
      std::cout << "  note: " << note << '\n';
    }
    if (!command_.executes) {
      std::cout << "nothing was done; --execute does it\n";
      co_return Status{};
    }
    // A worker that finds a definition and no receipts takes them for lost.
    CO_RETURN_IF_ERROR(
        co_await make_receipts_topic(log_, planned_.plan.receipts_topic, deadline()));
    protocol::PipelineDefinition definition = definition_;
    definition.kind = command_.to == ResetTo::kKeepStates
                          ? protocol::PipelineDefinition::Kind::kStatesKept
                          : protocol::PipelineDefinition::Kind::kAccepted;
    CO_RETURN_IF_ERROR(co_await definitions_.write(std::move(definition), deadline()));
    std::cout << "done: onceflow run " << command_.named() << " begins with it\n";
    co_return Status{};
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
    co_return check_begun(*known);
  }

  // ------------------------------------------------------------------------------------ members

  std::set<std::string> all_groups() const {
    std::set<std::string> groups;
    for (const auto* definition : {&known_.current(), &definition_}) {
      for (const DefinitionStage& stage : definition->stages) {
        groups.insert(stage.group_id);
      }
    }
    return groups;
  }

  // A worker that is alive is a member of its groups. So may be one that is gone, until its session
  // ends; on a log that nobody else has open, no member is alive.
  Task<Status> plan_members() {
    for (const std::string& group : all_groups()) {
      const auto described = co_await admin_.describe_group(group, deadline());
      if (!described && described.error().code == ErrorCode::kNotFound) {
        continue;
      }
      CO_RETURN_IF_ERROR(described);
      if (described->state != "Dead") {
        groups_there_.push_back(group);
      }
      if (described->members.empty()) {
        continue;
      }
      std::vector<std::string> names;
      std::vector<std::string> instances;
      for (const client::GroupMemberDescription& member : described->members) {
        names.push_back(fmt::format("{} ({})", member.client_id, member.client_host));
        if (!member.group_instance_id.empty()) {
          instances.push_back(member.group_instance_id);
        }
      }
      const bool all_are_static = instances.size() == described->members.size();
      if (!all_are_static || !(log_.is_ours || command_.removes_members)) {
        co_return fail(
            ErrorCode::kRefused,
            fmt::format("group {} has members: {}; the rule: nothing is reset while a worker "
                        "lives; the fix: stop it; one that was killed is gone when its session has "
                        "ended (10 s), or with --remove-members at once",
                        group, fmt::join(names, ", ")));
      }
      act(fmt::format("remove from group {}: {}, which are gone", group, fmt::join(names, ", ")),
          [this, group, instances]() -> Task<Status> {
            co_return co_await client::remove_members(log_.cluster, group, instances, deadline());
          });
    }
    co_return Status{};
  }

  // ----------------------------------------------------------------------------- starting over

  Task<Status> plan_starting_over() {
    note_tables_of_the_past();
    for (const std::string& group : groups_there_) {
      plan_deletion_of_group(group);
    }
    for (const std::string& topic : internal_topics()) {
      CO_RETURN_IF_ERROR(co_await plan_deletion(topic));
    }
    CO_RETURN_IF_ERROR(co_await plan_deletion(planned_.plan.receipts_topic));
    const std::int64_t timestamp_ms = command_.to == ResetTo::kEarliest ? client::Admin::kEarliest
                                      : command_.to == ResetTo::kLatest ? client::Admin::kLatest
                                                                        : command_.datetime_ms;
    const auto begins = co_await places_.at_time(planned_.spec.source.topics, timestamp_ms);
    CO_RETURN_IF_ERROR(begins);
    for (std::size_t index = 0; index < definition_.stages.size(); ++index) {
      const DefinitionStage& stage = definition_.stages[index];
      if (stage.is_database()) {
        auto kept = index == 0 ? begins : co_await positions_after_a_stage(stage);
        CO_RETURN_IF_ERROR(kept);
        CO_RETURN_IF_ERROR(plan_table(stage, *kept));
      } else if (index == 0) {
        plan_offsets(stage, *begins);
      }
      note_outputs(stage);
    }
    co_return Status{};
  }

  void note_outputs(const DefinitionStage& stage) {
    for (const std::string& topic : stage.outputs) {
      if (!stage.is_database() && !is_internal(topic)) {
        notes_.push_back(
            fmt::format("topic {} keeps its records: its readers get the results once "
                        "more; the audit does not cover those of before",
                        topic));
      }
    }
  }

  // Sinks that the file does not name any more.
  void note_tables_of_the_past() {
    for (const DefinitionStage& stage : known_.current().stages) {
      if (stage.is_database() && definition_.find(stage.id) == nullptr) {
        notes_.push_back(
            fmt::format("sink {} is not in the file: table {} and its position in {} "
                        "stay as they are",
                        stage.id, stage.outputs.front(), stage.database));
      }
    }
  }

  // The results so far stay in topics that are kept: who begins anew does not take them again. Rows
  // that are kept are accepted by positions, also where those have been lost.
  Task<Result<Positions>> positions_after_a_stage(const DefinitionStage& stage) {
    std::vector<std::string> kept;
    std::vector<std::string> made_anew;
    for (const std::string& topic : stage.sources) {
      (is_internal(topic) ? made_anew : kept).push_back(topic);
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
    for (std::size_t index = 0; index < definition_.stages.size(); ++index) {
      const DefinitionStage& stage = definition_.stages[index];
      CO_RETURN_IF_ERROR(co_await plan_state(stage));
      const DefinitionStage* before = index == 0 && !known_.current().stages.empty()
                                          ? &known_.current().stages.front()
                                          : predecessor_of(stage);
      CO_RETURN_IF_ERROR(co_await plan_position(before, stage));
    }
    note_states_of_the_past();
    co_return Status{};
  }

  void note_states_of_the_past() {
    for (const DefinitionStage& stage : known_.current().stages) {
      if (!stage.state.empty() && definition_.find(stage.id) == nullptr) {
        notes_.push_back(fmt::format("stage {} is not in the file: its state is left behind in {}",
                                     stage.id, stage.changelog_topic));
      }
    }
    for (const DefinitionStage& stage : definition_.stages) {
      if (!stage.state.empty() && known_.current().find(stage.id) == nullptr) {
        notes_.push_back(fmt::format("stage {} is new: its state begins empty", stage.id));
      }
    }
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
      co_return fail(
          ErrorCode::kRefused,
          fmt::format("the states do not fit the file:\n{}the rule: a state is kept where its "
                      "aggregates and the names of its key are the same, and nothing else needs a "
                      "decision; the fix: choose one of\n{}",
                      engine::describe(*changes, engine::DefinitionChange::Weight::kRefused),
                      engine::ways_on(*changes, definition_, command_.named(), " --execute")));
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

  const DefinitionStage* predecessor_of(const DefinitionStage& stage) const {
    const protocol::PipelineDefinition& known = known_.current();
    if (const DefinitionStage* same = known.find(stage.id)) {
      return same;
    }
    for (const DefinitionStage& before : known.stages) {
      if (definition_.find(before.id) == nullptr && before.sources == stage.sources &&
          before.outputs == stage.outputs && before.database == stage.database) {
        return &before;
      }
    }
    return nullptr;
  }

  Task<Status> plan_state(const DefinitionStage& stage) {
    const DefinitionStage* before = known_.current().find(stage.id);
    if (stage.state.empty() || (before != nullptr && before->state == stage.state)) {
      co_return Status{};
    }
    if (before != nullptr) {
      CO_RETURN_IF_ERROR(co_await places_.check_caught_up(*before));
    }
    CO_RETURN_IF_ERROR(co_await plan_deletion(stage.changelog_topic, "its state begins empty"));
    if (before != nullptr) {
      // Written again without the id of the changelog that is gone.
      const auto positions = co_await positions_of(*before);
      CO_RETURN_IF_ERROR(positions);
      plan_offsets(stage, *positions);
    }
    co_return Status{};
  }

  Task<Status> plan_position(const DefinitionStage* before, const DefinitionStage& stage) {
    const bool is_same_place =
        before != nullptr && before->is_database() == stage.is_database() &&
        (stage.is_database() ? before->id == stage.id && before->database == stage.database
                             : before->group_id == stage.group_id);
    const bool reads_the_same = before != nullptr && before->sources == stage.sources;
    const bool is_first = stage.id == definition_.stages.front().id;
    if (is_same_place && (reads_the_same || is_first)) {
      co_return before->id == stage.id ? Status{} : co_await plan_new_name(*before, stage);
    }
    if (before == nullptr || !(reads_the_same || is_first)) {
      co_return co_await plan_position_at_end(stage);
    }
    auto positions = co_await positions_of(*before);
    CO_RETURN_IF_ERROR(positions);
    plan_positions_at(stage, *positions);
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
    const auto positions = co_await positions_of(before);
    CO_RETURN_IF_ERROR(positions);
    plan_receipt(stage, *positions);
    co_return Status{};
  }

  // A stage that is new reads what is written from now on.
  Task<Status> plan_position_at_end(const DefinitionStage& stage) {
    const auto positions = co_await places_.ends_of(stage.sources);
    CO_RETURN_IF_ERROR(positions);
    if (positions->empty()) {
      notes_.push_back(fmt::format("stage {} is new: it begins with what comes to {}", stage.id,
                                   fmt::join(stage.sources, ", ")));
      co_return Status{};
    }
    plan_positions_at(stage, *positions);
    co_return Status{};
  }

  Task<Result<Positions>> positions_of(const DefinitionStage& stage) {
    if (!stage.is_database()) {
      co_return co_await places_.committed(stage.group_id, stage.sources);
    }
    const auto past = tables_.past_of(stage);
    CO_RETURN_IF_ERROR(past);
    Positions positions;
    std::ranges::copy_if(past->positions, std::back_inserter(positions),
                         [](const ClaimedPartition& one) { return one.next_offset >= Offset(0); });
    CO_RETURN_IF_ERROR(co_await places_.add_topic_ids(positions));
    co_return positions;
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
    if (!has_past && !command_.deletes_rows && positions.empty()) {
      notes_.push_back(
          fmt::format("sink {} has no position yet: it begins where auto.offset.reset "
                      "says",
                      stage.id));
      return {};
    }
    std::string what =
        fmt::format("{}, sink {}: forget {} positions and {} receipts", stage.database, stage.id,
                    past->position_count, past->receipt_count);
    if (command_.deletes_rows) {
      what += past->other_writers.empty()
                  ? fmt::format(", delete {} rows of table {}", past->row_count, table)
                  : fmt::format(
                        ", delete {} of {} rows of table {} (those that receipts of this "
                        "pipeline know of; {} writes it, too)",
                        past->own_row_count, past->row_count, table,
                        fmt::join(past->other_writers, " and "));
    }
    if (!positions.empty()) {
      what += fmt::format(", go on at {}", describe(positions));
    }
    plan_sink_reset(
        stage, what,
        {.forgets_receipts = true, .deletes_rows = command_.deletes_rows, .positions = positions});
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
    const protocol::Receipt begins =
        receipt_of_reset(definition_.pipeline, stage, reset.positions, log_.os.loop().wall_now());
    if (!begins.inputs.empty()) {
      const Buffer receipt = encode_receipt(begins);
      reset.receipt = std::string(as_text(receipt));
    }
    act(std::move(what),
        [this, &stage, reset]() -> Task<Status> { co_return tables_.reset(stage, reset); });
  }

  // ------------------------------------------------------------------------------------ the log

  bool is_internal(const std::string& topic) const {
    return topic.starts_with(definition_.pipeline + "-") &&
           std::ranges::any_of(kInternalEnds,
                               [&](std::string_view end) { return topic.ends_with(end); });
  }

  std::set<std::string> internal_topics() const {
    std::set<std::string> topics;
    for (const auto* definition : {&known_.current(), &definition_}) {
      for (const DefinitionStage& stage : definition->stages) {
        if (!stage.changelog_topic.empty()) {
          topics.insert(stage.changelog_topic);
        }
        for (const std::string& output : stage.outputs) {
          if (!stage.is_database() && is_internal(output)) {
            topics.insert(output);
          }
        }
      }
    }
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
    plan_receipt(stage, positions);
  }

  void plan_receipt(const DefinitionStage& stage, const Positions& positions) {
    if (positions.empty()) {
      return;
    }
    const std::string& topic = planned_.plan.receipts_topic;
    act(fmt::format("topic {}: stage {} was told to begin at {}", topic, stage.id,
                    describe(positions)),
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
  const protocol::PipelineDefinition definition_;
  const ResetCommand& command_;
  client::Admin admin_;
  engine::DefinitionLog definitions_;
  engine::KnownDefinition known_;
  OtherPipelines others_;
  PipelinePositions places_;
  ResetTables tables_;
  std::vector<std::string> groups_there_;
  std::vector<Act> acts_;
  std::vector<std::string> notes_;
};

Task<int> run_reset_on(LogAtHand log, const pipeline::PlannedPipeline& planned,
                       const ResetCommand& command) {
  Reset reset(std::move(log), planned, command);
  co_return co_await reset.run();
}

}  // namespace

int run_reset(const Arguments& arguments) {
  ResetCommand command;
  CLI::App app(
      "begin a pipeline anew, or fit what it keeps to a changed file\n"
      "says what it would do; --execute does it; refused while a worker lives",
      "onceflow reset");
  app.add_option("FILE", command.file, "a pipeline file")->required();
  auto* to = app.add_option_group("to", "where it goes on");
  to->add_flag_callback(
      "--to-earliest", [&] { command.to = ResetTo::kEarliest; },
      "start over: at the first records that the source topics still have");
  to->add_flag_callback(
      "--to-latest", [&] { command.to = ResetTo::kLatest; },
      "start over: with what is written from now on");
  std::string datetime;
  to->add_option(
      "--to-datetime", datetime,
      "start over: at the first record of this time or later, 2026-11-29T10:15:00 (UTC)");
  to->add_flag_callback(
      "--to-current", [&] { command.to = ResetTo::kCurrent; },
      "go on where it is; states that the file has changed begin empty");
  to->add_flag_callback(
      "--keep-states", [&] { command.to = ResetTo::kKeepStates; },
      "go on where it is, with the states as they are: for another `set` or `key` before "
      "an aggregate");
  to->require_option(1);
  app.add_flag("--delete-rows", command.deletes_rows, "start over: empty the sinks' tables");
  app.add_flag("--keep-rows", command.keeps_rows,
               "start over: leave the rows that are there, although theirs come again");
  app.add_flag("--remove-members", command.removes_members,
               "workers that were killed count as gone before their session has ended");
  app.add_flag("--execute", command.executes, "do it");
  app.add_option("--bootstrap.servers", command.log.bootstrap_servers,
                 "host:port[,host:port]; default: as the file says, else the embedded log");
  app.add_option("--data-dir", command.log.log.data_directory, "of the embedded log")
      ->capture_default_str();
  app.add_option("--port", command.log.log.port, "of the embedded log, where it is running")
      ->capture_default_str();
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitOk : kExitUsage;
  }
  if (!datetime.empty()) {
    const auto parsed = parse_reset_time(datetime);
    if (!parsed) {
      return kExitUsage;
    }
    command.to = ResetTo::kDatetime;
    command.datetime_ms = *parsed;
  }
  command.log.flags = log_flags_of(app);
  const auto planned = load_pipeline_file(command.file);
  if (!planned) {
    return kExitUsage;
  }
  const MaskedStreams masked_streams(planned->spec.secrets);
  if (command.log.bootstrap_servers.empty()) {
    command.log.bootstrap_servers = joined(planned->spec.bootstrap_servers);
  }
  if (is_log_missing(command.log)) {
    std::cerr << "onceflow reset: there is no log under " << command.log.log.data_directory
              << ", so nothing is kept there; --data-dir names another\n";
    return kExitUsage;
  }
  return run_on_log(command.log,
                    [&](LogAtHand log) { return run_reset_on(std::move(log), *planned, command); });
}

}  // namespace onceflow::app
