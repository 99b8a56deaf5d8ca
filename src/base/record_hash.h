// Record hashes: the order-independent sums that receipts carry and the auditor recomputes.
// The format is drawn in docs/formats/receipt.md: each hash below is XXH3-64 over the bytes named
// there, and a sum of them modulo 2^64 stands for a set of records.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/value.h"

namespace onceflow {

/// Of an input record: its place and its bytes.
std::uint64_t input_record_hash(PartitionIndex partition, Offset offset,
                                std::optional<ByteView> key, std::optional<ByteView> value);

/// Of a record written to a topic: its offset is not known when it is hashed.
std::uint64_t output_record_hash(PartitionIndex partition, std::optional<ByteView> key,
                                 std::optional<ByteView> value);

/// Of a table row: begin with the column count, then add every column in the table's order. Reals
/// are hashed by their IEEE bits (-0 as 0), integers by their two's complement, text by its
/// bytes, decimals by their canonical text.
class RowHash {
 public:
  void add(std::string_view column, const Value& value);
  std::uint64_t finish() const { return state_; }

 private:
  std::uint64_t state_ = 0x6f6e6365666c6f77;
};

}  // namespace onceflow
