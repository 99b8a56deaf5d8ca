#include "sim/workloads/groups_workload.h"

#include <fmt/format.h>

#include "client/admin.h"
#include "client/cluster.h"
#include "sim/workloads/broker_node.h"
#include "sim/workloads/hostile_clients.h"

namespace onceflow::sim {

namespace {

constexpr std::size_t kPartitionCount = 5;
constexpr std::size_t kCommitsEnough = 250;
constexpr std::int32_t kGenerationsEnough = 25;
constexpr const char* kTopic = "work";
constexpr const char* kGroup = "workers";
constexpr Duration kSessionTimeout = seconds(2);
constexpr Duration kRebalanceTimeout = seconds(2);
constexpr Duration kCallTimeout = seconds(8);

client::GroupOptions group_options(std::optional<std::string> instance_id) {
  return {.group_id = kGroup,
          .group_instance_id = std::move(instance_id),
          .session_timeout = kSessionTimeout,
          .heartbeat_interval = milliseconds(300),
          .rebalance_timeout = kRebalanceTimeout};
}

std::vector<TopicPartition> all_partitions() {
  std::vector<TopicPartition> partitions;
  partitions.reserve(kPartitionCount);
  for (std::size_t partition = 0; partition < kPartitionCount; ++partition) {
    partitions.push_back({kTopic, PartitionIndex(static_cast<std::int32_t>(partition))});
  }
  return partitions;
}

}  // namespace

struct GroupsWorkload::Member {
  SimScheduler& scheduler;
  SimRandom& random;
  client::ConsumerGroup group;
  client::TransactionalProducer& producer;
  GroupHistory::JoinMark joined;
  /// What it last was assigned; kept when it is lost, for a last commit that must fail.
  std::optional<client::GroupEvent> held;
  bool is_over = false;

