// Producing and reading allocate by the batch, never by the record: counted by replacing the global
// operator new, in a program of its own.
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

#include "client/client_testing.h"
#include "client/fetcher.h"
#include "client/producer.h"
#include "protocol/messages/01_fetch.h"

namespace {
std::size_t allocation_count = 0;
}

void* operator new(std::size_t size) {
  ++allocation_count;
  void* const memory = std::malloc(size);
  if (memory == nullptr) {
    std::abort();
  }
  return memory;
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace onceflow::client {
namespace {

constexpr int kRecordCount = 200'000;

class AllocationTest : public ClientTest {};

TEST_F(AllocationTest, appending_allocates_nothing_per_record) {
  Producer producer(cluster_, {.linger = seconds(10)});
  const PartitionSlot slot = producer.slot({"t", PartitionIndex(0)});
  const std::string value(100, 'x');
  const protocol::NewRecord one{
      .timestamp_ms = 1, .key = as_bytes("key"), .value = as_bytes(value)};
  const auto produce = [&] {
    for (int index = 0; index < kRecordCount; ++index) {
      good(producer.append(slot, one));
    }
  };
  produce();
  good(producer.flush(deadline()));
  // Everything is warm now; what is left is by the batch, of which some 90 are made here.
  const std::size_t before = allocation_count;
  produce();
  const std::size_t appending = allocation_count - before;
  good(producer.flush(deadline()));
  const std::size_t all = allocation_count - before;
  EXPECT_LT(appending, 2'000U);
  EXPECT_LT(all, static_cast<std::size_t>(kRecordCount) / 10);
  RecordProperty("allocations_appending", static_cast<int>(appending));
  RecordProperty("allocations_all", static_cast<int>(all));
}

TEST_F(AllocationTest, reading_allocates_nothing_per_record) {
  protocol::RecordBatchBuilder builder;
  for (int index = 0; index < kRecordCount; ++index) {
    builder.append({.timestamp_ms = 1, .key = as_bytes("key"), .value = as_bytes("value")});
  }
  const Buffer batch = builder.finish({});
  bool served = false;
  broker_.script<protocol::FetchRequest>([&](const protocol::FetchRequest&, std::int16_t) {
    protocol::FetchResponse response;
    auto& topic = response.responses.emplace_back();
    topic.topic = "t";
    auto& partition = topic.partitions.emplace_back();
    partition.high_watermark = partition.last_stable_offset = kRecordCount;
    if (!std::exchange(served, true)) {
      partition.records = ByteView(batch);
    }
    return response;
  });
  Fetcher fetcher(cluster_, {});
  fetcher.assign({{{"t", PartitionIndex(0)}, Offset(0)}});
  const auto polled = run(fetcher.poll(deadline()));
  ASSERT_TRUE(polled);
  ASSERT_EQ(polled->runs.size(), 1U);
  std::size_t bytes = 0;
  std::size_t count = 0;
  const std::size_t before = allocation_count;
  const Status read = polled->runs[0].for_each(
      [&](const protocol::RecordBatchHeader&, const protocol::RecordView& record) {
        bytes += record.key->size() + record.value->size();
        ++count;
      });
  EXPECT_EQ(allocation_count, before);
  good(read);
  EXPECT_EQ(count, static_cast<std::size_t>(kRecordCount));
  EXPECT_EQ(bytes, 8U * kRecordCount);
}

}  // namespace
}  // namespace onceflow::client
