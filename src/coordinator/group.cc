#include "coordinator/group.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "coordinator/records.h"

namespace onceflow::coordinator {
namespace {

constexpr std::int16_t kJoinVersionWithKnownId = 4;
constexpr std::int16_t kJoinVersionWithSkipAssignment = 9;
constexpr std::size_t kLeavingCountLookedFor = 16;

void refuse(const JoinGroupRequest& request, Ticket ticket, ErrorCode error, Effects& effects) {
  effects.join_answers.push_back({ticket, {.error = error, .member_id = request.member_id}});
}

}  // namespace

// --- JoinGroup ---

bool Group::needs_id(const JoinGroupRequest& request) {
  return request.member_id.empty() && !request.instance_id &&
         request.api_version >= kJoinVersionWithKnownId;
}

void Group::join(JoinGroupRequest request, Ticket ticket, const Moment& moment, Effects& effects) {
  if (!supports_protocols(request)) {
    refuse(request, ticket, ErrorCode::kInconsistentGroupProtocol, effects);
  } else if (request.member_id.empty()) {
    join_unknown(request, ticket, moment, effects);
  } else {
    join_known(request, ticket, moment, effects);
  }
}

void Group::join_unknown(JoinGroupRequest& request, Ticket ticket, const Moment& moment,
                         Effects& effects) {
  if (request.instance_id) {
    if (const auto place = find_static_member(*request.instance_id); place != members_.end()) {
      replace_static_member(place, request, ticket, moment, effects);
      return;
    }
  }
  if (members_.size() + expected_members_.size() >= options_.group_size_max &&
      !displace_expected(request.connection)) {
    refuse(request, ticket, ErrorCode::kGroupMaxSizeReached, effects);
    return;
  }
  std::string member_id =
      request.instance_id.value_or(request.client_id) + "-" + request.random_uuid;
  if (needs_id(request)) {
    // KIP-394: whoever is lost before it knows its id leaves no member behind.
    expected_members_.insert_or_assign(
        member_id, ExpectedMember{.given = moment.monotonic,
                                  .deadline = moment.monotonic + request.session_timeout,
                                  .connection = request.connection});
    effects.join_answers.push_back(
        {ticket, {.error = ErrorCode::kMemberIdRequired, .member_id = std::move(member_id)}});
    return;
  }
  add_member(request, std::move(member_id), ticket, moment, effects);
}

void Group::join_known(JoinGroupRequest& request, Ticket ticket, const Moment& moment,
                       Effects& effects) {
  if (const auto expected = expected_members_.find(request.member_id);
      expected != expected_members_.end() && !request.instance_id) {
    expected_members_.erase(expected);
    add_member(request, request.member_id, ticket, moment, effects);
    return;
  }
  ErrorCode error = ErrorCode::kNone;
  const auto place = find_checked(request.member_id, request.instance_id, error);
  if (place == members_.end()) {
    refuse(request, ticket, error, effects);
    return;
  }
  const bool is_unchanged = place->protocols == request.protocols;
  const bool needs_rebalance = state_ == GroupState::kPreparingRebalance || !is_unchanged ||
                               (state_ == GroupState::kStable && place->id == leader_);
  if (needs_rebalance) {
    update(*place, request);
    rebalance_for(place, ticket, moment, effects);
    return;
  }
  hear(*place, moment, effects);
  effects.join_answers.push_back({ticket, current_generation(*place)});
}

void Group::add_member(JoinGroupRequest& request, std::string member_id, Ticket ticket,
                       const Moment& moment, Effects& effects) {
  Member member;
  member.id = std::move(member_id);
  member.instance_id = request.instance_id;
  update(member, request);
  members_.push_back(std::move(member));
  has_new_member_ = true;
  rebalance_for(members_.end() - 1, ticket, moment, effects);
}

/// KIP-345: the instance has started again; its former life is fenced from here on.
void Group::replace_static_member(MemberPlace place, JoinGroupRequest& request, Ticket ticket,
                                  const Moment& moment, Effects& effects) {
  Member& member = *place;
  answer_waiting(member, ErrorCode::kFencedInstanceId, effects);
  const std::string old_id =
      std::exchange(member.id, *request.instance_id + "-" + request.random_uuid);
  const std::string old_leader = leader_;
  if (leader_ == old_id) {
    leader_ = member.id;
  }
  update(member, request);
  if (state_ != GroupState::kStable || select_protocol() != protocol_name_) {
    persist_removal(old_id, effects);
    rebalance_for(place, ticket, moment, effects);
    return;
  }
  persist(generation(), effects);
  hear(member, moment, effects);
  JoinGroupReply reply = current_generation(member);
  if (request.api_version >= kJoinVersionWithSkipAssignment) {
    reply.skip_assignment = member.id == leader_;
  } else {
    // A stable group would not pass on a new assignment: told the leader's old id, this one does
    // not take itself for the leader, and makes none.
    reply.leader = old_leader;
    reply.members.clear();
  }
  effects.join_answers.push_back({ticket, std::move(reply)});
}

void Group::rebalance_for(MemberPlace place, Ticket ticket, const Moment& moment,
                          Effects& effects) {
  answer_waiting(*place, ErrorCode::kRebalanceInProgress, effects);
  hear(*place, moment, effects);
  place->joining = ticket;
  if (state_ != GroupState::kPreparingRebalance) {
    prepare_rebalance(moment, effects);
  }
  try_complete_join(moment, effects);
}

/// What the member says of itself now; moved out of the request.
void Group::update(Member& member, JoinGroupRequest& request) {
  protocol_type_ = std::move(request.protocol_type);
  member.client_id = std::move(request.client_id);
  member.client_host = std::move(request.client_host);
  member.session_timeout = request.session_timeout;
  member.rebalance_timeout = request.rebalance_timeout > Duration::zero()
                                 ? request.rebalance_timeout
                                 : request.session_timeout;
  count_protocols(member, -1);
  member.protocols = std::move(request.protocols);
  count_protocols(member, 1);
}

void Group::count_protocols(const Member& member, int change) {
  std::set<std::string_view> names;
  for (const GroupProtocol& protocol : member.protocols) {
    if (names.insert(protocol.name).second) {
      const auto counted = supporters_.try_emplace(protocol.name, 0).first;
      counted->second += static_cast<std::size_t>(change);
      if (counted->second == 0) {
        supporters_.erase(counted);
      }
    }
  }
}

// --- Rebalance ---

void Group::prepare_rebalance(const Moment& moment, Effects& effects) {
  const bool was_empty = state_ == GroupState::kEmpty;
  for (Member& member : members_) {
    if (member.syncing) {
      answer_waiting(member, ErrorCode::kRebalanceInProgress, effects);
      refresh_session(member, moment);
    }
    member.has_to_sync = false;
  }
  state_ = GroupState::kPreparingRebalance;
  sync_deadline_.reset();
  empty_since_.reset();
  is_initial_join_ = was_empty && options_.initial_rebalance_delay > Duration::zero();
  if (is_initial_join_) {
    join_deadline_ = moment.monotonic + options_.initial_rebalance_delay;
    initial_delay_left_ =
        std::max(rebalance_timeout() - options_.initial_rebalance_delay, Duration::zero());
    has_new_member_ = false;
  } else {
    join_deadline_ = moment.monotonic + rebalance_timeout();
  }
}

void Group::try_complete_join(const Moment& moment, Effects& effects) {
  if (state_ != GroupState::kPreparingRebalance) {
    return;
  }
  const bool all_joined = !is_initial_join_ && expected_members_.empty() &&
                          std::ranges::all_of(members_, [](const Member& member) {
                            return member.joining.has_value();
                          });
  if (all_joined || members_.empty()) {
    complete_join(moment, effects);
  }
}

void Group::on_join_deadline(const Moment& moment, Effects& effects) {
  if (is_initial_join_ && has_new_member_ && initial_delay_left_ > Duration::zero()) {
    const Duration delay = std::min(options_.initial_rebalance_delay, initial_delay_left_);
    has_new_member_ = false;
    initial_delay_left_ -= delay;
    join_deadline_ = moment.monotonic + delay;
    return;
  }
  complete_join(moment, effects);
}

void Group::complete_join(const Moment& moment, Effects& effects) {
  std::erase_if(members_, [this](const Member& member) {
    const bool is_gone = !member.joining && !member.instance_id.has_value();
    if (is_gone) {
      count_protocols(member, -1);
    }
    return is_gone;
  });
  const auto first_joined = std::ranges::find_if(
      members_, [](const Member& member) { return member.joining.has_value(); });
  if (first_joined == members_.end() && !members_.empty()) {
    // Only static members, and none is back yet: they keep what they have until their sessions end.
    join_deadline_ = moment.monotonic + rebalance_timeout();
    return;
  }
  const auto leader = find_member(leader_);
  if (leader == members_.end() || !leader->joining) {
    leader_ = members_.empty() ? std::string() : first_joined->id;
  }
  begin_next_generation(moment, effects);
}

void Group::begin_next_generation(const Moment& moment, Effects& effects) {
  is_initial_join_ = false;
  has_new_member_ = false;
  if (members_.empty()) {
    state_ = GroupState::kEmpty;
    protocol_name_.clear();
    empty_since_ = moment.monotonic;
  } else {
    state_ = GroupState::kCompletingRebalance;
    protocol_name_ = select_protocol();
    sync_deadline_ = moment.monotonic + rebalance_timeout();
  }
  for (Member& member : members_) {
    member.assignment.clear();
    member.has_to_sync = member.joining.has_value();
  }
  const GenerationId next = std::max(generation(), generation_floor_) + 1;
  CHECK_INVARIANT("GRP-1", next > generation() && next > generation_floor_);
  persist(next, effects);
  for (Member& member : members_) {
    if (member.joining) {
      answer_join(member, moment, effects);
    }
  }
}

// --- SyncGroup ---

void Group::sync(const SyncGroupRequest& request, Ticket ticket, const Moment& moment,
                 Effects& effects) {
  ErrorCode error = ErrorCode::kNone;
  const auto place = find_checked(request.member.member_id, request.member.instance_id, error);
  if (place != members_.end()) {
    if (request.member.generation != generation()) {
      error = ErrorCode::kIllegalGeneration;
    } else if ((request.protocol_type && *request.protocol_type != protocol_type_) ||
               (request.protocol_name && *request.protocol_name != protocol_name_)) {
      error = ErrorCode::kInconsistentGroupProtocol;
    } else if (state_ == GroupState::kPreparingRebalance) {
      error = ErrorCode::kRebalanceInProgress;
    }
  }
  if (error != ErrorCode::kNone) {
    effects.sync_answers.push_back({ticket, {.error = error}});
    return;
  }
  Member& member = *place;
  member.has_to_sync = false;
  hear(member, moment, effects);
  if (state_ == GroupState::kStable) {
    effects.sync_answers.push_back({ticket, current_assignment(member)});
    return;
  }
  CHECK(state_ == GroupState::kCompletingRebalance);
  answer_waiting(member, ErrorCode::kRebalanceInProgress, effects);
  member.syncing = ticket;
  if (member.id == leader_) {
    assign(request, moment, effects);
  }
}

void Group::assign(const SyncGroupRequest& request, const Moment& moment, Effects& effects) {
  std::map<std::string_view, const Buffer*> given;
  for (const SyncGroupRequest::Assignment& assignment : request.assignments) {
    given.emplace(assignment.member_id, &assignment.assignment);
  }
  for (Member& member : members_) {
    const auto place = given.find(member.id);
    member.assignment = place == given.end() ? Buffer{} : *place->second;
  }
  state_ = GroupState::kStable;
  persist(generation(), effects);
  for (Member& member : members_) {
    if (member.syncing) {
      effects.sync_answers.push_back(
          {*std::exchange(member.syncing, std::nullopt), current_assignment(member)});
      refresh_session(member, moment);
    }
  }
}

// --- Heartbeat, LeaveGroup, commits ---

ErrorCode Group::heartbeat(const GroupMemberKey& key, const Moment& moment, Effects& effects) {
  ErrorCode error = ErrorCode::kNone;
  const auto place = find_checked(key.member_id, key.instance_id, error);
  if (place == members_.end()) {
    return error;
  }
  if (key.generation != generation()) {
    return ErrorCode::kIllegalGeneration;
  }
  hear(*place, moment, effects);
  return state_ == GroupState::kPreparingRebalance ? ErrorCode::kRebalanceInProgress
                                                   : ErrorCode::kNone;
}

std::vector<ErrorCode> Group::leave(std::span<const MemberToRemove> leaving, const Moment& moment,
                                    Effects& effects) {
  // A member is looked for among all; of those who are none any number may be named.
  std::set<std::string, std::less<>> known;
  if (leaving.size() > kLeavingCountLookedFor) {
    for (const Member& member : members_) {
      known.insert(member.id);
      if (member.instance_id) {
        known.insert(*member.instance_id);
      }
    }
    for (const auto& [member_id, expected] : expected_members_) {
      known.insert(member_id);
    }
  }
  std::vector<ErrorCode> errors;
  errors.reserve(leaving.size());
  for (const MemberToRemove& one : leaving) {
    const bool may_be_here = known.empty() || known.contains(one.member_id) ||
                             (one.instance_id && known.contains(*one.instance_id));
    errors.push_back(may_be_here ? leave_one(one, effects) : ErrorCode::kUnknownMemberId);
  }
  if (std::ranges::find(errors, ErrorCode::kNone) != errors.end()) {
    after_removal(moment, effects);
  }
  return errors;
}

ErrorCode Group::leave_one(const MemberToRemove& leaving, Effects& effects) {
  if (const auto expected = expected_members_.find(leaving.member_id);
      expected != expected_members_.end() && !leaving.instance_id) {
    expected_members_.erase(expected);
    return ErrorCode::kNone;
  }
  ErrorCode error = ErrorCode::kNone;
  // An administrator removes an instance without knowing its present member id.
  const auto place = leaving.instance_id && leaving.member_id.empty()
                         ? find_static_member(*leaving.instance_id)
                         : find_checked(leaving.member_id, leaving.instance_id, error);
  if (place == members_.end()) {
    return error == ErrorCode::kNone ? ErrorCode::kUnknownMemberId : error;
  }
  remove_member(place, effects);
  return ErrorCode::kNone;
}

ErrorCode Group::check_commit(const GroupMemberKey& key, CommitKind kind, const Moment& moment,
                              Effects& effects) {
  const bool has_identity =
      key.generation.value >= 0 || !key.member_id.empty() || key.instance_id.has_value();
  if (state_ == GroupState::kEmpty && key.generation.value < 0) {
    return ErrorCode::kNone;
  }
  if (!has_identity) {
    // Clients before TxnOffsetCommit v3 cannot say who they are, and so are not fenced.
    return kind == CommitKind::kTransactional ? ErrorCode::kNone : ErrorCode::kUnknownMemberId;
  }
  ErrorCode error = ErrorCode::kNone;
  const auto place = find_checked(key.member_id, key.instance_id, error);
  if (place == members_.end()) {
    return error;
  }
  if (key.generation != generation() || !durable_.has_member(key.member_id)) {
    return options_.seeded_bug == SeededBug::kAcceptStaleGeneration ? ErrorCode::kNone
                                                                    : ErrorCode::kIllegalGeneration;
  }
  if (kind == CommitKind::kPlain && state_ == GroupState::kCompletingRebalance) {
    return ErrorCode::kRebalanceInProgress;
  }
  CHECK_INVARIANT("GRP-2", place->id == key.member_id && key.generation == durable_.generation);
  hear(*place, moment, effects);
  return ErrorCode::kNone;
}

void Group::remove_member(MemberPlace place, Effects& effects) {
  answer_waiting(*place, ErrorCode::kUnknownMemberId, effects);
  persist_removal(place->id, effects);
  count_protocols(*place, -1);
  members_.erase(place);
}

void Group::after_removal(const Moment& moment, Effects& effects) {
  if (state_ == GroupState::kStable || state_ == GroupState::kCompletingRebalance) {
    prepare_rebalance(moment, effects);
  }
  try_complete_join(moment, effects);
}

template <typename Condition>
void Group::remove_members_if(Condition condition, const Moment& moment, Effects& effects) {
  bool is_any_removed = false;
  for (auto place = members_.begin(); place != members_.end();) {
    if (condition(*place)) {
      const auto index = place - members_.begin();
      remove_member(place, effects);
      place = members_.begin() + index;
      is_any_removed = true;
    } else {
      ++place;
    }
  }
  if (is_any_removed) {
    after_removal(moment, effects);
  }
}

// --- Time ---

std::optional<MonotonicTime> Group::next_deadline() const {
  std::optional<MonotonicTime> next;
  const auto consider = [&](MonotonicTime time) { next = next ? std::min(*next, time) : time; };
  for (const auto& [member_id, expected] : expected_members_) {
    consider(expected.deadline);
  }
  for (const Member& member : members_) {
    if (!member.lives_by_waiting()) {
      consider(member.session_deadline);
    }
  }
  if (state_ == GroupState::kPreparingRebalance) {
    consider(join_deadline_);
  }
  if (sync_deadline_) {
    consider(*sync_deadline_);
  }
  if (empty_since_ && has_nothing()) {
    consider(*empty_since_ + options_.empty_group_retention);
  }
  return next;
}

void Group::on_time(const Moment& moment, Effects& effects) {
  const MonotonicTime now = moment.monotonic;
  std::erase_if(expected_members_,
                [&](const auto& expected) { return expected.second.deadline <= now; });
  remove_members_if(
      [&](const Member& member) {
        return !member.lives_by_waiting() && member.session_deadline <= now;
      },
      moment, effects);
  if (sync_deadline_ && *sync_deadline_ <= now) {
    sync_deadline_.reset();
    remove_members_if([](const Member& member) { return member.has_to_sync; }, moment, effects);
  }
  if (state_ == GroupState::kPreparingRebalance && join_deadline_ <= now) {
    on_join_deadline(moment, effects);
  }
  try_complete_join(moment, effects);
}

void Group::restart_clocks(const Moment& moment, Effects& effects) {
  const MonotonicTime now = moment.monotonic;
  if (options_.seeded_bug == SeededBug::kForgetGeneration) {
    durable_.generation = GenerationId(0);
  }
  state_ = durable_.state;
  protocol_type_ = durable_.protocol_type;
  protocol_name_ = durable_.protocol_name;
  leader_ = durable_.leader;
  members_.clear();
  supporters_.clear();
  for (const GroupMember& image : durable_.members) {
    Member member{image};
    const auto known = silences_.find(image.id);
    const Beginning silence = known != silences_.end() ? known->second : Beginning::at(moment);
    if (known == silences_.end() || !silence.is_of_epoch(moment.monotonic_epoch)) {
      persist_silence(image.id, silence.rebased(moment), effects);
    }
    member.session_deadline =
        now + std::max(image.session_timeout - silence.age(moment), Duration::zero());
    member.has_to_sync = state_ == GroupState::kCompletingRebalance;
    count_protocols(member, 1);
    members_.push_back(std::move(member));
  }
  if (state_ == GroupState::kPreparingRebalance) {
    join_deadline_ = now + rebalance_timeout();
  } else if (state_ == GroupState::kCompletingRebalance) {
    sync_deadline_ = now + rebalance_timeout();
  } else if (state_ == GroupState::kEmpty) {
    empty_since_ = now;
  }
}

void Group::on_ticket_lost(Ticket ticket, const Moment& moment) {
  const auto place = std::ranges::find_if(members_, [&](const Member& member) {
    return member.joining == ticket || member.syncing == ticket;
  });
  if (place != members_.end()) {
    refresh_session(*place, moment);
    place->is_unreachable = true;
  }
}

bool Group::has_nothing() const {
  return members_.empty() && expected_members_.empty() && offsets_.empty();
}

bool Group::is_forgettable() const { return has_nothing() && !is_durable(); }

bool Group::is_expired(MonotonicTime now) const {
  return has_nothing() && empty_since_ && *empty_since_ + options_.empty_group_retention <= now;
}

// --- Looking ---

GroupDescription Group::describe_without_members() const {
  GroupDescription description{.group_id = id_,
                               .state = std::string(to_string(state_)),
                               .protocol_type = protocol_type_,
                               .generation = generation()};
  if (state_ == GroupState::kStable) {
    description.protocol_name = protocol_name_;
  }
  return description;
}

GroupDescription Group::describe() const {
  GroupDescription description = describe_without_members();
  for (const Member& member : members_) {
    description.members.push_back({.member_id = member.id,
                                   .instance_id = member.instance_id,
                                   .client_id = member.client_id,
                                   .client_host = member.client_host,
                                   .metadata = member.metadata_for(description.protocol_name),
                                   .assignment = member.assignment});
  }
  return description;
}

Group::MemberPlace Group::find_member(std::string_view member_id) {
  return std::ranges::find(members_, member_id, &Member::id);
}

std::vector<Group::Member>::const_iterator Group::find_own(const JoinGroupRequest& request) const {
  return std::ranges::find_if(members_, [&](const Member& member) {
    return request.member_id.empty()
               ? request.instance_id && member.instance_id == request.instance_id
               : member.id == request.member_id;
  });
}

Group::MemberPlace Group::find_static_member(std::string_view instance_id) {
  return std::ranges::find_if(members_, [&](const Member& member) {
    return member.instance_id && *member.instance_id == instance_id;
  });
}

Group::MemberPlace Group::find_checked(std::string_view member_id,
                                       std::optional<std::string_view> instance_id,
                                       ErrorCode& error) {
  const auto place = instance_id ? find_static_member(*instance_id) : find_member(member_id);
  if (place == members_.end()) {
    error = ErrorCode::kUnknownMemberId;
  } else if (place->id != member_id) {
    error = ErrorCode::kFencedInstanceId;
    return members_.end();
  }
  return place;
}

bool Group::supports_protocols(const JoinGroupRequest& request) const {
  if (request.protocol_type.empty() || request.protocols.empty()) {
    return false;
  }
  const auto own = find_own(request);
  const std::size_t other_count = members_.size() - (own == members_.end() ? 0 : 1);
  if (other_count == 0) {
    return true;
  }
  std::set<std::string_view> own_names;
  if (own != members_.end()) {
    for (const GroupProtocol& protocol : own->protocols) {
      own_names.insert(protocol.name);
    }
  }
  return request.protocol_type == protocol_type_ &&
         std::ranges::any_of(request.protocols, [&](const GroupProtocol& protocol) {
           const auto supporters = supporters_.find(protocol.name);
           return supporters != supporters_.end() &&
                  supporters->second - own_names.count(protocol.name) == other_count;
         });
}

/// Of the protocols that all support, the one that most members name first; of equals, the one that
/// the first member prefers.
std::string Group::select_protocol() const {
  const auto is_common = [&](const GroupProtocol& protocol) {
    return supporters_.at(protocol.name) == members_.size();
  };
  std::map<std::string_view, int> votes;
  for (const Member& member : members_) {
    if (const auto vote = std::ranges::find_if(member.protocols, is_common);
        vote != member.protocols.end()) {
      ++votes[vote->name];
    }
  }
  CHECK(!votes.empty());
  std::string_view chosen;
  for (const GroupProtocol& protocol : members_.front().protocols) {
    if (const auto counted = votes.find(protocol.name);
        counted != votes.end() && (chosen.empty() || counted->second > votes[chosen])) {
      chosen = counted->first;
    }
  }
  return std::string(chosen);
}

Duration Group::rebalance_timeout() const {
  Duration longest = Duration::zero();
  for (const Member& member : members_) {
    longest = std::max(longest, member.rebalance_timeout);
  }
  return longest;
}

/// After an answer that the member waited for. One that cannot be reached does not get it.
void Group::refresh_session(Member& member, const Moment& moment) {
  if (!member.is_unreachable) {
    member.session_deadline = moment.monotonic + member.session_timeout;
  }
}

/// A sign of life.
void Group::hear(Member& member, const Moment& moment, Effects& effects) {
  member.is_unreachable = false;
  refresh_session(member, moment);
  if (silences_.contains(member.id)) {
    persist_silence(member.id, std::nullopt, effects);
  }
}

void Group::answer_waiting(Member& member, ErrorCode error, Effects& effects) {
  if (member.joining) {
    effects.join_answers.push_back(
        {*std::exchange(member.joining, std::nullopt), {.error = error, .member_id = member.id}});
  }
  if (member.syncing) {
    effects.sync_answers.push_back(
        {*std::exchange(member.syncing, std::nullopt), {.error = error}});
  }
}

void Group::answer_join(Member& member, const Moment& moment, Effects& effects) {
  refresh_session(member, moment);
  effects.join_answers.push_back(
      {*std::exchange(member.joining, std::nullopt), current_generation(member)});
}

JoinGroupReply Group::current_generation(const Member& member) const {
  return {.generation = generation(),
          .protocol_type = protocol_type_,
          .protocol_name = protocol_name_,
          .leader = leader_,
          .member_id = member.id,
          .members = member.id == leader_ ? member_list() : std::vector<JoinGroupReply::Member>()};
}

std::vector<JoinGroupReply::Member> Group::member_list() const {
  std::vector<JoinGroupReply::Member> list;
  list.reserve(members_.size());
  for (const Member& member : members_) {
    list.push_back({.member_id = member.id,
                    .instance_id = member.instance_id,
                    .metadata = member.metadata_for(protocol_name_)});
  }
  return list;
}

SyncGroupReply Group::current_assignment(const Member& member) const {
  return {.protocol_type = protocol_type_,
          .protocol_name = protocol_name_,
          .assignment = member.assignment};
}

// --- The durable view ---

void Group::persist(GenerationId generation, Effects& effects) {
  set_image({.state = state_,
             .generation = generation,
             .protocol_type = protocol_type_,
             .protocol_name = protocol_name_,
             .leader = leader_,
             .members = {members_.begin(), members_.end()}});
  Buffer record = begin_record(RecordKind::kGroup);
  WireWriter writer(record);
  writer.write_sized_string(id_);
  durable_.encode(writer);
  effects.entries.push_back({.record = std::move(record)});
}

void Group::persist_removal(const std::string& member_id, Effects& effects) {
  if (!durable_.has_member(member_id)) {
    return;
  }
  remove_from_image(member_id);
  Buffer record = begin_record(RecordKind::kMemberRemoved);
  WireWriter writer(record);
  writer.write_sized_string(id_);
  writer.write_sized_string(member_id);
  effects.entries.push_back({.record = std::move(record)});
}

void Group::persist_silence(const std::string& member_id, std::optional<Beginning> since,
                            Effects& effects) {
  CHECK(set_silence(member_id, since));
  Buffer record = begin_record(RecordKind::kMemberSilence);
  WireWriter writer(record);
  writer.write_sized_string(id_);
  writer.write_sized_string(member_id);
  writer.write_bool(since.has_value());
  if (since) {
    since->encode(writer);
  }
  effects.entries.push_back({.record = std::move(record)});
}

void Group::set_image(GroupImage image) {
  durable_ = std::move(image);
  std::erase_if(silences_, [&](const auto& entry) { return !durable_.has_member(entry.first); });
}

void Group::remove_from_image(std::string_view member_id) {
  durable_.remove_member(member_id);
  if (const auto place = silences_.find(member_id); place != silences_.end()) {
    silences_.erase(place);
  }
}

bool Group::set_silence(const std::string& member_id, std::optional<Beginning> since) {
  if (!durable_.has_member(member_id)) {
    return false;
  }
  if (since) {
    silences_.insert_or_assign(member_id, *since);
  } else {
    silences_.erase(member_id);
  }
  return true;
}

}  // namespace onceflow::coordinator
