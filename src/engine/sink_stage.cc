// SinkStage: records go from topics to a table; the commit point is one transaction of the sink,
// which carries rows, receipt and input positions, fenced by an epoch per source partition.
//
// Owned by the worker, runs on its thread. Invariants: STG-1, because the positions are read from
// where the rows are; SNK-1, because whoever begins claims first, and a commit under an older claim
// matches no position row. The group's own offsets are a copy, for lag tools and for a database
// that holds no position (sink_trace.h); nothing goes on from them.
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <variant>

#include "base/error_class.h"
#include "base/log_line.h"
#include "base/record_hash.h"
#include "base/utf8.h"
#include "client/partitioner.h"
#include "engine/group_positions.h"
#include "engine/sink_trace.h"
#include "engine/stage_loop.h"
#include "engine/start_positions.h"
#include "protocol/position_topics.h"

namespace onceflow::engine {
namespace {

/// While nothing is committed, which compares the positions too.
constexpr Duration kCompareInterval = seconds(15);

/// Where its positions are, as people are told.
constexpr const char* kPositionsTable = "onceflow_positions";

KeptPosition to_kept(const connectors::ClaimedPartition& partition) {
  return {.source = partition.source,
          .next_offset = partition.next_offset,
          .topic_id = protocol::parse_position_topics(partition.topic_id).topic_id,
          .epoch = partition.epoch,
          .receipt_offset = partition.receipt_offset,
          .receipt_input = partition.receipt_input};
}

std::vector<KeptPosition> to_kept(const std::vector<connectors::ClaimedPartition>& partitions) {
  std::vector<KeptPosition> kept;
  kept.reserve(partitions.size());
  for (const connectors::ClaimedPartition& partition : partitions) {
    kept.push_back(to_kept(partition));
  }
  return kept;
}

class SinkStage final : public StageLoop, private PositionKeeper {
 public:
  SinkStage(std::shared_ptr<client::Cluster> cluster, const Stage& stage, StageOptions options)
      : StageLoop(std::move(cluster), stage, std::move(options)),
        plan_(std::get<SinkOutput>(stage_.output)),
        committing_(fmt::format("committing to {} table '{}'", plan_.kind, plan_.table.table)) {
    reader_.keep_chunks();
  }

  Task<Result<protocol::ReceiptsByStage>> receipts_by_stage() override {
    CO_RETURN_IF_ERROR(make_sink());
    co_return co_await sink_->receipts_by_stage();
  }
  void begin_after(std::optional<StartOver> start_over) override {
    start_over_ = std::move(start_over);
  }

 private:
  Task<Status> rehearse(StageRehearsal& found) override;
  Status prepare() override;
  Task<Status> recover(std::vector<TopicPartition> partitions) override;
  Task<Status> work() override;
  Task<void> abandon() override;

  // PositionKeeper, over the sink's positions.
  Task<Result<std::vector<KeptPosition>>> read(std::vector<TopicPartition> partitions) override;
  Task<Result<std::vector<KeptPosition>>> find_receipts(
      std::vector<KeptPosition> positions) override;
  Task<Result<std::vector<KeptPosition>>> find_inputs(
      std::vector<KeptPosition> positions) override {
    co_return positions;  // So with these.
  }
  Task<Result<std::vector<KeptPosition>>> recall(std::vector<KeptPosition> positions) override;
  Task<Status> open(std::vector<OpenedPosition> positions) override;

