#include "coordinator/group_coordinator.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/check.h"
#include "coordinator/group.h"
#include "coordinator/records.h"

namespace onceflow::coordinator {
namespace {

// That are due, in a turn of the loop: some milliseconds. All members may be, a session after a
// start.
constexpr std::size_t kGroupsAtOnce = 500;

constexpr std::int16_t kOffsetCommitVersionWithGroupNotFound = 9;
// Fewer noted groups than this are kept as they are.
constexpr std::size_t kNotedMin = 1000;

void encode_offset_write(WireWriter& writer, std::string_view group_id,
                         std::span<const OffsetToCommit> offsets, WallTime now) {
  writer.write_sized_string(group_id);
  writer.write_int64(now.ms);
  writer.write_unsigned_varint(offsets.size());
  for (const OffsetToCommit& offset : offsets) {
    write_partition(writer, offset.partition);
    writer.write_int64(offset.offset.value);
    writer.write_int32(offset.leader_epoch);
    writer.write_sized_string(offset.metadata);
  }
}

constexpr std::size_t kEncodedWriteBytesMin = 16 + 4 + 8 + 4 + 1;

std::vector<OffsetToCommit> decode_offset_write(WireReader& reader) {
  std::vector<OffsetToCommit> offsets;
  for (std::size_t left = read_count(reader, kEncodedWriteBytesMin); left > 0; --left) {
    OffsetToCommit offset;
    offset.partition = read_partition(reader);
    offset.offset = Offset(reader.read_int64());
    offset.leader_epoch = reader.read_int32();
    offset.metadata = read_client_text(reader);
    offsets.push_back(std::move(offset));
  }
  return offsets;
}

FetchedOffset fetched(const GroupOffsets& offsets, const TopicIdPartition& partition,
                      RequireStable require_stable) {
  if (require_stable == RequireStable::kYes && offsets.is_pending(partition)) {
    return {.partition = partition, .error = ErrorCode::kUnstableOffsetCommit};
  }
  if (const CommittedOffset* committed = offsets.find(partition)) {
    return {.partition = partition,
            .offset = committed->offset,
            .leader_epoch = committed->leader_epoch,
            .metadata = committed->metadata};
  }
  return {.partition = partition};
}

OffsetCommitReply refused(ErrorCode error, std::size_t partition_count) {
  return {.error = error, .partition_errors = std::vector<ErrorCode>(partition_count, error)};
}

}  // namespace

GroupCoordinator::GroupCoordinator(GroupOptions options) : options_(options) {}
GroupCoordinator::~GroupCoordinator() = default;

Group* GroupCoordinator::find(std::string_view group_id) const {
  const auto place = groups_.find(group_id);
  return place == groups_.end() ? nullptr : place->second.get();
}

Group& GroupCoordinator::find_or_create(std::string_view group_id) {
  if (Group* group = find(group_id)) {
    return *group;
  }
  auto group = std::make_unique<Group>(std::string(group_id), options_, deleted_generation_max_);
  if (is_watched_) {
    group->offsets().watch();
  }
  return *groups_.emplace(group_id, std::move(group)).first->second;
}

// Members change in the steps that call this themselves; offsets in any.
void GroupCoordinator::recount(Group& group) {
  const std::size_t bytes = group.membership_bytes();
  membership_bytes_ += bytes - std::exchange(group.counted_membership_bytes, bytes);
  const std::size_t expected = group.expected_bytes();
  expected_bytes_ += expected - std::exchange(group.counted_expected_bytes, expected);
}

void GroupCoordinator::settle(Group& group) {
  const std::size_t bytes = group.offsets().size_bytes();
  offset_bytes_ += bytes - std::exchange(group.counted_offset_bytes, bytes);
  if (group.is_forgettable()) {
    erase(group);
    return;
  }
  note(group);
  const std::optional<MonotonicTime> next = group.next_deadline();
  if (next == group.scheduled_at) {
    return;
  }
  if (group.scheduled_at) {
    deadlines_.erase({*group.scheduled_at, group.id()});
  }
  if (next) {
    deadlines_.emplace(*next, group.id());
  }
  group.scheduled_at = next;
}

void GroupCoordinator::erase(Group& group) {
  if (group.scheduled_at) {
    deadlines_.erase({*group.scheduled_at, group.id()});
  }
  for (const TopicId& topic : group.topics_noted) {
    const auto noted = groups_by_topic_.find(topic);
    noted->second.erase(group.id());
    if (noted->second.empty()) {
      groups_by_topic_.erase(noted);
    }
  }
  membership_bytes_ -= group.counted_membership_bytes;
  expected_bytes_ -= group.counted_expected_bytes;
  offset_bytes_ -= group.counted_offset_bytes;
  const std::string group_id = group.id();
  const bool is_noted = group.is_noted;
  groups_.erase(groups_.find(group_id));
  if (is_watched_ && !is_noted) {
    note_id(group_id);
  }
}

void GroupCoordinator::note_topic(Group& group, const TopicId& topic) {
  if (group.topics_noted.insert(topic).second) {
    groups_by_topic_[topic].insert(group.id());
  }
}

// --- Membership ---

void GroupCoordinator::join_group(JoinGroupRequest request, Ticket ticket, const Moment& moment,
                                  Effects& effects) {
  Group* group = find(request.group_id);
  ErrorCode error = ErrorCode::kNone;
  if (request.group_id.empty()) {
    error = ErrorCode::kInvalidGroupId;
  } else if (request.session_timeout < options_.session_timeout_min ||
             request.session_timeout > options_.session_timeout_max) {
    error = ErrorCode::kInvalidSessionTimeout;
  } else if (group == nullptr && !request.member_id.empty()) {
    error = ErrorCode::kUnknownMemberId;
  } else if (group == nullptr && groups_.size() >= options_.group_count_max) {
    error = ErrorCode::kCoordinatorNotAvailable;
  } else {
    make_room_for_members(request);
    error = check_join_bounds(request, group);
  }
  if (error != ErrorCode::kNone) {
    effects.join_answers.push_back(
        {ticket, {.error = error, .member_id = std::move(request.member_id)}});
    return;
  }
  if (group == nullptr) {
    group = &find_or_create(request.group_id);
  }
  group->join(std::move(request), ticket, moment, effects);
  recount(*group);
  settle(*group);
}

void GroupCoordinator::sync_group(const SyncGroupRequest& request, Ticket ticket,
                                  const Moment& moment, Effects& effects) {
  Group* group = find(request.member.group_id);
  if (group == nullptr) {
    effects.sync_answers.push_back(
        {ticket,
         {.error = request.member.group_id.empty() ? ErrorCode::kInvalidGroupId
                                                   : ErrorCode::kUnknownMemberId}});
    return;
  }
  if (const ErrorCode error = check_sync_bounds(request, *group); error != ErrorCode::kNone) {
    effects.sync_answers.push_back({ticket, {.error = error}});
    return;
  }
  group->sync(request, ticket, moment, effects);
  recount(*group);
  settle(*group);
}

ErrorCode GroupCoordinator::heartbeat(const GroupMemberKey& member, const Moment& moment,
                                      Effects& effects) {
  Group* group = find(member.group_id);
  if (group == nullptr) {
    return member.group_id.empty() ? ErrorCode::kInvalidGroupId : ErrorCode::kUnknownMemberId;
  }
  const ErrorCode error = group->heartbeat(member, moment, effects);
  settle(*group);
  return error;
}

std::vector<ErrorCode> GroupCoordinator::leave_group(std::string_view group_id,
                                                     std::span<const MemberToRemove> members,
                                                     const Moment& moment, Effects& effects) {
  Group* group = find(group_id);
  if (group == nullptr) {
    return std::vector<ErrorCode>(members.size(), ErrorCode::kUnknownMemberId);
  }
  std::vector<ErrorCode> errors = group->leave(members, moment, effects);
  recount(*group);
  settle(*group);
  return errors;
}

void GroupCoordinator::on_ticket_lost(std::string_view group_id, Ticket ticket,
                                      const Moment& moment) {
  if (Group* group = find(group_id)) {
    group->on_ticket_lost(ticket, moment);
    settle(*group);
  }
}

// --- Offsets ---

OffsetCommitReply GroupCoordinator::commit_offsets(const GroupMemberKey& member,
                                                   std::span<const OffsetToCommit> offsets,
                                                   std::int16_t api_version, const Moment& moment,
                                                   Effects& effects) {
  ErrorCode error = ErrorCode::kNone;
  if (Group* group = find(member.group_id)) {
    error = group->check_commit(member, Group::CommitKind::kPlain, moment, effects);
    settle(*group);
  } else if (member.generation.value >= 0) {
    error = api_version >= kOffsetCommitVersionWithGroupNotFound ? ErrorCode::kGroupIdNotFound
                                                                 : ErrorCode::kIllegalGeneration;
  }
  if (error != ErrorCode::kNone) {
    return refused(error, offsets.size());
  }
  return write_offsets(member.group_id, std::nullopt, offsets, moment, effects);
}

OffsetCommitReply GroupCoordinator::commit_pending_offsets(const GroupMemberKey& member,
                                                           ProducerId producer,
                                                           std::span<const OffsetToCommit> offsets,
                                                           const Moment& moment, Effects& effects) {
  ErrorCode error = ErrorCode::kNone;
  if (Group* group = find(member.group_id)) {
    error = group->check_commit(member, Group::CommitKind::kTransactional, moment, effects);
    settle(*group);
  } else if (member.generation.value >= 0) {
    error = ErrorCode::kIllegalGeneration;
  }
  if (error != ErrorCode::kNone) {
    return refused(error, offsets.size());
  }
  return write_offsets(member.group_id, producer, offsets, moment, effects);
}

OffsetCommitReply GroupCoordinator::write_offsets(std::string_view group_id,
                                                  std::optional<ProducerId> producer,
                                                  std::span<const OffsetToCommit> offsets,
                                                  const Moment& moment, Effects& effects) {
  if (find(group_id) == nullptr && groups_.size() >= options_.group_count_max) {
    return refused(ErrorCode::kCoordinatorNotAvailable, offsets.size());
  }
  if (!may_be_named(group_id)) {
    return refused(ErrorCode::kInvalidGroupId, offsets.size());
  }
  OffsetCommitReply reply;
  reply.partition_errors.reserve(offsets.size());
  std::vector<OffsetToCommit> accepted;
  accepted.reserve(offsets.size());
  const Group* const group = find(group_id);
  std::size_t bytes = offset_bytes_;
  // An offset that moves takes no more room than before, so it may move when there is none left;
  // but in a transaction there are two of it until that ends.
  const std::size_t pending_bytes_max = options_.offset_bytes_max + options_.offset_bytes_max / 4;
  for (const OffsetToCommit& offset : offsets) {
    ErrorCode error = ErrorCode::kNone;
    const CommittedOffset* const old =
        group == nullptr ? nullptr : group->offsets().find(offset.partition);
    const std::size_t before = old == nullptr ? 0 : kOffsetBytes + old->metadata.size();
    const std::size_t after = kOffsetBytes + offset.metadata.size();
    if (offset.metadata.size() > options_.offset_metadata_bytes_max) {
      error = ErrorCode::kOffsetMetadataTooLarge;
    } else if (after > before && bytes + after - before > options_.offset_bytes_max) {
      error = ErrorCode::kInvalidCommitOffsetSize;
    } else if (producer && bytes + after > pending_bytes_max) {
      error = ErrorCode::kInvalidCommitOffsetSize;
    } else {
      bytes += after > before ? after - before : 0;
      accepted.push_back(offset);
    }
    reply.partition_errors.push_back(error);
  }
  if (accepted.empty()) {
    return reply;
  }
  Buffer record = begin_record(producer ? RecordKind::kPendingOffsets : RecordKind::kOffsets);
  WireWriter writer(record);
  if (producer) {
    writer.write_int64(producer->value);
  }
  encode_offset_write(writer, group_id, accepted, moment.wall);
  WireReader reader = record_body(record);
  replay_offset_write(reader, producer.has_value());
  CHECK(reader.ok());
  effects.entries.push_back({.record = std::move(record)});
  settle(*find(group_id));
  return reply;
}

std::vector<FetchedOffset> GroupCoordinator::fetch_offsets(
    std::string_view group_id, std::span<const TopicIdPartition> partitions,
    RequireStable require_stable) const {
  const Group* group = find(group_id);
  std::vector<FetchedOffset> answers;
  answers.reserve(partitions.size());
  for (const TopicIdPartition& partition : partitions) {
    answers.push_back(group == nullptr ? FetchedOffset{.partition = partition}
                                       : fetched(group->offsets(), partition, require_stable));
  }
  return answers;
}

std::vector<FetchedOffset> GroupCoordinator::fetch_all_offsets(std::string_view group_id,
                                                               RequireStable require_stable) const {
  const Group* group = find(group_id);
  if (group == nullptr) {
    return {};
  }
  std::set<TopicIdPartition> partitions;
  for (const auto& [partition, committed] : group->offsets().committed()) {
    partitions.insert(partition);
  }
  if (require_stable == RequireStable::kYes) {
    for (const auto& [producer, pending] : group->offsets().pending()) {
      for (const auto& [partition, offset] : pending) {
        partitions.insert(partition);
      }
    }
  }
  std::vector<FetchedOffset> answers;
  answers.reserve(partitions.size());
  for (const TopicIdPartition& partition : partitions) {
    answers.push_back(fetched(group->offsets(), partition, require_stable));
  }
  return answers;
}

void GroupCoordinator::remove_topic(const TopicId& topic) {
  const auto noted = groups_by_topic_.extract(topic);
  if (noted.empty()) {
    return;
  }
  for (const std::string& group_id : noted.mapped()) {
    Group& group = *find(group_id);
    group.topics_noted.erase(topic);
    group.offsets().remove_topic(topic);
    settle(group);
  }
}

// --- Looking, and deleting ---

GroupDescription GroupCoordinator::describe(std::string_view group_id) const {
  const Group* group = find(group_id);
  return group == nullptr ? GroupDescription{.group_id = std::string(group_id), .state = "Dead"}
                          : group->describe();
}

std::vector<GroupDescription> GroupCoordinator::list() const {
  std::vector<GroupDescription> listed;
  listed.reserve(groups_.size());
  for (const auto& [group_id, group] : groups_) {
    listed.push_back(group->describe_without_members());
  }
  return listed;
}

ErrorCode GroupCoordinator::delete_group(std::string_view group_id, Effects& effects) {
  Group* group = find(group_id);
  if (group == nullptr) {
    return ErrorCode::kGroupIdNotFound;
  }
  if (group->state() != GroupState::kEmpty || !group->offsets().pending().empty()) {
    return ErrorCode::kNonEmptyGroup;
  }
  if (!group->is_durable()) {
    erase(*group);
    return ErrorCode::kNone;
  }
  Buffer record = begin_record(RecordKind::kGroupDeleted);
  WireWriter writer(record);
  writer.write_sized_string(group_id);
  writer.write_int32(group->generation().value);
  WireReader reader = record_body(record);
  replay_group_deleted(reader);
  CHECK(reader.ok());
  effects.entries.push_back({.record = std::move(record)});
  return ErrorCode::kNone;
}

std::vector<ErrorCode> GroupCoordinator::delete_offsets(
    std::string_view group_id, std::span<const TopicIdPartition> partitions, Effects& effects) {
  const Group* const group = find(group_id);
  if (group == nullptr) {
    return std::vector<ErrorCode>(partitions.size(), ErrorCode::kGroupIdNotFound);
  }
  std::vector<ErrorCode> errors;
  std::vector<TopicIdPartition> deleted;
  for (const TopicIdPartition& partition : partitions) {
    const bool is_pending = group->offsets().is_pending(partition);
    errors.push_back(is_pending ? ErrorCode::kUnstableOffsetCommit : ErrorCode::kNone);
    if (!is_pending && group->offsets().find(partition) != nullptr) {
      deleted.push_back(partition);
    }
  }
  if (deleted.empty()) {
    return errors;
  }
  Buffer record = begin_record(RecordKind::kOffsetsDeleted);
  WireWriter writer(record);
  writer.write_sized_string(group_id);
  writer.write_unsigned_varint(deleted.size());
  for (const TopicIdPartition& partition : deleted) {
    write_partition(writer, partition);
  }
  WireReader reader = record_body(record);
  replay_offsets_deleted(reader);
  CHECK(reader.ok());
  effects.entries.push_back({.record = std::move(record)});
  if (Group* const left = find(group_id)) {
    settle(*left);
  }
  return errors;
}

// --- Watching ---

void GroupCoordinator::watch() {
  is_watched_ = true;
  is_anew_ = true;
  noted_.clear();
  taken_.clear();
  next_taken_ = 0;
  for (const auto& [group_id, group] : groups_) {
    group->is_noted = true;
    group->offsets().watch();
    taken_.push_back(group_id);
  }
}

void GroupCoordinator::note(Group& group) {
  if (!is_watched_ || group.is_noted ||
      (!group.offsets().has_changes() && group.state() == group.told_state &&
       group.member_count() == group.told_member_count)) {
    return;
  }
  group.is_noted = true;
  note_id(group.id());
}

void GroupCoordinator::note_id(const std::string& group_id) {
  noted_.push_back(group_id);
  if (noted_.size() > 2 * groups_.size() + kNotedMin) {
    watch();
  }
}

void GroupCoordinator::begin_news() {
  taken_.erase(taken_.begin(), taken_.begin() + static_cast<std::ptrdiff_t>(next_taken_));
  next_taken_ = 0;
  std::ranges::move(std::exchange(noted_, {}), std::back_inserter(taken_));
}

GroupCoordinator::News GroupCoordinator::take_news(std::size_t count_max) {
  News news{.is_anew = std::exchange(is_anew_, false), .groups = {}};
  for (std::size_t left = count_max; left > 0 && next_taken_ < taken_.size();) {
    const std::string& group_id = taken_[next_taken_];
    --left;
    Group* const group = find(group_id);
    if (group == nullptr) {
      news.groups.push_back({.group_id = group_id, .is_gone = true});
      ++next_taken_;
      continue;
    }
    GroupNews& told =
        news.groups.emplace_back(GroupNews{.group_id = group_id,
                                           .state = to_string(group->state()),
                                           .member_count = group->member_count(),
                                           .offsets = group->offsets().take_changes(left)});
    left -= told.offsets.offsets.size();
    group->told_state = group->state();
    group->told_member_count = group->member_count();
    if (!group->offsets().has_changes()) {
      group->is_noted = false;
      ++next_taken_;
    }
  }
  return news;
}

// --- Transactions ---

void GroupCoordinator::end_transaction(ProducerId producer, TransactionResult result,
                                       std::span<const std::string> groups) {
  if (options_.seeded_bug == SeededBug::kCommitOffsetsOfAborted) {
    result = TransactionResult::kCommit;
  }
  for (const std::string& group_id : groups) {
    if (Group* group = find(group_id)) {
      group->offsets().end_transaction(producer, result);
      settle(*group);
    }
  }
}

bool GroupCoordinator::has_pending_offsets(std::string_view group_id, ProducerId producer) const {
  const Group* group = find(group_id);
  return group != nullptr && group->offsets().pending().contains(producer);
}

// --- Time ---

std::optional<MonotonicTime> GroupCoordinator::next_deadline() const {
  return deadlines_.empty() ? std::nullopt : std::optional(deadlines_.begin()->first);
}

void GroupCoordinator::on_time(const Moment& moment, Effects& effects) {
  for (std::size_t left = kGroupsAtOnce;
       left > 0 && !deadlines_.empty() && deadlines_.begin()->first <= moment.monotonic; --left) {
    const std::string group_id = deadlines_.begin()->second;
    Group& group = *find(group_id);
    group.on_time(moment, effects);
    recount(group);
    if (group.is_expired(moment.monotonic)) {
      CHECK(delete_group(group_id, effects) == ErrorCode::kNone);
    } else {
      settle(group);
    }
  }
}

void GroupCoordinator::restart_clocks(const Moment& moment, Effects& effects) {
  deadlines_.clear();
  for (auto place = groups_.begin(); place != groups_.end();) {
    Group& group = *(place++)->second;
    group.scheduled_at.reset();
    group.restart_clocks(moment, effects);
    recount(group);
    settle(group);
  }
}

// --- Replay ---

void GroupCoordinator::replay_group(WireReader& reader) {
  const std::string group_id = read_client_text(reader);
  GroupImage image = GroupImage::decode(reader);
  if (reader.ok()) {
    find_or_create(group_id).set_image(std::move(image));
  }
}

void GroupCoordinator::replay_member_removed(WireReader& reader) {
  const std::string group_id = read_client_text(reader);
  const std::string member_id = read_client_text(reader);
  if (Group* group = find(group_id); reader.ok() && group != nullptr) {
    group->remove_from_image(member_id);
  } else {
    reader.fail();
  }
}

void GroupCoordinator::replay_member_silence(WireReader& reader) {
  const std::string group_id = read_client_text(reader);
  const std::string member_id = read_client_text(reader);
  std::optional<Beginning> since;
  if (reader.read_bool()) {
    since = Beginning::decode(reader);
  }
  Group* group = find(group_id);
  if (!reader.ok() || group == nullptr || !group->set_silence(member_id, since)) {
    reader.fail();
  }
}

void GroupCoordinator::replay_offsets_deleted(WireReader& reader) {
  Group* const group = find(read_client_text(reader));
  for (std::size_t left = read_count(reader, sizeof(TopicId) + sizeof(std::int32_t)); left > 0;
       --left) {
    const TopicIdPartition partition = read_partition(reader);
    if (!reader.ok() || group == nullptr) {
      reader.fail();
      return;
    }
    group->offsets().remove(partition);
  }
}

void GroupCoordinator::replay_group_deleted(WireReader& reader) {
  const std::string group_id = read_client_text(reader);
  const GenerationId generation(reader.read_int32());
  Group* group = find(group_id);
  if (!reader.ok() || group == nullptr) {
    reader.fail();
    return;
  }
  deleted_generation_max_ = std::max(deleted_generation_max_, generation);
  erase(*group);
}

void GroupCoordinator::replay_offsets(WireReader& reader) { replay_offset_write(reader, false); }

void GroupCoordinator::replay_pending_offsets(WireReader& reader) {
  replay_offset_write(reader, true);
}

void GroupCoordinator::replay_offset_write(WireReader& reader, bool is_pending) {
  const ProducerId producer = is_pending ? ProducerId(reader.read_int64()) : kNoProducerId;
  const std::string group_id = read_client_text(reader);
  const WallTime written_at{reader.read_int64()};
  const std::vector<OffsetToCommit> offsets = decode_offset_write(reader);
  if (!reader.ok()) {
    return;
  }
  Group& group = find_or_create(group_id);
  for (const OffsetToCommit& offset : offsets) {
    note_topic(group, offset.partition.topic_id);
  }
  GroupOffsets& destination = group.offsets();
  if (is_pending) {
    destination.add_pending(producer, offsets, written_at);
  } else {
    destination.commit(offsets, written_at);
  }
}

void GroupCoordinator::write_snapshot(WireWriter& writer) const {
  writer.write_int32(deleted_generation_max_.value);
  const auto is_durable = [](const auto& entry) { return entry.second->is_durable(); };
  writer.write_unsigned_varint(
      static_cast<std::uint64_t>(std::ranges::count_if(groups_, is_durable)));
  for (const auto& entry : groups_) {
    if (is_durable(entry)) {
      writer.write_sized_string(entry.first);
      entry.second->image().encode(writer);
      entry.second->offsets().encode(writer);
      writer.write_unsigned_varint(entry.second->silences().size());
      for (const auto& [member_id, since] : entry.second->silences()) {
        writer.write_sized_string(member_id);
        since.encode(writer);
      }
    }
  }
}

void GroupCoordinator::restore(WireReader& reader, std::int8_t version) {
  deleted_generation_max_ = GenerationId(reader.read_int32());
  for (std::size_t left = read_count(reader, 1); left > 0 && reader.ok(); --left) {
    const std::string group_id = read_client_text(reader);
    GroupImage image = GroupImage::decode(reader);
    if (!reader.ok()) {
      return;
    }
    Group& group = find_or_create(group_id);
    group.set_image(std::move(image));
    group.offsets().decode(reader);
    for (const auto& [partition, committed] : group.offsets().committed()) {
      note_topic(group, partition.topic_id);
    }
    for (const auto& [producer, pending] : group.offsets().pending()) {
      for (const auto& [partition, offset] : pending) {
        note_topic(group, partition.topic_id);
      }
    }
    if (version < kSnapshotVersionWithBeginnings) {
      continue;
    }
    for (std::size_t silent = read_count(reader, 2); silent > 0 && reader.ok(); --silent) {
      const std::string member_id = read_client_text(reader);
      if (const Beginning since = Beginning::decode(reader);
          !reader.ok() || !group.set_silence(member_id, since)) {
        reader.fail();
      }
    }
  }
}

}  // namespace onceflow::coordinator
