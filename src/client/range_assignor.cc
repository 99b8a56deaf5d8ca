// The range assignment, and the messages of the consumer protocol.
#include "client/range_assignor.h"

#include <algorithm>
#include <tuple>

#include "protocol/messages/consumer_protocol_assignment.h"
#include "protocol/messages/consumer_protocol_subscription.h"

namespace onceflow::client {

namespace {

/// What later versions add, nobody needs under the eager protocol.
constexpr std::int16_t kWrittenVersion = 0;

template <typename Message>
Result<Message> decode_versioned(ByteView bytes) {
  WireReader reader(bytes);
  const std::int16_t version = reader.read_int16();
  if (!reader.ok() || version < 0) {
    return fail(ErrorCode::kCorrupt, "consumer protocol: no version");
  }
  // A later version only appends fields.
  return Message::decode(reader, std::min(version, Message::kVersionMax));
}

template <typename Message>
Buffer encode_versioned(const Message& message) {
  Buffer bytes;
  WireWriter writer(bytes);
  writer.write_int16(kWrittenVersion);
  message.encode(writer, kWrittenVersion);
  return bytes;
}

}  // namespace

GroupAssignment assign_range(std::vector<GroupMember> members,
                             const std::map<std::string, std::int32_t>& partition_counts) {
  std::ranges::sort(members, {}, [](const GroupMember& member) {
    return std::tuple(!member.group_instance_id.has_value(),
                      member.group_instance_id.value_or(member.member_id), member.member_id);
  });
  GroupAssignment assignment;
  for (const GroupMember& member : members) {
    assignment[member.member_id];
  }
  for (const auto& [topic, partition_count] : partition_counts) {
    std::vector<const GroupMember*> interested;
    for (const GroupMember& member : members) {
      if (std::ranges::find(member.topics, topic) != member.topics.end()) {
        interested.push_back(&member);
      }
    }
    if (interested.empty()) {
      continue;
    }
    const auto member_count = static_cast<std::int32_t>(interested.size());
    std::int32_t next = 0;
    for (std::int32_t index = 0; index < member_count; ++index) {
      const std::int32_t share =
          partition_count / member_count + (index < partition_count % member_count ? 1 : 0);
      for (std::int32_t taken = 0; taken < share; ++taken) {
        assignment[interested[static_cast<std::size_t>(index)]->member_id].push_back(
            {topic, PartitionIndex(next++)});
      }
    }
  }
  return assignment;
}

Buffer encode_subscription(const std::vector<std::string>& topics, std::string_view note) {
  protocol::ConsumerProtocolSubscription subscription;
  subscription.topics = topics;
  std::ranges::sort(subscription.topics);
  if (!note.empty()) {
    subscription.user_data = as_bytes(note);
  }
  return encode_versioned(subscription);
}

Result<std::vector<std::string>> decode_subscription(ByteView bytes) {
  auto subscription = decode_versioned<protocol::ConsumerProtocolSubscription>(bytes);
  RETURN_IF_ERROR(subscription);
  return std::move(subscription->topics);
}

std::string decode_note(ByteView bytes) {
  const auto subscription = decode_versioned<protocol::ConsumerProtocolSubscription>(bytes);
  return subscription && subscription->user_data ? std::string(as_text(*subscription->user_data))
                                                 : std::string();
}

Buffer encode_assignment(const std::vector<TopicPartition>& partitions) {
  protocol::ConsumerProtocolAssignment assignment;
  for (const TopicPartition& partition : partitions) {
    auto topic = std::ranges::find(assignment.assigned_partitions, partition.topic,
                                   [](const auto& known) { return known.topic; });
    if (topic == assignment.assigned_partitions.end()) {
      assignment.assigned_partitions.emplace_back().topic = partition.topic;
      topic = assignment.assigned_partitions.end() - 1;
    }
    topic->partitions.push_back(partition.partition.value);
  }
  return encode_versioned(assignment);
}

Result<std::vector<TopicPartition>> decode_assignment(ByteView bytes) {
  std::vector<TopicPartition> partitions;
  if (bytes.empty()) {
    return partitions;
  }
  const auto assignment = decode_versioned<protocol::ConsumerProtocolAssignment>(bytes);
  RETURN_IF_ERROR(assignment);
  for (const auto& topic : assignment->assigned_partitions) {
    for (const std::int32_t partition : topic.partitions) {
      partitions.push_back({topic.topic, PartitionIndex(partition)});
    }
  }
  std::ranges::sort(partitions);
  return partitions;
}

}  // namespace onceflow::client
