// What a watcher knows of a broker's partitions and groups is what there is, however they come and
// go and whenever it asks.
#include "broker/status_feed.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>

#include "broker/status_mirror.h"
#include "broker/status_watch.h"
#include "coordinator/coordinator_testing.h"
#include "io/os/loop_thread.h"
#include "io/os/os_environment.h"
#include "log/log_testing.h"

namespace onceflow::broker {
namespace {

using coordinator::Dice;
using coordinator::GroupCoordinator;
using log::testing::TestLog;

// A log and groups, changed at random.
class World {
 public:
  explicit World(std::uint64_t seed) : dice(seed), test(seed) {
    test.open();
    feed.emplace(test.world.scheduler, *test.log, groups, [this] {
      BrokerStatus totals;
      totals.topic_count = test.log->topics().by_name().size();
      return totals;
    });
  }

  log::Partition* any_partition() {
    const auto& topics = test.log->topics().by_name();
    if (topics.empty()) {
      return nullptr;
    }
    const auto topic =
        std::next(topics.begin(), static_cast<std::ptrdiff_t>(dice.below(topics.size())));
    const auto& partitions = topic->second->partitions;
    return partitions[dice.below(partitions.size())].get();
  }
  std::string any_topic() { return "t" + std::to_string(dice.below(8)); }
  std::string any_group() { return "g" + std::to_string(dice.below(6)); }

  void step() {
    const coordinator::Moment moment{test.world.scheduler.now(), test.world.scheduler.wall_now(),
                                     1};
    log::Partition* const partition = any_partition();
    switch (dice.below(12)) {
      case 0:
        static_cast<void>(
            test.log->create_topic(any_topic(), static_cast<std::int32_t>(1 + dice.below(700))));
        break;
      case 1:
        if (const auto deleted = test.log->delete_topic(any_topic())) {
          groups.remove_topic(deleted->id);
        }
        break;
      case 2:
        if (partition != nullptr) {
          static_cast<void>(test.log->add_partitions(
              partition->topic().name,
              static_cast<std::int32_t>(partition->topic().partitions.size() + 1)));
        }
        break;
      case 3:
        test.settle();
        break;
      case 4:
        if (partition != nullptr) {
          static_cast<void>(test.log->delete_records(*partition, partition->high_watermark()));
        }
        break;
      case 5:
        static_cast<void>(groups.delete_group(any_group(), effects));
        break;
      case 6:
        groups.end_transaction(ProducerId(static_cast<std::int64_t>(dice.below(2))),
                               dice.one_in(2) ? coordinator::TransactionResult::kCommit
                                              : coordinator::TransactionResult::kAbort,
                               std::vector<std::string>{any_group(), any_group()});
        break;
      case 7:
        if (partition != nullptr) {
          const TopicIdPartition id = partition->id();
          static_cast<void>(groups.delete_offsets(any_group(), {&id, 1}, effects));
        }
        break;
      default:
        if (partition != nullptr) {
          change(*partition, moment);
        }
    }
    effects = {};
  }

  void change(log::Partition& partition, const coordinator::Moment& moment) {
    if (dice.one_in(2)) {
      static_cast<void>(test.append_to(partition, {.value = "v"}));
      return;
    }
    const std::string group_id = any_group();
    const coordinator::OffsetToCommit offset{
        .partition = partition.id(), .offset = Offset(static_cast<std::int64_t>(dice.below(9)))};
    if (dice.one_in(3)) {
      static_cast<void>(groups.commit_pending_offsets(
          {.group_id = group_id}, ProducerId(static_cast<std::int64_t>(dice.below(2))),
          {&offset, 1}, moment, effects));
    } else {
      static_cast<void>(
          groups.commit_offsets({.group_id = group_id}, {&offset, 1}, 8, moment, effects));
    }
  }

