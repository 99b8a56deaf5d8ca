// What an at_least_once stage promises, and what it does not: orders -> paid, outside of
// transactions.
#include "audit/claims/repeatable_outputs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "audit/auditor.h"
#include "audit/memory_log_testing.h"

namespace onceflow::audit {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr ProducerIdentity kFirstLife{ProducerId(7), ProducerEpoch(0)};
constexpr ProducerIdentity kSecondLife{ProducerId(8), ProducerEpoch(0)};
constexpr int kRecordsPerCommit = 3;

class AtLeastOnceTest : public ::testing::Test {
 protected:
  AtLeastOnceTest() {
    log_.create("orders", 1);
    log_.create("paid", 1);
    log_.create("p-receipts", 1);
    for (int index = 0; index < 4 * kRecordsPerCommit; ++index) {
      log_.append(at("orders", 0), {{"k", "v" + std::to_string(index)}});
    }
  }

  /// The records that the commit of this number makes.
  static std::vector<TestRecord> output_of(int number) {
    std::vector<TestRecord> records;
    for (int index = 0; index < kRecordsPerCommit; ++index) {
      records.push_back({"k", std::to_string(number) + "/" + std::to_string(index)});
    }
    return records;
  }
  void write_output(int number, ProducerIdentity producer, bool is_transactional = false) {
    log_.append(at("paid", 0), producer, is_transactional, output_of(number));
  }
  void write_receipt(int number, ProducerIdentity producer, bool is_transactional = false) {
    const Offset from((number - 1) * kRecordsPerCommit);
    protocol::Receipt receipt{
        .pipeline = "p", .stage = "only-paid", .worker = "w", .commit_number = number};
    receipt.inputs.push_back(log_.read(at("orders", 0), from, from + kRecordsPerCommit));
    protocol::Receipt::Output output{.name = "paid", .partition = PartitionIndex(0)};
    for (const TestRecord& record : output_of(number)) {
      ++output.record_count;
      output.record_hash_sum +=
          output_record_hash(PartitionIndex(0), as_bytes(record.key), as_bytes(record.value));
    }
    receipt.outputs.push_back(output);
    const Buffer bytes = encode_receipt(receipt);
    log_.append(at("p-receipts", 0), producer, is_transactional,
                {{"only-paid", std::string(as_text(bytes))}});
  }
  void move_position(int number) {
    log_.set_position("g", at("orders", 0), Offset(number * kRecordsPerCommit));
  }
  void commit(int number, ProducerIdentity producer = kFirstLife) {
    write_output(number, producer);
    write_receipt(number, producer);
    move_position(number);
  }
  /// As the stage did before its file asked for less.
  void commit_exactly_once(int number, bool with_output) {
    if (with_output) {
      write_output(number, kFirstLife, true);
      log_.end_transaction(at("paid", 0), kFirstLife, true);
    }
    write_receipt(number, kFirstLife, true);
    log_.end_transaction(at("p-receipts", 0), kFirstLife, true);
    move_position(number);
  }

  std::vector<std::string> audit() {
    Auditor auditor({.pipeline = "p",
                     .receipts_topic = "p-receipts",
                     .stages = {{.id = "only-paid",
                                 .source_topics = {"orders"},
                                 .group_id = "g",
                                 .output_topics = {{.name = "paid"}},
                                 .is_exactly_once = false}}},
                    log_, open_table, {});
    auto report = run_now(auditor.run());
    EXPECT_TRUE(report.has_value()) << report.error().text;
    repeats_ = report->allowed_repeats;
    notes_ = report->findings.notes();
    std::vector<std::string> texts;
    for (const Finding& finding : report->findings.kept()) {
      texts.push_back(to_string(finding.kind) + ": " + finding.text);
    }
    return texts;
  }

