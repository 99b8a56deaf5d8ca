// onceflow plan: what a changed pipeline file keeps, changes and begins anew, before it runs. Asks
// the pipeline's log and databases, by the checks with which a worker begins, and changes nothing.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "app/bootstrap_servers.h"
#include "app/change_commands.h"
#include "app/log_task.h"
#include "app/masked_streams.h"
#include "app/parse_arguments.h"
#include "app/pipeline_file.h"
#include "app/pipeline_positions.h"
#include "app/rehearsed_run.h"
#include "app/reset_tables.h"
#include "app/shell_words.h"
#include "base/log_event.h"
#include "engine/rehearsal.h"
#include "pipeline/definition.h"
#include "pipeline/definition_spelling.h"
#include "pipeline/remarks.h"

namespace onceflow::app {
namespace {

using engine::DefinitionChange;
using engine::StageRehearsal;
using protocol::PipelineDefinition;
using DefinitionStage = PipelineDefinition::Stage;

constexpr Duration kAskTimeout = seconds(15);

struct StageFate {
  std::string id;
  std::string_view fate;   ///< kept, changed, new, gone, begins (nothing is kept of it), unknown
  std::string_view state;  ///< kept, empty (its changelog is not there), to be reset, to be kept or
                           ///< reset, new, left behind; none: it has none
};

bool may_keep_state(const std::vector<DefinitionChange>& changes, const std::string& stage) {
  return std::ranges::any_of(changes, [&](const DefinitionChange& change) {
    return change.stage == stage &&
           change.keeping_state != DefinitionChange::KeepingState::kRefused;
  });
}

/// What a plan is told of: what a worker would come to, what it would say on the way, and, where
/// nothing is known of the pipeline, what is there all the same ("group g: orders-0@25"), of a
/// version that kept no definition.
struct Findings {
  engine::Rehearsal rehearsal;
  std::vector<LogEvent> news;
  std::vector<std::string> kept;
  std::set<std::string> stages_without_changelog;

