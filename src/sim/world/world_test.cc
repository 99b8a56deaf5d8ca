// The simulated world: order, crashes, kills, pauses, connections, and one seed giving one run.
#include "sim/world/sim_world.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "io/event.h"

namespace onceflow::sim {
namespace {

using testing::ElementsAre;

// A world with one node called "a", whose boot is given.
class WorldTest : public testing::Test {
 protected:
  static WorldOptions calm(std::uint64_t seed = 1) { return {.seed = seed}; }
  static Buffer read_all(io::Disk& disk, const std::string& path) {
    return io::read_file(disk, path).value_or(Buffer{});
  }
};

TEST_F(WorldTest, posted_callbacks_run_in_order_and_timers_by_time) {
  SimWorld world(calm());
  std::vector<int> ran;
  world.add_node({.name = "a", .boot = [&](SimProcess& process) {
                    io::Scheduler& loop = process.scheduler();
                    loop.schedule_after(milliseconds(2), [&] { ran.push_back(4); });
                    loop.schedule_after(milliseconds(1), [&] { ran.push_back(3); });
                    loop.cancel(loop.schedule_after(milliseconds(1), [&] { ran.push_back(9); }));
                    loop.post([&] { ran.push_back(1); });
                    loop.post([&] { ran.push_back(2); });
                  }});
  EXPECT_TRUE(ran.empty());
  world.run_for(seconds(1));
  EXPECT_THAT(ran, ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(world.now().time_since_epoch(), seconds(1));
}

TEST_F(WorldTest, a_kill_drops_callbacks_before_tasks_and_tasks_before_objects) {
  struct Notes {
    std::vector<std::string>& order;
    std::string name;
    ~Notes() { order.push_back(name); }
  };
  SimWorld world(calm());
  std::vector<std::string> order;
  SimNode& node = world.add_node(
      {.name = "a", .boot = [&](SimProcess& process) {
         if (process.node().start_count() > 1) {
           order.push_back("restarted");
           return;
         }
         process.make<Notes>(order, "object");
         process.scheduler().spawn([](SimProcess& of, std::vector<std::string>& to) -> Task<void> {
           const Notes notes{to, "task"};
           co_await of.scheduler().sleep_for(seconds(100));
           to.push_back("never");
         }(process, order));
         process.scheduler().schedule_after(
             seconds(90), [notes = std::make_unique<Notes>(order, "callback")] {});
       }});
  world.run_for(milliseconds(1));
  world.kill(node);
  EXPECT_THAT(order, ElementsAre("callback", "task", "object"));
  world.run_for(seconds(200));
  EXPECT_THAT(order, ElementsAre("callback", "task", "object", "restarted"));
}

TEST_F(WorldTest, a_process_that_exits_finishes_its_callback_without_effect) {
  SimWorld world(calm());
  bool reached = false;
  bool posted_ran = false;
  world.add_node({.name = "a", .boot = [&](SimProcess& process) {
                    if (process.node().start_count() > 1) {
                      return;
                    }
                    io::Environment environment = process.environment();
                    process.exit("exit");
                    process.scheduler().post([&] { posted_ran = true; });
                    auto file = environment.disk.open("f", io::OpenMode::kCreate).value();
                    EXPECT_TRUE(file->write_at(0, as_bytes("x")).has_value());
                    reached = true;
                  }});
  world.run_for(seconds(10));
  EXPECT_TRUE(reached);
  EXPECT_FALSE(posted_ran);
  EXPECT_EQ(world.node("a").start_count(), 2U);
  EXPECT_FALSE(world.node("a").process()->environment().disk.exists("f").value());
}

TEST_F(WorldTest, a_paused_process_goes_on_where_it_was) {
  SimWorld world(calm());
  std::vector<std::int64_t> beats_ms;
  SimNode& node = world.add_node(
      {.name = "a", .boot = [&](SimProcess& process) {
         process.scheduler().spawn([](SimProcess& of, std::vector<std::int64_t>& to) -> Task<void> {
           while (true) {
             co_await of.scheduler().sleep_for(milliseconds(10));
             to.push_back(to_ms(of.scheduler().now().time_since_epoch()));
           }
         }(process, beats_ms));
       }});
  world.run_for(milliseconds(25));
  world.pause(node, milliseconds(100));
  world.run_for(milliseconds(125));
  EXPECT_THAT(beats_ms, ElementsAre(10, 20, 125, 135, 145));
}

TEST_F(WorldTest, a_pause_that_ends_with_the_faults_keeps_the_order_of_callbacks) {
  SimWorld world(calm());
  std::vector<int> order;
  SimNode& node = world.add_node({.name = "a", .boot = [&](SimProcess& process) {
                                    process.scheduler().schedule_after(milliseconds(10), [&] {
                                      order.push_back(1);
                                      process.scheduler().post([&] { order.push_back(2); });
                                    });
                                    process.scheduler().schedule_after(milliseconds(60),
                                                                       [&] { order.push_back(3); });
                                  }});
  world.run_for(milliseconds(1));
  world.pause(node, seconds(10));
  world.run_for(milliseconds(49));
  world.stop_faults();
  world.run_for(milliseconds(5));
  EXPECT_THAT(order, ElementsAre(1, 2));
  world.run_for(milliseconds(10));
  EXPECT_THAT(order, ElementsAre(1, 2, 3));
}

TEST_F(WorldTest, a_pause_is_not_ended_by_one_before_it) {
  SimWorld world(calm());
  std::vector<std::int64_t> beats_ms;
  SimNode& node =
      world.add_node({.name = "a", .boot = [&](SimProcess& process) {
                        process.scheduler().schedule_after(milliseconds(30), [&] {
                          beats_ms.push_back(to_ms(process.scheduler().now().time_since_epoch()));
                        });
                      }});
  world.run_for(milliseconds(1));
  world.pause(node, milliseconds(50));
  world.run_for(milliseconds(9));
  world.stop_faults();
  world.run_for(milliseconds(10));
  world.pause(node, milliseconds(100));
  world.run_for(milliseconds(50));
  EXPECT_TRUE(node.is_paused());
  world.run_for(milliseconds(100));
  EXPECT_THAT(beats_ms, ElementsAre(120));
}

TEST_F(WorldTest, after_a_kill_everything_written_is_there) {
  SimWorld world(calm());
  SimNode& node = world.add_node({.name = "a", .boot = [](SimProcess& process) {
                                    if (process.node().start_count() == 1) {
                                      io::Disk& disk = process.environment().disk;
                                      ASSERT_TRUE(disk.make_directory("d").has_value());
                                      auto file = disk.open("d/f", io::OpenMode::kCreate).value();
                                      ASSERT_TRUE(file->write_at(0, as_bytes("hello")).has_value());
                                    }
                                  }});
  world.run_for(milliseconds(1));
  world.kill(node);
  world.run_for(seconds(5));
  EXPECT_EQ(as_text(read_all(node.process()->environment().disk, "d/f")), "hello");
}

TEST_F(WorldTest, after_a_crash_what_was_synced_is_there_and_the_rest_in_any_state) {
  int lost = 0;
  int kept = 0;
  int torn = 0;
  int no_file = 0;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    SimWorld world(calm(seed));
    SimNode& node =
        world.add_node({.name = "a", .boot = [](SimProcess& process) {
                          if (process.node().start_count() > 1) {
                            return;
                          }
                          io::Disk& disk = process.environment().disk;
                          auto file = disk.open("f", io::OpenMode::kCreate).value();
                          const Buffer old(4096, std::byte{'o'});
                          const Buffer fresh(4096, std::byte{'n'});
                          ASSERT_TRUE(file->write_at(0, old).has_value());
                          ASSERT_TRUE(file->sync().has_value());
                          ASSERT_TRUE(disk.sync_directory(".").has_value());
                          ASSERT_TRUE(file->write_at(0, fresh).has_value());
                          ASSERT_TRUE(disk.open("unsynced", io::OpenMode::kCreate).has_value());
                        }});
    world.run_for(milliseconds(1));
    world.crash_machine(node.machine());
    world.run_for(seconds(5));
    io::Disk& disk = node.process()->environment().disk;
    const Buffer content = read_all(disk, "f");
    ASSERT_EQ(content.size(), 4096U);
    for (std::size_t sector = 0; sector < 4096; sector += 512) {
      const ByteView bytes = ByteView(content).subspan(sector, 512);
      ASSERT_TRUE(std::ranges::all_of(bytes, [&](std::byte octet) { return octet == bytes[0]; }));
    }
    const auto news = std::ranges::count(content, std::byte{'n'});
    lost += news == 0 ? 1 : 0;
    kept += news == 4096 ? 1 : 0;
    torn += news != 0 && news != 4096 ? 1 : 0;
    no_file += disk.exists("unsynced").value() ? 0 : 1;
  }
  EXPECT_GT(lost, 20);
  EXPECT_GT(kept, 20);
  EXPECT_GT(torn, 20);
  EXPECT_GT(no_file, 20);
  EXPECT_LT(no_file, 180);
}

TEST_F(WorldTest, a_durable_write_is_durable_when_it_calls_back_and_torn_before) {
  int torn = 0;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    SimWorld world(calm(seed));
    io::BlockBuffer first(4096);
    io::BlockBuffer second(4096);
    std::memset(first.data(), 'a', 4096);
    std::memset(second.data(), 'b', 4096);
    bool first_is_done = false;
    bool second_is_done = false;
    SimNode& node =
        world.add_node({.name = "a", .boot = [&](SimProcess& process) {
                          if (process.node().start_count() > 1) {
                            return;
                          }
                          io::Disk& disk = process.environment().disk;
                          auto& file = process.keep(disk.open("f", io::OpenMode::kCreate).value());
                          ASSERT_TRUE(disk.sync_directory(".").has_value());
                          file.async_write_durable(0, ByteView(first.data(), 4096),
                                                   [&](Status) { first_is_done = true; });
                          file.async_write_durable(0, ByteView(second.data(), 4096),
                                                   [&](Status) { second_is_done = true; });
                        }});
    ASSERT_TRUE(world.run_until([&] { return first_is_done; }, seconds(1)));
    EXPECT_FALSE(second_is_done);
    world.crash_machine(node.machine());
    world.run_for(seconds(5));
    EXPECT_FALSE(second_is_done);
    const Buffer content = read_all(node.process()->environment().disk, "f");
    const auto count = std::ranges::count(content, std::byte{'b'});
    EXPECT_EQ(std::ranges::count(content, std::byte{'a'}) + count, 4096);
    torn += count != 0 && count != 4096 ? 1 : 0;
  }
  EXPECT_GT(torn, 20);
}

TEST_F(WorldTest, a_lock_is_released_by_a_kill) {
  SimWorld world(calm());
  SimNode& node = world.add_node(
      {.name = "a", .boot = [](SimProcess& process) {
         auto lock = process.environment().disk.lock_directory(".");
         ASSERT_TRUE(lock.has_value());
         process.keep(std::move(*lock));
         EXPECT_EQ(process.environment().disk.lock_directory(".").error().code, ErrorCode::kLocked);
       }});
  world.run_for(milliseconds(1));
  world.kill(node);
  world.run_for(seconds(5));
  EXPECT_EQ(node.start_count(), 2U);
}

// A server that echoes and a client that counts what comes back; both start again after their end.
struct EchoPair {
  explicit EchoPair(SimWorld& world) {
    world.add_node({.name = "server", .boot = [](SimProcess& process) {
                      process.scheduler().spawn(serve(process));
                    }});
    world.add_node({.name = "client", .boot = [this](SimProcess& process) {
                      process.scheduler().spawn(ask(process));
                    }});
  }

