// What Kafka's clients see of a consumer group of the classic protocol. Every step of every test is
// replayed from its records and compared (coordinator_testing.h).
#include "coordinator/group_coordinator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/group_testing.h"

namespace onceflow::coordinator {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class Groups : public GroupFixture {
 protected:
  using GroupFixture::GroupFixture;
};

// --- JoinGroup (5.1) ---

TEST_F(Groups, join_refuses_bad_group_ids_sessions_and_protocols) {
  JoinGroupRequest bad = request();
  bad.group_id.clear();
  EXPECT_EQ(join_error(bad), ErrorCode::kInvalidGroupId);
  bad = request();
  bad.session_timeout = seconds(6) - milliseconds(1);
  EXPECT_EQ(join_error(bad), ErrorCode::kInvalidSessionTimeout);
  bad.session_timeout = std::chrono::minutes(30) + milliseconds(1);
  EXPECT_EQ(join_error(bad), ErrorCode::kInvalidSessionTimeout);
  bad = request();
  bad.protocol_type.clear();
  EXPECT_EQ(join_error(bad), ErrorCode::kInconsistentGroupProtocol);
  EXPECT_EQ(join_error(with_protocols(request(), {})), ErrorCode::kInconsistentGroupProtocol);
  EXPECT_EQ(join_error(request("made up")), ErrorCode::kUnknownMemberId);
  EXPECT_THAT(broker.live->groups().list(), IsEmpty());
}

TEST_F(Groups, join_v4_is_told_its_member_id_first) {
  const JoinGroupReply& first = joined(broker.join(request()));
  EXPECT_EQ(first.error, ErrorCode::kMemberIdRequired);
  EXPECT_EQ(first.member_id, "client-uuid1");
  const JoinGroupReply& second = joined(broker.join(request(first.member_id)));
  EXPECT_EQ(second.error, ErrorCode::kNone);
  EXPECT_EQ(second.generation, GenerationId(1));
}

TEST_F(Groups, join_before_v4_enters_directly) {
  JoinGroupRequest old = request();
  old.api_version = 3;
  const JoinGroupReply& reply = joined(broker.join(old));
  EXPECT_EQ(reply.error, ErrorCode::kNone);
  EXPECT_EQ(reply.leader, reply.member_id);
}

TEST_F(Groups, a_member_that_never_comes_back_with_its_id_leaves_nothing) {
  member_id();
  broker.advance(kSession);
  EXPECT_THAT(broker.live->groups().list(), IsEmpty());
  EXPECT_FALSE(broker.live->next_deadline().has_value());
}

TEST_F(Groups, the_first_member_leads_and_alone_learns_of_the_others) {
  const auto [leader, follower] = stable_pair();
  EXPECT_EQ(leader.generation, GenerationId(2));
  EXPECT_EQ(follower.generation, GenerationId(2));
  EXPECT_EQ(leader.leader, leader.member_id);
  EXPECT_EQ(follower.leader, leader.member_id);
  ASSERT_EQ(leader.members.size(), 2U);
  EXPECT_EQ(leader.members[1].member_id, follower.member_id);
  EXPECT_EQ(text(leader.members[1].metadata), "topics");
  EXPECT_THAT(follower.members, IsEmpty());
  EXPECT_EQ(follower.protocol_name, "range");
  EXPECT_EQ(follower.protocol_type, "consumer");
}

TEST_F(Groups, a_join_waits_until_every_member_has_joined) {
  const JoinGroupReply first = stable_member();
  const Ticket second = broker.join(request(member_id()));
  EXPECT_FALSE(broker.is_join_answered(second));
  EXPECT_EQ(state(), "PreparingRebalance");
  const Ticket again = broker.join(request(first.member_id));
  EXPECT_TRUE(broker.is_join_answered(second));
  EXPECT_TRUE(broker.is_join_answered(again));
  EXPECT_EQ(state(), "CompletingRebalance");
}

TEST_F(Groups, who_does_not_rejoin_in_time_is_out) {
  const JoinGroupReply first = stable_member();
  const std::string second_id = member_id();
  const Ticket second = broker.join(request(second_id));
  // The first member stays alive, but does not join.
  for (int beat = 0; beat < 5; ++beat) {
    broker.advance(seconds(5));
    EXPECT_EQ(broker.heartbeat(key(first)), ErrorCode::kRebalanceInProgress);
  }
  broker.advance(seconds(5));
  ASSERT_TRUE(broker.is_join_answered(second));
  EXPECT_EQ(joined(second).leader, second_id);
  EXPECT_EQ(joined(second).members.size(), 1U);
  EXPECT_EQ(broker.heartbeat(key(first)), ErrorCode::kUnknownMemberId);
}

TEST_F(Groups, a_follower_that_rejoins_unchanged_gets_the_current_generation) {
  const auto [leader, follower] = stable_pair();
  const Ticket again = broker.join(request(follower.member_id));
  ASSERT_TRUE(broker.is_join_answered(again));
  EXPECT_EQ(joined(again).generation, follower.generation);
  EXPECT_EQ(state(), "Stable");
}

TEST_F(Groups, a_leader_that_rejoins_and_a_changed_subscription_rebalance) {
  auto [leader, follower] = stable_pair();
  EXPECT_FALSE(broker.is_join_answered(broker.join(request(leader.member_id))));
  EXPECT_EQ(state(), "PreparingRebalance");
  const Ticket back = broker.join(request(follower.member_id));
  ASSERT_EQ(joined(back).generation, GenerationId(3));
  EXPECT_EQ(broker.heartbeat(key(follower)), ErrorCode::kIllegalGeneration);

  JoinGroupRequest changed = request(follower.member_id);
  changed.protocols[0].metadata = to_buffer("other topics");
  EXPECT_FALSE(broker.is_join_answered(broker.join(changed)));
  EXPECT_EQ(state(), "PreparingRebalance");
}

TEST_F(Groups, an_unchanged_join_while_the_leader_assigns_gets_the_current_generation) {
  const JoinGroupReply first = joined(broker.join(request(member_id())));
  ASSERT_EQ(state(), "CompletingRebalance");
  const Ticket again = broker.join(request(first.member_id));
  ASSERT_TRUE(broker.is_join_answered(again));
  EXPECT_EQ(joined(again).generation, first.generation);
  EXPECT_EQ(joined(again).members.size(), 1U);
}

TEST_F(Groups, a_repeated_join_takes_the_place_of_the_parked_one) {
  const JoinGroupReply first = stable_member();
  const std::string second_id = member_id();
  const Ticket lost = broker.join(request(second_id));
  const Ticket repeated = broker.join(request(second_id));
  EXPECT_EQ(joined(lost).error, ErrorCode::kRebalanceInProgress);
  EXPECT_FALSE(broker.is_join_answered(repeated));
  broker.join(request(first.member_id));
  EXPECT_EQ(joined(repeated).error, ErrorCode::kNone);
}

TEST_F(Groups, the_protocol_is_one_that_all_support_and_most_prefer) {
  const auto id = [&] { return member_id(); };
  const std::string a = id();
  const Ticket first = broker.join(with_protocols(request(a), {"range", "roundrobin", "sticky"}));
  EXPECT_EQ(joined(first).protocol_name, "range");
  const std::string b = id();
  broker.join(with_protocols(request(b), {"roundrobin", "range"}));
  const std::string c = id();
  broker.join(with_protocols(request(c), {"sticky", "roundrobin", "range"}));
  const Ticket again = broker.join(with_protocols(request(a), {"range", "roundrobin", "sticky"}));
  // Votes: range 1, roundrobin 2 (sticky is not common).
  ASSERT_TRUE(broker.is_join_answered(again));
  EXPECT_EQ(joined(again).protocol_name, "roundrobin");
}

TEST_F(Groups, without_a_common_protocol_the_newcomer_is_refused) {
  stable_member();
  EXPECT_EQ(join_error(with_protocols(request(), {"sticky"})),
            ErrorCode::kInconsistentGroupProtocol);
  JoinGroupRequest connect = request();
  connect.protocol_type = "connect";
  EXPECT_EQ(join_error(connect), ErrorCode::kInconsistentGroupProtocol);
  EXPECT_EQ(state(), "Stable");
}

TEST_F(Groups, the_only_member_may_change_its_protocol) {
  const JoinGroupReply first = stable_member();
  const Ticket again = broker.join(with_protocols(request(first.member_id), {"sticky"}));
  EXPECT_EQ(joined(again).protocol_name, "sticky");
}

TEST_F(Groups, the_number_of_members_has_a_limit) {
  TestBroker small({.groups = {.initial_rebalance_delay = {}, .group_size_max = 1}});
  const Ticket first = small.join(request());
  EXPECT_EQ(small.joins.at(first).error, ErrorCode::kMemberIdRequired);
  EXPECT_EQ(small.joins.at(small.join(request(small.joins.at(first).member_id))).error,
            ErrorCode::kNone);
  EXPECT_EQ(small.joins.at(small.join(request())).error, ErrorCode::kGroupMaxSizeReached);
}

TEST_F(Groups, who_asks_for_ids_without_end_keeps_no_member_out) {
  TestBroker small({.groups = {.initial_rebalance_delay = {}, .group_size_max = 10}});
  const auto ask = [&](std::uint64_t connection) {
    JoinGroupRequest made = request();
    made.connection = ConnectionNumber(connection);
    return small.joins.at(small.join(std::move(made)));
  };
  for (int count = 0; count < 100; ++count) {
    EXPECT_EQ(ask(1).error, ErrorCode::kMemberIdRequired);
  }
  const JoinGroupReply honest = ask(2);
  EXPECT_EQ(honest.error, ErrorCode::kMemberIdRequired);
  for (int count = 0; count < 100; ++count) {
    EXPECT_EQ(ask(1).error, ErrorCode::kMemberIdRequired);
    EXPECT_EQ(ask(3).error, ErrorCode::kMemberIdRequired);
  }
  // The others are waited for, as by Kafka; then they have lost their places.
  const Ticket joining = small.join(request(honest.member_id));
  small.advance(kRebalance);
  EXPECT_EQ(small.joins.at(joining).error, ErrorCode::kNone);
}

class GroupsWithDelay : public Groups {
 protected:
  GroupsWithDelay() : Groups(GroupOptions{}) {}
};

TEST_F(GroupsWithDelay, the_first_rebalance_waits_for_more_members_and_longer_when_some_come) {
  const Ticket first = broker.join(request(member_id()));
  broker.advance(seconds(2));
  EXPECT_FALSE(broker.is_join_answered(first));
  const Ticket second = broker.join(request(member_id()));
  broker.advance(seconds(3));
  EXPECT_FALSE(broker.is_join_answered(first));
  broker.advance(seconds(1));
  EXPECT_TRUE(broker.is_join_answered(first));
  EXPECT_TRUE(broker.is_join_answered(second));
  EXPECT_EQ(joined(first).generation, GenerationId(1));
  EXPECT_EQ(joined(first).members.size(), 2U);
}

TEST_F(GroupsWithDelay, the_first_rebalance_never_waits_longer_than_the_rebalance_timeout) {
  const Ticket first = broker.join(request(member_id()));
  for (int second = 0; second < 30; ++second) {
    EXPECT_FALSE(broker.is_join_answered(first));
    broker.join(request(member_id()));
    broker.advance(seconds(1));
  }
  EXPECT_TRUE(broker.is_join_answered(first));
}

TEST_F(GroupsWithDelay, later_rebalances_do_not_wait) {
  const Ticket first = broker.join(request(member_id()));
  broker.advance(seconds(3));
  broker.sync(sync_request(joined(first)));
  const Ticket again = broker.join(request(joined(first).member_id));
  EXPECT_TRUE(broker.is_join_answered(again));
}

// --- SyncGroup ---

TEST_F(Groups, sync_waits_for_the_leader_and_hands_out_its_assignment) {
  const JoinGroupReply first = stable_member();
  const Ticket second_join = broker.join(request(member_id()));
  const JoinGroupReply leader = joined(broker.join(request(first.member_id)));
  const Ticket follower = broker.sync(sync_request(joined(second_join)));
  EXPECT_FALSE(broker.is_sync_answered(follower));
  const Ticket led = broker.sync(sync_request(leader));
  EXPECT_EQ(text(broker.syncs.at(follower).assignment), "for " + joined(second_join).member_id);
  EXPECT_EQ(text(broker.syncs.at(led).assignment), "for " + leader.member_id);
  EXPECT_EQ(broker.syncs.at(led).protocol_name, "range");
  // A repetition in Stable is answered again.
  EXPECT_EQ(text(broker.syncs.at(broker.sync(sync_request(joined(second_join)))).assignment),
            "for " + joined(second_join).member_id);
}

TEST_F(Groups, sync_checks_member_generation_protocol_and_state) {
  const JoinGroupReply member = stable_member();
  SyncGroupRequest made = sync_request(member);
  made.member.group_id = "unknown";
  EXPECT_EQ(sync_error(made), ErrorCode::kUnknownMemberId);
  made.member.group_id = "";
  EXPECT_EQ(sync_error(made), ErrorCode::kInvalidGroupId);
  made = sync_request(member);
  made.member.member_id = "unknown";
  EXPECT_EQ(sync_error(made), ErrorCode::kUnknownMemberId);
  made = sync_request(member);
  made.member.generation = GenerationId(9);
  EXPECT_EQ(sync_error(made), ErrorCode::kIllegalGeneration);
  made = sync_request(member);
  made.protocol_type = "connect";
  EXPECT_EQ(sync_error(made), ErrorCode::kInconsistentGroupProtocol);
  made.protocol_type = "consumer";
  made.protocol_name = "sticky";
  EXPECT_EQ(sync_error(made), ErrorCode::kInconsistentGroupProtocol);
  broker.join(request(member_id()));
  EXPECT_EQ(sync_error(sync_request(member)), ErrorCode::kRebalanceInProgress);
}

TEST_F(Groups, a_rebalance_answers_the_parked_syncs) {
  const auto [leader, follower] = stable_pair();
  broker.join(request(leader.member_id));
  const Ticket back = broker.join(request(follower.member_id));
  const Ticket parked = broker.sync(sync_request(joined(back)));
  EXPECT_FALSE(broker.is_sync_answered(parked));
  broker.join(request(member_id()));
  EXPECT_EQ(broker.syncs.at(parked).error, ErrorCode::kRebalanceInProgress);
}

TEST_F(Groups, who_does_not_sync_within_the_rebalance_timeout_is_out) {
  const auto [leader, follower] = stable_pair();
  const Ticket leader_join = broker.join(request(leader.member_id));
  broker.join(request(follower.member_id));
  broker.sync(sync_request(joined(leader_join)));
  ASSERT_EQ(state(), "Stable");
  GroupMemberKey lazy = key(follower);
  lazy.generation = joined(leader_join).generation;
  GroupMemberKey busy = key(joined(leader_join));
  for (int beat = 0; beat < 6; ++beat) {
    EXPECT_EQ(broker.heartbeat(lazy), ErrorCode::kNone);
    EXPECT_EQ(broker.heartbeat(busy), ErrorCode::kNone);
    broker.advance(seconds(5));
  }
  EXPECT_EQ(broker.heartbeat(lazy), ErrorCode::kUnknownMemberId);
  EXPECT_EQ(broker.heartbeat(busy), ErrorCode::kRebalanceInProgress);
}

// --- Heartbeat, sessions, LeaveGroup ---

TEST_F(Groups, heartbeat_tells_of_rebalances_generations_and_strangers) {
  const JoinGroupReply first = joined(broker.join(request(member_id())));
  EXPECT_EQ(state(), "CompletingRebalance");
  EXPECT_EQ(broker.heartbeat(key(first)), ErrorCode::kNone);
  broker.sync(sync_request(first));
  EXPECT_EQ(broker.heartbeat(key(first)), ErrorCode::kNone);
  GroupMemberKey wrong = key(first);
  wrong.generation = GenerationId(7);
  EXPECT_EQ(broker.heartbeat(wrong), ErrorCode::kIllegalGeneration);
  wrong = key(first);
  wrong.member_id = "stranger";
  EXPECT_EQ(broker.heartbeat(wrong), ErrorCode::kUnknownMemberId);
  wrong.group_id = "unknown";
  EXPECT_EQ(broker.heartbeat(wrong), ErrorCode::kUnknownMemberId);
  broker.join(request(member_id()));
  EXPECT_EQ(broker.heartbeat(key(first)), ErrorCode::kRebalanceInProgress);
}

TEST_F(Groups, a_silent_member_expires_and_the_group_becomes_empty) {
  const JoinGroupReply first = stable_member();
  broker.advance(kSession - Duration(1));
  EXPECT_EQ(broker.heartbeat(key(first)), ErrorCode::kNone);
  broker.advance(kSession - Duration(1));
  EXPECT_EQ(state(), "Stable");
  broker.advance(Duration(1));
  EXPECT_EQ(state(), "Empty");
  EXPECT_EQ(broker.live->groups().describe(kGroup).generation, GenerationId(2));
  EXPECT_EQ(broker.heartbeat(key(first)), ErrorCode::kUnknownMemberId);
}

TEST_F(Groups, an_expired_member_makes_the_others_rebalance) {
  const auto [leader, follower] = stable_pair();
  broker.advance(seconds(6));
  EXPECT_EQ(broker.heartbeat(key(follower)), ErrorCode::kNone);
  broker.advance(seconds(4));
  EXPECT_EQ(broker.heartbeat(key(follower)), ErrorCode::kRebalanceInProgress);
  const Ticket again = broker.join(request(follower.member_id));
  EXPECT_EQ(joined(again).leader, follower.member_id);
}

TEST_F(Groups, leaving_rebalances_the_rest) {
  const auto [leader, follower] = stable_pair();
  EXPECT_THAT(broker.leave(kGroup, {{follower.member_id, std::nullopt}}),
              ElementsAre(ErrorCode::kNone));
  EXPECT_EQ(broker.heartbeat(key(leader)), ErrorCode::kRebalanceInProgress);
  EXPECT_EQ(broker.heartbeat(key(follower)), ErrorCode::kUnknownMemberId);
  EXPECT_EQ(joined(broker.join(request(leader.member_id))).members.size(), 1U);
}

TEST_F(Groups, leaving_answers_for_each_member) {
  broker.join(request("", "instance"));
  const std::string expected = member_id();
  EXPECT_THAT(broker.leave("unknown", {{"a", std::nullopt}, {"b", std::nullopt}}),
              ElementsAre(ErrorCode::kUnknownMemberId, ErrorCode::kUnknownMemberId));
  EXPECT_THAT(
      broker.leave(kGroup, {{"stranger", std::nullopt},
                            {expected, std::nullopt},
                            {"stranger", "instance"},
                            {"", "no such instance"},
                            {"", "instance"}}),
      ElementsAre(ErrorCode::kUnknownMemberId, ErrorCode::kNone, ErrorCode::kFencedInstanceId,
                  ErrorCode::kUnknownMemberId, ErrorCode::kNone));
  EXPECT_EQ(state(), "Empty");
}

TEST_F(Groups, a_member_that_is_removed_while_it_waits_is_told) {
  const JoinGroupReply first = stable_member();
  const std::string second_id = member_id();
  const Ticket parked = broker.join(request(second_id));
  broker.leave(kGroup, {{second_id, std::nullopt}});
  EXPECT_EQ(joined(parked).error, ErrorCode::kUnknownMemberId);
  EXPECT_TRUE(broker.is_join_answered(broker.join(request(first.member_id))));
}

// --- Static membership (5.2) ---

TEST_F(Groups, a_static_member_needs_no_second_round_to_join) {
  const JoinGroupReply& reply = joined(broker.join(request("", "instance")));
  EXPECT_EQ(reply.error, ErrorCode::kNone);
  EXPECT_EQ(reply.member_id, "instance-uuid1");
}

TEST_F(Groups, a_static_member_that_restarts_gets_its_assignment_without_a_rebalance) {
  const JoinGroupReply former = stable_member("instance");
  JoinGroupRequest again = request("", "instance");
  again.api_version = 9;
  const JoinGroupReply& present = joined(broker.join(again));
  EXPECT_EQ(present.error, ErrorCode::kNone);
  EXPECT_NE(present.member_id, former.member_id);
  EXPECT_EQ(present.generation, former.generation);
  EXPECT_EQ(present.leader, present.member_id);
  EXPECT_TRUE(present.skip_assignment);
  EXPECT_EQ(present.members.size(), 1U);
  EXPECT_EQ(state(), "Stable");
  SyncGroupRequest sync = sync_request(present);
  sync.member.instance_id = "instance";
  EXPECT_EQ(text(broker.syncs.at(broker.sync(sync)).assignment), "for " + former.member_id);
}

TEST_F(Groups, before_v9_a_restarted_static_leader_is_not_told_to_lead) {
  const JoinGroupReply former = stable_member("instance");
  const JoinGroupReply& present = joined(broker.join(request("", "instance")));
  EXPECT_EQ(present.leader, former.member_id);
  EXPECT_FALSE(present.skip_assignment);
  EXPECT_THAT(present.members, IsEmpty());
}

TEST_F(Groups, the_former_life_of_a_static_member_is_fenced_everywhere) {
  const JoinGroupReply former = stable_member("instance");
  broker.join(request("", "instance"));
  GroupMemberKey zombie = key(former);
  zombie.instance_id = "instance";
  EXPECT_EQ(join_error(request(former.member_id, "instance")), ErrorCode::kFencedInstanceId);
  EXPECT_EQ(sync_error({.member = zombie}), ErrorCode::kFencedInstanceId);
  EXPECT_EQ(broker.heartbeat(zombie), ErrorCode::kFencedInstanceId);
  EXPECT_EQ(broker.commit_offsets(zombie, {offset(1)}).error, ErrorCode::kFencedInstanceId);
  const ProducerIdentity producer = broker.init("t").producer;
  EXPECT_EQ(broker.txn_commit_offsets("t", producer, zombie, {offset(1)}).error,
            ErrorCode::kFencedInstanceId);
  EXPECT_THAT(broker.leave(kGroup, {{former.member_id, "instance"}}),
              ElementsAre(ErrorCode::kFencedInstanceId));
  for (const auto from : {TestBroker::From::kRecords, TestBroker::From::kSnapshot}) {
    broker.restart(from);
    EXPECT_EQ(broker.heartbeat(zombie), ErrorCode::kFencedInstanceId);
    EXPECT_EQ(broker.commit_offsets(zombie, {offset(1)}).error, ErrorCode::kFencedInstanceId);
  }
}

TEST_F(Groups, a_static_member_replaced_while_it_waits_is_told) {
  stable_member();
  const Ticket parked = broker.join(request("", "instance"));
  broker.join(request("", "instance"));
  EXPECT_EQ(joined(parked).error, ErrorCode::kFencedInstanceId);
}

TEST_F(Groups, a_static_member_is_removed_by_its_session_only) {
  const JoinGroupReply fixed = stable_member("instance");
  const Ticket second = broker.join(request(member_id()));
  // It does not rejoin, so the rebalance goes on without it, but it keeps its place.
  for (int beat = 0; beat < 6; ++beat) {
    GroupMemberKey alive = key(fixed);
    alive.instance_id = "instance";
    EXPECT_EQ(broker.heartbeat(alive), ErrorCode::kRebalanceInProgress);
    broker.advance(seconds(5));
  }
  ASSERT_TRUE(broker.is_join_answered(second));
  EXPECT_EQ(joined(second).leader, joined(second).member_id);
  EXPECT_EQ(joined(second).members.size(), 2U);
  broker.advance(seconds(5));
  EXPECT_EQ(broker.live->groups().describe(kGroup).members.size(), 1U);
}

TEST_F(Groups, a_changed_protocol_of_a_restarted_static_member_rebalances) {
  const Ticket first = broker.join(with_protocols(request("", "instance"), {"range", "sticky"}));
  broker.sync(sync_request(joined(first)));
  const Ticket again = broker.join(with_protocols(request("", "instance"), {"sticky"}));
  EXPECT_EQ(joined(again).generation, GenerationId(2));
  EXPECT_EQ(joined(again).protocol_name, "sticky");
  EXPECT_EQ(state(), "CompletingRebalance");
}

// --- Deletion ---

TEST_F(Groups, with_members_are_not_deleted) {
  stable_member();
  EXPECT_EQ(broker.delete_group(kGroup), ErrorCode::kNonEmptyGroup);
  EXPECT_EQ(broker.delete_group(""), ErrorCode::kGroupIdNotFound);
}

// --- Generations (GRP-1) and restarts ---

TEST_F(Groups, a_generation_is_not_repeated_after_the_group_was_deleted) {
  const auto [leader, follower] = stable_pair();
  broker.leave(kGroup, {{leader.member_id, std::nullopt}, {follower.member_id, std::nullopt}});
  ASSERT_EQ(broker.live->groups().describe(kGroup).generation, GenerationId(3));
  ASSERT_EQ(broker.delete_group(kGroup), ErrorCode::kNone);
  broker.restart(TestBroker::From::kSnapshot);
  EXPECT_EQ(stable_member().generation, GenerationId(4));
}

TEST_F(Groups, a_stable_group_needs_no_rebalance_after_a_restart) {
  const auto [leader, follower] = stable_pair();
  for (const auto from : {TestBroker::From::kRecords, TestBroker::From::kSnapshot}) {
    broker.restart(from, std::chrono::hours(1));
    EXPECT_EQ(state(), "Stable");
    EXPECT_EQ(broker.heartbeat(key(leader)), ErrorCode::kNone);
    EXPECT_EQ(broker.heartbeat(key(follower)), ErrorCode::kNone);
    EXPECT_EQ(broker.commit_offsets(key(follower), {offset(5)}).error, ErrorCode::kNone);
    EXPECT_EQ(text(broker.syncs.at(broker.sync(sync_request(follower))).assignment),
              "for " + follower.member_id);
  }
  broker.advance(kSession);
  EXPECT_EQ(state(), "Empty");
}

TEST_F(Groups, a_restart_between_join_and_sync_keeps_the_generation) {
  const JoinGroupReply member = joined(broker.join(request(member_id())));
  broker.restart(TestBroker::From::kRecords);
  EXPECT_EQ(state(), "CompletingRebalance");
  EXPECT_EQ(sync_error(sync_request(member)), ErrorCode::kNone);
  EXPECT_EQ(state(), "Stable");
}

TEST_F(Groups, a_restart_during_a_rebalance_goes_back_to_the_last_generation) {
  const JoinGroupReply member = stable_member();
  broker.join(request(member_id()));
  broker.restart(TestBroker::From::kRecords);
  EXPECT_EQ(state(), "Stable");
  EXPECT_EQ(broker.heartbeat(key(member)), ErrorCode::kNone);
}

TEST_F(Groups, offsets_never_expire_but_an_empty_group_without_them_does) {
  const JoinGroupReply member = stable_member();
  broker.commit_offsets({.group_id = "simple"}, {offset(5)});
  broker.leave(kGroup, {{member.member_id, std::nullopt}});
  broker.advance(std::chrono::minutes(10) - Duration(1));
  EXPECT_EQ(state(), "Empty");
  broker.advance(Duration(1));
  EXPECT_EQ(state(), "Dead");
  broker.advance(std::chrono::hours(24 * 365));
  EXPECT_EQ(broker.fetch("simple", partition(1)).offset, Offset(5));
}

TEST_F(Groups, are_described_and_listed) {
  const JoinGroupReply member = stable_member("instance");
  broker.commit_offsets({.group_id = "a simple one"}, {offset(5)});
  const GroupDescription described = broker.live->groups().describe(kGroup);
  EXPECT_EQ(described.state, "Stable");
  EXPECT_EQ(described.protocol_type, "consumer");
  EXPECT_EQ(described.protocol_name, "range");
  ASSERT_EQ(described.members.size(), 1U);
  EXPECT_EQ(described.members[0].member_id, member.member_id);
  EXPECT_EQ(described.members[0].instance_id, "instance");
  EXPECT_EQ(described.members[0].client_host, "/127.0.0.1");
  EXPECT_EQ(text(described.members[0].metadata), "topics");
  EXPECT_EQ(text(described.members[0].assignment), "for " + member.member_id);
  const auto listed = broker.live->groups().list();
  ASSERT_EQ(listed.size(), 2U);
  EXPECT_EQ(listed[0].group_id, "a simple one");
  EXPECT_EQ(listed[0].state, "Empty");
  EXPECT_EQ(listed[1].group_id, kGroup);
  EXPECT_EQ(broker.live->groups().describe("unknown").state, "Dead");
}

}  // namespace
}  // namespace onceflow::coordinator
