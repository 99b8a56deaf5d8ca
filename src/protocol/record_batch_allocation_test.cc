// How often reading and building record batches allocate: never per record. This file replaces
// operator new of its whole test binary, to count.
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

#include "protocol/record_batch.h"
#include "protocol/record_batch_builder.h"

namespace {

std::size_t allocation_count = 0;

}  // namespace

void* operator new(std::size_t bytes) {
  ++allocation_count;
  if (void* place = std::malloc(bytes == 0 ? 1 : bytes)) {
    return place;
  }
  std::abort();
}
void operator delete(void* place) noexcept { std::free(place); }
void operator delete(void* place, std::size_t) noexcept { std::free(place); }

namespace onceflow::protocol {
namespace {

Buffer batch_of(int count) {
  RecordBatchBuilder builder;
  for (int index = 0; index < count; ++index) {
    builder.append({.timestamp_ms = index, .key = as_bytes("key"), .value = as_bytes("value")});
  }
  return builder.finish({});
}

TEST(RecordBatchAllocation, iterating_an_uncompressed_batch_allocates_nothing) {
  const Buffer bytes = batch_of(10000);
  const std::size_t before = allocation_count;
  std::size_t value_bytes = 0;
  std::size_t record_count = 0;
  RecordBatchReader batches(bytes);
  while (true) {
    const auto batch = batches.next();
    if (!batch || !*batch) {
      break;
    }
    const auto decoded = DecodedBatch::decode(**batch);
    RecordReader records = decoded->records();
    for (RecordView record; records.next(record); ++record_count) {
      value_bytes += record.value->size();
    }
  }
  EXPECT_EQ(allocation_count - before, 0U);
  EXPECT_EQ(record_count, 10000U);
  EXPECT_GT(value_bytes, 10000U);
}

TEST(RecordBatchAllocation, building_allocates_per_batch_not_per_record) {
  const std::size_t before = allocation_count;
  const Buffer bytes = batch_of(10000);
  EXPECT_LT(allocation_count - before, 30U);
}

}  // namespace
}  // namespace onceflow::protocol