  void compare(const StatusMirror& mirror) {
    std::size_t partition_count = 0;
    ASSERT_EQ(mirror.topics().size(), test.log->topics().by_name().size());
    for (const auto& [name, topic] : test.log->topics().by_name()) {
      const auto known = mirror.topics().find(name);
      ASSERT_TRUE(known != mirror.topics().end() && known->second == topic->id) << name;
      const auto& partitions = mirror.topic(topic->id).partitions;
      ASSERT_EQ(partitions.size(), topic->partitions.size());
      partition_count += partitions.size();
      for (std::size_t index = 0; index < partitions.size(); ++index) {
        const log::Partition& partition = *topic->partitions[index];
        ASSERT_EQ(partitions[index].high_watermark, partition.high_watermark().value) << index;
        ASSERT_EQ(partitions[index].last_stable_offset, partition.last_stable_offset().value);
        ASSERT_EQ(partitions[index].log_start_offset, partition.log_start_offset().value);
      }
    }
    ASSERT_EQ(mirror.partition_count(), partition_count);
    const auto listed = groups.list();
    ASSERT_EQ(mirror.groups().size(), listed.size());
    for (const auto& group : listed) {
      const auto known = mirror.groups().find(group.group_id);
      ASSERT_TRUE(known != mirror.groups().end());
      EXPECT_EQ(known->second.state, group.state);
      std::map<TopicIdPartition, std::int64_t> offsets;
      for (const auto& fetched :
           groups.fetch_all_offsets(group.group_id, coordinator::RequireStable::kNo)) {
        offsets.emplace(fetched.partition, fetched.offset.value);
      }
      ASSERT_EQ(known->second.offsets, offsets) << group.group_id;
    }
  }

  Dice dice;
  TestLog test;
  GroupCoordinator groups{{}};
  coordinator::Effects effects;
  std::optional<StatusFeed> feed;
};

// Steps also lie between the pieces of an answer; what a mirror knows is compared after an answer
// that nothing disturbed.
TEST(StatusFeed, a_mirror_is_what_there_is) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    World world(seed);
    StatusMirror mirror;
    const auto ask = [&](bool is_disturbed) {
      bool is_answered = false;
      world.feed->ask([&](StatusNews news) {
        is_answered = news.totals.has_value();
        mirror.apply(std::move(news));
      });
      for (int turns = 0; !is_answered && turns < 10'000; ++turns) {
        if (is_disturbed) {
          world.step();
        }
        world.test.world.scheduler.run_posted();
      }
      ASSERT_TRUE(is_answered);
    };
    for (int round = 0; round < 30; ++round) {
      for (std::uint64_t steps = world.dice.below(60); steps > 0; --steps) {
        world.step();
      }
      if (world.dice.one_in(8)) {
        world.test.log->watch();  // as when there was too much to keep
        world.groups.watch();
      }
      ask(true);
      world.test.settle();
      ask(false);
      world.compare(mirror);
      if (HasFatalFailure()) {
        FAIL() << "seed " << seed << ", round " << round;
      }
    }
  }
}

TEST(StatusFeed, what_has_not_changed_is_not_told_again) {
  World world(1);
  ASSERT_TRUE(world.test.log->create_topic("t", 20));
  std::size_t told = 0;
  const auto ask = [&] {
    told = 0;
    world.feed->ask([&](StatusNews news) {
      told += news.log.topics.size() + news.log.partitions.size() + news.groups.groups.size();
    });
    world.test.world.scheduler.run_posted();
  };
  ask();
  EXPECT_EQ(told, 1u);
  ASSERT_TRUE(world.test.append());
  ASSERT_TRUE(world.test.append());
  world.test.settle();
  ask();
  EXPECT_EQ(told, 1u);
  ask();
  EXPECT_EQ(told, 0u);
}

// A piece is bounded, whatever there is.
TEST(StatusFeed, much_is_told_in_many_turns) {
  World world(1);
  ASSERT_TRUE(world.test.log->create_topic("t", 5000));
  for (int index = 0; index < 5000; ++index) {
    ASSERT_TRUE(world.test.append_to(world.test.partition("t", index), {}));
  }
  world.test.settle();
  std::size_t most = 0;
  std::size_t all = 0;
  world.feed->ask([&](StatusNews news) {
    most = std::max(most, news.log.partitions.size());
    all += news.log.partitions.size();
  });
  world.test.settle();
  EXPECT_GE(all, 5000u);
  EXPECT_LE(most, 500u);
}

