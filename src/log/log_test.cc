#include "log/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "log/log_testing.h"

namespace onceflow::log {
namespace {

using protocol::ErrorCode;
using testing::BatchSpec;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::TestLog;

constexpr ProducerIdentity kProducer{ProducerId(7), ProducerEpoch(0)};

// LOG-3.
TEST(Log, a_batch_is_visible_once_it_is_durable) {
  TestLog test;
  test.open();
  test.create();
  const auto appended = test.append({.records = 2, .value = "a"});
  ASSERT_TRUE(appended);
  EXPECT_EQ(appended->base_offset, Offset(0));
  EXPECT_EQ(test.partition().log_end_offset(), Offset(2));
  EXPECT_EQ(test.partition().high_watermark(), Offset(0));
  bool durable = false;
  test.log->when_durable(appended->position, [&] { durable = true; });
  test.world.scheduler.run_posted();
  EXPECT_FALSE(durable);
  test.settle();
  EXPECT_TRUE(durable);
  EXPECT_EQ(test.partition().high_watermark(), Offset(2));
  EXPECT_THAT(test.values(test.partition()), ElementsAre("0:a", "1:a"));
}

TEST(Log, everything_appended_while_a_write_is_under_way_goes_with_the_next) {
  TestLog test;
  test.open();
  test.create();
  test.settle();
  const std::uint64_t before = test.log->statistics().journal_flushes;
  test.append();
  test.world.scheduler.run_posted();
  for (int index = 0; index < 100; ++index) {
    test.append();
  }
  test.settle();
  EXPECT_EQ(test.log->statistics().journal_flushes - before, 2u);
  EXPECT_EQ(test.partition().high_watermark(), Offset(101));
}

TEST(Log, callbacks_come_in_the_order_of_positions) {
  TestLog test;
  test.open();
  test.create();
  std::vector<int> order;
  const auto first = test.append();
  const auto second = test.append();
  test.log->when_durable(second->position, [&] { order.push_back(2); });
  test.log->when_durable(first->position, [&] { order.push_back(1); });
  test.settle();
  EXPECT_THAT(order, ElementsAre(1, 2));
}

// LOG-1, LOG-2.
TEST(Log, all_is_there_after_the_process_dies) {
  TestLog test;
  test.open();
  test.create();
  test.append({.value = "a"});
  test.append({.value = "b"});
  test.settle();
  test.crash_process();
  test.open();
  EXPECT_THAT(test.values(test.partition()), ElementsAre("0:a", "1:b"));
  test.append({.value = "c"});
  test.settle();
  test.crash_machine();
  test.open();
  EXPECT_THAT(test.values(test.partition()), ElementsAre("0:a", "1:b", "2:c"));
}

TEST(Log, all_is_there_after_a_clean_close_and_nothing_is_replayed) {
  TestLog test;
  test.open();
  test.create("t", 3);
  test.append({.value = "a"});
  test.append_to(test.partition("t", 2), {.value = "b"});
  test.snapshot = "groups";
  test.close();
  test.crash_machine();
  test.open();
  EXPECT_EQ(test.log->statistics().replayed_bytes, 0u);
  EXPECT_THAT(test.values(test.partition()), ElementsAre("0:a"));
  EXPECT_THAT(test.values(test.partition("t", 2)), ElementsAre("0:b"));
  EXPECT_THAT(test.listener.events, ElementsAre("snapshot groups"));
}

// PRD-1.
TEST(Log, a_retry_gets_the_first_offset_and_the_position_to_wait_for) {
  TestLog test;
  test.open();
  test.create();
  const BatchSpec spec{.records = 3, .producer = kProducer, .sequence = Sequence(0)};
  const auto first = test.append(spec);
  const auto retry = test.append(spec);
  ASSERT_TRUE(retry);
  EXPECT_TRUE(retry->is_duplicate);
  EXPECT_EQ(retry->base_offset, first->base_offset);
  EXPECT_EQ(retry->position, first->position);
  EXPECT_GT(retry->position, test.log->durable());
  EXPECT_EQ(test.partition().log_end_offset(), Offset(3));
}

TEST(Log, five_batches_are_known_after_a_crash_with_and_without_a_checkpoint) {
  for (const bool with_checkpoint : {false, true}) {
    TestLog test;
    test.open();
    test.create();
    for (int sequence = 0; sequence < 5; ++sequence) {
      ASSERT_TRUE(test.append({.producer = kProducer, .sequence = Sequence(sequence)}));
    }
    test.settle();
    if (with_checkpoint) {
      test.checkpoint();
    }
    test.crash_machine();
    test.open();
    for (int sequence = 0; sequence < 5; ++sequence) {
      const auto retry = test.append({.producer = kProducer, .sequence = Sequence(sequence)});
      ASSERT_TRUE(retry);
      EXPECT_TRUE(retry->is_duplicate);
      EXPECT_EQ(retry->base_offset, Offset(sequence));
    }
  }
}

TEST(Log, the_seeded_bug_forgets_the_oldest_of_five) {
  TestLog test;
  test.world.seeded_bug = SeededBug::kForgetOneOfFiveBatches;
  test.open();
  test.create();
  for (int sequence = 0; sequence < 5; ++sequence) {
    test.append({.producer = kProducer, .sequence = Sequence(sequence)});
  }
  test.settle();
  test.crash_process();
  test.open();
  EXPECT_EQ(test.append({.producer = kProducer, .sequence = Sequence(0)}).error(),
            ErrorCode::kOutOfOrderSequenceNumber);
}

// PRD-2.
TEST(Log, a_stale_epoch_appends_nothing) {
  TestLog test;
  test.open();
  test.create();
  test.append({.producer = {ProducerId(7), ProducerEpoch(3)}, .sequence = Sequence(0)});
  EXPECT_EQ(
      test.append({.producer = {ProducerId(7), ProducerEpoch(2)}, .sequence = Sequence(0)}).error(),
      ErrorCode::kInvalidProducerEpoch);
  EXPECT_EQ(test.partition().log_end_offset(), Offset(1));
}

EndTransaction end_of(TestLog& test, bool commit, ProducerIdentity producer = kProducer) {
  return {.producer = producer,
          .commit = commit,
          .timestamp_ms = 5,
          .partitions = {test.partition().id()}};
}

TEST(Log, an_open_transaction_holds_the_last_stable_offset) {
  TestLog test;
  test.open();
  test.create();
  test.append({.value = "plain"});
  test.append(
      {.value = "x", .producer = kProducer, .sequence = Sequence(0), .transactional = true});
  test.append({.value = "after"});
  test.settle();
  EXPECT_EQ(test.partition().high_watermark(), Offset(3));
  EXPECT_EQ(test.partition().last_stable_offset(), Offset(1));
  EXPECT_THAT(test.values(test.partition(), IsolationLevel::kReadCommitted),
              ElementsAre("0:plain"));
  const auto end = test.log->append_end_transaction(end_of(test, true), as_bytes("decided"));
  EXPECT_EQ(end.offsets, std::vector{Offset(3)});
  EXPECT_EQ(test.partition().last_stable_offset(), Offset(1));
  test.settle();
  EXPECT_EQ(test.partition().last_stable_offset(), Offset(4));
  EXPECT_THAT(test.values(test.partition(), IsolationLevel::kReadCommitted),
              ElementsAre("0:plain", "1:x", "2:after", "3:marker"));
}

TEST(Log, the_last_stable_offset_never_passes_a_marker_that_is_not_durable) {
  TestLog test;
  test.open();
  test.create();
  test.append({.producer = kProducer, .sequence = Sequence(0), .transactional = true});
  test.world.scheduler.run_posted();  // the data is on its way
  test.log->append_end_transaction(end_of(test, true), {});
  test.world.scheduler.run_until([&] { return test.partition().high_watermark() == Offset(1); });
  EXPECT_EQ(test.partition().last_stable_offset(), Offset(0));
  test.settle();
  EXPECT_EQ(test.partition().last_stable_offset(), Offset(2));
}

TEST(Log, the_seeded_bug_lets_the_last_stable_offset_pass_it) {
  TestLog test;
  test.world.seeded_bug = SeededBug::kLastStablePastUnsyncedMarker;
  test.open();
  test.create();
  test.append({.producer = kProducer, .sequence = Sequence(0), .transactional = true});
  test.world.scheduler.run_posted();
  test.log->append_end_transaction(end_of(test, true), {});
  test.world.scheduler.run_until([&] { return test.partition().high_watermark() == Offset(1); });
  EXPECT_EQ(test.partition().last_stable_offset(), Offset(1));
}

// TXN-1.
TEST(Log, an_aborted_transaction_is_listed_for_the_range_it_touches) {
  TestLog test;
  test.open();
  test.create();
  test.append({.value = "a"});
  test.append(
      {.value = "x", .producer = kProducer, .sequence = Sequence(0), .transactional = true});
  test.append({.value = "b"});
  test.log->append_end_transaction(end_of(test, false), {});
  test.append({.value = "c"});
  test.settle();
  for (const char* when : {"before", "after a crash", "after a checkpoint"}) {
    SCOPED_TRACE(when);
    Partition& partition = test.partition();
    EXPECT_EQ(partition.last_stable_offset(), Offset(5));
    const auto around = partition.aborted_transactions(Offset(2), Offset(3));
    ASSERT_EQ(around.size(), 1u);
    EXPECT_EQ(around[0].producer, kProducer.id);
    EXPECT_EQ(around[0].first_offset, Offset(1));
    EXPECT_EQ(around[0].last_offset, Offset(3));
    EXPECT_THAT(partition.aborted_transactions(Offset(4), Offset(5)), IsEmpty());
    EXPECT_THAT(partition.aborted_transactions(Offset(0), Offset(1)), IsEmpty());
    test.crash_machine();
    test.open();
    if (std::string(when) == "after a crash") {
      test.checkpoint();
    }
  }
}

TEST(Log, an_open_transaction_is_open_after_a_crash_and_can_be_ended) {
  for (const bool with_checkpoint : {false, true}) {
    TestLog test;
    test.open();
    test.create();
    test.append({.producer = kProducer, .sequence = Sequence(0), .transactional = true});
    test.settle();
    if (with_checkpoint) {
      test.checkpoint();
    }
    test.crash_machine();
    test.open();
    EXPECT_EQ(test.partition().last_stable_offset(), Offset(0));
    EXPECT_EQ(test.partition().open_transactions().size(), 1u);
    test.log->append_end_transaction(end_of(test, false), {});
    test.settle();
    EXPECT_EQ(test.partition().last_stable_offset(), Offset(2));
    test.append({.producer = kProducer, .sequence = Sequence(1), .transactional = true});
    EXPECT_EQ(test.append({.producer = kProducer, .sequence = Sequence(2)}).error(),
              ErrorCode::kInvalidTxnState);
  }
}

TEST(Log, the_marker_of_the_next_epoch_fences_the_old_one_and_begins_at_sequence_zero) {
  TestLog test;
  test.open();
  test.create();
  test.append({.producer = kProducer, .sequence = Sequence(0), .transactional = true});
  const ProducerIdentity next{kProducer.id, ProducerEpoch(1)};
  test.log->append_end_transaction(end_of(test, true, next), {});
  EXPECT_EQ(
      test.append({.producer = kProducer, .sequence = Sequence(1), .transactional = true}).error(),
      ErrorCode::kInvalidProducerEpoch);
  EXPECT_EQ(test.append({.producer = next, .sequence = Sequence(1), .transactional = true}).error(),
            ErrorCode::kOutOfOrderSequenceNumber);
  EXPECT_TRUE(test.append({.producer = next, .sequence = Sequence(0), .transactional = true}));
}

TEST(Log, decision_markers_and_record_are_one_over_a_crash) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    TestLog test(seed);
    test.open();
    test.create("t", 3);
    EndTransaction end{.producer = kProducer, .commit = true};
    for (int index = 0; index < 3; ++index) {
      test.append_to(test.partition("t", index),
                     {.producer = kProducer, .sequence = Sequence(0), .transactional = true});
      end.partitions.push_back(test.partition("t", index).id());
    }
    test.settle();
    test.log->append_end_transaction(end, as_bytes("decided"));
    test.world.scheduler.run_posted();
    test.crash_machine();
    test.open();
    const bool decided = !test.listener.events.empty();
    for (int index = 0; index < 3; ++index) {
      EXPECT_EQ(test.partition("t", index).log_end_offset(), Offset(decided ? 2 : 1));
      EXPECT_EQ(test.partition("t", index).open_transactions().size(), decided ? 0u : 1u);
    }
  }
}

