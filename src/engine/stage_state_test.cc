#include "engine/stage_state.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "engine/stage_news.h"
#include "engine/stage_status.h"

namespace onceflow::engine {
namespace {

using enum StageState;
using enum StageEvent;

constexpr StageState kStates[] = {kStarting,   kWaitingForTopic, kWaitingForPartitions,
                                  kRecovering, kRunning,         kHeldBack,
                                  kStalled,    kRetrying,        kStopping,
                                  kStopped,    kFailed};
constexpr StageEvent kEvents[] = {kTopicMissing, kNoPartitions, kRecoveryBegins, kRecovered,
                                  kTrouble,      kInputHeld,    kNoProgress,     kFlows,
                                  kStopAsked,    kEnded,        kFailedForGood};
static_assert(std::size(kStates) == kStageStateCount && std::size(kEvents) == kStageEventCount);

StageState after(std::initializer_list<StageEvent> events) {
  StageState state = kStarting;
  for (const StageEvent event : events) {
    state = next_state(state, event);
  }
  return state;
}

TEST(StageState, the_straight_way_is_start_partitions_recovery_work) {
  EXPECT_EQ(after({kNoPartitions}), kWaitingForPartitions);
  EXPECT_EQ(after({kNoPartitions, kRecoveryBegins}), kRecovering);
  EXPECT_EQ(after({kNoPartitions, kRecoveryBegins, kRecovered}), kRunning);
  EXPECT_EQ(after({kRecoveryBegins, kRecovered, kStopAsked}), kStopping);
  EXPECT_EQ(after({kRecoveryBegins, kRecovered, kStopAsked, kEnded}), kStopped);
}

TEST(StageState, a_missing_topic_is_waited_for) {
  EXPECT_EQ(after({kTopicMissing}), kWaitingForTopic);
  EXPECT_EQ(after({kTopicMissing, kRecoveryBegins, kRecovered}), kRunning);
}

TEST(StageState, attempts_after_trouble_are_one_state_until_it_works_again) {
  EXPECT_EQ(after({kRecoveryBegins, kTrouble, kRecoveryBegins, kTrouble}), kRetrying);
  EXPECT_EQ(after({kRecoveryBegins, kTrouble, kRecoveryBegins}), kRetrying);
  EXPECT_EQ(after({kRecoveryBegins, kTrouble, kRecoveryBegins, kRecovered}), kRunning);
  EXPECT_EQ(after({kRecoveryBegins, kRecovered, kTrouble, kFlows}), kRunning);
}

TEST(StageState, held_input_is_told_apart_from_nothing_to_do) {
  EXPECT_EQ(after({kRecoveryBegins, kRecovered, kInputHeld}), kHeldBack);
  EXPECT_EQ(after({kRecoveryBegins, kRecovered, kInputHeld, kFlows}), kRunning);
  EXPECT_EQ(after({kRecoveryBegins, kTrouble, kInputHeld}), kHeldBack);
  EXPECT_EQ(after({kInputHeld}), kStarting);  // nothing is read yet
}

TEST(StageState, what_stands_still_flows_again_by_itself) {
  EXPECT_EQ(after({kRecoveryBegins, kRecovered, kNoProgress}), kStalled);
  EXPECT_EQ(after({kRecoveryBegins, kRecovered, kNoProgress, kFlows}), kRunning);
  EXPECT_EQ(after({kRecoveryBegins, kNoProgress}), kStalled);
  EXPECT_EQ(after({kRecoveryBegins, kNoProgress, kRecovered}), kRunning);
}

TEST(StageState, an_end_is_an_end_and_a_stop_is_only_followed_by_one) {
  for (const StageEvent event : kEvents) {
    EXPECT_EQ(next_state(kStopped, event), kStopped);
    EXPECT_EQ(next_state(kFailed, event), kFailed);
    const StageState next = next_state(kStopping, event);
    EXPECT_TRUE(next == kStopping || next == kStopped || next == kFailed);
  }
}

TEST(StageState, every_living_state_can_be_left_to_work_to_stop_and_to_fail) {
  for (const StageState from : kStates) {
    if (from == kStopped || from == kFailed) {
      continue;
    }
    EXPECT_EQ(next_state(from, kFailedForGood), kFailed);
    EXPECT_EQ(next_state(from, kStopAsked), kStopping);
    std::set<StageState> reached{from};
    for (std::size_t round = 0; round < kStageStateCount; ++round) {
      for (const StageState state : std::vector<StageState>(reached.begin(), reached.end())) {
        for (const StageEvent event : kEvents) {
          reached.insert(next_state(state, event));
        }
      }
    }
    EXPECT_EQ(reached.contains(kRunning), from != kStopping) << to_string(from);
  }
}

TEST(StageState, names_are_all_different) {
  std::set<std::string> names;
  for (const StageState state : kStates) {
    names.insert(to_string(state));
  }
  EXPECT_EQ(names.size(), kStageStateCount);
}

MonotonicTime at(int second) { return MonotonicTime(seconds(second)); }

TEST(StageLife, age_begins_with_the_state_and_not_with_each_attempt) {
  StageLife life(at(0));
  EXPECT_TRUE(life.on(kRecoveryBegins, {}, at(1)));
  EXPECT_TRUE(life.on(kTrouble, {"refused", ""}, at(2)));
  EXPECT_FALSE(life.on(kRecoveryBegins, {"orders-0", ""}, at(3)));
  EXPECT_FALSE(life.on(kTrouble, {"refused", ""}, at(4)));
  EXPECT_EQ(life.since(), at(2));
  EXPECT_EQ(life.trouble_count(), 2U);
  EXPECT_EQ(life.cause().what, "refused");
  EXPECT_TRUE(life.on(kTrouble, {"another", ""}, at(5)));
  EXPECT_EQ(life.since(), at(2));
  EXPECT_TRUE(life.on(kRecovered, {}, at(6)));
  EXPECT_EQ(life.cause().what, "");
  EXPECT_EQ(life.since(), at(6));
}

TEST(StageLife, an_event_that_means_nothing_leaves_the_cause) {
  StageLife life(at(0));
  life.on(kRecoveryBegins, {}, at(1));
  life.on(kRecovered, {}, at(2));
  life.on(kInputHeld, {"held", ""}, at(3));
  EXPECT_FALSE(life.on(kRecovered, {}, at(4)));
  EXPECT_EQ(life.state(), kHeldBack);
  EXPECT_EQ(life.cause().what, "held");
}

class TestClock : public io::Clock {
 public:
  MonotonicTime now() const override { return time; }
  WallTime wall_now() const override { return {}; }
  MonotonicTime time = at(100);
};

TEST(StageNews, one_line_for_a_change_and_none_for_an_attempt) {
  TestClock clock;
  StageStatus status(clock.now());
  status.stage = "paid";
  std::vector<LogEvent> told;
  StageNews news(status, clock, [&](const LogEvent& event) { told.push_back(event); });
  news.on(kRecoveryBegins, {"orders-0", ""});
  for (int attempt = 0; attempt < 100; ++attempt) {
    news.on(kRecoveryBegins, {"orders-0", ""});
    news.on(kTrouble, {"connection refused", "start it"});
    clock.time += seconds(1);
  }
  news.on(kRecovered);
  ASSERT_EQ(told.size(), 3U);
  EXPECT_EQ(told[0].event, "recovering");
  EXPECT_EQ(told[1].event, "retrying");
  EXPECT_EQ(told[1].level, LogLevel::kWarn);
  EXPECT_EQ(told[1].stage, "paid");
  EXPECT_EQ(told[1].text, "connection refused; start it; was recovering for 0.0 s");
  EXPECT_EQ(told[2].event, "running");
  EXPECT_EQ(told[2].text, "was retrying for 1 min 40 s");
}

TEST(StageNews, another_error_of_the_same_trouble_is_told_if_it_lasts) {
  TestClock clock;
  StageStatus status(clock.now());
  std::vector<LogEvent> told;
  StageNews news(status, clock, [&](const LogEvent& event) { told.push_back(event); });
  news.on(kTrouble, {"the answer was lost", ""});
  clock.time += seconds(1);
  news.on(kTrouble, {"connection refused", ""});
  EXPECT_EQ(told.size(), 1U);
  EXPECT_EQ(status.life.cause().what, "connection refused");
  for (int second = 0; second < 40; ++second) {
    clock.time += seconds(1);
    news.tick();
  }
  ASSERT_EQ(told.size(), 2U);
  EXPECT_EQ(told[1].text, "connection refused");
}

TEST(StageNews, flapping_is_damped_and_ends_with_the_truth) {
  TestClock clock;
  StageStatus status(clock.now());
  std::vector<LogEvent> told;
  StageNews news(status, clock, [&](const LogEvent& event) { told.push_back(event); });
  for (int turn = 0; turn < 10'000; ++turn) {
    news.on(kRecoveryBegins);
    news.on(kRecovered);
    news.on(kTrouble, {"error " + std::to_string(turn), ""});
    news.on(kRecovered);
    news.on(kNoPartitions);
    clock.time += milliseconds(10);
  }
  EXPECT_LE(told.size(), 25U);
  news.on(kRecoveryBegins);
  news.on(kRecovered);
  for (int second = 0; second < 60; ++second) {
    clock.time += seconds(1);
    news.tick();
  }
  EXPECT_EQ(told.back().event, "running");
  EXPECT_NE(told.back().text.find("lines before this one were left out"), std::string::npos);
}

TEST(StageStatus, what_is_not_known_is_absent_and_not_zero) {
  StageStatus status(at(0));
  EXPECT_EQ(status.lag(), std::nullopt);  // no partitions
  auto& position = status.positions[{"orders", PartitionIndex(0)}];
  EXPECT_EQ(position.lag(), std::nullopt);
  position.committed = Offset(10);
  EXPECT_EQ(status.lag(), std::nullopt);  // no answer yet
  position.end = Offset(15);
  position.last_stable = Offset(10);
  EXPECT_EQ(status.lag(), 5);  // what is held back is behind, too
  EXPECT_EQ(position.held_back(), 5);
  status.positions[{"orders", PartitionIndex(1)}].committed = Offset(0);
  EXPECT_EQ(status.lag(), std::nullopt);  // of one of two nothing is known
}

TEST(ToText, durations_as_people_say_them) {
  EXPECT_EQ(to_text(milliseconds(1250)), "1.2 s");
  EXPECT_EQ(to_text(seconds(250)), "4 min 10 s");
  EXPECT_EQ(to_text(seconds(3 * 3600 + 125)), "3 h 2 min");
  EXPECT_EQ(to_text(seconds(2 * 86'400 + 5 * 3600)), "2 d 5 h");
}

}  // namespace
}  // namespace onceflow::engine
