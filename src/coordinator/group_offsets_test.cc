// Committed and pending offsets of a group, as its members and its readers see them. Every step of
// every test is replayed from its records and compared (coordinator_testing.h).
#include "coordinator/group_offsets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/group_testing.h"

namespace onceflow::coordinator {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class Offsets : public GroupFixture {};

// --- OffsetCommit (5.3) ---

TEST_F(Offsets, a_commit_without_identity_makes_a_simple_group) {
  const GroupMemberKey nobody{.group_id = kGroup};
  EXPECT_EQ(broker.commit_offsets(nobody, {offset(5)}).error, ErrorCode::kNone);
  EXPECT_EQ(broker.fetch(kGroup, partition(1)).offset, Offset(5));
  EXPECT_EQ(broker.fetch(kGroup, partition(1)).leader_epoch, 3);
  EXPECT_EQ(broker.fetch(kGroup, partition(1)).metadata, "m");
  EXPECT_EQ(state(), "Empty");
}

TEST_F(Offsets, a_commit_of_a_generation_needs_the_group) {
  const GroupMemberKey late{.group_id = kGroup, .member_id = "m", .generation = GenerationId(1)};
  EXPECT_EQ(broker.commit_offsets(late, {offset(5)}, 8).error, ErrorCode::kIllegalGeneration);
  EXPECT_EQ(broker.commit_offsets(late, {offset(5)}, 9).error, ErrorCode::kGroupIdNotFound);
}

TEST_F(Offsets, a_commit_is_fenced_by_member_and_generation) {
  const JoinGroupReply member = stable_member();
  EXPECT_EQ(broker.commit_offsets(key(member), {offset(5)}).error, ErrorCode::kNone);
  GroupMemberKey wrong = key(member);
  wrong.generation = GenerationId(0);
  EXPECT_EQ(broker.commit_offsets(wrong, {offset(6)}).error, ErrorCode::kIllegalGeneration);
  wrong = key(member);
  wrong.member_id = "stranger";
  EXPECT_EQ(broker.commit_offsets(wrong, {offset(6)}).error, ErrorCode::kUnknownMemberId);
  EXPECT_EQ(broker.commit_offsets({.group_id = kGroup}, {offset(6)}).error,
            ErrorCode::kUnknownMemberId);
  EXPECT_EQ(broker.fetch(kGroup, partition(1)).offset, Offset(5));
}

TEST_F(Offsets, a_commit_is_accepted_while_members_rejoin_but_not_while_the_leader_assigns) {
  const JoinGroupReply member = stable_member();
  const std::string second = member_id();
  broker.join(request(second));
  ASSERT_EQ(state(), "PreparingRebalance");
  EXPECT_EQ(broker.commit_offsets(key(member), {offset(5)}).error, ErrorCode::kNone);
  const JoinGroupReply again = joined(broker.join(request(member.member_id)));
  ASSERT_EQ(state(), "CompletingRebalance");
  EXPECT_EQ(broker.commit_offsets(key(again), {offset(6)}).error, ErrorCode::kRebalanceInProgress);
}

TEST_F(Offsets, a_member_that_only_waits_to_join_commits_nothing) {
  const JoinGroupReply member = stable_member();
  const std::string second = member_id();
  broker.join(request(second));
  GroupMemberKey eager = key(member);
  eager.member_id = second;
  EXPECT_EQ(broker.commit_offsets(eager, {offset(5)}).error, ErrorCode::kIllegalGeneration);
}

TEST_F(Offsets, a_commit_keeps_the_session_alive) {
  const JoinGroupReply member = stable_member();
  for (int round = 0; round < 5; ++round) {
    broker.advance(kSession - Duration(1));
    EXPECT_EQ(broker.commit_offsets(key(member), {offset(round)}).error, ErrorCode::kNone);
  }
  EXPECT_EQ(state(), "Stable");
}

TEST_F(Offsets, too_much_metadata_refuses_that_partition_alone) {
  OffsetToCommit large = offset(5, 2);
  large.metadata.assign(4097, 'x');
  const auto reply = broker.commit_offsets({.group_id = kGroup}, {offset(5), large});
  EXPECT_THAT(reply.partition_errors,
              ElementsAre(ErrorCode::kNone, ErrorCode::kOffsetMetadataTooLarge));
  EXPECT_EQ(broker.fetch(kGroup, partition(1)).offset, Offset(5));
  EXPECT_EQ(broker.fetch(kGroup, partition(2)).offset, kNoOffset);
}

// GRP-2
TEST_F(Offsets, a_removed_member_commits_nothing_not_even_after_a_restart) {
  const auto [leader, follower] = stable_pair();
  broker.leave(kGroup, {{follower.member_id, std::nullopt}});
  for (const auto from : {TestBroker::From::kRecords, TestBroker::From::kSnapshot}) {
    EXPECT_EQ(broker.commit_offsets(key(follower), {offset(5)}).error, ErrorCode::kUnknownMemberId);
    EXPECT_EQ(broker.heartbeat(key(leader)), ErrorCode::kRebalanceInProgress);
    broker.restart(from);
  }
}

// --- TxnOffsetCommit (5.3) ---

class TransactionalOffsets : public GroupFixture {
 protected:
  ErrorCode commit_in_transaction(const GroupMemberKey& who, OffsetToCommit what) {
    return broker.txn_commit_offsets("t", producer, who, {std::move(what)}).partition_errors[0];
  }
  ProducerIdentity producer = broker.init("t").producer;
  const GroupMemberKey nobody{.group_id = kGroup};
};

TEST_F(TransactionalOffsets, are_pending_until_the_commit) {
  broker.commit_offsets(nobody, {offset(1)});
  EXPECT_EQ(commit_in_transaction(nobody, offset(5)), ErrorCode::kNone);
  EXPECT_EQ(broker.fetch(kGroup, partition(1), RequireStable::kNo).offset, Offset(1));
  EXPECT_EQ(broker.fetch(kGroup, partition(1)).error, ErrorCode::kUnstableOffsetCommit);
  EXPECT_EQ(broker.fetch(kGroup, partition(1)).offset, kNoOffset);
  EXPECT_EQ(broker.fetch(kGroup, partition(2)).error, ErrorCode::kNone);
  broker.commit("t", producer);
  EXPECT_EQ(broker.fetch(kGroup, partition(1)).offset, Offset(5));
  EXPECT_EQ(broker.fetch(kGroup, partition(1)).error, ErrorCode::kNone);
}

TEST_F(TransactionalOffsets, are_dropped_by_the_abort) {
  broker.commit_offsets(nobody, {offset(1)});
  commit_in_transaction(nobody, offset(5));
  broker.abort("t", producer);
  EXPECT_EQ(broker.fetch(kGroup, partition(1)).offset, Offset(1));
}

TEST_F(TransactionalOffsets, are_dropped_by_the_timeout) {
  commit_in_transaction(nobody, offset(5));
  broker.advance(seconds(60));
  EXPECT_EQ(broker.fetch(kGroup, partition(1)).offset, kNoOffset);
  EXPECT_EQ(broker.fetch(kGroup, partition(1)).error, ErrorCode::kNone);
}

// TXN-2
TEST_F(TransactionalOffsets, and_output_end_in_one_journal_entry) {
  broker.produce("t", producer, partition(7));
  commit_in_transaction(nobody, offset(5));
  const std::size_t written = broker.records.size();
  broker.commit("t", producer);
  EXPECT_EQ(broker.records.size(), written + 1);
  EXPECT_THAT(broker.ended.back().partitions, ElementsAre(partition(7)));
}

TEST_F(TransactionalOffsets, lose_against_a_plain_commit_that_came_later) {
  commit_in_transaction(nobody, offset(5));
  broker.commit_offsets(nobody, {offset(9)});
  broker.commit("t", producer);
  EXPECT_EQ(broker.fetch(kGroup, partition(1)).offset, Offset(9));
}

TEST_F(TransactionalOffsets, of_two_transactions_stay_apart) {
  const ProducerIdentity other = broker.init("other").producer;
  commit_in_transaction(nobody, offset(5, 1));
  broker.txn_commit_offsets("other", other, nobody, {offset(6, 2)});
  broker.commit("t", producer);
  EXPECT_EQ(broker.fetch(kGroup, partition(1)).offset, Offset(5));
  EXPECT_EQ(broker.fetch(kGroup, partition(2)).error, ErrorCode::kUnstableOffsetCommit);
  broker.abort("other", other);
  EXPECT_EQ(broker.fetch(kGroup, partition(2)).offset, kNoOffset);
}

TEST_F(TransactionalOffsets, are_fenced_by_member_and_generation_but_not_by_the_state) {
  const JoinGroupReply member = joined(broker.join(request(member_id())));
  ASSERT_EQ(state(), "CompletingRebalance");
  EXPECT_EQ(commit_in_transaction(key(member), offset(5)), ErrorCode::kNone);
  EXPECT_EQ(commit_in_transaction(nobody, offset(6)), ErrorCode::kNone);
  GroupMemberKey wrong = key(member);
  wrong.generation = GenerationId(0);
  EXPECT_EQ(commit_in_transaction(wrong, offset(7)), ErrorCode::kIllegalGeneration);
  wrong = key(member);
  wrong.member_id = "stranger";
  EXPECT_EQ(commit_in_transaction(wrong, offset(7)), ErrorCode::kUnknownMemberId);
}

TEST_F(TransactionalOffsets, become_committed_whatever_the_group_is_doing) {
  const JoinGroupReply member = stable_member();
  commit_in_transaction(key(member), offset(5));
  broker.join(request(member_id()));
  ASSERT_EQ(state(), "PreparingRebalance");
  broker.commit("t", producer);
  EXPECT_EQ(broker.fetch(kGroup, partition(1)).offset, Offset(5));
}

TEST_F(TransactionalOffsets, survive_a_restart_as_pending) {
  for (const auto from : {TestBroker::From::kRecords, TestBroker::From::kSnapshot}) {
    commit_in_transaction(nobody, offset(5));
    broker.restart(from);
    EXPECT_EQ(broker.fetch(kGroup, partition(1)).error, ErrorCode::kUnstableOffsetCommit);
    producer = broker.commit("t", producer).producer;
    EXPECT_EQ(broker.fetch(kGroup, partition(1)).offset, Offset(5));
  }
}

// --- OffsetFetch (5.4), deletion ---

TEST_F(TransactionalOffsets, fetching_all_shows_what_is_pending_only_to_who_asks_for_stable) {
  broker.commit_offsets(nobody, {offset(1, 1)});
  commit_in_transaction(nobody, offset(5, 2));
  const auto all = [&](RequireStable require_stable) {
    return broker.live->groups().fetch_all_offsets(kGroup, require_stable);
  };
  ASSERT_EQ(all(RequireStable::kNo).size(), 1U);
  EXPECT_EQ(all(RequireStable::kNo)[0].offset, Offset(1));
  ASSERT_EQ(all(RequireStable::kYes).size(), 2U);
  EXPECT_EQ(all(RequireStable::kYes)[1].error, ErrorCode::kUnstableOffsetCommit);
  EXPECT_THAT(broker.live->groups().fetch_all_offsets("unknown", RequireStable::kYes), IsEmpty());
  EXPECT_EQ(broker.fetch("unknown", partition(1)).offset, kNoOffset);
}

TEST_F(TransactionalOffsets, keep_their_group_from_being_deleted) {
  EXPECT_EQ(broker.delete_group(kGroup), ErrorCode::kGroupIdNotFound);
  broker.commit_offsets(nobody, {offset(1)});
  broker.add_group("t", producer, kGroup);
  EXPECT_EQ(broker.delete_group(kGroup), ErrorCode::kNonEmptyGroup);
  commit_in_transaction(nobody, offset(5));
  EXPECT_EQ(broker.delete_group(kGroup), ErrorCode::kNonEmptyGroup);
  broker.commit("t", producer);
  EXPECT_EQ(broker.delete_group(kGroup), ErrorCode::kNone);
  EXPECT_EQ(state(), "Dead");
  EXPECT_EQ(broker.fetch(kGroup, partition(1)).offset, kNoOffset);
}

TEST_F(TransactionalOffsets, of_a_deleted_topic_are_gone) {
  broker.commit_offsets(nobody, {offset(1, 1), offset(2, 2)});
  commit_in_transaction(nobody, offset(5, 2));
  broker.delete_topic(topic(2));
  broker.commit("t", producer);
  EXPECT_EQ(broker.fetch(kGroup, partition(1)).offset, Offset(1));
  EXPECT_EQ(broker.fetch(kGroup, partition(2)).offset, kNoOffset);
}

TEST(GroupOffsetsSum, is_of_what_there_is_however_it_came_and_went) {
  constexpr TopicId kOne{{1}};
  constexpr TopicId kTwo{{2}};
  const auto at = [](const TopicId& topic, std::int32_t index) {
    return OffsetToCommit{
        .partition = {topic, PartitionIndex(index)}, .offset = Offset(5), .metadata = "four"};
  };
  GroupOffsets offsets;
  offsets.commit(std::vector{at(kOne, 0)}, WallTime{});
  const std::size_t one = offsets.size_bytes();
  EXPECT_GT(one, 4U);
  offsets.add_pending(ProducerId(1), std::vector{at(kOne, 0), at(kTwo, 0)}, WallTime{});
  offsets.add_pending(ProducerId(2), std::vector{at(kTwo, 0), at(kTwo, 0)}, WallTime{});
  EXPECT_EQ(offsets.size_bytes(), 4 * one);
  EXPECT_TRUE(offsets.is_pending({kTwo, PartitionIndex(0)}));
  offsets.end_transaction(ProducerId(1), TransactionResult::kCommit);
  EXPECT_EQ(offsets.size_bytes(), 3 * one);
  EXPECT_FALSE(offsets.is_pending({kOne, PartitionIndex(0)}));
  EXPECT_TRUE(offsets.is_pending({kTwo, PartitionIndex(0)}));
  offsets.remove_topic(kTwo);
  EXPECT_EQ(offsets.size_bytes(), one);
  EXPECT_FALSE(offsets.is_pending({kTwo, PartitionIndex(0)}));
  offsets.remove({kOne, PartitionIndex(0)});
  EXPECT_EQ(offsets.size_bytes(), 0U);
}

}  // namespace
}  // namespace onceflow::coordinator