  static Task<void> serve(SimProcess& process) {
    auto listener = process.environment().network.listen({"0.0.0.0", 9092}).value();
    while (true) {
      auto connection = co_await listener->accept();
      if (!connection) {
        co_return;
      }
      process.scheduler().spawn(echo(std::move(*connection)));
    }
  }
  static Task<void> echo(std::unique_ptr<io::Connection> connection) {
    Buffer buffer(64);
    while (true) {
      const auto count = co_await connection->read(buffer);
      if (!count || *count == 0 || !co_await connection->write(ByteView(buffer).first(*count))) {
        co_return;
      }
    }
  }
  Task<void> ask(SimProcess& process) {
    io::Environment environment = process.environment();
    while (true) {
      co_await process.scheduler().sleep_for(milliseconds(10));
      auto connection = co_await environment.network.connect(
          {"server", 9092}, process.scheduler().now() + seconds(1));
      if (!connection) {
        ++failures;
        continue;
      }
      for (int round = 0; round < 100; ++round) {
        const Buffer question = to_buffer(std::to_string(environment.random.next()));
        Buffer answer(question.size());
        if (!co_await (*connection)->write(question) ||
            !co_await (*connection)->read_fully(answer)) {
          ++failures;
          break;
        }
        EXPECT_TRUE(equal(question, answer));
        ++answers;
      }
    }
  }

