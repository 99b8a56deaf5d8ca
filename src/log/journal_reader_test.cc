#include "log/journal_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "log/world_testing.h"

namespace onceflow::log {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::TestWorld;

constexpr std::uint64_t kJournalId = 0x1234;
constexpr std::string_view kFirst = "journal/0001.journal";

struct Harness {
  void start(const JournalStart& from) {
    journal = std::make_unique<Journal>(
        world.environment(),
        JournalOptions{.directory = "journal",
                       .flush = flush,
                       .first_file_bytes = 16 << 10,
                       .file_bytes = 16 << 10,
                       .on_fatal = [](const Error& error) { ADD_FAILURE() << error.text; }},
        from);
    const Status opened = journal->open();
    ASSERT_TRUE(opened);
  }
  void start() { start({.journal_id = kJournalId}); }
  // One frame, durable.
  void write(const std::string& text) {
    journal->append(EntryType::kRecord, as_bytes(text));
    world.scheduler.run_for(milliseconds(1));
  }
  void seal() { world.scheduler.run_for(milliseconds(100)); }
  void stop() {
    journal.reset();
    world.scheduler.drop_all();
  }
  Result<JournalReading> read(std::uint64_t journal_id = kJournalId) {
    entries.clear();
    known.journal_id = journal_id;
    return read_journal(world.disk, "journal", known, [this](const JournalEntry& entry) {
      entries.emplace_back(as_text(entry.body));
      return Status{};
    });
  }
  Buffer& bytes(std::string_view path = kFirst) { return world.disk.bytes(std::string(path)); }
  void flip(std::size_t position, std::string_view path = kFirst) {
    bytes(path)[position] ^= std::byte{0x10};
  }

