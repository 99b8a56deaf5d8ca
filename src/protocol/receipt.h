// Receipt: what every commit leaves in its own commit point. The format is docs/formats/receipt.md;
// the engine writes it, the auditor, trace and the console read it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"

namespace onceflow::protocol {

struct Receipt {
  /// Why a stage began to read a partition at `from_offset` and not where the receipt before ended.
  enum class Beginning : std::int8_t {
    kNone = 0,          ///< it did not begin: from_offset is where the receipt before ended
    kEarliest = 1,      ///< auto.offset.reset: earliest, at the first start
    kLatest = 2,        ///< auto.offset.reset: latest, at the first start
    kNewPartition = 3,  ///< the partition appeared after the first start: from 0
    kReset = 4,         ///< an operator moved the position on purpose
    kFound = 5,         ///< a position was there, and no receipt of the stage says why
  };
  struct Input {
    TopicPartition source;
    TopicId topic_id{};             ///< zeros: unknown
    Offset from_offset;             ///< the position before this commit
    Offset next_offset;             ///< the position after it
    std::int64_t record_count = 0;  ///< data records between, without markers and aborted ones
    std::uint64_t record_hash_sum = 0;
    Beginning beginning = Beginning::kNone;
    friend bool operator==(const Input&, const Input&) = default;
  };
  struct Output {
    std::string name;              ///< topic or table
    PartitionIndex partition{-1};  ///< -1: a table
    std::int64_t record_count = 0;
    std::uint64_t record_hash_sum = 0;
    friend bool operator==(const Output&, const Output&) = default;
  };
  /// One row written to a table: enough to name it when it is missing, doubled or altered.
  struct Row {
    std::uint32_t input_index = 0;
    Offset source_offset;
    std::uint64_t row_hash = 0;
    std::uint64_t key_hash = 0;  ///< upsert: of the key columns; append: 0
    bool is_delete = false;
    friend bool operator==(const Row&, const Row&) = default;
  };

  std::string pipeline;
  std::string stage;
  std::string worker;              ///< transactional id, or the claimer of a sink
  std::int64_t commit_number = 0;  ///< counts this worker's commits since it started
  std::int64_t committed_at_ms = 0;
  std::uint64_t definition = 0;  ///< fingerprint of the stage's definition; 0: unknown
  std::vector<Input> inputs;
  std::vector<Output> outputs;
  std::vector<Row> rows;
  friend bool operator==(const Receipt&, const Receipt&) = default;
};

/// Version, fields, and a CRC-32C over all of it. Always written in the newest version.
Buffer encode_receipt(const Receipt& receipt);
/// Reads version 1 too, which has neither definition nor topic ids nor beginnings. kCorrupt, naming
/// what does not hold.
Result<Receipt> decode_receipt(ByteView bytes);

}  // namespace onceflow::protocol
