// GroupFixture: one group and its clients, for the tests of groups and of their offsets.
#pragma once

#include <gtest/gtest.h>

#include "coordinator/coordinator_testing.h"

namespace onceflow::coordinator {

inline constexpr std::string_view kGroup = "g";
inline constexpr Duration kSession = seconds(10);
inline constexpr Duration kRebalance = seconds(30);

/// A group without the initial delay, unless a test asks for it.
class GroupFixture : public testing::Test {
 protected:
  explicit GroupFixture(GroupOptions options = {.initial_rebalance_delay = Duration::zero()})
      : broker({.groups = options}) {}

  static JoinGroupRequest request(std::string member_id = {},
                                  std::optional<std::string> instance_id = std::nullopt) {
    JoinGroupRequest made{.group_id = std::string(kGroup),
                          .member_id = std::move(member_id),
                          .instance_id = std::move(instance_id),
                          .client_id = "client",
                          .client_host = "/127.0.0.1",
                          .protocol_type = "consumer",
                          .session_timeout = kSession,
                          .rebalance_timeout = kRebalance,
                          .api_version = 5};
    made.protocols.push_back({"range", to_buffer("topics")});
    return made;
  }
  static JoinGroupRequest with_protocols(JoinGroupRequest made,
                                         const std::vector<std::string>& names) {
    made.protocols.clear();
    for (const std::string& name : names) {
      made.protocols.push_back({name, to_buffer("topics")});
    }
    return made;
  }
  static GroupMemberKey key(const JoinGroupReply& joined) {
    return {.group_id = kGroup, .member_id = joined.member_id, .generation = joined.generation};
  }
  static SyncGroupRequest sync_request(const JoinGroupReply& joined) {
    SyncGroupRequest made{.member = key(joined)};
    for (const JoinGroupReply::Member& member : joined.members) {
      made.assignments.push_back({member.member_id, to_buffer("for " + member.member_id)});
    }
    return made;
  }
  static OffsetToCommit offset(std::int64_t value, std::uint8_t topic_number = 1) {
    return {.partition = partition(topic_number),
            .offset = Offset(value),
            .leader_epoch = 3,
            .metadata = "m"};
  }

  /// The id that a v4+ member gets before it joins.
  std::string member_id() { return broker.joins.at(broker.join(request())).member_id; }
  const JoinGroupReply& joined(Ticket ticket) { return broker.joins.at(ticket); }
  ErrorCode join_error(JoinGroupRequest made) {
    const Ticket ticket = broker.join(std::move(made));
    return broker.is_join_answered(ticket) ? joined(ticket).error : ErrorCode::kNone;
  }
  ErrorCode sync_error(const SyncGroupRequest& made) {
    const Ticket ticket = broker.sync(made);
    return broker.is_sync_answered(ticket) ? broker.syncs.at(ticket).error : ErrorCode::kNone;
  }
  std::string state() { return broker.live->groups().describe(kGroup).state; }

  /// One member, Stable.
  JoinGroupReply stable_member(std::optional<std::string> instance_id = std::nullopt) {
    const JoinGroupReply reply =
        joined(broker.join(request(instance_id ? "" : member_id(), instance_id)));
    EXPECT_EQ(sync_error(sync_request(reply)), ErrorCode::kNone);
    EXPECT_EQ(state(), "Stable");
    return reply;
  }
  /// Joins a second member to a Stable group of `first`, and rebalances it to Stable.
  std::pair<JoinGroupReply, JoinGroupReply> stable_pair() {
    const JoinGroupReply first = stable_member();
    const std::string second_id = member_id();
    const Ticket second = broker.join(request(second_id));
    const Ticket again = broker.join(request(first.member_id));
    broker.sync(sync_request(joined(again)));
    broker.sync(sync_request(joined(second)));
    EXPECT_EQ(state(), "Stable");
    return {joined(again), joined(second)};
  }

  TestBroker broker;
};

}  // namespace onceflow::coordinator
