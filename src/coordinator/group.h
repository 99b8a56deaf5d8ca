// Group: one consumer group of the classic protocol: members, generation, rebalance, offsets. Pure;
// owned by the GroupCoordinator, on the broker's thread.
//
// States, and what makes each move:
//   Empty               -> PreparingRebalance   prepare_rebalance()  a first member
//   PreparingRebalance  -> CompletingRebalance  complete_join()      all have joined, or time is up
//   PreparingRebalance  -> Empty                complete_join()      nobody has
//   CompletingRebalance -> Stable               assign()             the leader's SyncGroup
//   CompletingRebalance -> PreparingRebalance   prepare_rebalance()  a member came, left, expired
//   Stable              -> PreparingRebalance   prepare_rebalance()  that, or subscribes otherwise
//
// Two views of one group: `durable_`, what a restart finds, changed by records alone; and the live
// one, with those who are waiting and all deadlines. They differ between the start of a rebalance
// and its end. A generation is in the durable view before a member hears of it (GRP-1); a member
// that was removed or replaced leaves it at once, so that it stays fenced over a restart (GRP-2).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "base/wire.h"
#include "coordinator/beginning.h"
#include "coordinator/effects.h"
#include "coordinator/group_coordinator.h"
#include "coordinator/group_image.h"
#include "coordinator/group_offsets.h"

namespace onceflow::coordinator {

class Group {
 public:
  /// `generation_floor`: whatever it is at the time, a new generation is above it.
  Group(std::string id, const GroupOptions& options, const GenerationId& generation_floor)
      : id_(std::move(id)), options_(options), generation_floor_(generation_floor) {}

  const std::string& id() const { return id_; }
  GroupState state() const { return state_; }
  std::size_t member_count() const { return members_.size(); }
  GenerationId generation() const { return durable_.generation; }
  GroupOffsets& offsets() { return offsets_; }
  const GroupOffsets& offsets() const { return offsets_; }

  /// Whether it is answered with an id, to come again with that (KIP-394).
  static bool needs_id(const JoinGroupRequest& request);
  void join(JoinGroupRequest request, Ticket ticket, const Moment& moment, Effects& effects);
  void sync(const SyncGroupRequest& request, Ticket ticket, const Moment& moment, Effects& effects);
  ErrorCode heartbeat(const GroupMemberKey& key, const Moment& moment, Effects& effects);
  std::vector<ErrorCode> leave(std::span<const MemberToRemove> leaving, const Moment& moment,
                               Effects& effects);

  enum class CommitKind { kPlain, kTransactional };
  /// Whether this member may commit offsets now (GRP-2); one that may has shown that it lives.
  ErrorCode check_commit(const GroupMemberKey& key, CommitKind kind, const Moment& moment,
                         Effects& effects);
  /// Nobody hears the answer to this ticket any more. Its member keeps its place in the rebalance,
  /// but no longer lives by waiting: its session runs from now on.
  void on_ticket_lost(Ticket ticket, const Moment& moment);

  GroupDescription describe() const;
  GroupDescription describe_without_members() const;
  /// What its members have brought: ids, protocols, assignments; and the ids that were given to
  /// those who have still to come with them.
  std::size_t membership_bytes() const;
  /// Of that, what this request is in the place of: the protocols of the member that it names, or
  /// the id that it comes with.
  std::size_t bytes_before(const JoinGroupRequest& request) const;
  /// What it adds to that if this request is answered with an id; else 0.
  static std::size_t expected_bytes_of(const JoinGroupRequest& request);
  /// Of that, the ids that were given out; and forgets them. Who comes with one of them is told
  /// UNKNOWN_MEMBER_ID, and begins anew.
  std::size_t expected_bytes() const;
  void forget_expected() { expected_members_.clear(); }
  /// Of that, the assignments.
  std::size_t assignment_bytes() const;
  /// A restart finds it: it has had a generation, or has offsets.
  bool is_durable() const { return generation().value != 0 || !offsets_.empty(); }
  /// Nothing of it would be missed: neither members nor offsets, and no restart would find it.
  bool is_forgettable() const;
  /// As is_forgettable, but a restart would find it, and it has been so for long.
  bool is_expired(MonotonicTime now) const;

  std::optional<MonotonicTime> next_deadline() const;
  void on_time(const Moment& moment, Effects& effects);
  /// The live view from the durable one. A member's session runs from the first start that it has
  /// not been heard after; rebalances get their whole time again, for those who do not come back to
  /// one are taken out of it by their sessions.
  void restart_clocks(const Moment& moment, Effects& effects);

  const GroupImage& image() const { return durable_; }
  void set_image(GroupImage image);
  void remove_from_image(std::string_view member_id);
  /// By member id: the start that it has not been heard after. For checkpoints and replay.
  using Silences = std::map<std::string, Beginning, std::less<>>;
  const Silences& silences() const { return silences_; }
  /// nullopt: it has been heard. False if there is no such member.
  bool set_silence(const std::string& member_id, std::optional<Beginning> since);

