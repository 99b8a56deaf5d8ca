#include "pipeline/explain.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "pipeline/remarks.h"

namespace onceflow::pipeline {
namespace {

std::vector<std::string> output_topics(const engine::Stage& stage) {
  std::vector<std::string> names;
  if (const auto* topics = std::get_if<std::vector<engine::TopicOutput>>(&stage.output)) {
    for (const engine::TopicOutput& topic : *topics) {
      names.push_back(topic.topic);
    }
  }
  return names;
}

bool is_users(const PipelineSpec& spec, const std::string& topic) {
  return std::ranges::find(spec.source.topics, topic) != spec.source.topics.end() ||
         std::ranges::any_of(spec.sinks, [&](const SinkSpec& sink) { return sink.topic == topic; });
}

// One stage below another; a stage that reads an earlier topic begins a line of its own.
std::string drawing(const PlannedPipeline& planned) {
  std::string text;
  std::vector<std::string> above;
  for (std::size_t index = 0; index < planned.plan.stages.size(); ++index) {
    const engine::Stage& stage = planned.plan.stages[index];
    const StageReport& report = planned.report.stages[index];
    const bool goes_on = !above.empty() && above.front() == stage.source_topics.front();
    if (!goes_on) {
      text += fmt::format("{}  {}\n", index == 0 ? "" : "\n", fmt::join(stage.source_topics, ", "));
    }
    text += "    |\n";
    text += fmt::format("    +-- [{}] {}\n", stage.id,
                        report.steps.empty() ? std::string("records as they are")
                                             : fmt::format("{}", fmt::join(report.steps, ", ")));
    text += fmt::format("    |   commits in {}\n", report.commit_point);
    text += "    v\n";
    above = output_topics(stage);
    const bool is_internal = !above.empty() && !is_users(planned.spec, above.front());
    text +=
        fmt::format("  {}{}\n", fmt::join(report.outputs, ", "), is_internal ? " (internal)" : "");
  }
  return text;
}

std::string describe_offset_reset(engine::OffsetReset reset) {
  return reset == engine::OffsetReset::kEarliest ? "earliest" : "latest";
}

std::string log_name(const PipelineSpec& spec) {
  return spec.bootstrap_servers.empty() ? std::string("embedded")
                                        : fmt::format("{}", fmt::join(spec.bootstrap_servers, ","));
}

}  // namespace

std::string summary(const PlannedPipeline& planned) {
  const std::size_t count = planned.plan.stages.size();
  return fmt::format("{} stage{}, {}", count, count == 1 ? "" : "s",
                     to_string(planned.report.guarantee));
}

std::string explain_text(const PlannedPipeline& planned) {
  const PipelineSpec& spec = planned.spec;
  std::string text = fmt::format("{}: {}\n\n", spec.name, summary(planned));
  text += drawing(planned);
  text += "\nStages\n";
  for (const StageReport& stage : planned.report.stages) {
    text +=
        fmt::format("  {:<24} {}, by: {}\n", stage.id, to_string(stage.guarantee), stage.mechanism);
    text += fmt::format("  {:<24} commit point: {}\n", "", stage.commit_point);
    text += fmt::format("  {:<24} group: {}\n", "", stage.group_id);
  }
  text += "\nTopics made if they are missing\n";
  for (const engine::TopicSpec& topic : planned.plan.topics) {
    text += fmt::format(
        "  {} ({}{}{})\n", topic.name,
        topic.partition_count == 0 ? std::string("as many partitions as the source")
                                   : fmt::format("{} partition", topic.partition_count),
        topic.compacted ? ", compacted" : "", is_users(spec, topic.name) ? "" : ", internal");
  }
  text += fmt::format("\nGuarantee: {}, if\n", to_string(planned.report.guarantee));
  for (const std::string& assumption : planned.report.assumptions) {
    text += fmt::format("  - {}\n", assumption);
  }
  for (const Problem& remark : remarks_on(spec)) {
    text += fmt::format("\nNote: line {}: {}; {}; {}\n", remark.line, remark.what, remark.rule,
                        remark.fix);
  }
  text +=
      fmt::format("\nLog: {}; auto.offset.reset: {}; commit.interval.ms: {}\n", log_name(spec),
                  describe_offset_reset(spec.source.offset_reset), spec.commit_interval.count());
  return text;
}

std::string explain_json(const PlannedPipeline& planned) {
  using nlohmann::ordered_json;
  const auto word = [](engine::Guarantee guarantee) {
    return guarantee == engine::Guarantee::kExactlyOnce ? "exactly_once" : "at_least_once";
  };
  ordered_json stages = ordered_json::array();
  for (const StageReport& stage : planned.report.stages) {
    stages.push_back({{"id", stage.id},
                      {"sources", stage.sources},
                      {"group.id", stage.group_id},
                      {"steps", stage.steps},
                      {"outputs", stage.outputs},
                      {"commit_point", stage.commit_point},
                      {"guarantee", word(stage.guarantee)},
                      {"mechanism", stage.mechanism}});
  }
  ordered_json topics = ordered_json::array();
  for (const engine::TopicSpec& topic : planned.plan.topics) {
    topics.push_back({{"name", topic.name},
                      {"partitions", topic.partition_count},
                      {"compacted", topic.compacted},
                      {"internal", !is_users(planned.spec, topic.name)}});
  }
  const ordered_json all = {
      {"pipeline", planned.spec.name},
      {"guarantee", word(planned.report.guarantee)},
      {"bootstrap.servers", planned.spec.bootstrap_servers},
      {"auto.offset.reset", describe_offset_reset(planned.spec.source.offset_reset)},
      {"commit.interval.ms", planned.spec.commit_interval.count()},
      {"stages", stages},
      {"topics", topics},
      {"assumptions", planned.report.assumptions},
  };
  return all.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace onceflow::pipeline
