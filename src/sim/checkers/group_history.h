// GroupHistory: what the members of one consumer group were told, and whether it fits together: a
// generation has one assignment and never comes again (GRP-1); whoever is of an older one, or whose
// static identity has been taken over, commits nothing (GRP-2).
//
// Owned by the workload; outlives every process of the run. A member may hear of its generation
// late, so what counts is what anybody had heard before a request was begun.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "client/group_metadata.h"
#include "sim/checkers/findings.h"

namespace onceflow::sim {

struct HistoricCommit {
  std::int64_t number = 0;
  std::size_t partition = 0;
  GenerationId generation;
  std::string fenced_by;  ///< why it must not succeed, as known when it was begun; empty: it may
};

class GroupHistory {
 public:
  /// The partitions are those of one topic.
  GroupHistory(std::size_t partition_count, Findings& findings)
      : findings_(findings), acknowledged_generations_(partition_count, GenerationId(-1)) {}

  /// Where a member stands before it asks to join: what it is answered is not older.
  struct JoinMark {
    GenerationId generation_min;
    std::uint64_t tick = 0;
  };
  JoinMark mark_join() { return {newest_generation(), ++tick_}; }

  void see_assignment(const client::GroupMetadata& member,
                      const std::vector<TopicPartition>& partitions, const JoinMark& joined);
  /// The highest generation that anybody was assigned to.
  GenerationId newest_generation() const {
    return generations_.empty() ? GenerationId(-1) : generations_.rbegin()->first;
  }
  /// Every partition is somebody's in the newest generation.
  bool is_fully_assigned() const;

  HistoricCommit& begin_commit(const client::GroupMetadata& member, std::size_t partition);
  static client::OffsetToCommit offset_of(const HistoricCommit& commit,
                                          const TopicPartition& partition);
  void acknowledge(const HistoricCommit& commit);
  std::size_t acknowledged_count() const { return acknowledged_count_; }
  std::size_t commit_count() const { return commits_.size(); }
  std::size_t fenced_count() const { return fenced_count_; }

  /// Generations of the newest acknowledged commits, by partition: before asking what is committed.
  const std::vector<GenerationId>& acknowledged_generations() const {
    return acknowledged_generations_;
  }
  void see_committed(const client::CommittedOffset& committed,
                     const std::vector<GenerationId>& generations_min);

 private:
  /// An instance id, or a member id where there is none; with the partitions it was assigned.
  using Assignment = std::map<std::string, std::vector<TopicPartition>>;

  void fence_former_lives(const client::GroupMetadata& member, const JoinMark& joined);

  Findings& findings_;
  std::map<GenerationId, Assignment> generations_;
  std::map<std::string, std::map<std::string, std::uint64_t>>
      member_ids_;  // by instance id: when each was first heard of
  std::set<std::string> fenced_member_ids_;
  std::deque<HistoricCommit> commits_;  // by number
  std::vector<GenerationId> acknowledged_generations_;
  std::size_t acknowledged_count_ = 0;
  std::size_t fenced_count_ = 0;  ///< of commits_
  std::uint64_t tick_ = 0;
};

}  // namespace onceflow::sim