// Nobody asks, and topics, offsets and groups come and go: what is kept of it has a bound.
TEST(StatusFeed, what_nobody_asks_for_does_not_pile_up) {
  World world(1);
  const coordinator::Moment moment{};
  for (int round = 0; round < 25'000; ++round) {
    const auto created = world.test.log->create_topic("t", 1);
    ASSERT_TRUE(created);
    const coordinator::OffsetToCommit offset{.partition = {created->id, PartitionIndex(0)},
                                             .offset = Offset(1)};
    static_cast<void>(
        world.groups.commit_offsets({.group_id = "g"}, {&offset, 1}, 8, moment, world.effects));
    world.groups.remove_topic(created->id);
    ASSERT_TRUE(world.test.log->delete_topic("t"));
    world.effects = {};
  }
  std::size_t told = 0;
  world.feed->ask([&](StatusNews news) {
    told += news.log.topics.size() + news.log.partitions.size() + news.groups.groups.size();
    for (const auto& group : news.groups.groups) {
      told += group.offsets.offsets.size();
    }
  });
  world.test.settle();
  EXPECT_LT(told, 25'000u);
}

// --- StatusWatch ---

TEST(StatusWatch, those_who_ask_together_share_a_question) {
  World world(1);
  int asked = 0;
  StatusWatch watch(world.test.world.scheduler, [&](TellStatus tell) {
    ++asked;
    world.feed->ask(std::move(tell));
  });
  int answered = 0;
  const auto reader = [&]() -> Task<void> {
    EXPECT_TRUE(co_await watch.refresh(seconds(5)));
    ++answered;
  };
  for (int count = 0; count < 100; ++count) {
    world.test.world.scheduler.spawn(reader());
  }
  world.test.world.scheduler.run_for(seconds(1));
  EXPECT_EQ(answered, 100);
  EXPECT_LE(asked, 2);
}

TEST(StatusWatch, a_broker_that_does_not_answer_is_not_waited_for) {
  World world(1);
  StatusWatch watch(world.test.world.scheduler, [&](const TellStatus&) {});
  std::optional<bool> is_fresh;
  const auto reader = [&]() -> Task<void> { is_fresh = co_await watch.refresh(seconds(5)); };
  world.test.world.scheduler.spawn(reader());
  world.test.world.scheduler.run_for(seconds(6));
  EXPECT_EQ(is_fresh, false);
}

// For the thread sanitizer: the broker's thread works, the watcher's asks.
TEST(StatusWatch, broker_and_watcher_share_nothing) {
  World world(7);
  io::OsEnvironment os;  // of the broker's thread, this one
  struct Content {
    io::Scheduler* scheduler = nullptr;
    std::unique_ptr<StatusWatch> watch;
    int rounds = 0;
  };
  const auto content = std::make_shared<Content>();
  bool is_over = false;
  io::LoopThread* console = nullptr;
  io::LoopThread thread([&](io::OsEnvironment& there, io::LoopThread::AtStop&) {
    content->scheduler = &there.loop();
    content->watch = std::make_unique<StatusWatch>(there.loop(), [&](TellStatus tell) {
      os.loop().post_from_any_thread([&, tell = std::move(tell)] {
        world.feed->ask([&, tell](StatusNews news) {
          console->post([tell, news = std::move(news)]() mutable { tell(std::move(news)); });
        });
      });
    });
    return content;
  });
  console = &thread;
  const auto rounds = [&]() -> Task<void> {
    for (; content->rounds < 20; ++content->rounds) {
      EXPECT_TRUE(co_await content->watch->refresh(seconds(20)));
    }
    os.loop().post_from_any_thread([&] { is_over = true; });
  };
  thread.post([&] { content->scheduler->spawn(rounds()); });
  EXPECT_TRUE(os.loop().run_until(
      [&] {
        world.step();
        world.test.settle();
        return is_over;
      },
      seconds(60)));
  thread.stop();
}

}  // namespace
}  // namespace onceflow::broker