  TestWorld world;
  JournalKnown known;
  FlushMode flush = FlushMode::kDurable;
  std::unique_ptr<Journal> journal;
  std::vector<std::string> entries;
};

TEST(JournalReader, no_files_is_an_empty_stream) {
  Harness harness;
  const auto reading = harness.read();
  ASSERT_TRUE(reading);
  EXPECT_EQ(reading->start.tail.position, JournalPosition(0));
  EXPECT_THAT(harness.entries, IsEmpty());
}

TEST(JournalReader, frames_are_replayed_in_order) {
  Harness harness;
  harness.start();
  harness.write("a");
  harness.write("b");
  harness.journal->append(EntryType::kRecord, as_bytes("c"));
  harness.write("d");
  harness.stop();
  ASSERT_TRUE(harness.read());
  EXPECT_THAT(harness.entries, ElementsAre("a", "b", "c", "d"));
}

TEST(JournalReader, stream_goes_on_in_the_next_file_and_in_the_next_life) {
  Harness harness;
  std::vector<std::string> expected;
  JournalStart from{.journal_id = kJournalId};
  for (int life = 0; life < 4; ++life) {
    harness.start(from);
    for (int index = 0; index < 9; ++index) {
      expected.push_back(std::to_string(life) + "." + std::to_string(index));
      harness.write(expected.back());
    }
    harness.stop();
    const auto reading = harness.read();
    ASSERT_TRUE(reading) << reading.error().text;
    EXPECT_EQ(harness.entries, expected);
    from = reading->start;
  }
  EXPECT_GT(harness.world.disk.paths().size(), 4u);
}

TEST(JournalReader, released_files_are_used_again_and_their_old_frames_are_not_believed) {
  Harness harness;
  harness.start();
  std::optional<JournalTail> tail;
  for (int index = 0; index < 200; ++index) {
    harness.write("entry");
    if (index % 7 == 0) {
      harness.journal->mark([&](JournalTail found) { tail = found; });
      harness.world.scheduler.run_posted();
      harness.journal->release_before(tail->position);
    }
  }
  EXPECT_LE(harness.journal->file_count(), 5u);
  const JournalPosition end = harness.journal->end();
  harness.stop();
  int replayed = 0;
  const auto reading =
      read_journal(harness.world.disk, "journal", {.journal_id = kJournalId, .tail = *tail},
                   [&](const JournalEntry&) {
                     ++replayed;
                     return Status{};
                   });
  ASSERT_TRUE(reading) << reading.error().text;
  EXPECT_EQ(reading->start.tail.position, end);
  EXPECT_EQ(replayed, 3);
}

TEST(JournalReader, frame_of_an_older_lap_is_the_end) {
  Harness harness;
  harness.start();
  harness.write("a");
  harness.write("b");
  harness.stop();
  // A whole frame that does not continue the chain: the first one, copied behind the last.
  std::memcpy(harness.bytes().data() + 8192, harness.bytes().data(), 4096);
  ASSERT_TRUE(harness.read());
  EXPECT_THAT(harness.entries, ElementsAre("a", "b"));
}

TEST(JournalReader, frame_of_another_journal_is_the_end) {
  Harness harness;
  harness.start();
  harness.write("a");
  harness.stop();
  ASSERT_TRUE(harness.read(kJournalId + 1));
  EXPECT_THAT(harness.entries, IsEmpty());
}

TEST(JournalReader, torn_last_frame_is_cut) {
  Harness harness;
  harness.start();
  harness.write("a");
  harness.write(std::string(6000, 'b'));
  harness.stop();
  harness.flip(4096 + 5000);
  const auto reading = harness.read();
  ASSERT_TRUE(reading);
  EXPECT_THAT(harness.entries, ElementsAre("a"));
  EXPECT_THAT(reading->cut, HasSubstr("journal/0001.journal: byte 4096: the last frame"));
  // The next life writes over it.
  harness.start(reading->start);
  harness.write("c");
  harness.stop();
  ASSERT_TRUE(harness.read());
  EXPECT_THAT(harness.entries, ElementsAre("a", "c"));
}

TEST(JournalReader, a_last_frame_with_a_flipped_bit_is_never_cut_in_silence) {
  Harness harness;
  harness.start();
  harness.write("a");
  harness.write(std::string(100, 'b'));
  harness.stop();
  ASSERT_TRUE(harness.read());
  for (std::size_t byte = 4096; byte < 4096 + kFrameHeaderBytes + 100; ++byte) {
    harness.flip(byte);
    const auto reading = harness.read();
    ASSERT_TRUE(reading);
    EXPECT_THAT(harness.entries, ElementsAre("a")) << byte;
    EXPECT_THAT(reading->cut, HasSubstr("not whole")) << byte;
    harness.flip(byte);
  }
  const auto reading = harness.read();
  EXPECT_EQ(harness.entries.size(), 2U);
  EXPECT_EQ(reading->cut, "");
}

TEST(JournalReader, damage_before_a_durable_frame_is_refused) {
  Harness harness;
  harness.start();
  harness.write("a");
  harness.write("b");
  harness.write("c");
  harness.stop();
  harness.flip(4096 + 69);
  const auto reading = harness.read();
  ASSERT_FALSE(reading);
  EXPECT_EQ(reading.error().code, ErrorCode::kCorrupt);
  EXPECT_THAT(reading.error().text, HasSubstr("journal/0001.journal: byte 4096"));
  EXPECT_THAT(reading.error().text, HasSubstr("Restore"));
}

TEST(JournalReader, damage_to_a_sealed_frame_is_refused) {
  Harness harness;
  harness.start();
  harness.write("a");
  harness.seal();
  harness.stop();
  harness.flip(69);
  EXPECT_FALSE(harness.read());
}

TEST(JournalReader, damaged_first_frame_of_a_file_is_refused) {
  for (const std::size_t byte : {std::size_t{3}, std::size_t{30}, std::size_t{69}}) {
    Harness harness;
    harness.start();
    for (int index = 0; index < 7; ++index) {
      harness.write("entry");
    }
    harness.stop();
    ASSERT_TRUE(harness.read());
    ASSERT_EQ(harness.entries.size(), 7u);
    harness.flip(byte, "journal/0002.journal");
    EXPECT_FALSE(harness.read());
  }
}

TEST(JournalReader, lost_unsynced_frames_are_cut) {
  Harness harness;
  harness.flush = FlushMode::kOs;
  harness.start();
  harness.write("a");
  harness.write("b");
  harness.write("c");
  harness.stop();
  std::memset(harness.bytes().data() + 4096, 0, 4096);
  const auto reading = harness.read();
  ASSERT_TRUE(reading);
  EXPECT_THAT(harness.entries, ElementsAre("a"));
  EXPECT_THAT(reading->cut, HasSubstr("had not been synced"));
}

TEST(JournalReader, nonsense_in_a_valid_frame_is_refused) {
  Harness harness;
  harness.start();
  harness.write("a");
  harness.stop();
  const auto reading = read_journal(
      harness.world.disk, "journal", {.journal_id = kJournalId},
      [](const JournalEntry&) -> Status { return fail(ErrorCode::kCorrupt, "nonsense"); });
  ASSERT_FALSE(reading);
  EXPECT_THAT(reading.error().text, HasSubstr("journal/0001.journal: frame at byte 0: nonsense"));
}

// Every byte of a small sealed journal, flipped in turn: a prefix with all that was acknowledged,
// or a refusal that names the file.
TEST(JournalReader, no_flipped_byte_loses_what_was_acknowledged) {
  Harness harness;
  harness.start();
  harness.write("a");
  harness.write(std::string(5000, 'b'));
  harness.write("c");
  harness.seal();
  harness.stop();
  const std::vector<std::string> all = {"a", std::string(5000, 'b'), "c"};
  int refused = 0;
  for (std::size_t position = 0; position < 24576 && position < harness.bytes().size();
       position += position % 4096 < 128 ? 1 : 61) {
    harness.flip(position);
    const auto reading = harness.read();
    if (reading) {
      EXPECT_EQ(harness.entries, all) << "byte " << position;
    } else {
      ++refused;
      EXPECT_THAT(reading.error().text, HasSubstr("journal/0001.journal"));
    }
    harness.flip(position);
  }
  EXPECT_GT(refused, 200);
}

TEST(Journal, a_large_entry_gets_a_frame_of_its_own_and_the_file_grows) {
  Harness harness;
  harness.start();
  harness.write(std::string(100'000, 'x'));
  harness.write("y");
  harness.stop();
  ASSERT_TRUE(harness.read());
  ASSERT_EQ(harness.entries.size(), 2u);
  EXPECT_EQ(harness.entries[0].size(), 100'000u);
}

TEST(Journal, says_when_it_is_full_and_when_not) {
  TestWorld world;
  Journal journal(
      world.environment(),
      {.directory = "journal", .buffered_bytes_max = 1000, .on_fatal = [](const Error&) {}},
      {.journal_id = 1});
  ASSERT_TRUE(journal.open());
  journal.append(EntryType::kRecord, as_bytes(std::string(2000, 'x')));
  EXPECT_TRUE(journal.is_full());
  bool has_room = false;
  journal.when_not_full([&] { has_room = true; });
  world.scheduler.run_posted();
  EXPECT_FALSE(has_room);
  world.scheduler.run_for(milliseconds(10));
  EXPECT_TRUE(has_room);
  EXPECT_FALSE(journal.is_full());
}

TEST(Journal, the_seeded_bug_acknowledges_before_the_sync) {
  TestWorld world;
  world.seeded_bug = SeededBug::kAcknowledgeBeforeSync;
  Journal journal(world.environment(), {.directory = "journal", .on_fatal = [](const Error&) {}},
                  {.journal_id = 1});
  ASSERT_TRUE(journal.open());
  bool acknowledged = false;
  journal.when_durable(journal.append(EntryType::kRecord, as_bytes("x")),
                       [&] { acknowledged = true; });
  world.scheduler.run_posted();
  EXPECT_TRUE(acknowledged);
  EXPECT_LT(journal.durable(), journal.end());
}

TEST(Format, golden_bytes_of_a_frame_header_and_an_index_entry) {
  FrameHeader header{.journal_id = 1,
                     .file_sequence = 2,
                     .position = JournalPosition(3),
                     .durable_position = JournalPosition(4),
                     .payload_bytes = 5,
                     .payload_checksum = 6,
                     .previous_checksum = 7,
                     .start_nonce = 8};
  Buffer bytes(kFrameHeaderBytes);
  encode_frame_header(header, bytes.data());
  const auto hex = [](ByteView view) {
    std::string text;
    for (const std::byte octet : view) {
      constexpr std::string_view kDigits = "0123456789abcdef";
      text += kDigits[static_cast<std::size_t>(octet) >> 4];
      text += kDigits[static_cast<std::size_t>(octet) & 15];
    }
    return text;
  };
  EXPECT_EQ(hex(ByteView(bytes).first(60)),
            "4f464a3100010000000000000000000100000000000000020000000000000003"
            "00000000000000040000000500000006000000070000000800000000");
  EXPECT_EQ(decode_frame_header(bytes)->start_nonce, 8u);
  Buffer entry(kIndexEntryBytes);
  encode_index_entry({Offset(1), 2, 4, 3}, 5, entry.data());
  EXPECT_EQ(hex(ByteView(entry).first(24)), "000000000000000100000002000000000000000300000004");
  EXPECT_TRUE(decode_index_entry(entry, 5));
  EXPECT_FALSE(decode_index_entry(entry, 6));
  Buffer note(kJournalNoteBytes);
  encode_journal_note({1, 2, JournalPosition(3), JournalPosition(4)}, note.data());
  EXPECT_EQ(hex(ByteView(note).first(40)),
            "4f464e31000100000000000000000001000000000000000200000000000000030000000000000004");
  EXPECT_EQ(decode_journal_note(note)->synced_position, JournalPosition(4));
}

}  // namespace
}  // namespace onceflow::log
