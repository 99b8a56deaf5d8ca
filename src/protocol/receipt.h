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
  struct Input {
    TopicPartition source;
    Offset from_offset;             ///< the position before this commit
    Offset next_offset;             ///< the position after it
    std::int64_t record_count = 0;  ///< data records between, without markers and aborted ones
    std::uint64_t record_hash_sum = 0;
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
  std::vector<Input> inputs;
  std::vector<Output> outputs;
  std::vector<Row> rows;
  friend bool operator==(const Receipt&, const Receipt&) = default;
};

/// Version, fields, and a CRC-32C over all of it.
Buffer encode_receipt(const Receipt& receipt);
/// kCorrupt, naming what does not hold.
Result<Receipt> decode_receipt(ByteView bytes);

}  // namespace onceflow::protocol
