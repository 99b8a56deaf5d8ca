// WalkedState: what a checkpoint says, as plain values, for the walker; then moved on by the
// entries of the journal. Decoded by code of its own from docs/formats/checkpoint.md.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"

namespace onceflow::log {

struct WalkedSegment {
  Offset base_offset;
  std::uint64_t size_bytes = 0;
  std::int64_t max_timestamp = -1;
  std::optional<std::uint32_t> headers_hash;  ///< of version 2 on
};

/// An aborted transaction.
struct WalkedAbort {
  ProducerId producer;
  Offset first_offset;
  Offset last_offset;  ///< of the marker
};

struct WalkedBatch {
  Sequence first_sequence;
  Sequence last_sequence;
  Offset first_offset;
  Offset last_offset;
  friend bool operator==(const WalkedBatch&, const WalkedBatch&) = default;
};

struct WalkedProducer {
  Offset transaction_first_offset = kNoOffset;  ///< kNoOffset: none is open
  std::vector<WalkedBatch> batches;             ///< the last ones, oldest first
};

struct WalkedPartition {
  Offset log_start_offset{0};
  Offset log_end_offset{0};
  std::vector<WalkedSegment> segments;
  std::vector<WalkedAbort> aborted;
  std::map<ProducerId, WalkedProducer> producers;
  /// Where the journal has moved the ends to.
  Offset journal_end_offset{0};
};

struct WalkedTopic {
  std::string name;
  std::vector<WalkedPartition> partitions;
};

/// The place in the journal from which it is read.
struct WalkedTail {
  std::uint64_t journal_id = 0;
  JournalPosition position;
  std::uint64_t file_sequence = 0;
  std::uint64_t file_offset = 0;
  std::uint32_t chain = 0;
};

struct WalkedFile {
  std::uint32_t number = 0;
  std::uint64_t size_bytes = 0;
};

struct WalkedState {
  std::string path;  ///< of the checkpoint
  std::uint16_t version = 0;
  std::string cluster_id;  ///< empty: not known
  WalkedTail tail;
  bool is_tail_durable = false;
  std::vector<WalkedFile> journal_files;  ///< must be there, and as large
  std::map<TopicId, WalkedTopic> topics;
  Buffer coordinators;  ///< their snapshot, which is bytes to the log
};

/// The body of a checkpoint of this version; nullopt if it does not decode.
std::optional<WalkedState> decode_walked_state(std::uint16_t version, ByteView body);

}  // namespace onceflow::log
