// Commands of Apache Kafka's tools, for messages: with the cluster's address, so that they work as
// they are printed. Stateless.
#pragma once

#include <string>
#include <string_view>

#include "base/ids.h"
#include "client/options.h"

namespace onceflow::client {

/// "kafka-configs.sh --bootstrap-server … --alter --topic … --add-config …"
std::string settings_command(const ClientOptions& client, std::string_view topic,
                             std::string_view settings);
/// "kafka-transactions.sh --bootstrap-server … abort --topic … --partition … --start-offset …".
/// onceflow's own log does not serve it (LIMITS.md).
std::string abort_command(const ClientOptions& client, const TopicPartition& partition,
                          Offset first);

}  // namespace onceflow::client
