#include "coordinator/producer_ids.h"

#include <gtest/gtest.h>

#include "coordinator/records.h"

namespace onceflow::coordinator {
namespace {

TEST(ProducerIds, a_block_is_journalled_before_its_first_id_is_handed_out) {
  ProducerIds ids;
  Effects effects;
  EXPECT_EQ(ids.next(effects), ProducerId(0));
  ASSERT_EQ(effects.entries.size(), 1U);
  for (std::int64_t id = 1; id < ProducerIds::kBlockSize; ++id) {
    EXPECT_EQ(ids.next(effects), ProducerId(id));
  }
  EXPECT_EQ(effects.entries.size(), 1U);
  EXPECT_EQ(ids.next(effects), ProducerId(ProducerIds::kBlockSize));
  EXPECT_EQ(effects.entries.size(), 2U);
}

TEST(ProducerIds, no_id_is_handed_out_twice_over_a_crash) {
  ProducerIds ids;
  Effects effects;
  ids.next(effects);
  const ProducerId last = ids.next(effects);

  ProducerIds recovered;
  WireReader reader = record_body(effects.entries.front().record);
  recovered.replay(reader);
  ASSERT_TRUE(reader.ok());
  effects.clear();
  EXPECT_GT(recovered.next(effects), last);
  EXPECT_EQ(effects.entries.size(), 1U);
}

TEST(ProducerIds, a_block_that_goes_back_is_refused) {
  ProducerIds ids;
  Effects effects;
  for (std::int64_t id = 0; id <= ProducerIds::kBlockSize; ++id) {
    ids.next(effects);
  }
  WireReader first_block = record_body(effects.entries.front().record);
  ids.replay(first_block);
  EXPECT_FALSE(first_block.ok());
}

}  // namespace
}  // namespace onceflow::coordinator
