// Ids that an older version took although they are not UTF-8: kept, shown, and deleted.
#include "coordinator/records.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/utf8.h"
#include "coordinator/coordinator.h"

namespace onceflow::coordinator {
namespace {

std::string read_back(const std::string& text) {
  Buffer bytes;
  WireWriter(bytes).write_sized_string(text);
  WireReader reader(bytes);
  return read_client_text(reader);
}

TEST(ClientText, of_utf8_is_read_as_it_is) {
  for (const char* const text : {"", "group", "a\nb\x01", "gr\u00fc\u00df", "\\xff"}) {
    EXPECT_EQ(read_back(text), text);
  }
}

TEST(ClientText, that_is_not_utf8_is_read_as_it_is_shown) {
  EXPECT_EQ(read_back("g\xff\xfe"), "g\\xff\\xfe");
  EXPECT_EQ(read_back(read_back("g\xff")), "g\\xff");
}

TEST(ClientText, stays_within_the_protocol_whatever_it_is) {
  const std::string one = read_back(std::string(32'767, '\xff'));
  const std::string other = read_back(std::string(32'766, '\xff') + "\xfe");
  EXPECT_LT(one.size(), 32'767U);
  EXPECT_TRUE(is_utf8(one));
  EXPECT_NE(one, other);
}

// As an older version wrote them: made with names of the same lengths, in which a letter that is
// nowhere else then becomes a byte that is not UTF-8.
class OldIds : public testing::Test {
 protected:
  static constexpr const char* kShown = "g\\xff";

  OldIds() {
    const Moment moment{.monotonic = MonotonicTime{} + seconds(1), .wall = {1'000}};
    old_.groups().commit_offsets({.group_id = "gq"},
                                 std::vector<OffsetToCommit>{{
                                     .partition = {TopicId{{1}}, PartitionIndex(0)},
                                     .offset = Offset(5),
                                     .metadata = "q",
                                 }},
                                 8, moment, effects_);
    old_.transactions().init_producer_id(
        {.transactional_id = "tq", .transaction_timeout = seconds(5), .expected = {}},
        {.moment = moment, .connection = ConnectionNumber(1), .api_version = 4}, effects_);
  }
  static Buffer as_old(Buffer bytes) {
    std::ranges::replace(bytes, static_cast<std::byte>('q'), std::byte{0xff});
    return bytes;
  }
  void check(Coordinator& recovered) {
    const std::vector<GroupDescription> groups = recovered.groups().list();
    ASSERT_EQ(groups.size(), 1U);
    EXPECT_EQ(groups.front().group_id, kShown);
    const auto offsets = recovered.groups().fetch_all_offsets(kShown, RequireStable::kNo);
    ASSERT_EQ(offsets.size(), 1U);
    EXPECT_EQ(offsets.front().offset, Offset(5));
    EXPECT_EQ(offsets.front().metadata, "\\xff");
    EXPECT_TRUE(recovered.transactions().describe("t\\xff"));
    Effects effects;
    EXPECT_EQ(recovered.delete_group(kShown, effects), ErrorCode::kNone);
    EXPECT_TRUE(recovered.groups().list().empty());
  }

  Coordinator old_{CoordinatorOptions{}};
  Effects effects_;
};

TEST_F(OldIds, come_back_from_the_journal_by_a_name_that_can_be_said) {
  Coordinator recovered{CoordinatorOptions{}};
  for (const JournalEntry& entry : effects_.entries) {
    ASSERT_TRUE(recovered.replay(as_old(entry.record)));
  }
  check(recovered);
}

TEST_F(OldIds, come_back_from_a_checkpoint_by_a_name_that_can_be_said) {
  Coordinator recovered{CoordinatorOptions{}};
  ASSERT_TRUE(recovered.restore(as_old(old_.snapshot())));
  check(recovered);
}

}  // namespace
}  // namespace onceflow::coordinator
