#include "io/os/event_loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "io/event.h"
#include "io/os/os_blocking_thread.h"

namespace onceflow::io {
namespace {

using testing::ElementsAre;

TEST(EventLoop, posted_callbacks_run_in_order_and_never_inside_post) {
  EventLoop loop;
  std::vector<int> ran;
  loop.post([&] {
    loop.post([&] {
      ran.push_back(3);
      loop.stop();
    });
    ran.push_back(1);
  });
  loop.post([&] { ran.push_back(2); });
  EXPECT_TRUE(ran.empty());
  loop.run();
  EXPECT_THAT(ran, ElementsAre(1, 2, 3));
}

TEST(EventLoop, its_longest_turn_is_the_work_and_not_the_waiting) {
  EventLoop loop;
  const auto busy_for = [&](Duration duration) {
    const MonotonicTime until = loop.now() + duration;
    while (loop.now() < until) {
    }
  };
  loop.schedule_after(milliseconds(400), [&] { loop.stop(); });
  loop.run();
  EXPECT_LT(loop.longest_turns().ever(), milliseconds(200));

  loop.post([&] { busy_for(milliseconds(120)); });
  loop.post([&] {
    busy_for(milliseconds(120));  // what was posted together waits for all of it
    loop.stop();
  });
  loop.run();
  EXPECT_GE(loop.longest_turns().ever(), milliseconds(240));
  EXPECT_EQ(loop.longest_turns().ever(), loop.longest_turns().lately(loop.now()));

  std::thread other([&] {
    loop.post_from_any_thread([&] {
      busy_for(milliseconds(300));
      loop.stop();
    });
  });
  loop.run();
  other.join();
  EXPECT_GE(loop.longest_turns().ever(), milliseconds(300));
}

TEST(LongestTurns, lately_forgets_after_a_minute) {
  LongestTurns turns;
  const MonotonicTime start{seconds(1000)};
  turns.add(start, milliseconds(70));
  turns.add(start + seconds(1), milliseconds(5));
  EXPECT_EQ(turns.lately(start + seconds(2)), milliseconds(70));
  EXPECT_EQ(turns.lately(start + seconds(29)), milliseconds(70));
  EXPECT_EQ(turns.lately(start + seconds(30)), milliseconds(70));
  EXPECT_EQ(turns.lately(start + seconds(61)), Duration{});
  EXPECT_EQ(turns.ever(), milliseconds(70));
  turns.add(start + seconds(500), milliseconds(3));
  EXPECT_EQ(turns.lately(start + seconds(501)), milliseconds(3));
}

TEST(EventLoop, timers_run_in_order_of_time_and_cancelled_ones_do_not) {
  EventLoop loop;
  std::vector<int> ran;
  const MonotonicTime start = loop.now();
  loop.schedule_at(start + milliseconds(4), [&] {
    ran.push_back(3);
    loop.stop();
  });
  loop.schedule_at(start + milliseconds(2), [&] { ran.push_back(1); });
  loop.schedule_at(start + milliseconds(2), [&] { ran.push_back(2); });
  const TimerId cancelled = loop.schedule_at(start + milliseconds(1), [&] { ran.push_back(9); });
  loop.cancel(cancelled);
  loop.cancel(cancelled);
  loop.cancel(0);
  loop.run();
  EXPECT_THAT(ran, ElementsAre(1, 2, 3));
  EXPECT_GE(loop.now() - start, milliseconds(4));
}

TEST(EventLoop, many_cancelled_timers_leave_nothing_behind) {
  TimerQueue timers;
  const MonotonicTime start{};
  for (int round = 0; round < 1000; ++round) {
    timers.cancel(timers.add(start + seconds(round), [] {}));
  }
  EXPECT_FALSE(timers.earliest().has_value());
  int ran = 0;
  const TimerId kept = timers.add(start, [&] { ++ran; });
  timers.cancel(kept ^ (TimerId{1} << 24));  // an older timer in the same slot
  while (auto callback = timers.take_due(start)) {
    (*callback)();
  }
  EXPECT_EQ(ran, 1);
}

TEST(EventLoop, other_threads_wake_it) {
  EventLoop loop;
  int ran = 0;
  std::thread other([&] {
    for (int round = 0; round < 1000; ++round) {
      loop.post_from_any_thread([&] {
        if (++ran == 1000) {
          loop.stop();
        }
      });
    }
  });
  loop.run();
  other.join();
  EXPECT_EQ(ran, 1000);
}

TEST(EventLoop, tasks_sleep_and_events_wake_them) {
  EventLoop loop;
  Event event(loop);
  std::vector<std::string> seen;
  loop.spawn([](EventLoop& on, Event& of, std::vector<std::string>& to) -> Task<void> {
    const bool notified = co_await of.wait_for(milliseconds(1));
    to.push_back(notified ? "notified" : "deadline");
    co_await of.wait();
    to.push_back("woken");
    on.stop();
  }(loop, event, seen));
  loop.spawn([](EventLoop& on, Event& of) -> Task<void> {
    co_await on.sleep_for(milliseconds(5));
    of.notify_all();
  }(loop, event));
  loop.run();
  EXPECT_THAT(seen, ElementsAre("deadline", "woken"));
}

TEST(EventLoop, shutting_down_drops_callbacks_before_it_destroys_tasks) {
  struct Notes {
    std::vector<std::string>& order;
    std::string name;
    ~Notes() { order.push_back(name); }
  };
  std::vector<std::string> order;
  auto loop = std::make_unique<EventLoop>();
  loop->spawn([](EventLoop& on, std::vector<std::string>& to) -> Task<void> {
    const Notes notes{to, "task"};
    co_await on.sleep_for(seconds(100));
    to.push_back("never");
  }(*loop, order));
  loop->post([notes = std::make_unique<Notes>(order, "callback")] {});
  loop.reset();
  EXPECT_THAT(order, ElementsAre("callback", "task"));
}

TEST(OsBlockingThread, runs_a_closure_elsewhere_and_resumes_here) {
  EventLoop loop;
  OsBlockingThread thread(loop);
  const auto here = std::this_thread::get_id();
  std::thread::id there;
  int answer = 0;
  loop.spawn([](EventLoop& on, OsBlockingThread& of, std::thread::id& id, int& to) -> Task<void> {
    to = co_await of.run([&id] {
      id = std::this_thread::get_id();
      return 42;
    });
    on.stop();
  }(loop, thread, there, answer));
  loop.run();
  EXPECT_EQ(answer, 42);
  EXPECT_NE(here, there);
}

}  // namespace
}  // namespace onceflow::io
