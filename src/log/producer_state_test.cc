#include "log/producer_state.h"

#include <gtest/gtest.h>

#include <limits>

namespace onceflow::log {
namespace {

using enum protocol::ErrorCode;

constexpr MonotonicTime kNow{seconds(5)};
constexpr std::int32_t kSequenceMax = std::numeric_limits<std::int32_t>::max();

IncomingBatch batch(std::int32_t sequence, std::int16_t epoch = 0, std::int32_t records = 1,
                    bool transactional = false) {
  return {.producer = {ProducerId(1), ProducerEpoch(epoch)},
          .first_sequence = Sequence(sequence),
          .last_offset_delta = records - 1,
          .is_transactional = transactional};
}

struct States : ProducerStates {
  Offset next{100};
  void add(const IncomingBatch& incoming, MonotonicTime now = kNow) {
    apply(incoming,
          {.first_sequence = incoming.first_sequence,
           .last_sequence = incoming.last_sequence(),
           .first_offset = next,
           .last_offset = next + std::int64_t{incoming.last_offset_delta}},
          -1, now);
    next = next + (std::int64_t{incoming.last_offset_delta} + 1);
  }
  protocol::ErrorCode ask(const IncomingBatch& incoming) const {
    return check(incoming, UnknownProducer::kAnySequence);
  }
};

TEST(ProducerStates, sequences_follow_one_another) {
  States states;
  states.add(batch(0, 0, 3));
  EXPECT_EQ(states.ask(batch(3)), kNone);
  EXPECT_EQ(states.ask(batch(2)), kOutOfOrderSequenceNumber);
  EXPECT_EQ(states.ask(batch(4)), kOutOfOrderSequenceNumber);
}

TEST(ProducerStates, sequences_wrap_to_zero) {
  States states;
  states.add(batch(kSequenceMax, 0, 1));
  EXPECT_EQ(states.ask(batch(0)), kNone);
  States across;
  across.add(batch(kSequenceMax - 1, 0, 4));  // max-1, max, 0, 1
  EXPECT_EQ(across.ask(batch(2)), kNone);
  EXPECT_NE(across.find_duplicate(batch(kSequenceMax - 1, 0, 4)), nullptr);
}

TEST(ProducerStates, an_unknown_producer_may_begin_anywhere_unless_it_must_begin_at_zero) {
  States states;
  EXPECT_EQ(states.ask(batch(17)), kNone);
  EXPECT_EQ(states.check(batch(17), UnknownProducer::kSequenceZero), kOutOfOrderSequenceNumber);
  EXPECT_EQ(states.check(batch(0), UnknownProducer::kSequenceZero), kNone);
}

TEST(ProducerStates, duplicates_are_found_among_the_last_five_of_the_epoch) {
  States states;
  for (std::int32_t sequence = 0; sequence < 6; ++sequence) {
    states.add(batch(sequence));
  }
  EXPECT_EQ(states.find_duplicate(batch(0)), nullptr);
  EXPECT_EQ(states.ask(batch(0)), kOutOfOrderSequenceNumber);
  for (std::int32_t sequence = 1; sequence < 6; ++sequence) {
    ASSERT_NE(states.find_duplicate(batch(sequence)), nullptr);
    EXPECT_EQ(states.find_duplicate(batch(sequence))->first_offset, Offset(100 + sequence));
  }
  EXPECT_EQ(states.find_duplicate(batch(5, 1)), nullptr);
  EXPECT_EQ(states.find_duplicate(batch(4, 0, 2)), nullptr) << "other boundaries";
}

TEST(ProducerStates, an_old_epoch_is_fenced_and_a_new_one_begins_at_zero) {
  States states;
  states.add(batch(0, 3));
  EXPECT_EQ(states.ask(batch(1, 2)), kInvalidProducerEpoch);
  EXPECT_EQ(states.ask(batch(1, 4)), kOutOfOrderSequenceNumber);
  EXPECT_EQ(states.ask(batch(0, 4)), kNone);
  states.add(batch(0, 4));
  EXPECT_EQ(states.find(ProducerId(1))->batches().size(), 1u);
  EXPECT_EQ(
      states.check(batch(0, 3), UnknownProducer::kAnySequence, ProducerStates::EpochCheck::kOff),
      kNone);
}

TEST(ProducerStates,
     the_epoch_is_judged_before_the_sequence_and_the_sequence_before_the_transaction) {
  States states;
  states.add(batch(0, 3, 1, true));
  EXPECT_EQ(states.ask(batch(9, 2, 1, false)), kInvalidProducerEpoch);
  EXPECT_EQ(states.ask(batch(9, 3, 1, false)), kOutOfOrderSequenceNumber);
  EXPECT_EQ(states.ask(batch(1, 3, 1, false)), kInvalidTxnState);
  EXPECT_EQ(states.ask(batch(1, 3, 1, true)), kNone);
}

TEST(ProducerStates, a_marker_of_the_same_epoch_keeps_the_sequence) {
  States states;
  states.add(batch(0, 0, 1, true));
  EXPECT_EQ(states.apply_marker({ProducerId(1), ProducerEpoch(0)}, 0, 1, kNow), Offset(100));
  EXPECT_EQ(states.ask(batch(1, 0, 1, true)), kNone);
  EXPECT_NE(states.find_duplicate(batch(0, 0, 1, true)), nullptr);
  EXPECT_EQ(states.apply_marker({ProducerId(1), ProducerEpoch(0)}, 0, 1, kNow), std::nullopt);
}

TEST(ProducerStates, a_marker_of_a_newer_epoch_clears_the_batches) {
  States states;
  states.add(batch(0, 0, 1, true));
  states.apply_marker({ProducerId(1), ProducerEpoch(1)}, 0, 1, kNow);
  EXPECT_EQ(states.ask(batch(1, 0, 1, true)), kInvalidProducerEpoch);
  EXPECT_EQ(states.ask(batch(1, 1, 1, true)), kOutOfOrderSequenceNumber);
  EXPECT_EQ(states.ask(batch(0, 1, 1, true)), kNone);
}

TEST(ProducerStates, a_marker_fences_one_that_has_not_written_where_there_is_room) {
  States states;
  EXPECT_EQ(states.apply_marker({ProducerId(1), ProducerEpoch(1)}, 0, 1, kNow), std::nullopt);
  EXPECT_EQ(states.ask(batch(0, 0)), kInvalidProducerEpoch);
  states.apply_marker({ProducerId(2), ProducerEpoch(1)}, 0, 1, kNow, ProducerStates::Room::kNone);
  EXPECT_EQ(states.size(), 1u);
}

TEST(ProducerStates, expiry_spares_open_transactions) {
  States states;
  states.add(batch(0, 0, 1, true), kNow);
  EXPECT_EQ(states.expire(kNow + seconds(1)), 0u);
  states.apply_marker({ProducerId(1), ProducerEpoch(0)}, 0, 1, kNow);
  EXPECT_EQ(states.expire(kNow), 0u);
  EXPECT_EQ(states.expire(kNow + seconds(1)), 1u);
}

TEST(ProducerStates, all_of_it_survives_a_checkpoint) {
  States states;
  for (std::int32_t sequence = 0; sequence < 7; ++sequence) {
    states.add(batch(sequence, 2, 1, true), MonotonicTime(seconds(3)));
  }
  Buffer bytes;
  WireWriter writer(bytes);
  states.encode(writer, kNow);
  WireReader reader(bytes);
  const MonotonicTime later{seconds(1000)};
  const ProducerStates decoded = ProducerStates::decode(reader, later);
  ASSERT_TRUE(reader.ok());
  const ProducerState* state = decoded.find(ProducerId(1));
  ASSERT_NE(state, nullptr);
  EXPECT_EQ(state->epoch, ProducerEpoch(2));
  EXPECT_EQ(state->batches().size(), 5u);
  EXPECT_EQ(state->transaction_first_offset, Offset(100));
  EXPECT_EQ(state->last_receipt, later - seconds(2));
  EXPECT_EQ(decoded.find_duplicate(batch(3, 2, 1, true))->first_offset, Offset(103));
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
    WireReader short_reader(ByteView(bytes).first(cut));
    static_cast<void>(ProducerStates::decode(short_reader, later));
    EXPECT_FALSE(short_reader.ok());
  }
}

}  // namespace
}  // namespace onceflow::log
