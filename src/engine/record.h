// Record and Chunk: what operators work on. A chunk is a run of records of one source partition;
// keys and values are views into the fetched batch or into the chunk's own arena.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"

namespace onceflow::engine {

/// Why a record without a value has no key any more: a step makes it of fields.
struct LostKey {
  std::string step;
  std::string made_of;
  std::string fix;
};

struct Record {
  Offset offset;
  std::int64_t timestamp_ms = 0;
  std::optional<ByteView> key;
  std::optional<ByteView> value;
  ByteView headers;  ///< encoded as in the record batch, with the count in front; empty: none
  /// Not null where the key says nothing of what the record deletes; of an operator of the stage.
  const LostKey* lost_key = nullptr;
};

/// Memory for bytes made by operators; freed all at once, when the chunk is done. Blocks are kept.
class Arena {
 public:
  /// Copies the bytes; the copy does not move until clear().
  ByteView copy(ByteView bytes) {
    const MutableByteView place = allocate(bytes.size());
    if (!bytes.empty()) {
      std::memcpy(place.data(), bytes.data(), bytes.size());
    }
    return place;
  }
  MutableByteView allocate(std::size_t size_bytes);
  void clear();

 private:
  struct Block {
    std::unique_ptr<std::byte[]> bytes;
    std::size_t size_bytes = 0;
  };
  std::vector<Block> blocks_;
  std::size_t block_index_ = 0;
  std::size_t used_bytes_ = 0;
};

struct Chunk {
  TopicPartition source;
  std::vector<Record> records;
  Arena arena;

  void clear() {
    records.clear();
    arena.clear();
  }
};

}  // namespace onceflow::engine
