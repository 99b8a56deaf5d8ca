// The cases of recovery.cc, and damage of every kind to every file.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/crc32c.h"
#include "log/log_testing.h"
#include "log/walker.h"

namespace onceflow::log {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::TestLog;

constexpr std::string_view kSegment = "data/topics/t-0/00000000000000000000.log";

// The body of a checkpoint with one topic, one partition and one segment, as version 1 wrote it.
Buffer as_version_1(ByteView checkpoint) {
  WireReader reader(checkpoint.subspan(kCheckpointHeaderBytes));
  Buffer body;
  WireWriter writer(body);
  const auto copy = [&](std::size_t count) { append(body, reader.read_bytes(count)); };
  copy(36);                    // the place in the journal
  reader.read_sized_string();  // the cluster id
  writer.write_unsigned_varint(reader.read_unsigned_varint());
  writer.write_sized_bytes(reader.read_sized_bytes());  // the topic
  writer.write_varlong(reader.read_varlong());
  writer.write_varlong(reader.read_varlong());
  const std::uint64_t segments = reader.read_unsigned_varint();
  CHECK(segments == 1);
  writer.write_unsigned_varint(segments);
  writer.write_varlong(reader.read_varlong());
  writer.write_unsigned_varint(reader.read_unsigned_varint());
  writer.write_varlong(reader.read_varlong());
  reader.read_bytes(5);                                 // the hash
  copy(2);                                              // no aborted transactions, no producers
  writer.write_sized_bytes(reader.read_sized_bytes());  // the coordinators
  Buffer bytes(kCheckpointHeaderBytes);
  encode_checkpoint_header(
      {.version = 1, .sequence = 2, .body_bytes = body.size(), .body_checksum = crc32c(body)},
      bytes.data());
  append(bytes, body);
  return bytes;
}

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
  wire::store_big_endian<std::uint16_t>(bytes.data() + 4, kCheckpointVersion + 1);
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
  const TopicIdPartition id = test.partition().id();
  test.crash_process();
  const std::string path = "data/topics/t-0/00000000000000000000.index";
  ASSERT_GE(test.world.disk.bytes(path).size(), 5 * kIndexEntryBytes);
  const auto image = test.world.disk.image();
  for (const char* what : {"whole", "gone", "damaged", "misleading", "of another segment"}) {
    SCOPED_TRACE(what);
    const bool changes_seed = what == std::string("of another segment");
    auto changed = image;
    if (what == std::string("gone")) {
      changed.files.erase(path);
    } else if (what == std::string("damaged")) {
      changed.files[path][30] ^= std::byte{1};
    } else if (what != std::string("whole")) {
      Buffer& bytes = changed.files[path];
      const std::uint32_t seed = segment_seed(partition_seed(id), Offset(0));
      for (std::size_t at = 0; at < bytes.size(); at += kIndexEntryBytes) {
        auto entry = *decode_index_entry(ByteView(bytes).subspan(at), seed);
        entry.position += 17;
        encode_index_entry(entry, changes_seed ? seed + 1 : seed, bytes.data() + at);
      }
    }
    test.world.disk.restore(changed);
    test.open();
    Buffer bytes;
    const auto read =
        test.partition().read(Offset(333), 10, IsolationLevel::kReadUncommitted, bytes);
    ASSERT_TRUE(read);
    EXPECT_EQ(protocol::RecordBatchHeader::parse(bytes)->base_offset, Offset(333));
    const auto found = testing::found_from(test.partition(), 1222);
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

// --- What belongs to the log: its journal, its segments, its identity ---

constexpr std::string_view kJournal = "data/journal/0001.journal";

TEST(Recovery, a_lost_end_of_the_journal_is_refused) {
  TestLog test;
  prepare(test);
  const auto image = test.world.disk.image();
  const std::string path(kJournal);
  ASSERT_TRUE(image.files.contains(path));
  for (const char* what : {"deleted", "cut", "cut to nothing", "zeroed", "zeroed from its end"}) {
    SCOPED_TRACE(what);
    auto broken = image;
    Buffer& bytes = broken.files[path];
    const std::string_view how = what;
    if (how == "deleted") {
      broken.files.erase(path);
    } else if (how == "cut") {
      bytes.resize(bytes.size() / 2);
    } else if (how == "cut to nothing") {
      bytes.clear();
    } else {
      // The last frame and what follows it, or all.
      std::size_t from = 0;
      for (std::size_t at = 0; how != "zeroed" && at < bytes.size(); at += kJournalBlockBytes) {
        const auto header = decode_frame_header(ByteView(bytes).subspan(at));
        from = header && header->payload_bytes > 0 ? at : from;
      }
      std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(from), bytes.end(), std::byte{0});
    }
    test.world.disk.restore(broken);
    EXPECT_FALSE(test.try_open());
    EXPECT_EQ(test.error.code, ErrorCode::kCorrupt);
    EXPECT_THAT(test.error.text, HasSubstr("data/journal"));
    EXPECT_THAT(test.error.text, HasSubstr("onceflow salvage"));
    const auto walked = walk_log_directory(test.world.disk, "data");
    ASSERT_TRUE(walked);
    EXPECT_GT(walked->finding_count, 0U);
  }
}

TEST(Recovery, an_older_copy_of_the_journal_is_refused) {
  TestLog test;
  test.open();
  test.create();
  test.append({.value = "a"});
  test.world.scheduler.run_for(milliseconds(100));
  const Buffer older = test.world.disk.bytes(std::string(kJournal));
  test.append({.value = "b"});
  test.world.scheduler.run_for(milliseconds(100));
  test.crash_process();
  test.world.disk.bytes(std::string(kJournal)) = older;
  ASSERT_FALSE(test.try_open());
  EXPECT_THAT(test.error.text, HasSubstr("the journal ends before what was durable"));
}

TEST(Recovery, a_missing_note_is_refused) {
  TestLog test;
  prepare(test);
  const auto image = test.world.disk.image();
  for (const char* what : {"gone", "damaged", "foreign"}) {
    SCOPED_TRACE(what);
    auto broken = image;
    Buffer& bytes = broken.files["data/journal.durable"];
    if (what == std::string("gone")) {
      broken.files.erase("data/journal.durable");
    } else if (what == std::string("damaged")) {
      bytes[30] ^= std::byte{1};
    } else {
      auto note = *decode_journal_note(bytes);
      ++note.journal_id;
      encode_journal_note(note, bytes.data());
    }
    test.world.disk.restore(broken);
    ASSERT_FALSE(test.try_open());
    EXPECT_EQ(test.error.code, ErrorCode::kCorrupt);
    EXPECT_THAT(test.error.text, HasSubstr("data/journal.durable"));
  }
}

// With log.flush=os the note counts as far as the page cache does: for the machine's life.
TEST(Recovery, the_note_of_an_unsynced_journal_counts_while_the_machine_runs) {
  for (const std::uint64_t boot_id : {7, 8}) {
    TestLog test;
    test.options.flush = FlushMode::kOs;
    test.options.boot_id = 7;
    prepare(test);
    Buffer& bytes = test.world.disk.bytes(std::string(kJournal));
    const auto last = static_cast<std::ptrdiff_t>(kJournalBlockBytes);
    std::fill(bytes.begin() + last, bytes.end(), std::byte{0});
    test.options.boot_id = boot_id;
    EXPECT_EQ(test.try_open().has_value(), boot_id == 8) << test.error.text;
  }
}

// Two partitions with segments of the same sizes and offsets; of each several.
void prepare_alike(TestLog& test, int batches) {
  test.open();
  test.create("t", 1, {{"segment.bytes", "2000"}});
  test.create("u", 1, {{"segment.bytes", "2000"}});
  for (int index = 0; index < batches; ++index) {
    test.append_to(test.partition("t"), {.value = std::string(300, 't')});
    test.append_to(test.partition("u"), {.value = std::string(300, 'u')});
  }
  test.settle();
  test.close();
}

TEST(Recovery, exchanged_segments_are_not_served) {
  TestLog test;
  prepare_alike(test, 12);
  const auto image = test.world.disk.image();
  std::vector<std::string> names;
  for (const auto& [path, content] : image.files) {
    if (path.starts_with("data/topics/t-0/") && path.ends_with(".log")) {
      names.push_back(path.substr(std::string("data/topics/t-0/").size()));
    }
  }
  ASSERT_GE(names.size(), 3U);
  for (const std::string& name : names) {
    SCOPED_TRACE(name);
    auto changed = image;
    std::swap(changed.files["data/topics/t-0/" + name], changed.files["data/topics/u-0/" + name]);
    test.world.disk.restore(changed);
    test.damage.clear();
    test.open();
    for (const char* topic : {"t", "u"}) {
      for (const std::string& value : test.values(test.partition(topic))) {
        EXPECT_TRUE(value == "KAFKA_STORAGE_ERROR" || value.ends_with(topic)) << value;
      }
      EXPECT_THAT(test.damage, Contains(HasSubstr(std::string(topic) + "-0/" + name)));
    }
    test.crash_process();
    const auto walked = walk_log_directory(test.world.disk, "data");
    ASSERT_TRUE(walked);
    EXPECT_GE(walked->finding_count, 2U);
  }
}

TEST(Recovery, a_missing_or_exchanged_segment_is_refused) {
  TestLog test;
  prepare_alike(test, 12);
  const auto image = test.world.disk.image();
  const std::string first(kSegment);
  const std::string other = "data/topics/u-0/" + first.substr(first.rfind('/') + 1);
  for (const char* what : {"missing", "cut", "another and longer"}) {
    SCOPED_TRACE(what);
    auto changed = image;
    if (what == std::string("missing")) {
      changed.files.erase(first);
    } else if (what == std::string("cut")) {
      changed.files[first].resize(100);
    } else {
      changed.files[first] = changed.files[other];
      append(changed.files[first], as_bytes("more"));
    }
    test.world.disk.restore(changed);
    ASSERT_FALSE(test.try_open());
    EXPECT_EQ(test.error.code, ErrorCode::kCorrupt);
    EXPECT_THAT(test.error.text, HasSubstr(first));
  }
}

TEST(Recovery, an_exchanged_segment_is_not_cut_before_it_is_refused) {
  TestLog test;
  test.open();
  test.create("t");
  test.create("u");
  test.append_to(test.partition("t"), {.value = "t"});
  for (int count = 0; count < 3; ++count) {
    test.append_to(test.partition("u"), {.value = "u"});
  }
  test.settle();
  test.checkpoint();
  test.close();
  const auto exchange = [&] {
    auto image = test.world.disk.image();
    const std::string name = "-0/" + std::string(kSegment).substr(kSegment.rfind('/') + 1);
    std::swap(image.files["data/topics/t" + name], image.files["data/topics/u" + name]);
    test.world.disk.restore(image);
  };
  exchange();
  ASSERT_FALSE(test.try_open());
  exchange();
  test.open();
  EXPECT_THAT(test.values(test.partition("u")), ElementsAre("0:u", "1:u", "2:u"));
}

TEST(Recovery, a_start_that_refuses_changes_nothing) {
  TestLog test;
  test.options.segment_flush_bytes = 1;
  test.open();
  test.create("t");
  test.create("gone");
  test.append_to(test.partition("gone"), {.value = "gone"});
  test.append({.value = "known"});
  test.settle();
  test.checkpoint();
  for (int count = 0; count < 4; ++count) {
    test.append({.value = "behind"});
    test.settle();
  }
  EXPECT_TRUE(test.log->delete_topic("gone"));
  test.settle();
  test.crash_process();
  Buffer& journal = test.world.disk.bytes("data/journal/0001.journal");
  const std::vector<std::size_t> frames = testing::frames_of(journal);
  journal[frames[frames.size() - 2] + kFrameHeaderBytes + 3] ^= std::byte{1};
  const auto before = test.world.disk.image();
  ASSERT_FALSE(test.try_open());
  EXPECT_THAT(test.error.text, HasSubstr("Nothing was changed"));
  const auto after = test.world.disk.image();
  EXPECT_EQ(before.files.size(), after.files.size());
  for (const auto& [path, content] : before.files) {
    ASSERT_TRUE(after.files.contains(path)) << path;
    EXPECT_EQ(content, after.files.at(path)) << path;
  }
}

// A recovery cuts a segment that was written after the checkpoint, and is killed before the next
// one; a later loss of power brings back what it has cut off, when the segment is not written any
// more.
TEST(Recovery, what_a_lost_cut_brings_back_is_cut_again) {
  TestLog test;
  prepare_alike(test, 12);
  auto image = test.world.disk.image();
  const std::string first(kSegment);
  const std::size_t size_bytes = image.files[first].size();
  append(image.files[first], as_bytes("more"));
  test.world.disk.restore(image);
  test.open();
  EXPECT_THAT(test.damage, IsEmpty());
  EXPECT_EQ(test.values(test.partition("t")).size(), 12U);
  test.close();
  EXPECT_EQ(test.world.disk.bytes(first).size(), size_bytes);
}

// One batch in the middle is another one of the same size, with its right checksum: the headers'
// hash is what tells, and not the first or the last batch.
TEST(Recovery, a_forged_batch_in_a_long_segment_is_not_served) {
  TestLog test;
  test.open();
  test.create();
  for (int index = 0; index < 400; ++index) {
    test.append({.value = std::string(1000, 'x')});
  }
  test.settle();
  test.close();
  Buffer& bytes = test.world.disk.bytes(std::string(kSegment));
  protocol::RecordBatchReader reader(bytes);
  std::size_t at = 0;
  while (at < bytes.size() / 2) {
    at = reader.position();
    ASSERT_TRUE(*reader.next());
  }
  bytes[at + protocol::kBatchHeaderBytes + 100] = std::byte{'y'};
  const auto batch = protocol::RecordBatchView::parse(ByteView(bytes).subspan(at));
  wire::store_big_endian(bytes.data() + at + protocol::batch_layout::kCrc, batch->computed_crc());
  test.open();
  for (const std::string& value : test.values(test.partition())) {
    EXPECT_EQ(value.find('y'), std::string::npos);
  }
  EXPECT_THAT(test.damage, Contains(HasSubstr("does not hold what was written to it")));
  // What lies beyond the damaged stretch is served.
  Buffer read_bytes;
  EXPECT_TRUE(test.partition().read(Offset(399), 10, IsolationLevel::kReadUncommitted, read_bytes));
}

TEST(Recovery, the_cluster_id_outlives_its_file) {
  TestLog test;
  test.options.cluster_id = "first";
  prepare(test);
  test.options.cluster_id = "another";
  test.open();
  EXPECT_EQ(test.log->cluster_id(), "first");
}

// A checkpoint of version 1 has no hashes, no list of files and no cluster id.
TEST(Recovery, a_checkpoint_of_version_1_is_read) {
  TestLog test;
  test.options.cluster_id = "mine";
  prepare(test);
  Buffer& bytes = test.world.disk.bytes("data/checkpoint.0");
  bytes = as_version_1(bytes);
  test.world.disk.restore([&] {
    auto image = test.world.disk.image();
    image.files.erase("data/checkpoint.1");
    image.files.erase("data/journal.durable");
    return image;
  }());
  test.open();
  EXPECT_THAT(test.values(test.partition()), ElementsAre("0:a", "1:b"));
  EXPECT_EQ(test.log->cluster_id(), "mine");
  EXPECT_THAT(test.damage, IsEmpty());
  test.close();
  const auto walked = walk_log_directory(test.world.disk, "data");
  ASSERT_TRUE(walked);
  EXPECT_EQ(walked->finding_count, 0U);
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
