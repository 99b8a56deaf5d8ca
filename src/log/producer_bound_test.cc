// How many producers the partitions of a log remember (LogOptions::producer_states_max): who goes
// first, who never, and who is refused.
#include <gtest/gtest.h>

#include "log/log_testing.h"

namespace onceflow::log {
namespace {

using protocol::ErrorCode;
using testing::TestLog;

constexpr std::size_t kStatesMax = 10;

struct BoundedLog : TestLog {
  BoundedLog() {
    options.producer_states_max = kStatesMax;
    options.producer_state_idle_min = seconds(60);
    open();
    create("t", 2);
  }
  ErrorCode write(int id, int place = 0, bool transactional = false) {
    const auto appended =
        append_to(partition("t", place), {.producer = {ProducerId(id), ProducerEpoch(0)},
                                          .sequence = Sequence(0),
                                          .transactional = transactional});
    return appended ? ErrorCode::kNone : appended.error();
  }
  bool knows(int id, int place = 0) {
    return partition("t", place).producers().find(ProducerId(id)) != nullptr;
  }
  void wait(Duration time) { world.scheduler.run_for(time); }
};

TEST(ProducerBound, those_silent_longest_go_first_of_all_partitions) {
  BoundedLog log;
  for (int id = 0; id < 10; ++id) {
    EXPECT_EQ(log.write(id, id % 2), ErrorCode::kNone);
    log.wait(seconds(1));
  }
  EXPECT_EQ(log.log->producer_state_count(), kStatesMax);
  log.wait(seconds(60));
  EXPECT_EQ(log.write(100), ErrorCode::kNone);
  EXPECT_EQ(log.log->producer_state_count(), kStatesMax);
  EXPECT_FALSE(log.knows(0));
  EXPECT_TRUE(log.knows(1, 1));
  EXPECT_TRUE(log.knows(100));
  // It is a new one, and may go on with any sequence.
  EXPECT_EQ(log.write(0), ErrorCode::kNone);
  EXPECT_FALSE(log.knows(1, 1));
}

// It could be written twice: its producer may still repeat what it sent.
TEST(ProducerBound, one_that_has_written_lately_stays_and_the_new_one_is_refused) {
  BoundedLog log;
  for (int id = 0; id < 10; ++id) {
    EXPECT_EQ(log.write(id), ErrorCode::kNone);
  }
  EXPECT_EQ(log.write(100), ErrorCode::kRequestTimedOut);
  EXPECT_EQ(log.write(0), ErrorCode::kNone) << "a retry";
  EXPECT_TRUE(log.append({})) << "one without an id";
  log.wait(seconds(59));
  EXPECT_EQ(log.write(100), ErrorCode::kRequestTimedOut);
  log.wait(seconds(2));
  EXPECT_EQ(log.write(100), ErrorCode::kNone);
  EXPECT_LE(log.log->producer_state_count(), kStatesMax);
}

TEST(ProducerBound, an_open_transaction_is_never_forgotten) {
  BoundedLog log;
  for (int id = 0; id < 10; ++id) {
    EXPECT_EQ(log.write(id, 0, true), ErrorCode::kNone);
  }
  log.wait(std::chrono::hours(1));
  EXPECT_EQ(log.write(100), ErrorCode::kRequestTimedOut);
  const TopicIdPartition place = log.partition().id();
  log.log->append_end_transaction(
      {.producer = {ProducerId(3), ProducerEpoch(0)}, .commit = true, .partitions = {place}}, {});
  log.wait(std::chrono::hours(1));
  EXPECT_EQ(log.write(100), ErrorCode::kNone);
  EXPECT_FALSE(log.knows(3));
}

TEST(ProducerBound, is_counted_alike_after_a_restart_and_without_a_topic_that_is_gone) {
  BoundedLog log;
  for (int id = 0; id < 6; ++id) {
    EXPECT_EQ(log.write(id), ErrorCode::kNone);
  }
  log.settle();
  log.crash_process();
  log.open();
  EXPECT_EQ(log.log->producer_state_count(), 6u);
  log.close();
  log.open();
  EXPECT_EQ(log.log->producer_state_count(), 6u);
  EXPECT_TRUE(log.log->delete_topic("t"));
  EXPECT_EQ(log.log->producer_state_count(), 0u);
}

}  // namespace
}  // namespace onceflow::log
