#include "sim/workloads/hostile_clients.h"

#include <fmt/format.h>

#include <memory>
#include <string>
#include <utility>

#include "base/wire.h"
#include "client/cluster.h"
#include "io/network.h"
#include "protocol/api_key.h"
#include "protocol/header.h"
#include "protocol/messages/03_metadata.h"
#include "protocol/messages/15_describe_groups.h"
#include "sim/workloads/broker_node.h"
#include "sim/world/sim_process.h"

namespace onceflow::sim {

namespace {

constexpr std::size_t kMemoryBytes = 3u << 20;
constexpr Duration kHeldMin = seconds(4);
constexpr Duration kHeldMax = seconds(40);
constexpr Duration kRestMin = seconds(16);
constexpr Duration kRestMax = seconds(25);
constexpr Duration kAnswerMax = seconds(5);

// Of a Produce of more than the log takes at once; its beginning alone.
Buffer half_request(SimRandom& random) {
  Buffer bytes;
  WireWriter writer(bytes);
  const std::size_t frame = protocol::begin_frame(writer);
  protocol::RequestHeader{protocol::ApiKey::kProduce, 7, 1, "hostile"}.encode(writer);
  const std::uint64_t announced = random.between(100'000, 700'000);
  bytes.insert(bytes.end(), announced, std::byte{0});
  protocol::finish_frame(writer, frame);
  bytes.resize(random.between(70'000, announced - 1));
  return bytes;
}

Buffer many_requests(SimRandom& random) {
  Buffer bytes;
  WireWriter writer(bytes);
  for (std::uint64_t count = random.between(50, 500); count > 0; --count) {
    const std::size_t frame = protocol::begin_frame(writer);
    protocol::RequestHeader{protocol::ApiKey::kApiVersions, 0, 1, "hostile"}.encode(writer);
    protocol::finish_frame(writer, frame);
  }
  return bytes;
}

Task<void> send(std::shared_ptr<io::Connection> connection, Buffer bytes) {
  static_cast<void>(co_await connection->write(bytes));
}

// The connection belongs to both tasks: what is written ends after it has been closed.
Task<void> hold(SimProcess& process, Buffer bytes, Duration held) {
  auto connected = co_await process.environment().network.connect(
      {"broker", 9092}, process.scheduler().now() + seconds(2));
  if (!connected) {
    co_return;
  }
  const std::shared_ptr<io::Connection> connection = std::move(*connected);
  process.scheduler().spawn(send(connection, std::move(bytes)));
  co_await process.scheduler().sleep_for(held);
  connection->close();
}

Task<void> be_hostile(SimProcess& process, const bool& is_settling) {
  SimRandom random(process.world().random().next());
  while (!is_settling) {
    for (std::uint64_t count = random.between(4, 14); count > 0; --count) {
      process.scheduler().spawn(
          hold(process, random.below(4) == 0 ? many_requests(random) : half_request(random),
               random.between(kHeldMin, kHeldMax)));
    }
    co_await process.scheduler().sleep_for(random.between(kRestMin, kRestMax));
  }
}

// What is named again must not be answered again.
void judge_answers(std::size_t answers, std::string_view request, Findings& findings) {
  if (answers > 1) {
    findings.report("REQ-1", fmt::format("{} names one thing again and again, and is answered {} "
                                         "times",
                                         request, answers));
  }
}

Task<void> repeat_itself(SimProcess& process, const bool& is_settling, Findings& findings) {
  SimRandom random(process.world().random().next());
  const auto cluster =
      client::Cluster::create(process.environment(), simulated_client_options(process.name()));
  const client::Channel channel = cluster->new_channel();
  while (!is_settling) {
    co_await process.scheduler().sleep_for(random.between(milliseconds(100), seconds(2)));
    const MonotonicTime deadline = process.scheduler().now() + kAnswerMax;
    const auto connection = co_await cluster->any_connection(channel, deadline);
    if (!connection) {
      continue;
    }
    const std::uint64_t count = random.between(2, 40);
    if (random.coin()) {
      protocol::MetadataRequest request;
      request.topics.emplace(count, protocol::MetadataRequest::Topic{.name = "no-such-topic"});
      request.allow_auto_topic_creation = false;
      if (const auto reply = co_await (*connection)->send(std::move(request), deadline)) {
        judge_answers(reply->body.topics.size(), "Metadata", findings);
      }
    } else {
      protocol::DescribeGroupsRequest request;
      request.groups.assign(count, "no-such-group");
      if (const auto reply = co_await (*connection)->send(std::move(request), deadline)) {
        judge_answers(reply->body.groups.size(), "DescribeGroups", findings);
      }
    }
  }
  cluster->close();
}

}  // namespace

void make_memory_short(broker::BrokerOptions& options) {
  options.server.memory_bytes_max = kMemoryBytes;
}

void add_hostile_clients(SimWorld& world, const bool& is_settling, Findings& findings) {
  world.add_node({.name = "hostile", .boot = [&is_settling](SimProcess& process) {
                    process.scheduler().spawn(be_hostile(process, is_settling));
                  }});
  world.add_node({.name = "repeater", .boot = [&is_settling, &findings](SimProcess& process) {
                    process.scheduler().spawn(repeat_itself(process, is_settling, findings));
                  }});
}

}  // namespace onceflow::sim
