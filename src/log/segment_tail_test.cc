#include "log/segment_tail.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace onceflow::log {
namespace {

constexpr std::size_t kLarge = SegmentTail::kHeldBytesMin;

struct SegmentTailTest : testing::Test {
  void copied(const std::string& text) {
    tail_.append({as_bytes(text), nullptr});
    expected_ += text;
  }
  std::shared_ptr<const std::string> held(char letter) {
    auto text = std::make_shared<const std::string>(kLarge, letter);
    tail_.append({as_bytes(*text), text});
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

TEST_F(SegmentTailTest, an_owner_of_little_is_let_go_at_once) {
  const auto text = std::make_shared<const std::string>("little");
  tail_.append({as_bytes(*text), text});
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
