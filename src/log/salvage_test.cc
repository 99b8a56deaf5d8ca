#include "log/salvage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "log/log_testing.h"
#include "log/lost_offsets.h"
#include "log/walker.h"

namespace onceflow::log {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::RecordingListener;
using testing::TestLog;

constexpr ProducerIdentity kProducer{ProducerId(7), ProducerEpoch(0)};
constexpr std::string_view kSegment = "data/topics/t-0/00000000000000000000.log";

// Into "saved", which is opened after it.
SalvageReport salvage(TestLog& test, RecordingListener& listener) {
  std::uint64_t rehearsed_count = 0;
  {
    Salvage rehearsal(test.world.environment(), {.from = "data", .to = "rehearsed"}, listener);
    EXPECT_TRUE(rehearsal.read());
    EXPECT_TRUE(rehearsal.finish({}));
    EXPECT_FALSE(*test.world.disk.exists("rehearsed"));
    rehearsed_count = rehearsal.report().lost_offset_count();
  }
  listener.events.clear();
  Salvage salvage(test.world.environment(), {.from = "data", .to = "saved", .is_rehearsal = false},
                  listener);
  const Status read = salvage.read();
  EXPECT_TRUE(read) << read.error().text;
  const Status finished = salvage.finish(as_bytes("coordinators"));
  EXPECT_TRUE(finished) << finished.error().text;
  EXPECT_EQ(rehearsed_count, salvage.report().lost_offset_count());
  const auto walked = walk_log_directory(test.world.disk, "saved");
  EXPECT_TRUE(walked && walked->finding_count == 0 &&
              walked->lost_offset_count ==
                  salvage.report().lost_offset_count() + salvage.report().left_out_offset_count());
  test.options.directory = "saved";
  test.open();
  return salvage.report();
}

// "a" in a segment and an open transaction, "b" in the journal alone; the process is dead.
void prepare(TestLog& test) {
  test.options.cluster_id = "its cluster";
  test.open();
  test.create();
  test.append({.value = "a"});
  test.append(
      {.value = "x", .producer = kProducer, .sequence = Sequence(0), .transactional = true});
  test.log->append_record(as_bytes("record"));
  test.settle();
  test.checkpoint();
  test.append({.value = "b"});
  test.world.scheduler.run_for(milliseconds(100));
  test.crash_process();
}

TEST(Salvage, a_sound_log_is_saved_whole_and_its_open_transaction_with_it) {
  TestLog test;
  prepare(test);
  RecordingListener listener;
  const SalvageReport report = salvage(test, listener);
  EXPECT_THAT(report.lost, IsEmpty());
  EXPECT_THAT(report.lost_states, IsEmpty());
  EXPECT_THAT(test.values(test.partition()), ElementsAre("0:a", "1:x", "2:b"));
  EXPECT_EQ(test.partition().last_stable_offset(), Offset(1));
  EXPECT_THAT(test.listener.events, ElementsAre("snapshot coordinators"));
  // A retry of what is there is known as one.
  const auto again = test.append(
      {.value = "x", .producer = kProducer, .sequence = Sequence(0), .transactional = true});
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->is_duplicate);
}

TEST(Salvage, without_a_checkpoint_the_journal_and_the_folders_tell_the_topics) {
  TestLog test;
  prepare(test);
  test.open();
  const TopicId id = test.partition().id().topic_id;
  test.crash_process();
  for (const char* path : {"data/checkpoint.0", "data/checkpoint.1"}) {
    EXPECT_TRUE(test.world.disk.remove(path));
  }
  RecordingListener listener;
  const SalvageReport report = salvage(test, listener);
  EXPECT_THAT(report.lost, IsEmpty());
  EXPECT_FALSE(report.lost_states.empty());
  EXPECT_EQ(test.partition().id().topic_id, id);
  EXPECT_THAT(test.values(test.partition()), ElementsAre("0:a", "1:x", "2:b", "3:marker"));
}