  /// Where the GroupCoordinator has it among its deadlines, in its sums, and among its topics.
  std::optional<MonotonicTime> scheduled_at;
  /// Whether it is among those that the GroupCoordinator's watcher has to hear of.
  bool is_noted = false;
  /// What that watcher was told last.
  GroupState told_state = GroupState::kEmpty;
  std::size_t told_member_count = 0;
  std::size_t counted_membership_bytes = 0;
  std::size_t counted_expected_bytes = 0;
  std::size_t counted_offset_bytes = 0;
  std::set<TopicId> topics_noted;

 private:
  struct Member : GroupMember {
    std::optional<Ticket> joining;
    std::optional<Ticket> syncing;
    bool has_to_sync = false;
    bool is_unreachable = false;  // waits, but on a connection that has gone
    MonotonicTime session_deadline{};

    /// Who waits for others need not send heartbeats.
    bool lives_by_waiting() const {
      return (joining.has_value() || syncing.has_value()) && !is_unreachable;
    }
  };

  using MemberPlace = std::vector<Member>::iterator;

  void join_unknown(JoinGroupRequest& request, Ticket ticket, const Moment& moment,
                    Effects& effects);
  void join_known(JoinGroupRequest& request, Ticket ticket, const Moment& moment, Effects& effects);
  void add_member(JoinGroupRequest& request, std::string member_id, Ticket ticket,
                  const Moment& moment, Effects& effects);
  void replace_static_member(MemberPlace place, JoinGroupRequest& request, Ticket ticket,
                             const Moment& moment, Effects& effects);
  void rebalance_for(MemberPlace place, Ticket ticket, const Moment& moment, Effects& effects);
  void update(Member& member, JoinGroupRequest& request);

  void prepare_rebalance(const Moment& moment, Effects& effects);
  void try_complete_join(const Moment& moment, Effects& effects);
  void on_join_deadline(const Moment& moment, Effects& effects);
  void complete_join(const Moment& moment, Effects& effects);
  void begin_next_generation(const Moment& moment, Effects& effects);
  void assign(const SyncGroupRequest& request, const Moment& moment, Effects& effects);
  template <typename Condition>
  void remove_members_if(Condition condition, const Moment& moment, Effects& effects);
  void remove_member(MemberPlace place, Effects& effects);
  void after_removal(const Moment& moment, Effects& effects);
  ErrorCode leave_one(const MemberToRemove& leaving, Effects& effects);

  MemberPlace find_member(std::string_view member_id);
  MemberPlace find_static_member(std::string_view instance_id);
  /// The member that sends this request; or end().
  std::vector<Member>::const_iterator find_own(const JoinGroupRequest& request) const;
  /// The member that says it is this one; or end(), with the reason in `error`.
  MemberPlace find_checked(std::string_view member_id, std::optional<std::string_view> instance_id,
                           ErrorCode& error);
  void count_protocols(const Member& member, int change);
  bool supports_protocols(const JoinGroupRequest& request) const;
  std::string select_protocol() const;
  Duration rebalance_timeout() const;
  static void refresh_session(Member& member, const Moment& moment);
  void hear(Member& member, const Moment& moment, Effects& effects);
  void persist_silence(const std::string& member_id, std::optional<Beginning> since,
                       Effects& effects);
  static void answer_waiting(Member& member, ErrorCode error, Effects& effects);
  void answer_join(Member& member, const Moment& moment, Effects& effects);
  JoinGroupReply current_generation(const Member& member) const;
  SyncGroupReply current_assignment(const Member& member) const;
  std::vector<JoinGroupReply::Member> member_list() const;
  bool has_nothing() const;
  void persist(GenerationId generation, Effects& effects);
  void persist_removal(const std::string& member_id, Effects& effects);

  std::string id_;
  const GroupOptions& options_;
  const GenerationId& generation_floor_;
  GroupImage durable_;
  Silences silences_;  // of members of durable_
  GroupOffsets offsets_;

  /// For one that asks for an id where there is no room: another id that was given out is
  /// forgotten. False if there is none.
  bool displace_expected(ConnectionNumber asking);

  // The live view.
  GroupState state_ = GroupState::kEmpty;
  std::string protocol_type_;
  std::string protocol_name_;
  std::string leader_;
  std::vector<Member> members_;  // in the order in which they came; the first leads
  std::map<std::string, std::size_t, std::less<>> supporters_;  // of each protocol; none is 0
  struct ExpectedMember {
    MonotonicTime given{};
    MonotonicTime deadline{};
    ConnectionNumber connection;
  };
  std::map<std::string, ExpectedMember, std::less<>>
      expected_members_;  // were given an id (KIP-394)
  MonotonicTime join_deadline_{};
  /// The first rebalance of an empty group waits for more members, and longer when some come.
  bool is_initial_join_ = false;
  bool has_new_member_ = false;
  Duration initial_delay_left_{};
  std::optional<MonotonicTime> sync_deadline_;
  std::optional<MonotonicTime> empty_since_;
};

}  // namespace onceflow::coordinator
