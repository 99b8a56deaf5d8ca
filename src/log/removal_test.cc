// What deletions leave on the disk: removed in turns of the loop, and after a crash in between by
// the next start.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

#include "log/log_testing.h"

namespace onceflow::log::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr int kPartitions = 6;

struct RemovalLog : TestLog {
  RemovalLog() {
    options.removal_slice = Duration(0);
    options.segment_flush_bytes = 1;
    open();
  }

  /// "old" in each partition of t, and a checkpoint that knows it.
  void write_old() {
    create("t", kPartitions);
    append_to_each("old");
    settle();
    checkpoint();
  }
  void append_to_each(const std::string& value, int records = 1) {
    for (int index = 0; index < kPartitions; ++index) {
      for (int count = 0; count < records; ++count) {
        ASSERT_TRUE(append_to(partition("t", index), {.value = value}));
      }
    }
  }
  /// Folders that have been renamed, and not emptied.
  std::size_t doomed_count() const {
    std::set<std::string> folders;
    for (const std::string& path : world.disk.paths()) {
      if (const std::size_t end = path.find("-delete"); end != std::string::npos) {
        folders.insert(path.substr(0, end));
      }
    }
    return folders.size();
  }
  /// Folders of the topic that have not been renamed, and have files.
  std::size_t folder_count() const {
    std::set<std::string> folders;
    for (const std::string& path : world.disk.paths()) {
      if (path.find("/topics/t-") != std::string::npos &&
          path.find("-delete") == std::string::npos) {
        folders.insert(path.substr(0, path.rfind('/')));
      }
    }
    return folders.size();
  }
  std::size_t segment_count() const {
    return static_cast<std::size_t>(
        std::ranges::count_if(world.disk.paths(), [](const std::string& path) {
          return path.find("/topics/") != std::string::npos && path.ends_with(".log");
        }));
  }
};

TEST(Removal, of_a_topic_is_cut_into_turns_and_made_good_after_a_crash_in_between) {
  for (const bool of_machine : {false, true}) {
    for (std::size_t left = 1; left < kPartitions; ++left) {
      SCOPED_TRACE(left);
      RemovalLog test;
      test.write_old();
      ASSERT_EQ(test.segment_count(), std::size_t{kPartitions});
      ASSERT_TRUE(test.log->delete_topic("t"));
      test.world.scheduler.run_until([&] { return test.folder_count() == left; });
      ASSERT_EQ(test.folder_count(), left) << "all in one turn";
      of_machine ? test.crash_machine() : test.crash_process();
      test.open();
      test.settle();
      EXPECT_EQ(test.segment_count(), 0U);
      test.create("t", kPartitions);
      test.append_to_each("new");
      test.settle();
      test.checkpoint();
      test.crash_machine();
      test.open();
      for (int index = 0; index < kPartitions; ++index) {
        EXPECT_THAT(test.values(test.partition("t", index)), ::testing::ElementsAre("0:new"));
      }
      EXPECT_THAT(test.fatal, IsEmpty());
    }
  }
}

TEST(Removal, is_done_before_a_checkpoint_lets_go_of_the_entry_that_tells_of_it) {
  RemovalLog test;
  test.write_old();
  ASSERT_TRUE(test.log->delete_topic("t"));
  test.checkpoint();
  test.crash_machine();
  test.open();
  test.settle();
  EXPECT_EQ(test.segment_count(), 0U) << "a folder that nothing knows";
}

TEST(Removal, of_segments_is_cut_into_turns_and_made_good_after_a_crash_in_between) {
  for (std::size_t left = 1; left < kPartitions; ++left) {
    SCOPED_TRACE(left);
    RemovalLog test;
    test.write_old();
    for (int index = 0; index < kPartitions; ++index) {
      ASSERT_TRUE(test.log->delete_records(test.partition("t", index), Offset(1)));
    }
    test.world.scheduler.run_until([&] { return test.segment_count() == left; });
    ASSERT_EQ(test.segment_count(), left) << "all in one turn";
    test.crash_process();
    test.open();
    test.settle();
    test.checkpoint();
    EXPECT_EQ(test.segment_count(), 0U);
    test.append_to_each("new");
    test.settle();
    for (int index = 0; index < kPartitions; ++index) {
      EXPECT_THAT(test.values(test.partition("t", index)), ::testing::ElementsAre("1:new"));
    }
  }
}

// The folder of a topic that has the name now is not taken for the old one's.
TEST(Removal, spares_what_a_topic_of_the_same_name_has_written_meanwhile) {
  RemovalLog test;
  test.write_old();
  ASSERT_TRUE(test.log->delete_topic("t"));
  test.create("t", kPartitions);
  test.append_to_each("new");
  // Its folders are made while the old ones wait for their turn.
  test.world.scheduler.run_until([&] { return test.doomed_count() == 1; });
  test.settle();
  test.checkpoint();
  test.crash_machine();
  test.open();
  for (int index = 0; index < kPartitions; ++index) {
    EXPECT_THAT(test.values(test.partition("t", index)), ::testing::ElementsAre("0:new"));
  }
  for (const std::string& path : test.world.disk.paths()) {
    EXPECT_THAT(path, Not(HasSubstr("-delete")));
  }
}

}  // namespace
}  // namespace onceflow::log::testing