  MemoryLog log_;
  std::int64_t repeats_ = 0;
  std::vector<std::string> notes_;
};

TEST_F(AtLeastOnceTest, an_honest_history_is_clean) {
  for (int number = 1; number <= 4; ++number) {
    commit(number);
  }
  EXPECT_THAT(audit(), ElementsAre());
  EXPECT_EQ(repeats_, 0);
  EXPECT_THAT(notes_, ElementsAre());
}

TEST_F(AtLeastOnceTest, output_that_is_not_there_is_missing) {
  commit(1);
  write_receipt(2, kFirstLife);
  move_position(2);
  commit(3);
  EXPECT_THAT(audit(),
              ElementsAre("missing: stage only-paid wrote 3 records to paid-0 in the commit of "
                          "p-receipts-0 offset 1 (worker w, its commit 2); they are not there, or "
                          "not as they were written"));
}

TEST_F(AtLeastOnceTest, one_record_of_many_that_is_not_there_is_missing) {
  commit(1);
  commit(2);
  auto& stored = log_.batches(at("paid", 0));
  stored.pop_back();
  std::vector<TestRecord> records = output_of(2);
  records.pop_back();
  log_.append(at("paid", 0), kFirstLife, false, records);
  EXPECT_THAT(audit(),
              ElementsAre(HasSubstr("missing: stage only-paid wrote 3 records to paid-0")));
}

TEST_F(AtLeastOnceTest, what_a_dead_worker_had_written_without_a_receipt_is_a_repeat) {
  commit(1);
  write_output(2, kFirstLife);
  commit(2, kSecondLife);
  EXPECT_THAT(audit(), ElementsAre());
  EXPECT_EQ(repeats_, 3);
  EXPECT_THAT(notes_, ElementsAre(HasSubstr("paid-0: 3 records that no receipt accounts for "
                                            "(offsets 3..5): repeats, as at_least_once allows")));
}

TEST_F(AtLeastOnceTest, an_attempt_repeated_by_the_same_producer_is_a_repeat) {
  commit(1);
  write_output(2, kFirstLife);
  commit(2);
  commit(3);
  EXPECT_THAT(audit(), ElementsAre());
  EXPECT_EQ(repeats_, 3);
}

TEST_F(AtLeastOnceTest, a_commit_whose_position_was_lost_is_a_repeat) {
  commit(1);
  write_output(2, kFirstLife);
  write_receipt(2, kFirstLife);
  commit(2, kSecondLife);
  EXPECT_THAT(audit(), ElementsAre());
  EXPECT_EQ(repeats_, 3);
  EXPECT_THAT(notes_, ElementsAre(HasSubstr("orders-0 offsets 3..5 were accounted for twice")));
}

TEST_F(AtLeastOnceTest, a_receipt_whose_output_never_came_does_not_bind_once_another_covers_it) {
  commit(1);
  write_receipt(2, kFirstLife);
  EXPECT_THAT(audit(), ElementsAre());  // the position is before it: it will be done again
  commit(2, kSecondLife);
  EXPECT_THAT(audit(), ElementsAre());
  EXPECT_EQ(repeats_, 0);
}

TEST_F(AtLeastOnceTest, input_that_was_passed_over_is_missing) {
  commit(1);
  commit(3);
  EXPECT_THAT(audit(), ElementsAre(HasSubstr("missing: orders-0 offsets 3..5 were never accounted "
                                             "for by stage only-paid")));
}

TEST_F(AtLeastOnceTest, commits_of_the_time_when_it_was_exactly_once_are_judged_as_such) {
  commit_exactly_once(1, true);
  commit(2, kSecondLife);
  EXPECT_THAT(audit(), ElementsAre());
  EXPECT_EQ(repeats_, 0);
  EXPECT_THAT(notes_, ElementsAre());
}

TEST_F(AtLeastOnceTest, what_such_a_commit_has_not_left_is_missing) {
  commit_exactly_once(1, false);
  commit(2, kSecondLife);
  EXPECT_THAT(audit(),
              ElementsAre(HasSubstr("missing: stage only-paid wrote 3 records to paid-0")));
}

}  // namespace
}  // namespace onceflow::audit
