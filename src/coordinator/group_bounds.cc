// How much clients may put into groups: what their members take, and what is refused for it.
#include <algorithm>
#include <map>

#include "coordinator/group.h"
#include "coordinator/group_coordinator.h"

namespace onceflow::coordinator {
namespace {

// In memory: a node with a short text.
constexpr std::size_t kExpectedMemberBytes = 96;
// Of one member; clients have a few.
constexpr std::size_t kProtocolsMax = 100;

}  // namespace

std::size_t Group::membership_bytes() const {
  std::size_t bytes = assignment_bytes() + expected_bytes();
  for (const Member& member : members_) {
    bytes += member.id.size() + member.client_id.size() + member.client_host.size() +
             bytes_of(member.protocols);
  }
  return bytes;
}

std::size_t Group::expected_bytes() const {
  std::size_t bytes = 0;
  for (const auto& [member_id, expected] : expected_members_) {
    bytes += kExpectedMemberBytes + member_id.size();
  }
  return bytes;
}

// Of a connection that has most of them, and if the one that asks has as many, of that: so who asks
// for ids without end displaces its own alone, and an honest member keeps its one until it joins.
bool Group::displace_expected(ConnectionNumber asking) {
  std::map<ConnectionNumber, std::size_t> counts;
  std::size_t most = 0;
  for (const auto& [member_id, expected] : expected_members_) {
    most = std::max(most, ++counts[expected.connection]);
  }
  const bool asking_has_most = most > 0 && counts[asking] == most;
  auto oldest = expected_members_.end();
  for (auto place = expected_members_.begin(); place != expected_members_.end(); ++place) {
    const ConnectionNumber connection = place->second.connection;
    const bool may_go = asking_has_most ? connection == asking : counts[connection] == most;
    if (may_go &&
        (oldest == expected_members_.end() || place->second.given < oldest->second.given)) {
      oldest = place;
    }
  }
  if (oldest == expected_members_.end()) {
    return false;
  }
  expected_members_.erase(oldest);
  return true;
}

std::size_t Group::expected_bytes_of(const JoinGroupRequest& request) {
  return needs_id(request)
             ? kExpectedMemberBytes + request.client_id.size() + 1 + request.random_uuid.size()
             : 0;
}

std::size_t Group::bytes_before(const JoinGroupRequest& request) const {
  if (const auto expected = expected_members_.find(request.member_id);
      expected != expected_members_.end()) {
    return kExpectedMemberBytes + expected->first.size();
  }
  const auto own = find_own(request);
  return own == members_.end() ? 0 : bytes_of(own->protocols);
}

std::size_t Group::assignment_bytes() const {
  std::size_t bytes = 0;
  for (const Member& member : members_) {
    bytes += member.assignment.size();
  }
  return bytes;
}

// What is there already, from before there was a bound, is kept, and may be changed; nothing is
// added beyond it.
ErrorCode GroupCoordinator::check_join_bounds(const JoinGroupRequest& request,
                                              const Group* group) const {
  const auto is_long = [&](std::string_view id) { return id.size() > options_.id_bytes_max; };
  if (is_long(request.group_id)) {
    return ErrorCode::kInvalidGroupId;
  }
  if (is_long(request.member_id) || is_long(request.client_id) ||
      is_long(request.instance_id.value_or("")) || is_long(request.protocol_type)) {
    return ErrorCode::kInvalidRequest;
  }
  std::size_t bytes = bytes_of(request.protocols);
  if (bytes > options_.member_bytes_max || request.protocols.size() > kProtocolsMax) {
    return ErrorCode::kInvalidRequest;
  }
  bytes += Group::expected_bytes_of(request);
  const std::size_t before = group == nullptr ? 0 : group->bytes_before(request);
  const std::size_t of_group = group == nullptr ? 0 : group->counted_membership_bytes;
  if (bytes > before && (of_group - before + bytes > options_.group_bytes_max ||
                         membership_bytes_ - before + bytes > options_.membership_bytes_max)) {
    return ErrorCode::kGroupMaxSizeReached;
  }
  return ErrorCode::kNone;
}

// Where all groups together have no room for it: what was given to those who do not come back must
// keep nobody out.
void GroupCoordinator::make_room_for_members(const JoinGroupRequest& request) {
  const std::size_t protocol_bytes = bytes_of(request.protocols);
  const std::size_t bytes = protocol_bytes + Group::expected_bytes_of(request);
  if (membership_bytes_ + bytes <= options_.membership_bytes_max || expected_bytes_ == 0 ||
      protocol_bytes > options_.member_bytes_max) {
    return;
  }
  for (auto place = groups_.begin(); place != groups_.end();) {
    Group& group = *(place++)->second;
    if (group.expected_bytes() > 0 && group.id() != request.group_id) {
      group.forget_expected();
      recount(group);
      settle(group);
    }
  }
}

ErrorCode GroupCoordinator::check_sync_bounds(const SyncGroupRequest& request,
                                              const Group& group) const {
  std::size_t bytes = 0;
  for (const SyncGroupRequest::Assignment& assignment : request.assignments) {
    bytes += assignment.assignment.size();
    if (assignment.assignment.size() > options_.member_bytes_max) {
      return ErrorCode::kInvalidRequest;
    }
  }
  const std::size_t before = group.assignment_bytes();
  const bool is_beyond = bytes > options_.group_bytes_max ||
                         membership_bytes_ - before + bytes > options_.membership_bytes_max;
  return bytes > before && is_beyond ? ErrorCode::kInvalidRequest : ErrorCode::kNone;
}

std::size_t GroupCoordinator::membership_bytes_of(std::string_view group_id) const {
  const Group* const group = find(group_id);
  return group == nullptr ? 0 : group->counted_membership_bytes;
}

std::size_t GroupCoordinator::offset_bytes_of(std::string_view group_id) const {
  const Group* const group = find(group_id);
  return group == nullptr ? 0 : group->offsets().size_bytes();
}

}  // namespace onceflow::coordinator
