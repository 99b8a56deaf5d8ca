// GroupCoordinator: every consumer group of the classic protocol, its members, its rebalances and
// its offsets. Pure; owned by the Coordinator, on the broker's thread.
//
// JoinGroup and SyncGroup may have to wait for other members: such a request is known by its
// ticket, and some later step answers it through Effects. Each ticket is answered exactly once.
//
// What survives a crash: generation, leader, protocol, members with subscription and assignment, so
// that a restart of the broker needs no rebalance; and all offsets. A generation is journalled
// before any member hears of it, and is never given out again (GRP-1), not even after the group was
// deleted. The states and moves of one group are in group.h.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/seeded_bug.h"
#include "base/time.h"
#include "base/wire.h"
#include "coordinator/effects.h"
#include "coordinator/group_image.h"
#include "coordinator/group_offsets.h"

namespace onceflow::coordinator {

class Group;

struct GroupOptions {
  /// Kafka's group.initial.rebalance.delay.ms.
  Duration initial_rebalance_delay = std::chrono::seconds(3);
  /// Kafka's group.min.session.timeout.ms and group.max.session.timeout.ms.
  Duration session_timeout_min = std::chrono::seconds(6);
  Duration session_timeout_max = std::chrono::minutes(30);
  std::size_t group_size_max = 1000;
  std::size_t group_count_max = 100'000;
  /// Of a group's id, and of a member's id, instance id and client id, each.
  std::size_t id_bytes_max = 255;
  /// Of what one member says of itself in JoinGroup, and of its assignment, each.
  std::size_t member_bytes_max = 1u << 20;
  /// Of all members of one group, and of those of all groups.
  std::size_t group_bytes_max = 4u << 20;
  std::size_t membership_bytes_max = 16u << 20;
  /// Of all committed and pending offsets: kOffsetBytes each, and their metadata.
  std::size_t offset_bytes_max = 64u << 20;
  /// How long a group without members and offsets is remembered.
  Duration empty_group_retention = std::chrono::minutes(10);
  /// Kafka's offset.metadata.max.bytes.
  std::size_t offset_metadata_bytes_max = 4096;
  SeededBug seeded_bug = SeededBug::kNone;
};

struct JoinGroupRequest {
  std::string group_id;
  std::string member_id;                   ///< empty: none yet
  std::optional<std::string> instance_id;  ///< static membership (KIP-345)
  std::string client_id;
  std::string client_host;
  std::string protocol_type;
  std::vector<GroupProtocol> protocols;
  Duration session_timeout{};
  Duration rebalance_timeout{};  ///< v0 has none: the session timeout
  std::int16_t api_version = 0;
  /// A random UUID in text, used if the member needs an id.
  std::string random_uuid;
  ConnectionNumber connection{0};
};

/// How a request on a group says who it is from.
struct GroupMemberKey {
  std::string_view group_id;
  std::string_view member_id;
  std::optional<std::string_view> instance_id;
  GenerationId generation{-1};
};

struct SyncGroupRequest {
  GroupMemberKey member;
  std::optional<std::string_view> protocol_type;  ///< v5+
  std::optional<std::string_view> protocol_name;  ///< v5+
  struct Assignment {
    std::string member_id;
    Buffer assignment;
  };
  std::vector<Assignment> assignments;  ///< from the leader
};

struct MemberToRemove {
  std::string_view member_id;
  std::optional<std::string_view> instance_id;
};

/// One error for the whole request, and one per partition; an error of the request is repeated
/// there.
struct OffsetCommitReply {
  ErrorCode error = ErrorCode::kNone;
  std::vector<ErrorCode> partition_errors;  ///< in the order of the request
};

/// What a watcher of the groups has not been told yet.
struct GroupNews {
  std::string group_id;
  bool is_gone = false;
  std::string_view state;  ///< as in GroupDescription; of static duration
  std::size_t member_count = 0;
  GroupOffsets::Changes offsets;
};

enum class RequireStable : std::int8_t { kNo, kYes };

struct FetchedOffset {
  TopicIdPartition partition;
  Offset offset = kNoOffset;  ///< -1: none
  std::int32_t leader_epoch = -1;
  std::string metadata;
  ErrorCode error = ErrorCode::kNone;  ///< kUnstableOffsetCommit: a transaction on it is open
};

/// What clients have put into the groups, against the bounds of GroupOptions.
struct GroupUsage {
  std::size_t group_count = 0;
  std::size_t membership_bytes = 0;
  std::size_t offset_bytes = 0;
};

struct GroupDescription {
  struct Member {
    std::string member_id;
    std::optional<std::string> instance_id;
    std::string client_id;
    std::string client_host;
    Buffer metadata;  ///< of the chosen protocol; empty while there is none
    Buffer assignment;
  };
  std::string group_id;
  std::string state;  ///< "Empty", "PreparingRebalance", "CompletingRebalance", "Stable" or "Dead"
  std::string protocol_type;
  std::string protocol_name;
  GenerationId generation;
  std::vector<Member> members;
};

class GroupCoordinator {
 public:
  explicit GroupCoordinator(GroupOptions options);
  ~GroupCoordinator();
  GroupCoordinator(const GroupCoordinator&) = delete;
  GroupCoordinator& operator=(const GroupCoordinator&) = delete;

