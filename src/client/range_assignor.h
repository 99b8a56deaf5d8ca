// RangeAssignor: Kafka's "range", topic by topic: members in the order of their ids (static ones by
// group.instance.id, before the others), each a contiguous run of partitions, the first ones one
// more.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"

namespace onceflow::client {

struct GroupMember {
  std::string member_id;
  std::optional<std::string> group_instance_id;
  std::vector<std::string> topics;
};

using GroupAssignment = std::map<std::string, std::vector<TopicPartition>>;  // by member id

/// Every member has an entry. Topics without a count get nobody.
GroupAssignment assign_range(std::vector<GroupMember> members,
                             const std::map<std::string, std::int32_t>& partition_counts);

/// The bytes that members and their leader exchange through the broker: version, then the message.
/// `note` is what Kafka calls user data; empty: none.
Buffer encode_subscription(const std::vector<std::string>& topics, std::string_view note = {});
Result<std::vector<std::string>> decode_subscription(ByteView bytes);
/// The note in a subscription; empty if there is none, or the bytes are none.
std::string decode_note(ByteView bytes);
Buffer encode_assignment(const std::vector<TopicPartition>& partitions);
/// In order of topic and partition; empty bytes are an empty assignment.
Result<std::vector<TopicPartition>> decode_assignment(ByteView bytes);

}  // namespace onceflow::client