  bool is_refused() const {
    return engine::has_refusal(rehearsal.changes) || !rehearsal.refusals.empty();
  }
};

// Nothing is kept of it, in its database or in its group.
bool begins(const Findings& found, const std::string& stage) {
  return std::ranges::any_of(found.rehearsal.stages, [&](const StageRehearsal& of_stage) {
    return of_stage.stage == stage && !of_stage.begins.empty() && of_stage.goes_on.empty();
  });
}

std::vector<StageFate> fates(const Findings& found, const PipelineDefinition& planned) {
  const auto& [known, changes, refusals, unasked, stages] = found.rehearsal;
  std::vector<StageFate> result;
  const PipelineDefinition nothing;
  const PipelineDefinition& before = known.is_known() ? known.current() : nothing;
  for (const DefinitionStage& stage : planned.stages) {
    const DefinitionStage* old = known.find(stage.id);
    StageFate fate{stage.id, "new", stage.state.empty() ? "" : "new"};
    if (!found.kept.empty()) {
      fate = {stage.id, "unknown", stage.state.empty() ? "" : "taken as it is"};
    }
    if (old != nullptr) {
      fate.fate = begins(found, stage.id) ? "begins" : *old != stage ? "changed" : "kept";
      if (!stage.state.empty()) {
        fate.state = found.stages_without_changelog.contains(stage.id) ? "empty"
                     : old->state == stage.state                       ? "kept"
                     : may_keep_state(changes, stage.id)               ? "to be kept or reset"
                                                                       : "to be reset";
      }
    }
    result.push_back(fate);
  }
  for (const DefinitionStage& stage : before.stages) {
    if (planned.find(stage.id) == nullptr) {
      result.push_back({stage.id, "gone", stage.state.empty() ? "" : "left behind"});
    }
  }
  return result;
}

std::string_view verdict_of(const Findings& found) {
  const engine::Rehearsal& rehearsal = found.rehearsal;
  if (rehearsal.known.is_being_reset()) {
    return "being reset";
  }
  if (found.is_refused()) {
    return "refused";
  }
  if (!rehearsal.unasked.empty()) {
    return "cannot be told";
  }
  if (!rehearsal.known.is_known()) {
    return found.kept.empty() ? "begins" : "unknown";
  }
  return "goes on";
}

int exit_code_of(const Findings& found) {
  const std::string_view verdict = verdict_of(found);
  return verdict == "being reset" || verdict == "refused" ? kExitFailed
         : verdict == "cannot be told"                    ? kExitUsage
                                                          : kExitOk;
}

// A heading of nothing is none.
std::string under(const char* heading, const std::string& lines) {
  return lines.empty() ? lines : heading + lines;
}

std::string describe_beginnings(const Findings& found) {
  constexpr std::size_t kNamedMax = 8;
  std::string text;
  for (const StageRehearsal& stage : found.rehearsal.stages) {
    std::vector<std::string> places;
    for (const engine::OpenedPosition& position : stage.begins) {
      const TopicPartition& source = position.before.source;
      places.push_back(fmt::format("{}-{}@{}", source.topic, source.partition.value,
                                   position.next_offset.value));
    }
    const std::size_t count = places.size();
    places.resize(std::min(count, kNamedMax));
    if (count > 0) {
      text += fmt::format(
          "  {}: {}{}\n", stage.stage, fmt::join(places, ", "),
          count > kNamedMax ? fmt::format(" and {} more partitions", count - kNamedMax) : "");
    }
  }
  return text;
}

std::string describe_news(const std::vector<LogEvent>& news) {
  std::string text;
  for (const LogEvent& event : news) {
    text += fmt::format("  {}{}{}: {}\n", event.stage, event.stage.empty() ? "" : ": ", event.event,
                        event.text);
  }
  return text;
}

std::string describe_verdict(const PipelineDefinition& planned, const std::string& file,
                             const Findings& found) {
  const std::string_view verdict = verdict_of(found);
  const engine::Rehearsal& rehearsal = found.rehearsal;
  if (verdict == "being reset") {
    return fmt::format("run refuses: {}\n", engine::unended_reset(rehearsal.known, planned, file));
  }
  if (engine::has_refusal(rehearsal.changes)) {
    return fmt::format(
        "run refuses; choose one of\n{}"
        "each says what it would do, and does it with --execute\n",
        engine::ways_on(rehearsal.changes, planned, file, ""));
  }
  std::string text;
  for (const std::string& refusal : rehearsal.refusals) {
    text += fmt::format("run refuses: {}\n", refusal);
  }
  for (const std::string& unasked : rehearsal.unasked) {
    text += fmt::format("what run does cannot be told: {}\n", unasked);
  }
  if (!text.empty()) {
    return text;
  }
  if (verdict == "unknown") {
    return fmt::format(
        "no definition is kept: an earlier version ran the pipeline, or its record is gone; "
        "there are\n  {}\nrun goes on with them as if this file had made them: start it once with "
        "the file as it was, then change it\n",
        fmt::join(found.kept, "\n  "));
  }
  return verdict == "begins" ? "run begins: nothing is kept of this pipeline yet\n"
                             : "run goes on where it was\n";
}

std::string to_text(const PipelineDefinition& planned, const std::string& file,
                    const Findings& found) {
  const std::vector<DefinitionChange>& changes = found.rehearsal.changes;
  std::string text = fmt::format("{}\n", planned.pipeline);
  for (const StageFate& stage : fates(found, planned)) {
    text += fmt::format("  {:<8} stage {}{}{}\n", stage.fate, stage.id,
                        stage.state.empty() ? "" : ", its state: ", stage.state);
  }
  text += under("\nchanges that begin with the next record\n",
                engine::describe(changes, DefinitionChange::Weight::kNote));
  text += under("\nchanges that need a decision\n",
                engine::describe(changes, DefinitionChange::Weight::kRefused));
  text += under("\nno position is kept: it begins at\n", describe_beginnings(found));
  text += under("\nrun says\n", describe_news(found.news));
  return text + "\n" + describe_verdict(planned, file, found);
}

nlohmann::ordered_json stages_json(const Findings& found, const PipelineDefinition& planned) {
  auto rows = nlohmann::ordered_json::array();
  for (const StageFate& stage : fates(found, planned)) {
    nlohmann::ordered_json row = {{"stage", stage.id}, {"is", stage.fate}};
    if (!stage.state.empty()) {
      row["state"] = stage.state;
    }
    const auto rehearsed =
        std::ranges::find(found.rehearsal.stages, stage.id, &StageRehearsal::stage);
    if (rehearsed != found.rehearsal.stages.end()) {
      for (const engine::OpenedPosition& position : rehearsed->begins) {
        row["begins_at"].push_back({{"topic", position.before.source.topic},
                                    {"partition", position.before.source.partition.value},
                                    {"offset", position.next_offset.value}});
      }
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

std::string to_json(const PipelineDefinition& planned, const Findings& found) {
  nlohmann::ordered_json json = {{"pipeline", planned.pipeline},
                                 {"verdict", verdict_of(found)},
                                 {"kept", found.kept},
                                 {"stages", stages_json(found, planned)},
                                 {"changes", nlohmann::ordered_json::array()},
                                 {"refusals", found.rehearsal.refusals},
                                 {"cannot_be_told", found.rehearsal.unasked},
                                 {"run_says", nlohmann::ordered_json::array()}};
  for (const DefinitionChange& change : found.rehearsal.changes) {
    json["changes"].push_back({{"stage", change.stage},
                               {"refused", change.weight == DefinitionChange::Weight::kRefused},
                               {"what", change.what},
                               {"effect", change.effect}});
  }
  for (const LogEvent& event : found.news) {
    json["run_says"].push_back(
        {{"stage", event.stage}, {"event", event.event}, {"text", event.text}});
  }
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

// Where nothing says what the pipeline was.
Task<Result<std::vector<std::string>>> find_kept(LogAtHand log,
                                                 const pipeline::PlannedPipeline& plan,
                                                 const PipelineDefinition& planned) {
  PipelinePositions places(log);
  const ResetTables tables(log, plan);
  std::vector<std::string> kept;
  // A group's positions may be another pipeline's; receipts are this one's own.
  const auto receipts = co_await log.cluster->existing_topic(plan.plan.receipts_topic,
                                                             log.os.loop().now() + kAskTimeout);
  if (!receipts && receipts.error().code != ErrorCode::kNotFound) {
    co_return std::unexpected(receipts.error());
  }
  for (const DefinitionStage& stage : planned.stages) {
    if (stage.is_database()) {
      const auto past = tables.past_of(stage);
      CO_RETURN_IF_ERROR(past);
      if (past->position_count > 0) {
        kept.push_back(fmt::format("sink {}: {}", stage.id, describe(past->positions)));
      }
      continue;
    }
    if (!receipts) {
      continue;
    }
    const auto positions = co_await places.committed(stage.group_id, stage.sources);
    CO_RETURN_IF_ERROR(positions);
    if (!positions->empty()) {
      kept.push_back(fmt::format("group {}: {}", stage.group_id, describe(*positions)));
    }
  }
  co_return kept;
}

// A start-over has deleted it, and no worker has made it again.
Task<Result<std::set<std::string>>> find_stages_without_changelog(LogAtHand log,
                                                                  const engine::Plan& plan) {
  std::set<std::string> found;
  for (const engine::Stage& stage : plan.stages) {
    if (!stage.aggregate) {
      continue;
    }
    const auto changelog = co_await log.cluster->existing_topic(stage.aggregate->changelog_topic,
                                                                log.os.loop().now() + kAskTimeout);
    if (!changelog && changelog.error().code != ErrorCode::kNotFound) {
      co_return std::unexpected(changelog.error());
    }
    if (!changelog) {
      found.insert(stage.id);
    }
  }
  co_return found;
}

struct PlanOptions {
  std::string file;  ///< as it is typed again, with its flags
  bool as_json = false;
  bool skips_deleted = false;  ///< as run would with the flag
};

// What `run` says of the file alone.
Findings findings_of_file(const pipeline::PlannedPipeline& plan, const std::string& file) {
  Findings found;
  for (const auto& [level, remark] : pipeline::remarks_of_run(plan.spec)) {
    found.news.push_back(
        {.level = level, .stage = {}, .event = "note", .text = pipeline::describe(file, remark)});
  }
  return found;
}

Task<int> show_plan(LogAtHand log, const pipeline::PlannedPipeline& plan, Findings found,
                    const PlanOptions& asked) {
  const std::string& file = asked.file;
  PipelineDefinition planned = pipeline::definition_of(plan);
  found.rehearsal =
      co_await rehearse_run(log, plan, file, asked.skips_deleted,
                            [&found](LogEvent event) { found.news.push_back(std::move(event)); });
  planned = pipeline::spelled_as(std::move(planned), found.rehearsal.known);
  if (!found.rehearsal.known.is_known() && !found.rehearsal.has_ended()) {
    const auto kept = co_await find_kept(log, plan, planned);
    if (!kept) {
      std::cerr << "onceflow plan: " << kept.error().text << '\n';
      co_return kExitUsage;
    }
    found.kept = *kept;
  }
  if (found.rehearsal.unasked.empty()) {
    auto without = co_await find_stages_without_changelog(log, plan.plan);
    if (!without) {
      std::cerr << "onceflow plan: " << without.error().text << '\n';
      co_return kExitUsage;
    }
    found.stages_without_changelog = std::move(*without);
  }
  std::cout << (asked.as_json ? to_json(planned, found) : to_text(planned, file, found));
  co_return exit_code_of(found);
}

}  // namespace

int run_plan(const Arguments& arguments) {
  CLI::App app(
      "what a changed pipeline file keeps, changes and begins anew; changes nothing\n"
      "exit code 0: run would start; 1: run would refuse; 2: it cannot be told",
      "onceflow plan");
  LogTaskOptions options{.verb = "plan", .bootstrap_servers = {}, .log = {}, .flags = {}};
  std::string file;
  PlanOptions asked;
  app.add_option("FILE", file, "a pipeline file")->required();
  add_servers_option(app, options.bootstrap_servers);
  app.add_option("--data-dir", options.log.data_directory, "of the embedded log")
      ->capture_default_str();
  app.add_option("--port", options.log.port, "of the embedded log, where it is running")
      ->capture_default_str();
  app.add_flag("--json", asked.as_json, "as a JSON object");
  app.add_flag("--skip-deleted", asked.skips_deleted, "what onceflow run --skip-deleted would do");
  if (const auto ended = parse_arguments(app, arguments)) {
    return *ended;
  }
  options.flags = log_flags_of(app);
  const auto planned = load_pipeline_file(file);
  if (!planned) {
    return kExitUsage;
  }
  const MaskedStreams masked_streams(planned->spec.secrets);
  asked.file = shell_word(file) + options.flags;
  if (options.bootstrap_servers.empty()) {
    options.bootstrap_servers = joined(planned->spec.bootstrap_servers);
  }
  const PipelineDefinition definition = pipeline::definition_of(*planned);
  const Findings of_file = findings_of_file(*planned, file);
  if (is_log_missing(options)) {
    std::cout << (asked.as_json ? to_json(definition, of_file)
                                : to_text(definition, asked.file, of_file));
    if (!asked.as_json) {
      std::cerr << missing_log(options);
    }
    return kExitOk;
  }
  return run_on_log(
      options, [&](LogAtHand log) { return show_plan(std::move(log), *planned, of_file, asked); });
}

}  // namespace onceflow::app
