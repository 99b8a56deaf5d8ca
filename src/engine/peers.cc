#include "engine/peers.h"

#include <utility>
#include <vector>

#include "client/transactional_producer.h"
#include "engine/record_output.h"

namespace onceflow::engine {

Peers::Peers(std::shared_ptr<client::Cluster> cluster, const Stage& stage,
             const StageOptions& options)
    : cluster_(std::move(cluster)), stage_(stage), options_(options), admin_(cluster_) {}

Task<void> Peers::end_what_is_left(MonotonicTime deadline) {
  // Members without an instance id cannot be told from one another.
  if (options_.guarantee != Guarantee::kExactlyOnce || !options_.group.group_instance_id) {
    co_return;
  }
  const auto group = co_await admin_.describe_group(stage_.group_id, deadline);
  if (!group) {
    co_return;
  }
  const std::string prefix = options_.pipeline + "-";
  std::set<std::string> present;
  for (const client::GroupMemberDescription& member : group->members) {
    if (member.group_instance_id.starts_with(prefix)) {
      present.insert(member.group_instance_id.substr(prefix.size()));
    }
  }
  std::vector<std::string> gone;
  for (const std::string& worker : std::exchange(workers_, present)) {
    if (!present.contains(worker) && worker != options_.worker) {
      gone.push_back(worker);
    }
  }
  for (std::string& worker : gone) {
    co_await end_transaction_of(std::move(worker), deadline);
  }
}

Task<void> Peers::end_transaction_of(std::string worker, MonotonicTime deadline) {
  client::TransactionalProducer producer(
      cluster_, options_.producer,
      {.transactional_id = transactional_id_of(options_, stage_.id, worker),
       .transaction_timeout = options_.transaction_timeout()});
  Status ended = co_await end_former_transaction(cluster_, options_, stage_.id, worker, deadline);
  if (ended) {
    ended = co_await producer.init_transactions(deadline);
  }
  if (!ended) {
    options_.tell({.level = LogLevel::kWarn,
                   .stage = stage_.id,
                   .event = "takeover",
                   .text = "what worker '" + worker +
                           "' may have left open could not be ended: " + ended.error().text});
    co_return;
  }
  options_.tell(
      {.level = LogLevel::kInfo,
       .stage = stage_.id,
       .event = "takeover",
       .text = "worker '" + worker + "' has left the group; what it may have left open is ended"});
}

}  // namespace onceflow::engine
