#include "broker/large_answers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "io/os/event_loop.h"

namespace onceflow::broker {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

LargeAnswers::Backlog holds(std::size_t bytes) { return {.held_bytes = bytes}; }

class LargeAnswersTest : public testing::Test {
 protected:
  using Owner = LargeAnswers::Owner;

  bool asks(std::uint64_t owner, LargeAnswers::Backlog backlog = {}) {
    return answers_.may_be_made(Owner(owner), backlog);
  }
  /// For as long as anyone waits, and one more turn.
  void serve_all() {
    loop_.run_until([&] { return answers_.waiting_count() == 0; }, seconds(10));
    run_one_turn();
  }
  void run_one_turn() {
    bool is_over = false;
    loop_.post([&] { is_over = true; });
    loop_.run_until([&] { return is_over; }, seconds(10));
  }

  io::EventLoop loop_;
  std::vector<std::uint64_t> served_;
  std::function<void(Owner)> on_turn_ = [this](Owner owner) {
    if (answers_.may_be_made(owner, {})) {
      served_.push_back(owner.value);
    }
  };
  LargeAnswers answers_{loop_, [this](Owner owner) { on_turn_(owner); }};
};

TEST_F(LargeAnswersTest, each_is_made_in_a_turn_of_its_own_and_not_at_once) {
  EXPECT_FALSE(asks(2));
  EXPECT_FALSE(asks(1));
  EXPECT_THAT(served_, IsEmpty());
  serve_all();
  EXPECT_THAT(served_, ElementsAre(2, 1));
  EXPECT_FALSE(asks(3));
  serve_all();
  EXPECT_THAT(served_, ElementsAre(2, 1, 3));
}

TEST_F(LargeAnswersTest, the_shortest_backlog_goes_first) {
  asks(1, {.has_too_much = true, .held_bytes = 900});
  asks(2, {.address_has_too_much = true, .held_bytes = 10});
  asks(3, holds(500));
  asks(4, holds(100));
  asks(5, holds(100));
  serve_all();
  EXPECT_THAT(served_, ElementsAre(4, 5, 3, 2, 1));
}

TEST_F(LargeAnswersTest, one_that_asks_again_stands_where_its_backlog_of_now_belongs) {
  asks(1, holds(500));
  asks(2, holds(100));
  asks(3, holds(100));
  asks(1, holds(100));
  EXPECT_EQ(answers_.waiting_count(), 3u);
  serve_all();
  EXPECT_THAT(served_, ElementsAre(1, 2, 3));
}

TEST_F(LargeAnswersTest, a_turn_serves_for_a_slice_of_time_and_not_more) {
  on_turn_ = [this](Owner owner) {
    served_.push_back(owner.value);
    const MonotonicTime end = loop_.now() + milliseconds(1);
    while (loop_.now() < end) {
    }
  };
  for (std::uint64_t owner = 1; owner <= 5; ++owner) {
    asks(owner);
  }
  run_one_turn();
  EXPECT_THAT(served_, ElementsAre(1));
  serve_all();
  EXPECT_THAT(served_, ElementsAre(1, 2, 3, 4, 5));
}

TEST_F(LargeAnswersTest, a_turn_is_for_one_answer) {
  std::vector<bool> second;
  on_turn_ = [&](Owner owner) {
    EXPECT_TRUE(asks(owner.value));
    second.push_back(second.empty() ? asks(owner.value) : false);
  };
  asks(1);
  serve_all();
  EXPECT_THAT(second, ElementsAre(false, false));
}

TEST_F(LargeAnswersTest, one_that_is_gone_is_not_served) {
  asks(1);
  answers_.forget(Owner(1));
  EXPECT_FALSE(answers_.is_waiting(Owner(1)));
  serve_all();
  EXPECT_THAT(served_, IsEmpty());
}

}  // namespace
}  // namespace onceflow::broker
