#include "engine/group_positions.h"

#include <fmt/format.h>

#include "engine/emptied_topics.h"
#include "engine/receipt_search.h"

namespace onceflow::engine {

std::vector<protocol::Receipt::Input> beginnings(const std::vector<OpenedPosition>& opened) {
  std::vector<protocol::Receipt::Input> inputs;
  for (const OpenedPosition& position : opened) {
    if (position.beginning != protocol::Receipt::Beginning::kNone) {
      inputs.push_back({.source = position.before.source,
                        .topic_id = position.topic_id,
                        .from_offset = position.next_offset,
                        .next_offset = position.next_offset,
                        .beginning = position.beginning});
    }
  }
  return inputs;
}

GroupPositions::GroupPositions(std::shared_ptr<client::Cluster> cluster,
                               const StageOptions& options, client::ConsumerGroup& group,
                               RecordOutput& output, TopicWriter& receipts,
                               std::function<protocol::Receipt()> make_receipt)
    : cluster_(std::move(cluster)),
      options_(options),
      group_(group),
      output_(output),
      receipts_(receipts),
      make_receipt_(std::move(make_receipt)) {}

void GroupPositions::begin(client::GroupMetadata generation, std::string changelog,
                           std::optional<TopicId> changelog_id) {
  generation_ = std::move(generation);
  changelog_id_ = changelog_id ? topic_id_text(*changelog_id) : std::string();
  changelog_ = std::move(changelog);
}

void GroupPositions::set_output(const TopicWriter& output) {
  outputs_.set(output.topic(), topic_id_text(output.topic_id()), output.partition_count());
}

std::vector<client::OffsetToCommit> GroupPositions::to_commit(
    const std::vector<InputAccount::Position>& positions) const {
  std::vector<client::OffsetToCommit> offsets;
  offsets.reserve(positions.size());
  const std::string outputs = outputs_.to_text();
  for (const InputAccount::Position& position : positions) {
    offsets.push_back(
        {.partition = position.source,
         .offset = position.offset,
         .metadata = to_text(GroupPositionText{.topic_id = topic_id_text(position.topic_id),
                                               .changelog_id = changelog_id_,
                                               .receipts_id = topic_id_text(receipts_.topic_id()),
                                               .pipeline = options_.pipeline}) +
                     outputs});
  }
  return offsets;
}

Task<Result<std::vector<KeptPosition>>> GroupPositions::read(
    std::vector<TopicPartition> partitions) {
  const auto committed = co_await group_.committed(
      std::move(partitions), cluster_->scheduler().now() + options_.decision_wait_max());
  CO_RETURN_IF_ERROR(committed);
  std::vector<KeptPosition> kept;
  kept.reserve(committed->size());
  for (const client::CommittedOffset& offset : *committed) {
    const GroupPositionText text = parse_group_position(offset.metadata);
    CO_RETURN_IF_ERROR(check_pipeline(offset, text));
    CO_RETURN_IF_ERROR(check_changelog(offset, text));
    CO_RETURN_IF_ERROR(check_receipts(offset, text));
    outputs_.learn(offset.metadata);
    kept.push_back({.source = offset.partition,
                    .next_offset = offset.offset,
                    .topic_id = text.topic_id,
                    .is_signed = !text.pipeline.empty() || !text.receipts_id.empty()});
  }
  tell_of_added_partitions();
  co_return kept;
}

// Nothing can be done about it any more, and nothing is lost: so it goes on, and says so.
void GroupPositions::tell_of_added_partitions() {
  for (const OutputCounts::Grown& grown : outputs_.take_grown()) {
    options_.tell(
        {.level = LogLevel::kWarn,
         .stage = {},
         .event = "new partition",
         .text = fmt::format(
             "topic {0}, which this stage writes to, has {1} partitions and had {2}: a key's "
             "partition is chosen by their number, so what comes of a key may lie in another one "
             "than what came of it before, and where the topic is read as a table (by partition, "
             "or compacted) the older one stays beside it; the audit does not cover it; to have "
             "each key in one partition, name a topic that is made with {1} as the sink's "
             "`topic`, and: onceflow reset {3} --to-earliest --execute",
             grown.topic, grown.now, grown.before, options_.file)});
  }
}

// What lies before it the other pipeline has read, and this one never would.
Status GroupPositions::check_pipeline(const client::CommittedOffset& offset,
                                      const GroupPositionText& kept) const {
  if (kept.pipeline.empty() || kept.pipeline == options_.pipeline) {
    return {};
  }
  return fail(
      ErrorCode::kRefused,
      fmt::format("group '{}' holds the positions of pipeline '{}' ({}-{}@{}), and this is "
                  "pipeline '{}'; the rule: a group belongs to one pipeline, or each would "
                  "pass over what the other has read; the fix: a `group.id` of its own in "
                  "source.kafka; where the group is named after a step (PIPELINE-STEP), "
                  "another `name` or another `id` of the step",
                  generation_.group_id, kept.pipeline, offset.partition.topic,
                  offset.partition.partition.value, offset.offset.value, options_.pipeline));
}

// An empty changelog under positions that have moved would be taken for a state of nothing.
Status GroupPositions::check_changelog(const client::CommittedOffset& offset,
                                       const GroupPositionText& kept) const {
  const bool is_gone = !changelog_.empty() && changelog_id_.empty() && !kept.changelog_id.empty();
  if ((!is_gone && !is_another_topic(kept.changelog_id, changelog_id_)) ||
      options_.seeded_bug == SeededBug::kTopicByNameOnly) {
    return {};
  }
  return fail(ErrorCode::kRefused,
              fmt::format("changelog '{}': {}; the state up to {}-{}@{} was in the topic with id "
                          "{}, and {}, so the stage would go on from a state without it; to build "
                          "the state anew from the beginning: onceflow reset {} --to-earliest "
                          "--execute",
                          changelog_, is_gone ? "the topic is gone" : "another topic of that name",
                          offset.partition.topic, offset.partition.partition.value,
                          offset.offset.value, kept.changelog_id,
                          is_gone ? std::string("it would be made anew")
                                  : "the topic there now has id " + changelog_id_,
                          options_.file));
}

// Without its receipts nobody could account for what was read, and no position be compared.
Status GroupPositions::check_receipts(const client::CommittedOffset& offset,
                                      const GroupPositionText& kept) const {
  const std::string now = topic_id_text(receipts_.topic_id());
  if (!is_another_topic(kept.receipts_id, now)) {
    return {};
  }
  return fail(
      ErrorCode::kRefused,
      fmt::format("topic '{}': another topic of that name; the receipts up to {}-{}@{} were "
                  "in the topic with id {}, and the topic there now has id {}, so what was "
                  "read before could not be accounted for; if another pipeline has this group "
                  "(the same group.id, or names that join to the same), give this one its own, for "
                  "a reset would take the other's topics; else restore the topic, or begin anew on "
                  "purpose: onceflow reset {} --to-earliest --execute",
                  receipts_.topic(), offset.partition.topic, offset.partition.partition.value,
                  offset.offset.value, kept.receipts_id, now, options_.file));
}

Task<Result<std::vector<KeptPosition>>> GroupPositions::find_receipts(
    std::vector<KeptPosition> positions) {
  const auto newest = co_await find_newest_inputs(cluster_, options_, make_receipt_().stage);
  CO_RETURN_IF_ERROR(newest);
  for (KeptPosition& position : positions) {
    if (const auto input = newest->find(position.source); input != newest->end()) {
      position.receipt_offset = input->second.next_offset;
      position.receipt_beginning = input->second.beginning;
      position.receipt_input = input->second;
      if (!input->second.topic_id.is_zero()) {
        position.receipt_topic_id = topic_id_text(input->second.topic_id);
      }
    }
  }
  co_return positions;
}

Task<Result<std::vector<KeptPosition>>> GroupPositions::find_inputs(
    std::vector<KeptPosition> positions) {
  const auto last = co_await find_last_inputs(cluster_, options_, make_receipt_().stage);
  CO_RETURN_IF_ERROR(last);
  for (KeptPosition& position : positions) {
    if (const auto input = last->find(position.source); input != last->end()) {
      position.receipt_input = input->second;
    }
  }
  co_return positions;
}

// A receipt would have told a partition that is new from one whose position was deleted.
Task<Status> GroupPositions::tell_of_doubt(const std::vector<OpenedPosition>& opened) const {
  std::string names;
  for (const OpenedPosition& position : opened) {
    if (position.beginning == protocol::Receipt::Beginning::kNewPartition) {
      names += fmt::format("{}{}-{}", names.empty() ? "" : ", ", position.before.source.topic,
                           position.before.source.partition.value);
    }
  }
  if (names.empty()) {
    co_return Status{};
  }
  const auto start = co_await deleted_up_to(cluster_, options_.receipts_topic, deadline());
  CO_RETURN_IF_ERROR(start);
  if (*start > Offset(0)) {
    options_.tell({.level = LogLevel::kWarn,
                   .stage = {},
                   .event = "new partition",
                   .text = fmt::format(
                       "{}: group '{}' has no position there, so it is read from offset 0; "
                       "the first receipts were deleted (offsets 0..{} of {}), so nothing "
                       "tells whether it was read before: if its position was deleted, what "
                       "it held then is written again",
                       names, generation_.group_id, start->value - 1, options_.receipts_topic)});
  }
  co_return Status{};
}

Task<Status> GroupPositions::open(std::vector<OpenedPosition> opened) {
  CO_RETURN_IF_ERROR(co_await tell_of_doubt(opened));
  CO_RETURN_IF_ERROR(output_.begin());
  protocol::Receipt receipt = make_receipt_();
  receipt.inputs = beginnings(opened);
  std::vector<InputAccount::Position> positions;
  positions.reserve(opened.size());
  for (const OpenedPosition& position : opened) {
    positions.push_back({position.before.source, position.next_offset, position.topic_id});
  }
  if (!receipt.inputs.empty()) {
    const Buffer encoded = encode_receipt(receipt);
    CO_RETURN_IF_ERROR(
        receipts_.append_to(PartitionIndex(0), {.timestamp_ms = receipt.committed_at_ms,
                                                .key = as_bytes(receipt.stage),
                                                .value = ByteView(encoded)}));
  }
  const Status committed = co_await output_.commit(generation_, to_commit(positions), deadline());
  receipts_.reset();
  co_return committed;
}

}  // namespace onceflow::engine
