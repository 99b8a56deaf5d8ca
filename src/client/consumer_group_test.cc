#include "client/consumer_group.h"

#include "client/client_testing.h"
#include "client/range_assignor.h"
#include "protocol/messages/09_offset_fetch.h"
#include "protocol/messages/11_join_group.h"
#include "protocol/messages/12_heartbeat.h"
#include "protocol/messages/13_leave_group.h"
#include "protocol/messages/14_sync_group.h"
#include "protocol/messages/15_describe_groups.h"

namespace onceflow::client {
namespace {

using protocol::ApiKey;
using protocol::ErrorCode;
using testing::ElementsAre;
using Fate = FakeBroker::Fate;
using Kind = GroupEvent::Kind;

/// A coordinator of one member, which it makes the leader.
class ConsumerGroupTest : public ClientTest {
 public:
  ConsumerGroupTest() {
    broker_.script<protocol::JoinGroupRequest>([this](const protocol::JoinGroupRequest& request,
                                                      std::int16_t) {
      protocol::JoinGroupResponse response;
      if (!join_errors_.empty()) {
        response.error_code = join_errors_.front();
        join_errors_.pop_front();
      } else if (request.member_id.empty()) {
        response.error_code = ErrorCode::kMemberIdRequired;
      }
      response.member_id = request.member_id.empty() ? "member" : request.member_id;
      if (response.error_code == ErrorCode::kNone) {
        response.generation_id = ++generation_;
        response.leader = told_leader_.empty() ? response.member_id : told_leader_;
        response.protocol_type = "consumer";
        response.protocol_name = "range";
        response.skip_assignment = skips_assignment_;
        subscription_ = to_buffer(request.protocols.front().metadata);
        response.members.push_back({.member_id = response.member_id, .metadata = subscription_});
      }
      return response;
    });
    broker_.script<protocol::SyncGroupRequest>(
        [this](const protocol::SyncGroupRequest& request, std::int16_t) {
          protocol::SyncGroupResponse response;
          if (!request.assignments.empty()) {
            assignment_ = to_buffer(request.assignments.front().assignment);
          }
          response.assignment = assignment_;
          return response;
        });
    broker_.script<protocol::HeartbeatRequest>(
        [this](const protocol::HeartbeatRequest&, std::int16_t) {
          protocol::HeartbeatResponse response;
          response.error_code = heartbeat_error_;
          return response;
        });
    broker_.script<protocol::LeaveGroupRequest>(
        [](const protocol::LeaveGroupRequest&, std::int16_t) {
          return protocol::LeaveGroupResponse{};
        });
  }

  ConsumerGroup make(std::optional<std::string> group_instance_id = std::nullopt) {
    ConsumerGroup group(cluster_,
                        {.group_id = "g",
                         .group_instance_id = std::move(group_instance_id),
                         .session_timeout = seconds(10),
                         .heartbeat_interval = milliseconds(10)},
                        {"t"});
    group.start();
    return group;
  }
  GroupEvent next(ConsumerGroup& group) {
    auto event = run(group.next_event(deadline()));
    EXPECT_TRUE(event) << event.error().text;
    return event ? std::move(*event) : GroupEvent{};
  }

