// Time goes on while the broker is down, and needs no request to be noticed (TXN-3): timeouts and
// sessions over many restarts, steps of the wall clock, and silence. TestBroker::advance() wakes
// the coordinators at next_deadline() alone, as the broker's timer does.
#include <gtest/gtest.h>

#include "coordinator/group_testing.h"
#include "coordinator/records.h"

namespace onceflow::coordinator {
namespace {

constexpr std::string_view kId = "copier";

class Clocks : public GroupFixture {
 protected:
  ProducerIdentity begin(Duration timeout) {
    const ProducerIdentity producer = broker.init(std::string(kId), 5, {}, 1, timeout).producer;
    EXPECT_EQ(broker.produce(kId, producer, partition(1)), ErrorCode::kNone);
    return producer;
  }
  bool is_open() { return broker.describe(kId).state == TransactionState::kOngoing; }
  /// A life of `up`, then down for `down`.
  void live_and_die(Duration up, Duration down, int round) {
    broker.advance(up);
    broker.restart(round % 2 == 0 ? TestBroker::From::kRecords : TestBroker::From::kSnapshot, down);
    broker.advance(Duration::zero());
  }
};

TEST_F(Clocks, a_transaction_ends_by_its_timeout_however_often_the_broker_starts) {
  begin(seconds(40));
  for (int round = 1; round <= 7; ++round) {
    live_and_die(seconds(4), seconds(1), round);
    EXPECT_TRUE(is_open()) << round * 5 << " s";
  }
  broker.advance(milliseconds(4'999));
  EXPECT_TRUE(is_open());
  broker.advance(milliseconds(1));
  EXPECT_FALSE(is_open());
}

TEST_F(Clocks, steps_of_the_wall_clock_neither_shorten_nor_prolong_it) {
  begin(seconds(40));
  for (int round = 1; round <= 7; ++round) {
    broker.wall_clock_offset = round % 2 == 0 ? std::chrono::hours(100) : -std::chrono::hours(100);
    live_and_die(seconds(4), seconds(1), round);
    EXPECT_TRUE(is_open()) << round * 5 << " s";
  }
  broker.advance(seconds(5));
  EXPECT_FALSE(is_open());
}

TEST_F(Clocks, after_a_start_of_the_machine_the_wall_clock_counts) {
  begin(seconds(40));
  ++broker.boot;
  live_and_die(seconds(10), seconds(20), 0);
  EXPECT_TRUE(is_open());
  broker.advance(seconds(10));
  EXPECT_FALSE(is_open());
}

TEST_F(Clocks,
       a_wall_clock_that_goes_back_at_each_start_of_the_machine_leaves_it_one_whole_timeout) {
  begin(seconds(40));
  broker.advance(seconds(10));
  for (int round = 0; round < 4; ++round) {
    // Each start of the machine finds the clock an hour back: the time down is not known.
    ++broker.boot;
    broker.wall_clock_offset -= std::chrono::hours(1);
    live_and_die(seconds(5), seconds(1), round);
  }
  EXPECT_TRUE(is_open());
  broker.advance(seconds(40));
  EXPECT_FALSE(is_open());
}

TEST_F(Clocks, a_broker_that_was_down_for_longer_aborts_at_its_start) {
  begin(seconds(40));
  live_and_die(seconds(1), std::chrono::hours(1), 0);
  EXPECT_FALSE(is_open());
}

TEST_F(Clocks, a_transaction_extended_by_an_older_version_counts_from_its_start) {
  const ProducerIdentity producer = broker.init(std::string(kId)).producer;
  Coordinator upgraded({});
  for (const Buffer& record : broker.records) {
    ASSERT_TRUE(upgraded.replay(record).has_value());
  }
  Buffer old = begin_record(RecordKind::kTransactionExtended, 0);
  WireWriter writer(old);
  writer.write_sized_string(kId);
  writer.write_int64(broker.moment().wall.ms - 50'000);
  writer.write_bool(false);
  writer.write_unsigned_varint(0);
  writer.write_unsigned_varint(0);
  ASSERT_TRUE(upgraded.replay(old).has_value());
  Effects effects;
  upgraded.start(broker.moment(), effects);
  EXPECT_EQ(upgraded.next_deadline(), broker.moment().monotonic + seconds(10));
  EXPECT_EQ(upgraded.transactions().find_by_producer_id(producer.id), kId);
}

TEST_F(Clocks, a_member_that_has_gone_outlives_no_more_than_one_session_of_restarts) {
  stable_member("i");
  for (int round = 0; round < 4; ++round) {
    live_and_die(seconds(1), seconds(1), round);
    EXPECT_EQ(state(), "Stable");
  }
  broker.advance(seconds(3));  // 9 s since the first start
  EXPECT_EQ(state(), "Stable");
  broker.advance(seconds(1));
  EXPECT_EQ(state(), "Empty");
}

TEST_F(Clocks, a_member_that_is_heard_between_restarts_stays) {
  const JoinGroupReply member = stable_member("i");
  GroupMemberKey who = key(member);
  who.instance_id = "i";
  for (int round = 0; round < 20; ++round) {
    live_and_die(seconds(2), seconds(2), round);
    EXPECT_EQ(broker.heartbeat(who), ErrorCode::kNone);
  }
  broker.advance(kSession - milliseconds(1));
  EXPECT_EQ(state(), "Stable");
  broker.advance(milliseconds(1));
  EXPECT_EQ(state(), "Empty");
}

TEST_F(Clocks, three_static_members_that_end_together_are_gone_without_a_request) {
  const std::vector<std::string> groups = {"g1", "g2", "g3"};
  for (const std::string& group : groups) {
    JoinGroupRequest join = request("", "instance of " + group);
    join.group_id = group;
    SyncGroupRequest sync = sync_request(joined(broker.join(std::move(join))));
    sync.member.group_id = group;
    EXPECT_EQ(sync_error(sync), ErrorCode::kNone);
    broker.advance(milliseconds(1));
  }
  broker.advance(kSession);
  EXPECT_FALSE(broker.live->next_deadline().has_value() &&
               *broker.live->next_deadline() <= broker.moment().monotonic);
  for (const std::string& group : groups) {
    EXPECT_EQ(broker.delete_group(group), ErrorCode::kNone) << group;
  }
}

class ClocksWithADelay : public GroupFixture {
 protected:
  ClocksWithADelay() : GroupFixture({.initial_rebalance_delay = seconds(3)}) {}
};

TEST_F(ClocksWithADelay, a_member_whose_connection_goes_while_it_joins_has_its_session_from_then) {
  const Ticket ticket = broker.join(request("", "i"));
  broker.advance(seconds(1));
  broker.lose_ticket(kGroup, ticket);
  broker.advance(seconds(3));
  EXPECT_TRUE(broker.is_join_answered(ticket)) << "the rebalance goes on with it";
  broker.advance(kSession - seconds(3));
  EXPECT_EQ(state(), "Empty");
}

TEST_F(ClocksWithADelay, one_that_is_heard_again_lives_on) {
  const Ticket ticket = broker.join(request("", "i"));
  broker.advance(seconds(1));
  broker.lose_ticket(kGroup, ticket);
  broker.advance(seconds(3));
  GroupMemberKey who = key(joined(ticket));
  who.instance_id = "i";
  EXPECT_EQ(broker.heartbeat(who), ErrorCode::kNone);
  broker.advance(kSession - milliseconds(1));
  EXPECT_NE(state(), "Empty");
  broker.advance(milliseconds(1));
  EXPECT_EQ(state(), "Empty");
}

TEST_F(Clocks, a_sync_whose_connection_has_gone_does_not_keep_its_member) {
  const std::string first_id = member_id();
  const std::string second_id = member_id();
  const Ticket first = broker.join(request(first_id));
  const Ticket second = broker.join(request(second_id));
  ASSERT_TRUE(broker.is_join_answered(first) && broker.is_join_answered(second));
  const JoinGroupReply& follower =
      joined(first).member_id == joined(first).leader ? joined(second) : joined(first);
  const Ticket waiting = broker.sync(sync_request(follower));
  broker.lose_ticket(kGroup, waiting);
  broker.advance(kSession);
  EXPECT_TRUE(broker.is_sync_answered(waiting));
}

}  // namespace
}  // namespace onceflow::coordinator