TEST(Log, records_and_decisions_are_given_back_in_order) {
  TestLog test;
  test.open();
  test.create();
  test.log->append_record(as_bytes("one"));
  test.log->append_end_transaction({.producer = kProducer, .commit = false}, as_bytes("two"));
  test.log->append_record(as_bytes("three"));
  test.settle();
  test.crash_process();
  test.open();
  EXPECT_THAT(test.listener.events, ElementsAre("record one", "abort 7 two", "record three"));
  test.snapshot = "all";
  test.checkpoint();
  test.log->append_record(as_bytes("four"));
  test.settle();
  test.crash_process();
  test.open();
  EXPECT_THAT(test.listener.events, ElementsAre("snapshot all", "record four"));
}

TEST(Log, a_recreated_topic_shares_nothing_with_the_old_one) {
  for (const bool crash_between : {false, true}) {
    TestLog test;
    test.open();
    test.create();
    const TopicId old_id = test.partition().id().topic_id;
    test.append(
        {.value = "old", .producer = kProducer, .sequence = Sequence(0), .transactional = true});
    test.settle();
    test.checkpoint();
    ASSERT_TRUE(test.log->delete_topic("t"));
    test.create();
    EXPECT_NE(test.partition().id().topic_id, old_id);
    test.append({.value = "new", .producer = kProducer, .sequence = Sequence(0)});
    test.settle();
    if (crash_between) {
      test.crash_machine();
      test.open();
      EXPECT_THAT(test.listener.events, ElementsAre("deleted"));
    }
    test.checkpoint();
    test.crash_machine();
    test.open();
    EXPECT_THAT(test.values(test.partition()), ElementsAre("0:new"));
    EXPECT_THAT(test.partition().open_transactions(), IsEmpty());
    test.settle();
    for (const std::string& path : test.world.disk.paths()) {
      EXPECT_THAT(path, ::testing::Not(HasSubstr("-delete")));
    }
  }
}

