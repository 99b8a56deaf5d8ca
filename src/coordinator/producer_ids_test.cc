#include "coordinator/producer_ids.h"

#include <gtest/gtest.h>

#include <limits>

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

// PRD-3.
class Strangers : public testing::Test {
 protected:
  static constexpr std::int64_t kFirst = 7 * ProducerIds::kIdsOfALog;
  static ProducerIdentity of(std::int64_t id, std::int16_t epoch = 0) {
    return {ProducerId(id), ProducerEpoch(epoch)};
  }
  ErrorCode admit(std::int64_t id, std::int16_t epoch, std::int32_t sequence) {
    return ids_.admit(of(id, epoch), Sequence(sequence));
  }

  ProducerIds ids_{ProducerId(kFirst)};
  Effects effects_;
};

TEST_F(Strangers, what_was_handed_out_is_no_stranger) {
  const ProducerId id = ids_.next(effects_);
  EXPECT_EQ(id.value, kFirst);
  EXPECT_EQ(admit(id.value, 0, 0), ErrorCode::kNone);
  EXPECT_EQ(admit(id.value, 3, 57), ErrorCode::kNone);  // its state may have expired
}

TEST_F(Strangers, any_other_id_is_refused_whatever_it_says_of_itself) {
  ids_.next(effects_);
  for (const std::int64_t id :
       {std::int64_t{0}, std::int64_t{5}, kFirst - 1, kFirst + 1, kFirst + ProducerIds::kBlockSize,
        kFirst + ProducerIds::kIdsOfALog, std::numeric_limits<std::int64_t>::max()}) {
    EXPECT_EQ(admit(id, 0, 0), ErrorCode::kUnknownProducerId) << id;
    EXPECT_EQ(admit(id, 0, 0), ErrorCode::kUnknownProducerId) << id;
    EXPECT_EQ(admit(id, 1, 57), ErrorCode::kUnknownProducerId) << id;
  }
}

TEST_F(Strangers, one_that_begins_anew_is_let_in_and_its_id_is_never_handed_out) {
  const std::int64_t soon = kFirst + 1;
  ids_.next(effects_);
  EXPECT_EQ(admit(soon, 4, 57), ErrorCode::kUnknownProducerId);
  EXPECT_EQ(admit(soon, 4, 0), ErrorCode::kUnknownProducerId);
  EXPECT_EQ(admit(soon, 5, 0), ErrorCode::kNone);
  EXPECT_EQ(admit(soon, 5, 1), ErrorCode::kNone);
  EXPECT_EQ(admit(soon, 4, 58), ErrorCode::kUnknownProducerId);
  EXPECT_EQ(ids_.next(effects_).value, soon + 1);
}

TEST_F(Strangers, one_that_has_written_stays_over_a_restart) {
  ids_.next(effects_);
  WireReader reader = record_body(effects_.entries.front().record);
  ProducerIds recovered{ProducerId(3 * ProducerIds::kIdsOfALog)};
  recovered.replay(reader);
  ASSERT_TRUE(reader.ok());
  const std::int64_t soon = kFirst + ProducerIds::kBlockSize;
  recovered.note_known(of(soon, 2));
  recovered.note_known(of(kFirst, 0));
  EXPECT_EQ(recovered.admit(of(soon, 2), Sequence(9)), ErrorCode::kNone);
  EXPECT_EQ(recovered.next(effects_).value, soon + 1);
}

TEST_F(Strangers, ids_of_an_older_version_go_on_from_where_they_were) {
  ProducerIds old;
  old.next(effects_);
  WireReader reader = record_body(effects_.entries.front().record);
  ids_.replay(reader);
  ASSERT_TRUE(reader.ok());
  EXPECT_EQ(ids_.next(effects_).value, ProducerIds::kBlockSize);
  EXPECT_EQ(admit(0, 0, 57), ErrorCode::kNone);
}

TEST_F(Strangers, a_log_without_ids_keeps_where_they_begin) {
  Buffer snapshot;
  WireWriter writer(snapshot);
  ids_.write_snapshot(writer);
  ProducerIds restored{ProducerId(3 * ProducerIds::kIdsOfALog)};
  WireReader reader(snapshot);
  restored.restore(reader);
  ASSERT_TRUE(reader.ok());
  EXPECT_EQ(restored.next(effects_).value, kFirst);
}

TEST_F(Strangers, they_are_not_remembered_without_end) {
  for (std::size_t count = 0; count <= ProducerIds::kRefusedMax; ++count) {
    admit(static_cast<std::int64_t>(count), 0, 0);
  }
  EXPECT_EQ(admit(0, 1, 0), ErrorCode::kUnknownProducerId);  // forgotten, so refused again
  for (std::size_t count = 2; count <= ProducerIds::kStrangersMax + 2; ++count) {
    const auto id = static_cast<std::int64_t>(count);
    admit(id, 0, 0);
    EXPECT_EQ(admit(id, 1, 0), count < ProducerIds::kStrangersMax + 2
                                   ? ErrorCode::kNone
                                   : ErrorCode::kUnknownProducerId)
        << count;
  }
}

}  // namespace
}  // namespace onceflow::coordinator
