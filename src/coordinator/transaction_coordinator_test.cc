// What Kafka's clients see of a transactional id, by the tables of both protocols. Every step of
// every test is replayed from its records and compared (coordinator_testing.h).
#include "coordinator/transaction_coordinator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/coordinator_testing.h"

namespace onceflow::coordinator {
namespace {

using testing::ElementsAre;

constexpr std::string_view kId = "orders";
const TopicIdPartition kPartition = partition(1);
const TopicIdPartition kOther = partition(2);

ProducerIdentity with_epoch(ProducerIdentity producer, int epoch) {
  return {producer.id, ProducerEpoch(static_cast<std::int16_t>(epoch))};
}

class Transactions : public testing::Test {
 protected:
  explicit Transactions(CoordinatorOptions options = {}) : broker(options) {}

  ProducerIdentity start(std::int16_t version = 5) {
    return broker.init(std::string(kId), version).producer;
  }
  ProducerIdentity start_ongoing() {
    const ProducerIdentity producer = start();
    EXPECT_EQ(broker.produce(kId, producer, kPartition), ErrorCode::kNone);
    return producer;
  }
  TransactionState state() { return broker.describe(kId).state; }

  TestBroker broker;
};

/// Epochs 0 to 4 are handed out; 5 is reserved for the marker that fences the last.
class TransactionsNearTheLastEpoch : public Transactions {
 protected:
  TransactionsNearTheLastEpoch()
      : Transactions({.transactions = {.epoch_max = ProducerEpoch(5)}}) {}
  ProducerIdentity start_with_last_epoch() {
    ProducerIdentity producer = start();
    while (producer.epoch < ProducerEpoch(4)) {
      producer = start();
    }
    return producer;
  }
};

// --- InitProducerId (4.3) ---

TEST_F(Transactions, init_without_a_transactional_id_gives_a_fresh_producer_id_at_epoch_0) {
  const auto init = [&] {
    const auto reply =
        broker.live->transactions().init_producer_id({}, broker.caller(4), broker.effects);
    broker.finish_step();
    return reply.producer;
  };
  const ProducerIdentity first = init();
  const ProducerIdentity second = init();
  EXPECT_NE(first.id, second.id);
  EXPECT_EQ(first.epoch, ProducerEpoch(0));
  EXPECT_EQ(second.epoch, ProducerEpoch(0));
}

TEST_F(Transactions, init_refuses_an_empty_id_and_half_an_expected_producer) {
  EXPECT_EQ(broker.init("").error, ErrorCode::kInvalidRequest);
  EXPECT_EQ(broker.init("id", 5, {ProducerId(3), kNoProducerEpoch}).error,
            ErrorCode::kInvalidRequest);
}

TEST_F(Transactions, init_refuses_a_timeout_outside_its_bounds) {
  const auto init = [&](Duration timeout) { return broker.init("id", 5, {}, 1, timeout).error; };
  EXPECT_EQ(init(Duration::zero()), ErrorCode::kInvalidTransactionTimeout);
  EXPECT_EQ(init(std::chrono::minutes(15) + milliseconds(1)),
            ErrorCode::kInvalidTransactionTimeout);
  EXPECT_EQ(init(std::chrono::minutes(15)), ErrorCode::kNone);
}

TEST_F(Transactions, a_fresh_init_bumps_the_epoch_and_fences_the_former_instance) {
  const ProducerIdentity first = start();
  EXPECT_EQ(first.epoch, ProducerEpoch(0));
  const ProducerIdentity second = start();
  EXPECT_EQ(second, with_epoch(first, 1));
  EXPECT_EQ(broker.add(kId, first, {kPartition}).error, ErrorCode::kProducerFenced);
  EXPECT_EQ(broker.init(std::string(kId), 5, first).error, ErrorCode::kProducerFenced);
}

TEST_F(Transactions, a_fresh_init_aborts_the_ongoing_transaction_and_answers_at_once) {
  const ProducerIdentity first = start_ongoing();
  const auto reply = broker.init(std::string(kId));
  EXPECT_EQ(reply.error, ErrorCode::kNone);
  EXPECT_EQ(reply.producer, with_epoch(first, 1));
  ASSERT_EQ(broker.ended.size(), 1U);
  EXPECT_EQ(broker.ended[0].result, TransactionResult::kAbort);
  EXPECT_EQ(broker.ended[0].marker, with_epoch(first, 1));
  EXPECT_THAT(broker.ended[0].partitions, ElementsAre(kPartition));
  EXPECT_EQ(state(), TransactionState::kEmpty);
}

TEST_F(Transactions, init_with_the_current_epoch_bumps_and_its_repetition_is_answered_alike) {
  const ProducerIdentity producer = start();
  const ProducerIdentity bumped = broker.init(std::string(kId), 5, producer).producer;
  EXPECT_EQ(bumped, with_epoch(producer, 1));
  EXPECT_EQ(broker.init(std::string(kId), 5, producer).producer, bumped);
  EXPECT_EQ(broker.init(std::string(kId), 5, bumped).producer, with_epoch(producer, 2));
  EXPECT_EQ(broker.init(std::string(kId), 5, producer).error, ErrorCode::kProducerFenced);
}

TEST_F(Transactions, init_with_the_current_epoch_aborts_its_own_ongoing_transaction) {
  const ProducerIdentity producer = start_ongoing();
  const auto reply = broker.init(std::string(kId), 5, producer);
  EXPECT_EQ(reply.producer, with_epoch(producer, 1));
  ASSERT_EQ(broker.ended.size(), 1U);
  EXPECT_EQ(broker.ended[0].result, TransactionResult::kAbort);
  // The commit that was on its way comes too late, in both protocols.
  EXPECT_EQ(broker.commit(kId, producer).error, ErrorCode::kProducerFenced);
  EXPECT_EQ(broker.commit(kId, producer, 3).error, ErrorCode::kProducerFenced);
}

TEST_F(Transactions, a_delayed_repetition_of_init_cannot_touch_the_transaction_begun_since) {
  const ProducerIdentity producer = start();
  const ProducerIdentity bumped = broker.init(std::string(kId), 5, producer).producer;
  broker.produce(kId, bumped, kPartition);
  EXPECT_EQ(broker.init(std::string(kId), 5, producer).error, ErrorCode::kProducerFenced);
  EXPECT_EQ(state(), TransactionState::kOngoing);
}

TEST_F(Transactions, init_of_an_unknown_id_ignores_what_is_expected) {
  const auto reply = broker.init("unheard of", 5, {ProducerId(77), ProducerEpoch(3)});
  EXPECT_EQ(reply.error, ErrorCode::kNone);
  EXPECT_EQ(reply.producer.epoch, ProducerEpoch(0));
}

TEST_F(Transactions, init_before_v4_knows_only_invalid_producer_epoch) {
  const ProducerIdentity first = start();
  start();
  EXPECT_EQ(broker.init(std::string(kId), 3, first).error, ErrorCode::kInvalidProducerEpoch);
  EXPECT_EQ(broker.init(std::string(kId), 4, first).error, ErrorCode::kProducerFenced);
}

TEST_F(TransactionsNearTheLastEpoch, init_with_used_up_epochs_rotates_the_producer_id) {
  const ProducerIdentity last = start_with_last_epoch();
  const ProducerIdentity next = start();
  EXPECT_NE(next.id, last.id);
  EXPECT_EQ(next.epoch, ProducerEpoch(0));
  EXPECT_EQ(broker.produce(kId, last, kPartition), ErrorCode::kInvalidProducerIdMapping);
}

TEST_F(TransactionsNearTheLastEpoch, the_repetition_of_a_rotating_init_is_answered_alike) {
  const ProducerIdentity last = start_with_last_epoch();
  const ProducerIdentity next = broker.init(std::string(kId), 5, last).producer;
  EXPECT_NE(next.id, last.id);
  EXPECT_EQ(broker.init(std::string(kId), 5, last).producer, next);
}

TEST_F(TransactionsNearTheLastEpoch, a_fenced_transaction_of_the_last_epoch_gets_the_reserved_one) {
  const ProducerIdentity last = start_with_last_epoch();
  broker.produce(kId, last, kPartition);
  const ProducerIdentity next = start();
  EXPECT_NE(next.id, last.id);
  ASSERT_EQ(broker.ended.size(), 1U);
  EXPECT_EQ(broker.ended[0].marker, with_epoch(last, 5));
}

// --- AddPartitionsToTxn, AddOffsetsToTxn (4.4) ---

TEST_F(Transactions, adding_needs_the_id_the_producer_id_and_the_epoch) {
  const ProducerIdentity producer = start();
  const ProducerIdentity stranger{ProducerId(99), ProducerEpoch(0)};
  EXPECT_EQ(broker.add("", producer, {kPartition}).error, ErrorCode::kInvalidRequest);
  EXPECT_EQ(broker.add("unknown", producer, {kPartition}).error,
            ErrorCode::kInvalidProducerIdMapping);
  EXPECT_EQ(broker.add(kId, stranger, {kPartition}).error, ErrorCode::kInvalidProducerIdMapping);
  EXPECT_EQ(broker.add(kId, with_epoch(producer, 1), {kPartition}).error,
            ErrorCode::kProducerFenced);
  EXPECT_EQ(broker.add(kId, with_epoch(producer, 1), {kPartition}, 1).error,
            ErrorCode::kInvalidProducerEpoch);
  EXPECT_EQ(broker.add_group(kId, with_epoch(producer, 1), "g", 1).error,
            ErrorCode::kInvalidProducerEpoch);
  EXPECT_EQ(broker.add_group(kId, stranger, "g").error, ErrorCode::kInvalidProducerIdMapping);
  EXPECT_EQ(state(), TransactionState::kEmpty);
}

TEST_F(Transactions, the_first_addition_begins_the_transaction_and_known_ones_write_nothing) {
  const ProducerIdentity producer = start();
  EXPECT_EQ(broker.add(kId, producer, {kPartition, kOther}).error, ErrorCode::kNone);
  EXPECT_EQ(broker.add_group(kId, producer, "g").error, ErrorCode::kNone);
  EXPECT_EQ(state(), TransactionState::kOngoing);
  const std::size_t written = broker.records.size();
  EXPECT_EQ(broker.add(kId, producer, {kOther}).error, ErrorCode::kNone);
  EXPECT_EQ(broker.add_group(kId, producer, "g").error, ErrorCode::kNone);
  EXPECT_EQ(broker.records.size(), written);
  EXPECT_THAT(broker.describe(kId).partitions, ElementsAre(kPartition, kOther));
  EXPECT_THAT(broker.describe(kId).groups, ElementsAre("g"));
}

TEST_F(Transactions, a_partition_is_verified_only_while_its_transaction_is_ongoing) {
  const ProducerIdentity producer = start();
  const auto verify = [&](const TopicIdPartition& where) {
    return broker.live->transactions().verify_partition({kId, producer}, where);
  };
  EXPECT_EQ(verify(kPartition), ErrorCode::kTransactionAbortable);
  broker.add(kId, producer, {kPartition});
  EXPECT_EQ(verify(kPartition), ErrorCode::kNone);
  EXPECT_EQ(verify(kOther), ErrorCode::kTransactionAbortable);
  broker.commit(kId, producer, 3);
  EXPECT_EQ(verify(kPartition), ErrorCode::kTransactionAbortable);
}

// --- EndTxn v1 (4.5) ---

TEST_F(Transactions, v1_commit_keeps_the_epoch_and_marks_every_partition) {
  const ProducerIdentity producer = start();
  broker.add(kId, producer, {kPartition, kOther}, 0);
  EXPECT_EQ(broker.commit(kId, producer, 1).error, ErrorCode::kNone);
  ASSERT_EQ(broker.ended.size(), 1U);
  EXPECT_EQ(broker.ended[0].marker, producer);
  EXPECT_EQ(broker.ended[0].result, TransactionResult::kCommit);
  EXPECT_THAT(broker.ended[0].partitions, ElementsAre(kPartition, kOther));
  EXPECT_EQ(broker.describe(kId).producer, producer);
  EXPECT_EQ(state(), TransactionState::kCompleteCommit);
}

TEST_F(Transactions, v1_repetitions_succeed_and_mismatches_are_invalid) {
  const ProducerIdentity producer = start();
  EXPECT_EQ(broker.commit(kId, producer, 1).error, ErrorCode::kInvalidTxnState);
  EXPECT_EQ(broker.abort(kId, producer, 1).error, ErrorCode::kInvalidTxnState);
  broker.add(kId, producer, {kPartition}, 0);
  broker.commit(kId, producer, 1);
  EXPECT_EQ(broker.commit(kId, producer, 1).error, ErrorCode::kNone);
  EXPECT_EQ(broker.abort(kId, producer, 1).error, ErrorCode::kInvalidTxnState);
  broker.add(kId, producer, {kPartition}, 0);
  broker.abort(kId, producer, 1);
  EXPECT_EQ(broker.abort(kId, producer, 1).error, ErrorCode::kNone);
  EXPECT_EQ(broker.commit(kId, producer, 1).error, ErrorCode::kInvalidTxnState);
  EXPECT_EQ(broker.ended.size(), 2U);
}

TEST_F(Transactions, v1_end_accepts_no_epoch_but_the_current_one) {
  const ProducerIdentity producer = start();
  broker.add(kId, producer, {kPartition}, 0);
  EXPECT_EQ(broker.commit(kId, with_epoch(producer, 1), 1).error, ErrorCode::kInvalidProducerEpoch);
  EXPECT_EQ(broker.commit(kId, with_epoch(producer, 1), 2).error, ErrorCode::kProducerFenced);
  EXPECT_EQ(broker.commit(kId, {ProducerId(99), ProducerEpoch(0)}, 2).error,
            ErrorCode::kInvalidProducerIdMapping);
  EXPECT_EQ(broker.commit("", producer, 2).error, ErrorCode::kInvalidRequest);
  EXPECT_EQ(state(), TransactionState::kOngoing);
}

TEST_F(Transactions, a_finished_transaction_never_makes_the_next_request_wait) {
  const ProducerIdentity producer = start();
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(broker.add(kId, producer, {kPartition}, 0).error, ErrorCode::kNone);
    EXPECT_EQ(broker.commit(kId, producer, 1).error, ErrorCode::kNone);
  }
  EXPECT_EQ(broker.init(std::string(kId)).error, ErrorCode::kNone);
}

// --- EndTxn v2 (4.6) ---

TEST_F(Transactions, v2_end_bumps_the_epoch_and_the_markers_carry_it) {
  const ProducerIdentity producer = start_ongoing();
  const auto reply = broker.commit(kId, producer);
  EXPECT_EQ(reply.error, ErrorCode::kNone);
  EXPECT_EQ(reply.producer, with_epoch(producer, 1));
  ASSERT_EQ(broker.ended.size(), 1U);
  EXPECT_EQ(broker.ended[0].marker, with_epoch(producer, 1));
  EXPECT_EQ(broker.produce(kId, producer, kPartition), ErrorCode::kInvalidProducerEpoch);
  EXPECT_EQ(broker.produce(kId, reply.producer, kPartition), ErrorCode::kNone);
}

/// What is asked of an id in one of its states, and what must come of it.
struct RetryCase {
  const char* name;
  TransactionState state;
  TransactionResult result;
  bool is_retry;
  ErrorCode error;
  bool bumps;
};

class EndTxnRetry : public Transactions, public testing::WithParamInterface<RetryCase> {};

TEST_P(EndTxnRetry, is_answered_by_the_table) {
  const RetryCase& row = GetParam();
  ProducerIdentity previous = start();
  ProducerIdentity current = broker.init(std::string(kId), 5, previous).producer;
  if (row.state != TransactionState::kEmpty) {
    previous = current;
    broker.produce(kId, previous, kPartition);
    current = broker
                  .end(kId, previous,
                       row.state == TransactionState::kCompleteCommit ? TransactionResult::kCommit
                                                                      : TransactionResult::kAbort)
                  .producer;
  }
  ASSERT_EQ(state(), row.state);
  const auto reply = broker.end(kId, row.is_retry ? previous : current, row.result);
  EXPECT_EQ(reply.error, row.error);
  const ProducerIdentity expected =
      row.bumps ? with_epoch(current, current.epoch.value + 1) : current;
  EXPECT_EQ(broker.describe(kId).producer, expected);
  if (row.error == ErrorCode::kNone) {
    EXPECT_EQ(reply.producer, expected);
  }
}

constexpr auto kAbort = TransactionResult::kAbort;
constexpr auto kCommit = TransactionResult::kCommit;
INSTANTIATE_TEST_SUITE_P(
    Table, EndTxnRetry,
    testing::Values(RetryCase{"empty_abort_retry_is_fenced", TransactionState::kEmpty, kAbort, true,
                              ErrorCode::kProducerFenced, false},
                    RetryCase{"empty_abort_current_bumps", TransactionState::kEmpty, kAbort, false,
                              ErrorCode::kNone, true},
                    RetryCase{"empty_commit_retry_is_fenced", TransactionState::kEmpty, kCommit,
                              true, ErrorCode::kProducerFenced, false},
                    RetryCase{"empty_commit_current_is_invalid", TransactionState::kEmpty, kCommit,
                              false, ErrorCode::kInvalidTxnState, false},
                    RetryCase{"aborted_abort_retry_is_answered", TransactionState::kCompleteAbort,
                              kAbort, true, ErrorCode::kNone, false},
                    RetryCase{"aborted_abort_current_bumps", TransactionState::kCompleteAbort,
                              kAbort, false, ErrorCode::kNone, true},
                    RetryCase{"aborted_commit_retry_is_fenced", TransactionState::kCompleteAbort,
                              kCommit, true, ErrorCode::kProducerFenced, false},
                    RetryCase{"aborted_commit_current_is_invalid", TransactionState::kCompleteAbort,
                              kCommit, false, ErrorCode::kInvalidTxnState, false},
                    RetryCase{"committed_abort_retry_is_invalid", TransactionState::kCompleteCommit,
                              kAbort, true, ErrorCode::kInvalidTxnState, false},
                    RetryCase{"committed_abort_current_bumps", TransactionState::kCompleteCommit,
                              kAbort, false, ErrorCode::kNone, true},
                    RetryCase{"committed_commit_retry_is_answered",
                              TransactionState::kCompleteCommit, kCommit, true, ErrorCode::kNone,
                              false},
                    RetryCase{"committed_commit_current_is_invalid",
                              TransactionState::kCompleteCommit, kCommit, false,
                              ErrorCode::kInvalidTxnState, false}),
    [](const auto& test) { return std::string(test.param.name); });

TEST_F(Transactions, v2_retry_of_an_old_commit_cannot_touch_the_next_transaction) {
  const ProducerIdentity first = start_ongoing();
  const ProducerIdentity second = broker.commit(kId, first).producer;
  broker.produce(kId, second, kPartition);
  EXPECT_EQ(broker.commit(kId, first).error, ErrorCode::kProducerFenced);
  EXPECT_EQ(broker.abort(kId, first).error, ErrorCode::kProducerFenced);
  EXPECT_EQ(state(), TransactionState::kOngoing);
}

TEST_F(Transactions, v2_retry_is_unknown_after_a_v1_end_in_between) {
  const ProducerIdentity first = start_ongoing();
  const ProducerIdentity second = broker.commit(kId, first).producer;
  broker.add(kId, second, {kPartition});
  broker.commit(kId, second, 3);
  EXPECT_EQ(broker.commit(kId, first).error, ErrorCode::kProducerFenced);
}

TEST_F(TransactionsNearTheLastEpoch, v2_end_of_the_last_epoch_returns_the_new_pair) {
  const ProducerIdentity last = start_with_last_epoch();
  broker.produce(kId, last, kPartition);
  const auto reply = broker.commit(kId, last);
  EXPECT_EQ(reply.error, ErrorCode::kNone);
  EXPECT_NE(reply.producer.id, last.id);
  EXPECT_EQ(reply.producer.epoch, ProducerEpoch(0));
  EXPECT_EQ(broker.ended.back().marker, with_epoch(last, 5));
  // KAFKA-18660: the retry gets the same pair.
  EXPECT_EQ(broker.commit(kId, last).producer, reply.producer);
  EXPECT_EQ(broker.produce(kId, reply.producer, kPartition), ErrorCode::kNone);
}

TEST_F(TransactionsNearTheLastEpoch, a_fence_and_a_late_abort_bump_once) {
  // KAFKA-19367: the epoch overflowed to a negative one.
  const ProducerIdentity last = start_with_last_epoch();
  broker.produce(kId, last, kPartition);
  const ProducerIdentity next = start();
  EXPECT_EQ(broker.abort(kId, last).error, ErrorCode::kInvalidProducerIdMapping);
  EXPECT_EQ(broker.describe(kId).producer, next);
  EXPECT_EQ(next.epoch, ProducerEpoch(0));
}

TEST_F(TransactionsNearTheLastEpoch, a_timeout_rotates_and_a_late_abort_gets_the_new_pair) {
  // KAFKA-20090: the id was stuck.
  const ProducerIdentity last = start_with_last_epoch();
  broker.produce(kId, last, kPartition);
  broker.advance(seconds(60));
  const ProducerIdentity next = broker.describe(kId).producer;
  EXPECT_NE(next.id, last.id);
  EXPECT_EQ(broker.ended.back().marker, with_epoch(last, 5));
  EXPECT_EQ(broker.abort(kId, last).producer, next);
  EXPECT_EQ(broker.produce(kId, last, kPartition), ErrorCode::kInvalidProducerEpoch);
  EXPECT_EQ(broker.produce(kId, next, kPartition), ErrorCode::kNone);
  EXPECT_EQ(broker.commit(kId, next).error, ErrorCode::kNone);
}

// --- Timeouts (4.7): TXN-3 ---

TEST_F(Transactions, a_transaction_ends_at_its_timeout_and_its_producer_is_fenced) {
  const ProducerIdentity producer = start_ongoing();
  broker.advance(seconds(60) - Duration(1));
  EXPECT_EQ(state(), TransactionState::kOngoing);
  broker.advance(Duration(1));
  EXPECT_EQ(state(), TransactionState::kCompleteAbort);
  ASSERT_EQ(broker.ended.size(), 1U);
  EXPECT_EQ(broker.ended[0].result, TransactionResult::kAbort);
  EXPECT_EQ(broker.ended[0].marker, with_epoch(producer, 1));
  EXPECT_EQ(broker.produce(kId, producer, kPartition), ErrorCode::kInvalidProducerEpoch);
  EXPECT_EQ(broker.add(kId, producer, {kPartition}).error, ErrorCode::kProducerFenced);
}

TEST_F(Transactions, the_clock_starts_with_the_first_addition_not_with_init) {
  const ProducerIdentity producer = start();
  broker.advance(seconds(600));
  broker.add(kId, producer, {kPartition});
  broker.advance(seconds(59));
  EXPECT_EQ(broker.commit(kId, producer, 3).error, ErrorCode::kNone);
  EXPECT_FALSE(broker.live->next_deadline().has_value());
}

TEST_F(Transactions, later_additions_do_not_prolong_a_transaction) {
  const ProducerIdentity producer = start_ongoing();
  broker.advance(seconds(59));
  broker.produce(kId, producer, kOther);
  broker.advance(seconds(1));
  EXPECT_EQ(state(), TransactionState::kCompleteAbort);
}

TEST_F(Transactions, a_commit_in_flight_at_the_timeout_is_fenced_not_fatal) {
  const ProducerIdentity producer = start_ongoing();
  broker.advance(seconds(60));
  EXPECT_EQ(broker.commit(kId, producer).error, ErrorCode::kProducerFenced);
  EXPECT_EQ(broker.commit(kId, producer, 1).error, ErrorCode::kInvalidProducerEpoch);
}

TEST_F(Transactions, a_producer_whose_transaction_timed_out_may_go_on) {
  const ProducerIdentity producer = start_ongoing();
  broker.advance(seconds(60));
  const auto aborted = broker.abort(kId, producer);
  EXPECT_EQ(aborted.error, ErrorCode::kNone);
  EXPECT_EQ(aborted.producer, with_epoch(producer, 1));
  const auto initialised = broker.init(std::string(kId), 5, producer);
  EXPECT_EQ(initialised.error, ErrorCode::kNone);
  EXPECT_EQ(initialised.producer, with_epoch(producer, 1));
}

TEST_F(Transactions, a_producer_that_was_replaced_after_its_timeout_may_not) {
  const ProducerIdentity producer = start_ongoing();
  broker.advance(seconds(60));
  start();
  EXPECT_EQ(broker.init(std::string(kId), 5, producer).error, ErrorCode::kProducerFenced);
  EXPECT_EQ(broker.abort(kId, producer).error, ErrorCode::kProducerFenced);
}

// --- Data in a transaction (4.8, 4.10) ---

TEST_F(Transactions, v1_produce_needs_the_partition_in_the_ongoing_transaction) {
  const ProducerIdentity producer = start();
  EXPECT_EQ(broker.produce(kId, producer, kPartition, 10), ErrorCode::kInvalidTxnState);
  EXPECT_EQ(broker.produce(kId, producer, kPartition, 11), ErrorCode::kTransactionAbortable);
  broker.add(kId, producer, {kPartition}, 0);
  EXPECT_EQ(broker.produce(kId, producer, kPartition, 7), ErrorCode::kNone);
  EXPECT_EQ(broker.produce(kId, producer, kOther, 7), ErrorCode::kInvalidTxnState);
  broker.commit(kId, producer, 1);
  // KAFKA-14053: what was delayed past the end opens nothing.
  EXPECT_EQ(broker.produce(kId, producer, kPartition, 7), ErrorCode::kInvalidTxnState);
  EXPECT_EQ(state(), TransactionState::kCompleteCommit);
}

TEST_F(Transactions, v2_produce_adds_its_partition_and_writes_that_once) {
  const ProducerIdentity producer = start_ongoing();
  const std::size_t written = broker.records.size();
  EXPECT_EQ(broker.produce(kId, producer, kPartition), ErrorCode::kNone);
  EXPECT_EQ(broker.records.size(), written);
  EXPECT_EQ(broker.produce(kId, producer, kOther), ErrorCode::kNone);
  EXPECT_EQ(broker.records.size(), written + 1);
}

TEST_F(Transactions, produce_with_a_stale_epoch_or_a_wrong_producer_is_refused) {
  const ProducerIdentity producer = start_ongoing();
  EXPECT_EQ(broker.produce(kId, with_epoch(producer, 1), kPartition),
            ErrorCode::kInvalidProducerEpoch);
  EXPECT_EQ(broker.produce(kId, {ProducerId(99), ProducerEpoch(0)}, kPartition),
            ErrorCode::kInvalidProducerIdMapping);
  EXPECT_EQ(broker.produce("somebody else", producer, kPartition),
            ErrorCode::kInvalidProducerIdMapping);
  EXPECT_EQ(broker.produce("", producer, kPartition), ErrorCode::kInvalidProducerIdMapping);
}

TEST_F(Transactions, offsets_need_their_group_in_the_transaction_before_v5) {
  const ProducerIdentity producer = start();
  const OffsetToCommit offset{.partition = kPartition, .offset = Offset(5)};
  const GroupMemberKey nobody{.group_id = "g"};
  const auto commit_offsets = [&](ProducerIdentity who, std::int16_t version) {
    return broker.txn_commit_offsets(kId, who, nobody, {offset}, version).partition_errors[0];
  };
  EXPECT_EQ(commit_offsets(producer, 3), ErrorCode::kInvalidTxnState);
  EXPECT_EQ(commit_offsets(producer, 4), ErrorCode::kTransactionAbortable);
  EXPECT_EQ(commit_offsets(with_epoch(producer, 1), 3), ErrorCode::kInvalidProducerEpoch);
  EXPECT_EQ(commit_offsets({ProducerId(99), ProducerEpoch(0)}, 3),
            ErrorCode::kInvalidProducerIdMapping);
  broker.add_group(kId, producer, "g", 0);
  EXPECT_EQ(commit_offsets(producer, 3), ErrorCode::kNone);
}

TEST_F(Transactions, offsets_v5_add_their_group) {
  const ProducerIdentity producer = start();
  const auto reply = broker.txn_commit_offsets(kId, producer, {.group_id = "g"},
                                               {{.partition = kPartition, .offset = Offset(5)}});
  EXPECT_EQ(reply.error, ErrorCode::kNone);
  EXPECT_EQ(state(), TransactionState::kOngoing);
  EXPECT_THAT(broker.describe(kId).groups, ElementsAre("g"));
}

// --- A refused part (D2a) ---

TEST_F(Transactions, a_commit_behind_a_refused_batch_is_refused_and_an_abort_ends_it) {
  const ProducerIdentity producer = start_ongoing();
  broker.mark_must_abort(producer);
  EXPECT_EQ(broker.commit(kId, producer).error, ErrorCode::kTransactionAbortable);
  EXPECT_EQ(broker.commit(kId, producer, 3).error, ErrorCode::kTransactionAbortable);
  EXPECT_EQ(state(), TransactionState::kOngoing);
  const auto aborted = broker.abort(kId, producer);
  EXPECT_EQ(aborted.error, ErrorCode::kNone);
  broker.produce(kId, aborted.producer, kPartition);
  EXPECT_EQ(broker.commit(kId, aborted.producer).error, ErrorCode::kNone);
}

TEST_F(Transactions, a_refused_first_batch_begins_a_transaction_that_can_only_abort) {
  const ProducerIdentity producer = start();
  broker.mark_must_abort(producer);
  broker.produce(kId, producer, kPartition);
  EXPECT_EQ(broker.commit(kId, producer).error, ErrorCode::kTransactionAbortable);
  EXPECT_EQ(broker.abort(kId, producer).error, ErrorCode::kNone);
}

TEST_F(Transactions, the_must_abort_mark_survives_a_restart) {
  const ProducerIdentity producer = start_ongoing();
  broker.mark_must_abort(producer);
  broker.restart(TestBroker::From::kRecords);
  EXPECT_EQ(broker.commit(kId, producer).error, ErrorCode::kTransactionAbortable);
  broker.restart(TestBroker::From::kSnapshot);
  EXPECT_EQ(broker.commit(kId, producer).error, ErrorCode::kTransactionAbortable);
}

TEST_F(Transactions, a_stale_producer_cannot_mark_its_successor) {
  const ProducerIdentity producer = start_ongoing();
  const ProducerIdentity successor = start();
  broker.produce(kId, successor, kPartition);
  broker.mark_must_abort(producer);
  EXPECT_EQ(broker.commit(kId, successor).error, ErrorCode::kNone);
}

TEST_F(Transactions, nothing_is_done_to_one_under_the_name_of_another) {
  const ProducerIdentity producer = start_ongoing();
  const ProducerIdentity other = broker.init("other", {}).producer;
  auto& transactions = broker.live->transactions();
  for (const std::string_view name : {"other", "unknown", ""}) {
    transactions.mark_must_abort({name, producer}, broker.moment(), broker.effects);
    transactions.add_doubt({name, producer}, {.topic = "t"}, broker.moment(), broker.effects);
    broker.finish_step();
    EXPECT_EQ(broker.produce(name, producer, kPartition), ErrorCode::kInvalidProducerIdMapping);
    EXPECT_NE(broker.add(name, producer, {kPartition}).error, ErrorCode::kNone);
    EXPECT_NE(broker.add_group(name, producer, "g").error, ErrorCode::kNone);
    EXPECT_NE(broker.commit(name, producer).error, ErrorCode::kNone);
    EXPECT_NE(broker.abort(name, producer).error, ErrorCode::kNone);
    EXPECT_NE(broker
                  .txn_commit_offsets(name, producer, {.group_id = "g"},
                                      {{.partition = kPartition, .offset = Offset(5)}})
                  .error,
              ErrorCode::kNone);
  }
  EXPECT_EQ(broker.produce("other", other, kPartition), ErrorCode::kNone);
  EXPECT_EQ(broker.commit(kId, producer).error, ErrorCode::kNone);
}

TEST_F(Transactions, refused_offsets_mark_their_transaction) {
  const ProducerIdentity producer = start_ongoing();
  const GroupMemberKey zombie{.group_id = "g", .member_id = "gone", .generation = GenerationId(3)};
  EXPECT_EQ(broker
                .txn_commit_offsets(kId, producer, zombie,
                                    {{.partition = kPartition, .offset = Offset(5)}})
                .error,
            ErrorCode::kIllegalGeneration);
  EXPECT_EQ(broker.commit(kId, producer).error, ErrorCode::kTransactionAbortable);
}

// --- Delayed connections (6.A.1) ---

TEST_F(Transactions, a_request_from_an_older_connection_changes_nothing_and_closes_it) {
  const ProducerIdentity producer = broker.init(std::string(kId), 1, {}, 7).producer;
  broker.add(kId, producer, {kPartition}, 0, 7);
  // KAFKA-17754: the answer was lost, the client asked again on a new connection and went on.
  EXPECT_EQ(broker.end(kId, producer, TransactionResult::kCommit, 1, 9).error, ErrorCode::kNone);
  broker.add(kId, producer, {kPartition}, 0, 9);
  const auto delayed = broker.end(kId, producer, TransactionResult::kCommit, 1, 7);
  EXPECT_EQ(delayed.verdict, ConnectionVerdict::kClose);
  EXPECT_EQ(state(), TransactionState::kOngoing);
  EXPECT_EQ(broker.add(kId, producer, {kOther}, 0, 7).verdict, ConnectionVerdict::kClose);
  EXPECT_EQ(broker.init(std::string(kId), 1, {}, 7).verdict, ConnectionVerdict::kClose);
  EXPECT_EQ(broker.end(kId, producer, TransactionResult::kCommit, 1, 9).verdict,
            ConnectionVerdict::kKeep);
}

TEST_F(Transactions, a_fenced_producer_on_an_older_connection_gets_its_error) {
  const ProducerIdentity former = broker.init(std::string(kId), 5, {}, 7).producer;
  broker.init(std::string(kId), 5, {}, 9);
  const auto reply = broker.end(kId, former, TransactionResult::kAbort, 5, 7);
  EXPECT_EQ(reply.verdict, ConnectionVerdict::kKeep);
  EXPECT_EQ(reply.error, ErrorCode::kProducerFenced);
}

TEST_F(Transactions, a_stranger_on_a_newer_connection_does_not_shut_the_owner_out) {
  const ProducerIdentity producer = broker.init(std::string(kId), 1, {}, 7).producer;
  broker.add(kId, with_epoch(producer, 5), {kPartition}, 0, 12);
  EXPECT_EQ(broker.add(kId, producer, {kPartition}, 0, 7).verdict, ConnectionVerdict::kKeep);
}

TEST_F(Transactions, connections_of_a_former_life_of_the_broker_do_not_count) {
  const ProducerIdentity producer = broker.init(std::string(kId), 1, {}, 7).producer;
  broker.restart(TestBroker::From::kRecords);
  EXPECT_EQ(broker.add(kId, producer, {kPartition}, 0, 1).verdict, ConnectionVerdict::kKeep);
}

// --- Looking ---

TEST_F(Transactions, are_described_and_listed_with_filters) {
  const ProducerIdentity producer = start_ongoing();
  broker.init("a second");
  broker.advance(seconds(10));
  EXPECT_FALSE(broker.live->transactions().describe("unknown").has_value());
  const TransactionDescription described = broker.describe(kId);
  EXPECT_EQ(to_string(described.state), "Ongoing");
  EXPECT_EQ(described.timeout, seconds(60));
  ASSERT_TRUE(described.started_at.has_value());
  EXPECT_EQ(broker.moment().wall.ms - described.started_at->ms, 10'000);
  const auto list = [&](const TransactionFilter& filter) {
    std::vector<std::string> ids;
    for (const auto& one : broker.live->transactions().list(filter, broker.moment())) {
      ids.push_back(one.transactional_id);
    }
    return ids;
  };
  EXPECT_THAT(list({}), ElementsAre("a second", kId));
  EXPECT_THAT(list({.states = {TransactionState::kOngoing}}), ElementsAre(kId));
  EXPECT_THAT(list({.producer_ids = {producer.id}}), ElementsAre(kId));
  EXPECT_THAT(list({.running_longer_than = seconds(9)}), ElementsAre(kId));
  EXPECT_THAT(list({.running_longer_than = seconds(10)}), ElementsAre());
  EXPECT_EQ(broker.live->transactions().find_by_producer_id(producer.id), kId);
  EXPECT_EQ(broker.live->transactions().ongoing_count(), 1U);
}

TEST_F(Transactions, the_number_of_ids_has_a_limit) {
  TestBroker small({.transactions = {.transactional_id_count_max = 1}});
  EXPECT_EQ(small.init("a").error, ErrorCode::kNone);
  EXPECT_EQ(small.init("b").error, ErrorCode::kCoordinatorNotAvailable);
  EXPECT_EQ(small.init("a").error, ErrorCode::kNone);
}

}  // namespace
}  // namespace onceflow::coordinator
