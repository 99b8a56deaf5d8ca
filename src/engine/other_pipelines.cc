#include "engine/other_pipelines.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <string_view>

#include "client/admin.h"
#include "engine/definition_log.h"
#include "engine/stage_options.h"

namespace onceflow::engine {

using protocol::PipelineDefinition;

namespace {

// Of a topic that the planner has named; one that a file names is anyone's, and so is what others
// write there.
bool is_made_name(const std::string& pipeline, const std::string& topic) {
  constexpr std::array<std::string_view, 3> kEnds = {"-repartition", "-results", "-rows"};
  return topic.starts_with(pipeline + "-") &&
         std::ranges::any_of(kEnds, [&](std::string_view end) { return topic.ends_with(end); });
}

}  // namespace

// A topic that only ends like one of definitions has nothing to say.
Task<Result<std::vector<PipelineDefinition>>> read_other_pipelines(
    std::shared_ptr<client::Cluster> cluster, std::string pipeline, MonotonicTime deadline) {
  client::Admin admin(cluster);
  const auto topics = co_await admin.list_topics(deadline);
  CO_RETURN_IF_ERROR(topics);
  const std::string end = protocol::definitions_topic("");
  std::vector<PipelineDefinition> others;
  for (const std::string& topic : *topics) {
    if (!topic.ends_with(end) || topic == protocol::definitions_topic(pipeline)) {
      continue;
    }
    PipelineDefinition asked;
    asked.pipeline = topic.substr(0, topic.size() - end.size());
    DefinitionLog definitions(cluster, asked, {});
    const auto known = co_await definitions.read(deadline);
    if (!known && is_final(known.error())) {
      continue;
    }
    CO_RETURN_IF_ERROR(known);
    if (known->is_known()) {
      others.push_back(known->current());
    }
  }
  co_return others;
}

std::set<std::string> own_topics(const PipelineDefinition& definition) {
  std::set<std::string> own = {definition.topic(), definition.pipeline + "-receipts"};
  for (const PipelineDefinition::Stage& stage : definition.stages) {
    if (!stage.changelog_topic.empty()) {
      own.insert(stage.changelog_topic);
    }
    if (!stage.is_database()) {
      std::ranges::copy_if(
          stage.outputs, std::inserter(own, own.end()),
          [&](const std::string& topic) { return is_made_name(definition.pipeline, topic); });
    }
  }
  return own;
}

std::set<std::string> written_topics(const PipelineDefinition& definition) {
  std::set<std::string> written = own_topics(definition);
  for (const PipelineDefinition::Stage& stage : definition.stages) {
    if (!stage.is_database()) {
      written.insert(stage.outputs.begin(), stage.outputs.end());
    }
  }
  return written;
}

}  // namespace onceflow::engine