  Status make_sink();
  /// Where the newest start-over has put it, if that was to begin in these; returns which those
  /// are, for people.
  Task<Result<std::string>> recall_start_over(std::vector<KeptPosition>& positions);
  Status check_start_over_is_known(const KeptPosition& position) const;
  /// Where `latest` was decided to be, before the database knows it.
  Task<Status> leave_trace(const std::vector<OpenedPosition>& opened);
  Task<Result<std::vector<connectors::ClaimedPartition>>> claim(
      std::vector<TopicPartition> partitions);
  /// What a claim would find, as positions.
  Task<Result<std::vector<KeptPosition>>> look(std::vector<TopicPartition> partitions);
  /// Which start-over of the pipeline positions are of: by the topic that it made anew.
  Task<Status> learn_receipts_id();
  Status check_start_over(const std::vector<connectors::ClaimedPartition>& claimed) const;
  /// What its group says of it.
  Task<Result<std::vector<client::CommittedOffset>>> read_traces(
      std::vector<TopicPartition> partitions);
  Task<Status> check_rows_past(const std::vector<connectors::ClaimedPartition>& claimed,
                               const std::vector<client::CommittedOffset>& traces);
  /// Of a row that does not say it yet, what it is to say; else empty.
  std::string text_to_keep(const TopicPartition& source, const TopicId& topic_id) const;
  void tell_remarks(const std::vector<connectors::ClaimedPartition>& claimed);
  void tell_what_went_back(const std::vector<InputAccount::Position>& positions);
  Task<Status> fill();
  /// While there is no input: a restored database shows itself by its positions alone.
  Task<Status> compare_positions();
  Task<Status> commit();
  Status process(Chunk& chunk);
  /// The partitions of what the pipeline has written: again after every assignment.
  Task<Status> count_partitions();
  /// Whether the records of each key are in one partition, so that the last one is the newest.
  Status check_places(const Chunk& chunk) const;
  void add_row(const TopicPartition& source, const Record& record, std::span<const Value> values);
  protocol::Receipt make_receipt();
  /// Every source, so that SinkRow::source_index holds and every claim is checked.
  std::vector<connectors::SinkPosition> positions();
  Status judge(const connectors::CommitOutcome& outcome);
  std::string describe_refusal(const connectors::CommitOutcome& outcome,
                               std::string_view where) const;
  Task<void> report_offsets();
  void reset();