  // --- Membership. ---

  /// Parks `ticket`, which is answered in this step or in a later one.
  void join_group(JoinGroupRequest request, Ticket ticket, const Moment& moment, Effects& effects);
  /// As join_group.
  void sync_group(const SyncGroupRequest& request, Ticket ticket, const Moment& moment,
                  Effects& effects);
  ErrorCode heartbeat(const GroupMemberKey& member, const Moment& moment, Effects& effects);
  /// One error for each of `members`. v0-2 have one, without an instance id, whose error is the
  /// request's; v3+ answers kNone for the request.
  std::vector<ErrorCode> leave_group(std::string_view group_id,
                                     std::span<const MemberToRemove> members, const Moment& moment,
                                     Effects& effects);

  /// The connection of a parked request has gone. Its ticket is answered all the same, in its time;
  /// but a member that nobody hears from any more does not outlive its session by waiting.
  void on_ticket_lost(std::string_view group_id, Ticket ticket, const Moment& moment);

  // --- Offsets. ---

  /// OffsetCommit. Partitions that do not exist are the caller's to refuse.
  OffsetCommitReply commit_offsets(const GroupMemberKey& member,
                                   std::span<const OffsetToCommit> offsets,
                                   std::int16_t api_version, const Moment& moment,
                                   Effects& effects);
  /// TxnOffsetCommit, once the transaction was checked: see Coordinator::txn_offset_commit.
  OffsetCommitReply commit_pending_offsets(const GroupMemberKey& member, ProducerId producer,
                                           std::span<const OffsetToCommit> offsets,
                                           const Moment& moment, Effects& effects);
  /// OffsetFetch; in the order of `partitions`. An unknown group has no offsets, which is no error.
  std::vector<FetchedOffset> fetch_offsets(std::string_view group_id,
                                           std::span<const TopicIdPartition> partitions,
                                           RequireStable require_stable) const;
  /// OffsetFetch with null topics: all that is committed or pending, sorted by partition.
  std::vector<FetchedOffset> fetch_all_offsets(std::string_view group_id,
                                               RequireStable require_stable) const;
  /// The topic is gone, and with it every offset on it. Live and in recovery alike.
  void remove_topic(const TopicId& topic);

  // --- Looking, and deleting. ---

  /// State "Dead" if the group is not known.
  GroupDescription describe(std::string_view group_id) const;
  /// Its id is within its bound, or it is there already.
  bool may_be_named(std::string_view group_id) const {
    return group_id.size() <= options_.id_bytes_max || find(group_id) != nullptr;
  }
  GroupUsage usage() const { return {groups_.size(), membership_bytes_, offset_bytes_}; }
  /// What describe() takes of members; 0 if the group is not known.
  std::size_t membership_bytes_of(std::string_view group_id) const;
  /// What the offsets of the group take, in memory and about so much in an answer.
  std::size_t offset_bytes_of(std::string_view group_id) const;
  /// Sorted by group id, without members.
  std::vector<GroupDescription> list() const;
  /// kGroupIdNotFound, or kNonEmptyGroup: it has members, or offsets in an open transaction. Called
  /// by Coordinator::delete_group, which knows the transactions that have the group without offsets
  /// yet.
  ErrorCode delete_group(std::string_view group_id, Effects& effects);

