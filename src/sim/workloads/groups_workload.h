// GroupsWorkload: a broker and one consumer group, whose members die, stop for a while, leave, are
// slow to give up their partitions, and commit when they should not: dynamic ones, static ones, and
// a second one with a static identity that is taken already. They commit plainly and in
// transactions. GroupHistory judges.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/consumer_group.h"
#include "client/transactional_producer.h"
#include "sim/checkers/group_history.h"
#include "sim/workloads/workload.h"

namespace onceflow::sim {

class GroupsWorkload final : public Workload {
 public:
  explicit GroupsWorkload(Findings& findings);
  ~GroupsWorkload() override;

  void start(SimWorld& world) override;
  bool has_done_enough() const override;
  void settle() override { is_settling_ = true; }
  bool is_at_rest() const override { return is_at_rest_; }
  void check_end() override;

 private:
  /// The member of one process, from one start() of its ConsumerGroup to its end.
  struct Member;
  enum class Role { kMember, kIntruder };

  void add_member(const std::string& node, std::optional<std::string> instance_id, Role role);
  Task<void> belong(SimProcess& process, std::optional<std::string> instance_id, Role role);
  Task<void> live(Member& member);
  Task<void> handle(Member& member, client::GroupEvent event);
  Task<void> commit_something(Member& member);
  Task<Status> commit_in_transaction(Member& member, client::OffsetToCommit offset);
  Task<void> look_at_committed(Member& member);
  Task<void> come_to_rest(SimProcess& process);

  Findings& findings_;
  GroupHistory history_;
  SimWorld* world_ = nullptr;
  bool is_settling_ = false;
  bool is_at_rest_ = false;
};

}  // namespace onceflow::sim
