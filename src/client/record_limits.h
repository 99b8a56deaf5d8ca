// The words of a producer about a record that is too large: the same before it is sent and after a
// broker has refused it. Stateless.
#pragma once

#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/ids.h"

namespace onceflow::client {

/// "a record of 700 bytes with key 'a' for orders-3"
std::string describe_record(const TopicPartition& partition, std::size_t bytes,
                            const std::optional<ByteView>& key);
/// "the rule: topic … takes batches of at most …; the fix: …"
std::string rule_of_topic(const std::string& topic, std::size_t bytes, std::size_t bytes_max);

}  // namespace onceflow::client
