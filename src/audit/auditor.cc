#include "audit/auditor.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "audit/claims/added_partitions.h"
#include "audit/claims/compacted_inputs.h"
#include "audit/claims/definitions.h"
#include "audit/claims/input_records.h"
#include "audit/claims/positions.h"
#include "audit/claims/repeatable_outputs.h"
#include "audit/claims/start_over.h"
#include "audit/claims/tiling.h"
#include "audit/claims/topic_outputs.h"
#include "audit/names.h"
#include "audit/record_search.h"

namespace onceflow::audit {
namespace {

/// Markers of receipts come first and are few; what is open for longer belongs to a dead worker.
constexpr int kReceiptPausesMax = 20;
/// A partition this far behind is not counted record by record while waiting for it.
constexpr std::int64_t kCountedLagMax = 10'000;

}  // namespace

Auditor::Auditor(AuditSubject subject, LogReader& reader, OpenTable open_table,
                 AuditOptions options)
    : subject_(std::move(subject)),
      reader_(reader),
      open_table_(std::move(open_table)),
      options_(options),
      receipts_(subject_.receipts_topic, subject_.pipeline),
      definitions_(subject_.pipeline) {
  report_.pipeline = subject_.pipeline;
  report_.findings = Findings(options_.findings_kept_max);
  for (const StageSubject& stage : subject_.stages) {
    histories_.push_back({.subject = &stage});
  }
}

Auditor::~Auditor() = default;

// The order is what makes an audit of a running pipeline sound: receipts and positions first, then
// all that they speak of, then the receipts that came meanwhile.
Task<Result<AuditReport>> Auditor::run() {
  CO_RETURN_IF_ERROR(co_await read_starts());
  CO_RETURN_IF_ERROR(co_await read_receipts());
  for (StageHistory& history : histories_) {
    if (history.subject->table) {
      CO_RETURN_IF_ERROR(co_await read_table(history));
    } else {
      CO_RETURN_IF_ERROR(co_await read_positions(history));
    }
    history.sort_ranges();
  }
  CO_RETURN_IF_ERROR(co_await definitions_.read_to_end(reader_));
  CO_RETURN_IF_ERROR(co_await read_topics());
  CO_RETURN_IF_ERROR(co_await read_later_receipts());
  judge();
  CO_RETURN_IF_ERROR(co_await read_left_topics());
  co_await name_records();
  co_return std::move(report_);
}

// Before any receipt: what is deleted by then, and read by no receipt, was never read.
Task<Status> Auditor::read_starts() {
  for (StageHistory& history : histories_) {
    const auto partitions = co_await partitions_of(history.subject->source_topics);
    CO_RETURN_IF_ERROR(partitions);
    for (const TopicPartition& partition : *partitions) {
      const auto bounds = co_await reader_.bounds(partition);
      CO_RETURN_IF_ERROR(bounds);
      history.starts_before[partition] =
          options_.seeded_bug == SeededBug::kDeletedWasNeverThere ? Offset(0) : bounds->start;
    }
  }
  co_return Status{};
}

Task<Status> Auditor::read_receipts() {
  progress("reading receipts");
  CO_RETURN_IF_ERROR(co_await receipts_.read_to_end(reader_, kReceiptPausesMax));
  add_receipts(receipts_.take(), true);
  for (StageHistory& history : histories_) {
    history.is_cut = !history.subject->table && receipts_.is_cut();
  }
  if (receipts_.is_cut()) {
    report_.findings.not_covered(fmt::format(
        "the first receipts of {} were deleted: what they accounted for is not judged (give the "
        "topic retention.ms=-1)",
        subject_.receipts_topic));
  }
  co_return Status{};
}

void Auditor::add_receipts(std::vector<ReceiptEntry> entries, bool is_settled) {
  std::map<std::string, std::int64_t> unknown;
  for (ReceiptEntry& entry : entries) {
    const auto history = std::ranges::find_if(histories_, [&](const StageHistory& candidate) {
      return candidate.subject->id == entry.receipt.stage;
    });
    entry.is_settled = is_settled;
    if (history == histories_.end()) {
      ++unknown[entry.receipt.stage];
      add_former(std::move(entry));
      continue;
    }
    history->add(std::move(entry));
  }
  for (const auto& [stage, count] : unknown) {
    report_.findings.note(fmt::format(
        "{} of stage {}, which the pipeline does not have: what it wrote is compared, what it "
        "read is not",
        count_of(count, "receipt"), stage));
  }
}

void Auditor::add_former(ReceiptEntry entry) {
  const auto [subject, is_new] = former_subjects_.try_emplace(entry.receipt.stage);
  if (is_new) {
    // Nobody says what it promised: each commit is judged by what it was.
    subject->second.id = entry.receipt.stage;
    subject->second.is_exactly_once = false;
    former_.push_back({.subject = &subject->second});
  }
  const auto history = std::ranges::find(former_, &subject->second, &StageHistory::subject);
  history->add(std::move(entry));
}

Task<Status> Auditor::read_positions(StageHistory& history) {
  const auto partitions = co_await partitions_of(history.subject->source_topics);
  CO_RETURN_IF_ERROR(partitions);
  const auto positions = co_await reader_.positions(history.subject->group_id, *partitions);
  CO_RETURN_IF_ERROR(positions);
  for (const GroupPosition& position : *positions) {
    history.positions[position.source] = position.next_offset;
  }
  tell_added_partitions(*history.subject, *positions, report_.findings);
  co_return Status{};
}

Task<Status> Auditor::read_table(StageHistory& history) {
  const StageSubject& stage = *history.subject;
  progress("reading table " + stage.table->name());
  auto table = open_table_(*stage.table, options_.must_stop);
  CO_RETURN_IF_ERROR(table);
  const auto begun = (*table)->begin_snapshot();
  CO_RETURN_IF_ERROR(begun);
  // What the receipts of that moment name was written before.
  CO_RETURN_IF_ERROR(co_await definitions_.read_to_end(reader_));
  if (!*begun) {
    tell_nothing_is_there(stage);
    co_return Status{};
  }
  const auto claim = make_table_claim(stage, definitions_, options_.strangers, report_.findings);
  auto key_equality = (*table)->key_equality();
  CO_RETURN_IF_ERROR(key_equality);
  claim->expect_equal_keys(std::move(*key_equality));
  CO_RETURN_IF_ERROR(read_table_receipts(history, **table, *claim));
  CO_RETURN_IF_ERROR(read_former_receipts(stage.id, **table, *claim));
  const auto positions = (*table)->positions(subject_.pipeline, stage.id);
  CO_RETURN_IF_ERROR(positions);
  for (const StoredPosition& position : *positions) {
    history.positions[position.source] = position.next_offset;
  }
  const auto topic = co_await reader_.describe(subject_.receipts_topic);
  CO_RETURN_IF_ERROR(topic);
  if (options_.seeded_bug != SeededBug::kStartOverIsNotAudited) {
    check_start_over(stage, *positions, subject_.receipts_topic, *topic,
                     command_that_ends_reset(definitions_), report_.findings);
  }
  if (history.has_lost_its_first_receipts()) {
    history.is_cut = true;
    claim->expect_deleted_receipts(history.floors());
    report_.findings.not_covered(fmt::format(
        "the first receipts of stage {} were deleted from onceflow_receipts: what they accounted "
        "for is not judged",
        stage.id));
  }
  bool has_strangers = false;
  CO_RETURN_IF_ERROR((*table)->for_each_row([&](const StoredRow& row) -> Status {
    has_strangers = !claim->add_row(row) || has_strangers;
    return check_stop();
  }));
  if (has_strangers) {
    CO_RETURN_IF_ERROR(judge_strangers(**table, *claim));
  }
  claim->judge(history.receipts);
  rows_verified_[stage.id] = claim->verified_row_count();
  co_return Status{};
}

void Auditor::tell_nothing_is_there(const StageSubject& stage) {
  const bool has_begun =
      std::ranges::any_of(definitions_.all(), [&](const protocol::PipelineDefinition& definition) {
        return definition.find(stage.id) != nullptr;
      });
  if (has_begun) {
    report_.findings.not_covered(fmt::format(
        "the database of stage {} has neither table {} nor a receipt, and the stage has "
        "begun before: if the database was lost, or is another one, what it was given is "
        "not judged",
        stage.id, stage.table->name()));
  } else {
    report_.findings.note(
        fmt::format("stage {} has not written to table {} yet", stage.id, stage.table->name()));
  }
}

Status Auditor::read_former_receipts(const std::string& stage, TableReader& table,
                                     TableClaim& claim) {
  return table.for_each_receipt_of_former(
      subject_.pipeline, stage, [&](std::int64_t, ByteView bytes) -> Status {
        if (const auto receipt = protocol::decode_receipt(bytes)) {
          claim.add_former_receipt(*receipt);
        }
        return check_stop();
      });
}

Status Auditor::judge_strangers(TableReader& table, TableClaim& claim) {
  RETURN_IF_ERROR(table.for_each_receipt_of_others(
      subject_.pipeline, [&](std::int64_t, ByteView bytes) -> Status {
        // One that cannot be read speaks of no row.
        if (const auto receipt = protocol::decode_receipt(bytes)) {
          claim.add_receipt_of_others(*receipt);
        }
        return check_stop();
      }));
  return table.for_each_row([&](const StoredRow& row) -> Status {
    claim.add_row_again(row);
    return check_stop();
  });
}

Status Auditor::read_table_receipts(StageHistory& history, TableReader& table, TableClaim& claim) {
  const std::string& stage = history.subject->id;
  return table.for_each_receipt(
      subject_.pipeline, stage, [&](std::int64_t receipt_id, ByteView bytes) -> Status {
        RETURN_IF_ERROR(check_stop());
        const std::string place = fmt::format("receipt {} in onceflow_receipts", receipt_id);
        auto receipt = protocol::decode_receipt(bytes);
        if (!receipt) {
          report_.findings.add(FindingKind::kAltered, stage, 0,
                               fmt::format("{}: {}", place, receipt.error().text));
          return {};
        }
        claim.add_receipt(history.receipts.size(), *receipt);
        std::int64_t row_count = 0;
        for (const protocol::Receipt::Output& output : receipt->outputs) {
          row_count += output.record_count;
        }
        if (row_count != static_cast<std::int64_t>(receipt->rows.size())) {
          report_.findings.add(FindingKind::kAltered, stage, 0,
                               fmt::format("{} counts {} and lists {}", place,
                                           count_of(row_count, "row"), receipt->rows.size()));
        }
        // The claim has taken what it needs of the rows.
        receipt->rows = {};
        history.add({.receipt = std::move(*receipt), .offset = Offset(receipt_id), .place = place});
        return {};
      });
}

Status Auditor::check_stop() const {
  return options_.must_stop && options_.must_stop()
             ? fail(ErrorCode::kCancelled, "the audit was ended")
             : Status{};
}

Task<Result<std::vector<TopicPartition>>> Auditor::partitions_of(std::vector<std::string> topics) {
  std::vector<TopicPartition> partitions;
  for (const std::string& topic : topics) {
    const auto description = co_await reader_.describe(topic);
    CO_RETURN_IF_ERROR(description);
    for (std::int32_t index = 0; *description && index < (*description)->partition_count; ++index) {
      partitions.push_back({topic, PartitionIndex(index)});
    }
  }
  co_return partitions;
}

Task<Status> Auditor::read_topics() {
  for (const std::string& topic : topics_to_read()) {
    const auto description = co_await reader_.describe(topic);
    CO_RETURN_IF_ERROR(description);
    if (!*description) {
      report_.findings.note(fmt::format("topic {} does not exist", topic));
      continue;
    }
    for (StageHistory& history : histories_) {
      history.set_topic_id(topic, (*description)->id);
    }
    for (std::int32_t index = 0; index < (*description)->partition_count; ++index) {
      const TopicPartition partition{topic, PartitionIndex(index)};
      scans_.emplace(partition,
                     PartitionScan(partition, {.boundaries = boundaries_of(partition),
                                               .keeps_transactions = is_written(topic),
                                               .keeps_records = is_written_at_least_once(topic),
                                               .is_compacted = (*description)->is_compacted,
                                               .observer = observer_of(partition)}));
    }
  }
  steps_ = static_cast<std::int64_t>(scans_.size());
  for (auto& [partition, scan] : scans_) {
    progress("reading " + name_of(partition));
    CO_RETURN_IF_ERROR(co_await scan.read_to_end(reader_));
    ++steps_done_;
  }
  for (int pause = 0; pause < options_.marker_pauses_max && waits_for_markers(histories_, scans_);
       ++pause) {
    co_await reader_.pause();
    for (auto& [partition, scan] : scans_) {
      if (scan.has_open_transactions()) {
        CO_RETURN_IF_ERROR(co_await scan.read_to_end(reader_));
      }
    }
  }
  co_return Status{};
}

// By the definitions that there have been: where a stage that is gone has come to, its group says.
Task<Status> Auditor::read_left_topics() {
  std::map<std::string, std::map<std::string, std::string>> left;  // topic, stage, group
  for (const protocol::PipelineDefinition& definition : definitions_.all()) {
    for (const auto& stage : definition.stages) {
      for (const std::string& topic : stage.sources) {
        const bool is_between = std::ranges::any_of(definition.stages, [&](const auto& writer) {
          return !writer.is_database() &&
                 std::ranges::find(writer.outputs, topic) != writer.outputs.end();
        });
        if (is_between && is_of_receipts_alone(topic)) {
          left[topic][stage.id] = stage.group_id;
        }
      }
    }
  }
  for (const auto& [topic, stages] : left) {
    for (const auto& [stage, group] : stages) {
      const auto has_ranges = [&](const StageHistory& history) {
        return history.subject->id == stage &&
               std::ranges::any_of(history.ranges,
                                   [&](const auto& each) { return each.first.topic == topic; });
      };
      if (std::ranges::any_of(histories_, has_ranges)) {
        continue;  // By its receipts.
      }
      const auto partitions = co_await partitions_of({topic});
      CO_RETURN_IF_ERROR(partitions);
      const auto positions = co_await reader_.positions(group, *partitions);
      CO_RETURN_IF_ERROR(positions);
      for (const TopicPartition& partition : *partitions) {
        const auto place = std::ranges::find(*positions, partition, &GroupPosition::source);
        const auto bounds = co_await reader_.bounds(partition);
        CO_RETURN_IF_ERROR(bounds);
        const Offset from =
            std::max(bounds->start, place == positions->end() ? kNoOffset : place->next_offset);
        PartitionScan scan(partition, {.boundaries = {from}});
        scan.begin_at(from);
        CO_RETURN_IF_ERROR(co_await scan.read_to_end(reader_));
        const std::int64_t unread = scan.committed_between(from, scan.position()).count;
        if (unread > 0) {
          report_.findings.not_covered(fmt::format(
              "{}: no stage of the file reads it; {} from offset {} on, which stage {} has not "
              "read, stay unread",
              name_of(partition), count_of(unread, "record"), from.value, stage));
        }
      }
    }
  }
  co_return Status{};
}

Task<Status> Auditor::read_later_receipts() {
  progress("reading receipts that came meanwhile");
  CO_RETURN_IF_ERROR(co_await receipts_.read_to_end(reader_, options_.marker_pauses_max));
  add_receipts(receipts_.take(), false);
  co_return Status{};
}

bool Auditor::is_of_receipts_alone(const std::string& topic) const {
  return std::ranges::none_of(subject_.stages, [&](const StageSubject& stage) {
    return std::ranges::find(stage.source_topics, topic) != stage.source_topics.end() ||
           std::ranges::find(stage.output_topics, topic, &OutputTopicSubject::name) !=
               stage.output_topics.end();
  });
}

std::set<std::string> Auditor::topics_to_read() const {
  std::set<std::string> topics;
  for (const StageSubject& stage : subject_.stages) {
    topics.insert(stage.source_topics.begin(), stage.source_topics.end());
    for (const OutputTopicSubject& output : stage.output_topics) {
      topics.insert(output.name);
    }
  }
  const auto add_outputs = [&](const StageHistory& history) {
    for (const ReceiptEntry& entry : history.receipts) {
      for (const protocol::Receipt::Output& output : entry.receipt.outputs) {
        if (output.partition >= PartitionIndex(0)) {
          topics.insert(output.name);
        }
      }
    }
  };
  for (const StageHistory& history : histories_) {
    add_outputs(history);
    for (const auto& [source, ranges] : history.ranges) {
      topics.insert(source.topic);
    }
  }
  std::ranges::for_each(former_, add_outputs);
  return topics;
}

std::set<Offset> Auditor::boundaries_of(const TopicPartition& partition) const {
  std::set<Offset> boundaries;
  for (const StageHistory& history : histories_) {
    if (const auto ranges = history.ranges.find(partition); ranges != history.ranges.end()) {
      for (const InputRange& range : ranges->second) {
        boundaries.insert(range.from);
        boundaries.insert(range.next);
      }
    }
    if (const auto begun = history.beginnings.find(partition); begun != history.beginnings.end()) {
      for (const InputBeginning& beginning : begun->second) {
        boundaries.insert(beginning.offset);
      }
    }
    if (const auto position = history.positions.find(partition);
        position != history.positions.end()) {
      boundaries.insert(position->second);
    }
  }
  return boundaries;
}

bool Auditor::is_written(const std::string& topic) const {
  return is_of_receipts_alone(topic) ||
         std::ranges::any_of(subject_.stages, [&](const StageSubject& stage) {
           return std::ranges::find(stage.output_topics, topic, &OutputTopicSubject::name) !=
                  stage.output_topics.end();
         });
}

bool Auditor::is_written_at_least_once(const std::string& topic) const {
  return std::ranges::any_of(subject_.stages, [&](const StageSubject& stage) {
    return !stage.is_exactly_once &&
           std::ranges::find(stage.output_topics, topic, &OutputTopicSubject::name) !=
               stage.output_topics.end();
  });
}

RecordObserver* Auditor::observer_of(const TopicPartition& partition) {
  const bool is_watched = std::ranges::any_of(subject_.stages, [&](const StageSubject& stage) {
    return stage.aggregate &&
           std::ranges::find(stage.output_topics, partition.topic, &OutputTopicSubject::name) !=
               stage.output_topics.end();
  });
  if (!is_watched || options_.aggregate_states == AggregateStates::kNotCompared) {
    return nullptr;
  }
  return (last_values_[partition] = std::make_unique<LastValues>(partition)).get();
}

void Auditor::judge_aggregate(const StageHistory& history) {
  const StageSubject& stage = *history.subject;
  const auto is_output = [&](const TopicPartition& partition) {
    return std::ranges::find(stage.output_topics, partition.topic, &OutputTopicSubject::name) !=
           stage.output_topics.end();
  };
  std::string why;
  if (!stage.is_exactly_once) {
    why = "with at_least_once the two may differ for a while";
  } else if (options_.strangers == Strangers::kAllowed) {
    why = "other writers may write to its output";
  } else if (std::ranges::any_of(history.receipts,
                                 [](const ReceiptEntry& entry) { return !entry.is_settled; })) {
    why = "it committed while the audit was reading";
  } else if (reset_that_began(histories_, former_) ||
             std::ranges::any_of(history.beginnings, [&](const auto& each) {
               return history.last_reset(each.first) != nullptr;
             })) {
    why = "a reset has given it a new state, and what it wrote before has none";
  } else if (std::ranges::any_of(scans_, [&](const auto& each) {
               return is_output(each.first) && each.second.start() > Offset(0);
             })) {
    why = "records were deleted";
  }
  if (why.empty()) {
    check_aggregate_state(stage, last_values_, report_.findings);
  } else {
    report_.findings.note(
        fmt::format("stage {}: its states are not compared with what it wrote: {}", stage.id, why));
  }
}

void Auditor::judge() {
  progress("judging");
  report_.is_being_reset = check_reset_has_ended(definitions_, report_.findings);
  for (const StageHistory& history : histories_) {
    check_tiling(history, histories_, scans_, report_.findings);
    check_input_records(history, scans_, report_.findings);
    check_positions(history, scans_, report_.findings);
    report_.redefined_stages +=
        check_definitions(history, definitions_, report_.findings) > 1 ? 1 : 0;
    if (history.subject->aggregate && options_.aggregate_states == AggregateStates::kCompared) {
      judge_aggregate(history);
    }
    if (!history.subject->is_exactly_once) {
      report_.allowed_repeats += check_repeatable_outputs(history, scans_, report_.findings);
    }
  }
  check_topic_outputs(histories_, former_, scans_, definitions_, options_.strangers,
                      report_.findings);
  check_compacted_inputs(histories_, former_, scans_, options_.strangers, report_.findings);
  const auto has_receipts = [](const StageHistory& history) {
    return !history.receipts.empty() || history.is_cut;
  };
  report_.has_receipts = std::ranges::any_of(histories_, has_receipts) ||
                         std::ranges::any_of(former_, has_receipts) || receipts_.is_cut();
  report_defects();
  for (const StageHistory& history : histories_) {
    report_stage(history);
  }
}

// The verdict stands without it: what cannot be read any more stays without a name.
Task<void> Auditor::name_records() {
  for (Finding* finding : report_.findings.with_surplus()) {
    progress("naming records of " + name_of(finding->surplus->partition));
    const auto name = co_await name_surplus(reader_, *finding->surplus);
    if (name && !name->empty()) {
      finding->text += "; " + *name;
    }
  }
}

void Auditor::report_defects() {
  const auto report = [&](const PartitionScan& scan) {
    for (const PartitionScan::Defect& defect : scan.defects()) {
      report_.findings.add(defect.kind, {}, defect.record_count, defect.text);
    }
  };
  for (const auto& [partition, scan] : scans_) {
    report(scan);
  }
  for (const PartitionScan& scan : receipts_.scans()) {
    report(scan);
  }
  if (definitions_.scan() != nullptr) {
    report(*definitions_.scan());
  }
  for (const auto* records : {&definitions_.odd(), &receipts_.odd()}) {
    for (const OddRecord& odd : *records) {
      report_.findings.add(odd.kind, {}, 1, odd.text);
    }
  }
}

void Auditor::report_stage(const StageHistory& history) {
  const StageSubject& subject = *history.subject;
  StageReport stage{.stage = subject.id, .sources = subject.source_topics};
  for (const OutputTopicSubject& output : subject.output_topics) {
    stage.outputs.push_back(output.name);
  }
  if (subject.table) {
    stage.outputs.push_back("table " + subject.table->name());
    stage.rows_verified = rows_verified_[subject.id];
  }
  stage.reads_pipeline_input = std::ranges::none_of(
      subject.source_topics, [&](const std::string& topic) { return is_written(topic); });
  for (const ReceiptEntry& entry : history.receipts) {
    const auto has_moved = [](const protocol::Receipt::Input& input) {
      return input.next_offset != input.from_offset;
    };
    if (entry.is_settled && std::ranges::any_of(entry.receipt.inputs, has_moved)) {
      ++stage.commit_count;
      for (const protocol::Receipt::Output& output : entry.receipt.outputs) {
        stage.records_out += output.record_count;
      }
    }
  }
  for (const auto& [source, ranges] : history.ranges) {
    stage.range_count += static_cast<std::int64_t>(ranges.size());
    for (const InputRange& range : ranges) {
      stage.records_in += range.totals.count;
    }
  }
  for (const auto& [source, scan] : scans_) {
    if (std::ranges::find(subject.source_topics, source.topic) == subject.source_topics.end()) {
      continue;
    }
    const Offset covered_to = history.covered_to(source);
    const Offset from = std::max(covered_to, scan.start());
    PartitionReport partition{
        .source = source,
        .verified_offset = covered_to,
        .end_offset = scan.position(),
        .not_yet_processed = scan.committed_between(from, scan.position()).count};
    stage.not_yet_processed += partition.not_yet_processed;
    stage.partitions.push_back(std::move(partition));
  }
  stage.finding_count = report_.findings.count_of_stage(subject.id);
  report_.stages.push_back(std::move(stage));
}

Task<Result<std::int64_t>> Auditor::lag() {
  std::int64_t total = 0;
  for (const StageSubject& stage : subject_.stages) {
    const auto lag = co_await lag_of(stage);
    CO_RETURN_IF_ERROR(lag);
    if (*lag < 0) {
      co_return -1;
    }
    total += *lag;
  }
  co_return total;
}

Task<Result<std::int64_t>> Auditor::lag_of(const StageSubject& stage) {
  const auto partitions = co_await partitions_of(stage.source_topics);
  CO_RETURN_IF_ERROR(partitions);
  std::map<TopicPartition, Offset> positions;
  if (stage.table) {
    auto table = open_table_(*stage.table, options_.must_stop);
    CO_RETURN_IF_ERROR(table);
    const auto begun = (*table)->begin_snapshot();
    CO_RETURN_IF_ERROR(begun);
    if (*begun) {
      const auto stored = (*table)->positions(subject_.pipeline, stage.id);
      CO_RETURN_IF_ERROR(stored);
      for (const StoredPosition& position : *stored) {
        positions[position.source] = position.next_offset;
      }
    }
  } else {
    const auto committed = co_await reader_.positions(stage.group_id, *partitions);
    CO_RETURN_IF_ERROR(committed);
    for (const GroupPosition& position : *committed) {
      positions[position.source] = position.next_offset;
    }
  }
  std::int64_t total = 0;
  for (const TopicPartition& partition : *partitions) {
    const auto bounds = co_await reader_.bounds(partition);
    CO_RETURN_IF_ERROR(bounds);
    const auto known = positions.find(partition);
    const Offset position =
        std::max(bounds->start, known == positions.end() ? kNoOffset : known->second);
    if (bounds->high_watermark - position > kCountedLagMax) {
      co_return -1;
    }
    if (position < bounds->high_watermark) {
      // What is left may be markers and aborted records, which nobody processes.
      PartitionScan scan(partition, {.boundaries = {position}});
      scan.begin_at(position);
      CO_RETURN_IF_ERROR(co_await scan.read_to_end(reader_));
      total += scan.committed_between(position, scan.position()).count;
    }
  }
  co_return total;
}

void Auditor::progress(std::string doing) {
  if (on_progress_) {
    on_progress_({std::move(doing), steps_done_, steps_});
  }
}

}  // namespace onceflow::audit
