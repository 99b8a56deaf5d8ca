#include "log/frame_buffers.h"

#include <gtest/gtest.h>

namespace onceflow::log {
namespace {

constexpr std::size_t kBlock = io::kDiskBlockBytes;

TEST(FrameBuffers, a_buffer_comes_back_when_its_last_holder_lets_go) {
  FrameBuffers buffers(kBlock, 8 * kBlock, 2);
  auto first = buffers.take(kBlock);
  const std::byte* const place = first->data();
  std::shared_ptr<const void> holder = first;
  first.reset();
  const auto other = buffers.take(kBlock);
  EXPECT_NE(other->data(), place) << "it is held";
  holder.reset();
  EXPECT_EQ(buffers.take(kBlock)->data(), place);
}

TEST(FrameBuffers, the_largest_are_given_first_and_kept) {
  FrameBuffers buffers(kBlock, 8 * kBlock, 2);
  {
    const auto small = buffers.take(kBlock);
    const auto large = buffers.take(4 * kBlock);
    const auto larger = buffers.take(6 * kBlock);
  }
  const auto first = buffers.take(kBlock);
  const auto second = buffers.take(kBlock);
  const auto third = buffers.take(kBlock);
  EXPECT_EQ(first->size(), 6 * kBlock);
  EXPECT_EQ(second->size(), 4 * kBlock);
  EXPECT_EQ(third->size(), kBlock) << "two are kept";
}

TEST(FrameBuffers, what_is_too_large_is_not_kept) {
  FrameBuffers buffers(kBlock, 8 * kBlock, 2);
  static_cast<void>(buffers.take(9 * kBlock));
  EXPECT_EQ(buffers.take(kBlock)->size(), kBlock);
}

TEST(FrameBuffers, a_buffer_may_outlive_them) {
  std::shared_ptr<io::BlockBuffer> buffer;
  {
    FrameBuffers buffers(kBlock, 8 * kBlock, 2);
    buffer = buffers.take(kBlock);
  }
  buffer->data()[0] = std::byte{1};
}

}  // namespace
}  // namespace onceflow::log
