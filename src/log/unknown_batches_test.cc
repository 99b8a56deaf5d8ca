// Checkpoint and journal of an older copy beside newer segments: what those alone hold is named,
// and nothing is written over it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "log/log_testing.h"
#include "log/walker.h"

namespace onceflow::log {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using testing::TestLog;

using Image = std::decay_t<decltype(std::declval<TestLog>().world.disk.image())>;

bool is_of_topics(const std::string& path) { return path.starts_with("data/topics/"); }

Image topics_of(const Image& image) {
  Image topics;
  for (const auto& [path, content] : image.files) {
    if (is_of_topics(path) && !path.ends_with(".index")) {
      topics.files[path] = content;
    }
  }
  return topics;
}

// All but topics/ of the older one.
Image put_back(const Image& older, const Image& newer) {
  Image mixed{.files = {}, .folders = newer.folders};
  for (const auto& [path, content] : older.files) {
    if (!is_of_topics(path)) {
      mixed.files[path] = content;
    }
  }
  for (const auto& [path, content] : newer.files) {
    if (is_of_topics(path)) {
      mixed.files[path] = content;
    }
  }
  return mixed;
}

struct Copies {
  Image older;
  Image newer;
};

// A log with `before`, copied, and then with `after` as well.
Copies copies_of(TestLog& test, const std::vector<std::string>& before,
                 const std::vector<std::string>& after,
                 const TopicConfigOverrides& overrides = {}) {
  Copies copies;
  test.open();
  test.create("t", 1, overrides);
  for (const std::string& value : before) {
    test.append({.value = value});
    test.settle();
  }
  test.close();
  copies.older = test.world.disk.image();
  test.open();
  for (const std::string& value : after) {
    test.append({.value = value});
    test.settle();
  }
  test.close();
  copies.newer = test.world.disk.image();
  return copies;
}

void expect_refused(TestLog& test, const Copies& copies) {
  const Image mixed = put_back(copies.older, copies.newer);
  test.world.disk.restore(mixed);
  const auto walked = walk_log_directory(test.world.disk, "data", test.options.boot_id);
  ASSERT_TRUE(walked);
  ASSERT_GT(walked->finding_count, 0U);
  EXPECT_THAT(walked->findings[0].what, HasSubstr("neither the checkpoint nor the journal"));
  ASSERT_FALSE(test.try_open());
  EXPECT_EQ(test.error.code, ErrorCode::kCorrupt);
  EXPECT_THAT(test.error.text, HasSubstr("data/topics/t-0/"));
  EXPECT_THAT(test.error.text, HasSubstr("neither the checkpoint nor the journal"));
  EXPECT_THAT(test.error.text, HasSubstr("onceflow salvage"));
  EXPECT_EQ(topics_of(test.world.disk.image()).files, topics_of(mixed).files);
}

TEST(UnknownBatches, behind_the_end_of_the_active_segment_are_refused) {
  TestLog test;
  expect_refused(test, copies_of(test, {"a"}, {"b", "c"}));
}

TEST(UnknownBatches, of_a_partition_that_had_none_are_refused) {
  TestLog test;
  expect_refused(test, copies_of(test, {}, {"a"}));
}

TEST(UnknownBatches, in_a_segment_of_their_own_are_refused) {
  TestLog test;
  expect_refused(test, copies_of(test, {std::string(300, 'a')}, {std::string(300, 'b')},
                                 {{"segment.bytes", "400"}}));
}

TEST(UnknownBatches, behind_what_the_journal_replays_are_refused) {
  TestLog test;
  test.open();
  test.create();
  test.append({.value = "a"});
  test.settle();
  test.checkpoint();
  test.append({.value = "b"});  // in the journal alone
  test.world.scheduler.run_for(milliseconds(100));
  test.crash_process();
  Copies copies{.older = test.world.disk.image(), .newer = {}};
  test.open();
  test.append({.value = "c"});
  test.settle();
  test.close();
  copies.newer = test.world.disk.image();
  expect_refused(test, copies);
}

TEST(UnknownBatches, behind_what_is_damaged_are_refused) {
  TestLog test;
  Copies copies = copies_of(test, {"a"}, {"b", "c"});
  Buffer& segment = copies.newer.files["data/topics/t-0/00000000000000000000.log"];
  segment[segment.size() * 2 / 3 - 5] ^= std::byte{1};  // of "b"
  expect_refused(test, copies);
}

// With log.flush=os a loss of power may take the journal's end and leave the segment.
TEST(UnknownBatches, are_cut_where_a_loss_of_power_leaves_them) {
  for (const bool is_same_boot : {false, true}) {
    TestLog test;
    test.options.flush = FlushMode::kOs;
    test.options.boot_id = 7;
    const Copies copies = copies_of(test, {"a"}, {"b"});
    if (is_same_boot) {
      expect_refused(test, copies);
      continue;
    }
    test.world.disk.restore(put_back(copies.older, copies.newer));
    test.options.boot_id = 8;
    const auto walked = walk_log_directory(test.world.disk, "data", 8);
    ASSERT_TRUE(walked);
    EXPECT_EQ(walked->finding_count, 0U);
    EXPECT_THAT(walked->notes, SizeIs(1));
    test.open();
    EXPECT_THAT(test.values(test.partition()), ElementsAre("0:a"));
    ASSERT_THAT(test.damage, SizeIs(1));
    EXPECT_THAT(test.damage[0], HasSubstr("was cut off"));
    // For good, also where the next start promises more.
    test.crash_machine();
    test.options.flush = FlushMode::kDurable;
    test.damage.clear();
    test.open();
    EXPECT_THAT(test.values(test.partition()), ElementsAre("0:a"));
    EXPECT_THAT(test.damage, IsEmpty());
  }
}

// A server that was told of other sizes replays into other files; all is there.
TEST(UnknownBatches, are_none_where_segments_have_another_size_now) {
  for (const auto& [before, now] : {std::pair(400, 1000), std::pair(1000, 400)}) {
    TestLog test;
    test.options.segment_flush_bytes = 1;
    test.options.topic_defaults.segment_bytes = before;
    test.open();
    test.create();
    test.append({.value = "first"});
    test.settle();
    test.checkpoint();
    for (int number = 0; number < 9; ++number) {
      test.append({.value = std::string(200, 'x')});
      test.settle();
    }
    test.world.scheduler.run_for(milliseconds(100));
    test.crash_process();
    ASSERT_GT(topics_of(test.world.disk.image()).files.size(), 2U);
    test.options.topic_defaults.segment_bytes = now;
    test.open();
    EXPECT_THAT(test.values(test.partition()), SizeIs(10));
    EXPECT_THAT(test.damage, IsEmpty());
    test.close();
    const auto walked = walk_log_directory(test.world.disk, "data");
    ASSERT_TRUE(walked);
    EXPECT_EQ(walked->finding_count, 0U);
  }
}

TEST(UnknownBatches, a_folder_of_no_topic_is_named_and_kept) {
  TestLog test;
  Copies copies = copies_of(test, {"a"}, {});
  test.open();
  test.create("u");
  test.append_to(test.partition("u"), {.value = "kept"});
  test.settle();
  test.close();
  copies.newer = test.world.disk.image();
  const std::string segment = "/00000000000000000000.log";
  const Buffer kept = copies.newer.files.at("data/topics/u-0" + segment);
  test.world.disk.restore(put_back(copies.older, copies.newer));
  const auto walked = walk_log_directory(test.world.disk, "data");
  ASSERT_TRUE(walked);
  ASSERT_EQ(walked->finding_count, 1U);
  EXPECT_EQ(walked->findings[0].path, "data/topics/u-0");
  for (const char* folder : {"data/topics/u-0", "data/topics/u-0.unknown-0"}) {
    test.damage.clear();
    test.open();
    ASSERT_THAT(test.damage, SizeIs(1));
    EXPECT_THAT(test.damage[0], HasSubstr(folder));
    EXPECT_THAT(test.damage[0], HasSubstr("of no topic that is known"));
    if (test.log->topics().find("u") == nullptr) {
      test.create("u");
      test.append_to(test.partition("u"), {.value = "new"});
      test.settle();
    }
    EXPECT_THAT(test.values(test.partition("u")), ElementsAre("0:new"));
    test.close();
    EXPECT_EQ(test.world.disk.bytes("data/topics/u-0.unknown-0" + segment), kept);
  }
}

}  // namespace
}  // namespace onceflow::log
