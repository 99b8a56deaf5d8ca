// The cases of recovery.cc, and damage of every kind to every file.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/crc32c.h"
#include "log/log_testing.h"

namespace onceflow::log {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::TestLog;

constexpr std::string_view kSegment = "data/topics/t-0/00000000000000000000.log";

// A log with "a" checkpointed and "b" in the journal alone, its process dead.
void prepare(TestLog& test) {
  test.open();
  test.create();
  test.append({.value = "a"});
  test.settle();
  test.checkpoint();
  test.append({.value = "b"});
  test.world.scheduler.run_for(milliseconds(100));  // and sealed
  test.crash_process();
}

TEST(Recovery, an_empty_folder_is_begun) {
  TestLog test;
  test.open();
  EXPECT_THAT(test.log->topics().by_name(), IsEmpty());
  // Again, after each prefix of a first start that did not end.
  test.crash_process();
  const auto image = test.world.disk.image();
  auto interrupted = image;
  interrupted.files.erase("data/checkpoint.1");
  test.world.disk.restore(interrupted);
  test.open();
  EXPECT_THAT(test.damage, IsEmpty());
}

TEST(Recovery, the_journal_is_replayed_on_the_checkpoint) {
  TestLog test;
  prepare(test);
  test.open();
  EXPECT_GT(test.log->statistics().replayed_bytes, 0u);
  EXPECT_THAT(test.values(test.partition()), ElementsAre("0:a", "1:b"));
  EXPECT_THAT(test.damage, IsEmpty());
}

TEST(Recovery, the_older_checkpoint_serves) {
  TestLog test;
  prepare(test);
  Buffer& newest = test.world.disk.bytes("data/checkpoint.0");
  newest[newest.size() / 2] ^= std::byte{1};
  test.open();
  EXPECT_THAT(test.values(test.partition()), ElementsAre("0:a", "1:b"));
  ASSERT_EQ(test.damage.size(), 1u);
  EXPECT_THAT(test.damage[0], HasSubstr("data/checkpoint.0"));
}

TEST(Recovery, a_checkpoint_that_the_device_may_not_have_is_made_durable_before_it_serves) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    TestLog test(seed);
    prepare(test);
    test.open();
    const auto append_many = [&] {
      for (int round = 0; round < 40; ++round) {
        test.append({.value = std::string(20'000, 'x')});
        test.settle();
      }
    };
    append_many();
    // The sync of the next checkpoint fails: it is in the page cache, and no sync will write it.
    test.world.disk.inode("data/checkpoint.1").fail_next_sync = true;
    test.world.scheduler.spawn(
        [](Log& log) -> Task<void> { static_cast<void>(co_await log.checkpoint()); }(*test.log));
    EXPECT_TRUE(test.world.scheduler.run_until([&] { return !test.fatal.empty(); }));
    test.crash_process();
    test.open();
    // Its journal is used again, and then the machine goes down.
    append_many();
    test.crash_machine();
    test.open();
    EXPECT_EQ(test.values(test.partition()).size(), 82U);
  }
}

TEST(Recovery, a_lost_checkpoint_is_refused) {
  TestLog test;
  prepare(test);
  const auto image = test.world.disk.image();
  for (const bool erase : {false, true}) {
    auto broken = image;
    for (const char* path : {"data/checkpoint.0", "data/checkpoint.1"}) {
      if (erase) {
        broken.files.erase(path);
      } else {
        broken.files[path][10] ^= std::byte{1};
      }
    }
    test.world.disk.restore(broken);
    ASSERT_FALSE(test.try_open());
    EXPECT_EQ(test.error.code, ErrorCode::kCorrupt);
    EXPECT_THAT(test.error.text, HasSubstr("Restore the data directory"));
  }
}

TEST(Recovery, a_damaged_checkpoint_whose_journal_is_gone_is_refused) {
  TestLog test;
  test.open();
  test.create();
  for (int round = 0; round < 40; ++round) {
    test.append({.value = std::string(20'000, 'x')});
    test.settle();
    if (round % 10 == 9) {
      test.checkpoint();
    }
  }
  for (int round = 0; round < 30; ++round) {  // over what was released
    test.append({.value = std::string(20'000, 'x')});
    test.settle();
  }
  test.world.scheduler.run_for(milliseconds(100));
  test.crash_process();
  // The newest of the two is that with the higher sequence, at byte 8.
  const auto sequence = [&](const char* path) {
    return wire::load_big_endian<std::uint64_t>(test.world.disk.bytes(path).data() + 8);
  };
  const char* newest = sequence("data/checkpoint.0") > sequence("data/checkpoint.1")
                           ? "data/checkpoint.0"
                           : "data/checkpoint.1";
  test.world.disk.bytes(newest)[40] ^= std::byte{1};
  ASSERT_FALSE(test.try_open());
  EXPECT_EQ(test.error.code, ErrorCode::kCorrupt);
  EXPECT_THAT(test.error.text, HasSubstr("data/journal"));
}

TEST(Recovery, a_newer_format_is_refused) {
  TestLog test;
  prepare(test);
  Buffer& bytes = test.world.disk.bytes("data/checkpoint.0");
  wire::store_big_endian<std::uint16_t>(bytes.data() + 4, kFormatVersion + 1);
  wire::store_big_endian(bytes.data() + 28, crc32c(ByteView(bytes).first(28)));
  ASSERT_FALSE(test.try_open());
  EXPECT_EQ(test.error.code, ErrorCode::kUnsupported);
  EXPECT_THAT(test.error.text, HasSubstr("newer version"));
}

TEST(Recovery, a_short_segment_is_refused) {
  TestLog test;
  prepare(test);
  test.world.disk.bytes(std::string(kSegment)).pop_back();
  ASSERT_FALSE(test.try_open());
  EXPECT_EQ(test.error.code, ErrorCode::kCorrupt);
  EXPECT_THAT(test.error.text, HasSubstr(kSegment));
}

TEST(Recovery, an_overlong_segment_is_cut) {
  TestLog test;
  prepare(test);
  append(test.world.disk.bytes(std::string(kSegment)), as_bytes("rubbish"));
  test.open();
  EXPECT_THAT(test.values(test.partition()), ElementsAre("0:a", "1:b"));
}

TEST(Recovery, a_missing_index_is_built_again) {
  TestLog test;
  test.open();
  test.create();
  for (int index = 0; index < 400; ++index) {
    test.append({.value = std::string(1000, 'x'), .timestamp_ms = 1000 + index});
  }
  test.settle();
  test.checkpoint();
  test.crash_process();
  const std::string path = "data/topics/t-0/00000000000000000000.index";
  ASSERT_GE(test.world.disk.bytes(path).size(), 5 * kIndexEntryBytes);
  const auto image = test.world.disk.image();
  for (const char* what : {"whole", "gone", "damaged", "of another segment"}) {
    SCOPED_TRACE(what);
    auto changed = image;
    if (what == std::string("gone")) {
      changed.files.erase(path);
    } else if (what == std::string("damaged")) {
      changed.files[path][30] ^= std::byte{1};
    } else if (what == std::string("of another segment")) {
      Buffer& bytes = changed.files[path];
      for (std::size_t at = 0; at < bytes.size(); at += kIndexEntryBytes) {
        auto entry = *decode_index_entry(ByteView(bytes).subspan(at));
        entry.position += 17;
        encode_index_entry(entry, bytes.data() + at);
      }
    }
    test.world.disk.restore(changed);
    test.open();
    Buffer bytes;
    const auto read =
        test.partition().read(Offset(333), 10, IsolationLevel::kReadUncommitted, bytes);
    ASSERT_TRUE(read);
    EXPECT_EQ(protocol::RecordBatchHeader::parse(bytes)->base_offset, Offset(333));
    const auto found = test.partition().find_by_timestamp(1222, IsolationLevel::kReadUncommitted);
    ASSERT_TRUE(found && *found);
    EXPECT_EQ((*found)->offset, Offset(222));
    test.crash_process();
  }
}

TEST(Recovery, another_process_has_the_folder) {
  TestLog test;
  test.open();
  testing::RecordingListener listener;
  const auto second = Log::open(test.world.environment(), test.options, listener);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kLocked);
}

// Opens and reads everything; what comes out is the truth, its prefix with damage reported, or a
// refusal.
void expect_truth_or_refusal(TestLog& test, const std::string& path, std::size_t position) {
  SCOPED_TRACE(path + " byte " + std::to_string(position));
  test.damage.clear();
  if (!test.try_open()) {
    EXPECT_THAT(test.error.text, HasSubstr("data/"));
    return;
  }
  ASSERT_NE(test.log->topics().find("t"), nullptr);
  const std::vector<std::string> all = {"0:a", "1:x", "2:marker", "3:b"};
  const std::vector<std::string> found = test.values(test.partition());
  EXPECT_EQ(test.partition().log_end_offset(), Offset(4));
  if (found != all) {
    // Never silently, never changed: a prefix and then the error.
    ASSERT_FALSE(found.empty());
    EXPECT_EQ(found.back(), "KAFKA_STORAGE_ERROR");
    for (std::size_t index = 0; index + 1 < found.size(); ++index) {
      EXPECT_EQ(found[index], all[index]);
    }
    EXPECT_THAT(test.damage, Contains(HasSubstr(path)));
  }
  test.crash_process();
}

TEST(Recovery, no_flipped_byte_of_any_file_is_taken_for_truth) {
  for (const bool with_journal : {false, true}) {
    TestLog test;
    test.options.journal_first_file_bytes = test.options.journal_file_bytes = 32 << 10;
    test.open();
    test.create();
    test.append({.value = "a"});
    test.append({.value = "x",
                 .producer = {ProducerId(1), ProducerEpoch(0)},
                 .sequence = Sequence(0),
                 .transactional = true});
    test.log->append_end_transaction({.producer = {ProducerId(1), ProducerEpoch(0)},
                                      .commit = true,
                                      .partitions = {test.partition().id()}},
                                     as_bytes("record"));
    test.settle();
    if (with_journal) {
      test.checkpoint();
    }
    test.append({.value = "b"});
    if (with_journal) {
      test.world.scheduler.run_for(milliseconds(100));
      test.crash_process();
    } else {
      test.close();
    }
    const auto image = test.world.disk.image();
    for (const auto& [path, content] : image.files) {
      for (std::size_t position = 0; position < content.size(); ++position) {
        if (content[position] == std::byte{0} && position % 199 != 0) {
          continue;  // padding, mostly
        }
        auto damaged = image;
        damaged.files[path][position] ^= std::byte{0x04};
        test.world.disk.restore(damaged);
        expect_truth_or_refusal(test, path, position);
        if (HasFatalFailure()) {
          return;
        }
      }
    }
  }
}

TEST(Recovery, no_file_cut_short_is_taken_for_truth) {
  TestLog test;
  test.open();
  test.create();
  test.append({.value = "a"});
  test.append({.value = "x",
               .producer = {ProducerId(1), ProducerEpoch(0)},
               .sequence = Sequence(0),
               .transactional = true});
  test.log->append_end_transaction({.producer = {ProducerId(1), ProducerEpoch(0)},
                                    .commit = true,
                                    .partitions = {test.partition().id()}},
                                   as_bytes("record"));
  test.append({.value = "b"});
  test.close();
  const auto image = test.world.disk.image();
  for (const auto& [path, content] : image.files) {
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, content.size() / 2}) {
      auto damaged = image;
      damaged.files[path].resize(std::min(size, content.size()));
      test.world.disk.restore(damaged);
      expect_truth_or_refusal(test, path, size);
    }
  }
}

TEST(Recovery, a_full_disk_stops_the_log_and_loses_nothing) {
  TestLog test;
  test.options.checkpoint_every_bytes = 1 << 30;
  test.open();
  test.create();
  test.settle();
  test.world.disk.capacity_bytes = test.world.disk.used_bytes() + 100'000;
  int acknowledged = 0;
  for (int index = 0; index < 100 && test.fatal.empty(); ++index) {
    const auto appended = test.append({.value = std::string(10'000, 'x')});
    if (appended) {
      test.log->when_durable(appended->position, [&] { ++acknowledged; });
    }
    test.settle();
  }
  ASSERT_EQ(test.fatal.size(), 1u);
  EXPECT_THAT(test.fatal[0], HasSubstr("No space left"));
  test.crash_process();
  // Still full: refused, plainly. Then with room: all is there.
  static_cast<void>(test.try_open());
  test.crash_process();
  test.world.disk.capacity_bytes = 1ull << 40;
  test.fatal.clear();
  test.open();
  EXPECT_GE(test.partition().high_watermark().value, acknowledged);
  EXPECT_EQ(test.values(test.partition()).size(),
            static_cast<std::size_t>(test.partition().high_watermark().value));
}

}  // namespace
}  // namespace onceflow::log
