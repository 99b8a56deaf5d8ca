// ConsumerGroup: one coroutine joins, heartbeats, and joins again.
#include "client/consumer_group.h"

#include <fmt/format.h>

#include <map>

#include "client/admin.h"
#include "client/broker_error.h"
#include "client/group_refusal.h"
#include "client/range_assignor.h"
#include "io/event.h"
#include "protocol/messages/11_join_group.h"
#include "protocol/messages/12_heartbeat.h"
#include "protocol/messages/13_leave_group.h"
#include "protocol/messages/14_sync_group.h"

namespace onceflow::client {

namespace {

constexpr std::string_view kProtocolType = "consumer";
constexpr std::string_view kProtocolName = "range";
/// From here on the coordinator tells a leader that is back in its place that it leads (KIP-814).
constexpr std::int16_t kSkipsAssignmentVersion = 9;

std::int32_t to_ms32(Duration duration) { return static_cast<std::int32_t>(to_ms(duration)); }

}  // namespace

class ConsumerGroup::Core : public ClusterUser, public std::enable_shared_from_this<Core> {
 public:
  Core(std::shared_ptr<Cluster> cluster, GroupOptions options, std::vector<std::string> topics)
      : cluster_(std::move(cluster)),
        options_(std::move(options)),
        topics_(std::move(topics)),
        member_channel_(cluster_->new_channel()),
        offsets_channel_(cluster_->new_channel()),
        admin_(cluster_),
        changed_(cluster_->scheduler()) {}

  void start() {
    CHECK(!started_);
    started_ = true;
    cluster_->scheduler().spawn(run(shared_from_this()));
  }
  void close() override;
  Task<void> leave(MonotonicTime deadline);

  Task<Result<GroupEvent>> next_event(MonotonicTime deadline);
  std::optional<GroupEvent> take_event();
  bool has_event() const { return !events_.empty(); }
  const Error* failure() const { return failure_ ? &*failure_ : nullptr; }
  const Trouble* trouble() const { return trouble_ ? &*trouble_ : nullptr; }
  void on_event(Callback<void()> callback) { on_event_ = std::move(callback); }
  void give_up() {
    if (phase_ == Phase::kGivingUp) {
      has_given_up_ = true;
      changed_.notify_all();
    }
  }
  GroupMetadata metadata() const {
    return {options_.group_id, generation_, member_id_, options_.group_instance_id};
  }
  const std::vector<TopicPartition>& assignment() const { return assignment_; }
  const std::shared_ptr<Cluster>& cluster() const { return cluster_; }
  Channel offsets_channel() const { return offsets_channel_; }

 private:
  enum class Phase { kOutside, kStable, kGivingUp, kEnded };
  /// What a request to the coordinator tells the member to do.
  enum class Verdict {
    kFine,
    kRebalance,  ///< join again; the membership stands
    kThrownOut,  ///< join again; what was assigned is lost
    kFenced,     ///< another has our group.instance.id
    kAgain,      ///< the same request again, after a pause
    kEnd,        ///< failure_ says why
  };

  static Task<void> run(std::shared_ptr<Core> self);
  Task<Verdict> join();
  Task<Verdict> synchronise(protocol::JoinGroupResponse joined);
  Task<Result<std::vector<std::pair<std::string, Buffer>>>> assign(
      const protocol::JoinGroupResponse& joined);
  Task<Verdict> stay();
  Task<Verdict> heartbeat();
  Verdict judge(protocol::ErrorCode code, std::string_view what);
  Verdict end(Error error) {
    failure_ = std::move(error);
    return Verdict::kEnd;
  }
  /// kAgain, or kEnd if trying again cannot help.
  Verdict again(Error error, bool is_held_by_others = false);
  void clear_trouble();
  Task<Result<ConnectionPointer>> coordinator_connection(MonotonicTime deadline);
  Task<bool> leads();
  Task<bool> partition_counts_have_changed();
  Task<Status> learn_partition_counts(MonotonicTime deadline);
  void add_event(GroupEvent::Kind kind);
  void forget_membership();

