// STG-2 seen from outside: what an aggregate keeps of a key is what it wrote of it.
#include "audit/claims/aggregate_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "audit/auditor.h"
#include "audit/memory_log_testing.h"
#include "base/wire.h"

namespace onceflow::audit {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr ProducerIdentity kWorker{ProducerId(7), ProducerEpoch(0)};

class AggregateStateTest : public ::testing::Test {
 protected:
  AggregateStateTest() {
    log_.create("orders", 1);
    log_.create("totals", 1);
    log_.create("changelog", 1);
    log_.create("p-receipts", 1);
    for (int index = 0; index < 4; ++index) {
      log_.append(at("orders", 0), {{"k", std::to_string(index)}});
    }
  }

  /// orders: count(*), revenue: sum (real), mean: avg (integers).
  static std::string state_of(std::int64_t count, double revenue, std::int64_t sum) {
    Buffer bytes;
    WireWriter writer(bytes);
    writer.write_int8(1);
    writer.write_unsigned_varint(3);
    writer.write_varlong(count);
    writer.write_int8(0);
    writer.write_varlong(count);
    writer.write_int8(2);
    writer.write_float64(revenue);
    writer.write_varlong(count);
    writer.write_int8(1);
    writer.write_varlong(sum);
    return std::string(as_text(bytes));
  }

  void commit(const std::vector<TestRecord>& states, const std::vector<TestRecord>& outputs) {
    protocol::Receipt receipt{
        .pipeline = "p", .stage = "per-key", .worker = "w", .commit_number = ++commit_number_};
    receipt.inputs.push_back(
        log_.read(at("orders", 0), Offset(commit_number_ - 1), Offset(commit_number_)));
    for (const auto& [topic, records] : {std::pair("changelog", states), {"totals", outputs}}) {
      if (records.empty()) {
        continue;
      }
      protocol::Receipt::Output output{.name = topic, .partition = PartitionIndex(0)};
      for (const TestRecord& record : records) {
        ++output.record_count;
        output.record_hash_sum +=
            output_record_hash(PartitionIndex(0), as_bytes(record.key), as_bytes(record.value));
      }
      receipt.outputs.push_back(output);
      log_.append(at(topic, 0), kWorker, true, records);
      log_.end_transaction(at(topic, 0), kWorker, true);
    }
    const Buffer bytes = encode_receipt(receipt);
    log_.append(at("p-receipts", 0), kWorker, true, {{"per-key", std::string(as_text(bytes))}});
    log_.end_transaction(at("p-receipts", 0), kWorker, true);
    log_.set_position("g", at("orders", 0), Offset(commit_number_));
  }

  std::vector<std::string> audit(AggregateStates states = AggregateStates::kCompared) {
    using Function = AggregateSubject::Function;
    Auditor auditor(
        {.pipeline = "p",
         .receipts_topic = "p-receipts",
         .stages = {{.id = "per-key",
                     .source_topics = {"orders"},
                     .group_id = "g",
                     .output_topics = {{.name = "totals"},
                                       {.name = "changelog", .is_internal = true}},
                     .aggregate = AggregateSubject{.changelog_topic = "changelog",
                                                   .columns = {{"orders", Function::kCount},
                                                               {"revenue", Function::kSum},
                                                               {"mean", Function::kAvg}}}}}},
        log_, open_table, {.aggregate_states = states});
    auto report = run_now(auditor.run());
    EXPECT_TRUE(report.has_value()) << report.error().text;
    std::vector<std::string> texts;
    for (const Finding& finding : report->findings.kept()) {
      texts.push_back(to_string(finding.kind) + ": " + finding.text);
    }
    return texts;
  }

