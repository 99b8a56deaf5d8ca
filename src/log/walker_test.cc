#include "log/walker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/crc32c.h"
#include "base/wire.h"
#include "log/format.h"
#include "log/log_testing.h"

namespace onceflow::log {
namespace {

using testing::BatchSpec;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::TestLog;

constexpr ProducerIdentity kProducer{ProducerId(7), ProducerEpoch(0)};
constexpr ProducerIdentity kOther{ProducerId(8), ProducerEpoch(3)};
constexpr std::string_view kSegment = "data/topics/t-0/00000000000000000000.log";

// Of the record batch, as docs/formats/record_batch.md draws it.
constexpr std::size_t kCrcAt = 17;
constexpr std::size_t kAttributesAt = 21;
constexpr std::size_t kBaseSequenceAt = 53;

EndTransaction end_of(TestLog& test, ProducerIdentity producer, bool commit) {
  return {.producer = producer, .commit = commit, .partitions = {test.partition().id()}};
}

// Transactions of both ends and one that is open, an idempotent producer, and records of nobody.
void write_all_kinds(TestLog& test) {
  test.append({.records = 3, .producer = kProducer, .sequence = Sequence(0)});
  test.append({.producer = kOther, .sequence = Sequence(0), .transactional = true});
  test.append_to(test.partition(), {.value = "nobody's"});
  test.settle();
  test.log->append_end_transaction(end_of(test, kOther, false), as_bytes("decided"));
  test.append({.producer = kOther, .sequence = Sequence(1), .transactional = true});
  test.settle();
  test.log->append_end_transaction(end_of(test, kOther, true), as_bytes("decided"));
  test.append({.records = 2, .producer = kProducer, .sequence = Sequence(3)});
  test.append({.producer = kOther, .sequence = Sequence(2), .transactional = true});
  test.settle();
}

void prepare(TestLog& test) {
  test.open();
  test.create("t", 2);
  write_all_kinds(test);
  test.append_to(test.partition("t", 1), {.value = "other"});
}

WalkReport walk(TestLog& test) {
  auto report = walk_log_directory(test.world.disk, "data");
  EXPECT_TRUE(report) << report.error().text;
  return std::move(*report);
}

std::vector<std::string> texts(const WalkReport& report) {
  std::vector<std::string> texts;
  for (const WalkFinding& finding : report.findings) {
    texts.push_back(finding.path + " " + std::to_string(finding.position) + ": " + finding.what);
  }
  return texts;
}

// As a checkpoint of version 1 was: of the segment's hash it says that it is not known. What is
// forged in the segment is then found by what it means.
void forget_hash(TestLog& test) {
  const ByteView segment = test.world.disk.bytes(std::string(kSegment));
  Buffer known(1, std::byte{1});
  std::uint32_t hash = 0;
  for (std::size_t at = 0; at < segment.size();
       at += protocol::RecordBatchHeader::parse(segment.subspan(at))->size_bytes()) {
    hash = add_to_headers_hash(hash, segment.subspan(at));
  }
  WireWriter(known).write_uint32(hash);
  for (const char* path : {"data/checkpoint.0", "data/checkpoint.1"}) {
    Buffer& bytes = test.world.disk.bytes(path);
    const auto found = std::ranges::search(bytes, known);
    std::ranges::fill(found, std::byte{0});
    auto header = decode_checkpoint_header(bytes);
    header->body_checksum = crc32c(ByteView(bytes).subspan(kCheckpointHeaderBytes));
    encode_checkpoint_header(*header, bytes.data());
  }
}

// Changes a batch of the segment and makes its checksum right again.
void forge_batch(TestLog& test, std::size_t batch_at, std::size_t at, std::byte octet) {
  Buffer& bytes = test.world.disk.bytes(std::string(kSegment));
  const auto header = protocol::RecordBatchHeader::parse(ByteView(bytes).subspan(batch_at));
  bytes[batch_at + at] = octet;
  wire::store_big_endian<std::uint32_t>(
      bytes.data() + batch_at + kCrcAt,
      crc32c(
          ByteView(bytes).subspan(batch_at + kAttributesAt, header->size_bytes() - kAttributesAt)));
}

// Where the batch with this base offset begins in the segment.
std::size_t place_of(TestLog& test, Offset base_offset) {
  protocol::RecordBatchReader reader(test.world.disk.bytes(std::string(kSegment)));
  while (true) {
    const std::size_t at = reader.position();
    const auto batch = reader.next();
    CHECK(batch && *batch);
    if ((*batch)->header().base_offset == base_offset) {
      return at;
    }
  }
}

TEST(Walker, a_closed_log_is_sound) {
  TestLog test;
  prepare(test);
  test.close();
  const WalkReport report = walk(test);
  EXPECT_THAT(texts(report), IsEmpty());
  EXPECT_THAT(report.notes, IsEmpty());
  EXPECT_EQ(report.topic_count, 1U);
  EXPECT_EQ(report.partition_count, 2U);
  EXPECT_EQ(report.batch_count, 9U);
  EXPECT_EQ(report.producer_count, 2U);
}

TEST(Walker, a_log_whose_process_died_is_sound_and_its_journal_is_read) {
  TestLog test;
  prepare(test);
  test.checkpoint();
  test.log->append_end_transaction(end_of(test, kOther, true), as_bytes("decided"));
  test.append({.value = "behind the checkpoint"});
  test.create("u");
  test.append_to(test.partition("u"), {.value = "u"});
  test.settle();
  test.crash_process();
  const WalkReport report = walk(test);
  EXPECT_THAT(texts(report), IsEmpty());
  EXPECT_EQ(report.topic_count, 2U);
  EXPECT_GE(report.entry_count, 4U);
}

TEST(Walker, whatever_a_crash_of_the_machine_leaves_is_no_finding) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    TestLog test(seed);
    test.options.checkpoint_every_bytes = 4 << 10;
    test.open();
    test.create("t", 1, {{"segment.bytes", "700"}});
    for (int round = 0; round < 3; ++round) {
      for (int index = 0; index < 40; ++index) {
        test.append({.records = 2, .value = std::string(40 + seed * 3, 'v')});
        if (index % 7 == static_cast<int>(seed % 7)) {
          test.world.scheduler.run_for(microseconds(200 * seed));
        }
      }
      test.crash_machine();
      ASSERT_THAT(texts(walk(test)), IsEmpty()) << "seed " << seed;
      test.open();
    }
  }
}

