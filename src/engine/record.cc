#include "engine/record.h"

#include <algorithm>

namespace onceflow::engine {

namespace {
constexpr std::size_t kArenaBlockBytes = 64 * 1024;
}

MutableByteView Arena::allocate(std::size_t size_bytes) {
  while (block_index_ < blocks_.size() &&
         blocks_[block_index_].size_bytes - used_bytes_ < size_bytes) {
    ++block_index_;
    used_bytes_ = 0;
  }
  if (block_index_ == blocks_.size()) {
    const std::size_t block_bytes = std::max(size_bytes, kArenaBlockBytes);
    blocks_.push_back({std::make_unique_for_overwrite<std::byte[]>(block_bytes), block_bytes});
  }
  const MutableByteView place(blocks_[block_index_].bytes.get() + used_bytes_, size_bytes);
  used_bytes_ += size_bytes;
  return place;
}

void Arena::clear() {
  // What one large record took goes back.
  std::erase_if(blocks_, [](const Block& block) { return block.size_bytes > kArenaBlockBytes; });
  block_index_ = 0;
  used_bytes_ = 0;
}

}  // namespace onceflow::engine
