// ListOffsets: where a partition begins and ends, and the first record from a time on. On the
// broker's thread.
//
// A time is looked for in the log's files, and in a batch that may have to be unpacked: that is
// done in slices of time, and unpacking on the worker's thread, while the connection is held. So
// are thousands of partitions.
#include <algorithm>
#include <memory>
#include <utility>

#include "base/task.h"
#include "broker/handlers/handlers.h"

namespace onceflow::broker {
namespace {

using protocol::ErrorCode;
using PartitionResponse = protocol::ListOffsetsResponse::Partition;

// Kafka's special timestamps.
constexpr std::int64_t kLatest = -1;
constexpr std::int64_t kEarliest = -2;
constexpr std::int64_t kMaxTimestamp = -3;
constexpr std::int64_t kEarliestLocal = -4;
constexpr std::int64_t kLatestTiered = -5;

using Asked = protocol::ListOffsetsRequest::Partition;
using BatchOfTime = log::BatchOfTime;

bool asks_for_a_time(std::int64_t timestamp) {
  return timestamp >= 0 || timestamp == kMaxTimestamp;
}

PartitionResponse refused(ErrorCode error) {
  PartitionResponse response;
  response.error_code = error;
  return response;
}

PartitionResponse found_at(std::int64_t timestamp, Offset offset) {
  PartitionResponse response;
  response.timestamp = timestamp;
  response.offset = offset.value;
  response.leader_epoch = 0;
  return response;
}

class ListOffsets {
 public:
  ListOffsets(BrokerCore& core, const Request& request, protocol::ListOffsetsRequest body)
      : core_(core),
        version_(request.header.api_version),
        correlation_id_(request.header.correlation_id),
        slot_(request.slot),
        body_(std::move(body)),
        isolation_(body_.isolation_level == 1 ? log::IsolationLevel::kReadCommitted
                                              : log::IsolationLevel::kReadUncommitted) {}

  bool takes_long() const { return names_many() || asks_for_times(); }

  Disposition answer(Reply& reply) {
    for (const auto& topic : body_.topics) {
      auto& answered = response_.topics.emplace_back();
      answered.name = topic.name;
      for (const Asked& asked : topic.partitions) {
        add(answered, asked, find(topic.name, asked));
      }
    }
    encode_reply(response_, version_, correlation_id_, reply);
    return Disposition::kAnswer;
  }

  static Task<void> answer_in_slices(std::unique_ptr<ListOffsets> list) {
    BrokerCore& core = list->core_;
    co_await core.slices.begin();  // handle() returns first
    for (const auto& topic : list->body_.topics) {
      auto& answered = list->response_.topics.emplace_back();
      answered.name = topic.name;
      for (const Asked& asked : topic.partitions) {
        PartitionResponse found = list->find(topic.name, asked);
        if (found.error_code == ErrorCode::kNone && asks_for_a_time(asked.timestamp)) {
          found = co_await list->find_time(topic.name, asked);
        }
        add(answered, asked, std::move(found));
        co_await core.slices.rest();
        if (!core.server.is_open(list->slot_.connection)) {
          core.server.finish_held(list->slot_, Disposition::kClose, {});
          co_return;
        }
      }
    }
    std::optional<Reply> reply;
    if (list->names_many()) {
      reply = co_await encode_reply_off_loop(core, std::move(list->response_), list->version_,
                                             list->correlation_id_);
    } else if (!core.try_to([&] {
                 encode_reply(list->response_, list->version_, list->correlation_id_,
                              reply.emplace());
               })) {
      reply.reset();
    }
    core.finish_held(protocol::ApiKey::kListOffsets, list->slot_, std::move(reply));
  }

 private:
  bool names_many() const {
    std::size_t count = 0;
    for (const auto& topic : body_.topics) {
      count += 1 + topic.partitions.size();
    }
    return count > core_.options.names_at_once_max;
  }
  bool asks_for_times() const {
    return std::ranges::any_of(body_.topics, [](const auto& topic) {
      return std::ranges::any_of(
          topic.partitions, [](const Asked& asked) { return asks_for_a_time(asked.timestamp); });
    });
  }

  log::Partition* partition_of(const std::string& topic, const Asked& asked) const {
    return core_.log.topics().find(topic, PartitionIndex(asked.partition_index));
  }

  static void add(protocol::ListOffsetsResponse::Topic& answered, const Asked& asked,
                  PartitionResponse found) {
    found.partition_index = asked.partition_index;
    answered.partitions.push_back(std::move(found));
  }

  /// All but times.
  PartitionResponse find(const std::string& topic, const Asked& asked) const {
    const log::Partition* const partition = partition_of(topic, asked);
    if (asked.is_repeated) {
      return refused(ErrorCode::kInvalidRequest);
    }
    if (partition == nullptr) {
      return refused(ErrorCode::kUnknownTopicOrPartition);
    }
    if (asked.current_leader_epoch > 0) {
      return refused(ErrorCode::kUnknownLeaderEpoch);
    }
    switch (asked.timestamp) {
      case kLatest:
        return found_at(-1, partition->visible_end(isolation_));
      case kEarliest:
      case kEarliestLocal:
        return found_at(-1, partition->log_start_offset());
      case kMaxTimestamp:
      case kLatestTiered:
        return {};
      default:
        return asked.timestamp < 0 ? refused(ErrorCode::kUnsupportedVersion) : PartitionResponse{};
    }
  }

  Task<PartitionResponse> find_time(const std::string& topic, const Asked& asked) {
    log::Partition* partition = partition_of(topic, asked);
    const TopicIdPartition id = partition->id();
    auto batch = asked.timestamp == kMaxTimestamp
                     ? partition->find_batch_of_max_timestamp(isolation_)
                     : partition->find_batch_by_timestamp(asked.timestamp, isolation_);
    if (!batch) {
      co_return refused(batch.error());
    }
    if (!*batch) {
      co_return PartitionResponse{};
    }
    Result<std::optional<log::TimestampOffset>> record = std::nullopt;
    if ((*batch)->is_compressed()) {
      record = co_await core_.worker.run(
          [looked_into = *std::move(*batch)] { return looked_into.find_record(); });
      partition = core_.log.topics().find(id);
      if (partition == nullptr) {
        co_return refused(ErrorCode::kUnknownTopicOrPartition);
      }
    } else {
      record = (*batch)->find_record();
    }
    const auto found = partition->answer_found(std::move(record));
    if (!found) {
      co_return refused(found.error());
    }
    co_return *found ? found_at((*found)->timestamp, (*found)->offset) : PartitionResponse{};
  }

  BrokerCore& core_;
  const std::int16_t version_;
  const std::int32_t correlation_id_;
  const ReplySlot slot_;
  protocol::ListOffsetsRequest body_;
  const log::IsolationLevel isolation_;
  protocol::ListOffsetsResponse response_;
};

}  // namespace

Disposition handle_list_offsets(BrokerCore& core, const Request& request,
                                protocol::ListOffsetsRequest& body, Reply& reply) {
  ListOffsets list(core, request, std::move(body));
  if (!list.takes_long()) {
    return list.answer(reply);
  }
  core.environment.scheduler.spawn(
      ListOffsets::answer_in_slices(std::make_unique<ListOffsets>(std::move(list))));
  return Disposition::kHeld;
}

}  // namespace onceflow::broker
