#include "client/producer.h"

#include "client/client_testing.h"

namespace onceflow::client {
namespace {

using protocol::ApiKey;
using testing::ElementsAre;
using Fate = FakeBroker::Fate;

class ProducerTest : public ClientTest {
 public:
  Producer make(ProducerOptions options = {.linger = milliseconds(0)}) {
    return {cluster_, options};
  }
  std::vector<std::int32_t> sequences() const {
    std::vector<std::int32_t> all;
    for (const Buffer& batch : produced()) {
      all.push_back(header(batch).base_sequence.value);
    }
    return all;
  }
  const TopicPartition partition_{"t", PartitionIndex(0)};
};

TEST_F(ProducerTest, records_of_a_batch_are_acknowledged_with_their_offsets) {
  broker_.next_offset = 40;
  Producer producer = make();
  const PartitionSlot slot = producer.slot(partition_);
  EXPECT_EQ(producer.slot(partition_), slot);
  EXPECT_EQ(producer.acknowledged_end(slot), kNoOffset);
  good(producer.append(slot, record("a")));
  good(producer.append(slot, record("b")));
  good(producer.flush(deadline()));
  EXPECT_EQ(producer.acknowledged_end(slot), Offset(42));
  ASSERT_EQ(produced().size(), 1);
  EXPECT_EQ(header(produced()[0]).records_count, 2);
  EXPECT_EQ(header(produced()[0]).producer_id, ProducerId(7));
  good(producer.append(slot, record("c")));
  good(producer.flush(deadline()));
  EXPECT_THAT(sequences(), ElementsAre(0, 2));
}

TEST_F(ProducerTest, a_batch_without_an_answer_is_sent_again_byte_for_byte) {
  broker_.set_fates(ApiKey::kProduce, {Fate::kHangUp});
  Producer producer = make();
  const PartitionSlot slot = producer.slot(partition_);
  good(producer.append(slot, record("a")));
  good(producer.flush(deadline()));
  const auto batches = produced();
  ASSERT_EQ(batches.size(), 2);
  EXPECT_EQ(batches[0], batches[1]);
  EXPECT_EQ(producer.statistics().retry_count, 1);
}

TEST_F(ProducerTest, after_a_failure_batches_go_again_one_by_one_in_their_order) {
  Producer producer = make({.linger = seconds(10), .batch_bytes_max = 100});
  const PartitionSlot slot = producer.slot(partition_);
  good(producer.append(slot, record("the first goes alone")));
  good(producer.flush(deadline()));
  using enum protocol::ErrorCode;
  // The first is put off; those behind it meet a gap, which is no surprise.
  broker_.produce_errors = {kNotLeaderOrFollower, kOutOfOrderSequenceNumber,
                            kOutOfOrderSequenceNumber, kOutOfOrderSequenceNumber,
                            kOutOfOrderSequenceNumber};
  for (int index = 0; index < 5; ++index) {
    good(producer.append(slot, record(std::string(40, 'x'))));
  }
  good(producer.flush(deadline()));
  EXPECT_THAT(sequences(), ElementsAre(0, 1, 2, 3, 4, 5, 1, 2, 3, 4, 5));
  EXPECT_EQ(producer.acknowledged_end(slot), Offset(6));
}

TEST_F(ProducerTest, no_more_than_five_batches_of_a_partition_are_in_flight) {
  Producer producer = make({.linger = seconds(10), .batch_bytes_max = 100});
  const PartitionSlot slot = producer.slot(partition_);
  good(producer.append(slot, record("the first goes alone")));
  good(producer.flush(deadline()));
  broker_.set_fates(ApiKey::kProduce, std::deque<Fate>(20, Fate::kSilence));
  for (int index = 0; index < 12; ++index) {
    good(producer.append(slot, record(std::string(40, 'x'))));
  }
  EXPECT_FALSE(run(producer.flush(loop_.now() + milliseconds(200))));
  EXPECT_EQ(produced().size(), 1 + 5);
}

TEST_F(ProducerTest, the_first_batch_of_a_partition_goes_alone) {
  Producer producer = make({.linger = seconds(10), .batch_bytes_max = 100});
  const PartitionSlot slot = producer.slot(partition_);
  broker_.set_fates(ApiKey::kProduce, std::deque<Fate>(20, Fate::kSilence));
  for (int index = 0; index < 12; ++index) {
    good(producer.append(slot, record(std::string(40, 'x'))));
  }
  EXPECT_FALSE(run(producer.flush(loop_.now() + milliseconds(200))));
  EXPECT_EQ(produced().size(), 1);
}

TEST_F(ProducerTest, a_duplicate_is_as_good_as_an_acknowledgement) {
  broker_.produce_errors = {protocol::ErrorCode::kDuplicateSequenceNumber};
  Producer producer = make();
  good(producer.append(producer.slot(partition_), record("a")));
  good(producer.flush(deadline()));
  EXPECT_EQ(produced().size(), 1);
}

TEST_F(ProducerTest, of_a_log_that_does_not_know_it_it_asks_for_an_identity_of_its_own) {
  Producer producer = make({.linger = seconds(10), .batch_bytes_max = 100});
  const PartitionSlot slot = producer.slot(partition_);
  good(producer.append(slot, record("the first goes alone")));
  good(producer.flush(deadline()));
  using enum protocol::ErrorCode;
  broker_.produce_errors = {kUnknownProducerId, kUnknownProducerId};
  for (int index = 0; index < 2; ++index) {
    good(producer.append(slot, record(std::string(40, 'x'))));
  }
  good(producer.flush(deadline()));
  EXPECT_THAT(sequences(), ElementsAre(0, 1, 2, 0, 1));
  EXPECT_EQ(broker_.next_epoch, 2);
}

TEST_F(ProducerTest, a_batch_that_is_refused_ends_the_producer) {
  broker_.produce_errors = {protocol::ErrorCode::kInvalidRecord};
  Producer producer = make();
  std::vector<bool> deliveries;
  producer.on_delivery(
      [&](const Delivery& delivery) { deliveries.push_back(delivery.base_offset.has_value()); });
  const PartitionSlot slot = producer.slot(partition_);
  good(producer.append(slot, record("a")));
  const Status status = run(producer.flush(deadline()));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kRefused);
  EXPECT_EQ(status.error().recovery, Recovery::kFatal);
  EXPECT_FALSE(producer.append(slot, record("b")));
  EXPECT_THAT(deliveries, ElementsAre(false));
}

TEST_F(ProducerTest, what_was_given_up_is_not_delivered_by_a_later_answer) {
  Producer producer = make({.linger = seconds(10), .batch_bytes_max = 100});
  const PartitionSlot slot = producer.slot(partition_);
  good(producer.append(slot, record("the first goes alone")));
  good(producer.flush(deadline()));
  std::vector<bool> deliveries;
  producer.on_delivery(
      [&](const Delivery& delivery) { deliveries.push_back(delivery.base_offset.has_value()); });
  // Two are in flight when the first is refused, and the second is answered after that; the third
  // is still open.
  broker_.produce_errors = {protocol::ErrorCode::kInvalidRecord};
  for (int index = 0; index < 2; ++index) {
    good(producer.append(slot, record(std::string(40, 'x'))));
  }
  good(producer.append(slot, record("a")));
  EXPECT_TRUE(loop_.run_until([&] { return deliveries.size() >= 3; }, seconds(10)));
  EXPECT_FALSE(loop_.run_until([&] { return deliveries.size() > 3; }, milliseconds(200)));
  EXPECT_THAT(deliveries, ElementsAre(false, false, false));
}

TEST_F(ProducerTest, what_cannot_be_delivered_in_time_is_given_up) {
  Producer producer = make({.linger = milliseconds(0), .delivery_timeout = milliseconds(300)});
  good(producer.append(producer.slot(partition_), record("a")));
  good(producer.flush(deadline()));
  broker_.stop();
  good(producer.append(producer.slot(partition_), record("b")));
  const Status status = run(producer.flush(deadline()));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kTimedOut);
}

