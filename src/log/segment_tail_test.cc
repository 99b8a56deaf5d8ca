#include "log/segment_tail.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace onceflow::log {
namespace {

constexpr std::size_t kLarge = 1000;

struct SegmentTailTest : testing::Test {
  void copied(const std::string& text) {
    tail_.append({as_bytes(text), nullptr}, kLarge);
    expected_ += text;
  }
  std::shared_ptr<const std::string> held(char letter) {
    auto text = std::make_shared<const std::string>(kLarge, letter);
    tail_.append({as_bytes(*text), text}, kLarge);
    expected_ += *text;
    return text;
  }
  void drop(std::size_t bytes) {
    tail_.drop_front(bytes);
    expected_.erase(0, bytes);
  }
  // All of it, read from every position that matters.
  void check() {
    EXPECT_EQ(tail_.size_bytes(), expected_.size());
    for (const std::size_t position : {std::size_t{0}, expected_.size() / 3, expected_.size()}) {
      Buffer read(expected_.size() - position);
      tail_.copy(position, read);
      EXPECT_TRUE(as_text(read) == expected_.substr(position));
    }
  }

  SegmentTail tail_;
  std::string expected_;
};

TEST_F(SegmentTailTest, small_batches_lie_in_one_run) {
  copied("one,");
  copied("two,");
  check();
  EXPECT_EQ(as_text(tail_.front(100)), "one,two,");
  EXPECT_EQ(as_text(tail_.front(4)), "one,");
  drop(4);
  check();
  copied("three");
  EXPECT_EQ(as_text(tail_.front(100)), "two,three");
  drop(9);
  check();
  EXPECT_TRUE(tail_.front(100).empty());
  copied("four");
  check();
}

TEST_F(SegmentTailTest, large_batches_stay_where_they_are_until_they_are_dropped) {
  copied("small");
  const auto first = held('a');
  const auto second = held('b');
  copied("behind");
  check();
  EXPECT_EQ(as_text(tail_.front(1 << 20)), "small");
  drop(5);
  EXPECT_EQ(tail_.front(1 << 20).data(), as_bytes(*first).data());
  drop(kLarge / 2);
  check();
  EXPECT_EQ(first.use_count(), 2);
  drop(kLarge / 2);
  EXPECT_EQ(first.use_count(), 1);
  EXPECT_EQ(second.use_count(), 2);
  drop(kLarge);
  check();
  EXPECT_EQ(as_text(tail_.front(1 << 20)), "behind");
}

TEST_F(SegmentTailTest, a_large_batch_behind_what_was_written_is_in_front) {
  copied("small");
  drop(5);
  const auto large = held('a');
  EXPECT_EQ(tail_.front(1 << 20).data(), as_bytes(*large).data());
  drop(kLarge);
  check();
  EXPECT_TRUE(tail_.front(1 << 20).empty());
}

TEST_F(SegmentTailTest, whatever_is_appended_and_dropped_what_is_left_is_right) {
  std::uint32_t state = 1;
  const auto draw = [&state](std::uint32_t below) {
    state = state * 1664525 + 1013904223;
    return (state >> 8) % below;
  };
  for (int step = 0; step < 5000; ++step) {
    switch (draw(4)) {
      case 0:
        copied(std::string(1 + draw(2 * kLarge), static_cast<char>('a' + draw(26))));
        break;
      case 1:
        held(static_cast<char>('A' + draw(26)));
        break;
      default:
        const ByteView front = tail_.front(1 + draw(3 * kLarge));
        ASSERT_EQ(front.empty(), expected_.empty());
        EXPECT_TRUE(as_text(front) == expected_.substr(0, front.size()));
        drop(front.size());
    }
    ASSERT_EQ(tail_.size_bytes(), expected_.size());
    if (step % 50 == 0) {
      check();
      tail_.shrink();
    }
  }
}

TEST_F(SegmentTailTest, an_owner_of_little_is_let_go_at_once) {
  const auto text = std::make_shared<const std::string>("little");
  tail_.append({as_bytes(*text), text}, kLarge);
  EXPECT_EQ(text.use_count(), 1);
}

TEST_F(SegmentTailTest, an_empty_tail_gives_its_memory_back) {
  copied(std::string(1 << 20, 'x'));
  tail_.shrink();
  check();  // not while there is something in it
  drop(1 << 20);
  tail_.shrink();
  copied("again");
  check();
}

}  // namespace
}  // namespace onceflow::log
