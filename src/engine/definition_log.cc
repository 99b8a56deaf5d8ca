#include "engine/definition_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "client/fetcher.h"
#include "client/producer.h"
#include "engine/kept_position.h"
#include "engine/unread_records.h"

namespace onceflow::engine {

DefinitionLog::DefinitionLog(std::shared_ptr<client::Cluster> cluster,
                             const protocol::PipelineDefinition& planned, std::string file)
    : cluster_(std::move(cluster)),
      planned_(planned),
      file_(file.empty() ? std::string("FILE") : std::move(file)),
      admin_(cluster_) {}

Task<Result<KnownDefinition>> DefinitionLog::read(MonotonicTime deadline) {
  KnownDefinition known;
  strangers_.clear();
  is_cut_ = false;
  const TopicPartition partition{planned_.topic(), PartitionIndex(0)};
  const auto topic = co_await cluster_->existing_topic(partition.topic, deadline);
  if (!topic && topic.error().code == ErrorCode::kNotFound) {
    co_return known;
  }
  CO_RETURN_IF_ERROR(topic);
  const auto committed = client::IsolationLevel::kReadCommitted;
  const auto uncommitted = client::IsolationLevel::kReadUncommitted;
  const auto begin =
      co_await admin_.list_offsets({partition}, client::Admin::kEarliest, uncommitted, deadline);
  CO_RETURN_IF_ERROR(begin);
  const auto stable =
      co_await admin_.list_offsets({partition}, client::Admin::kLatest, committed, deadline);
  CO_RETURN_IF_ERROR(stable);
  const auto end =
      co_await admin_.list_offsets({partition}, client::Admin::kLatest, uncommitted, deadline);
  CO_RETURN_IF_ERROR(end);
  // Own records are in no transaction: one that somebody has open hides none of them.
  Offset position = begin->front().offset;
  CO_RETURN_IF_ERROR(
      co_await read_part(partition, committed, position, stable->front().offset, known, deadline));
  CO_RETURN_IF_ERROR(
      co_await read_part(partition, uncommitted, position, end->front().offset, known, deadline));
  is_cut_ = known.is_known() && (is_cut_ || begin->front().offset > Offset(0));
  co_return known;
}

// From the position, which it moves, to the end.
Task<Status> DefinitionLog::read_part(TopicPartition partition, client::IsolationLevel level,
                                      Offset& position, Offset end, KnownDefinition& known,
                                      MonotonicTime deadline) {
  if (position >= end) {
    co_return Status{};
  }
  client::FetchOptions options;
  options.isolation_level = level;
  client::Fetcher fetcher(cluster_, options);
  fetcher.assign({{partition, position}});
  while (position < end) {
    const auto polled = co_await fetcher.poll(deadline);
    CO_RETURN_IF_ERROR(polled);
    for (const client::FetchedRun& run : polled->runs) {
      Status decoded;
      CO_RETURN_IF_ERROR(run.for_each(
          [&](const protocol::RecordBatchHeader& header, const protocol::RecordView& record) {
            const bool is_undecided =
                header.is_transactional() && level == client::IsolationLevel::kReadUncommitted;
            if (decoded && !is_undecided) {
              decoded = add(partition, header, record, known);
            }
          }));
      CO_RETURN_IF_ERROR(decoded);
      is_cut_ = is_cut_ || !run.lost.empty();
      position = run.next_offset;
    }
    if (position < end && cluster_->scheduler().now() >= deadline) {
      co_return fail(ErrorCode::kTimedOut, partition.topic + ": its end was not reached in time",
                     Recovery::kRetriable);
    }
  }
  co_return Status{};
}

// What another program wrote says nothing of this pipeline.
Status DefinitionLog::add(const TopicPartition& partition,
                          const protocol::RecordBatchHeader& header,
                          const protocol::RecordView& record, KnownDefinition& known) {
  const auto definition = protocol::decode_definition(record.value.value_or(ByteView{}));
  const bool is_of_pipeline = definition && definition->pipeline == planned_.pipeline;
  if (is_of_pipeline && !header.is_transactional()) {
    known.add(*definition);
    return {};
  }
  const std::string what =
      fmt::format("{}-0@{}: {}", partition.topic, header.offset_of(record).value,
                  is_of_pipeline ? "a definition in a transaction, as no worker writes it"
                  : definition   ? "a definition of pipeline " + definition->pipeline
                                 : definition.error().text);
  if (definition || header.is_transactional() ||
      definition.error().code == ErrorCode::kUnsupported) {
    strangers_.push_back(what);
    return {};
  }
  return fail(definition.error().code,
              what +
                  "; the rule: nobody else writes this topic; the fix: run the version that "
                  "wrote it; or, if it was altered, delete the topic, and look at the changes "
                  "of the file yourself");
}

Task<Result<std::vector<DefinitionChange>>> DefinitionLog::changes(const KnownDefinition& known,
                                                                   MonotonicTime deadline) {
  std::vector<DefinitionChange> changes = known.compare(planned_);
  std::ranges::move(known.left_topics(planned_), std::back_inserter(changes));
  for (DefinitionChange& change : changes) {
    if (change.filled_from) {
      CO_RETURN_IF_ERROR(co_await look_at_source(change, known.newest_start_over(), deadline));
    }
    if (!change.state_topics.empty()) {
      CO_RETURN_IF_ERROR(co_await look_at_state(change, deadline));
    }
    if (!change.left_topics.empty()) {
      CO_RETURN_IF_ERROR(co_await look_at_left(change, deadline));
    }
  }
  std::erase_if(changes, [](const DefinitionChange& change) {
    return change.must_be_read && change.weight == DefinitionChange::Weight::kNote;
  });
  co_return changes;
}

// What lies before the place of a start-over is not its input.
Task<Status> DefinitionLog::look_at_source(DefinitionChange& change,
                                           const std::optional<StartOver>& start_over,
                                           MonotonicTime deadline) {
  const auto begins = co_await offsets_of(*change.filled_from, client::Admin::kEarliest, deadline);
  CO_RETURN_IF_ERROR(begins);
  if (begins->empty()) {
    co_return Status{};
  }
  const auto topic = co_await cluster_->existing_topic(*change.filled_from, deadline);
  CO_RETURN_IF_ERROR(topic);
  for (const client::ListedOffset& begin : *begins) {
    const auto* place = start_over ? start_over->find(begin.partition) : nullptr;
    const bool is_of_topic =
        place != nullptr && !is_another_topic(place->topic_id, topic_id_text(topic->id));
    if (begin.offset > (is_of_topic ? place->offset : Offset(0))) {
      change.weight = DefinitionChange::Weight::kRefused;
      change.effect = fmt::format(
          "topic {} begins at offset {} of partition {}: the table would stay without what was "
          "before",
          *change.filled_from, begin.offset.value, begin.partition.partition.value);
      break;
    }
  }
  co_return Status{};
}

Task<Status> DefinitionLog::look_at_left(DefinitionChange& change, MonotonicTime deadline) {
  std::string unread;
  for (const std::string& topic : change.left_topics) {
    const auto of_topic = co_await unread_of(change, topic, deadline);
    CO_RETURN_IF_ERROR(of_topic);
    unread += (unread.empty() || of_topic->empty() ? "" : ", ") + *of_topic;
  }
  if (change.must_be_read) {
    if (!unread.empty()) {
      change.weight = DefinitionChange::Weight::kRefused;
      change.effect = fmt::format(
          "{} {}", unread,
          change.effect.empty() ? "would stay unread, and belong to no stage" : change.effect);
    }
  } else {
    change.effect = (unread.empty() ? "all was read; " : unread + " stay unread; ") + change.effect;
  }
  co_return Status{};
}

// Beside positions in a database the group has a copy of them.
Task<Result<std::string>> DefinitionLog::unread_of(const DefinitionChange& change,
                                                   std::string topic, MonotonicTime deadline) {
  const auto ends = co_await offsets_of(topic, client::Admin::kLatest, deadline);
  CO_RETURN_IF_ERROR(ends);
  std::vector<TopicPartition> partitions;
  std::ranges::transform(*ends, std::back_inserter(partitions), &client::ListedOffset::partition);
  std::string unread;
  if (partitions.empty()) {
    co_return unread;  // Nothing is left of it.
  }
  const auto read =
      change.must_be_read && ask_positions_
          ? co_await ask_positions_(change.stage, std::move(partitions))
          : co_await admin_.committed(change.left_group, std::move(partitions), deadline);
  CO_RETURN_IF_ERROR(read);
  for (const client::CommittedOffset& position : *read) {
    const auto found = co_await unread_records(cluster_, position, std::nullopt, deadline);
    CO_RETURN_IF_ERROR(found);
    if (*found) {
      unread += (unread.empty() ? "" : ", ") + engine::describe(position.partition, **found);
    }
  }
  co_return unread;
}

Task<Status> DefinitionLog::look_at_state(DefinitionChange& change, MonotonicTime deadline) {
  for (const std::string& topic : change.state_topics) {
    const auto ends = co_await offsets_of(topic, client::Admin::kLatest, deadline);
    CO_RETURN_IF_ERROR(ends);
    for (const client::ListedOffset& end : *ends) {
      if (end.offset > Offset(0)) {
        co_return Status{};
      }
    }
  }
  change.weight = DefinitionChange::Weight::kNote;
  change.effect = "there is no state yet, and no row; it begins with this";
  co_return Status{};
}

Task<Result<std::vector<client::ListedOffset>>> DefinitionLog::offsets_of(std::string name,
                                                                          std::int64_t timestamp_ms,
                                                                          MonotonicTime deadline) {
  const auto topic = co_await cluster_->existing_topic(name, deadline);
  if (!topic && topic.error().code == ErrorCode::kNotFound) {
    co_return std::vector<client::ListedOffset>{};
  }
  CO_RETURN_IF_ERROR(topic);
  std::vector<TopicPartition> partitions;
  partitions.reserve(static_cast<std::size_t>(topic->partition_count()));
  for (std::int32_t index = 0; index < topic->partition_count(); ++index) {
    partitions.push_back({name, PartitionIndex(index)});
  }
  co_return co_await admin_.list_offsets(std::move(partitions), timestamp_ms,
                                         client::IsolationLevel::kReadUncommitted, deadline);
}

Status DefinitionLog::refusal(const KnownDefinition& known,
                              std::span<const DefinitionChange> changes) const {
  if (known.is_being_reset()) {
    return fail(ErrorCode::kInvalidArgument, unended_reset(known, planned_, file_));
  }
  if (!has_refusal(changes)) {
    return {};
  }
  return fail(
      ErrorCode::kInvalidArgument,
      fmt::format(
          "the file was changed, and what pipeline '{}' keeps does not fit it:\n{}"
          "the rule: nothing goes on with what another definition has made; nothing was "
          "written; the fix: choose one of:\n{}"
          "each without --execute says what it would do; onceflow plan {} shows all changes",
          planned_.pipeline, describe(changes, DefinitionChange::Weight::kRefused),
          ways_on(changes, planned_, file_, " --execute"), file_));
}

Task<Result<std::vector<DefinitionChange>>> DefinitionLog::check(const KnownDefinition& known,
                                                                 MonotonicTime deadline) {
  auto changed = co_await changes(known, deadline);
  CO_RETURN_IF_ERROR(changed);
  CO_RETURN_IF_ERROR(refusal(known, *changed));
  co_return changed;
}

bool DefinitionLog::is_recorded(const KnownDefinition& known) const {
  return known.is_known() && !known.is_being_reset() &&
         known.current().is_same_pipeline(planned_) && known.current().flags == planned_.flags;
}

Task<Result<KnownDefinition>> DefinitionLog::record(Forgotten forgotten, MonotonicTime deadline) {
  auto known = co_await read(deadline);
  CO_RETURN_IF_ERROR(known);
  const bool is_to_remember = forgotten == Forgotten::kStartOver && !known->newest_start_over();
  if (is_recorded(*known) && !is_to_remember) {
    co_return known;
  }
  auto changed = co_await changes(*known, deadline);
  CO_RETURN_IF_ERROR(changed);
  CO_RETURN_IF_ERROR(refusal(*known, *changed));
  protocol::PipelineDefinition definition = planned_;
  if (has_refusal(known->compare(planned_))) {
    // What rules it out by the files alone does not exist: it replaces what was known.
    definition.kind = protocol::PipelineDefinition::Kind::kAccepted;
  }
  if (is_to_remember) {
    definition.flags += forgotten_places_text();
  }
  CO_RETURN_IF_ERROR(co_await write(std::move(definition), deadline));
  known = co_await read(deadline);
  CO_RETURN_IF_ERROR(known);
  changed = co_await changes(*known, deadline);
  CO_RETURN_IF_ERROR(changed);
  CO_RETURN_IF_ERROR(refusal(*known, *changed));
  co_return known;
}

Task<Status> DefinitionLog::create_topic(MonotonicTime deadline) {
  const auto there = co_await cluster_->existing_topic(planned_.topic(), deadline);
  if (there || there.error().code != ErrorCode::kNotFound) {
    co_return there ? Status{} : Status(std::unexpected(there.error()));
  }
  const Status created = co_await admin_.create_topic({.name = planned_.topic(),
                                                       .partition_count = 1,
                                                       .replication_factor = -1,
                                                       .configs = client::kept_for_ever()},
                                                      deadline);
  co_return !created && created.error().code == ErrorCode::kAlreadyExists ? Status{} : created;
}

Task<Status> DefinitionLog::write(protocol::PipelineDefinition definition, MonotonicTime deadline) {
  CO_RETURN_IF_ERROR(co_await create_topic(deadline));
  definition.written_at_ms = cluster_->scheduler().wall_now().ms;
  const Buffer bytes = protocol::encode_definition(definition);
  client::Producer producer(cluster_, {});
  CO_RETURN_IF_ERROR(producer.append(
      producer.slot({planned_.topic(), PartitionIndex(0)}),
      {.timestamp_ms = definition.written_at_ms, .key = {}, .value = ByteView(bytes)}));
  co_return co_await producer.flush(deadline);
}

}  // namespace onceflow::engine
