// What was refused in a transaction of v2, repaired and not: a commit succeeds if and only if
// nothing is missing. Every step is replayed from its records and compared (coordinator_testing.h).
#include "coordinator/doubts.h"

#include <gtest/gtest.h>

#include <limits>

#include "coordinator/coordinator_testing.h"

namespace onceflow::coordinator {
namespace {

constexpr std::string_view kId = "orders";

TransactionPart batch(std::int32_t last_sequence, std::int32_t partition_index = 0,
                      std::string_view topic_name = "t") {
  return {.topic = topic_name,
          .partition = PartitionIndex(partition_index),
          .last_sequence = Sequence(last_sequence)};
}

class DoubtsOfATransaction : public testing::Test {
 protected:
  DoubtsOfATransaction() {
    producer = broker.init(std::string(kId)).producer;
    EXPECT_EQ(broker.produce(kId, producer, partition(1)), ErrorCode::kNone);
  }
  ErrorCode commit() { return broker.commit(kId, producer).error; }

  TestBroker broker;
  ProducerIdentity producer;
};

TEST_F(DoubtsOfATransaction, a_batch_that_came_too_early_and_then_again_does_not_keep_the_commit) {
  broker.add_doubt(producer, batch(9));
  EXPECT_EQ(commit(), ErrorCode::kTransactionAbortable);
  broker.settle_doubt(producer, batch(4));  // the one before it
  EXPECT_EQ(commit(), ErrorCode::kTransactionAbortable);
  broker.settle_doubt(producer, batch(9));
  EXPECT_EQ(commit(), ErrorCode::kNone);
}

TEST_F(DoubtsOfATransaction, of_several_refused_the_last_one_counts) {
  broker.add_doubt(producer, batch(9));
  broker.add_doubt(producer, batch(19));
  broker.add_doubt(producer, batch(14));
  broker.settle_doubt(producer, batch(14));
  EXPECT_EQ(commit(), ErrorCode::kTransactionAbortable);
  broker.settle_doubt(producer, batch(24));  // in larger batches than before
  EXPECT_EQ(commit(), ErrorCode::kNone);
}

TEST_F(DoubtsOfATransaction, another_partition_or_topic_settles_nothing) {
  broker.add_doubt(producer, batch(9));
  broker.settle_doubt(producer, batch(9, 1));
  broker.settle_doubt(producer, batch(9, 0, "other"));
  EXPECT_EQ(commit(), ErrorCode::kTransactionAbortable);
}

TEST_F(DoubtsOfATransaction, what_cannot_be_repaired_dooms_it_whatever_is_settled) {
  broker.add_doubt(producer, batch(9));
  broker.mark_must_abort(producer);
  broker.settle_doubt(producer, batch(9));
  EXPECT_EQ(commit(), ErrorCode::kTransactionAbortable);
  EXPECT_EQ(broker.abort(kId, producer).error, ErrorCode::kNone);
}

TEST_F(DoubtsOfATransaction, survive_a_restart_and_so_does_their_end) {
  for (const auto from : {TestBroker::From::kRecords, TestBroker::From::kSnapshot}) {
    broker.add_doubt(producer, batch(9));
    broker.restart(from);
    EXPECT_EQ(commit(), ErrorCode::kTransactionAbortable);
    broker.settle_doubt(producer, batch(9));
    broker.restart(from);
    const EndTxnReply committed = broker.commit(kId, producer);
    EXPECT_EQ(committed.error, ErrorCode::kNone);
    producer = committed.producer;
    broker.produce(kId, producer, partition(1));
  }
}

TEST_F(DoubtsOfATransaction, are_written_down_once_however_often_a_client_tries) {
  broker.add_doubt(producer, batch(9));
  const std::size_t written = broker.records.size();
  for (int tries = 0; tries < 100; ++tries) {
    broker.add_doubt(producer, batch(9));
  }
  EXPECT_EQ(broker.records.size(), written);
}

TEST_F(DoubtsOfATransaction, end_with_their_transaction) {
  broker.add_doubt(producer, batch(9));
  producer = broker.abort(kId, producer).producer;
  broker.produce(kId, producer, partition(1));
  EXPECT_EQ(commit(), ErrorCode::kNone);
}

TEST_F(DoubtsOfATransaction, a_refused_first_batch_begins_one_that_waits_for_it) {
  producer = broker.abort(kId, producer).producer;
  broker.add_doubt(producer, batch(9));
  EXPECT_EQ(commit(), ErrorCode::kTransactionAbortable);
  broker.produce(kId, producer, partition(1));
  broker.settle_doubt(producer, batch(9));
  EXPECT_EQ(commit(), ErrorCode::kNone);
}

TEST_F(DoubtsOfATransaction, a_stale_producer_neither_doubts_nor_settles) {
  const ProducerIdentity former = producer;
  producer = broker.init(std::string(kId)).producer;
  broker.produce(kId, producer, partition(1));
  broker.add_doubt(producer, batch(9));
  broker.settle_doubt(former, batch(9));
  EXPECT_EQ(commit(), ErrorCode::kTransactionAbortable);
  broker.settle_doubt(producer, batch(9));
  broker.add_doubt(former, batch(9));
  EXPECT_EQ(commit(), ErrorCode::kNone);
}

TEST_F(DoubtsOfATransaction, sequences_go_round) {
  broker.add_doubt(producer, batch(3));  // past the end of the numbers
  broker.settle_doubt(producer, batch(std::numeric_limits<std::int32_t>::max() - 1));
  EXPECT_EQ(commit(), ErrorCode::kTransactionAbortable);
  broker.settle_doubt(producer, batch(5));
  EXPECT_EQ(commit(), ErrorCode::kNone);
}

TEST_F(DoubtsOfATransaction, have_a_limit_and_beyond_it_the_transaction_is_lost) {
  for (std::size_t index = 0; index <= Doubts::kCountMax; ++index) {
    broker.live->transactions().add_doubt(broker.key_of(producer),
                                          batch(0, static_cast<std::int32_t>(index)),
                                          broker.moment(), broker.effects);
  }
  broker.finish_step();
  for (std::size_t index = 0; index <= Doubts::kCountMax; ++index) {
    broker.live->transactions().settle_doubt(
        broker.key_of(producer), batch(0, static_cast<std::int32_t>(index)), broker.effects);
  }
  broker.finish_step();
  EXPECT_EQ(commit(), ErrorCode::kTransactionAbortable);
}

TEST_F(DoubtsOfATransaction, offsets_that_were_refused_for_now_may_be_sent_again) {
  TestBroker small({.groups = {.group_count_max = 1}});
  const ProducerIdentity who = small.init(std::string(kId)).producer;
  small.commit_offsets({.group_id = "in the way"},
                       {{.partition = partition(1), .offset = Offset(1)}});
  const auto send = [&] {
    return small
        .txn_commit_offsets(kId, who, {.group_id = "g"},
                            {{.partition = partition(1), .offset = Offset(5)}})
        .error;
  };
  EXPECT_EQ(send(), ErrorCode::kCoordinatorNotAvailable);
  EXPECT_EQ(small.commit(kId, who).error, ErrorCode::kTransactionAbortable);
  small.delete_group("in the way");
  EXPECT_EQ(send(), ErrorCode::kNone);
  EXPECT_EQ(small.commit(kId, who).error, ErrorCode::kNone);
}

}  // namespace
}  // namespace onceflow::coordinator
