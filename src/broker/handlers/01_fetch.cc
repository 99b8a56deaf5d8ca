// Fetch: whole batches up to the high watermark, or the last stable offset for read_committed;
// waits for min_bytes up to max_wait_ms. No fetch sessions: every request names all its partitions,
// which KIP-227 allows the broker to insist on by session id 0. Stateless; on the broker's thread.
#include <algorithm>
#include <utility>

#include "broker/handlers/handlers.h"
#include "protocol/codec.h"

namespace onceflow::broker {
namespace {

using protocol::ErrorCode;
using RequestTopic = protocol::FetchRequest::Topic;
using RequestPartition = protocol::FetchRequest::Partition;

constexpr std::int16_t kFirstVersionWithTopicIds = 13;
constexpr std::int32_t kLeaderEpoch = 0;

log::IsolationLevel isolation_of(const protocol::FetchRequest& request) {
  return request.isolation_level == 1 ? log::IsolationLevel::kReadCommitted
                                      : log::IsolationLevel::kReadUncommitted;
}

struct Found {
  log::Partition* partition = nullptr;
  ErrorCode error = ErrorCode::kNone;
};

Found find_partition(const BrokerCore& core, const RequestTopic& topic,
                     const RequestPartition& partition, std::int16_t version) {
  const log::Topics& topics = core.log.topics();
  const PartitionIndex index(partition.partition);
  if (version >= kFirstVersionWithTopicIds && topics.find(topic.topic_id) == nullptr) {
    return {nullptr, ErrorCode::kUnknownTopicId};
  }
  log::Partition* const found = version >= kFirstVersionWithTopicIds
                                    ? topics.find(TopicIdPartition{topic.topic_id, index})
                                    : topics.find(topic.topic, index);
  if (found == nullptr) {
    return {nullptr, ErrorCode::kUnknownTopicOrPartition};
  }
  if (partition.current_leader_epoch > kLeaderEpoch) {
    return {nullptr, ErrorCode::kUnknownLeaderEpoch};
  }
  return {found, ErrorCode::kNone};
}

// Writes the response by hand, for the bytes of records stay where the log has read them to. The
// layout is that of messages/01_fetch.msg; fetch_test holds it against the generated codec.
class FetchAnswer {
 public:
  FetchAnswer(BrokerCore& core, std::int16_t version, std::int32_t correlation_id, Reply& reply)
      : core_(core),
        version_(version),
        flexible_(version >= 12),
        reply_(reply),
        writer_(reply.bytes) {
    frame_ = protocol::begin_frame(writer_);
    protocol::ResponseHeader{correlation_id}.encode(
        writer_, protocol::response_header_version(protocol::ApiKey::kFetch, version));
    writer_.write_int32(0);  // throttle_time_ms
  }

  void write_error(ErrorCode error) {
    reply_.error = error;
    begin(error, 0);
    finish();
  }

  void write(const protocol::FetchRequest& request) {
    bytes_left_ = std::min<std::size_t>(
        static_cast<std::size_t>(std::clamp(request.max_bytes, 0, core_.options.fetch_bytes_max)),
        core_.server.memory_left_bytes());
    begin(ErrorCode::kNone, request.topics.size());
    for (const RequestTopic& topic : request.topics) {
      if (version_ < kFirstVersionWithTopicIds) {
        protocol::codec::write_string(writer_, flexible_, topic.topic);
      } else {
        writer_.write_uuid(topic.topic_id);
      }
      write_count(topic.partitions.size());
      for (const RequestPartition& partition : topic.partitions) {
        write_partition(topic, partition, isolation_of(request));
      }
      end_structure();
    }
    finish();
  }

 private:
  void begin(ErrorCode error, std::size_t topic_count) {
    if (version_ >= 7) {
      writer_.write_int16(static_cast<std::int16_t>(error));
      writer_.write_int32(0);  // session_id: none
    }
    write_count(topic_count);
  }

  void finish() {
    end_structure();
    protocol::finish_frame(writer_, frame_);
    const auto size = wire::load_big_endian<std::int32_t>(reply_.bytes.data() + frame_);
    writer_.patch_integer(frame_, size + static_cast<std::int32_t>(reply_.records.size()));
    core_.statistics.fetched_bytes += reply_.records.size();
  }

  void write_partition(const RequestTopic& topic, const RequestPartition& partition,
                       log::IsolationLevel isolation) {
    Found found = find_partition(core_, topic, partition, version_);
    const Offset from(partition.fetch_offset);
    log::Partition::ReadBatches batches{.bytes = 0, .end = from};
    if (found.error == ErrorCode::kNone) {
      found.error = read(*found.partition, from, partition.partition_max_bytes, isolation, batches);
    }
    if (found.error != ErrorCode::kNone) {
      reply_.error = found.error;
    }
    const bool good = found.error == ErrorCode::kNone;
    writer_.write_int32(partition.partition);
    writer_.write_int16(static_cast<std::int16_t>(found.error));
    writer_.write_int64(good ? found.partition->high_watermark().value : -1);
    writer_.write_int64(good ? found.partition->last_stable_offset().value : -1);
    if (version_ >= 5) {
      writer_.write_int64(good ? found.partition->log_start_offset().value : -1);
    }
    // Who reads uncommitted must be told of no aborted transactions, for some clients would skip
    // them.
    if (good && isolation == log::IsolationLevel::kReadCommitted) {
      write_aborted(*found.partition, from, batches.end);
    } else {
      write_null();
    }
    if (version_ >= 11) {
      writer_.write_int32(-1);  // preferred_read_replica
    }
    protocol::codec::write_length<std::int32_t>(writer_, flexible_, batches.bytes);
    if (batches.bytes > 0) {
      reply_.splices.push_back({reply_.bytes.size(), batches.bytes});
    }
    end_structure();
  }

