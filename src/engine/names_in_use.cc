#include "engine/names_in_use.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "client/admin.h"
#include "engine/kept_position.h"
#include "engine/other_pipelines.h"

namespace onceflow::engine {
namespace {

using protocol::PipelineDefinition;

/// None if the topic does not exist.
Task<Result<std::vector<TopicPartition>>> partitions_of(std::shared_ptr<client::Cluster> cluster,
                                                        std::string name, MonotonicTime deadline) {
  std::vector<TopicPartition> partitions;
  const auto topic = co_await cluster->existing_topic(name, deadline);
  if (!topic && topic.error().code == ErrorCode::kNotFound) {
    co_return partitions;
  }
  CO_RETURN_IF_ERROR(topic);
  partitions.reserve(static_cast<std::size_t>(topic->partition_count()));
  for (std::int32_t index = 0; index < topic->partition_count(); ++index) {
    partitions.push_back({name, PartitionIndex(index)});
  }
  co_return partitions;
}

Task<Result<bool>> has_records(std::shared_ptr<client::Cluster> cluster, std::string topic,
                               MonotonicTime deadline) {
  auto partitions = co_await partitions_of(cluster, std::move(topic), deadline);
  CO_RETURN_IF_ERROR(partitions);
  if (partitions->empty()) {
    co_return false;
  }
  client::Admin admin(cluster);
  const auto ends = co_await admin.list_offsets(std::move(*partitions), client::Admin::kLatest,
                                                client::IsolationLevel::kReadUncommitted, deadline);
  CO_RETURN_IF_ERROR(ends);
  co_return std::ranges::any_of(
      *ends, [](const client::ListedOffset& end) { return end.offset > Offset(0); });
}

/// What the planner makes between this stage and others.
std::vector<std::string> internal_topics(const Plan& plan, const Stage& stage) {
  std::vector<std::string> topics;
  if (stage.aggregate) {
    topics = stage.source_topics;
    topics.push_back(stage.aggregate->changelog_topic);
  }
  const std::string rows = fmt::format("{}-{}-rows", plan.pipeline, stage.id);
  if (std::ranges::find(stage.source_topics, rows) != stage.source_topics.end()) {
    topics.push_back(rows);
  }
  return topics;
}

Task<Status> check_topics_are_free(std::shared_ptr<client::Cluster> cluster, const Plan& plan,
                                   const Stage& stage, MonotonicTime deadline) {
  for (const std::string& topic : internal_topics(plan, stage)) {
    const auto is_in_use = co_await has_records(cluster, topic, deadline);
    CO_RETURN_IF_ERROR(is_in_use);
    if (*is_in_use) {
      co_return fail(
          ErrorCode::kRefused,
          fmt::format("topic '{}' has records, though pipeline '{}' has never run: another "
                      "pipeline's name and step make the same name of a topic (or the topic of "
                      "this one's receipts was deleted); the rule: a topic between stages belongs "
                      "to one pipeline; the fix: give this pipeline another name, or the step "
                      "another id",
                      topic, plan.pipeline));
    }
  }
  co_return Status{};
}

/// What the group keeps for the topics of the stage that are there.
Task<Result<std::vector<client::CommittedOffset>>> positions_of(
    std::shared_ptr<client::Cluster> cluster, const Stage& stage, MonotonicTime deadline) {
  std::vector<TopicPartition> all;
  for (const std::string& source : stage.source_topics) {
    const auto partitions = co_await partitions_of(cluster, source, deadline);
    CO_RETURN_IF_ERROR(partitions);
    std::ranges::copy(*partitions, std::back_inserter(all));
  }
  if (all.empty()) {
    co_return std::vector<client::CommittedOffset>{};
  }
  client::Admin admin(cluster);
  auto positions = co_await admin.committed(stage.group_id, std::move(all), deadline);
  CO_RETURN_IF_ERROR(positions);
  std::erase_if(*positions, [](const auto& position) { return position.offset == kNoOffset; });
  co_return positions;
}

bool is_signed_by(const Plan& plan, const client::CommittedOffset& position) {
  return parse_group_position(position.metadata).pipeline == plan.pipeline;
}

std::unexpected<Error> group_is_in_use(const Plan& plan, const Stage& stage,
                                       const client::CommittedOffset& position) {
  if (is_signed_by(plan, position)) {
    return fail(
        ErrorCode::kRefused,
        fmt::format("group '{}' has a position, {}-{}@{}, that pipeline '{}' has committed, and "
                    "neither a definition nor a receipt is left, as after a reset that has not "
                    "ended; what lies before it would be passed over; the rule: a pipeline goes on "
                    "where its receipts say that it was; the fix: restore topics {} and {}, or "
                    "begin anew on purpose: onceflow reset FILE --to-earliest --execute",
                    stage.group_id, position.partition.topic, position.partition.partition.value,
                    position.offset.value, plan.pipeline, plan.receipts_topic,
                    protocol::definitions_topic(plan.pipeline)));
  }
  return fail(
      ErrorCode::kRefused,
      fmt::format("group '{}' has a position, {}-{}@{}, though pipeline '{}' has never run: "
                  "it is another pipeline's or consumer's, and what lies before it would be "
                  "passed over; the rule: a group belongs to one pipeline; the fix: {}",
                  stage.group_id, position.partition.topic, position.partition.partition.value,
                  position.offset.value, plan.pipeline,
                  &stage == &plan.stages.front()
                      ? "give this pipeline a group.id of its own"
                      : "give this pipeline another name, or the step another id"));
}

Task<Status> check_group_is_free(std::shared_ptr<client::Cluster> cluster, const Plan& plan,
                                 const Stage& stage, MonotonicTime deadline) {
  const auto positions = co_await positions_of(cluster, stage, deadline);
  CO_RETURN_IF_ERROR(positions);
  co_return positions->empty() ? Status{} : group_is_in_use(plan, stage, positions->front());
}

Task<Status> check_topics_are_free(std::shared_ptr<client::Cluster> cluster, const Plan& plan,
                                   MonotonicTime deadline) {
  for (const Stage& stage : plan.stages) {
    CO_RETURN_IF_ERROR(co_await check_topics_are_free(cluster, plan, stage, deadline));
  }
  co_return Status{};
}

bool has_group(const Stage& stage) { return !std::holds_alternative<SinkOutput>(stage.output); }

}  // namespace

// A worker leaves a receipt before it moves a position or writes a record; what another worker of
// this pipeline leaves meanwhile is no finding.
Task<Status> check_names_are_free(std::shared_ptr<client::Cluster> cluster, const Plan& plan,
                                  MonotonicTime deadline) {
  const auto has_run = co_await has_records(cluster, plan.receipts_topic, deadline);
  CO_RETURN_IF_ERROR(has_run);
  if (*has_run) {
    co_return Status{};  // By a version that did not write definitions.
  }
  Status free = co_await check_topics_are_free(cluster, plan, deadline);
  for (const Stage& stage : plan.stages) {
    if (free && has_group(stage)) {
      free = co_await check_group_is_free(cluster, plan, stage, deadline);
    }
  }
  if (free || free.error().code != ErrorCode::kRefused) {
    co_return free;
  }
  const auto runs_now = co_await has_records(cluster, plan.receipts_topic, deadline);
  CO_RETURN_IF_ERROR(runs_now);
  co_return *runs_now ? Status{} : free;
}

Task<Status> check_names_for_reset(std::shared_ptr<client::Cluster> cluster, const Plan& plan,
                                   MonotonicTime deadline) {
  const auto has_receipts = co_await has_records(cluster, plan.receipts_topic, deadline);
  CO_RETURN_IF_ERROR(has_receipts);
  bool has_run = *has_receipts;
  for (const Stage& stage : plan.stages) {
    if (*has_receipts || !has_group(stage)) {
      continue;
    }
    const auto positions = co_await positions_of(cluster, stage, deadline);
    CO_RETURN_IF_ERROR(positions);
    for (const client::CommittedOffset& position : *positions) {
      if (!is_signed_by(plan, position)) {
        co_return group_is_in_use(plan, stage, position);
      }
      has_run = true;
    }
  }
  co_return has_run ? Status{} : co_await check_topics_are_free(cluster, plan, deadline);
}

namespace {

// What `writer` would write of `owner`'s; empty: nothing.
std::string written_of(const PipelineDefinition& writer, const PipelineDefinition& owner) {
  const std::set<std::string> own = own_topics(owner);
  for (const std::string& topic : written_topics(writer)) {
    if (own.contains(topic)) {
      return topic;
    }
  }
  return {};
}

bool reads(const PipelineDefinition& pipeline, const std::string& topic) {
  return std::ranges::any_of(pipeline.stages, [&](const PipelineDefinition::Stage& stage) {
    return std::ranges::find(stage.sources, topic) != stage.sources.end();
  });
}

// Results of both in one topic are what the user may want; that the stage behind it takes the other
// one's too is found in a table.
void tell_of_shared_results(const PipelineDefinition& planned, const PipelineDefinition& other,
                            const TellEvent& tell) {
  std::vector<std::string> shared;
  std::ranges::set_intersection(written_topics(planned), written_topics(other),
                                std::back_inserter(shared));
  for (const std::string& topic : shared) {
    for (const auto& [reader, writer] :
         {std::pair{&planned, &other}, std::pair{&other, &planned}}) {
      if (reads(*reader, topic)) {
        tell({.level = LogLevel::kWarn,
              .stage = {},
              .event = "topic of two pipelines",
              .text = fmt::format("topic '{0}' gets the results of pipeline '{1}' too: what of "
                                  "pipeline '{2}' reads the topic has them beside its own; where "
                                  "that is not meant, give one of the two another topic",
                                  topic, writer->pipeline, reader->pipeline)});
      }
    }
  }
}

}  // namespace

Task<Status> check_topics_of_others(std::shared_ptr<client::Cluster> cluster,
                                    const PipelineDefinition& planned, MonotonicTime deadline,
                                    const TellEvent& tell) {
  const auto others = co_await read_other_pipelines(cluster, planned.pipeline, deadline);
  CO_RETURN_IF_ERROR(others);
  for (const PipelineDefinition& other : *others) {
    const std::string of_other = written_of(planned, other);
    const std::string topic = of_other.empty() ? written_of(other, planned) : of_other;
    if (topic.empty()) {
      tell_of_shared_results(planned, other, tell);
      continue;
    }
    const std::string& owner = of_other.empty() ? planned.pipeline : other.pipeline;
    const std::string& writer = of_other.empty() ? other.pipeline : planned.pipeline;
    co_return fail(
        ErrorCode::kRefused,
        fmt::format(
            "topic '{}' is a topic of pipeline '{}' alone (its receipts, its definitions, "
            "a changelog, or one between its stages), and pipeline '{}' writes to it, too; the "
            "rule: nobody else writes these, or one's records are taken for the other's; the "
            "fix: give the sink of '{}' another topic, or where a step's id makes the name "
            "(PIPELINE-STEP-…), the step another id or the pipeline another name; or, if "
            "'{}' is not to run again, delete topic {}",
            topic, owner, writer, writer, other.pipeline,
            protocol::definitions_topic(other.pipeline)));
  }
  co_return Status{};
}

}  // namespace onceflow::engine
