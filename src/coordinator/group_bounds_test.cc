// How much clients may put into groups (docs/operations.md, "What clients may put into the log").
#include <gtest/gtest.h>

#include "coordinator/group_testing.h"

namespace onceflow::coordinator {
namespace {

constexpr std::size_t kMemberBytes = 1000;
constexpr std::size_t kGroupBytes = 2500;
constexpr std::size_t kAllGroupsBytes = 4000;

class GroupBounds : public GroupFixture {
 protected:
  GroupBounds()
      : GroupFixture({.initial_rebalance_delay = {},
                      .id_bytes_max = 40,
                      .member_bytes_max = kMemberBytes,
                      .group_bytes_max = kGroupBytes,
                      .membership_bytes_max = kAllGroupsBytes,
                      .offset_bytes_max = 2 * (kOffsetBytes + 10)}) {}

  static JoinGroupRequest with_metadata(std::size_t bytes, std::string group = std::string(kGroup),
                                        std::string member_id = {}) {
    JoinGroupRequest made = request(std::move(member_id));
    made.group_id = std::move(group);
    made.api_version = 3;  // enters at once
    made.protocols = {{"p", Buffer(bytes)}};
    return made;
  }
  std::size_t membership_bytes() { return broker.live->groups().usage().membership_bytes; }
  std::size_t offset_bytes() { return broker.live->groups().usage().offset_bytes; }
};

TEST_F(GroupBounds, ids_have_one_each) {
  const std::string long_id(41, 'i');
  EXPECT_EQ(join_error(with_metadata(1, long_id)), ErrorCode::kInvalidGroupId);
  JoinGroupRequest made = with_metadata(1);
  made.client_id = long_id;
  EXPECT_EQ(join_error(made), ErrorCode::kInvalidRequest);
  made = with_metadata(1);
  made.instance_id = long_id;
  EXPECT_EQ(join_error(made), ErrorCode::kInvalidRequest);
  made = with_metadata(1);
  made.protocol_type = long_id;
  EXPECT_EQ(join_error(made), ErrorCode::kInvalidRequest);
  EXPECT_EQ(broker.live->groups().usage().group_count, 0u);
  EXPECT_EQ(join_error(with_metadata(1, std::string(40, 'i'))), ErrorCode::kNone);
}

TEST_F(GroupBounds, a_member_has_one_for_all_its_protocols) {
  EXPECT_EQ(join_error(with_metadata(kMemberBytes)), ErrorCode::kInvalidRequest);
  JoinGroupRequest two = with_metadata(kMemberBytes / 2);
  two.protocols.push_back({"q", Buffer(kMemberBytes / 2)});
  EXPECT_EQ(join_error(two), ErrorCode::kInvalidRequest);
  EXPECT_EQ(broker.live->groups().usage().group_count, 0u);
  EXPECT_EQ(join_error(with_metadata(kMemberBytes - 1)), ErrorCode::kNone);
}

TEST_F(GroupBounds, a_group_has_one_and_its_members_may_come_again_at_it) {
  const JoinGroupReply first = joined(broker.join(with_metadata(999)));
  const Ticket second = broker.join(with_metadata(999));
  EXPECT_EQ(join_error(with_metadata(999)), ErrorCode::kGroupMaxSizeReached);
  EXPECT_LE(membership_bytes(), kGroupBytes);
  // As much as before, or less, is no addition.
  EXPECT_EQ(join_error(with_metadata(999, std::string(kGroup), first.member_id)), ErrorCode::kNone);
  EXPECT_EQ(joined(second).error, ErrorCode::kNone);
}

TEST_F(GroupBounds, all_groups_together_have_one) {
  for (const char* const group : {"a", "b", "c"}) {
    EXPECT_EQ(join_error(with_metadata(999, group)), ErrorCode::kNone);
  }
  EXPECT_EQ(join_error(with_metadata(999, "d")), ErrorCode::kGroupMaxSizeReached);
  EXPECT_EQ(broker.live->groups().usage().group_count, 3u);
  EXPECT_LE(membership_bytes(), kAllGroupsBytes);
}

TEST_F(GroupBounds, what_is_gone_counts_no_more) {
  const JoinGroupReply first = joined(broker.join(with_metadata(999)));
  EXPECT_GE(membership_bytes(), 999u);
  broker.leave(kGroup, {{first.member_id, std::nullopt}});
  EXPECT_EQ(membership_bytes(), 0u);
  broker.join(with_metadata(999));
  broker.restart(TestBroker::From::kRecords);
  EXPECT_EQ(membership_bytes(), broker.live->groups().membership_bytes_of(kGroup));
  broker.advance(kSession);
  EXPECT_EQ(membership_bytes(), 0u);
}

TEST_F(GroupBounds, an_id_that_was_given_out_counts_until_it_comes_or_its_session_ends) {
  std::vector<std::string> ids;
  for (int number = 0; number < 100; ++number) {
    const Ticket ticket = broker.join(request());
    if (joined(ticket).error != ErrorCode::kMemberIdRequired) {
      EXPECT_EQ(joined(ticket).error, ErrorCode::kGroupMaxSizeReached);
      break;
    }
    ids.push_back(joined(ticket).member_id);
    EXPECT_GE(membership_bytes(), ids.size() * 100);
  }
  EXPECT_LT(ids.size(), 30u);
  EXPECT_LE(membership_bytes(), kGroupBytes);
  const std::size_t before = membership_bytes();
  EXPECT_EQ(join_error(request(ids.front())), ErrorCode::kNone);
  EXPECT_LT(membership_bytes(), before) << "as a member it has its own bytes";
  broker.advance(kSession);
  EXPECT_LT(membership_bytes(), 100u);
}

TEST_F(GroupBounds, ids_that_nobody_has_come_back_with_keep_no_other_group_out) {
  const JoinGroupReply member = joined(broker.join(with_metadata(500, "real")));
  for (int number = 0; number < 100; ++number) {
    JoinGroupRequest made = request();
    made.group_id = "g" + std::to_string(number);
    EXPECT_EQ(join_error(made), ErrorCode::kMemberIdRequired);
    EXPECT_LE(membership_bytes(), kAllGroupsBytes);
  }
  EXPECT_EQ(join_error(with_metadata(999, "another")), ErrorCode::kNone);
  EXPECT_EQ(
      broker.heartbeat(
          {.group_id = "real", .member_id = member.member_id, .generation = member.generation}),
      ErrorCode::kNone);
  EXPECT_GE(membership_bytes(), 1500u);
}

TEST(GroupTimeouts, those_that_come_at_one_moment_come_in_turns) {
  TestBroker broker({.groups = {.initial_rebalance_delay = {}}});
  for (int number = 0; number < 1200; ++number) {
    broker.live->groups().join_group({.group_id = "g" + std::to_string(number),
                                      .client_id = "client",
                                      .protocol_type = "consumer",
                                      .protocols = {{"p", Buffer(1)}},
                                      .session_timeout = kSession,
                                      .rebalance_timeout = kRebalance,
                                      .api_version = 3,
                                      .random_uuid = "uuid"},
                                     Ticket(static_cast<std::uint64_t>(number) + 1),
                                     broker.moment(), broker.effects);
  }
  broker.finish_step();
  broker.now += kSession;
  std::vector<std::size_t> bytes;
  do {
    bytes.push_back(broker.live->groups().usage().membership_bytes);
    broker.live->on_time(broker.moment(), broker.effects);
    broker.finish_step();
  } while (broker.live->groups().usage().membership_bytes < bytes.back());
  ASSERT_EQ(bytes.size(), 4u) << "500, 500, 200, and none";
  EXPECT_EQ(bytes.back(), 0u);
}

TEST_F(GroupBounds, an_assignment_has_one_and_may_take_the_place_of_another) {
  const JoinGroupReply member = joined(broker.join(with_metadata(10)));
  SyncGroupRequest assigns{.member = key(member),
                           .protocol_type = {},
                           .protocol_name = {},
                           .assignments = {{member.member_id, Buffer(kMemberBytes + 1)}}};
  EXPECT_EQ(sync_error(assigns), ErrorCode::kInvalidRequest);
  EXPECT_EQ(state(), "CompletingRebalance");
  assigns.assignments = {{member.member_id, Buffer(kMemberBytes)},
                         {"a", Buffer(kMemberBytes)},
                         {"b", Buffer(kMemberBytes)}};
  EXPECT_EQ(sync_error(assigns), ErrorCode::kInvalidRequest) << "three, in the sum";
  assigns.assignments.resize(1);
  EXPECT_EQ(sync_error(assigns), ErrorCode::kNone);
  EXPECT_EQ(state(), "Stable");
}

TEST_F(GroupBounds, offsets_have_one_and_those_that_are_there_still_move) {
  const auto error_of = [&](std::uint8_t topic_number, std::string metadata) {
    OffsetToCommit committed = offset(5, topic_number);
    committed.metadata = std::move(metadata);
    return broker.commit_offsets({.group_id = kGroup, .member_id = {}}, {committed})
        .partition_errors.front();
  };
  EXPECT_EQ(error_of(1, "0123456789"), ErrorCode::kNone);
  EXPECT_EQ(error_of(2, "0123456789"), ErrorCode::kNone);
  EXPECT_EQ(error_of(3, ""), ErrorCode::kInvalidCommitOffsetSize);
  EXPECT_EQ(error_of(1, "01234567890"), ErrorCode::kInvalidCommitOffsetSize);
  EXPECT_EQ(error_of(1, "9876543210"), ErrorCode::kNone);
  EXPECT_EQ(error_of(1, ""), ErrorCode::kNone);
  EXPECT_EQ(offset_bytes(), 2 * kOffsetBytes + 10);
  broker.delete_topic(topic(2));
  EXPECT_EQ(offset_bytes(), kOffsetBytes);
}

}  // namespace
}  // namespace onceflow::coordinator