  ErrorCode read(log::Partition& partition, Offset from, std::int32_t partition_bytes_max,
                 log::IsolationLevel isolation, log::Partition::ReadBatches& batches) {
    // At the end, and in between the last stable offset and the high watermark, there is nothing to
    // read and nothing wrong.
    const Offset end = partition.visible_end(isolation);
    if (from >= end && from <= partition.high_watermark()) {
      return ErrorCode::kNone;
    }
    const std::size_t bytes_max =
        std::min(bytes_left_, static_cast<std::size_t>(std::max(partition_bytes_max, 0)));
    if (bytes_max == 0 && !reply_.records.empty()) {
      return ErrorCode::kNone;
    }
    const auto first = reply_.records.empty() ? log::Partition::FirstBatch::kAlways
                                              : log::Partition::FirstBatch::kIfItFits;
    const auto read = partition.read(from, bytes_max, isolation, reply_.records, first);
    if (!read) {
      return read.error();
    }
    batches = *read;
    bytes_left_ -= std::min(bytes_left_, batches.bytes);
    return ErrorCode::kNone;
  }

  void write_aborted(const log::Partition& partition, Offset from, Offset end) {
    std::vector<log::AbortedTransaction> aborted;
    if (from < end) {
      aborted = partition.aborted_transactions(from, end);
    }
    write_count(aborted.size());
    for (const log::AbortedTransaction& transaction : aborted) {
      writer_.write_int64(transaction.producer.value);
      writer_.write_int64(transaction.first_offset.value);
      end_structure();
    }
  }

  void write_count(std::size_t count) {
    protocol::codec::write_length<std::int32_t>(writer_, flexible_, count);
  }
  void write_null() { protocol::codec::write_null<std::int32_t>(writer_, flexible_, true); }
  void end_structure() {
    if (flexible_) {
      writer_.write_unsigned_varint(0);
    }
  }

  BrokerCore& core_;
  const std::int16_t version_;
  const bool flexible_;
  Reply& reply_;
  WireWriter writer_;
  std::size_t frame_ = 0;
  std::size_t bytes_left_ = 0;
};

std::vector<TopicIdPartition> partitions_of(const BrokerCore& core,
                                            const protocol::FetchRequest& body,
                                            std::int16_t version) {
  std::vector<TopicIdPartition> partitions;
  for (const RequestTopic& topic : body.topics) {
    for (const RequestPartition& partition : topic.partitions) {
      const Found found = find_partition(core, topic, partition, version);
      if (found.partition != nullptr) {
        partitions.push_back(found.partition->id());
      }
    }
  }
  return partitions;
}

}  // namespace

bool fetch_has_enough(const BrokerCore& core, const protocol::FetchRequest& request,
                      std::int16_t version) {
  if (request.min_bytes <= 0) {
    return true;
  }
  const auto bytes_min = static_cast<std::size_t>(request.min_bytes);
  const log::IsolationLevel isolation = isolation_of(request);
  std::size_t bytes = 0;
  for (const RequestTopic& topic : request.topics) {
    for (const RequestPartition& partition : topic.partitions) {
      const Found found = find_partition(core, topic, partition, version);
      const Offset from(partition.fetch_offset);
      if (found.error != ErrorCode::kNone || from < found.partition->log_start_offset() ||
          from > found.partition->high_watermark()) {
        return true;
      }
      if (from < found.partition->visible_end(isolation)) {
        bytes += std::max<std::size_t>(1, found.partition->readable_bytes(from, isolation));
        if (bytes >= bytes_min) {
          return true;
        }
      }
    }
  }
  return false;
}

Disposition handle_fetch(BrokerCore& core, const Request& request, protocol::FetchRequest& body,
                         Reply& reply) {
  const std::int16_t version = request.header.api_version;
  if (body.session_id != 0) {
    FetchAnswer(core, version, request.header.correlation_id, reply)
        .write_error(ErrorCode::kFetchSessionIdNotFound);
    return Disposition::kAnswer;
  }
  const bool nothing_to_wait_for =
      body.max_wait_ms <= 0 ||
      std::ranges::all_of(body.topics, [](const auto& topic) { return topic.partitions.empty(); });
  if (nothing_to_wait_for || fetch_has_enough(core, body, version)) {
    FetchAnswer(core, version, request.header.correlation_id, reply).write(body);
    return Disposition::kAnswer;
  }
  std::vector<TopicIdPartition> partitions = partitions_of(core, body, version);
  const Duration wait_max = milliseconds(body.max_wait_ms);
  core.fetches.park({.slot = request.slot,
                     .api_version = version,
                     .correlation_id = request.header.correlation_id,
                     .request = std::move(body)},
                    std::move(partitions), wait_max);
  return Disposition::kLater;
}

void answer_parked_fetch(BrokerCore& core, ParkedFetch& fetch) {
  Reply reply;
  FetchAnswer(core, fetch.api_version, fetch.correlation_id, reply).write(fetch.request);
  core.server.complete(fetch.slot, std::move(reply));
}

}  // namespace onceflow::broker
