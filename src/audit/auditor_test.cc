// AUD-1 and STG-1 seen from outside: histories of a pipeline with one thing wrong, each of which
// must be named. The pipeline: orders (2 partitions) -> stage only-paid -> paid (2 partitions).
#include "audit/auditor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "audit/memory_log_testing.h"

namespace onceflow::audit {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;

constexpr ProducerIdentity kWorker{ProducerId(7), ProducerEpoch(0)};

/// What one commit of the stage does; a test changes it before or after it is written.
struct TestCommit {
  ProducerIdentity producer = kWorker;
  std::vector<protocol::Receipt::Input> inputs;
  std::map<TopicPartition, std::vector<TestRecord>> outputs;
  protocol::Receipt receipt;
};

class AuditorTest : public ::testing::Test {
 protected:
  AuditorTest() {
    log_.create("orders", 2);
    log_.create("paid", 2);
    log_.create("p-receipts", 1);
    for (int batch = 0; batch < 4; ++batch) {
      for (int partition = 0; partition < 2; ++partition) {
        std::vector<TestRecord> records;
        for (int index = 0; index < 5; ++index) {
          records.push_back({"k" + std::to_string(index), "v" + std::to_string(batch * 5 + index)});
        }
        log_.append(at("orders", partition), std::move(records));
      }
    }
  }

  static AuditSubject subject() {
    return {.pipeline = "p",
            .receipts_topic = "p-receipts",
            .stages = {{.id = "only-paid",
                        .source_topics = {"orders"},
                        .group_id = "g",
                        .output_topics = {{.name = "paid"}}}}};
  }

  /// An honest commit of five records of both partitions, three of which become output.
  TestCommit make_commit(std::int64_t number) {
    TestCommit commit;
    commit.receipt = {
        .pipeline = "p", .stage = "only-paid", .worker = "w", .commit_number = number};
    for (int partition = 0; partition < 2; ++partition) {
      const Offset from((number - 1) * 5);
      commit.inputs.push_back(log_.read(at("orders", partition), from, from + 5));
      const std::string name = std::to_string(number) + "/" + std::to_string(partition);
      commit.outputs[at("paid", partition)] = {{"a", name}, {"b", name}, {"c", name}};
    }
    fill_receipt(commit);
    return commit;
  }
  static void fill_receipt(TestCommit& commit) {
    commit.receipt.inputs = commit.inputs;
    commit.receipt.outputs.clear();
    for (const auto& [partition, records] : commit.outputs) {
      protocol::Receipt::Output output{.name = partition.topic, .partition = partition.partition};
      for (const TestRecord& record : records) {
        ++output.record_count;
        output.record_hash_sum +=
            output_record_hash(partition.partition, as_bytes(record.key), as_bytes(record.value));
      }
      commit.receipt.outputs.push_back(output);
    }
  }

  void write_outputs(const TestCommit& commit, bool is_committed = true) {
    for (const auto& [partition, records] : commit.outputs) {
      log_.append(partition, commit.producer, true, records);
      log_.end_transaction(partition, commit.producer, is_committed);
    }
  }
  void write_receipt(const TestCommit& commit) {
    const Buffer bytes = encode_receipt(commit.receipt);
    log_.append(at("p-receipts", 0), commit.producer, true,
                {{"only-paid", std::string(as_text(bytes))}});
    log_.end_transaction(at("p-receipts", 0), commit.producer, true);
  }
  void move_positions(const TestCommit& commit) {
    for (const protocol::Receipt::Input& input : commit.inputs) {
      log_.set_position("g", input.source, input.next_offset);
    }
  }
  void write(const TestCommit& commit) {
    write_outputs(commit);
    write_receipt(commit);
    move_positions(commit);
  }
  void write_honestly(std::int64_t first, std::int64_t last) {
    for (std::int64_t number = first; number <= last; ++number) {
      write(make_commit(number));
    }
  }

  /// The stage is told to begin there, in both partitions.
  void begin_at(std::int64_t offset, protocol::Receipt::Beginning reason) {
    TestCommit commit;
    commit.receipt = {.pipeline = "p", .stage = "only-paid", .worker = "w"};
    for (int partition = 0; partition < 2; ++partition) {
      commit.inputs.push_back({.source = at("orders", partition),
                               .topic_id = topic_id(),
                               .from_offset = Offset(offset),
                               .next_offset = Offset(offset),
                               .beginning = reason});
    }
    fill_receipt(commit);
    write(commit);
  }
  TopicId topic_id() { return (*run_now(log_.describe("orders")))->id; }
  void write_with_ids(std::int64_t first, std::int64_t last) {
    for (std::int64_t number = first; number <= last; ++number) {
      TestCommit commit = make_commit(number);
      for (protocol::Receipt::Input& input : commit.inputs) {
        input.topic_id = topic_id();
      }
      fill_receipt(commit);
      write(commit);
    }
  }