TEST_F(ProducerTest, what_is_not_taken_in_time_says_why) {
  broker_.produce_errors.assign(100, protocol::ErrorCode::kKafkaStorageError);
  Producer producer = make();
  good(producer.append(producer.slot(partition_), record("a")));
  const Status status = run(producer.flush(loop_.now() + milliseconds(300)));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kTimedOut);
  EXPECT_THAT(status.error().text,
              testing::HasSubstr("flush: not in time; last: Produce to " + partition_.topic));
  EXPECT_THAT(status.error().text, testing::HasSubstr("KAFKA_STORAGE_ERROR"));
}

TEST_F(ProducerTest, a_broker_that_restarts_is_waited_for) {
  Producer producer = make();
  const PartitionSlot slot = producer.slot(partition_);
  good(producer.append(slot, record("a")));
  good(producer.flush(deadline()));
  broker_.stop();
  good(producer.append(slot, record("b")));
  loop_.schedule_after(milliseconds(400), [this] { broker_.start(); });
  good(producer.flush(deadline()));
  EXPECT_EQ(producer.acknowledged_end(slot), Offset(2));
}

TEST_F(ProducerTest, lingering_gathers_records_into_one_batch) {
  Producer producer = make({.linger = milliseconds(30)});
  const PartitionSlot slot = producer.slot(partition_);
  for (int index = 0; index < 10; ++index) {
    good(producer.append(slot, record("a")));
  }
  EXPECT_TRUE(
      loop_.run_until([&] { return producer.statistics().record_count == 10; }, seconds(10)));
  EXPECT_EQ(produced().size(), 1);
}

