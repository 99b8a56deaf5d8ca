#include "sim/workloads/stranger.h"

#include <fmt/format.h>

#include <utility>

#include "protocol/messages/00_produce.h"
#include "protocol/record_batch_builder.h"
#include "sim/workloads/broker_node.h"
#include "sim/world/sim_world.h"

namespace onceflow::sim {

namespace {

using protocol::ErrorCode;
constexpr Duration kCallTimeout = seconds(5);
constexpr int kAnswersMax = 5;  // of one stranger

}  // namespace

Stranger::Stranger(SimProcess& process, TransactionHistory& history, Findings& findings)
    : process_(process),
      history_(history),
      findings_(findings),
      random_(process.world().random().next()),
      cluster_(
          client::Cluster::create(process.environment(), simulated_client_options(process.name()))),
      channel_(cluster_->new_channel()) {}

Task<void> Stranger::run(std::string topic, std::size_t partition_count,
                         std::function<bool()> has_ended) {
  static_cast<void>(co_await cluster_->topic(topic, MonotonicTime::max()));
  while (!has_ended()) {
    co_await process_.scheduler().sleep_for(random_.between(milliseconds(50), seconds(1)));
    co_await write_once(topic, random_.below(partition_count));
  }
  cluster_->close();
}

Task<void> Stranger::write_once(std::string topic, std::size_t partition) {
  const TopicPartition where{topic, PartitionIndex(static_cast<std::int32_t>(partition))};
  // Of no log at all, for ids begin at multiples of 2^32 below 2^52.
  ProducerIdentity producer{ProducerId(static_cast<std::int64_t>(random_.next() >> 10)),
                            ProducerEpoch(static_cast<std::int16_t>(random_.below(3)))};
  const Answer first = co_await produce(where, producer, "stranger");
  if (first.is_known && first.error == ErrorCode::kNone) {
    findings_.report("PRD-3", fmt::format("producer {}, which nothing handed out, appended at "
                                          "offset {} of partition {}",
                                          producer.id.value, first.base_offset.value, partition));
  }
  const std::string value = history_.new_plain_value();
  for (int answers = 0; answers < kAnswersMax && random_.below(4) != 0; ++answers) {
    // The broker forgets whom it has refused when it starts again.
    producer.epoch = producer.epoch + 1;
    const Answer answer = co_await produce(where, producer, value);
    if (!answer.is_known) {
      break;
    }
    if (answer.error == ErrorCode::kNone) {
      history_.acknowledge_plain(value, partition, answer.base_offset);
      break;
    }
  }
}

Task<Stranger::Answer> Stranger::produce(TopicPartition partition, ProducerIdentity producer,
                                         std::string value) {
  const MonotonicTime deadline = process_.scheduler().now() + kCallTimeout;
  const auto leader = co_await cluster_->leader(partition, deadline);
  if (!leader) {
    co_return Answer{};
  }
  const auto connection = co_await cluster_->connection(channel_, *leader, deadline);
  if (!connection) {
    co_return Answer{};
  }
  protocol::RecordBatchBuilder builder;
  builder.append({.timestamp_ms = process_.scheduler().wall_now().ms, .value = as_bytes(value)});
  const Buffer batch = builder.finish({.producer = producer, .base_sequence = Sequence(0)});
  protocol::ProduceRequest request;
  request.acks = -1;
  request.timeout_ms = static_cast<std::int32_t>(to_ms(kCallTimeout));
  request.topic_data.push_back(
      {.name = partition.topic,
       .partition_data = {{.index = partition.partition.value, .records = ByteView(batch)}}});
  const auto reply = co_await (*connection)->send(std::move(request), deadline);
  if (!reply) {
    co_return Answer{};
  }
  const auto& answered = reply->body.responses.at(0).partition_responses.at(0);
  co_return Answer{true, answered.error_code, Offset(answered.base_offset)};
}

}  // namespace onceflow::sim
