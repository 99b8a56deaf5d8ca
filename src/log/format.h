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

/// All formats of this version. A reader refuses a higher one by name.
inline constexpr std::uint16_t kFormatVersion = 1;

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

/// One entry of a segment's index: the batch at `position` begins at `offset`.
struct IndexEntry {
  Offset offset;
  std::uint32_t position = 0;
  std::int64_t max_timestamp = -1;  ///< of all batches before `position` in this segment
};
inline constexpr std::size_t kIndexEntryBytes = 24;
void encode_index_entry(const IndexEntry& entry, std::byte* destination);
/// nullopt if its checksum is wrong.
std::optional<IndexEntry> decode_index_entry(ByteView bytes);

// --- Checkpoint ---

inline constexpr std::uint32_t kCheckpointMagic = 0x4f464331;  // "OFC1"
inline constexpr std::size_t kCheckpointHeaderBytes = 32;

struct CheckpointHeader {
  std::uint64_t sequence = 0;  ///< the valid one with the higher number counts
  std::uint64_t body_bytes = 0;
  std::uint32_t body_checksum = 0;
};
void encode_checkpoint_header(const CheckpointHeader& header, std::byte* destination);
std::optional<CheckpointHeader> decode_checkpoint_header(ByteView bytes);
/// "checkpoint.0" and "checkpoint.1", written in turn.
std::string checkpoint_file_name(std::uint64_t sequence);

}  // namespace onceflow::log
