#include "client/aborted_filter.h"

#include <gtest/gtest.h>

#include "protocol/record_batch_builder.h"

namespace onceflow::client {
namespace {

Buffer data(std::int64_t producer, std::int64_t offset, bool is_transactional = true) {
  protocol::RecordBatchBuilder builder;
  builder.append({.value = as_bytes("v")});
  return builder.finish({.base_offset = Offset(offset),
                         .producer = {ProducerId(producer), ProducerEpoch(0)},
                         .base_sequence = Sequence(0),
                         .is_transactional = is_transactional});
}

Buffer marker(std::int64_t producer, std::int64_t offset, protocol::ControlRecordType type) {
  return protocol::encode_end_transaction_marker(
      {.type = type, .producer = {ProducerId(producer), ProducerEpoch(0)}}, Offset(offset), 0);
}

bool shows(AbortedFilter& filter, const Buffer& batch) {
  return filter.shows(protocol::RecordBatchView::parse(batch).value());
}

constexpr auto kAbort = protocol::ControlRecordType::kAbort;
constexpr auto kCommit = protocol::ControlRecordType::kCommit;

TEST(AbortedFilter, an_aborted_transaction_is_left_out_up_to_its_marker) {
  AbortedFilter filter({{ProducerId(1), Offset(0)}});
  EXPECT_FALSE(shows(filter, data(1, 0)));
  EXPECT_TRUE(shows(filter, data(2, 1)));
  EXPECT_FALSE(shows(filter, data(1, 2)));
  EXPECT_FALSE(shows(filter, marker(1, 3, kAbort)));
  EXPECT_TRUE(shows(filter, data(1, 4)));
  EXPECT_FALSE(shows(filter, marker(1, 5, kCommit)));
}

TEST(AbortedFilter, data_before_the_aborted_transaction_of_the_same_producer_is_shown) {
  AbortedFilter filter({{ProducerId(1), Offset(2)}, {ProducerId(1), Offset(6)}});
  EXPECT_TRUE(shows(filter, data(1, 0)));
  EXPECT_FALSE(shows(filter, marker(1, 1, kCommit)));
  EXPECT_FALSE(shows(filter, data(1, 2)));
  EXPECT_FALSE(shows(filter, marker(1, 3, kAbort)));
  EXPECT_TRUE(shows(filter, data(1, 4)));
  EXPECT_FALSE(shows(filter, marker(1, 5, kCommit)));
  EXPECT_FALSE(shows(filter, data(1, 6)));
}

TEST(AbortedFilter, a_fetch_in_the_middle_of_an_aborted_transaction_shows_none_of_it) {
  AbortedFilter filter({{ProducerId(1), Offset(0)}});
  EXPECT_FALSE(shows(filter, data(1, 50)));
}

TEST(AbortedFilter, a_batch_of_no_transaction_is_shown_whatever_its_producer_aborted) {
  AbortedFilter filter({{ProducerId(1), Offset(0)}});
  EXPECT_TRUE(shows(filter, data(1, 0, false)));
}

}  // namespace
}  // namespace onceflow::client
