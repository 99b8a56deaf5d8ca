#include "engine/hold_inquiry.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log_line.h"
#include "client/kafka_commands.h"
#include "client/open_transactions.h"

namespace onceflow::engine {
namespace {

constexpr Duration kAskTimeout = seconds(3);
constexpr Duration kAskInterval = seconds(5);
/// The others are in /status.
constexpr std::size_t kPartitionsAskedMax = 8;

std::string remedy(const client::ClientOptions& client, const TopicPartition& partition,
                   Offset first) {
  return fmt::format(
      "its producer must commit or abort it; the broker aborts it after its time-out; on Apache "
      "Kafka this ends it at once: {}",
      client::abort_command(client, partition, first));
}

std::string name_of(const TopicPartition& partition) {
  return fmt::format("{}-{}", partition.topic, partition.partition.value);
}

}  // namespace

std::string describe_holder(const StageStatus::Holder& holder) {
  if (!holder.producer_id) {
    return "an open transaction; whose is not known: " + holder.unknown_why;
  }
  std::string text = fmt::format("the open transaction of producer id {} (epoch {})",
                                 *holder.producer_id, holder.producer_epoch.value_or(-1));
  if (!holder.transactional_id.empty()) {
    text = fmt::format("the open transaction of transactional.id '{}' (producer id {}, epoch {})",
                       holder.transactional_id, *holder.producer_id,
                       holder.producer_epoch.value_or(-1));
  }
  if (holder.started_at_ms) {
    text += ", begun " + to_iso8601_ms(WallTime(*holder.started_at_ms));
  }
  if (holder.timeout_ms) {
    text += fmt::format(", time-out {} ms", *holder.timeout_ms);
  }
  return text;
}

Task<std::optional<StageStatus::Holder>> find_holder(std::shared_ptr<client::Cluster> cluster,
                                                     client::Channel channel,
                                                     TopicPartition partition,
                                                     Offset first_offset) {
  const auto found = co_await client::find_open_transaction(
      cluster, channel, partition, cluster->scheduler().now() + kAskTimeout);
  StageStatus::Holder holder{.partition = std::move(partition), .first_offset = first_offset};
  if (!found) {
    holder.unknown_why = found.error().text;
  } else if (*found) {
    holder.producer_id = (*found)->producer_id;
    holder.producer_epoch = (*found)->producer_epoch;
    holder.transactional_id = (*found)->transactional_id;
    holder.started_at_ms = (*found)->started_at_ms;
    holder.timeout_ms = (*found)->timeout_ms;
  } else {
    co_return std::nullopt;
  }
  co_return holder;
}

Task<std::string> why_no_end(std::shared_ptr<client::Cluster> cluster, TopicPartition partition,
                             Offset position) {
  const auto holder = co_await find_holder(cluster, cluster->new_channel(), partition, position);
  if (!holder) {
    co_return std::string();
  }
  if (!holder->producer_id) {
    co_return "whether an open transaction holds it back is not known: " + holder->unknown_why;
  }
  co_return fmt::format("what lies from offset {} of {} on is held back by {}; {}", position.value,
                        name_of(partition), describe_holder(*holder),
                        remedy(cluster->options(), partition, position));
}

HoldInquiry::HoldInquiry(std::shared_ptr<client::Cluster> cluster)
    : state_(std::make_shared<State>()) {
  state_->channel = cluster->new_channel();
  state_->cluster = std::move(cluster);
}

void HoldInquiry::ask(const std::vector<InputWatch::Held>& held) {
  io::Scheduler& scheduler = state_->cluster->scheduler();
  if (state_->is_asking || scheduler.now() < state_->ask_again_at) {
    return;
  }
  state_->is_asking = true;
  scheduler.spawn(run(state_, held));
}

Task<void> HoldInquiry::run(std::shared_ptr<State> state, std::vector<InputWatch::Held> held) {
  const auto cluster = state->cluster;
  std::vector<StageStatus::Holder> holders;
  for (const InputWatch::Held& one : held) {
    if (holders.size() == kPartitionsAskedMax) {
      break;
    }
    auto holder = co_await find_holder(cluster, state->channel, one.source, one.first_offset);
    if (holder) {
      holders.push_back(std::move(*holder));
    }
  }
  state->holders = std::move(holders);
  state->is_asking = false;
  state->ask_again_at = cluster->scheduler().now() + kAskInterval;
}

StageCause describe_hold(const client::ClientOptions& client,
                         const std::vector<InputWatch::Held>& held,
                         const std::vector<StageStatus::Holder>& holders) {
  StageCause cause;
  const InputWatch::Held& first = held.front();
  cause.what = fmt::format("{} record{} of {} from offset {} on {} held back by ", first.count,
                           first.count == 1 ? "" : "s", name_of(first.source),
                           first.first_offset.value, first.count == 1 ? "is" : "are");
  const auto holder = std::ranges::find(holders, first.source, &StageStatus::Holder::partition);
  cause.what += holder == holders.end() ? std::string("an open transaction, whose is being asked")
                                        : describe_holder(*holder);
  if (held.size() > 1) {
    cause.what += fmt::format("; {} more partitions are held back as well", held.size() - 1);
  }
  cause.remedy = remedy(client, first.source, first.first_offset);
  return cause;
}

}  // namespace onceflow::engine