  const SinkOutput& plan_;
  const std::string committing_;  ///< what it is doing then
  std::unique_ptr<connectors::Sink> sink_;
  std::optional<StartOver> start_over_;  ///< the pipeline's newest
  std::string receipts_id_;              ///< empty: there is no such topic, or nobody knows its id
  std::set<TopicPartition> are_dated_;   ///< their rows say so
  OperatorChain operators_;
  std::unique_ptr<Projection> columns_;
  MonotonicTime compare_at_;
  std::map<TopicPartition, std::int64_t> epochs_;
  std::map<TopicPartition, Offset> committed_;  ///< by this worker, under these epochs
  std::map<TopicPartition, Offset> reached_;    ///< where its positions were when it last saw them
  std::map<std::string, std::int32_t> partition_counts_;  ///< where they decide; else empty
  std::map<TopicPartition, TopicId> topic_ids_;
  std::vector<TopicPartition> sources_;  ///< what SinkRow::source_index means in the open commit
  connectors::SinkCommit open_;
  std::vector<protocol::Receipt::Row> receipt_rows_;
  std::uint64_t row_hash_sum_ = 0;
  std::vector<Value> values_;
};

Status SinkStage::prepare() {
  auto operators = OperatorChain::make(stage_);
  RETURN_IF_ERROR(operators);
  operators_ = std::move(*operators);
  auto columns = plan_.columns();
  RETURN_IF_ERROR(columns);
  columns_ = std::move(*columns);
  return make_sink();
}

Status SinkStage::make_sink() {
  if (!sink_) {
    auto sink = plan_.make_sink(cluster_->environment());
    RETURN_IF_ERROR(sink);
    sink_ = std::move(*sink);
  }
  return {};
}

// A restored database has older epochs: claiming goes on until each is above what this worker had,
// which its own commits of before the restore may still carry.
Task<Result<std::vector<connectors::ClaimedPartition>>> SinkStage::claim(
    std::vector<TopicPartition> partitions) {
  while (true) {
    auto claimed = co_await sink_->claim(partitions);
    CO_RETURN_IF_ERROR(claimed);
    if (std::ranges::none_of(*claimed, [&](const connectors::ClaimedPartition& partition) {
          const auto before = epochs_.find(partition.source);
          return before != epochs_.end() && partition.epoch <= before->second;
        })) {
      co_return claimed;
    }
    committed_.clear();  // of before the restore
  }
}

// Nobody but a restore takes positions back together with their receipts; those that went back
// alone are refused.
void SinkStage::tell_what_went_back(const std::vector<InputAccount::Position>& positions) {
  std::string moved;
  std::string written_again;
  for (const InputAccount::Position& position : positions) {
    const auto before = reached_.find(position.source);
    if (before == reached_.end() || before->second <= position.offset) {
      continue;
    }
    const std::string name =
        fmt::format("{}-{}", position.source.topic, position.source.partition.value);
    moved += fmt::format("{}{} went back from {} to {}", moved.empty() ? "" : ", ", name,
                         before->second.value, position.offset.value);
    written_again += fmt::format("{}{}@{}..{}", written_again.empty() ? "" : ", ", name,
                                 position.offset.value, before->second.value - 1);
  }
  if (!moved.empty()) {
    news_.note(LogLevel::kWarn, "restored",
               fmt::format("{} table '{}': {}, with the receipts: the database was restored; these "
                           "records are written again: {}",
                           plan_.kind, plan_.table.table, moved, written_again));
  }
}

Task<Status> SinkStage::recover(std::vector<TopicPartition> partitions) {
  reset();
  news_.doing(
      fmt::format("claiming its partitions in {} table '{}'", plan_.kind, plan_.table.table));
  const auto traces = co_await read_traces(partitions);
  CO_RETURN_IF_ERROR(traces);
  const auto claimed = co_await claim(std::move(partitions));
  CO_RETURN_IF_ERROR(claimed);
  const std::map<TopicPartition, std::int64_t> epochs_before = std::exchange(epochs_, {});
  const std::map<TopicPartition, Offset> committed = std::exchange(committed_, {});
  sources_.clear();
  std::vector<KeptPosition> kept;
  tell_remarks(*claimed);
  CO_RETURN_IF_ERROR(co_await learn_receipts_id());
  CO_RETURN_IF_ERROR(check_start_over(*claimed));
  CO_RETURN_IF_ERROR(co_await check_rows_past(*claimed, *traces));
  if (auto accepted = accepted_traces(*claimed, options_.pipeline); !accepted.empty()) {
    co_await reader_.group().commit(reader_.group_metadata(), std::move(accepted),
                                    now() + seconds(1));
  }
  are_dated_.clear();
  for (const connectors::ClaimedPartition& partition : *claimed) {
    const auto before = epochs_before.find(partition.source);
    // A claim that does not raise the epoch would leave its predecessor unfenced.
    CHECK_INVARIANT("SNK-1", before == epochs_before.end() || partition.epoch > before->second);
    epochs_[partition.source] = partition.epoch;
    sources_.push_back(partition.source);
    if (protocol::parse_position_topics(partition.topic_id).receipts_id == receipts_id_) {
      are_dated_.insert(partition.source);
    }
    kept.push_back(to_kept(partition));
    // Nobody has claimed it since, so it is where this worker left it, whatever receipts there are.
    // Without any position it went back to before its beginning, as a whole.
    if (const auto own = committed.find(partition.source);
        own != committed.end() && partition.next_offset != kNoOffset &&
        kept.back().receipt_offset == kNoOffset && before != epochs_before.end() &&
        partition.epoch == before->second + 1) {
      kept.back().receipt_offset = own->second;
    }
  }
  const auto positions =
      co_await settle(*this, kPositionsTable, std::move(kept),
                      reader_.take_out_of_range() ? LogBounds::kChecked : LogBounds::kTrusted);
  CO_RETURN_IF_ERROR(positions);
  tell_what_went_back(*positions);
  for (const InputAccount::Position& position : *positions) {
    reached_[position.source] = position.offset;
    topic_ids_[position.source] = position.topic_id;
  }
  CO_RETURN_IF_ERROR(co_await count_partitions());
  reader_.begin_at(*positions);
  compare_at_ = now() + kCompareInterval;
  co_return Status{};
}

Task<Result<std::vector<client::CommittedOffset>>> SinkStage::read_traces(
    std::vector<TopicPartition> partitions) {
  co_return co_await reader_.group().committed(std::move(partitions),
                                               now() + options_.decision_wait_max());
}

// Where its database went back, as a whole or without its rows. The traces are of before the claim:
// those of a worker that commits meanwhile would be past what was found.
Task<Status> SinkStage::check_rows_past(const std::vector<connectors::ClaimedPartition>& claimed,
                                        const std::vector<client::CommittedOffset>& traces) {
  auto behind = behind_their_traces(claimed, traces, options_.pipeline);
  if (behind.empty()) {
    co_return Status{};
  }
  const auto remark = co_await sink_->check_rows_past(std::move(behind));
  CO_RETURN_IF_ERROR(remark);
  if (!remark->empty()) {
    news_.note(LogLevel::kWarn, "table", *remark);
  }
  co_return Status{};
}

Task<Status> SinkStage::count_partitions() {
  partition_counts_.clear();
  if (options_.upserts_from != UpsertsFrom::kStages) {
    co_return Status{};
  }
  for (const TopicPartition& source : sources_) {
    const auto topic = co_await cluster_->existing_topic(source.topic, call_deadline());
    CO_RETURN_IF_ERROR(topic);
    partition_counts_[source.topic] = topic->partition_count();
  }
  co_return Status{};
}

Task<Status> SinkStage::learn_receipts_id() {
  cluster_->forget_topic(options_.receipts_topic);
  const auto topic = co_await cluster_->existing_topic(options_.receipts_topic, call_deadline());
  if (!topic && topic.error().code != ErrorCode::kNotFound) {
    co_return std::unexpected(topic.error());
  }
  receipts_id_ = topic && !topic->id.is_zero() ? topic_id_text(topic->id) : std::string();
  co_return Status{};
}

Status SinkStage::check_start_over(const std::vector<connectors::ClaimedPartition>& claimed) const {
  if (options_.seeded_bug == SeededBug::kStartOverIsNotCompared) {
    return {};
  }
  for (const connectors::ClaimedPartition& partition : claimed) {
    const std::string kept = protocol::parse_position_topics(partition.topic_id).receipts_id;
    if (partition.next_offset == kNoOffset || !is_another_topic(kept, receipts_id_)) {
      continue;
    }
    return fail(
        ErrorCode::kRefused,
        fmt::format(
            "{0} table '{1}': its position {2}-{3}@{4} is not of the pipeline's newest start-over: "
            "topic {5} was made anew (its id was {6}, and is {7}), as onceflow reset does; the "
            "database was restored from before that, or the file did not name this sink then, or "
            "the log was restored from before it; the rule: a start-over reaches each sink, or "
            "results that were made again would be in the table beside the old ones; the fix: "
            "restore database and log of one time; or go on from now, with the rows as they are: "
            "onceflow reset {8} --to-current --execute; or start over once more, with this sink: "
            "onceflow reset {8} --to-earliest (--delete-rows | --keep-rows) --execute",
            plan_.kind, plan_.table.table, partition.source.topic, partition.source.partition.value,
            partition.next_offset.value, options_.receipts_topic, kept, receipts_id_,
            options_.file));
  }
  return {};
}

std::string SinkStage::text_to_keep(const TopicPartition& source, const TopicId& topic_id) const {
  return receipts_id_.empty() || are_dated_.contains(source)
             ? std::string()
             : protocol::to_text(protocol::PositionTopics{topic_id_text(topic_id), receipts_id_});
}

void SinkStage::tell_remarks(const std::vector<connectors::ClaimedPartition>& claimed) {
  for (const connectors::ClaimedPartition& partition : claimed) {
    if (!partition.remark.empty()) {
      news_.note(LogLevel::kWarn, "table", partition.remark);
    }
  }
}

// As recover(), without a claim.
Task<Status> SinkStage::rehearse(StageRehearsal& found) {
  CO_RETURN_IF_ERROR(prepare());
  auto sources = co_await find_sources();
  CO_RETURN_IF_ERROR(sources);
  RehearsedPositions rehearsed(
      *this, [this](std::vector<TopicPartition> wanted) { return look(std::move(wanted)); },
      RehearsedPositions::Receipts::kKept, found);
  CO_RETURN_IF_ERROR(co_await check_not_read(rehearsed, sources->gone));
  const auto traces = co_await read_traces(sources->partitions);
  CO_RETURN_IF_ERROR(traces);
  const auto looked = co_await sink_->look(std::move(sources->partitions));
  CO_RETURN_IF_ERROR(looked);
  tell_remarks(*looked);
  CO_RETURN_IF_ERROR(co_await learn_receipts_id());
  CO_RETURN_IF_ERROR(check_start_over(*looked));
  CO_RETURN_IF_ERROR(co_await check_rows_past(*looked, *traces));
  std::vector<KeptPosition> kept = to_kept(*looked);
  found.note_kept(kept);
  const auto positions =
      co_await settle(rehearsed, kPositionsTable, std::move(kept), LogBounds::kChecked);
  CO_RETURN_IF_ERROR(positions);
  co_return Status{};
}

Task<Result<std::vector<KeptPosition>>> SinkStage::look(std::vector<TopicPartition> partitions) {
  const auto looked = co_await sink_->look(std::move(partitions));
  CO_RETURN_IF_ERROR(looked);
  co_return to_kept(*looked);
}

Task<Result<std::vector<KeptPosition>>> SinkStage::read(std::vector<TopicPartition> partitions) {
  const auto stored = co_await sink_->read_positions(std::move(partitions));
  CO_RETURN_IF_ERROR(stored);
  co_return to_kept(*stored);
}

Task<Result<std::vector<KeptPosition>>> SinkStage::find_receipts(
    std::vector<KeptPosition> positions) {
  co_return positions;  // The claim has brought them.
}

Status SinkStage::check_start_over_is_known(const KeptPosition& position) const {
  if (!start_over_->is_unknown ||
      std::ranges::find(start_over_->topics, position.source.topic) == start_over_->topics.end()) {
    return {};
  }
  return fail(
      ErrorCode::kRefused,
      fmt::format(
          "{0} table '{1}': the database holds no position of this sink, and {2}; the rule: a "
          "start-over reaches each sink, or the results of before it would be in the table beside "
          "the new ones; the fix: restore the database, or name the one before in the file; or "
          "start over once more: onceflow reset {3} --to-earliest (--delete-rows | --keep-rows) "
          "--execute",
          plan_.kind, plan_.table.table,
          start_over_->why_unknown(options_.pipeline, position.source.topic), options_.file));
}

// Its database does not know of it: it is another one, or the sink is.
Task<Result<std::string>> SinkStage::recall_start_over(std::vector<KeptPosition>& positions) {
  std::string places;
  if (!start_over_ || options_.seeded_bug == SeededBug::kLostDatabaseIsFirstStart ||
      options_.seeded_bug == SeededBug::kStartOverIsNotRecalled) {
    co_return places;
  }
  const bool is_reached =
      std::ranges::find(start_over_->stages, stage_.id) != start_over_->stages.end();
  if (!is_reached && options_.offset_reset == OffsetReset::kLatest) {
    co_return places;  // It begins at the end, as what is new does.
  }
  for (KeptPosition& position : positions) {
    if (position.receipt_offset != kNoOffset) {
      continue;  // It has begun since.
    }
    CO_RETURN_IF_ERROR(check_start_over_is_known(position));
    const StartOver::Place* place = start_over_->find(position.source);
    if (place == nullptr) {
      continue;
    }
    const auto topic = co_await cluster_->existing_topic(position.source.topic, call_deadline());
    CO_RETURN_IF_ERROR(topic);
    if (is_another_topic(place->topic_id, topic_id_text(topic->id))) {
      continue;
    }
    position.receipt_offset = place->offset;
    position.receipt_beginning = protocol::Receipt::Beginning::kReset;
    places += fmt::format("{}{}-{}@{}", places.empty() ? "" : ", ", position.source.topic,
                          position.source.partition.value, place->offset.value);
  }
  co_return places;
}

// A first start has left no trace. Who has one had another database: what it had read into that one
// is read again, or it is not begun.
Task<Result<std::vector<KeptPosition>>> SinkStage::recall(std::vector<KeptPosition> positions) {
  std::vector<TopicPartition> partitions;
  partitions.reserve(positions.size());
  for (const KeptPosition& position : positions) {
    partitions.push_back(position.source);
  }
  const auto traces = co_await read_traces(std::move(partitions));
  CO_RETURN_IF_ERROR(traces);
  RecalledSink recalled = recall_sink(std::move(positions), *traces, options_.pipeline);
  const auto begun_anew = co_await recall_start_over(recalled.positions);
  CO_RETURN_IF_ERROR(begun_anew);
  if (recalled.lost.empty() || options_.seeded_bug == SeededBug::kLostDatabaseIsFirstStart) {
    co_return std::move(recalled.positions);
  }
  const std::string found = fmt::format(
      "{} table '{}': the database holds no position of this sink, which has read {} (group '{}')",
      plan_.kind, plan_.table.table, recalled.lost, stage_.group_id);
  if (options_.offset_reset == OffsetReset::kLatest) {
    co_return fail(
        ErrorCode::kRefused,
        fmt::format("{}: it is another database than before, or was emptied; the rule: "
                    "auto.offset.reset: latest is decided once, or what was written since would be "
                    "passed over; the fix: restore the database, or name the one before in the "
                    "file; or begin anew on purpose: onceflow reset {} --to-latest --execute (or "
                    "--to-earliest, or --to-datetime TIME)",
                    found, options_.file));
  }
  news_.note(LogLevel::kWarn, "another database",
             found + "; its rows are written again from " +
                 (begun_anew->empty()
                      ? std::string("the beginning (of a compacted topic: of what it still "
                                    "holds)")
                      : "where the newest start-over was to begin: " + *begun_anew));
  // That is offset 0, also where the topic begins later: its rows cannot be written again then.
  for (KeptPosition& position : recalled.positions) {
    if (position.receipt_beginning == protocol::Receipt::Beginning::kNone &&
        std::ranges::find(recalled.lost_sources, position.source) != recalled.lost_sources.end()) {
      position.receipt_offset = Offset(0);
      position.receipt_beginning = protocol::Receipt::Beginning::kEarliest;
    }
  }
  co_return std::move(recalled.positions);
}

Task<Status> SinkStage::leave_trace(const std::vector<OpenedPosition>& opened) {
  std::vector<client::OffsetToCommit> offsets;
  for (const OpenedPosition& position : opened) {
    if (position.beginning == protocol::Receipt::Beginning::kLatest) {
      offsets.push_back({.partition = position.before.source,
                         .offset = position.next_offset,
                         .metadata = sink_trace(SinkTraceKind::kBegan, options_.pipeline)});
    }
  }
  if (offsets.empty()) {
    co_return Status{};
  }
  co_return co_await reader_.group().commit(reader_.group_metadata(), std::move(offsets),
                                            now() + options_.call_timeout);
}

// The first commit of a partition: from no position to where it begins.
Task<Status> SinkStage::open(std::vector<OpenedPosition> opened) {
  CO_RETURN_IF_ERROR(co_await leave_trace(opened));
  connectors::SinkCommit commit;
  for (const OpenedPosition& position : opened) {
    const KeptPosition& before = position.before;
    const auto claimed = epochs_.find(before.source);
    commit.positions.push_back({.source = before.source,
                                .next_offset = position.next_offset,
                                .epoch = claimed != epochs_.end() ? claimed->second : before.epoch,
                                .from_offset = before.next_offset,
                                .topic_id = protocol::to_text(protocol::PositionTopics{
                                    topic_id_text(position.topic_id), receipts_id_})});
  }
  std::ranges::sort(commit.positions, {}, &connectors::SinkPosition::source);
  protocol::Receipt receipt = begin_receipt();
  receipt.inputs = beginnings(opened);
  if (!receipt.inputs.empty()) {
    const Buffer encoded = encode_receipt(receipt);
    commit.receipt = std::string(as_text(encoded));
  }
  co_return judge(co_await sink_->commit(commit));
}

Task<Status> SinkStage::work() {
  news_.doing({});
  while (!reader_.must_leave()) {
    CO_RETURN_IF_ERROR(co_await fill());
    if (!reader_.account().is_empty()) {
      CO_RETURN_IF_ERROR(co_await commit());
    }
    CO_RETURN_IF_ERROR(reader_.held_up());
  }
  co_return Status{};
}

Task<Status> SinkStage::fill() {
  const auto process_chunk = [this](Chunk& chunk) { return process(chunk); };
  while (reader_.account().is_empty() && !must_commit()) {
    CO_RETURN_IF_ERROR(co_await reader_.poll(now() + seconds(1), process_chunk));
    if (reader_.account().is_empty() && !must_commit() && now() >= compare_at_ &&
        options_.seeded_bug != SeededBug::kIdleIsNotCompared) {
      CO_RETURN_IF_ERROR(co_await compare_positions());
    }
  }
  if (reader_.account().is_empty()) {
    co_return Status{};
  }
  status_.transaction_open_since = now();
  const MonotonicTime commit_at = now() + options_.commit_interval;
  while (now() < commit_at && !must_commit() && open_.rows.size() < options_.sink_rows_max &&
         reader_.kept_bytes() < options_.sink_bytes_max) {
    CO_RETURN_IF_ERROR(co_await reader_.poll(commit_at, process_chunk));
  }
  co_return Status{};
}

// A claim that is newer is another worker's, and the group will say so; what is older, or elsewhere
// under the same claim, nobody but a restore or a hand has made.
Task<Status> SinkStage::compare_positions() {
  news_.doing(
      fmt::format("comparing its positions with {} table '{}'", plan_.kind, plan_.table.table));
  const auto stored = co_await sink_->read_positions(sources_);
  CO_RETURN_IF_ERROR(stored);
  news_.doing({});
  compare_at_ = now() + kCompareInterval;
  for (const connectors::ClaimedPartition& partition : *stored) {
    const std::int64_t epoch = epochs_.at(partition.source);
    const Offset left_at = reader_.account().from_offset(partition.source);
    if (partition.epoch > epoch || (partition.epoch == epoch && partition.next_offset == left_at)) {
      continue;
    }
    co_return fail(
        ErrorCode::kFenced,
        fmt::format("{} table '{}': the position of {}-{} is {} (claim {}) in onceflow_positions, "
                    "and this worker left it at {} (claim {}): the database was restored, or the "
                    "row changed by hand; it goes on from what the database has",
                    plan_.kind, plan_.table.table, partition.source.topic,
                    partition.source.partition.value, partition.next_offset.value, partition.epoch,
                    left_at.value, epoch),
        Recovery::kAbort);
  }
  co_return Status{};
}

// A topic that was given partitions has records of a key in two of them. The newer ones are in the
// key's own partition by now, so it is an old one that is found elsewhere.
Status SinkStage::check_places(const Chunk& chunk) const {
  const auto count = partition_counts_.find(chunk.source.topic);
  if (count == partition_counts_.end()) {
    return {};
  }
  for (const Record& record : chunk.records) {
    if (!record.key) {
      continue;
    }
    const PartitionIndex place = client::partition_of_key(*record.key, count->second);
    if (place != chunk.source.partition) {
      return fail(
          ErrorCode::kRefused,
          fmt::format(
              "{}-{}@{}: key '{}' belongs to partition {} of {}: the topic was given partitions "
              "after this was written (or another producer chose the partition), so a newer "
              "result of the key may be in the table already; the rule: the topic in front of a "
              "table with mode: upsert keeps the number of partitions that it was made with; the "
              "fix: fill the table anew: onceflow reset {} --to-earliest (--delete-rows | "
              "--keep-rows) --execute",
              chunk.source.topic, chunk.source.partition.value, record.offset.value,
              printable(as_text(*record.key)), place.value, count->second, options_.file));
    }
  }
  return {};
}

Status SinkStage::process(Chunk& chunk) {
  RETURN_IF_ERROR(check_places(chunk));
  const std::size_t count_before = chunk.records.size();
  RETURN_IF_ERROR(operators_.process(chunk));
  CHECK(chunk.records.size() <= count_before);
  values_.clear();
  RETURN_IF_ERROR(columns_->evaluate(chunk, values_));
  const std::size_t width = plan_.table.columns.size();
  CHECK(values_.size() == chunk.records.size() * width);
  for (std::size_t index = 0; index < chunk.records.size(); ++index) {
    add_row(chunk.source, chunk.records[index], {values_.data() + index * width, width});
  }
  return {};
}

void SinkStage::add_row(const TopicPartition& source, const Record& record,
                        std::span<const Value> values) {
  const auto place = std::ranges::find(sources_, source);
  CHECK(place != sources_.end());
  const bool is_upsert = plan_.table.mode == connectors::SinkMode::kUpsert;
  const bool is_delete = is_upsert && !record.value;
  RowHash row;
  RowHash key;
  for (std::size_t column = 0; column < values.size(); ++column) {
    const connectors::SinkColumn& definition = plan_.table.columns[column];
    row.add(definition.name, values[column]);
    if (definition.is_key) {
      key.add(definition.name, values[column]);
    }
    open_.values.push_back(values[column]);
  }
  const auto source_index = static_cast<std::uint32_t>(place - sources_.begin());
  open_.rows.push_back(
      {.source_index = source_index, .source_offset = record.offset, .is_delete = is_delete});
  row_hash_sum_ += row.finish();
  receipt_rows_.push_back({.input_index = source_index,
                           .source_offset = record.offset,
                           .row_hash = row.finish(),
                           .key_hash = is_upsert ? key.finish() : 0,
                           .is_delete = is_delete});
}

protocol::Receipt SinkStage::make_receipt() {
  protocol::Receipt receipt = begin_receipt();
  // The receipt lists only the inputs that moved; its rows count among those.
  std::vector<std::uint32_t> input_of_source(sources_.size());
  for (std::uint32_t input = 0; input < receipt.inputs.size(); ++input) {
    const auto place = std::ranges::find(sources_, receipt.inputs[input].source);
    input_of_source[static_cast<std::size_t>(place - sources_.begin())] = input;
  }
  receipt.rows = std::move(receipt_rows_);
  for (protocol::Receipt::Row& row : receipt.rows) {
    row.input_index = input_of_source[row.input_index];
  }
  receipt.outputs.push_back({.name = plan_.table.table,
                             .partition = PartitionIndex(-1),
                             .record_count = static_cast<std::int64_t>(receipt.rows.size()),
                             .record_hash_sum = row_hash_sum_});
  return receipt;
}

std::vector<connectors::SinkPosition> SinkStage::positions() {
  const InputAccount& account = reader_.account();
  std::vector<connectors::SinkPosition> positions;
  positions.reserve(sources_.size());
  for (const TopicPartition& source : sources_) {
    positions.push_back({.source = source,
                         .next_offset = account.next_offset(source),
                         .epoch = epochs_.at(source),
                         .from_offset = account.from_offset(source),
                         .topic_id = text_to_keep(source, topic_ids_.at(source))});
  }
  return positions;
}

Task<Status> SinkStage::commit() {
  const Buffer receipt = encode_receipt(make_receipt());
  open_.receipt = std::string(as_text(receipt));
  open_.positions = positions();
  const MonotonicTime started = now();
  news_.doing(committing_);
  const connectors::CommitOutcome outcome = co_await sink_->commit(open_);
  CO_RETURN_IF_ERROR(judge(outcome));
  are_dated_.insert(sources_.begin(), sources_.end());
  news_.doing({});
  status_.commit_latency.add(now() - started);
  status_.transaction_open_since.reset();
  status_.records_out += open_.rows.size();
  compare_at_ = now() + kCompareInterval;
  ++status_.commits;
  reader_.report_positions();
  for (const InputAccount::Position& position : reader_.account().moved_positions()) {
    committed_[position.source] = position.offset;
    reached_[position.source] = position.offset;
  }
  co_await report_offsets();
  reader_.account().commit();
  reset();
  co_return Status{};
}

Status SinkStage::judge(const connectors::CommitOutcome& outcome) {
  const std::string where = fmt::format("{} table '{}'", plan_.kind, plan_.table.table);
  switch (outcome.kind) {
    case connectors::CommitOutcome::Kind::kCommitted:
      return {};
    case connectors::CommitOutcome::Kind::kFenced:
      return fail(ErrorCode::kFenced, where + ": " + outcome.text + "; nothing was written",
                  Recovery::kAbort);
    case connectors::CommitOutcome::Kind::kNotNow:
      return fail(ErrorCode::kTimedOut,
                  where + ": nothing was written, and it is tried again: " + outcome.text,
                  Recovery::kRetriable);
    case connectors::CommitOutcome::Kind::kUnknown:
      return fail(ErrorCode::kUnknownOutcome,
                  where + ": the commit's answer was lost: " + outcome.text, Recovery::kAbort);
    case connectors::CommitOutcome::Kind::kRefused: {
      const Error error = outcome.is_final
                              ? Error{ErrorCode::kRefused, describe_refusal(outcome, where)}
                              : unclear_error(describe_refusal(outcome, where));
      if (outcome.refused_row < open_.rows.size()) {
        const connectors::SinkRow& row = open_.rows[outcome.refused_row];
        reader_.refusals().note(
            {sources_[row.source_index], row.source_offset, row.source_offset, error});
      }
      return std::unexpected(error);
    }
  }
  CHECK(false);
}

std::string SinkStage::describe_refusal(const connectors::CommitOutcome& outcome,
                                        std::string_view where) const {
  if (outcome.refused_row >= open_.rows.size()) {
    return fmt::format("{}: nothing was written: {}", where, outcome.text);
  }
  const connectors::SinkRow& row = open_.rows[outcome.refused_row];
  const TopicPartition& source = sources_[row.source_index];
  // The group of a stage that comes after another, all steps, has its name.
  const bool has_steps = stage_.group_id != fmt::format("{}-{}", options_.pipeline, stage_.id);
  return fmt::format(
      "{} refuses the row of {}-{}@{}: {}; mend the record, the columns or the "
      "table, then start again; nothing was skipped{}",
      where, source.topic, source.partition.value, row.source_offset.value, outcome.text,
      has_steps ? "; " + way_past(source, row.source_offset) : "");
}

// For tools that show a group's lag, and as a trace. Where it is lost, the one before stays.
Task<void> SinkStage::report_offsets() {
  std::vector<client::OffsetToCommit> offsets;
  for (const InputAccount::Position& position : reader_.account().moved_positions()) {
    offsets.push_back({.partition = position.source,
                       .offset = position.offset,
                       .metadata = sink_trace(SinkTraceKind::kRead, options_.pipeline)});
  }
  co_await reader_.group().commit(reader_.group_metadata(), std::move(offsets), now() + seconds(1));
}

Task<void> SinkStage::abandon() {
  reset();
  co_return;
}

void SinkStage::reset() {
  open_ = {};
  receipt_rows_.clear();
  row_hash_sum_ = 0;
  reader_.release();
}

}  // namespace

std::unique_ptr<StageTask> make_sink_stage(std::shared_ptr<client::Cluster> cluster,
                                           const Stage& stage, StageOptions options) {
  return std::make_unique<SinkStage>(std::move(cluster), stage, std::move(options));
}

}  // namespace onceflow::engine
