#include "engine/start_positions.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "engine/input_comparison.h"

namespace onceflow::engine {
namespace {

using Beginning = protocol::Receipt::Beginning;

constexpr Duration kFirstPartitionPoll = milliseconds(50);

std::string describe(const TopicPartition& partition) {
  return fmt::format("{}-{}", partition.topic, partition.partition.value);
}

std::string describe(std::span<const protocol::Receipt::Input> inputs) {
  std::string ranges;
  for (const protocol::Receipt::Input& input : inputs) {
    ranges += fmt::format("{}{} offsets {}..{}", ranges.empty() ? "" : ", ", describe(input.source),
                          input.from_offset.value, input.next_offset.value - 1);
  }
  return ranges;
}

bool is_new(const KeptPosition& position) { return position.next_offset == kNoOffset; }
bool has_begun(const KeptPosition& position) { return position.receipt_offset != kNoOffset; }

// Who is recalled began with all partitions that there were: those behind them came later, and
// begin at their first offset, as they would have then.
void erase_added(std::vector<KeptPosition>& recalled) {
  const auto index_of = [](const KeptPosition& position) { return position.source.partition; };
  std::optional<PartitionIndex> last;
  for (const KeptPosition& position : recalled) {
    if (has_begun(position) && (!last || *last < index_of(position))) {
      last = index_of(position);
    }
  }
  std::erase_if(recalled, [&](const KeptPosition& position) {
    return last && !has_begun(position) && *last < index_of(position);
  });
}

// To go on now would be to go on beside whatever comes there.
Status hidden(const std::string& ranges) {
  return fail(ErrorCode::kTimedOut,
              fmt::format("{}: this stage has read them, and the log does not show them now: it "
                          "ends before them, or an open transaction hides them; it was restored "
                          "from an older copy, or its leader has changed; what comes there is "
                          "compared with the newest receipt before the stage goes on",
                          ranges),
              Recovery::kRetriable);
}

// Whether the rest of the log is of the same time nothing can tell but who has salvaged it.
Status input_is_lost(std::span<const protocol::Receipt::Input> inputs, std::string_view file) {
  return fail(
      ErrorCode::kRefused,
      fmt::format("{} have lost records that this stage has read last, as its newest receipt says: "
                  "onceflow salvage could not read them; what became of them is in states and "
                  "rows, and the log does not have them to compare; to go on after them, with "
                  "states and rows as they are: onceflow reset {} --to-current --execute; or begin "
                  "anew with the records that are left: onceflow reset {} --to-earliest --execute, "
                  "which says what becomes of rows that are there",
                  describe(inputs), file, file));
}

}  // namespace

StartPositions::StartPositions(std::shared_ptr<client::Cluster> cluster,
                               const StageOptions& options, PositionKeeper& keeper,
                               std::string keeper_name, std::function<bool()> must_leave)
    : cluster_(std::move(cluster)),
      options_(options),
      keeper_(keeper),
      keeper_name_(std::move(keeper_name)),
      must_leave_(std::move(must_leave)),
      admin_(cluster_) {}

MonotonicTime StartPositions::deadline() const {
  return cluster_->scheduler().now() + options_.call_timeout;
}

Task<Result<std::vector<InputAccount::Position>>> StartPositions::settle(
    std::vector<KeptPosition> own, LogBounds bounds) {
  std::vector<TopicPartition> partitions;
  partitions.reserve(own.size());
  for (const KeptPosition& position : own) {
    partitions.push_back(position.source);
  }
  CO_RETURN_IF_ERROR(co_await learn_topics(partitions));
  CO_RETURN_IF_ERROR(co_await compare_with_receipts(own));
  const bool all_agree =
      std::ranges::all_of(own, [&](const KeptPosition& one) { return bool(check_receipt(one)); });
  if (!all_agree) {
    // A commit of the worker before may have come between the two looks: its position is there by
    // now, as its receipt is.
    CO_RETURN_IF_ERROR(co_await read_again(std::move(partitions), own));
    CO_RETURN_IF_ERROR(co_await compare_with_receipts(own));
  }
  for (const KeptPosition& position : own) {
    CO_RETURN_IF_ERROR(check(position));
  }
  CO_RETURN_IF_ERROR(co_await compare_with_log(own));
  for (const auto& [name, topic] : topics_) {
    CO_RETURN_IF_ERROR(co_await settle_topic(topic, own));
  }
  if (std::ranges::any_of(own, is_new)) {
    co_return std::vector<InputAccount::Position>{};  // It must leave before it could begin.
  }
  if (bounds == LogBounds::kChecked) {
    CO_RETURN_IF_ERROR(co_await pass_deleted(own));
  }
  std::vector<InputAccount::Position> positions;
  positions.reserve(own.size());
  for (const KeptPosition& position : own) {
    positions.push_back(
        {position.source, position.next_offset, topics_.at(position.source.topic).id});
  }
  co_return positions;
}

Task<Status> StartPositions::compare_with_receipts(std::vector<KeptPosition>& own) {
  if (!std::ranges::all_of(own, &KeptPosition::is_open)) {
    auto with_receipts = co_await keeper_.find_receipts(std::move(own));
    CO_RETURN_IF_ERROR(with_receipts);
    own = std::move(*with_receipts);
  }
  co_return Status{};
}

Task<Status> StartPositions::read_again(std::vector<TopicPartition> partitions,
                                        std::vector<KeptPosition>& own) {
  const auto again = co_await keeper_.read(std::move(partitions));
  CO_RETURN_IF_ERROR(again);
  for (const KeptPosition& position : *again) {
    const auto place = std::ranges::find(own, position.source, &KeptPosition::source);
    const bool was_open = place->is_open();
    place->next_offset = position.next_offset;
    place->topic_id = position.topic_id;
    if (!was_open && place->is_open()) {
      place->receipt_offset = kNoOffset;  // as old as the position that was not there
    }
  }
  co_return Status{};
}

Task<Status> StartPositions::learn_topics(std::vector<TopicPartition> partitions) {
  for (const TopicPartition& partition : partitions) {
    if (topics_.contains(partition.topic)) {
      continue;
    }
    // What is remembered may be of the topic before.
    cluster_->forget_topic(partition.topic);
    const auto found = co_await cluster_->existing_topic(partition.topic, deadline());
    CO_RETURN_IF_ERROR(found);
    topics_[partition.topic] = {partition.topic, found->id, found->partition_count()};
  }
  co_return Status{};
}

// ---- comparing

Status StartPositions::check(const KeptPosition& position) const {
  const std::string now = topic_id_text(topics_.at(position.source.topic).id);
  const std::string& kept =
      position.topic_id.empty() ? position.receipt_topic_id : position.topic_id;
  if (is_another_topic(kept, now) && options_.seeded_bug != SeededBug::kTopicByNameOnly) {
    return fail(
        ErrorCode::kRefused,
        fmt::format("{}: another topic of that name; {} is at offset {} of the topic with id {}, "
                    "and the topic there now has id {}, so its first records would be passed over "
                    "or taken twice; to begin the new topic at its first offset: onceflow reset "
                    "{} --to-earliest --execute, which says what becomes of rows that are "
                    "there",
                    describe(position.source), keeper_name_,
                    std::max(position.next_offset, position.receipt_offset).value, kept, now,
                    options_.file));
  }
  RETURN_IF_ERROR(check_owner(position));
  return check_receipt(position);
}

// Another consumer has read up to there, and this stage never would.
Status StartPositions::check_owner(const KeptPosition& position) const {
  if (is_new(position) || position.is_signed || position.receipt_offset != kNoOffset) {
    return {};
  }
  return fail(
      ErrorCode::kRefused,
      fmt::format("{}: {} holds offset {}, which no receipt of this stage accounts for, so another "
                  "pipeline or consumer has committed it; the rule: a group belongs to one "
                  "pipeline, or each would pass over what the other has read; the fix: a "
                  "`group.id` of its own in source.kafka; where the group is named after a step "
                  "(PIPELINE-STEP), another `name` or another `id` of the step",
                  describe(position.source), keeper_name_, position.next_offset.value));
}

Status StartPositions::check_receipt(const KeptPosition& position) const {
  if (position.receipt_offset == kNoOffset || position.receipt_offset == position.next_offset ||
      options_.seeded_bug == SeededBug::kPositionRowWithoutOffset) {
    return {};
  }
  // What is written at least once may have left its receipt before its position.
  if (options_.guarantee == Guarantee::kAtLeastOnce &&
      position.next_offset < position.receipt_offset) {
    return {};
  }
  // Nothing was read since it began, so it may begin there again.
  if (is_new(position) && position.receipt_beginning != Beginning::kNone) {
    return {};
  }
  const std::string where = describe(position.source);
  if (is_new(position) && keeper_name_.starts_with("group ")) {
    return fail(
        ErrorCode::kRefused,
        fmt::format("{}: the position is gone in {}, but the newest receipt of this stage "
                    "ended at offset {}: a group is forgotten that has had no member for "
                    "offsets.retention.minutes (Kafka's default: 7 days), or it was deleted; "
                    "records would be taken twice; to go on at {}, as the receipts say: "
                    "onceflow reset {} --to-current --execute; or begin anew on purpose: "
                    "onceflow reset {} --to-earliest --execute",
                    where, keeper_name_, position.receipt_offset.value,
                    position.receipt_offset.value, options_.file, options_.file));
  }
  const std::string consequence =
      position.next_offset > position.receipt_offset
          ? fmt::format("offsets {}..{} would be passed over without account",
                        position.receipt_offset.value, position.next_offset.value - 1)
          : "records would be taken twice";
  return fail(
      ErrorCode::kRefused,
      fmt::format(
          "{}: the position is {} in {}, but the newest receipt of this stage ended at offset {}; "
          "they move together, so one of them was changed by hand{} or restored alone, and {}; "
          "restore both, or {}put the position back to {}, or begin anew on purpose: onceflow "
          "reset {} --to-earliest --execute",
          where,
          is_new(position) ? std::string("gone")
                           : fmt::format("offset {}", position.next_offset.value),
          keeper_name_, position.receipt_offset.value,
          position.is_signed ? "" : ", by another consumer in the group,", consequence,
          // A receipt that was lost speaks of rows or records that are there.
          position.next_offset > position.receipt_offset
              ? "if the position was moved by hand, so that nothing of these offsets was written, "
              : "",
          position.receipt_offset.value, options_.file));
}

Task<Status> StartPositions::compare_with_log(std::vector<KeptPosition>& own) {
  if (options_.seeded_bug == SeededBug::kRestoredLogIsNotCompared) {
    co_return Status{};
  }
  if (std::ranges::any_of(own, [](const KeptPosition& position) {
        return !is_new(position) && !position.receipt_input;
      })) {
    auto with_inputs = co_await keeper_.find_inputs(std::move(own));
    CO_RETURN_IF_ERROR(with_inputs);
    own = std::move(*with_inputs);
  }
  std::vector<protocol::Receipt::Input> inputs;
  for (const KeptPosition& position : own) {
    if (position.receipt_input && position.receipt_input->next_offset == position.next_offset) {
      inputs.push_back(*position.receipt_input);
    }
  }
  InputComparison comparison(cluster_, options_.fetch, {});
  const auto changed = co_await comparison.find_changed(std::move(inputs));
  remark_ = comparison.remark();
  if (changed.empty() && !comparison.lost().empty()) {
    keeper_.note_lost(comparison.lost());
    co_return input_is_lost(comparison.lost(), options_.file);
  }
  if (changed.empty()) {
    if (comparison.hidden().empty()) {
      co_return Status{};
    }
    CO_RETURN_IF_ERROR(co_await check_ends(own));
    co_return hidden(comparison.hidden());
  }
  co_return fail(
      ErrorCode::kRefused,
      fmt::format("{} are not the records that this stage has read there, as its newest receipt "
                  "says: the log was restored from an older copy and written again, or altered; "
                  "new records before the position would never be read; restore the log that has "
                  "them, or begin anew on purpose: onceflow reset {} --to-earliest --execute, "
                  "which says what becomes of rows that are there",
                  describe(changed), options_.file));
}

// ---- fixing

Task<Status> StartPositions::settle_topic(Topic topic, std::vector<KeptPosition>& own) {
  const auto is_mine = [&](const KeptPosition& position) {
    return position.source.topic == topic.name;
  };
  const auto first =
      std::ranges::find(own, TopicPartition{topic.name, PartitionIndex(0)}, &KeptPosition::source);
  if (first != own.end() && !first->is_open()) {
    CO_RETURN_IF_ERROR(co_await begin_topic(topic, own));
  }
  CO_RETURN_IF_ERROR(co_await adopt(topic, own));
  if (std::ranges::none_of(own, [&](const KeptPosition& position) {
        return is_mine(position) && is_new(position);
      })) {
    co_return Status{};
  }
  if (first == own.end()) {
    const auto is_begun = co_await wait_for_first_partition({topic.name, PartitionIndex(0)});
    CO_RETURN_IF_ERROR(is_begun);
    if (!*is_begun) {
      co_return Status{};
    }
    std::vector<TopicPartition> missing;
    for (const KeptPosition& position : own) {
      if (is_mine(position) && is_new(position)) {
        missing.push_back(position.source);
      }
    }
    CO_RETURN_IF_ERROR(co_await read_again(std::move(missing), own));
  }
  co_return co_await begin_new_partitions(topic, own);
}

// The first start: all partitions that there are, also those of other workers, in one step.
Task<Status> StartPositions::begin_topic(const Topic& topic, std::vector<KeptPosition>& own) {
  std::vector<TopicPartition> others;
  for (std::int32_t index = 0; index < topic.partition_count; ++index) {
    TopicPartition partition{topic.name, PartitionIndex(index)};
    if (std::ranges::find(own, partition, &KeptPosition::source) == own.end()) {
      others.push_back(std::move(partition));
    }
  }
  auto kept = co_await keeper_.read(std::move(others));
  CO_RETURN_IF_ERROR(kept);
  for (const KeptPosition& position : own) {
    if (position.source.topic == topic.name) {
      kept->push_back(position);
    }
  }
  std::erase_if(*kept, [](const KeptPosition& position) { return !is_new(position); });
  if (kept->empty()) {
    co_return Status{};
  }
  kept = co_await keeper_.recall(std::move(*kept));
  CO_RETURN_IF_ERROR(kept);
  const bool at_end = options_.offset_reset == OffsetReset::kLatest;
  if (at_end) {
    erase_added(*kept);
  }
  std::vector<TopicPartition> partitions;
  partitions.reserve(kept->size());
  for (const KeptPosition& position : *kept) {
    partitions.push_back(position.source);
  }
  const auto listed = co_await admin_.list_offsets(
      std::move(partitions), at_end ? client::Admin::kLatest : client::Admin::kEarliest,
      client::IsolationLevel::kReadCommitted, deadline());
  CO_RETURN_IF_ERROR(listed);
  std::vector<OpenedPosition> opened;
  opened.reserve(kept->size());
  for (const KeptPosition& position : *kept) {
    const auto place =
        std::ranges::find(*listed, position.source, &client::ListedOffset::partition);
    CHECK(place != listed->end());
    // It has begun before, and nothing was read since: there it begins again.
    opened.push_back({.before = position,
                      .next_offset = has_begun(position) ? position.receipt_offset : place->offset,
                      .topic_id = topic.id,
                      .beginning = has_begun(position)
                                       ? position.receipt_beginning
                                       : (at_end ? Beginning::kLatest : Beginning::kEarliest)});
  }
  co_return co_await open(std::move(opened), own);
}

Status StartPositions::check_may_be_added(const KeptPosition& position) const {
  if (options_.has_state) {
    return fail(
        ErrorCode::kRefused,
        fmt::format("{}: a partition that was not there when the aggregate began: its keys have "
                    "their states in others, and would be counted from nothing; the topics of "
                    "an aggregate keep the number of partitions that they were made with; to "
                    "count anew, with the topics made again: onceflow reset {} --to-earliest "
                    "--execute",
                    describe(position.source), options_.file));
  }
  if (options_.upserts_from == UpsertsFrom::kStages) {
    return fail(
        ErrorCode::kRefused,
        fmt::format("{}: a partition that was not there when the table began: keys that it holds "
                    "have older results in others, and one of those could overwrite a newer; the "
                    "topic in front of a table with mode: upsert keeps the number of partitions "
                    "that it was made with; to fill the table anew: onceflow reset {} "
                    "--to-earliest (--delete-rows | --keep-rows) --execute",
                    describe(position.source), options_.file));
  }
  return {};
}

Task<Status> StartPositions::begin_new_partitions(const Topic& topic,
                                                  std::vector<KeptPosition>& own) {
  std::vector<OpenedPosition> opened;
  for (const KeptPosition& position : own) {
    if (position.source.topic == topic.name && is_new(position)) {
      CO_RETURN_IF_ERROR(check_may_be_added(position));
      if (options_.upserts_from == UpsertsFrom::kSources) {
        options_.tell(
            {.level = LogLevel::kWarn,
             .stage = {},
             .event = "new partition",
             .text = fmt::format(
                 "{}: it was not there when the table began, and its keys may have records in "
                 "other partitions: of two in different ones, the table (mode: upsert) keeps the "
                 "one that is read last; to be sure that this is the newest, add partitions only "
                 "while all of the topic has been read, and write nothing meanwhile; the audit "
                 "does not cover it",
                 describe(position.source))});
      }
      opened.push_back({.before = position,
                        .next_offset = Offset(0),
                        .topic_id = topic.id,
                        .beginning = Beginning::kNewPartition});
    }
  }
  co_return co_await open(std::move(opened), own);
}

// Positions of an earlier version, or of another consumer with this group.id.
Task<Status> StartPositions::adopt(const Topic& topic, std::vector<KeptPosition>& own) {
  std::vector<OpenedPosition> opened;
  for (const KeptPosition& position : own) {
    if (position.source.topic == topic.name && !is_new(position) && !position.is_open()) {
      opened.push_back(
          {.before = position,
           .next_offset = position.next_offset,
           .topic_id = topic.id,
           .beginning = position.topic_id.empty() ? Beginning::kFound : Beginning::kNone});
    }
  }
  co_return co_await open(std::move(opened), own);
}

Task<Status> StartPositions::check_ends(const std::vector<KeptPosition>& own) {
  std::vector<TopicPartition> partitions;
  partitions.reserve(own.size());
  for (const KeptPosition& position : own) {
    partitions.push_back(position.source);
  }
  const auto ends =
      co_await admin_.list_offsets(std::move(partitions), client::Admin::kLatest,
                                   client::IsolationLevel::kReadUncommitted, deadline());
  CO_RETURN_IF_ERROR(ends);
  for (const KeptPosition& position : own) {
    const auto end = std::ranges::find(*ends, position.source, &client::ListedOffset::partition);
    CHECK(end != ends->end());
    if (position.next_offset > end->offset) {
      co_return fail(
          ErrorCode::kCorrupt,
          fmt::format("{}: the position is offset {} in {}, but the topic ends at offset {}: what "
                      "this stage has read is not there any more, and other records will take its "
                      "offsets; restore the log, or begin anew on purpose: onceflow reset {} "
                      "--to-earliest --execute",
                      describe(position.source), position.next_offset.value, keeper_name_,
                      end->offset.value, options_.file));
    }
  }
  co_return Status{};
}

Task<Status> StartPositions::pass_deleted(std::vector<KeptPosition>& own) {
  std::vector<TopicPartition> partitions;
  partitions.reserve(own.size());
  for (const KeptPosition& position : own) {
    partitions.push_back(position.source);
  }
  CO_RETURN_IF_ERROR(co_await check_ends(own));
  const auto starts =
      co_await admin_.list_offsets(std::move(partitions), client::Admin::kEarliest,
                                   client::IsolationLevel::kReadUncommitted, deadline());
  CO_RETURN_IF_ERROR(starts);
  std::vector<OpenedPosition> opened;
  std::vector<DeletedRange> deleted;
  for (const KeptPosition& position : own) {
    const auto start =
        std::ranges::find(*starts, position.source, &client::ListedOffset::partition);
    CHECK(start != starts->end());
    if (position.next_offset >= start->offset) {
      continue;
    }
    deleted.push_back({position.source, position.next_offset, start->offset});
    opened.push_back({.before = position,
                      .next_offset = start->offset,
                      .topic_id = topics_.at(position.source.topic).id,
                      .beginning = Beginning::kReset});
  }
  if (!deleted.empty() && !options_.skips_deleted) {
    co_return fail(ErrorCode::kCorrupt, deleted_before_read(deleted, options_.file));
  }
  CO_RETURN_IF_ERROR(co_await open(std::move(opened), own));
  for (const DeletedRange& range : deleted) {
    options_.tell({.level = LogLevel::kWarn,
                   .stage = {},
                   .event = "skipped",
                   .text = skipped_by_operator(range)});
  }
  co_return Status{};
}

std::string skipped_by_operator(const DeletedRange& range) {
  return fmt::format(
      "{0}: offsets {1}..{2} were deleted before this stage had read them, and are passed over "
      "(--skip-deleted): it goes on at {3}, and the audit reports them as skipped by operator; "
      "start without the flag from now on, or what is deleted later is passed over, too",
      describe(range.source), range.position.value, range.start.value - 1, range.start.value);
}

// All of them: --skip-deleted passes them all.
std::string deleted_before_read(std::span<const DeletedRange> deleted, std::string_view file) {
  std::string lost;
  std::string starts;
  for (const DeletedRange& range : deleted) {
    lost += fmt::format("{}{}: offsets {}..{}", lost.empty() ? "" : ", ", describe(range.source),
                        range.position.value, range.start.value - 1);
    starts += deleted.size() == 1 ? std::to_string(range.start.value)
                                  : fmt::format("{}{}@{}", starts.empty() ? "" : ", ",
                                                describe(range.source), range.start.value);
  }
  return fmt::format(
      "{} were deleted before this stage had read them, and going on would lose them in silence; "
      "restore them, or start once with onceflow run {} --skip-deleted: it goes on at {}, and "
      "the audit reports them as skipped by operator; a longer retention.ms keeps it from "
      "happening again",
      lost, file, starts);
}

Task<Result<bool>> StartPositions::wait_for_first_partition(TopicPartition first) {
  const MonotonicTime until = deadline();
  while (!must_leave_()) {
    std::vector<TopicPartition> asked;
    asked.push_back(first);
    const auto kept = co_await keeper_.read(std::move(asked));
    CO_RETURN_IF_ERROR(kept);
    if (kept->front().is_open()) {
      co_return true;
    }
    if (cluster_->scheduler().now() >= until) {
      co_return fail(ErrorCode::kTimedOut,
                     fmt::format("{}: waiting for the worker that owns it to fix where the stage "
                                 "begins",
                                 describe(first)),
                     Recovery::kRetriable);
    }
    CO_RETURN_IF_ERROR(co_await cluster_->pause(kFirstPartitionPoll, MonotonicTime::max()));
  }
  co_return false;
}

Task<Status> StartPositions::open(std::vector<OpenedPosition> opened,
                                  std::vector<KeptPosition>& own) {
  if (opened.empty()) {
    co_return Status{};
  }
  if (options_.seeded_bug != SeededBug::kBeginningIsNotKept) {
    CO_RETURN_IF_ERROR(co_await keeper_.open(opened));
  }
  for (const OpenedPosition& position : opened) {
    const auto place = std::ranges::find(own, position.before.source, &KeptPosition::source);
    if (place != own.end()) {
      place->next_offset = position.next_offset;
      place->topic_id = topic_id_text(position.topic_id);
    }
  }
  co_return Status{};
}

}  // namespace onceflow::engine