  std::int32_t generation_ = 0;
  bool skips_assignment_ = false;
  std::string told_leader_;  ///< instead of the member; empty: the member
  ErrorCode heartbeat_error_ = ErrorCode::kNone;
  std::deque<ErrorCode> join_errors_;
  Buffer subscription_;
  Buffer assignment_;
};

TEST_F(ConsumerGroupTest, a_member_gets_an_id_joins_and_is_assigned) {
  ConsumerGroup group = make();
  const GroupEvent event = next(group);
  EXPECT_EQ(event.kind, Kind::kAssigned);
  EXPECT_THAT(event.partitions, ElementsAre(TopicPartition{"t", PartitionIndex(0)}));
  EXPECT_EQ(event.metadata.generation, GenerationId(1));
  EXPECT_EQ(event.metadata.member_id, "member");
  EXPECT_EQ(broker_.seen_of(ApiKey::kJoinGroup).size(), 2);
}

TEST_F(ConsumerGroupTest, heartbeats_go_on_while_the_owner_is_busy_and_while_it_gives_up) {
  ConsumerGroup group = make();
  next(group);
  const auto has_heartbeats = [&] { return broker_.seen_of(ApiKey::kHeartbeat).size() >= 3; };
  EXPECT_TRUE(loop_.run_until(has_heartbeats, seconds(10)));
  heartbeat_error_ = ErrorCode::kRebalanceInProgress;
  const GroupEvent revoked = next(group);
  EXPECT_EQ(revoked.kind, Kind::kRevoked);
  EXPECT_EQ(revoked.metadata.generation, GenerationId(1));
  broker_.seen.clear();
  EXPECT_TRUE(loop_.run_until(has_heartbeats, seconds(10)));
  EXPECT_EQ(broker_.seen_of(ApiKey::kJoinGroup).size(), 0);
  EXPECT_FALSE(group.has_event());
  heartbeat_error_ = ErrorCode::kNone;
  group.give_up();
  const GroupEvent assigned = next(group);
  EXPECT_EQ(assigned.kind, Kind::kAssigned);
  EXPECT_EQ(assigned.metadata.generation, GenerationId(2));
}

TEST_F(ConsumerGroupTest, a_member_that_was_thrown_out_says_lost_and_joins_again) {
  for (const ErrorCode error : {ErrorCode::kUnknownMemberId, ErrorCode::kIllegalGeneration}) {
    heartbeat_error_ = ErrorCode::kNone;
    ConsumerGroup group = make();
    next(group);
    heartbeat_error_ = error;
    EXPECT_EQ(next(group).kind, Kind::kLost);
    heartbeat_error_ = ErrorCode::kNone;
    EXPECT_EQ(next(group).kind, Kind::kAssigned);
  }
}

TEST_F(ConsumerGroupTest, a_coordinator_that_restarts_costs_no_membership) {
  ConsumerGroup group = make();
  next(group);
  broker_.stop();
  loop_.run_for(milliseconds(300));
  broker_.start();
  broker_.seen.clear();
  EXPECT_TRUE(
      loop_.run_until([&] { return broker_.seen_of(ApiKey::kHeartbeat).size() > 2; }, seconds(10)));
  EXPECT_FALSE(group.has_event());
  EXPECT_EQ(group.metadata().generation, GenerationId(1));
}

TEST_F(ConsumerGroupTest, a_group_that_will_not_have_the_member_says_why_and_what_to_do) {
  const std::pair<ErrorCode, const char*> refusals[] = {
      {ErrorCode::kInvalidSessionTimeout, "set session.timeout.ms"},
      {ErrorCode::kGroupAuthorizationFailed, "grant READ on the group"},
      {ErrorCode::kInvalidGroupId, "set another"},
      {ErrorCode::kFencedInstanceId, "--worker"},
      {ErrorCode::kTopicAuthorizationFailed, "grant READ on them"}};
  for (const auto& [code, fix] : refusals) {
    join_errors_ = {code};
    ConsumerGroup group = make();
    bool told = false;
    group.on_event([&] { told = true; });
    EXPECT_TRUE(loop_.run_until([&] { return group.failure() != nullptr; }, seconds(10)));
    if (code != ErrorCode::kFencedInstanceId) {
      EXPECT_THAT(group.failure()->text, testing::HasSubstr(protocol::to_string(code)));
      EXPECT_THAT(group.failure()->text, testing::HasSubstr(fix));
    }
    EXPECT_TRUE(told);
  }
}

TEST_F(ConsumerGroupTest, a_group_that_others_hold_is_tried_again_until_they_have_gone) {
  for (const ErrorCode code :
       {ErrorCode::kInconsistentGroupProtocol, ErrorCode::kGroupMaxSizeReached,
        ErrorCode::kGroupIdNotFound, ErrorCode::kUnreleasedInstanceId}) {
    join_errors_.assign(4, code);
    ConsumerGroup group = make();
    bool told = false;
    group.on_event([&] { told = true; });
    EXPECT_TRUE(loop_.run_until([&] { return group.trouble() != nullptr; }, seconds(10)));
    ASSERT_NE(group.trouble(), nullptr);
    EXPECT_TRUE(told);
    EXPECT_TRUE(group.trouble()->is_held_by_others);
    EXPECT_THAT(group.trouble()->error.text, testing::HasSubstr(protocol::to_string(code)));
    EXPECT_EQ(next(group).kind, Kind::kAssigned);
    EXPECT_EQ(group.trouble(), nullptr);
  }
}

TEST_F(ConsumerGroupTest, a_coordinator_that_is_away_is_a_trouble_until_it_answers) {
  ConsumerGroup group = make();
  next(group);
  broker_.stop();
  EXPECT_TRUE(loop_.run_until([&] { return group.trouble() != nullptr; }, seconds(10)));
  ASSERT_NE(group.trouble(), nullptr);
  EXPECT_FALSE(group.trouble()->is_held_by_others);
  broker_.start();
  EXPECT_TRUE(loop_.run_until([&] { return group.trouble() == nullptr; }, seconds(10)));
}

TEST_F(ConsumerGroupTest, a_final_answer_to_a_heartbeat_ends_the_member_by_name) {
  ConsumerGroup group = make();
  next(group);
  heartbeat_error_ = ErrorCode::kGroupAuthorizationFailed;
  EXPECT_EQ(next(group).kind, Kind::kLost);
  EXPECT_TRUE(loop_.run_until([&] { return group.failure() != nullptr; }, seconds(10)));
  EXPECT_THAT(group.failure()->text, testing::HasSubstr("GROUP_AUTHORIZATION_FAILED"));
}

TEST_F(ConsumerGroupTest, a_static_member_leaves_under_its_instance_id) {
  ConsumerGroup group(cluster_,
                      {.group_id = "g",
                       .group_instance_id = "p-1",
                       .session_timeout = seconds(10),
                       .heartbeat_interval = milliseconds(10)},
                      {"t"});
  std::optional<std::string> left;
  broker_.script<protocol::LeaveGroupRequest>(
      [&](const protocol::LeaveGroupRequest& request, std::int16_t) {
        left = request.members.at(0).group_instance_id;
        return protocol::LeaveGroupResponse{};
      });
  group.start();
  next(group);
  EXPECT_TRUE(run([](ConsumerGroup& leaving, MonotonicTime until) -> Task<Result<int>> {
    co_await leaving.leave(until);
    co_return 1;
  }(group, deadline())));
  EXPECT_EQ(left, "p-1");
}

TEST_F(ConsumerGroupTest, a_leader_back_in_its_place_joins_again_if_partitions_were_added) {
  // 't' has one partition; what is assigned says how many it had when its predecessor assigned.
  const auto t = [](std::int32_t index) { return TopicPartition{"t", PartitionIndex(index)}; };
  const std::tuple<std::vector<TopicPartition>, std::vector<TopicPartition>, bool> cases[] = {
      {{t(0)}, {}, false},     // all there are
      {{}, {t(0)}, false},     // another has them
      {{}, {}, true},          // the topic was not there
      {{t(0)}, {t(1)}, true},  // another number of them, which its own share does not tell
  };
  for (const auto& [own, others, joins_again] : cases) {
    skips_assignment_ = true;
    assignment_ = encode_assignment(own);
    const Buffer of_other = encode_assignment(others);
    broker_.script<protocol::DescribeGroupsRequest>(
        [&](const protocol::DescribeGroupsRequest&, std::int16_t) {
          protocol::DescribeGroupsResponse response;
          auto& group = response.groups.emplace_back();
          group.group_id = "g";
          group.members.push_back({.member_id = "member", .member_assignment = assignment_});
          group.members.push_back({.member_id = "other", .member_assignment = of_other});
          return response;
        });
    broker_.seen.clear();
    ConsumerGroup group = make();
    EXPECT_EQ(next(group).partitions, own);
    skips_assignment_ = false;
    EXPECT_TRUE(loop_.run_until(
        [&] { return group.has_event() || broker_.seen_of(ApiKey::kHeartbeat).size() > 5; },
        seconds(10)));
    EXPECT_EQ(group.has_event(), joins_again);
    if (joins_again) {
      EXPECT_EQ(next(group).kind, Kind::kRevoked);
      group.give_up();
      EXPECT_THAT(next(group).partitions, ElementsAre(t(0)));
      broker_.seen.clear();
      EXPECT_TRUE(loop_.run_until([&] { return broker_.seen_of(ApiKey::kHeartbeat).size() > 5; },
                                  seconds(10)));
      EXPECT_FALSE(group.has_event());
    }
  }
}

TEST_F(ConsumerGroupTest, before_v9_a_static_leader_back_in_its_place_finds_out_that_it_leads) {
  broker_.limit_version<protocol::JoinGroupRequest>(8);
  for (const std::string other : {"another member", "member of before"}) {
    told_leader_ = "member of before";
    broker_.script<protocol::DescribeGroupsRequest>(
        [&](const protocol::DescribeGroupsRequest&, std::int16_t) {
          protocol::DescribeGroupsResponse response;
          auto& group = response.groups.emplace_back();
          group.group_id = "g";
          group.members.push_back({.member_id = "member"});
          group.members.push_back({.member_id = other});
          return response;
        });
    assignment_ = encode_assignment({});
    broker_.seen.clear();
    ConsumerGroup group = make("p-1");
    EXPECT_TRUE(next(group).partitions.empty());
    told_leader_.clear();
    EXPECT_TRUE(loop_.run_until(
        [&] { return group.has_event() || broker_.seen_of(ApiKey::kHeartbeat).size() > 5; },
        seconds(10)));
    // The one partition of 't' is nobody's.
    EXPECT_EQ(group.has_event(), other == "another member");
  }
}

TEST_F(ConsumerGroupTest, a_give_up_without_a_revocation_changes_nothing) {
  ConsumerGroup group = make();
  next(group);
  group.give_up();
  loop_.run_for(milliseconds(50));
  EXPECT_FALSE(group.has_event());
  heartbeat_error_ = ErrorCode::kRebalanceInProgress;
  EXPECT_EQ(next(group).kind, Kind::kRevoked);
  loop_.run_for(milliseconds(50));
  EXPECT_FALSE(group.has_event());
}

TEST_F(ConsumerGroupTest, leaving_says_goodbye_and_ends_what_waits) {
  ConsumerGroup group = make();
  next(group);
  loop_.schedule_after(milliseconds(20), [&] {
    loop_.spawn([](ConsumerGroup& leaving, MonotonicTime until) -> Task<void> {
      co_await leaving.leave(until);
    }(group, deadline()));
  });
  const auto event = run(group.next_event(deadline()));
  ASSERT_FALSE(event);
  EXPECT_EQ(event.error().code, onceflow::ErrorCode::kCancelled);
  EXPECT_EQ(broker_.seen_of(ApiKey::kLeaveGroup).size(), 1);
}

TEST_F(ConsumerGroupTest, committed_offsets_are_asked_for_until_they_are_decided) {
  int count = 0;
  broker_.script<protocol::OffsetFetchRequest>(
      [&](const protocol::OffsetFetchRequest& request, std::int16_t version) {
        EXPECT_TRUE(request.require_stable);
        EXPECT_GE(version, 8);
        protocol::OffsetFetchResponse response;
        auto& of_group = response.groups.emplace_back();
        of_group.group_id = "g";
        auto& topic = of_group.topics.emplace_back();
        topic.name = "t";
        const bool is_decided = ++count == 3;
        topic.partitions.push_back(
            {.partition_index = 0,
             .committed_offset = is_decided ? 42 : -1,
             .error_code = is_decided ? ErrorCode::kNone : ErrorCode::kUnstableOffsetCommit});
        return response;
      });
  const auto offsets =
      run(fetch_committed(cluster_, cluster_->new_channel(), {.group_id = "g"},
                          {{"t", PartitionIndex(0)}, {"u", PartitionIndex(1)}}, deadline()));
  ASSERT_TRUE(offsets);
  EXPECT_EQ(offsets->at(0).offset, Offset(42));
  EXPECT_EQ(offsets->at(1).offset, kNoOffset);
  EXPECT_EQ(count, 3);
}

}  // namespace
}  // namespace onceflow::client
