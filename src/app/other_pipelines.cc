#include "app/other_pipelines.h"

#include <fmt/format.h>

#include <utility>

#include "engine/kept_position.h"
#include "engine/other_pipelines.h"

namespace onceflow::app {
namespace {

using protocol::PipelineDefinition;

// What its name says is what the planner makes: the topics of a user have other names.
std::vector<std::string> topics_between_stages(const PipelineDefinition& definition) {
  std::vector<std::string> topics;
  for (const PipelineDefinition::Stage& stage : definition.stages) {
    if (!stage.changelog_topic.empty()) {
      topics.push_back(stage.changelog_topic);
    }
    if (!stage.is_database()) {
      topics.insert(topics.end(), stage.outputs.begin(), stage.outputs.end());
    }
  }
  return topics;
}

}  // namespace

OtherPipelines::OtherPipelines(LogAtHand log, std::string pipeline)
    : log_(log), pipeline_(std::move(pipeline)), admin_(log.cluster), places_(std::move(log)) {}

Task<Status> OtherPipelines::check(std::set<std::string> groups, std::set<std::string> topics) {
  const auto others =
      co_await engine::read_other_pipelines(log_.cluster, pipeline_, places_.deadline());
  CO_RETURN_IF_ERROR(others);
  for (const PipelineDefinition& other : *others) {
    for (const PipelineDefinition::Stage& stage : other.stages) {
      // What stands in the group beside positions in a database is a copy for tools.
      if (!stage.is_database() && groups.contains(stage.group_id)) {
        CO_RETURN_IF_ERROR(co_await check_group(other, stage));
      }
    }
    for (const std::string& topic : topics_between_stages(other)) {
      if (topics.contains(topic)) {
        CO_RETURN_IF_ERROR(co_await check_topic(other, topic));
      }
    }
  }
  co_return Status{};
}

// Where a position names its receipts, they say whose it is: the group may have had another owner.
Task<Status> OtherPipelines::check_group(const PipelineDefinition& other,
                                         const PipelineDefinition::Stage& stage) {
  const auto partitions = co_await places_.partitions_of(stage.sources);
  CO_RETURN_IF_ERROR(partitions);
  const auto positions = co_await admin_.committed(stage.group_id, *partitions, places_.deadline());
  CO_RETURN_IF_ERROR(positions);
  const auto own = co_await receipts_of(pipeline_);
  CO_RETURN_IF_ERROR(own);
  const auto theirs = co_await receipts_of(other.pipeline);
  CO_RETURN_IF_ERROR(theirs);
  for (const client::CommittedOffset& position : *positions) {
    const std::string of = engine::parse_group_position(position.metadata).receipts_id;
    const bool is_own = !of.empty() && of == *own;
    if (position.offset == kNoOffset || is_own || engine::is_another_topic(of, *theirs)) {
      continue;
    }
    co_return fail(
        ErrorCode::kRefused,
        fmt::format("group '{}' holds positions of pipeline '{}', {}-{}@{} for one; the rule: a "
                    "reset takes what is this pipeline's, and a group belongs to one; the fix: {}",
                    stage.group_id, other.pipeline, position.partition.topic,
                    position.partition.partition.value, position.offset.value,
                    ways_on(other.pipeline)));
  }
  co_return Status{};
}

Task<Result<std::string>> OtherPipelines::receipts_of(const std::string& pipeline) {
  const auto topic =
      co_await log_.cluster->existing_topic(pipeline + "-receipts", places_.deadline());
  if (!topic && topic.error().code == ErrorCode::kNotFound) {
    co_return std::string();
  }
  CO_RETURN_IF_ERROR(topic);
  co_return engine::topic_id_text(topic->id);
}

Task<Status> OtherPipelines::check_topic(const PipelineDefinition& other, std::string topic) {
  const auto there = co_await log_.cluster->existing_topic(topic, places_.deadline());
  if (!there && there.error().code == ErrorCode::kNotFound) {
    co_return Status{};
  }
  CO_RETURN_IF_ERROR(there);
  co_return fail(
      ErrorCode::kRefused,
      fmt::format("topic '{}' belongs to pipeline '{}'; the rule: a reset takes what is this "
                  "pipeline's, and a topic between stages belongs to one; the fix: {}",
                  topic, other.pipeline, ways_on(other.pipeline)));
}

std::string OtherPipelines::ways_on(const std::string& other) const {
  return fmt::format(
      "give pipeline '{}' a group.id, a name or step ids of its own; or, if '{}' is "
      "not to run again, delete topic {}",
      pipeline_, other, protocol::definitions_topic(other));
}

}  // namespace onceflow::app