TEST(Salvage, what_is_damaged_leaves_a_hole_that_readers_pass_over) {
  TestLog test;
  prepare(test);
  Buffer& bytes = test.world.disk.bytes(std::string(kSegment));
  const std::size_t second = protocol::RecordBatchHeader::parse(bytes)->size_bytes();
  bytes[second + protocol::kBatchHeaderBytes + 6] ^= std::byte{1};
  RecordingListener listener;
  const SalvageReport report = salvage(test, listener);
  ASSERT_EQ(report.lost.size(), 1U);
  EXPECT_EQ(report.lost[0].from, Offset(1));
  EXPECT_EQ(report.lost[0].next, Offset(2));
  EXPECT_THAT(report.lost[0].cause, HasSubstr(kSegment));
  EXPECT_THAT(test.values(test.partition()), ElementsAre("0:a", "2:b"));
}

TEST(Salvage, a_lost_end_gives_no_offset_again_and_aborts_what_is_undecided) {
  TestLog test;
  prepare(test);
  Buffer& bytes = test.world.disk.bytes("data/journal/0001.journal");
  const std::size_t last = testing::frames_of(bytes).back();
  std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(last), bytes.end(), std::byte{0});
  RecordingListener listener;
  const SalvageReport report = salvage(test, listener);
  ASSERT_EQ(report.lost.size(), 1U);
  EXPECT_EQ(report.lost[0].from, Offset(2));
  EXPECT_THAT(report.lost_states, ::testing::Contains(HasSubstr("is aborted")));
  Partition& partition = test.partition();
  EXPECT_GT(partition.log_end_offset(), Offset(100));
  EXPECT_EQ(partition.last_stable_offset(), partition.log_end_offset());
  EXPECT_TRUE(partition.open_transactions().empty());
}

// Of the segment, from 0 on.
void damage_batch(TestLog& test, std::size_t index) {
  Buffer& bytes = test.world.disk.bytes(std::string(kSegment));
  std::size_t at = 0;
  for (; index > 0; --index) {
    at += protocol::RecordBatchHeader::parse(ByteView(bytes).subspan(at))->size_bytes();
  }
  bytes[at + protocol::kBatchHeaderBytes + 6] ^= std::byte{1};
}

void append_transaction(TestLog& test, std::string_view value, Sequence sequence, bool commit) {
  test.append({.value = std::string(value),
               .producer = kProducer,
               .sequence = sequence,
               .transactional = true});
  test.log->append_end_transaction({.producer = kProducer,
                                    .commit = commit,
                                    .timestamp_ms = 1000,
                                    .partitions = {test.partition().id()}},
                                   as_bytes("end"));
}

TEST(Salvage, a_later_commit_does_not_end_what_was_aborted_where_offsets_are_lost) {
  TestLog test;
  test.open();
  test.create();
  append_transaction(test, "aborted", Sequence(0), false);
  append_transaction(test, "committed", Sequence(1), true);
  test.settle();
  test.checkpoint();
  test.close();
  damage_batch(test, 1);  // the marker of the first
  RecordingListener listener;
  const SalvageReport report = salvage(test, listener);
  EXPECT_EQ(report.lost_offset_count(), 1U);
  const auto aborted = test.partition().aborted_transactions(Offset(0), Offset(4));
  ASSERT_EQ(aborted.size(), 1U);
  EXPECT_EQ(aborted[0].first_offset, Offset(0));
  EXPECT_EQ(aborted[0].last_offset, Offset(3));
  EXPECT_THAT(report.lost_states, ::testing::Contains(HasSubstr("of producer 7 from offset 0")));
  EXPECT_EQ(test.partition().last_stable_offset(), Offset(4));
}