  /// OffsetDelete, of partitions on which the caller has found no member subscribed; in their
  /// order. kGroupIdNotFound in every place if there is no such group; UNSTABLE_OFFSET_COMMIT for
  /// one with an offset in an open transaction, whose commit would succeed without it.
  std::vector<ErrorCode> delete_offsets(std::string_view group_id,
                                        std::span<const TopicIdPartition> partitions,
                                        Effects& effects);

  // --- Watching. Which groups and offsets have changed is kept, each once; their values are read
  // when they are taken. As the log's (log/log_changes.h). ---

  /// From now on changes are kept for take_news; all that there is counts as changed.
  void watch();
  /// take_news gives what has changed up to now, a piece of about `count_max` groups and offsets
  /// each, until has_news says that nothing is left.
  void begin_news();
  bool has_news() const { return next_taken_ < taken_.size(); }
  struct News {
    bool is_anew = false;  ///< all that was told before is void
    std::vector<GroupNews> groups;
  };
  News take_news(std::size_t count_max);

  // --- Transactions: called by the TransactionCoordinator, live and in recovery. ---

  void end_transaction(ProducerId producer, TransactionResult result,
                       std::span<const std::string> groups);
  bool has_pending_offsets(std::string_view group_id, ProducerId producer) const;

  // --- Time, replay and checkpoints: called by the Coordinator. ---

  std::optional<MonotonicTime> next_deadline() const;
  void on_time(const Moment& moment, Effects& effects);
  /// After replay: see Group::restart_clocks.
  void restart_clocks(const Moment& moment, Effects& effects);

  void replay_group(WireReader& reader);
  void replay_member_removed(WireReader& reader);
  void replay_member_silence(WireReader& reader);
  void replay_offsets_deleted(WireReader& reader);
  void replay_group_deleted(WireReader& reader);
  void replay_offsets(WireReader& reader);
  void replay_pending_offsets(WireReader& reader);
  void write_snapshot(WireWriter& writer) const;
  void restore(WireReader& reader, std::int8_t version);

 private:
  using Groups = std::map<std::string, std::unique_ptr<Group>, std::less<>>;

  Group* find(std::string_view group_id) const;
  Group& find_or_create(std::string_view group_id);
  /// After every step on a group: forgets it if nothing of it is left, else puts its deadline in
  /// place.
  void settle(Group& group);
  /// What its members and offsets take now, in the sums of all groups.
  void recount(Group& group);
  void make_room_for_members(const JoinGroupRequest& request);
  ErrorCode check_join_bounds(const JoinGroupRequest& request, const Group* group) const;
  ErrorCode check_sync_bounds(const SyncGroupRequest& request, const Group& group) const;
  void erase(Group& group);
  void note(Group& group);
  void note_id(const std::string& group_id);
  void note_topic(Group& group, const TopicId& topic);
  OffsetCommitReply write_offsets(std::string_view group_id, std::optional<ProducerId> producer,
                                  std::span<const OffsetToCommit> offsets, const Moment& moment,
                                  Effects& effects);
  void replay_offset_write(WireReader& reader, bool is_pending);

  GroupOptions options_;
  Groups groups_;
  std::size_t membership_bytes_ = 0;
  std::size_t expected_bytes_ = 0;  // of that, ids that were given out
  std::size_t offset_bytes_ = 0;
  /// Those that have, or had, offsets of it: who is asked when it goes.
  std::map<TopicId, std::set<std::string, std::less<>>> groups_by_topic_;
  /// The highest generation of any deleted group: a group that comes back goes on from here
  /// (GRP-1).
  GenerationId deleted_generation_max_{0};
  std::set<std::pair<MonotonicTime, std::string>> deadlines_;

  // A group that is there is among the noted once; if those that are gone come to more, all is told
  // anew.
  bool is_watched_ = false;
  bool is_anew_ = false;
  std::vector<std::string> noted_;
  std::vector<std::string> taken_;
  std::size_t next_taken_ = 0;
};

}  // namespace onceflow::coordinator