TEST_F(ProducerTest, a_full_buffer_says_so_and_empties) {
  Producer producer = make({.linger = milliseconds(0), .buffer_bytes_max = 2000});
  const PartitionSlot slot = producer.slot(partition_);
  while (producer.has_room()) {
    good(producer.append(slot, record(std::string(100, 'x'))));
  }
  good(producer.wait_for_room(deadline()));
  EXPECT_TRUE(producer.has_room());
}

TEST_F(ProducerTest, a_record_that_fits_no_request_is_refused_alone) {
  Producer producer = make({.linger = milliseconds(0), .request_bytes_max = 1000});
  const PartitionSlot slot = producer.slot(partition_);
  const Status status = producer.append(slot, record(std::string(1000, 'x')));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kInvalidArgument);
  good(producer.append(slot, record("a")));
  good(producer.flush(deadline()));
}

TEST_F(ProducerTest, a_record_that_its_topic_does_not_take_is_refused_with_rule_and_fix) {
  Producer producer = make();
  const PartitionSlot slot = producer.slot(partition_);
  producer.limit_batches(slot, 500);
  const Status status = producer.append(slot, record(std::string(600, 'x')),
                                        {.source_index = 3, .offset = Offset(7)});
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kInvalidArgument);
  for (const char* words : {"for t-0", "max.message.bytes, 500 bytes", "max.message.bytes=1024"}) {
    EXPECT_TRUE(status.error().text.contains(words)) << status.error().text;
  }
  ASSERT_TRUE(producer.refused_origin());
  EXPECT_EQ(producer.refused_origin()->source_index, 3);
  EXPECT_EQ(producer.refused_origin()->offset, Offset(7));
  good(producer.append(slot, record("a")));
  good(producer.flush(deadline()));
}

