// The words of a producer about a record that its topic does not take. Of one that is too large
// they are the same before it is sent and after a broker has refused it. Stateless.
#pragma once

#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/ids.h"
#include "client/options.h"
#include "protocol/error_code.h"

namespace onceflow::client {

/// "a record of 700 bytes with key 'a' for orders-3"
std::string describe_record(const TopicPartition& partition, std::size_t bytes,
                            const std::optional<ByteView>& key);
/// "the rule: topic … takes batches of at most …; the fix: …"
std::string rule_of_topic(const ClientOptions& client, const std::string& topic, std::size_t bytes,
                          std::size_t bytes_max);
/// "; the fix: …", with a command where it is a setting of the topic, else that of the table.
std::string fix_of_topic(const ClientOptions& client, protocol::ErrorCode code,
                         const std::string& topic, std::size_t bytes);

}  // namespace onceflow::client
