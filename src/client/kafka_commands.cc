#include "client/kafka_commands.h"

#include <fmt/format.h>

#include "base/check.h"

namespace onceflow::client {

namespace {

std::string server(const ClientOptions& client) {
  CHECK(!client.bootstrap_servers.empty());
  return io::to_string(client.bootstrap_servers.front());
}

}  // namespace

std::string settings_command(const ClientOptions& client, std::string_view topic,
                             std::string_view settings) {
  return fmt::format("kafka-configs.sh --bootstrap-server {} --alter --topic {} --add-config {}",
                     server(client), topic, settings);
}

std::string abort_command(const ClientOptions& client, const TopicPartition& partition,
                          Offset first) {
  return fmt::format(
      "kafka-transactions.sh --bootstrap-server {} abort --topic {} --partition {} "
      "--start-offset {}",
      server(client), partition.topic, partition.partition.value, first.value);
}

}  // namespace onceflow::client