TEST_F(ProducerTest, batches_are_no_larger_than_the_topic_takes) {
  Producer producer = make({.linger = seconds(10)});
  const PartitionSlot slot = producer.slot(partition_);
  producer.limit_batches(slot, 300);
  for (int index = 0; index < 20; ++index) {
    good(producer.append(slot, record(std::string(50, 'x'))));
  }
  good(producer.flush(deadline()));
  EXPECT_EQ(producer.acknowledged_end(slot), Offset(20));
  for (const Buffer& batch : produced()) {
    EXPECT_LE(batch.size(), 300);
  }
}

TEST_F(ProducerTest, a_request_may_be_as_large_as_a_batch_of_its_topic) {
  Producer producer = make();
  const PartitionSlot slot = producer.slot(partition_);
  const std::string large(std::size_t{5} << 20, 'x');
  EXPECT_FALSE(producer.append(slot, record(large)));
  producer.limit_batches(slot, std::size_t{6} << 20);
  good(producer.append(slot, record(large)));
  good(producer.flush(deadline()));
}

TEST_F(ProducerTest, a_batch_that_is_too_large_is_divided_and_no_sequence_is_lost) {
  using enum protocol::ErrorCode;
  Producer producer = make({.linger = seconds(10)});
  const PartitionSlot slot = producer.slot(partition_);
  broker_.produce_errors = {kMessageTooLarge, kMessageTooLarge};
  for (const char* value : {"a", "b", "c", "d", "e"}) {
    good(producer.append(slot, record(value)));
  }
  good(producer.flush(deadline()));
  // 5 records, then 3, then 2 and 1, then the other 2.
  EXPECT_THAT(sequences(), ElementsAre(0, 0, 0, 2, 3));
  EXPECT_EQ(producer.acknowledged_end(slot), Offset(5));
  std::string values;
  for (std::size_t index = 2; index < produced().size(); ++index) {
    const Buffer batch = produced()[index];
    const auto decoded = protocol::DecodedBatch::decode(*protocol::RecordBatchView::parse(batch));
    for (const protocol::RecordView& each : decoded->records()) {
      values += as_text(*each.value);
    }
  }
  EXPECT_EQ(values, "abcde");
}

TEST_F(ProducerTest, the_record_of_a_batch_that_is_at_fault_is_found_and_named) {
  using enum protocol::ErrorCode;
  Producer producer = make({.linger = seconds(10)});
  const PartitionSlot slot = producer.slot(partition_);
  broker_.produce_errors = {kInvalidRecord, kNone, kInvalidRecord};
  for (const char* value : {"a", "b", "c"}) {
    good(producer.append(slot, {.value = as_bytes(std::string_view(value))}));
  }
  const Status status = run(producer.flush(deadline()));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kRefused);
  EXPECT_EQ(status.error().recovery, Recovery::kFatal);
  EXPECT_TRUE(status.error().text.contains("INVALID_RECORD; the fix: ")) << status.error().text;
}

TEST_F(ProducerTest, what_nobody_can_tell_is_tried_once_more) {
  using enum protocol::ErrorCode;
  Producer producer = make();
  const PartitionSlot slot = producer.slot(partition_);
  broker_.produce_errors = {kCorruptMessage};
  good(producer.append(slot, record("a")));
  good(producer.flush(deadline()));
  broker_.produce_errors = {kCorruptMessage, kCorruptMessage};
  good(producer.append(slot, record("b")));
  const Status status = run(producer.flush(deadline()));
  ASSERT_FALSE(status);
  EXPECT_TRUE(status.error().text.contains("CORRUPT_MESSAGE")) << status.error().text;
  EXPECT_EQ(produced().size(), 4);
}

TEST_F(ProducerTest, closing_ends_a_flush) {
  broker_.set_fates(ApiKey::kProduce, {Fate::kSilence});
  Producer producer = make();
  good(producer.append(producer.slot(partition_), record("a")));
  loop_.schedule_after(milliseconds(50), [&] { producer.close(); });
  const Status status = run(producer.flush(deadline()));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kCancelled);
}

}  // namespace
}  // namespace onceflow::client