TEST(Log, topics_are_refused_by_kafkas_rules) {
  TestLog test;
  test.open();
  test.create("a.b");
  const auto code = [&](std::string_view name, int partitions = 1,
                        const TopicConfigOverrides& overrides = {}) {
    return test.log->create_topic(name, partitions, overrides).error().code;
  };
  EXPECT_EQ(code("a.b"), ErrorCode::kTopicAlreadyExists);
  EXPECT_EQ(code("a_b"), ErrorCode::kInvalidTopicException);
  EXPECT_EQ(code("."), ErrorCode::kInvalidTopicException);
  EXPECT_EQ(code("a/b"), ErrorCode::kInvalidTopicException);
  EXPECT_EQ(code(std::string(250, 'x')), ErrorCode::kInvalidTopicException);
  EXPECT_EQ(code("c", 0), ErrorCode::kInvalidPartitions);
  EXPECT_EQ(code("c", 1, {{"retention.ms", "soon"}}), ErrorCode::kInvalidConfig);
  EXPECT_EQ(code("c", 1, {{"no.such.key", "1"}}), ErrorCode::kInvalidConfig);
  EXPECT_EQ(test.log->delete_topic("zzz").error().code, ErrorCode::kUnknownTopicOrPartition);
  EXPECT_EQ(test.log->add_partitions("a.b", 1).error().code, ErrorCode::kInvalidPartitions);
}

