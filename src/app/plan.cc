// onceflow plan: what a changed pipeline file keeps, changes and begins anew, before it runs. Asks
// the pipeline's log and changes nothing.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "app/bootstrap_servers.h"
#include "app/change_commands.h"
#include "app/log_task.h"
#include "app/pipeline_file.h"
#include "app/pipeline_positions.h"
#include "app/reset_tables.h"
#include "app/shell_words.h"
#include "engine/definition_log.h"
#include "engine/names_in_use.h"
#include "pipeline/definition.h"

namespace onceflow::app {
namespace {

using engine::DefinitionChange;
using engine::KnownDefinition;
using protocol::PipelineDefinition;
using DefinitionStage = PipelineDefinition::Stage;

constexpr Duration kAskTimeout = seconds(15);

struct StageFate {
  std::string id;
  std::string_view fate;  ///< kept, changed, new, gone
  std::string_view
      state;  ///< kept, to be reset, to be kept or reset, new, left behind; empty: it has none
};

bool may_keep_state(const std::vector<DefinitionChange>& changes, const std::string& stage) {
  return std::ranges::any_of(changes, [&](const DefinitionChange& change) {
    return change.stage == stage &&
           change.keeping_state != DefinitionChange::KeepingState::kRefused;
  });
}

/// What a plan is told of: what is known of the pipeline, and, where nothing is, what is there all
/// the same ("group g: orders-0@25"), of a version that kept no definition.
struct Findings {
  KnownDefinition known;
  std::vector<DefinitionChange> changes;
  std::vector<std::string> kept;
};

std::vector<StageFate> fates(const Findings& found, const PipelineDefinition& planned) {
  const auto& [known, changes, kept] = found;
  std::vector<StageFate> result;
  const PipelineDefinition nothing;
  const PipelineDefinition& before = known.is_known() ? known.current() : nothing;
  for (const DefinitionStage& stage : planned.stages) {
    const DefinitionStage* old = before.find(stage.id);
    StageFate fate{stage.id, "new", stage.state.empty() ? "" : "new"};
    if (!kept.empty()) {
      fate = {stage.id, "unknown", stage.state.empty() ? "" : "taken as it is"};
    }
    if (old != nullptr) {
      fate.fate = *old == stage ? "kept" : "changed";
      if (!stage.state.empty()) {
        fate.state = old->state == stage.state           ? "kept"
                     : may_keep_state(changes, stage.id) ? "to be kept or reset"
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
  const auto& [known, changes, kept] = found;
  if (known.is_being_reset()) {
    return "being reset";
  }
  if (!known.is_known()) {
    return kept.empty() ? "begins" : "unknown";
  }
  return engine::has_refusal(changes) ? "refused" : "goes on";
}

// A heading of nothing is none.
std::string under(const char* heading, const std::string& lines) {
  return lines.empty() ? lines : heading + lines;
}

std::string to_text(const PipelineDefinition& planned, const std::string& file,
                    const Findings& found) {
  const std::vector<DefinitionChange>& changes = found.changes;
  std::string text = fmt::format("{}\n", planned.pipeline);
  for (const StageFate& stage : fates(found, planned)) {
    text += fmt::format("  {:<8} stage {}{}{}\n", stage.fate, stage.id,
                        stage.state.empty() ? "" : ", its state: ", stage.state);
  }
  if (!changes.empty()) {
    text += '\n';
    text += under("changes that begin with the next record\n",
                  engine::describe(changes, DefinitionChange::Weight::kNote));
    text += under("changes that need a decision\n",
                  engine::describe(changes, DefinitionChange::Weight::kRefused));
  }
  const std::string_view verdict = verdict_of(found);
  if (verdict == "unknown") {
    text += fmt::format(
        "\nno definition is kept: an earlier version ran the pipeline, or its record is gone; "
        "there are\n  {}\nrun goes on with them as if this file had made them: start it once with "
        "the file as it was, then change it\n",
        fmt::join(found.kept, "\n  "));
  } else if (verdict == "begins") {
    text += "\nrun begins: nothing is kept of this pipeline yet\n";
  } else if (verdict == "goes on") {
    text += "\nrun goes on where it was\n";
  } else if (verdict == "being reset") {
    text += fmt::format("\nrun refuses: {}\n", engine::unended_reset(found.known, planned, file));
  } else {
    text += fmt::format(
        "\nrun refuses; choose one of\n{}"
        "each says what it would do, and does it with --execute\n",
        engine::ways_on(changes, planned, file, ""));
  }
  return text;
}

std::string to_json(const PipelineDefinition& planned, const Findings& found) {
  nlohmann::ordered_json json = {{"pipeline", planned.pipeline},
                                 {"verdict", verdict_of(found)},
                                 {"kept", found.kept},
                                 {"stages", nlohmann::ordered_json::array()},
                                 {"changes", nlohmann::ordered_json::array()}};
  for (const StageFate& stage : fates(found, planned)) {
    nlohmann::ordered_json row = {{"stage", stage.id}, {"is", stage.fate}};
    if (!stage.state.empty()) {
      row["state"] = stage.state;
    }
    json["stages"].push_back(std::move(row));
  }
  for (const DefinitionChange& change : found.changes) {
    json["changes"].push_back({{"stage", change.stage},
                               {"refused", change.weight == DefinitionChange::Weight::kRefused},
                               {"what", change.what},
                               {"effect", change.effect}});
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

Task<int> show_plan(LogAtHand log, const pipeline::PlannedPipeline& plan, const std::string& file,
                    bool as_json) {
  const PipelineDefinition planned = pipeline::definition_of(plan);
  engine::DefinitionLog definitions(log.cluster, planned, file);
  const MonotonicTime deadline = log.os.loop().now() + kAskTimeout;
  const auto known = co_await definitions.read(deadline);
  if (!known) {
    std::cerr << "onceflow plan: " << known.error().text << '\n';
    co_return kExitUsage;
  }
  const auto changes = co_await definitions.changes(*known, deadline);
  if (!changes) {
    std::cerr << "onceflow plan: " << changes.error().text << '\n';
    co_return kExitUsage;
  }
  Findings found{*known, *changes, {}};
  if (!known->is_known()) {
    const Status names = co_await engine::check_names_are_free(log.cluster, plan.plan, deadline);
    if (!names) {
      std::cerr << "onceflow plan: run refuses: " << names.error().text << '\n';
      co_return names.error().code == ErrorCode::kRefused ? kExitFailed : kExitUsage;
    }
    const auto kept = co_await find_kept(log, plan, planned);
    if (!kept) {
      std::cerr << "onceflow plan: " << kept.error().text << '\n';
      co_return kExitUsage;
    }
    found.kept = *kept;
  }
  std::cout << (as_json ? to_json(planned, found) : to_text(planned, file, found));
  co_return known->is_being_reset() || engine::has_refusal(*changes) ? kExitFailed : kExitOk;
}

}  // namespace

int run_plan(const Arguments& arguments) {
  CLI::App app(
      "what a changed pipeline file keeps, changes and begins anew; changes nothing\n"
      "exit code 0: run would start; 1: run would refuse; 2: it cannot be told",
      "onceflow plan");
  LogTaskOptions options{.verb = "plan", .bootstrap_servers = {}, .log = {}, .flags = {}};
  std::string file;
  bool json = false;
  app.add_option("FILE", file, "a pipeline file")->required();
  app.add_option("--bootstrap.servers", options.bootstrap_servers,
                 "host:port[,host:port]; default: as the file says, else the embedded log");
  app.add_option("--data-dir", options.log.data_directory, "of the embedded log")
      ->capture_default_str();
  app.add_option("--port", options.log.port, "of the embedded log, where it is running")
      ->capture_default_str();
  app.add_flag("--json", json, "as a JSON object");
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitOk : kExitUsage;
  }
  options.flags = log_flags_of(app);
  const auto planned = load_pipeline_file(file);
  if (!planned) {
    return kExitUsage;
  }
  const std::string named = shell_word(file) + options.flags;
  if (options.bootstrap_servers.empty()) {
    options.bootstrap_servers = joined(planned->spec.bootstrap_servers);
  }
  const PipelineDefinition definition = pipeline::definition_of(*planned);
  if (is_log_missing(options)) {
    std::cout << (json ? to_json(definition, {}) : to_text(definition, named, {}));
    if (!json) {
      std::cerr << "onceflow plan: there is no log under " << options.log.data_directory
                << ", so nothing is kept there; --data-dir names another\n";
    }
    return kExitOk;
  }
  return run_on_log(
      options, [&](LogAtHand log) { return show_plan(std::move(log), *planned, named, json); });
}

}  // namespace onceflow::app