  MemoryLog log_;
  std::int64_t commit_number_ = 0;
};

TEST_F(AggregateStateTest, the_last_state_and_the_last_output_of_each_key_agree) {
  commit({{"a", state_of(1, 1.5, 3)}, {"b", state_of(1, 2, 4)}},
         {{"a", R"({"k":"a","orders":1,"revenue":1.5,"mean":3.0})"},
          {"b", R"({"k":"b","orders":1,"revenue":2.0,"mean":4.0})"}});
  commit({{"a", state_of(2, 0.1, 7)}}, {{"a", R"({"k":"a","orders":2,"revenue":0.1,"mean":3.5})"}});
  EXPECT_THAT(audit(), ElementsAre());
}

TEST_F(AggregateStateTest, a_state_that_is_not_what_was_written_is_named) {
  commit({{"a", state_of(1, 1.5, 3)}},
         {{"a", R"({"k":"a","orders":1,"revenue":1.25,"mean":3.0})"}});
  EXPECT_THAT(audit(),
              ElementsAre("altered: stage per-key, key 'a': by its state at changelog-0 offset 0, "
                          "revenue is 1.5; totals-0 offset 0 says 1.25"));
  EXPECT_THAT(audit(AggregateStates::kNotCompared), ElementsAre());
}

/// orders: count(*), revenue: sum of decimals, mean: avg of decimals.
std::string decimal_state(std::int64_t count, std::string_view sum) {
  Buffer bytes;
  WireWriter writer(bytes);
  writer.write_int8(1);
  writer.write_unsigned_varint(3);
  writer.write_varlong(count);
  writer.write_int8(0);
  for (int column = 0; column < 2; ++column) {
    writer.write_varlong(count);
    writer.write_int8(4);
    writer.write_sized_string(sum);
  }
  return std::string(as_text(bytes));
}

TEST_F(AggregateStateTest, decimals_are_compared_by_all_their_digits) {
  commit({{"a", decimal_state(3, "1e+400")}, {"b", decimal_state(2, "18446744073709551615")}},
         {{"a", R"({"k":"a","orders":3,"revenue":1e+400,"mean":)" + std::string(400, '3') + "." +
                    std::string(20, '3') + "}"},
          {"b", R"({"k":"b","orders":2,"revenue":18446744073709551614,)"
                R"("mean":9223372036854775807.5})"}});
  EXPECT_THAT(audit(),
              ElementsAre("altered: stage per-key, key 'b': by its state at changelog-0 offset 1, "
                          "revenue is 18446744073709551615; totals-0 offset 1 says "
                          "18446744073709551614"));
}

TEST_F(AggregateStateTest, a_key_that_only_one_side_has_is_named) {
  commit({{"a", state_of(1, 1.5, 3)}}, {{"b", R"({"k":"b","orders":1,"revenue":1.5,"mean":3.0})"}});
  EXPECT_THAT(audit(),
              ElementsAre(HasSubstr("missing: stage per-key, key 'a': changelog-0 offset 0 "
                                    "has its state, and nothing of it is in totals"),
                          HasSubstr("missing: stage per-key, key 'b': totals-0 offset 0 "
                                    "has it, and changelog has no state of it")));
}

TEST_F(AggregateStateTest, an_aborted_attempt_does_not_count) {
  commit({{"a", state_of(1, 1.5, 3)}}, {{"a", R"({"k":"a","orders":1,"revenue":1.5,"mean":3.0})"}});
  log_.append(at("changelog", 0), kWorker, true, {{"a", state_of(2, 9, 9)}});
  log_.end_transaction(at("changelog", 0), kWorker, false);
  EXPECT_THAT(audit(), ElementsAre());
}

TEST_F(AggregateStateTest, a_state_that_does_not_decode_is_altered) {
  commit({{"a", "nonsense"}}, {{"a", R"({"k":"a","orders":1,"revenue":1.5,"mean":3.0})"}});
  EXPECT_THAT(audit(), ElementsAre(HasSubstr("key 'a': changelog-0 offset 0 does not decode")));
}

}  // namespace
}  // namespace onceflow::audit