  MonotonicTime deadline() const { return scheduler.now() + kCallTimeout; }
};

GroupsWorkload::GroupsWorkload(Findings& findings)
    : findings_(findings), history_(kPartitionCount, findings) {}

GroupsWorkload::~GroupsWorkload() = default;

void GroupsWorkload::start(SimWorld& world) {
  world_ = &world;
  world.add_node({.name = "broker", .boot = [this](SimProcess& process) {
                    broker::BrokerOptions options = simulated_broker_options(kPartitionCount);
                    options.coordinator.groups.session_timeout_min = seconds(1);
                    make_memory_short(options);
                    boot_broker(process, std::move(options), findings_);
                  }});
  add_member("dynamic-1", std::nullopt, Role::kMember);
  add_member("dynamic-2", std::nullopt, Role::kMember);
  add_member("static-1", "one", Role::kMember);
  add_member("static-2", "two", Role::kMember);
  add_member("intruder", "two", Role::kIntruder);
  add_hostile_clients(world, is_settling_, findings_);
  world.add_node({.name = "reader", .boot = [this](SimProcess& process) {
                    process.scheduler().spawn(come_to_rest(process));
                  }});
}

void GroupsWorkload::add_member(const std::string& node, std::optional<std::string> instance_id,
                                Role role) {
  world_->add_node({.name = node, .boot = [this, instance_id, role](SimProcess& process) {
                      process.scheduler().spawn(belong(process, instance_id, role));
                    }});
}

Task<void> GroupsWorkload::belong(SimProcess& process, std::optional<std::string> instance_id,
                                  Role role) {
  SimRandom random(world_->random().next());
  auto cluster =
      client::Cluster::create(process.environment(), simulated_client_options(process.name()));
  static_cast<void>(co_await cluster->topic(kTopic, MonotonicTime::max()));
  client::TransactionalProducer producer(
      cluster, {}, {.transactional_id = process.name(), .transaction_timeout = seconds(3)});
  while (!(is_settling_ && role == Role::kIntruder)) {
    Member member{.scheduler = process.scheduler(),
                  .random = random,
                  .group = client::ConsumerGroup(cluster, group_options(instance_id), {kTopic}),
                  .producer = producer,
                  .joined = history_.mark_join()};
    member.group.start();
    co_await live(member);
    // An intruder comes seldom; whoever it has thrown out comes back soon.
    const Duration longest = role == Role::kIntruder ? seconds(6) : seconds(1);
    co_await process.scheduler().sleep_for(random.between(milliseconds(10), longest));
  }
}

Task<void> GroupsWorkload::live(Member& member) {
  while (!member.is_over) {
    auto event = co_await member.group.next_event(
        member.scheduler.now() + member.random.between(milliseconds(10), milliseconds(400)));
    if (event) {
      co_await handle(member, std::move(*event));
    } else if (event.error().code != ErrorCode::kTimedOut) {
      co_return;
    } else if (!is_settling_) {
      co_await commit_something(member);
      if (member.random.below(80) == 0) {
        co_await member.group.leave(member.deadline());
        // Gone, and yet: its generation may still be the newest, but it is no member any more.
        co_return;
      }
    }
  }
}

Task<void> GroupsWorkload::handle(Member& member, client::GroupEvent event) {
  using Kind = client::GroupEvent::Kind;
  switch (event.kind) {
    case Kind::kAssigned:
      history_.see_assignment(event.metadata, event.partitions, member.joined);
      member.joined.generation_min =
          std::max(member.joined.generation_min, event.metadata.generation);
      member.held = std::move(event);
      co_await look_at_committed(member);
      break;
    case Kind::kRevoked:
      co_await commit_something(member);
      if (member.random.below(4) == 0) {
        // Now and then too slow, and thrown out for it.
        co_await member.scheduler.sleep_for(
            member.random.between(Duration(0), kRebalanceTimeout * 3 / 2));
      }
      if (!member.group.has_event()) {
        // Not lost meanwhile, and so has not joined again by itself: it will now.
        member.joined.generation_min = history_.newest_generation();
      }
      member.group.give_up();
      break;
    case Kind::kLost:
      co_await commit_something(member);
      break;
    case Kind::kFenced:
      co_await commit_something(member);
      member.is_over = true;
      break;
  }
}

// With what it holds, or held: whether that is of today is the coordinator's to know.
Task<void> GroupsWorkload::commit_something(Member& member) {
  if (!member.held || member.held->partitions.empty()) {
    co_return;
  }
  const client::GroupMetadata metadata = member.held->metadata;
  const TopicPartition partition =
      member.held->partitions[member.random.below(member.held->partitions.size())];
  const HistoricCommit& commit =
      history_.begin_commit(metadata, static_cast<std::size_t>(partition.partition.value));
  client::OffsetToCommit offset = GroupHistory::offset_of(commit, partition);
  Status committed;
  if (member.random.below(3) == 0) {
    committed = co_await commit_in_transaction(member, std::move(offset));
  } else {
    committed = co_await member.group.commit(metadata, {std::move(offset)}, member.deadline());
  }
  if (committed) {
    history_.acknowledge(commit);
  }
}

Task<Status> GroupsWorkload::commit_in_transaction(Member& member, client::OffsetToCommit offset) {
  using State = client::TransactionalProducer::State;
  const client::GroupMetadata metadata = member.held->metadata;
  if (member.producer.state() != State::kReady) {
    CO_RETURN_IF_ERROR(co_await member.producer.init_transactions(member.deadline()));
  }
  CO_RETURN_IF_ERROR(member.producer.begin());
  CO_RETURN_IF_ERROR(member.producer.send_offsets(metadata, {std::move(offset)}));
  co_return co_await member.producer.commit(member.deadline());
}

Task<void> GroupsWorkload::look_at_committed(Member& member) {
  const std::vector<GenerationId> generations_min = history_.acknowledged_generations();
  const auto committed =
      co_await member.group.committed(member.held->partitions, member.deadline());
  if (committed) {
    for (const client::CommittedOffset& offset : *committed) {
      history_.see_committed(offset, generations_min);
    }
  }
}

bool GroupsWorkload::has_done_enough() const {
  return history_.acknowledged_count() >= kCommitsEnough &&
         history_.newest_generation().value >= kGenerationsEnough;
}

void GroupsWorkload::check_end() {
  world_->note("world", fmt::format("{} generations, {} commits begun, {} of them fenced; {} "
                                    "acknowledged",
                                    history_.newest_generation().value, history_.commit_count(),
                                    history_.fenced_count(), history_.acknowledged_count()));
}

// The members come together again, and a last look at what they have committed.
Task<void> GroupsWorkload::come_to_rest(SimProcess& process) {
  auto cluster =
      client::Cluster::create(process.environment(), simulated_client_options(process.name()));
  while (!is_settling_ || !history_.is_fully_assigned()) {
    co_await process.scheduler().sleep_for(milliseconds(100));
  }
  const std::vector<GenerationId> generations_min = history_.acknowledged_generations();
  client::Admin admin(cluster);
  const auto committed =
      co_await admin.committed(kGroup, all_partitions(), process.scheduler().now() + seconds(60));
  if (!committed) {
    findings_.report("LIVE-1", "the committed offsets cannot be read: " + committed.error().text);
    co_return;
  }
  for (const client::CommittedOffset& offset : *committed) {
    history_.see_committed(offset, generations_min);
  }
  is_at_rest_ = true;
}

}  // namespace onceflow::sim
