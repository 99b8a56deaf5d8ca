// How much clients may put into transactions (docs/operations.md, "What clients may put into the
// log"), and how much of it ends in one turn. Every step is replayed from its records and compared
// (coordinator_testing.h).
#include <gtest/gtest.h>

#include "coordinator/coordinator_testing.h"

namespace onceflow::coordinator {
namespace {

constexpr std::string_view kId = "orders";
constexpr std::string_view kOther = "others";

std::vector<TopicIdPartition> partitions(std::int32_t count, std::int32_t first = 0) {
  std::vector<TopicIdPartition> made;
  for (std::int32_t index = first; index < first + count; ++index) {
    made.push_back({topic(1), PartitionIndex(index)});
  }
  return made;
}

class TransactionBounds : public testing::Test {
 protected:
  TransactionBounds()
      : broker({.transactions = {.transaction_bytes_max = 640, .transactions_bytes_max = 1000},
                .groups = {.id_bytes_max = 40}}),
        producer(broker.init(std::string(kId)).producer),
        other(broker.init(std::string(kOther)).producer) {}

  std::size_t part_bytes() { return broker.live->transactions().part_bytes(); }

  TestBroker broker;
  ProducerIdentity producer;
  ProducerIdentity other;
};

TEST_F(TransactionBounds, one_transaction_has_one) {
  EXPECT_EQ(broker.add(kId, producer, partitions(11)).error, ErrorCode::kPolicyViolation);
  EXPECT_EQ(part_bytes(), 0u);
  EXPECT_EQ(broker.describe(kId).state, TransactionState::kEmpty);
  EXPECT_EQ(broker.add(kId, producer, partitions(10)).error, ErrorCode::kNone);
  EXPECT_EQ(part_bytes(), 640u);
  EXPECT_EQ(broker.add(kId, producer, partitions(1, 10)).error, ErrorCode::kPolicyViolation);
  EXPECT_EQ(broker.add(kId, producer, partitions(10)).error, ErrorCode::kNone) << "known ones";
  EXPECT_EQ(broker.add_group(kId, producer, "g").error, ErrorCode::kPolicyViolation);
  EXPECT_EQ(broker.commit(kId, producer).error, ErrorCode::kNone);
  EXPECT_EQ(part_bytes(), 0u);
}

TEST_F(TransactionBounds, all_together_have_one_and_may_try_again) {
  EXPECT_EQ(broker.add(kId, producer, partitions(10)).error, ErrorCode::kNone);
  EXPECT_EQ(broker.add(kOther, other, partitions(10)).error, ErrorCode::kCoordinatorNotAvailable);
  EXPECT_EQ(broker.add(kOther, other, partitions(5)).error, ErrorCode::kNone);
  EXPECT_EQ(broker.commit(kId, producer).error, ErrorCode::kNone);
  EXPECT_EQ(broker.add(kOther, other, partitions(10)).error, ErrorCode::kNone);
}

TEST_F(TransactionBounds, are_counted_alike_after_a_restart) {
  EXPECT_EQ(broker.add(kId, producer, partitions(3)).error, ErrorCode::kNone);
  EXPECT_EQ(broker.add_group(kId, producer, "g").error, ErrorCode::kNone);
  broker.add_doubt(producer, {.topic = "t", .partition = PartitionIndex(0)});
  const std::size_t before = part_bytes();
  EXPECT_GT(before, 3 * 64u + 128u);
  for (const auto from : {TestBroker::From::kRecords, TestBroker::From::kSnapshot}) {
    broker.restart(from);
    EXPECT_EQ(part_bytes(), before);
  }
  broker.advance(std::chrono::hours(1));
  EXPECT_EQ(part_bytes(), 0u);
}

// The commit may be on its way behind what was refused.
TEST_F(TransactionBounds, what_produce_adds_beyond_them_loses_the_transaction) {
  EXPECT_EQ(broker.add(kId, producer, partitions(10)).error, ErrorCode::kNone);
  EXPECT_EQ(broker.produce(kId, producer, {topic(1), PartitionIndex(10)}),
            ErrorCode::kTransactionAbortable);
  EXPECT_EQ(broker.commit(kId, producer).error, ErrorCode::kTransactionAbortable);
  EXPECT_EQ(broker.abort(kId, producer).error, ErrorCode::kNone);
}

TEST_F(TransactionBounds, offsets_beyond_them_lose_the_transaction) {
  EXPECT_EQ(broker.add(kId, producer, partitions(10)).error, ErrorCode::kNone);
  EXPECT_EQ(broker
                .txn_commit_offsets(kId, producer, {.group_id = "g"},
                                    {{.partition = partition(1), .offset = Offset(5)}})
                .error,
            ErrorCode::kTransactionAbortable);
  EXPECT_EQ(broker.commit(kId, producer).error, ErrorCode::kTransactionAbortable);
}

TEST_F(TransactionBounds, a_group_of_a_long_id_is_in_none) {
  const std::string long_id(41, 'g');
  EXPECT_EQ(broker.add_group(kId, producer, long_id).error, ErrorCode::kInvalidGroupId);
  EXPECT_EQ(broker.describe(kId).state, TransactionState::kEmpty);
  EXPECT_EQ(broker
                .txn_commit_offsets(kId, producer, {.group_id = long_id},
                                    {{.partition = partition(1), .offset = Offset(5)}})
                .error,
            ErrorCode::kInvalidGroupId);
  EXPECT_EQ(broker.commit(kId, producer).error, ErrorCode::kTransactionAbortable);
  EXPECT_EQ(part_bytes(), 0u);
}

// Such a topic cannot be made, so the offsets for it will never be accepted.
TEST_F(TransactionBounds, a_doubt_keeps_no_name_that_no_topic_can_have) {
  const std::string long_name(250, 't');
  broker.add_doubt(producer, {.topic = long_name, .partition = PartitionIndex(0)});
  EXPECT_EQ(part_bytes(), 0u);
  EXPECT_EQ(broker.commit(kId, producer).error, ErrorCode::kTransactionAbortable);
}

TEST_F(TransactionBounds, doubts_count_and_beyond_them_the_transaction_is_lost) {
  const auto doubt = [](std::int32_t index) {
    return TransactionPart{.topic = "a topic", .partition = PartitionIndex(index)};
  };
  for (std::int32_t index = 0; index < 10; ++index) {
    broker.add_doubt(producer, doubt(index));
  }
  EXPECT_LE(part_bytes(), 640u);
  EXPECT_GT(part_bytes(), 500u);
  for (std::int32_t index = 0; index < 10; ++index) {
    broker.settle_doubt(producer, doubt(index));
  }
  EXPECT_EQ(part_bytes(), 0u);
  EXPECT_EQ(broker.commit(kId, producer).error, ErrorCode::kTransactionAbortable);
}

TEST(TransactionTimeouts, those_that_end_at_one_moment_end_in_turns) {
  TestBroker broker;
  constexpr std::size_t kTransactions = 20;
  for (std::size_t number = 0; number < kTransactions; ++number) {
    const std::string id = "t" + std::to_string(number);
    EXPECT_EQ(broker.add(id, broker.init(id).producer, partitions(1000)).error, ErrorCode::kNone);
  }
  broker.now += std::chrono::minutes(10);
  std::size_t turns = 0;
  while (broker.live->next_deadline()) {
    ASSERT_LE(*broker.live->next_deadline(), broker.moment().monotonic);
    const std::size_t before = broker.ended.size();
    broker.live->on_time(broker.moment(), broker.effects);
    broker.finish_step();
    EXPECT_LE(broker.ended.size() - before, 3u);
    ASSERT_GT(broker.ended.size(), before);
    ++turns;
  }
  EXPECT_EQ(broker.ended.size(), kTransactions);
  EXPECT_GE(turns, kTransactions / 3);
}

}  // namespace
}  // namespace onceflow::coordinator
