#include "broker/memory_relief.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace onceflow::broker {
namespace {

using testing::ElementsAre;

constexpr std::size_t kMebibyte = 1u << 20;

MemoryHolder holder(std::uint64_t number, std::size_t mebibytes) {
  return {.connection = coordinator::ConnectionNumber(number), .held_bytes = mebibytes * kMebibyte};
}
MemoryHolder reader(std::uint64_t number, std::size_t mebibytes, Duration silence) {
  MemoryHolder made = holder(number, mebibytes);
  made.has_unread_answer = true;
  made.silence = silence;
  return made;
}
MemoryHolder half(std::uint64_t number, std::size_t mebibytes, Duration silence) {
  MemoryHolder made = holder(number, mebibytes);
  made.has_half_request = true;
  made.silence = silence;
  return made;
}
std::vector<std::uint64_t> chosen(const std::vector<MemoryHolder>& holders,
                                  std::size_t wanted_mebibytes) {
  std::vector<std::uint64_t> numbers;
  for (const MemoryVictim& victim :
       choose_victims(holders, {.wanted_bytes = wanted_mebibytes * kMebibyte,
                                .fair_share_bytes = 10 * kMebibyte,
                                .fair_share_of_address_bytes = 10 * kMebibyte,
                                .patience = seconds(1)})) {
    numbers.push_back(victim.connection.value);
  }
  return numbers;
}

// MEM-2
TEST(MemoryRelief, readers_that_do_not_read_go_first_then_half_requests_the_largest_first) {
  const std::vector<MemoryHolder> holders = {half(1, 5, seconds(2)), half(2, 50, seconds(2)),
                                             reader(3, 1, seconds(2)), reader(4, 3, seconds(2))};
  EXPECT_THAT(chosen(holders, 1), ElementsAre(4));
  EXPECT_THAT(chosen(holders, 4), ElementsAre(4, 3));
  EXPECT_THAT(chosen(holders, 1000), ElementsAre(4, 3, 2, 1));
}

TEST(MemoryRelief, who_makes_progress_within_its_share_stays) {
  MemoryHolder slow_link = half(1, 9, milliseconds(900));
  slow_link.bytes_per_second = 1000;
  MemoryHolder slow_reader = reader(2, 9, milliseconds(900));
  slow_reader.bytes_per_second = 1000;
  EXPECT_THAT(chosen({slow_link, slow_reader, holder(3, 100)}, 1000), ElementsAre());
}

TEST(MemoryRelief, where_only_small_requests_go_on_those_beyond_their_share_have_less_patience) {
  const MemoryShortage shortage{.wanted_bytes = 1000 * kMebibyte,
                                .fair_share_bytes = 10 * kMebibyte,
                                .patience = seconds(1),
                                .is_critical = true};
  const auto victims =
      choose_victims({half(1, 9, milliseconds(900)), half(2, 11, milliseconds(300)),
                      reader(3, 9, milliseconds(900)), half(4, 11, milliseconds(100))},
                     shortage);
  ASSERT_EQ(victims.size(), 1u);
  EXPECT_EQ(victims[0].connection.value, 2u);
}

TEST(MemoryRelief, who_holds_more_than_its_share_stays_if_it_is_quick) {
  MemoryHolder slow = half(1, 20, milliseconds(10));
  slow.bytes_per_second = 50'000;
  MemoryHolder quick = half(2, 90, milliseconds(10));
  quick.bytes_per_second = 50'000'000;
  const MemoryHolder unknown = half(3, 80, milliseconds(10));
  EXPECT_THAT(chosen({slow, quick, unknown}, 1000), ElementsAre(1));
}

TEST(MemoryRelief, when_nothing_moves_the_one_that_waits_with_most_goes) {
  MemoryHolder little = holder(1, 1);
  little.is_waiting = true;
  MemoryHolder much = holder(2, 5);
  much.is_waiting = true;
  MemoryShortage shortage{.wanted_bytes = kMebibyte, .patience = seconds(1)};
  EXPECT_TRUE(choose_victims({little, much, holder(3, 50)}, shortage).empty());
  shortage.is_stuck = true;
  const auto victims = choose_victims({little, much, holder(3, 50)}, shortage);
  ASSERT_EQ(victims.size(), 1u);
  EXPECT_EQ(victims[0].connection.value, 2u);
}

TEST(MemoryRelief, of_a_kind_those_of_a_greedy_address_go_first) {
  MemoryHolder modest = half(1, 30, seconds(5));
  modest.address_bytes = 5 * kMebibyte;
  MemoryHolder greedy = half(2, 20, seconds(5));
  greedy.address_bytes = 50 * kMebibyte;
  EXPECT_THAT(chosen({modest, greedy}, 1), ElementsAre(2));
}

}  // namespace
}  // namespace onceflow::broker
