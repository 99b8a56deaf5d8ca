// What a sink's group remembers: the metadata, and what is made of it where the database holds no
// position.
#include "engine/sink_trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace onceflow::engine {
namespace {

using Beginning = protocol::Receipt::Beginning;

TopicPartition in(std::int32_t partition) { return {"in", PartitionIndex(partition)}; }

RecalledSink recalled(std::int64_t offset, std::string metadata) {
  const std::vector<client::CommittedOffset> offsets = {
      {.partition = in(0), .offset = Offset(offset), .metadata = std::move(metadata)}};
  return recall_sink({{.source = in(0)}, {.source = in(1)}}, offsets, "p");
}

TEST(SinkTraceTest, is_read_back) {
  EXPECT_EQ(sink_trace(SinkTraceKind::kBegan, "p"), "onceflow sink began pipeline=p");
  EXPECT_EQ(sink_trace(SinkTraceKind::kRead, "a b"), "onceflow sink read pipeline=a b");
  for (const SinkTraceKind kind : {SinkTraceKind::kBegan, SinkTraceKind::kRead}) {
    for (const std::string name : {"p", "a b", "pipeline=q"}) {
      EXPECT_EQ(parse_sink_trace(sink_trace(kind, name), name), kind);
      EXPECT_EQ(parse_sink_trace(sink_trace(kind, name), name + "2"), SinkTraceKind::kNone);
    }
  }
  EXPECT_EQ(parse_sink_trace("", "p"), SinkTraceKind::kNone);
  EXPECT_EQ(parse_sink_trace("onceflow topic=AAAA", "p"), SinkTraceKind::kNone);
}

TEST(SinkTraceTest, a_beginning_that_was_decided_is_gone_back_to) {
  const RecalledSink found = recalled(5, sink_trace(SinkTraceKind::kBegan, "p"));
  EXPECT_EQ(found.lost, "");
  ASSERT_EQ(found.positions.size(), 2u);
  EXPECT_EQ(found.positions[0].receipt_offset, Offset(5));
  EXPECT_EQ(found.positions[0].receipt_beginning, Beginning::kLatest);
  EXPECT_EQ(found.positions[1].receipt_offset, kNoOffset);
}

TEST(SinkTraceTest, what_was_read_is_named) {
  const RecalledSink found = recalled(7, sink_trace(SinkTraceKind::kRead, "p"));
  EXPECT_EQ(found.lost, "in-0 up to offset 7");
  EXPECT_EQ(found.lost_sources, std::vector{in(0)});
  EXPECT_EQ(found.positions[0].receipt_offset, kNoOffset);
}

TEST(SinkTraceTest, of_another_pipeline_or_consumer_it_says_nothing) {
  for (const std::string& metadata :
       {sink_trace(SinkTraceKind::kRead, "q"), sink_trace(SinkTraceKind::kBegan, "q"),
        std::string(), std::string("theirs")}) {
    const RecalledSink found = recalled(7, metadata);
    EXPECT_EQ(found.lost, "") << metadata;
    EXPECT_EQ(found.positions[0].receipt_offset, kNoOffset) << metadata;
  }
  EXPECT_EQ(recalled(-1, sink_trace(SinkTraceKind::kRead, "p")).lost, "");
}

TEST(SinkTraceTest, positions_before_their_traces_went_back_unless_an_operator_has_said_so) {
  using connectors::ClaimedPartition;
  const std::vector<ClaimedPartition> claimed = {
      {.source = in(0), .next_offset = Offset(5)},
      {.source = in(1), .next_offset = Offset(7)},
      {.source = in(2), .next_offset = Offset(5), .takes_any_rows = true},
      {.source = in(3), .next_offset = Offset(5)},
      {.source = in(4)},
      {.source = in(5), .next_offset = Offset(5), .receipt_offset = Offset(7)},
      {.source = in(6), .next_offset = Offset(5)}};
  std::vector<client::CommittedOffset> offsets;
  for (int partition = 0; partition < 6; ++partition) {
    offsets.push_back({.partition = in(partition),
                       .offset = Offset(7),
                       .metadata = sink_trace(SinkTraceKind::kRead, partition == 3 ? "q" : "p")});
  }
  const auto behind = behind_their_traces(claimed, offsets, "p");
  ASSERT_EQ(behind.size(), 1u);
  EXPECT_EQ(behind[0].source, in(0));
  const auto accepted = accepted_traces(claimed, "p");
  ASSERT_EQ(accepted.size(), 1u);
  EXPECT_EQ(accepted[0].partition, in(2));
  EXPECT_EQ(accepted[0].offset, Offset(5));
  EXPECT_EQ(parse_sink_trace(accepted[0].metadata, "p"), SinkTraceKind::kRead);
}

}  // namespace
}  // namespace onceflow::engine
