#include "app/pipeline_positions.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <iterator>
#include <map>

#include "engine/kept_position.h"
#include "engine/receipt_search.h"
#include "engine/stage_options.h"
#include "engine/unread_records.h"

namespace onceflow::app {
namespace {

constexpr Duration kCallTimeout = seconds(15);

}  // namespace

std::vector<engine::StartOver::Place> start_over_places(const Positions& positions) {
  std::vector<engine::StartOver::Place> places;
  places.reserve(positions.size());
  for (const connectors::ClaimedPartition& position : positions) {
    places.push_back({position.source, position.topic_id, position.next_offset});
  }
  return places;
}

std::set<std::string> internal_topics_of(const protocol::PipelineDefinition& definition) {
  std::set<std::string> topics;
  for (const protocol::PipelineDefinition::Stage& stage : definition.stages) {
    if (!stage.changelog_topic.empty()) {
      topics.insert(stage.changelog_topic);
    }
    for (const std::string& output : stage.outputs) {
      if (!stage.is_database() && lies_between_stages(definition.pipeline, output)) {
        topics.insert(output);
      }
    }
  }
  return topics;
}

std::set<std::string> groups_of(const protocol::PipelineDefinition& definition) {
  std::set<std::string> groups;
  for (const protocol::PipelineDefinition::Stage& stage : definition.stages) {
    groups.insert(stage.group_id);
  }
  return groups;
}

std::string describe(const Positions& positions) {
  std::vector<std::string> parts;
  parts.reserve(positions.size());
  for (const connectors::ClaimedPartition& position : positions) {
    const std::string source =
        fmt::format("{}-{}", position.source.topic, position.source.partition.value);
    parts.push_back(position.next_offset == kNoOffset
                        ? source + " from its beginning"
                        : fmt::format("{}@{}", source, position.next_offset.value));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::vector<TopicPartition> sources_of(const Positions& positions) {
  std::vector<TopicPartition> sources;
  sources.reserve(positions.size());
  std::ranges::transform(positions, std::back_inserter(sources),
                         &connectors::ClaimedPartition::source);
  return sources;
}

PipelinePositions::PipelinePositions(LogAtHand log) : log_(std::move(log)), admin_(log_.cluster) {}

MonotonicTime PipelinePositions::deadline() const { return log_.os.loop().now() + kCallTimeout; }

Task<Result<std::vector<TopicPartition>>> PipelinePositions::partitions_of(
    std::vector<std::string> topics) {
  std::vector<TopicPartition> partitions;
  for (const std::string& name : topics) {
    const auto topic = co_await log_.cluster->existing_topic(name, deadline());
    if (!topic && topic.error().code == ErrorCode::kNotFound) {
      continue;
    }
    CO_RETURN_IF_ERROR(topic);
    for (std::int32_t index = 0; index < topic->partition_count(); ++index) {
      partitions.push_back({name, PartitionIndex(index)});
    }
  }
  co_return partitions;
}

Task<Result<Positions>> PipelinePositions::at_time(std::vector<std::string> topics,
                                                   std::int64_t timestamp_ms) {
  auto partitions = co_await partitions_of(std::move(topics));
  CO_RETURN_IF_ERROR(partitions);
  const auto level = client::IsolationLevel::kReadCommitted;
  const auto listed = co_await admin_.list_offsets(*partitions, timestamp_ms, level, deadline());
  CO_RETURN_IF_ERROR(listed);
  const auto ends =
      co_await admin_.list_offsets(*partitions, client::Admin::kLatest, level, deadline());
  CO_RETURN_IF_ERROR(ends);
  Positions positions;
  positions.reserve(listed->size());
  for (std::size_t index = 0; index < listed->size(); ++index) {
    const Offset found = (*listed)[index].offset;
    positions.push_back({.source = (*listed)[index].partition,
                         .next_offset = found == kNoOffset ? (*ends)[index].offset : found});
  }
  CO_RETURN_IF_ERROR(co_await add_topic_ids(positions));
  co_return positions;
}

Task<Result<Positions>> PipelinePositions::ends_of(std::vector<std::string> topics) {
  const auto partitions = co_await partitions_of(std::move(topics));
  CO_RETURN_IF_ERROR(partitions);
  const auto ends = co_await admin_.list_offsets(
      *partitions, client::Admin::kLatest, client::IsolationLevel::kReadUncommitted, deadline());
  CO_RETURN_IF_ERROR(ends);
  Positions positions;
  positions.reserve(ends->size());
  std::ranges::transform(*ends, std::back_inserter(positions), [](const auto& end) {
    return connectors::ClaimedPartition{.source = end.partition, .next_offset = end.offset};
  });
  CO_RETURN_IF_ERROR(co_await add_topic_ids(positions));
  co_return positions;
}

Task<Result<Positions>> PipelinePositions::committed(std::string group,
                                                     std::vector<std::string> topics) {
  const auto partitions = co_await partitions_of(std::move(topics));
  CO_RETURN_IF_ERROR(partitions);
  const auto offsets = co_await admin_.committed(std::move(group), *partitions, deadline());
  CO_RETURN_IF_ERROR(offsets);
  Positions positions;
  for (const client::CommittedOffset& offset : *offsets) {
    if (offset.offset != kNoOffset) {
      positions.push_back({.source = offset.partition, .next_offset = offset.offset});
    }
  }
  CO_RETURN_IF_ERROR(co_await add_topic_ids(positions));
  co_return positions;
}

Task<Result<Positions>> PipelinePositions::forgotten_by_group(
    protocol::PipelineDefinition::Stage stage, std::string pipeline, std::string receipts_topic) {
  const auto partitions = co_await partitions_of(stage.sources);
  CO_RETURN_IF_ERROR(partitions);
  const auto kept = co_await admin_.committed(stage.group_id, *partitions, deadline());
  CO_RETURN_IF_ERROR(kept);
  const auto receipts = co_await partitions_of({receipts_topic});
  CO_RETURN_IF_ERROR(receipts);
  Positions forgotten;
  if (receipts->empty() ||
      std::ranges::none_of(*kept, [](const auto& one) { return one.offset == kNoOffset; })) {
    co_return forgotten;
  }
  engine::StageOptions options;
  options.pipeline = std::move(pipeline);
  options.receipts_topic = std::move(receipts_topic);
  const auto newest = co_await engine::find_newest_inputs(log_.cluster, options, stage.id);
  CO_RETURN_IF_ERROR(newest);
  for (const client::CommittedOffset& one : *kept) {
    const auto input = newest->find(one.partition);
    if (one.offset != kNoOffset || input == newest->end()) {
      continue;
    }
    Positions position = {{.source = one.partition, .next_offset = input->second.next_offset}};
    CO_RETURN_IF_ERROR(co_await add_topic_ids(position));
    // Of another topic of that name run says more.
    if (!engine::is_another_topic(engine::topic_id_text(input->second.topic_id),
                                  position.front().topic_id)) {
      forgotten.push_back(std::move(position.front()));
    }
  }
  co_return forgotten;
}

Task<Status> PipelinePositions::add_topic_ids(Positions& positions) {
  std::map<std::string, std::string> ids;
  for (connectors::ClaimedPartition& position : positions) {
    const std::string& name = position.source.topic;
    if (!ids.contains(name)) {
      const auto topic = co_await log_.cluster->existing_topic(name, deadline());
      CO_RETURN_IF_ERROR(topic);
      ids[name] = engine::topic_id_text(topic->id);
    }
    position.topic_id = ids[name];
  }
  co_return Status{};
}

Task<Result<std::vector<std::string>>> PipelinePositions::passed_over(
    protocol::PipelineDefinition known, Positions begins, std::set<std::string> said,
    engine::DefinitionLog::AskPositions ask) {
  std::vector<std::string> passed;
  if (known.stages.empty()) {
    known.stages.emplace_back();  // What the pipeline would have read.
  }
  for (std::size_t index = 0; index < known.stages.size(); ++index) {
    const protocol::PipelineDefinition::Stage& stage = known.stages[index];
    std::vector<std::string> topics = stage.sources;
    std::erase_if(topics, [&](const std::string& topic) { return said.contains(topic); });
    auto until = index == 0 ? Result<Positions>(begins) : co_await ends_of(std::move(topics));
    CO_RETURN_IF_ERROR(until);
    const auto reached = co_await reached_by(stage.id, sources_of(*until), ask);
    CO_RETURN_IF_ERROR(reached);
    for (std::size_t place = 0; place < std::min(reached->size(), until->size()); ++place) {
      const auto unread = co_await engine::unread_records(log_.cluster, (*reached)[place],
                                                          (*until)[place].next_offset, deadline());
      CO_RETURN_IF_ERROR(unread);
      if (*unread) {
        passed.push_back(fmt::format("{}{}: not read so far, and passed over",
                                     stage.id.empty() ? "" : stage.id + ": ",
                                     engine::describe((*until)[place].source, **unread)));
      }
    }
  }
  co_return passed;
}

Task<Result<std::vector<client::CommittedOffset>>> PipelinePositions::reached_by(
    std::string stage, std::vector<TopicPartition> partitions,
    const engine::DefinitionLog::AskPositions& ask) {
  if (!stage.empty() && !partitions.empty()) {
    co_return co_await ask(std::move(stage), std::move(partitions));
  }
  std::vector<client::CommittedOffset> nowhere;
  nowhere.reserve(partitions.size());
  for (const TopicPartition& partition : partitions) {
    nowhere.push_back({.partition = partition, .offset = kNoOffset, .metadata = {}});
  }
  co_return nowhere;
}

}  // namespace onceflow::app