TEST(Walker, names_file_and_place_of_every_flipped_byte_of_a_segment) {
  TestLog test;
  prepare(test);
  test.close();
  const auto image = test.world.disk.image();
  const std::string path(kSegment);
  const std::size_t size_bytes = image.files.at(path).size();
  ASSERT_GT(size_bytes, 500U);
  for (std::size_t position = 0; position < size_bytes; ++position) {
    auto damaged = image;
    damaged.files[path][position] ^= std::byte{0x20};
    test.world.disk.restore(damaged);
    const WalkReport report = walk(test);
    ASSERT_EQ(report.finding_count, 1U) << position;
    EXPECT_EQ(report.findings[0].path, path);
    EXPECT_LE(report.findings[0].position, position);
  }
}

TEST(Walker, damage_in_the_journal_before_what_was_durable_is_named) {
  TestLog test;
  prepare(test);
  test.checkpoint();
  for (int index = 0; index < 4; ++index) {
    test.append({.value = "v" + std::to_string(index)});
    test.settle();
  }
  test.world.scheduler.run_for(milliseconds(100));  // and sealed
  test.crash_process();
  const auto image = test.world.disk.image();
  const auto journal = image.files.lower_bound("data/journal/");
  const std::string path = journal->first;
  ASSERT_TRUE(path.ends_with(".journal")) << path;
  int found_count = 0;
  for (std::size_t block = 0; block * kJournalBlockBytes < image.files.at(path).size(); ++block) {
    const std::size_t at = block * kJournalBlockBytes;
    const auto header = decode_frame_header(ByteView(image.files.at(path)).subspan(at));
    if (!header || header->payload_bytes == 0) {
      continue;
    }
    auto damaged = image;
    damaged.files[path][at + kFrameHeaderBytes + 6] ^= std::byte{1};
    test.world.disk.restore(damaged);
    const WalkReport report = walk(test);
    if (report.finding_count > 0) {  // else it is before the checkpoint
      EXPECT_THAT(texts(report),
                  ElementsAre(HasSubstr(path + " " + std::to_string(at) +
                                        ": the frame that belongs here is damaged")));
      ++found_count;
    }
  }
  EXPECT_EQ(found_count, 4);
}