  std::shared_ptr<Cluster> cluster_;
  GroupOptions options_;
  std::vector<std::string> topics_;
  Channel member_channel_;  ///< JoinGroup holds it up for as long as a rebalance takes
  Channel offsets_channel_;
  Admin admin_;
  io::Event changed_;
  bool started_ = false;
  bool closed_ = false;
  bool has_given_up_ = false;
  Phase phase_ = Phase::kOutside;
  std::optional<Error> failure_;
  std::optional<Trouble> trouble_;
  bool has_asked_to_join_ = false;
  std::string member_id_;
  GenerationId generation_{-1};
  std::vector<TopicPartition> assignment_;
  bool is_leader_ = false;
  /// Whom an older coordinator calls the leader, until it is known whether there is such a member:
  /// of one that is back in its place it says the id that the place had before. Empty: it is known.
  std::string told_leader_;
  /// The leader's: what the group is assigned by. Empty: not known, for another made the
  /// assignment.
  std::map<std::string, std::int32_t> partition_counts_;
  MonotonicTime counts_checked_at_;
  std::deque<GroupEvent> events_;
  Callback<void()> on_event_;
};

// ---- events

void ConsumerGroup::Core::add_event(GroupEvent::Kind kind) {
  events_.push_back({kind, assignment_, metadata()});
  changed_.notify_all();
  if (on_event_) {
    on_event_();
  }
}

std::optional<GroupEvent> ConsumerGroup::Core::take_event() {
  if (events_.empty()) {
    return std::nullopt;
  }
  GroupEvent event = std::move(events_.front());
  events_.pop_front();
  return event;
}

Task<Result<GroupEvent>> ConsumerGroup::Core::next_event(MonotonicTime deadline) {
  const auto self = shared_from_this();
  while (true) {
    if (auto event = take_event()) {
      co_return std::move(*event);
    }
    if (failure_) {
      co_return std::unexpected(*failure_);
    }
    if (closed_) {
      co_return std::unexpected(cancelled_error());
    }
    if (!co_await changed_.wait_until(deadline) && events_.empty()) {
      co_return std::unexpected(timed_out_error("an event of group '" + options_.group_id + "'"));
    }
  }
}

void ConsumerGroup::Core::close() {
  if (closed_) {
    return;
  }
  closed_ = true;
  on_event_ = nullptr;
  cluster_->close_channel(member_channel_, cancelled_error());
  cluster_->close_channel(offsets_channel_, cancelled_error());
  changed_.notify_all();
}

// ---- the life of a member

Task<void> ConsumerGroup::Core::run(std::shared_ptr<Core> self) {
  Backoff backoff(self->cluster_->options(), self->cluster_->environment().random);
  while (!self->closed_) {
    Verdict verdict = co_await self->join();
    if (self->closed_) {
      break;
    }
    if (verdict == Verdict::kFine) {
      backoff.reset();
      self->phase_ = Phase::kStable;
      self->add_event(GroupEvent::Kind::kAssigned);
      verdict = co_await self->stay();
      if (self->closed_) {
        break;
      }
      self->phase_ = Phase::kOutside;
      if (verdict != Verdict::kRebalance) {
        self->add_event(verdict == Verdict::kFenced ? GroupEvent::Kind::kFenced
                                                    : GroupEvent::Kind::kLost);
      }
    } else if (verdict == Verdict::kFenced) {
      self->add_event(GroupEvent::Kind::kFenced);
    }
    if (verdict == Verdict::kFenced) {
      self->failure_ =
          Error{ErrorCode::kFenced,
                fmt::format("group '{}': another member has group.instance.id '{}'",
                            self->options_.group_id, self->options_.group_instance_id.value_or("")),
                Recovery::kFatal};
      break;
    }
    if (verdict == Verdict::kEnd) {
      break;
    }
    if (verdict == Verdict::kThrownOut) {
      self->forget_membership();
    }
    if (verdict == Verdict::kAgain) {
      co_await self->cluster_->pause(backoff.next(), MonotonicTime::max());
    }
  }
  self->phase_ = Phase::kEnded;
  self->changed_.notify_all();
  if (self->failure_ && self->on_event_) {
    self->on_event_();
  }
}

void ConsumerGroup::Core::forget_membership() {
  generation_ = GenerationId(-1);
  assignment_.clear();
}

ConsumerGroup::Core::Verdict ConsumerGroup::Core::again(Error error, bool is_held_by_others) {
  if (closed_) {
    return Verdict::kAgain;  // the loop ends by that
  }
  if (error.recovery != Recovery::kRetriable) {
    return end(std::move(error));
  }
  const bool is_news = !trouble_ || trouble_->error.text != error.text;
  const MonotonicTime since = trouble_ ? trouble_->since : cluster_->scheduler().now();
  trouble_ = Trouble{std::move(error), since, is_held_by_others};
  if (is_news && on_event_) {
    on_event_();
  }
  return Verdict::kAgain;
}

void ConsumerGroup::Core::clear_trouble() {
  if (trouble_) {
    trouble_.reset();
    if (on_event_) {
      on_event_();
    }
  }
}

ConsumerGroup::Core::Verdict ConsumerGroup::Core::judge(protocol::ErrorCode code,
                                                        std::string_view what) {
  using enum protocol::ErrorCode;
  if (code == kNone || code == kRebalanceInProgress || code == kUnknownMemberId ||
      code == kIllegalGeneration) {
    clear_trouble();
  }
  switch (code) {
    case kNone:
      return Verdict::kFine;
    case kRebalanceInProgress:
      return Verdict::kRebalance;
    case kUnknownMemberId:
      member_id_.clear();
      return Verdict::kThrownOut;
    case kIllegalGeneration:
      return Verdict::kThrownOut;
    case kFencedInstanceId:
      return Verdict::kFenced;
    case kNotCoordinator:
    case kCoordinatorNotAvailable:
      cluster_->forget_coordinator(CoordinatorType::kGroup, options_.group_id);
      break;
    case kUnknownServerError:
      // Of the broker's own troubles, which are not this member's fault and may pass.
      return again(
          {ErrorCode::kRefused, group_refusal(code, what, options_).text, Recovery::kRetriable});
    default:
      break;
  }
  return again(group_refusal(code, what, options_), is_held_by_others(code));
}

Task<Result<ConnectionPointer>> ConsumerGroup::Core::coordinator_connection(
    MonotonicTime deadline) {
  const auto node =
      co_await cluster_->coordinator(CoordinatorType::kGroup, options_.group_id, deadline);
  if (!node) {
    co_return std::unexpected(node.error());
  }
  auto connection = co_await cluster_->connection(member_channel_, *node, deadline);
  if (!connection) {
    // The coordinator may have moved to a node that is up.
    cluster_->forget_coordinator(CoordinatorType::kGroup, options_.group_id);
  }
  co_return connection;
}

Task<ConsumerGroup::Core::Verdict> ConsumerGroup::Core::join() {
  const auto connection =
      co_await coordinator_connection(cluster_->request_deadline(MonotonicTime::max()));
  if (!connection) {
    co_return again(connection.error());
  }
  const Buffer subscription = encode_subscription(topics_, options_.member_note);
  protocol::JoinGroupRequest request;
  request.group_id = options_.group_id;
  request.session_timeout_ms = to_ms32(options_.session_timeout);
  request.rebalance_timeout_ms = to_ms32(options_.rebalance_timeout);
  request.member_id = member_id_;
  request.group_instance_id = options_.group_instance_id;
  request.protocol_type = kProtocolType;
  request.protocols.push_back({std::string(kProtocolName), subscription});
  // The coordinator answers when all others have joined, too.
  const MonotonicTime deadline = cluster_->scheduler().now() + options_.rebalance_timeout +
                                 cluster_->options().request_timeout;
  has_asked_to_join_ = true;
  const auto reply = co_await (*connection)->send(std::move(request), deadline);
  if (closed_) {
    co_return Verdict::kAgain;
  }
  if (!reply) {
    co_return again(reply.error());
  }
  if (reply->body.error_code == protocol::ErrorCode::kMemberIdRequired) {
    clear_trouble();
    member_id_ = reply->body.member_id;
    co_return Verdict::kRebalance;
  }
  if (const Verdict verdict = judge(reply->body.error_code, "JoinGroup");
      verdict != Verdict::kFine) {
    co_return verdict;
  }
  member_id_ = reply->body.member_id;
  generation_ = GenerationId(reply->body.generation_id);
  is_leader_ = reply->body.leader == member_id_;
  const bool tells_all = is_leader_ || reply->version >= kSkipsAssignmentVersion;
  told_leader_ = tells_all || !options_.group_instance_id ? std::string() : reply->body.leader;
  partition_counts_.clear();
  co_return co_await synchronise(reply->body);
}

Task<ConsumerGroup::Core::Verdict> ConsumerGroup::Core::synchronise(
    protocol::JoinGroupResponse joined) {
  protocol::SyncGroupRequest request;
  request.group_id = options_.group_id;
  request.generation_id = generation_.value;
  request.member_id = member_id_;
  request.group_instance_id = options_.group_instance_id;
  request.protocol_type = kProtocolType;
  request.protocol_name = joined.protocol_name.value_or(std::string(kProtocolName));
  std::vector<std::pair<std::string, Buffer>> assignments;
  if (is_leader_ && !joined.skip_assignment) {
    auto assigned = co_await assign(joined);
    if (!assigned) {
      co_return again(assigned.error());
    }
    assignments = std::move(*assigned);
    for (const auto& [member_id, bytes] : assignments) {
      request.assignments.push_back({member_id, bytes});
    }
  }
  const MonotonicTime deadline = cluster_->scheduler().now() + options_.rebalance_timeout +
                                 cluster_->options().request_timeout;
  const auto connection = co_await coordinator_connection(deadline);
  if (!connection) {
    co_return again(connection.error());
  }
  const auto reply = co_await (*connection)->send(std::move(request), deadline);
  if (closed_) {
    co_return Verdict::kAgain;
  }
  if (!reply) {
    co_return again(reply.error());
  }
  if (const Verdict verdict = judge(reply->body.error_code, "SyncGroup");
      verdict != Verdict::kFine) {
    co_return verdict;
  }
  auto assignment = decode_assignment(reply->body.assignment);
  if (!assignment) {
    co_return end(assignment.error());
  }
  assignment_ = std::move(*assignment);
  co_return Verdict::kFine;
}

Task<Result<std::vector<std::pair<std::string, Buffer>>>> ConsumerGroup::Core::assign(
    const protocol::JoinGroupResponse& joined) {
  std::vector<GroupMember> members;
  for (const auto& member : joined.members) {
    auto topics = decode_subscription(member.metadata);
    CO_RETURN_IF_ERROR(topics);
    for (const std::string& topic : *topics) {
      partition_counts_[topic] = 0;
    }
    members.push_back({member.member_id, member.group_instance_id, std::move(*topics)});
  }
  const MonotonicTime deadline = cluster_->request_deadline(MonotonicTime::max());
  for (auto& [topic, partition_count] : partition_counts_) {
    const std::string name = topic;
    const auto found = co_await cluster_->existing_topic(name, deadline);
    if (!found && found.error().code != ErrorCode::kNotFound) {
      co_return std::unexpected(found.error());
    }
    partition_counts_[name] = found ? found->partition_count() : 0;
  }
  counts_checked_at_ = cluster_->scheduler().now();
  std::vector<std::pair<std::string, Buffer>> encoded;
  for (const auto& [member_id, partitions] : assign_range(std::move(members), partition_counts_)) {
    encoded.emplace_back(member_id, encode_assignment(partitions));
  }
  co_return encoded;
}

// Heartbeats until something changes. In Phase::kGivingUp it goes on until the owner has given up.
Task<ConsumerGroup::Core::Verdict> ConsumerGroup::Core::stay() {
  Duration wait = options_.heartbeat_interval;
  Backoff backoff(cluster_->options(), cluster_->environment().random);
  has_given_up_ = false;
  while (!closed_) {
    const MonotonicTime next = cluster_->scheduler().now() + wait;
    while (!closed_ && !has_given_up_ && cluster_->scheduler().now() < next) {
      co_await changed_.wait_until(next);
    }
    if (closed_ || has_given_up_) {
      break;
    }
    Verdict verdict = co_await heartbeat();
    if (closed_ || has_given_up_) {
      break;
    }
    if (verdict == Verdict::kFine && phase_ == Phase::kStable && co_await leads() &&
        co_await partition_counts_have_changed()) {
      verdict = Verdict::kRebalance;
    }
    wait = verdict == Verdict::kAgain ? backoff.next() : options_.heartbeat_interval;
    if (verdict == Verdict::kRebalance && phase_ == Phase::kStable) {
      phase_ = Phase::kGivingUp;
      add_event(GroupEvent::Kind::kRevoked);
    } else if (verdict == Verdict::kThrownOut || verdict == Verdict::kFenced ||
               verdict == Verdict::kEnd) {
      co_return verdict;
    } else if (verdict == Verdict::kFine) {
      backoff.reset();
    }
  }
  co_return Verdict::kRebalance;
}

Task<ConsumerGroup::Core::Verdict> ConsumerGroup::Core::heartbeat() {
  // Soon enough to be tried again within the session.
  const MonotonicTime deadline =
      cluster_->scheduler().now() +
      std::min(cluster_->options().request_timeout, options_.session_timeout / 3);
  const auto connection = co_await coordinator_connection(deadline);
  if (!connection) {
    co_return again(connection.error());
  }
  protocol::HeartbeatRequest request;
  request.group_id = options_.group_id;
  request.generation_id = generation_.value;
  request.member_id = member_id_;
  request.group_instance_id = options_.group_instance_id;
  const auto reply = co_await (*connection)->send(std::move(request), deadline);
  if (!reply) {
    co_return again(reply.error());
  }
  co_return judge(reply->body.error_code, "Heartbeat");
}

// A static member that is back in its place leads by the assignment that its predecessor made: all
// partitions that there were then are some member's.
Task<Status> ConsumerGroup::Core::learn_partition_counts(MonotonicTime deadline) {
  const auto group = co_await admin_.describe_group(options_.group_id, deadline);
  CO_RETURN_IF_ERROR(group);
  for (const std::string& topic : topics_) {
    partition_counts_[topic] = 0;
  }
  for (const GroupMemberDescription& member : group->members) {
    for (const TopicPartition& partition : member.assignment) {
      ++partition_counts_[partition.topic];
    }
  }
  co_return Status{};
}

// If nobody has the id of the leader, it is the one that this place had before: this member leads.
Task<bool> ConsumerGroup::Core::leads() {
  if (!told_leader_.empty()) {
    const auto group = co_await admin_.describe_group(
        options_.group_id, cluster_->scheduler().now() + options_.session_timeout / 3);
    if (group) {
      is_leader_ = std::ranges::none_of(group->members, [&](const GroupMemberDescription& member) {
        return member.member_id == told_leader_;
      });
      told_leader_.clear();
    }
  }
  co_return is_leader_;
}

Task<bool> ConsumerGroup::Core::partition_counts_have_changed() {
  const MonotonicTime now = cluster_->scheduler().now();
  const bool are_unchecked = partition_counts_.empty();
  if (are_unchecked && !co_await learn_partition_counts(now + options_.session_timeout / 3)) {
    co_return false;
  }
  // A topic that is not there yet is what the group waits for.
  const bool misses_one =
      std::ranges::any_of(partition_counts_, [](const auto& topic) { return topic.second == 0; });
  const Duration interval =
      misses_one ? Duration(seconds(1)) : cluster_->options().metadata_max_age;
  if (!are_unchecked && now - counts_checked_at_ < interval) {
    co_return false;
  }
  counts_checked_at_ = now;
  const auto counts = partition_counts_;
  for (const auto& [topic, partition_count] : counts) {
    cluster_->forget_topic(topic);
    const auto found = co_await cluster_->existing_topic(topic, now + options_.session_timeout / 3);
    if (found && found->partition_count() != partition_count) {
      co_return true;
    }
  }
  co_return false;
}

Task<void> ConsumerGroup::Core::leave(MonotonicTime deadline) {
  const auto self = shared_from_this();
  // A static member whose first JoinGroup is not answered yet may be one already, without its id.
  const bool is_member = !member_id_.empty() || (options_.group_instance_id && has_asked_to_join_);
  if (!closed_ && is_member && phase_ != Phase::kEnded) {
    // On the other channel: this one may be waiting for the others to join.
    const auto node =
        co_await cluster_->coordinator(CoordinatorType::kGroup, options_.group_id, deadline);
    if (node) {
      const auto connection = co_await cluster_->connection(offsets_channel_, *node, deadline);
      if (connection) {
        protocol::LeaveGroupRequest request;
        request.group_id = options_.group_id;
        request.member_id = member_id_;
        request.members.push_back(
            {member_id_, options_.group_instance_id, "the consumer was closed"});
        co_await (*connection)->send(std::move(request), cluster_->request_deadline(deadline));
      }
    }
  }
  close();
}

// ---- the face

ConsumerGroup::ConsumerGroup(std::shared_ptr<Cluster> cluster, GroupOptions options,
                             std::vector<std::string> topics)
    : core_(std::make_shared<Core>(cluster, std::move(options), std::move(topics))) {
  cluster->add_user(core_);
}
ConsumerGroup::~ConsumerGroup() { close(); }
ConsumerGroup::ConsumerGroup(ConsumerGroup&&) noexcept = default;
ConsumerGroup& ConsumerGroup::operator=(ConsumerGroup&& other) noexcept {
  if (this != &other) {
    close();
    core_ = std::move(other.core_);
  }
  return *this;
}

void ConsumerGroup::start() { core_->start(); }
Task<Result<GroupEvent>> ConsumerGroup::next_event(MonotonicTime deadline) {
  return core_->next_event(deadline);
}
std::optional<GroupEvent> ConsumerGroup::take_event() { return core_->take_event(); }
bool ConsumerGroup::has_event() const { return core_->has_event(); }
const Error* ConsumerGroup::failure() const { return core_->failure(); }
const ConsumerGroup::Trouble* ConsumerGroup::trouble() const { return core_->trouble(); }
void ConsumerGroup::on_event(Callback<void()> callback) { core_->on_event(std::move(callback)); }
void ConsumerGroup::give_up() { core_->give_up(); }
GroupMetadata ConsumerGroup::metadata() const { return core_->metadata(); }
const std::vector<TopicPartition>& ConsumerGroup::assignment() const { return core_->assignment(); }
Task<Result<std::vector<CommittedOffset>>> ConsumerGroup::committed(
    std::vector<TopicPartition> partitions, MonotonicTime deadline) {
  return fetch_committed(core_->cluster(), core_->offsets_channel(), core_->metadata(),
                         std::move(partitions), deadline);
}
Task<Status> ConsumerGroup::commit(GroupMetadata metadata, std::vector<OffsetToCommit> offsets,
                                   MonotonicTime deadline) {
  return commit_offsets(core_->cluster(), core_->offsets_channel(), std::move(metadata),
                        std::move(offsets), deadline);
}
Task<void> ConsumerGroup::leave(MonotonicTime deadline) { return core_->leave(deadline); }
void ConsumerGroup::close() {
  if (core_) {
    core_->close();
  }
}

}  // namespace onceflow::client
