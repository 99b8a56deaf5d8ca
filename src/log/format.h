// The bytes on disk: journal frames and entries, segment files, index files, checkpoint files.
// Layouts are drawn in docs/formats/{journal,segment,checkpoint}.md. Pure; shared with the auditor,
// which may include this and walker.h and nothing else of the log.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/ids.h"

namespace onceflow::log {

/// A reader refuses a higher version by name.
inline constexpr std::uint16_t kJournalVersion = 1;
/// 1 did not say which files belong to it; it is still read.
inline constexpr std::uint16_t kCheckpointVersion = 2;

// --- Journal ---

inline constexpr std::size_t kJournalBlockBytes = 4096;
inline constexpr std::uint32_t kFrameMagic = 0x4f464a31;  // "OFJ1"
inline constexpr std::size_t kFrameHeaderBytes = 64;
/// u32 length of what follows, u8 type.
inline constexpr std::size_t kEntryHeaderBytes = 5;

enum class EntryType : std::uint8_t {
  kBatch = 1,           ///< topic id, partition, the batch as it lies in the segment
  kEndTransaction = 2,  ///< decision, markers with their offsets, the coordinators' record
  kRecord = 3,          ///< a record of the coordinators, opaque
  kTopicCreated = 4,
  kTopicDeleted = 5,
  kPartitionsAdded = 6,
  kTopicConfigured = 7,
  kLogStartMoved = 8,  ///< retention or DeleteRecords
};

/// The first 64 bytes of a frame. A frame is whole blocks, padded with zeroes.
struct FrameHeader {
  std::uint64_t journal_id = 0;         ///< random, of this log directory
  std::uint64_t file_sequence = 0;      ///< of the file's present use; rises by one a file
  JournalPosition position;             ///< of the first byte of the payload
  JournalPosition durable_position;     ///< known to be on disk when this frame was written
  std::uint32_t payload_bytes = 0;      ///< 0: a seal, which only says what is durable
  std::uint32_t payload_checksum = 0;   ///< CRC-32C
  std::uint32_t previous_checksum = 0;  ///< header checksum of the frame before: the chain
  std::uint32_t start_nonce = 0;        ///< random, of the process's start that wrote it
  std::uint32_t header_checksum = 0;    ///< CRC-32C of the 60 bytes before it

  std::size_t frame_bytes() const {
    return (kFrameHeaderBytes + payload_bytes + kJournalBlockBytes - 1) / kJournalBlockBytes *
           kJournalBlockBytes;
  }
};

/// Writes 64 bytes and sets header.header_checksum.
void encode_frame_header(FrameHeader& header, std::byte* destination);
/// nullopt unless magic, version and header checksum are right.
std::optional<FrameHeader> decode_frame_header(ByteView bytes);
/// The fields as they stand in 64 bytes, right or not.
FrameHeader read_frame_header(ByteView bytes);

/// "0007.journal" for 7.
std::string journal_file_name(std::uint32_t number);
std::optional<std::uint32_t> parse_journal_file_name(std::string_view name);

/// What journal.durable says, beside the data directory's checkpoints: how far the journal has
/// come. Written through the page cache after each frame, so it may be behind after a loss of
/// power, and never ahead.
struct JournalNote {
  std::uint64_t journal_id = 0;
  std::uint64_t boot_id = 0;        ///< of the machine's life in which it was written; 0: not known
  JournalPosition position;         ///< written, and there as long as the machine runs
  JournalPosition synced_position;  ///< on the device
  friend bool operator==(const JournalNote&, const JournalNote&) = default;
};
inline constexpr std::string_view kJournalNoteFileName = "journal.durable";
inline constexpr std::uint32_t kJournalNoteMagic = 0x4f464e31;  // "OFN1"
inline constexpr std::size_t kJournalNoteBytes = 44;
void encode_journal_note(const JournalNote& note, std::byte* destination);
/// nullopt unless size, magic, version and checksum are right.
std::optional<JournalNote> decode_journal_note(ByteView bytes);

// --- Segments ---

/// "00000000000000000042.log"
std::string segment_file_name(Offset base_offset);
std::string segment_index_file_name(Offset base_offset);
std::optional<Offset> parse_segment_file_name(std::string_view name);
/// "orders-3"
std::string partition_directory_name(std::string_view topic, PartitionIndex partition);
struct PartitionDirectory {
  std::string topic;
  PartitionIndex partition;
};
std::optional<PartitionDirectory> parse_partition_directory_name(std::string_view name);
/// What a deleted partition's folder is called until its files are gone.
inline constexpr std::string_view kDeletedSuffix = "-delete";

/// The hash of a run of batches: over their headers, which hold the checksums of what follows them.
std::uint32_t add_to_headers_hash(std::uint32_t headers_hash, ByteView batch);

/// Names a segment's place in a log: index entries carry it, so that those of another segment do
/// not pass for its own.
std::uint32_t partition_seed(const TopicIdPartition& partition);
std::uint32_t segment_seed(std::uint32_t partition_seed, Offset base_offset);

/// One entry of a segment's index: the batch at `position` begins at `offset`.
struct IndexEntry {
  Offset offset;
  std::uint32_t position = 0;
  std::uint32_t headers_hash = 0;   ///< of all batches before `position` in this segment
  std::int64_t max_timestamp = -1;  ///< of them
};
inline constexpr std::size_t kIndexEntryBytes = 28;
void encode_index_entry(const IndexEntry& entry, std::uint32_t segment_seed,
                        std::byte* destination);
/// nullopt if its checksum is wrong, or it is of another segment.
std::optional<IndexEntry> decode_index_entry(ByteView bytes, std::uint32_t segment_seed);

// --- Checkpoint ---

inline constexpr std::uint32_t kCheckpointMagic = 0x4f464331;  // "OFC1"
inline constexpr std::size_t kCheckpointHeaderBytes = 32;

struct CheckpointHeader {
  std::uint16_t version = kCheckpointVersion;
  std::uint64_t sequence = 0;  ///< the valid one with the higher number counts
  std::uint64_t body_bytes = 0;
  std::uint32_t body_checksum = 0;
};
void encode_checkpoint_header(const CheckpointHeader& header, std::byte* destination);
/// nullopt unless magic, version and header checksum are right.
std::optional<CheckpointHeader> decode_checkpoint_header(ByteView bytes);
/// Also one that this program does not read; nullopt unless magic and header checksum are right.
std::optional<std::uint16_t> checkpoint_version(ByteView bytes);
/// "checkpoint.0" and "checkpoint.1", written in turn.
std::string checkpoint_file_name(std::uint64_t sequence);

}  // namespace onceflow::log