TEST(Log, topics_partitions_and_configs_survive) {
  TestLog test;
  test.open();
  test.create("t", 2, {{"segment.bytes", "1000"}});
  ASSERT_TRUE(test.log->add_partitions("t", 4));
  ASSERT_TRUE(test.log->set_topic_config("t", {{"retention.ms", "5"}}));
  test.settle();
  for (int round = 0; round < 2; ++round) {
    test.crash_machine();
    test.open();
    const Topic* topic = test.log->topics().find("t");
    ASSERT_NE(topic, nullptr);
    EXPECT_EQ(topic->partitions.size(), 4u);
    EXPECT_EQ(test.log->topics().partition_count(), 4u);
    EXPECT_EQ(topic->config.retention_ms, 5);
    EXPECT_EQ(topic->config.segment_bytes, 1 << 30);
    test.checkpoint();
  }
}

TEST(Log, segments_roll_and_read_across) {
  TestLog test;
  test.open();
  test.create("t", 1, {{"segment.bytes", "400"}});
  std::vector<std::string> expected;
  for (int index = 0; index < 30; ++index) {
    ASSERT_TRUE(test.append({.value = "v" + std::to_string(index)}));
    expected.push_back(std::to_string(index) + ":v" + std::to_string(index));
  }
  test.settle();
  EXPECT_EQ(test.values(test.partition()), expected);
  test.checkpoint();
  test.crash_machine();
  test.open();
  EXPECT_EQ(test.values(test.partition()), expected);
}