  int answers = 0;
  int failures = 0;
};

TEST_F(WorldTest, bytes_arrive_in_order_in_pieces) {
  SimWorld world(calm());
  EchoPair pair(world);
  ASSERT_TRUE(world.run_until([&] { return pair.answers >= 1000; }, seconds(60)));
  EXPECT_EQ(pair.failures, 0);
}

TEST_F(WorldTest, a_cut_connection_fails_and_the_next_one_works) {
  WorldOptions options = calm();
  options.faults.connection_cut = {1, 50};
  options.faults.reply_lost = {1, 50};
  SimWorld world(options);
  EchoPair pair(world);
  ASSERT_TRUE(world.run_until([&] { return pair.answers >= 1000; }, seconds(60)));
  EXPECT_GT(pair.failures, 10);
}

TEST_F(WorldTest, a_partition_holds_bytes_back_and_gives_them_later) {
  SimWorld world(calm());
  EchoPair pair(world);
  ASSERT_TRUE(world.run_until([&] { return pair.answers >= 10; }, seconds(60)));
  world.partition(world.node("client"), world.node("server"), seconds(5));
  const int answers_before = pair.answers;
  world.run_for(seconds(4));
  EXPECT_LE(pair.answers, answers_before + 1);
  world.run_for(seconds(4));
  EXPECT_GT(pair.answers, answers_before + 10);
  EXPECT_EQ(pair.failures, 0);
}

TEST_F(WorldTest, killed_peers_are_noticed_and_nobody_listening_refuses) {
  SimWorld world(calm());
  EchoPair pair(world);
  for (int round = 0; round < 20; ++round) {
    const int answers_before = pair.answers;
    ASSERT_TRUE(world.run_until([&] { return pair.answers >= answers_before + 20; }, seconds(200)));
    if (round % 2 == 0) {
      world.kill(world.node("server"));
    } else {
      world.crash_machine(world.node("server").machine());
    }
  }
  EXPECT_GE(pair.failures, 20);
}

TEST_F(WorldTest, the_same_seed_gives_the_same_run_and_another_seed_another) {
  const auto run = [](std::uint64_t seed) {
    SimRandom random(seed);
    WorldOptions options{.seed = seed, .faults = Faults::swarm(random)};
    SimWorld world(options);
    EchoPair pair(world);
    world.start_faults();
    world.run_for(seconds(30));
    return world.log().hash();
  };
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    EXPECT_EQ(run(seed), run(seed)) << seed;
  }
  EXPECT_NE(run(1), run(2));
}

TEST_F(WorldTest, faults_that_stop_leave_a_world_that_works) {
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    SimRandom random(seed);
    SimWorld world({.seed = seed, .faults = Faults::swarm(random)});
    EchoPair pair(world);
    world.start_faults();
    world.run_for(seconds(20));
    world.stop_faults();
    world.run_for(seconds(70));
    const int answers_before = pair.answers;
    world.run_for(seconds(5));
    EXPECT_GT(pair.answers, answers_before + 100) << seed << ": " << world.faults().describe();
  }
}

}  // namespace
}  // namespace onceflow::sim