TEST(Walker, one_damaged_checkpoint_is_noted_and_two_are_a_finding) {
  TestLog test;
  prepare(test);
  test.checkpoint();
  test.append({.value = "b"});
  test.settle();
  test.crash_process();
  Buffer& first = test.world.disk.bytes("data/checkpoint.0");
  first[first.size() / 2] ^= std::byte{1};
  const WalkReport report = walk(test);
  EXPECT_THAT(texts(report), IsEmpty());
  EXPECT_THAT(report.notes, ElementsAre(HasSubstr("data/checkpoint.0: this checkpoint is torn")));
  test.world.disk.bytes("data/checkpoint.1")[40] ^= std::byte{1};
  EXPECT_THAT(texts(walk(test)), ElementsAre(HasSubstr("data/checkpoint.0 0: this checkpoint is"),
                                             HasSubstr("data/checkpoint.1 0: this checkpoint is")));
}

TEST(Walker, a_segment_that_is_gone_or_short_is_named) {
  TestLog test;
  prepare(test);
  test.close();
  auto image = test.world.disk.image();
  const std::string path(kSegment);
  const std::size_t size_bytes = image.files[path].size();
  image.files[path].resize(size_bytes - 10);
  test.world.disk.restore(image);
  EXPECT_THAT(texts(walk(test)),
              ElementsAre(HasSubstr(path + " " + std::to_string(size_bytes - 10) +
                                    ": the segment ends here"),
                          HasSubstr("the last batch is cut off")));
  image.files.erase(path);
  test.world.disk.restore(image);
  EXPECT_THAT(texts(walk(test)), ElementsAre(path + " 0: this segment is not there"));
}

TEST(Walker, a_sequence_that_is_not_the_producers_state_is_named) {
  TestLog test;
  prepare(test);
  test.close();
  forget_hash(test);
  const std::size_t at = place_of(test, Offset(8));  // the last of kProducer
  forge_batch(test, at, kBaseSequenceAt + 3, std::byte{9});
  EXPECT_THAT(texts(walk(test)),
              ElementsAre(HasSubstr(std::string(kSegment) + " " + std::to_string(at) +
                                    ": the last batch of producer 7 has offsets 8..9 and "
                                    "sequences 9..10; its state in data/checkpoint.")));
}

TEST(Walker, an_abort_that_became_a_commit_is_named) {
  TestLog test;
  prepare(test);
  test.close();
  forget_hash(test);
  const std::size_t at = place_of(test, Offset(5));
  // The key of a marker: version, then type, behind the record's first five bytes.
  forge_batch(test, at, protocol::kBatchHeaderBytes + 8, std::byte{1});
  EXPECT_THAT(texts(walk(test)),
              ElementsAre(HasSubstr("data/topics/t-0: the transaction of producer 8 at offsets "
                                    "3..5 is listed as aborted, and is not by the batches")));
}

TEST(Walker, an_index_that_is_damaged_is_noted_and_one_that_misleads_is_a_finding) {
  TestLog test;
  test.open();
  test.create();
  for (int index = 0; index < 4; ++index) {
    test.append({.value = std::string(60'000, 'v')});
  }
  test.settle();
  const std::uint32_t seed = segment_seed(partition_seed(test.partition().id()), Offset(0));
  test.close();
  const std::string path = "data/topics/t-0/00000000000000000000.index";
  EXPECT_GT(walk(test).index_entry_count, 0U);
  auto image = test.world.disk.image();
  Buffer& bytes = image.files[path];
  auto entry = decode_index_entry(bytes, seed);
  ASSERT_TRUE(entry);
  bytes[3] ^= std::byte{1};
  test.world.disk.restore(image);
  const WalkReport noted = walk(test);
  EXPECT_THAT(texts(noted), IsEmpty());
  EXPECT_THAT(noted.notes, ElementsAre(HasSubstr(path + " byte 0")));

  entry->offset = entry->offset + 1;
  encode_index_entry(*entry, seed, bytes.data());
  test.world.disk.restore(image);
  EXPECT_THAT(texts(walk(test)), ElementsAre(HasSubstr(path + " 0: an entry for offset")));
  entry->offset = entry->offset - 1;
  entry->position += 1;
  encode_index_entry(*entry, seed, bytes.data());
  test.world.disk.restore(image);
  EXPECT_THAT(texts(walk(test)), ElementsAre(HasSubstr("where no batch begins")));
}

TEST(Walker, a_log_in_use_is_left_alone_and_an_empty_place_holds_none) {
  TestLog test;
  test.open();
  EXPECT_EQ(walk_log_directory(test.world.disk, "data").error().code, ErrorCode::kLocked);
  EXPECT_EQ(walk_log_directory(test.world.disk, "nowhere").error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace onceflow::log