TEST(Log, what_is_durable_is_acknowledged_before_its_segment_has_it) {
  TestLog test;
  test.open();
  test.create();
  test.settle();
  const std::string path = "data/topics/t-0/" + segment_file_name(Offset(0));
  const auto appended = test.append({.value = std::string(100'000, 'x')});
  ASSERT_TRUE(appended.has_value());
  std::optional<bool> was_written;
  test.log->when_durable(appended->position,
                         [&] { was_written = test.world.disk.exists(path).value(); });
  test.settle();
  EXPECT_EQ(was_written, false);
  EXPECT_GT(test.world.disk.bytes(path).size(), 100'000U);
}

TEST(Log, a_segment_that_grows_has_room_set_aside_until_it_rolls) {
  TestLog test;
  test.options.checkpoint_every_bytes = 64u << 20;
  test.open();
  test.create("t", 1, {{"segment.bytes", "3145728"}, {"max.message.bytes", "1048576"}});
  const std::string first = "data/topics/t-0/" + segment_file_name(Offset(0));
  const BatchSpec spec{.value = std::string(500'000, 'x')};
  ASSERT_TRUE(test.append(spec).has_value());
  test.settle();
  EXPECT_EQ(test.world.disk.inode(first).reserved_bytes, 0U) << "a small one takes what it is";
  for (int index = 0; index < 4; ++index) {
    ASSERT_TRUE(test.append(spec).has_value());
    test.settle();
  }
  const std::uint64_t size_bytes = test.world.disk.bytes(first).size();
  EXPECT_GT(test.world.disk.inode(first).reserved_bytes, size_bytes);
  EXPECT_LE(test.world.disk.inode(first).reserved_bytes, 2 * size_bytes);
  for (int index = 0; index < 4; ++index) {
    ASSERT_TRUE(test.append(spec).has_value());
    test.settle();
  }
  EXPECT_EQ(test.partition().size_bytes() / 500'000, 9U);
  EXPECT_EQ(test.world.disk.inode(first).reserved_bytes, 0U) << "it has rolled";
}

TEST(Log, sizes_are_bounded_by_the_topics_config) {
  TestLog test;
  test.open();
  test.create("t", 1, {{"max.message.bytes", "200"}});
  EXPECT_EQ(test.append({.value = std::string(300, 'x')}).error(), ErrorCode::kMessageTooLarge);
  test.create("u", 1, {{"segment.bytes", "200"}});
  EXPECT_EQ(test.append_to(test.partition("u"), {.value = std::string(300, 'x')}).error(),
            ErrorCode::kRecordListTooLarge);
}

TEST(Log, retention_by_size_and_time_removes_whole_segments) {
  TestLog test;
  test.open();
  test.create("t", 1,
              {{"segment.bytes", "400"}, {"retention.bytes", "1000"}, {"retention.ms", "-1"}});
  for (int index = 0; index < 60; ++index) {
    test.append();
  }
  test.settle();
  test.checkpoint();
  test.log->apply_retention();
  test.settle();
  const Offset start = test.partition().log_start_offset();
  EXPECT_GT(start, Offset(0));
  EXPECT_LE(test.partition().size_bytes(), 1400u);
  Buffer bytes;
  EXPECT_EQ(test.partition().read(Offset(0), 100, IsolationLevel::kReadUncommitted, bytes).error(),
            ErrorCode::kOffsetOutOfRange);
  test.crash_machine();
  test.open();
  EXPECT_EQ(test.partition().log_start_offset(), start);
  EXPECT_EQ(test.values(test.partition()).size(), static_cast<std::size_t>(60 - start.value));
  test.log->set_topic_config("t", {{"retention.ms", "1000"}});
  test.log->apply_retention();
  test.settle();
  EXPECT_EQ(test.partition().log_start_offset(), Offset(60));
  EXPECT_EQ(test.append()->base_offset, Offset(60));
  test.settle();
  test.checkpoint();
  test.crash_machine();
  test.open();
  EXPECT_THAT(test.values(test.partition()), ElementsAre("60:v"));
}

TEST(Log, a_segment_of_the_future_is_as_old_as_the_next) {
  TestLog test;
  test.open();
  test.create("t", 1, {{"segment.bytes", "200"}, {"retention.ms", "1000"}});
  for (const std::int64_t timestamp_ms : {std::int64_t{1} << 62, -(std::int64_t{1} << 62)}) {
    for (int index = 0; index < 3; ++index) {
      test.append({.timestamp_ms = timestamp_ms});
    }
  }
  test.settle();
  test.log->apply_retention();
  EXPECT_EQ(test.partition().log_start_offset(), Offset(0)) << "nothing tells how old they are";
  for (int index = 0; index < 6; ++index) {
    test.append({.timestamp_ms = 1000});
  }
  test.settle();
  test.log->apply_retention();
  EXPECT_EQ(test.partition().log_start_offset(), Offset(12));
}

TEST(Log, retention_never_cuts_into_an_open_transaction) {
  TestLog test;
  test.open();
  test.create("t", 1, {{"segment.bytes", "300"}, {"retention.ms", "1000"}});
  test.append({.producer = kProducer, .sequence = Sequence(0), .transactional = true});
  for (int index = 0; index < 20; ++index) {
    test.append();
  }
  test.settle();
  test.log->apply_retention();
  EXPECT_EQ(test.partition().log_start_offset(), Offset(0));
}

TEST(Log, times_are_found) {
  TestLog test;
  test.open();
  test.create("t", 1, {{"segment.bytes", "500"}});
  for (int index = 0; index < 20; ++index) {
    test.append({.records = 3, .timestamp_ms = 1000 + 100 * index});
  }
  test.settle();
  test.checkpoint();
  test.crash_machine();
  test.open();
  Partition& partition = test.partition();
  const auto at = [&](std::int64_t timestamp) {
    const auto found = testing::found_from(partition, timestamp);
    return found && *found ? (*found)->offset.value : -1;
  };
  EXPECT_EQ(at(0), 0);
  EXPECT_EQ(at(1001), 1);
  EXPECT_EQ(at(1003), 3);
  EXPECT_EQ(at(1500), 15);
  EXPECT_EQ(at(2902), 59);
  EXPECT_EQ(at(2903), -1);
  const auto greatest = testing::found_in(
      partition, partition.find_batch_of_max_timestamp(IsolationLevel::kReadUncommitted));
  ASSERT_TRUE(greatest && *greatest);
  EXPECT_EQ((*greatest)->timestamp, 2902);
  EXPECT_EQ((*greatest)->offset, Offset(59));
}

TEST(Log, log_append_time_is_stamped_with_a_right_checksum) {
  TestLog test;
  test.open();
  test.create("t", 1, {{"message.timestamp.type", "LogAppendTime"}});
  const auto appended = test.append({.timestamp_ms = 5});
  EXPECT_GT(appended->log_append_time_ms, 1'600'000'000'000);
  test.settle();
  EXPECT_THAT(test.values(test.partition()), ElementsAre("0:v"));
  const auto retry_time = test.log->append_record({});
  static_cast<void>(retry_time);
}

TEST(Log, a_failed_write_stops_the_log_and_acknowledges_nothing) {
  TestLog test;
  test.open();
  test.create();
  test.settle();
  test.world.disk.inode("data/journal/0001.journal").fail_next_durable_write = true;
  const auto appended = test.append();
  bool acknowledged = false;
  test.log->when_durable(appended->position, [&] { acknowledged = true; });
  test.settle();
  EXPECT_FALSE(acknowledged);
  EXPECT_TRUE(test.log->has_failed());
  ASSERT_EQ(test.fatal.size(), 1u);
  EXPECT_THAT(test.fatal[0], HasSubstr("data/journal/0001.journal"));
  EXPECT_EQ(test.append().error(), ErrorCode::kKafkaStorageError);
  EXPECT_EQ(test.partition().high_watermark(), Offset(0));
}

TEST(Log, a_disk_that_is_nearly_full_takes_nothing_in_and_goes_on_when_there_is_room) {
  TestLog test;
  test.options.free_bytes_min = 1 << 20;
  test.open();
  test.create();
  ASSERT_TRUE(test.append({.value = "a"}));
  test.settle();
  test.crash_process();
  test.world.disk.capacity_bytes = test.world.disk.used_bytes() + 1000;
  test.open();
  EXPECT_EQ(test.append().error(), ErrorCode::kKafkaStorageError);
  EXPECT_THAT(test.values(test.partition()), ElementsAre("0:a"));
  ASSERT_EQ(test.damage.size(), 1u);
  EXPECT_THAT(test.damage[0], HasSubstr("are left on this disk"));
  test.world.disk.capacity_bytes = 1 << 30;
  test.world.scheduler.run_for(seconds(2));
  EXPECT_TRUE(test.append());
}

TEST(Log, what_waits_to_be_written_has_its_room_already) {
  TestLog test;
  test.options.free_bytes_min = 1 << 20;
  test.open();
  test.create();
  test.settle();
  test.world.disk.capacity_bytes = test.world.disk.used_bytes() + (1 << 20) + 500;
  test.log->append_record(Buffer(1000, std::byte{1}));
  EXPECT_EQ(test.append().error(), ErrorCode::kKafkaStorageError);
}

TEST(Log, no_journal_file_is_begun_where_it_would_fill_the_disk) {
  TestLog test;
  test.open();
  test.create();
  test.settle();
  const auto has_second_file = [&] {
    return test.world.disk.exists("data/journal/0002.journal").value();
  };
  const BatchSpec spec{.value = std::string(30'000, 'x')};
  test.world.disk.capacity_bytes = test.world.disk.used_bytes() + (100 << 10);
  ASSERT_TRUE(test.append(spec));
  test.settle();
  EXPECT_FALSE(has_second_file());
  test.world.disk.capacity_bytes = 1 << 30;
  test.world.scheduler.run_for(seconds(2));
  ASSERT_TRUE(test.append(spec));
  test.settle();
  EXPECT_TRUE(has_second_file());
}

TEST(Log, no_journal_file_is_filled_up_where_it_would_fill_the_disk) {
  TestLog test;
  test.options.free_bytes_min = 1 << 20;
  test.open();
  test.create();
  const std::string first = "data/journal/0001.journal";
  const BatchSpec spec{.value = std::string(30'000, 'x')};
  const auto append_some = [&] {
    for (int index = 0; index < 8; ++index) {
      ASSERT_TRUE(test.append(spec));
      test.settle();
    }
  };
  append_some();
  test.checkpoint();  // and the first, which is smaller than the others, is free again
  const std::size_t size_bytes = test.world.disk.bytes(first).size();
  ASSERT_LT(size_bytes, test.options.journal_file_bytes);
  test.world.disk.capacity_bytes = test.world.disk.used_bytes() + (1 << 20);
  append_some();
  append_some();
  EXPECT_EQ(test.world.disk.bytes(first).size(), size_bytes);
}

TEST(Log, a_second_process_is_told_who_has_the_folder) {
  TestLog test;
  test.open();
  testing::RecordingListener listener;
  const auto second = Log::open(test.world.environment(), test.options, listener);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, onceflow::ErrorCode::kLocked);
}

TEST(Log, producers_expire_by_our_clock_but_not_with_an_open_transaction) {
  TestLog test;
  test.open();
  test.create();
  test.append(
      {.timestamp_ms = 1, .producer = {ProducerId(1), ProducerEpoch(0)}, .sequence = Sequence(0)});
  test.append({.producer = kProducer, .sequence = Sequence(0), .transactional = true});
  test.world.scheduler.run_for(std::chrono::hours(23));
  EXPECT_EQ(test.partition().producers().size(), 2u);
  test.world.scheduler.run_for(std::chrono::hours(2));
  EXPECT_EQ(test.partition().producers().size(), 1u);
  EXPECT_NE(test.partition().producers().find(kProducer.id), nullptr);
}

TEST(Log, page_cache_flushing_acknowledges_in_the_same_turn) {
  TestLog test;
  test.options.flush = FlushMode::kOs;
  test.open();
  test.create();
  const std::size_t before = test.world.disk.durable_write_count;
  const auto appended = test.append({.value = "a"});
  bool acknowledged = false;
  test.log->when_durable(appended->position, [&] { acknowledged = true; });
  EXPECT_FALSE(acknowledged);
  test.world.scheduler.run_posted();
  EXPECT_TRUE(acknowledged);
  EXPECT_EQ(test.world.disk.durable_write_count, before);
  test.crash_process();
  test.open();
  EXPECT_THAT(test.values(test.partition()), ElementsAre("0:a"));
}

}  // namespace
}  // namespace onceflow::log
