#include "log/format.h"

#include <array>
#include <charconv>
#include <cstring>

#include <fmt/format.h>

#include "base/crc32c.h"
#include "base/wire.h"
#include "protocol/record_batch.h"

namespace onceflow::log {

using wire::load_big_endian;
using wire::store_big_endian;

void encode_frame_header(FrameHeader& header, std::byte* destination) {
  store_big_endian<std::uint32_t>(destination, kFrameMagic);
  store_big_endian<std::uint16_t>(destination + 4, kJournalVersion);
  store_big_endian<std::uint16_t>(destination + 6, 0);
  store_big_endian<std::uint64_t>(destination + 8, header.journal_id);
  store_big_endian<std::uint64_t>(destination + 16, header.file_sequence);
  store_big_endian<std::uint64_t>(destination + 24, header.position.value);
  store_big_endian<std::uint64_t>(destination + 32, header.durable_position.value);
  store_big_endian<std::uint32_t>(destination + 40, header.payload_bytes);
  store_big_endian<std::uint32_t>(destination + 44, header.payload_checksum);
  store_big_endian<std::uint32_t>(destination + 48, header.previous_checksum);
  store_big_endian<std::uint32_t>(destination + 52, header.start_nonce);
  store_big_endian<std::uint32_t>(destination + 56, 0);
  header.header_checksum = crc32c({destination, 60});
  store_big_endian<std::uint32_t>(destination + 60, header.header_checksum);
}

FrameHeader read_frame_header(ByteView bytes) {
  return {
      .journal_id = load_big_endian<std::uint64_t>(bytes.data() + 8),
      .file_sequence = load_big_endian<std::uint64_t>(bytes.data() + 16),
      .position = JournalPosition(load_big_endian<std::uint64_t>(bytes.data() + 24)),
      .durable_position = JournalPosition(load_big_endian<std::uint64_t>(bytes.data() + 32)),
      .payload_bytes = load_big_endian<std::uint32_t>(bytes.data() + 40),
      .payload_checksum = load_big_endian<std::uint32_t>(bytes.data() + 44),
      .previous_checksum = load_big_endian<std::uint32_t>(bytes.data() + 48),
      .start_nonce = load_big_endian<std::uint32_t>(bytes.data() + 52),
      .header_checksum = load_big_endian<std::uint32_t>(bytes.data() + 60),
  };
}

std::optional<FrameHeader> decode_frame_header(ByteView bytes) {
  if (bytes.size() < kFrameHeaderBytes ||
      load_big_endian<std::uint32_t>(bytes.data()) != kFrameMagic ||
      load_big_endian<std::uint16_t>(bytes.data() + 4) != kJournalVersion) {
    return std::nullopt;
  }
  const FrameHeader header = read_frame_header(bytes);
  if (header.header_checksum != crc32c(bytes.first(60))) {
    return std::nullopt;
  }
  return header;
}

namespace {
/// All of `text` as a number without sign; nullopt otherwise.
template <typename Integer>
std::optional<Integer> parse_digits(std::string_view text) {
  Integer number = 0;
  if (text.empty() || text.front() < '0' || text.front() > '9') {
    return std::nullopt;
  }
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return number;
}

std::optional<std::string_view> without_suffix(std::string_view name, std::string_view suffix) {
  if (!name.ends_with(suffix)) {
    return std::nullopt;
  }
  name.remove_suffix(suffix.size());
  return name;
}
}  // namespace

std::string journal_file_name(std::uint32_t number) { return fmt::format("{:04}.journal", number); }

std::optional<std::uint32_t> parse_journal_file_name(std::string_view name) {
  const auto stem = without_suffix(name, ".journal");
  return stem ? parse_digits<std::uint32_t>(*stem) : std::nullopt;
}

std::string segment_file_name(Offset base_offset) {
  return fmt::format("{:020}.log", base_offset.value);
}
std::string segment_index_file_name(Offset base_offset) {
  return fmt::format("{:020}.index", base_offset.value);
}

std::optional<Offset> parse_segment_file_name(std::string_view name) {
  const auto stem = without_suffix(name, ".log");
  if (!stem || stem->size() != 20) {
    return std::nullopt;
  }
  const auto number = parse_digits<std::int64_t>(*stem);
  return number ? std::optional(Offset(*number)) : std::nullopt;
}

std::string partition_directory_name(std::string_view topic, PartitionIndex partition) {
  return fmt::format("{}-{}", topic, partition.value);
}

std::optional<PartitionDirectory> parse_partition_directory_name(std::string_view name) {
  const std::size_t dash = name.find_last_of('-');
  if (dash == std::string_view::npos || dash == 0) {
    return std::nullopt;
  }
  const auto index = parse_digits<std::int32_t>(name.substr(dash + 1));
  if (!index) {
    return std::nullopt;
  }
  return PartitionDirectory{std::string(name.substr(0, dash)), PartitionIndex(*index)};
}

std::uint32_t add_to_headers_hash(std::uint32_t headers_hash, ByteView batch) {
  return crc32c(batch.first(protocol::kBatchHeaderBytes), headers_hash);
}

std::uint32_t partition_seed(const TopicIdPartition& partition) {
  std::array<std::byte, 20> bytes;
  std::memcpy(bytes.data(), partition.topic_id.bytes.data(), 16);
  store_big_endian(bytes.data() + 16, partition.partition.value);
  return crc32c(bytes);
}

std::uint32_t segment_seed(std::uint32_t partition_seed, Offset base_offset) {
  std::array<std::byte, 8> bytes;
  store_big_endian(bytes.data(), base_offset.value);
  return crc32c(bytes, partition_seed);
}

void encode_index_entry(const IndexEntry& entry, std::uint32_t segment_seed,
                        std::byte* destination) {
  store_big_endian<std::int64_t>(destination, entry.offset.value);
  store_big_endian<std::uint32_t>(destination + 8, entry.position);
  store_big_endian<std::int64_t>(destination + 12, entry.max_timestamp);
  store_big_endian<std::uint32_t>(destination + 20, entry.headers_hash);
  store_big_endian<std::uint32_t>(destination + 24, crc32c({destination, 24}, segment_seed));
}

std::optional<IndexEntry> decode_index_entry(ByteView bytes, std::uint32_t segment_seed) {
  if (bytes.size() < kIndexEntryBytes ||
      load_big_endian<std::uint32_t>(bytes.data() + 24) != crc32c(bytes.first(24), segment_seed)) {
    return std::nullopt;
  }
  return IndexEntry{.offset = Offset(load_big_endian<std::int64_t>(bytes.data())),
                    .position = load_big_endian<std::uint32_t>(bytes.data() + 8),
                    .headers_hash = load_big_endian<std::uint32_t>(bytes.data() + 20),
                    .max_timestamp = load_big_endian<std::int64_t>(bytes.data() + 12)};
}

void encode_journal_note(const JournalNote& note, std::byte* destination) {
  store_big_endian<std::uint32_t>(destination, kJournalNoteMagic);
  store_big_endian<std::uint16_t>(destination + 4, kJournalVersion);
  store_big_endian<std::uint16_t>(destination + 6, 0);
  store_big_endian(destination + 8, note.journal_id);
  store_big_endian(destination + 16, note.boot_id);
  store_big_endian(destination + 24, note.position.value);
  store_big_endian(destination + 32, note.synced_position.value);
  store_big_endian<std::uint32_t>(destination + 40, crc32c({destination, 40}));
}

std::optional<JournalNote> decode_journal_note(ByteView bytes) {
  if (bytes.size() < kJournalNoteBytes ||
      load_big_endian<std::uint32_t>(bytes.data()) != kJournalNoteMagic ||
      load_big_endian<std::uint16_t>(bytes.data() + 4) != kJournalVersion ||
      load_big_endian<std::uint32_t>(bytes.data() + 40) != crc32c(bytes.first(40))) {
    return std::nullopt;
  }
  return JournalNote{
      .journal_id = load_big_endian<std::uint64_t>(bytes.data() + 8),
      .boot_id = load_big_endian<std::uint64_t>(bytes.data() + 16),
      .position = JournalPosition(load_big_endian<std::uint64_t>(bytes.data() + 24)),
      .synced_position = JournalPosition(load_big_endian<std::uint64_t>(bytes.data() + 32))};
}

void encode_checkpoint_header(const CheckpointHeader& header, std::byte* destination) {
  store_big_endian<std::uint32_t>(destination, kCheckpointMagic);
  store_big_endian<std::uint16_t>(destination + 4, header.version);
  store_big_endian<std::uint16_t>(destination + 6, 0);
  store_big_endian<std::uint64_t>(destination + 8, header.sequence);
  store_big_endian<std::uint64_t>(destination + 16, header.body_bytes);
  store_big_endian<std::uint32_t>(destination + 24, header.body_checksum);
  store_big_endian<std::uint32_t>(destination + 28, crc32c({destination, 28}));
}

std::optional<std::uint16_t> checkpoint_version(ByteView bytes) {
  if (bytes.size() < kCheckpointHeaderBytes ||
      load_big_endian<std::uint32_t>(bytes.data()) != kCheckpointMagic ||
      load_big_endian<std::uint32_t>(bytes.data() + 28) != crc32c(bytes.first(28))) {
    return std::nullopt;
  }
  return load_big_endian<std::uint16_t>(bytes.data() + 4);
}

std::optional<CheckpointHeader> decode_checkpoint_header(ByteView bytes) {
  const auto version = checkpoint_version(bytes);
  if (!version || *version < 1 || *version > kCheckpointVersion) {
    return std::nullopt;
  }
  return CheckpointHeader{.version = *version,
                          .sequence = load_big_endian<std::uint64_t>(bytes.data() + 8),
                          .body_bytes = load_big_endian<std::uint64_t>(bytes.data() + 16),
                          .body_checksum = load_big_endian<std::uint32_t>(bytes.data() + 24)};
}

std::string checkpoint_file_name(std::uint64_t sequence) {
  return fmt::format("checkpoint.{}", sequence % 2);
}

}  // namespace onceflow::log