  AuditReport audit(AuditOptions options = {}, AuditSubject judged = subject()) {
    Auditor auditor(std::move(judged), log_, open_table, options);
    auto report = run_now(auditor.run());
    EXPECT_TRUE(report.has_value()) << report.error().text;
    return std::move(*report);
  }
  static std::vector<std::string> texts(const AuditReport& report) {
    std::vector<std::string> texts;
    for (const Finding& finding : report.findings.kept()) {
      texts.push_back(to_string(finding.kind) + ": " + finding.text);
    }
    return texts;
  }

  MemoryLog log_;
};

TEST_F(AuditorTest, an_honest_history_is_clean) {
  write_honestly(1, 4);
  const AuditReport report = audit();
  EXPECT_THAT(texts(report), ElementsAre());
  EXPECT_EQ(verdict(report), "clean — 40 input records accounted for to the last row");
  EXPECT_EQ(report.stages[0].records_out, 24);
  EXPECT_EQ(report.stages[0].partitions[1].verified_offset, Offset(20));
}

TEST_F(AuditorTest, what_is_not_yet_processed_is_lag_and_no_loss) {
  write_honestly(1, 3);
  const AuditReport report = audit();
  EXPECT_THAT(texts(report), ElementsAre());
  EXPECT_EQ(report.not_yet_processed(), 10);
  Auditor auditor(subject(), log_, open_table, {});
  EXPECT_EQ(run_now(auditor.lag()).value(), 10);
}

TEST_F(AuditorTest, of_a_pipeline_that_never_ran_there_is_nothing_to_judge) {
  const AuditReport report = audit();
  EXPECT_THAT(texts(report), ElementsAre());
  EXPECT_EQ(report.not_yet_processed(), 40);
  EXPECT_TRUE(report.has_judged_nothing());
  EXPECT_EQ(verdict(report), "nothing to judge: no stage has left a receipt, 40 not yet processed");
}

TEST_F(AuditorTest, what_was_read_and_compacted_away_since_is_covered) {
  write_honestly(1, 3);
  log_.set_compacted("orders");
  // Read and compacted away since: only its contents are gone.
  log_.batches(at("orders", 0)).erase(log_.batches(at("orders", 0)).begin());
  EXPECT_EQ(audit().findings.not_covered_count(), 0);
}

TEST_F(AuditorTest, offsets_that_a_receipt_passed_without_a_record_are_not_covered) {
  log_.set_compacted("orders");
  auto& batches = log_.batches(at("orders", 1));
  batches.erase(batches.begin() + 1);
  write_honestly(1, 4);
  const AuditReport report = audit();
  EXPECT_THAT(texts(report), ElementsAre());
  EXPECT_FALSE(report.is_clean());
  EXPECT_THAT(report.findings.notes(),
              Contains(HasSubstr("orders-1 offsets 5..9 is compacted: up to 5 offsets were "
                                 "compacted away before stage only-paid had read them")));
}

// A second stage reads what only-paid has written.
TEST_F(AuditorTest, what_was_compacted_away_between_two_stages_is_missing) {
  AuditSubject judged = subject();
  log_.create("sent", 1);
  judged.stages.push_back({.id = "send",
                           .source_topics = {"paid"},
                           .group_id = "h",
                           .output_topics = {{.name = "sent"}}});
  write_honestly(1, 4);
  log_.set_compacted("paid");
  const auto send = [&] {
    TestCommit commit;
    commit.receipt = {.pipeline = "p", .stage = "send", .worker = "w", .commit_number = 1};
    commit.receipt.committed_at_ms = -1;  // the stage had begun before anything was written
    for (int partition = 0; partition < 2; ++partition) {
      const TopicPartition source = at("paid", partition);
      commit.inputs.push_back(log_.read(source, Offset(0), log_.end(source)));
      log_.set_position("h", source, log_.end(source));
    }
    commit.receipt.inputs = commit.inputs;
    return commit;
  };
  // Records of the second transaction in partition 0: 3 records at 4..6, then their marker.
  auto& batches = log_.batches(at("paid", 0));
  batches.erase(batches.begin() + 2);
  write_receipt(send());
  const AuditReport report = audit({}, judged);
  EXPECT_THAT(texts(report),
              Contains(HasSubstr("paid-0 offsets 0..15 is compacted: 3 records that the pipeline "
                                 "wrote there were compacted away before stage send had read "
                                 "them")));
}

TEST_F(AuditorTest, aborted_attempts_do_not_count) {
  write_honestly(1, 2);
  TestCommit failed = make_commit(3);
  write_outputs(failed, false);
  const Buffer bytes = encode_receipt(failed.receipt);
  log_.append(at("p-receipts", 0), kWorker, true, {{"only-paid", std::string(as_text(bytes))}});
  log_.end_transaction(at("p-receipts", 0), kWorker, false);
  write_honestly(3, 4);
  EXPECT_THAT(texts(audit()), ElementsAre());
}

TEST_F(AuditorTest, what_a_stranger_aborted_among_the_receipts_is_nothing) {
  constexpr ProducerIdentity kStranger{ProducerId(99), ProducerEpoch(0)};
  write_honestly(1, 4);
  for (const bool is_committed : {false, true}) {
    log_.append(at("p-receipts", 0), kStranger, true, {{"k", "no receipt"}});
    log_.end_transaction(at("p-receipts", 0), kStranger, is_committed);
    EXPECT_EQ(texts(audit()).empty(), !is_committed);
  }
}

TEST_F(AuditorTest, each_commit_in_an_epoch_of_its_own_is_clean) {
  for (std::int64_t number = 1; number <= 4; ++number) {
    TestCommit commit = make_commit(number);
    commit.producer.epoch = ProducerEpoch(static_cast<std::int16_t>(number));
    write(commit);
  }
  EXPECT_THAT(texts(audit()), ElementsAre());
}

TEST_F(AuditorTest, a_skipped_input_range_is_missing) {
  write_honestly(1, 2);
  write(make_commit(4));
  EXPECT_THAT(texts(audit()),
              ElementsAre(HasSubstr("missing: orders-0 offsets 10..14 were never accounted for by "
                                    "stage only-paid (5 records"),
                          HasSubstr("missing: orders-1 offsets 10..14")));
}

TEST_F(AuditorTest, an_input_range_processed_twice_is_doubled) {
  write_honestly(1, 3);
  write_honestly(3, 4);
  EXPECT_THAT(texts(audit()),
              ElementsAre(HasSubstr("doubled: orders-0 offsets 10..14 were accounted for twice"),
                          HasSubstr("doubled: orders-1 offsets 10..14")));
}

TEST_F(AuditorTest, a_record_that_the_stage_did_not_see_is_missing) {
  write_honestly(1, 3);
  TestCommit commit = make_commit(4);
  commit.inputs[0].record_count -= 1;
  commit.inputs[0].record_hash_sum -= 1;
  fill_receipt(commit);
  write(commit);
  EXPECT_THAT(texts(audit()), ElementsAre(HasSubstr(
                                  "missing: orders-0 offsets 15..19 hold 5 records, of which stage "
                                  "only-paid has read 4")));
}

TEST_F(AuditorTest, one_or_two_records_that_the_stage_did_not_see_are_named) {
  write_honestly(1, 2);
  for (int number = 3; number <= 4; ++number) {
    TestCommit commit = make_commit(number);
    for (int unread = 0; unread < number - 2; ++unread) {
      const Offset offset((number - 1) * 5 + 1 + unread);
      const auto record = log_.read(at("orders", 0), offset, offset + 1);
      commit.inputs[0].record_count -= 1;
      commit.inputs[0].record_hash_sum -= record.record_hash_sum;
    }
    fill_receipt(commit);
    write(commit);
  }
  EXPECT_THAT(texts(audit()), ElementsAre(EndsWith("commit 3)); offset 11 (key 'k1')"),
                                          EndsWith("commit 4)); offset 16 (key 'k1') and offset 17 "
                                                   "(key 'k2')")));
}

TEST_F(AuditorTest, an_input_record_that_changed_since_is_altered) {
  write_honestly(1, 4);
  MemoryLog::Batch& batch = log_.batches(at("orders", 1))[2];
  const std::vector<MemoryLog::Batch> rest(log_.batches(at("orders", 1)).begin() + 3,
                                           log_.batches(at("orders", 1)).end());
  std::vector<TestRecord> records = batch.records;
  records[1].value = "other";
  log_.batches(at("orders", 1)).resize(2);
  log_.append(at("orders", 1), records);
  log_.append(at("orders", 1), rest[0].records);
  EXPECT_THAT(
      texts(audit()),
      ElementsAre(HasSubstr("altered: orders-1 offsets 10..14 hold 5 records, but not those")));
}

TEST_F(AuditorTest, a_hole_in_the_log_is_missing_by_offset_and_told_once) {
  write_honestly(1, 4);
  auto& batches = log_.batches(at("orders", 0));
  batches.erase(batches.begin() + 1);
  EXPECT_THAT(texts(audit()),
              ElementsAre("missing: orders-0 offsets 5..9: nothing is stored there"));
}

TEST_F(AuditorTest, a_flipped_bit_in_the_log_is_altered) {
  write_honestly(1, 4);
  log_.batches(at("paid", 0))[0].bytes.back() ^= std::byte{1};
  const AuditReport report = audit();
  EXPECT_THAT(texts(report),
              ::testing::Contains(HasSubstr("altered: paid-0 offsets 0..2: the batch's checksum")));
}

TEST_F(AuditorTest, a_lost_receipt_is_missing_and_its_output_foreign) {
  write_honestly(1, 2);
  TestCommit commit = make_commit(3);
  write_outputs(commit);
  move_positions(commit);
  EXPECT_THAT(
      texts(audit()),
      ElementsAre(HasSubstr("missing: orders-0: the position of group g is offset 15, so orders-0 "
                            "offsets 10..14 were passed without a receipt"),
                  HasSubstr("missing: orders-1"),
                  HasSubstr("foreign: paid-0 offsets 8..10: 3 committed records"),
                  HasSubstr("foreign: paid-1 offsets 8..10")));
}

TEST_F(AuditorTest, positions_that_did_not_move_with_the_output_are_doubled) {
  write_honestly(1, 3);
  TestCommit commit = make_commit(4);
  write_outputs(commit);
  write_receipt(commit);
  EXPECT_THAT(texts(audit()),
              ElementsAre(HasSubstr("doubled: orders-0: the position of group g is offset 15, but "
                                    "stage only-paid has accounted for all before offset 20"),
                          HasSubstr("doubled: orders-1")));
}

TEST_F(AuditorTest, a_lost_output_record_is_missing) {
  write_honestly(1, 3);
  TestCommit commit = make_commit(4);
  commit.outputs[at("paid", 1)].pop_back();  // the receipt still says three
  write(commit);
  EXPECT_THAT(
      texts(audit()),
      ElementsAre(HasSubstr("missing: stage only-paid wrote 3 records to paid-1 in the commit "
                            "of p-receipts-0 offset 6 (worker w, its commit 4); offsets "
                            "12..13 hold 2 records")));
}

TEST_F(AuditorTest, a_commit_that_was_deleted_in_part_is_not_covered) {
  write_honestly(1, 4);
  log_.set_start(at("paid", 1), Offset(5));
  EXPECT_THAT(texts(audit()), ElementsAre());
  EXPECT_THAT(audit().findings.notes(), Contains(HasSubstr("5); the others, offsets 5..6")));
}

TEST_F(AuditorTest, a_doubled_output_record_is_doubled) {
  write_honestly(1, 3);
  TestCommit commit = make_commit(4);
  commit.outputs[at("paid", 1)].push_back(commit.outputs[at("paid", 1)].back());
  write(commit);
  EXPECT_THAT(texts(audit()),
              ElementsAre(AllOf(HasSubstr("doubled: stage only-paid wrote 3 records to paid-1"),
                                EndsWith("offsets 12..15 hold 4 records; offset 14 (key 'c'), a "
                                         "copy of offset 15 (key 'c')"))));
}

TEST_F(AuditorTest, a_record_slipped_into_a_transaction_is_named) {
  write_honestly(1, 3);
  TestCommit commit = make_commit(4);
  commit.outputs[at("paid", 1)].insert(commit.outputs[at("paid", 1)].begin() + 1, {"z", "other"});
  write(commit);
  EXPECT_THAT(texts(audit()), ElementsAre(EndsWith("hold 4 records; offset 13 (key 'z')")));
}

TEST_F(AuditorTest, an_altered_output_record_is_altered) {
  write_honestly(1, 3);
  TestCommit commit = make_commit(4);
  commit.outputs[at("paid", 1)][0].value = "other";
  write(commit);
  EXPECT_THAT(texts(audit()), ElementsAre(HasSubstr("altered: stage only-paid wrote 3 records to "
                                                    "paid-1")));
}

TEST_F(AuditorTest, a_transaction_of_which_one_partition_is_lost_is_torn) {
  write_honestly(1, 3);
  TestCommit commit = make_commit(4);
  commit.outputs.erase(at("paid", 1));
  write(commit);
  EXPECT_THAT(texts(audit()),
              ElementsAre(HasSubstr("torn: stage only-paid wrote 3 records to paid-1")));
}

TEST_F(AuditorTest, a_transaction_that_aborted_in_one_partition_is_torn) {
  write_honestly(1, 3);
  TestCommit commit = make_commit(4);
  log_.append(at("paid", 0), kWorker, true, commit.outputs[at("paid", 0)]);
  log_.end_transaction(at("paid", 0), kWorker, true);
  log_.append(at("paid", 1), kWorker, true, commit.outputs[at("paid", 1)]);
  log_.end_transaction(at("paid", 1), kWorker, false);
  write_receipt(commit);
  move_positions(commit);
  EXPECT_THAT(texts(audit()), ElementsAre(HasSubstr("they are in a transaction that was aborted")));
}

TEST_F(AuditorTest, a_transaction_without_its_marker_is_torn) {
  write_honestly(1, 3);
  TestCommit commit = make_commit(4);
  log_.append(at("paid", 0), kWorker, true, commit.outputs[at("paid", 0)]);
  log_.end_transaction(at("paid", 0), kWorker, true);
  log_.append(at("paid", 1), kWorker, true, commit.outputs[at("paid", 1)]);
  write_receipt(commit);
  move_positions(commit);
  EXPECT_THAT(texts(audit()),
              ElementsAre(HasSubstr("they are in a transaction that was never ended")));
}

TEST_F(AuditorTest, output_committed_twice_is_doubled) {
  write_honestly(1, 4);
  TestCommit again = make_commit(4);
  again.producer.id = ProducerId(8);
  write_outputs(again);
  EXPECT_THAT(
      texts(audit()),
      ElementsAre(HasSubstr("doubled: paid-0 offsets 16..18 hold the same 3 records as paid-0 "
                            "offsets 12..14"),
                  HasSubstr("doubled: paid-1")));
}

TEST_F(AuditorTest, a_strangers_record_is_foreign_unless_allowed) {
  write_honestly(1, 4);
  log_.append(at("paid", 0), {{"x", "y"}});
  EXPECT_THAT(texts(audit()),
              ElementsAre(HasSubstr("foreign: paid-0 offset 16: 1 committed record")));
  EXPECT_THAT(texts(audit({.strangers = Strangers::kAllowed})), ElementsAre());
  AuditSubject judged = subject();
  judged.stages[0].output_topics[0].is_internal = true;
  EXPECT_THAT(texts(audit({.strangers = Strangers::kAllowed}, judged)),
              ElementsAre(HasSubstr("foreign")));
}

TEST_F(AuditorTest, what_lies_before_a_reset_that_began_a_stage_is_not_covered) {
  begin_at(10, protocol::Receipt::Beginning::kReset);
  write_with_ids(3, 4);
  const AuditReport report = audit();
  EXPECT_THAT(texts(report), ElementsAre());
  EXPECT_EQ(report.findings.not_covered_count(), 2);
  EXPECT_THAT(report.findings.notes(),
              Contains(AllOf(HasSubstr("orders-0: stage only-paid was begun at offset 10"),
                             HasSubstr("offsets 0..9 before it are not covered"))));
}

TEST_F(AuditorTest, a_reset_to_the_first_record_leaves_nothing_out) {
  begin_at(0, protocol::Receipt::Beginning::kReset);
  write_with_ids(1, 4);
  const AuditReport report = audit();
  EXPECT_TRUE(report.is_clean());
  EXPECT_THAT(report.findings.notes(), Contains(HasSubstr("was begun at offset 0 by a reset")));
}

TEST_F(AuditorTest, results_in_front_of_a_reset_are_not_covered) {
  TestCommit former = make_commit(1);
  former.producer = {ProducerId(8), ProducerEpoch(0)};
  write_outputs(former);
  begin_at(0, protocol::Receipt::Beginning::kReset);
  write_with_ids(1, 4);
  for (const Strangers strangers : {Strangers::kAllowed, Strangers::kRefused}) {
    const AuditReport report = audit({.strangers = strangers});
    EXPECT_THAT(texts(report), ElementsAre());
    EXPECT_THAT(report.findings.notes(),
                Contains(AllOf(HasSubstr("not covered: paid-"),
                               HasSubstr("before the first that stage only-paid wrote after the "
                                         "reset of"))));
  }
  // What comes again after its receipt is doubled all the same.
  write_outputs(make_commit(4));
  EXPECT_THAT(texts(audit({.strangers = Strangers::kAllowed})),
              testing::Each(HasSubstr("doubled")));
}

TEST_F(AuditorTest, strangers_in_front_of_a_pipeline_that_no_reset_began_are_found) {
  TestCommit stranger = make_commit(1);
  stranger.producer = {ProducerId(8), ProducerEpoch(0)};
  write_outputs(stranger);
  write_honestly(2, 4);
  EXPECT_THAT(texts(audit()), Contains(HasSubstr("foreign: paid-")));
}

TEST_F(AuditorTest, strangers_among_the_receipts_and_definitions_are_foreign_by_their_place) {
  write_honestly(1, 2);
  const Buffer receipt = protocol::encode_receipt({.pipeline = "q", .stage = "only-paid"});
  log_.append(at("p-receipts", 0), {{"k", "order 1"}, {"k", std::string(as_text(receipt))}});
  log_.create("p-definitions", 1);
  protocol::PipelineDefinition other;
  other.pipeline = "q";
  const Buffer definition = encode_definition(other);
  log_.append(at("p-definitions", 0), {{"", "{}"}, {"", std::string(as_text(definition))}});
  const std::vector<std::string> found = texts(audit());
  for (const char* words : {"foreign: p-definitions-0 offset 0: not a definition of onceflow",
                            "foreign: p-definitions-0 offset 1: a definition of pipeline q",
                            ": not a receipt of onceflow", ": a receipt of pipeline q"}) {
    EXPECT_THAT(found, Contains(HasSubstr(words)));
  }
  EXPECT_THAT(found, testing::Each(HasSubstr("foreign: p-")));
}

TEST_F(AuditorTest, what_a_stage_of_before_wrote_is_its_own) {
  write_honestly(1, 2);
  AuditSubject renamed = subject();
  renamed.stages[0].id = "paid-now";
  TestCommit begun;
  begun.receipt = {.pipeline = "p", .stage = "paid-now", .worker = "onceflow reset"};
  for (int partition = 0; partition < 2; ++partition) {
    begun.inputs.push_back({.source = at("orders", partition),
                            .from_offset = Offset(10),
                            .next_offset = Offset(10),
                            .beginning = protocol::Receipt::Beginning::kReset});
  }
  fill_receipt(begun);
  write(begun);
  EXPECT_THAT(texts(audit({}, renamed)), ElementsAre());
  log_.batches(at("paid", 1)).clear();
  EXPECT_THAT(texts(audit({}, renamed)), Contains(HasSubstr("stage only-paid wrote 3 records")));
}

TEST_F(AuditorTest, a_source_that_the_file_has_left_is_told_with_what_is_unread) {
  log_.create("more", 1);
  log_.append(at("more", 0), {{"a", "1"}, {"b", "2"}, {"c", "3"}});
  TestCommit commit = make_commit(1);
  commit.inputs.push_back(log_.read(at("more", 0), Offset(0), Offset(1)));
  fill_receipt(commit);
  write(commit);
  const AuditReport report = audit();
  EXPECT_THAT(texts(report), ElementsAre());
  EXPECT_THAT(report.findings.notes(),
              Contains(AllOf(
                  HasSubstr("more-0: the file no longer names it as a source of stage only-paid"),
                  HasSubstr("2 records from offset 1 on stay unread"))));
}

TEST_F(AuditorTest, what_no_stage_reads_any_more_between_stages_is_not_covered) {
  protocol::PipelineDefinition before;
  before.pipeline = "p";
  before.stages.resize(2);
  before.stages[0].id = "counted";
  before.stages[0].outputs = {"p-gone-rows"};
  before.stages[1].id = "gone";
  before.stages[1].group_id = "p-gone";
  before.stages[1].sources = {"p-gone-rows"};
  before.stages[1].database = "postgres";
  log_.create("p-definitions", 1);
  const Buffer definition = encode_definition(before);
  log_.append(at("p-definitions", 0), {{"", std::string(as_text(definition))}});
  write_honestly(1, 2);
  EXPECT_THAT(audit().findings.notes(), testing::Not(Contains(HasSubstr("p-gone-rows"))));
  log_.create("p-gone-rows", 1);
  log_.append(at("p-gone-rows", 0), {{"a", "1"}, {"b", "2"}, {"c", "3"}});
  log_.set_position("p-gone", at("p-gone-rows", 0), Offset(1));
  const AuditReport report = audit();
  EXPECT_THAT(texts(report), ElementsAre());
  EXPECT_THAT(report.findings.notes(),
              Contains(HasSubstr("not covered: p-gone-rows-0: no stage of the file reads it; 2 "
                                 "records from offset 1 on, which stage gone has not read")));
  log_.set_position("p-gone", at("p-gone-rows", 0), Offset(3));
  EXPECT_THAT(audit().findings.notes(), testing::Not(Contains(HasSubstr("p-gone-rows"))));
}

TEST_F(AuditorTest, a_batch_appended_twice_is_doubled) {
  write_honestly(1, 4);
  const ProducerIdentity user{ProducerId(70), ProducerEpoch(0)};
  log_.append(at("orders", 0), user, false, {{"a", "1"}, {"b", "2"}});
  auto& batches = log_.batches(at("orders", 0));
  MemoryLog::Batch again = batches.back();
  again.base = again.base + 2;
  again.next = again.next + 2;
  protocol::rewrite_base_offset(again.bytes, again.base);
  batches.push_back(again);
  EXPECT_THAT(texts(audit()),
              ElementsAre(HasSubstr("doubled: orders-0 offsets 22..23: producer 70 "
                                    "epoch 0 sequences 0..1 are in the log already")));
}

TEST_F(AuditorTest, an_aborted_transaction_shown_to_consumers_is_named) {
  const ProducerIdentity user{ProducerId(70), ProducerEpoch(0)};
  log_.append(at("orders", 0), user, true, {{"a", "1"}});
  log_.end_transaction(at("orders", 0), user, false);
  write_honestly(1, 4);
  EXPECT_THAT(texts(audit()), ElementsAre());
  log_.forget_aborted();
  EXPECT_THAT(texts(audit()), ElementsAre(HasSubstr("orders-0 offset 20: an aborted transaction is "
                                                    "shown to read_committed readers")));
}

TEST_F(AuditorTest, reading_past_an_open_transaction_is_missing) {
  const ProducerIdentity user{ProducerId(70), ProducerEpoch(0)};
  log_.append(at("orders", 0), user, true, {{"a", "1"}});
  log_.append(at("orders", 0), {{"b", "2"}});
  write_honestly(1, 4);
  TestCommit commit = make_commit(5);
  commit.inputs.pop_back();
  commit.inputs[0] = log_.read(at("orders", 0), Offset(20), Offset(22));
  fill_receipt(commit);
  write(commit);
  EXPECT_THAT(texts(audit()), ElementsAre(HasSubstr("missing: orders-0 offset 20: a transaction is "
                                                    "open there")));
}

TEST_F(AuditorTest, what_retention_has_deleted_is_noted_and_not_judged) {
  write_honestly(1, 4);
  log_.set_start(at("orders", 0), Offset(10));
  const AuditReport report = audit();
  EXPECT_THAT(texts(report), ElementsAre());
  EXPECT_THAT(report.findings.notes(), ElementsAre(HasSubstr("10 records before offset 10")));
}

// ---- where a stage began, what it skipped, and which topic it was

TEST_F(AuditorTest, what_was_read_and_deleted_is_accounted_for_and_what_was_not_is_missing) {
  write_honestly(1, 2);
  log_.set_start(at("orders", 0), Offset(10));
  EXPECT_THAT(texts(audit()), ElementsAre());
  log_.set_start(at("orders", 0), Offset(15));
  const AuditReport report = audit();
  EXPECT_THAT(
      texts(report),
      ElementsAre("missing: orders-0 offsets 10..14 were deleted before stage only-paid had "
                  "read them"));
  EXPECT_EQ(report.findings.record_count(FindingKind::kMissing), 5);
}

TEST_F(AuditorTest, a_position_moved_past_what_was_deleted_is_missing_once) {
  write_honestly(1, 2);
  log_.set_start(at("orders", 0), Offset(15));
  log_.set_position("g", at("orders", 0), Offset(15));
  EXPECT_THAT(texts(audit()),
              ElementsAre("missing: orders-0: the position of group g is offset 15, so orders-0 "
                          "offsets 10..14 were passed without a receipt of stage only-paid (5 "
                          "offsets deleted since)"));
}

TEST_F(AuditorTest, a_hole_between_receipts_is_missing_though_it_was_deleted_since) {
  write_honestly(1, 2);
  write(make_commit(4));
  log_.set_start(at("orders", 0), Offset(15));
  log_.set_start(at("orders", 1), Offset(12));
  EXPECT_THAT(texts(audit()),
              ElementsAre(HasSubstr("missing: orders-0 offsets 10..14 were never accounted for by "
                                    "stage only-paid (between two receipts, 5 offsets of them "
                                    "deleted since"),
                          HasSubstr("missing: orders-1 offsets 10..14 were never accounted for by "
                                    "stage only-paid (between two receipts, 2 offsets of them")));
}

TEST_F(AuditorTest, a_beginning_at_the_end_is_known_and_counted_from) {
  begin_at(10, protocol::Receipt::Beginning::kLatest);
  AuditReport report = audit();
  EXPECT_THAT(texts(report), ElementsAre());
  EXPECT_EQ(verdict(report), "clean — 0 input records accounted for, 20 not yet processed");
  write_honestly(3, 3);
  log_.set_position("g", at("orders", 0), Offset(15));
  EXPECT_THAT(texts(audit()), ElementsAre());
  write_honestly(4, 4);
  EXPECT_EQ(verdict(audit()), "clean — 20 input records accounted for to the last row");
}

TEST_F(AuditorTest, a_first_receipt_after_the_beginning_leaves_a_hole) {
  begin_at(5, protocol::Receipt::Beginning::kLatest);
  write_honestly(3, 4);
  EXPECT_THAT(texts(audit()), ElementsAre(HasSubstr("missing: orders-0 offsets 5..9 were never"),
                                          HasSubstr("missing: orders-1 offsets 5..9 were never")));
}

TEST_F(AuditorTest, a_beginning_that_is_decided_anew_passes_over_records) {
  begin_at(5, protocol::Receipt::Beginning::kLatest);
  begin_at(15, protocol::Receipt::Beginning::kLatest);
  EXPECT_THAT(texts(audit()),
              ElementsAre(HasSubstr("offset 15, so orders-0 offsets 5..14 were passed without a "
                                    "receipt"),
                          HasSubstr("orders-1 offsets 5..14")));
  write_honestly(4, 4);
  EXPECT_THAT(texts(audit()), ElementsAre(HasSubstr("missing: orders-0 offsets 5..14 were never"),
                                          HasSubstr("missing: orders-1 offsets 5..14 were never")));
}

TEST_F(AuditorTest, what_an_operator_skipped_is_told_as_that_and_not_as_clean) {
  write_honestly(1, 2);
  log_.set_start(at("orders", 0), Offset(15));
  log_.set_start(at("orders", 1), Offset(15));
  begin_at(15, protocol::Receipt::Beginning::kReset);
  AuditReport report = audit();
  EXPECT_THAT(texts(report), ElementsAre());
  EXPECT_FALSE(report.is_clean());
  EXPECT_THAT(report.findings.notes(),
              Contains(HasSubstr("skipped by operator: orders-0 offsets 10..14")));
  write_honestly(4, 4);
  report = audit();
  EXPECT_THAT(texts(report), ElementsAre());
  EXPECT_EQ(verdict(report), "30 input records accounted for, 10 offsets skipped by operator");
  EXPECT_THAT(to_json(report), HasSubstr("\"verdict\": \"partly\""));
}

TEST_F(AuditorTest, what_is_read_again_after_a_reset_is_not_doubled) {
  write_honestly(1, 3);
  begin_at(5, protocol::Receipt::Beginning::kReset);
  const AuditReport report = audit();
  EXPECT_THAT(texts(report), ElementsAre());
  EXPECT_EQ(report.not_yet_processed(), 30);
  EXPECT_THAT(report.findings.notes(), Contains(HasSubstr("offsets 5..14 were read again")));
}

TEST_F(AuditorTest, receipts_without_a_beginning_are_judged_as_before_and_the_rest_is_said) {
  log_.set_start(at("orders", 0), Offset(5));
  log_.set_start(at("orders", 1), Offset(5));
  write_honestly(2, 4);
  const AuditReport report = audit();
  EXPECT_THAT(texts(report), ElementsAre());
  EXPECT_EQ(verdict(report), "30 input records accounted for, 2 parts not covered");
  EXPECT_THAT(report.findings.notes(),
              Contains(HasSubstr("not covered: orders-0 before offset 5: no receipt says where")));
}

TEST_F(AuditorTest, a_topic_made_again_under_the_name_is_another_one) {
  log_.set_id("orders", 1);
  write_with_ids(1, 2);
  EXPECT_THAT(texts(audit()), ElementsAre());
  log_.set_id("orders", 2);
  EXPECT_THAT(
      texts(audit()),
      ElementsAre("altered: orders-0: another topic of that name: stage only-paid read a "
                  "former one up to offset 10, and none of this one's records are accounted "
                  "for",
                  HasSubstr("altered: orders-1: another topic of that name")));
}

TEST_F(AuditorTest, a_reset_to_the_new_topic_of_the_name_is_accounted_for) {
  log_.set_id("orders", 1);
  write_with_ids(1, 2);
  log_.set_id("orders", 2);
  begin_at(0, protocol::Receipt::Beginning::kReset);
  write_with_ids(1, 4);
  const AuditReport report = audit();
  EXPECT_THAT(texts(report), ElementsAre());
  EXPECT_THAT(
      report.findings.notes(),
      Contains(HasSubstr("orders-0: stage only-paid read 10 records from an earlier topic of "
                         "that name")));
}

TEST_F(AuditorTest, a_receipt_whose_checksum_is_wrong_is_altered_and_nonsense_is_foreign) {
  write_honestly(1, 4);
  Buffer altered = protocol::encode_receipt({.pipeline = "p", .stage = "only-paid"});
  altered.back() ^= std::byte{1};
  log_.append(at("p-receipts", 0), kWorker, true,
              {{"only-paid", "nonsense"}, {"only-paid", std::string(as_text(altered))}});
  log_.end_transaction(at("p-receipts", 0), kWorker, true);
  EXPECT_THAT(texts(audit()), ElementsAre(HasSubstr("altered: p-receipts-0 offset 9"),
                                          HasSubstr("foreign: p-receipts-0 offset 8")));
}

TEST_F(AuditorTest, findings_beyond_the_limit_are_counted) {
  write_honestly(1, 1);
  write(make_commit(3));
  const AuditReport report = audit({.findings_kept_max = 1});
  EXPECT_EQ(texts(report).size(), 1U);
  EXPECT_EQ(verdict(report), "2 findings (2 missing)");
  EXPECT_THAT(to_text(report), HasSubstr("missing: and 1 more\naudit: 2 findings (2 missing)\n"));
  EXPECT_THAT(to_json(report), HasSubstr("\"records\": 10"));
}

}  // namespace
}  // namespace onceflow::audit