TEST(Salvage, a_hole_in_the_journal_gives_no_offset_again) {
  TestLog test;
  test.open();
  test.create("t", 2);
  test.append({.value = "a"});
  test.settle();
  test.append({.value = "b"});  // in a frame of its own, which is the last of the partition
  test.settle();
  test.append_to(test.partition("t", 1), {.value = "c"});
  test.settle();
  test.crash_process();
  Buffer& journal = test.world.disk.bytes("data/journal/0001.journal");
  const std::vector<std::size_t> frames = testing::frames_of(journal);
  journal[frames[frames.size() - 2] + kFrameHeaderBytes + 3] ^= std::byte{1};
  static_cast<void>(test.world.disk.remove(std::string(kSegment)));
  RecordingListener listener;
  const SalvageReport report = salvage(test, listener);
  ASSERT_EQ(report.lost.size(), 1U);
  EXPECT_EQ(report.lost[0].partition, PartitionIndex(0));
  EXPECT_GT(test.partition().log_end_offset(), Offset(2));
  EXPECT_EQ(test.partition("t", 1).log_end_offset(), Offset(1));
}

TEST(Salvage, a_log_start_inside_of_a_batch_keeps_the_rest_of_the_batch) {
  TestLog test;
  test.open();
  test.create();
  test.append({.records = 3, .value = "a"});
  test.settle();
  EXPECT_TRUE(test.log->delete_records(test.partition(), Offset(2)));
  test.settle();
  test.crash_process();
  static_cast<void>(test.world.disk.remove(std::string(kSegment)));
  RecordingListener listener;
  EXPECT_THAT(salvage(test, listener).lost, IsEmpty());
  EXPECT_EQ(test.partition().log_start_offset(), Offset(2));
  EXPECT_EQ(test.partition().log_end_offset(), Offset(3));
}

TEST(Salvage, of_segments_alone_no_offset_is_given_again) {
  TestLog test;
  prepare(test);
  for (const char* path : {"data/checkpoint.0", "data/checkpoint.1", "data/journal/0001.journal"}) {
    static_cast<void>(test.world.disk.remove(path));
  }
  RecordingListener listener;
  const SalvageReport report = salvage(test, listener);
  EXPECT_GT(report.left_out_offset_count(), 0U);
  EXPECT_GT(test.partition().log_end_offset(), Offset(100));
}

TEST(Salvage, a_file_that_nothing_leads_to_is_of_another_time) {
  TestLog test;
  prepare(test);
  Buffer older = testing::make_batch({.value = "older"});
  wire::store_big_endian<std::int64_t>(older.data(), 10);
  auto image = test.world.disk.image();
  image.files["data/topics/t-0/00000000000000000010.log"] = older;
  test.world.disk.restore(image);
  RecordingListener listener;
  EXPECT_THAT(salvage(test, listener).lost, IsEmpty());
  EXPECT_EQ(test.partition().log_end_offset(), Offset(3));
}

TEST(Salvage, the_old_directory_is_left_as_it_is_and_a_full_new_one_is_refused) {
  TestLog test;
  prepare(test);
  const auto before = test.world.disk.image();
  RecordingListener listener;
  {
    Salvage salvage(test.world.environment(),
                    {.from = "data", .to = "saved", .is_rehearsal = false}, listener);
    ASSERT_TRUE(salvage.read());
    ASSERT_TRUE(salvage.finish({}));
  }
  const auto after = test.world.disk.image();
  for (const auto& [path, content] : before.files) {
    EXPECT_EQ(content, after.files.at(path)) << path;
  }
  Salvage again(test.world.environment(), {.from = "data", .to = "saved"}, listener);
  const Status read = again.read();
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ErrorCode::kAlreadyExists);
}

TEST(LostOffsets, stand_for_as_many_as_they_say) {
  for (const std::int64_t count : {std::int64_t{1}, std::int64_t{1000}, kLostOffsetsMax}) {
    const Buffer batch = encode_lost_offsets(Offset(5), Offset(5 + count));
    const auto view = protocol::RecordBatchView::parse(batch);
    ASSERT_TRUE(view);
    EXPECT_TRUE(view->crc_matches());
    EXPECT_TRUE(holds_lost_offsets(view->header()));
    EXPECT_EQ(view->header().next_offset(), Offset(5 + count));
  }
}

}  // namespace
}  // namespace onceflow::log
