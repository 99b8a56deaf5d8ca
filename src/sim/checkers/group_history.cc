#include "sim/checkers/group_history.h"

#include <fmt/format.h>

#include <algorithm>

namespace onceflow::sim {

namespace {

std::string owner_of(const client::GroupMetadata& member) {
  return member.group_instance_id.value_or(member.member_id);
}

}  // namespace

void GroupHistory::see_assignment(const client::GroupMetadata& member,
                                  const std::vector<TopicPartition>& partitions,
                                  const JoinMark& joined) {
  const GenerationId generation = member.generation;
  const std::string owner = owner_of(member);
  if (generation < joined.generation_min) {
    findings_.report("GRP-1",
                     fmt::format("{} was given generation {}; before it asked, somebody was of {}",
                                 owner, generation.value, joined.generation_min.value));
  }
  Assignment& assignment = generations_[generation];
  const auto [known, is_new] = assignment.emplace(owner, partitions);
  if (!is_new && known->second != partitions) {
    findings_.report("GRP-1", fmt::format("{} was given two assignments in generation {}", owner,
                                          generation.value));
  }
  for (const auto& [other, held] : assignment) {
    for (const TopicPartition& partition : partitions) {
      if (other != owner && std::ranges::find(held, partition) != held.end()) {
        findings_.report("GRP-1",
                         fmt::format("partition {} is {}'s and {}'s in generation {}",
                                     partition.partition.value, owner, other, generation.value));
      }
    }
  }
  fence_former_lives(member, joined);
}

// KIP-345: whoever joins with an instance id takes it from all who had it before.
void GroupHistory::fence_former_lives(const client::GroupMetadata& member, const JoinMark& joined) {
  if (!member.group_instance_id) {
    return;
  }
  auto& heard_of = member_ids_[*member.group_instance_id];
  for (const auto& [member_id, tick] : heard_of) {
    if (member_id != member.member_id && tick < joined.tick) {
      fenced_member_ids_.insert(member_id);
    }
  }
  heard_of.emplace(member.member_id, ++tick_);
}

bool GroupHistory::is_fully_assigned() const {
  if (generations_.empty()) {
    return false;
  }
  std::size_t held_count = 0;
  for (const auto& [owner, partitions] : generations_.rbegin()->second) {
    held_count += partitions.size();
  }
  return held_count == acknowledged_generations_.size();
}

HistoricCommit& GroupHistory::begin_commit(const client::GroupMetadata& member,
                                           std::size_t partition) {
  HistoricCommit& commit = commits_.emplace_back();
  commit.number = static_cast<std::int64_t>(commits_.size()) - 1;
  commit.partition = partition;
  commit.generation = member.generation;
  if (newest_generation() > member.generation) {
    commit.fenced_by = fmt::format("generation {}", newest_generation().value);
  } else if (fenced_member_ids_.contains(member.member_id)) {
    commit.fenced_by = "another member with its instance id";
  }
  fenced_count_ += commit.fenced_by.empty() ? 0 : 1;
  return commit;
}

client::OffsetToCommit GroupHistory::offset_of(const HistoricCommit& commit,
                                               const TopicPartition& partition) {
  return {partition, Offset(commit.number), fmt::format("generation {}", commit.generation.value)};
}

void GroupHistory::acknowledge(const HistoricCommit& commit) {
  if (!commit.fenced_by.empty()) {
    findings_.report(
        "GRP-2",
        fmt::format("commit {} of generation {} on partition {} succeeded, fenced by "
                    "{} before it was sent",
                    commit.number, commit.generation.value, commit.partition, commit.fenced_by));
  }
  ++acknowledged_count_;
  GenerationId& newest = acknowledged_generations_[commit.partition];
  newest = std::max(newest, commit.generation);
}

void GroupHistory::see_committed(const client::CommittedOffset& committed,
                                 const std::vector<GenerationId>& generations_min) {
  const auto partition = static_cast<std::size_t>(committed.partition.partition.value);
  const GenerationId generation_min = generations_min[partition];
  if (committed.offset == kNoOffset) {
    if (generation_min.value >= 0) {
      findings_.report("LOG-1", fmt::format("nothing is committed on partition {}; a commit of "
                                            "generation {} was acknowledged",
                                            partition, generation_min.value));
    }
    return;
  }
  if (committed.offset.value >= static_cast<std::int64_t>(commits_.size())) {
    findings_.report("GRP-2", fmt::format("offset {} on partition {} is nobody's",
                                          committed.offset.value, partition));
    return;
  }
  const HistoricCommit& commit = commits_[static_cast<std::size_t>(committed.offset.value)];
  const std::string expected = offset_of(commit, committed.partition).metadata;
  if (commit.partition != partition || committed.metadata != expected) {
    findings_.report(
        "GRP-2",
        fmt::format("offset {} with metadata '{}' on partition {} was sent as '{}' on "
                    "partition {}",
                    commit.number, committed.metadata, partition, expected, commit.partition));
  } else if (!commit.fenced_by.empty()) {
    findings_.report(
        "GRP-2", fmt::format("commit {} of generation {} stands on partition {}, though fenced "
                             "by {} before it was sent",
                             commit.number, commit.generation.value, partition, commit.fenced_by));
  } else if (commit.generation < generation_min) {
    findings_.report("GRP-2", fmt::format("commit {} of generation {} stands on partition {}; one "
                                          "of generation {} was acknowledged",
                                          commit.number, commit.generation.value, partition,
                                          generation_min.value));
  }
}

}  // namespace onceflow::sim
