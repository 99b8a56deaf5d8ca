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

  /// With at most `granted_bytes` of records. False, and nothing is to be sent, if the first batch
  /// is larger than that: see batch_bytes().
  bool write(const protocol::FetchRequest& request, std::size_t granted_bytes) {
    bytes_left_ = granted_bytes;
    reply_.records.reserve(granted_bytes);
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
    if (batch_bytes_ > 0 && reply_.records.empty()) {
      return false;
    }
    finish();
    return true;
  }

  /// Of the batch that the answer has to begin with, if it had no room: else a partition whose
  /// batches are large would never have its turn.
  std::size_t batch_bytes() const { return batch_bytes_; }

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
    if (batch_bytes_ > 0 || (bytes_max == 0 && !reply_.records.empty())) {
      return ErrorCode::kNone;
    }
    // A batch that is larger than the partition's share may be the only one; but it is not larger
    // than what was granted.
    const bool may_be_larger = reply_.records.empty() && bytes_max < bytes_left_;
    auto read = partition.read(from, bytes_max, isolation, reply_.records,
                               log::Partition::FirstBatch::kIfItFits);
    if (read && read->bytes == 0 && reply_.records.empty()) {
      const auto batch_bytes = partition.first_batch_bytes(from, isolation);
      if (!batch_bytes) {
        return batch_bytes.error();
      }
      if (*batch_bytes > core_.server.grant_bytes_max()) {
        return ErrorCode::kMessageTooLarge;
      }
      if (*batch_bytes > 0 && may_be_larger && *batch_bytes <= bytes_left_) {
        read = partition.read(from, *batch_bytes, isolation, reply_.records,
                              log::Partition::FirstBatch::kIfItFits);
      } else {
        batch_bytes_ = *batch_bytes;
      }
    }
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
  std::size_t batch_bytes_ = 0;
};

// What the answer could hold, at most as much as the request and the broker allow.
std::size_t wanted_bytes(const BrokerCore& core, const protocol::FetchRequest& request,
                         std::int16_t version) {
  const auto bytes_max =
      static_cast<std::size_t>(std::clamp(request.max_bytes, 0, core.options.fetch_bytes_max));
  std::size_t bytes = 0;
  for (const RequestTopic& topic : request.topics) {
    for (const RequestPartition& partition : topic.partitions) {
      const Found found = find_partition(core, topic, partition, version);
      if (found.error == ErrorCode::kNone) {
        bytes += std::min<std::size_t>(
            found.partition->readable_bytes(Offset(partition.fetch_offset), isolation_of(request)),
            static_cast<std::size_t>(std::max(partition.partition_max_bytes, 0)));
      }
      if (bytes >= bytes_max) {
        return bytes_max;
      }
    }
  }
  return bytes;
}

// Into `reply`, with the memory there is for it. False, with an empty reply, if its turn is later,
// or there is not enough memory for the first batch: the connection is woken for another attempt.
bool answer_in_turn(BrokerCore& core, const protocol::FetchRequest& request, std::int16_t version,
                    std::int32_t correlation_id, ConnectionNumber connection, Reply& reply) {
  const std::optional<std::size_t> in_turn =
      core.server.take_for_records(connection, wanted_bytes(core, request, version));
  if (!in_turn) {
    return false;
  }
  std::size_t granted = *in_turn;
  while (true) {
    FetchAnswer answer(core, version, correlation_id, reply);
    if (answer.write(request, granted)) {
      return true;
    }
    reply = Reply{};
    core.server.undo_for_answer(connection);
    if (!core.server.take_for_answer(connection, answer.batch_bytes())) {
      return false;
    }
    granted = answer.batch_bytes();
  }
}

/// The places that a fetch can wait at; nullopt if it has enough, or something to say at once.
std::optional<std::vector<FetchPlace>> places_to_wait_at(const BrokerCore& core,
                                                         const protocol::FetchRequest& request,
                                                         std::int16_t version) {
  const auto bytes_min = static_cast<std::size_t>(std::max(request.min_bytes, 0));
  const log::IsolationLevel isolation = isolation_of(request);
  std::vector<FetchPlace> places;
  std::size_t bytes = 0;
  for (const RequestTopic& topic : request.topics) {
    for (const RequestPartition& partition : topic.partitions) {
      const Found found = find_partition(core, topic, partition, version);
      const FetchPlace at{found.partition, Offset(partition.fetch_offset)};
      if (found.error != ErrorCode::kNone || at.is_out_of_range()) {
        return std::nullopt;
      }
      bytes += at.readable_bytes(isolation);
      if (bytes >= bytes_min) {
        return std::nullopt;
      }
      places.push_back(at);
    }
  }
  return places;
}

}  // namespace

Disposition handle_fetch(BrokerCore& core, const Request& request, protocol::FetchRequest& body,
                         Reply& reply) {
  const std::int16_t version = request.header.api_version;
  if (body.session_id != 0) {
    FetchAnswer(core, version, request.header.correlation_id, reply)
        .write_error(ErrorCode::kFetchSessionIdNotFound);
    return Disposition::kAnswer;
  }
  const std::optional<std::vector<FetchPlace>> places =
      body.max_wait_ms > 0 ? places_to_wait_at(core, body, version) : std::nullopt;
  if (!places || places->empty()) {
    return answer_in_turn(core, body, version, request.header.correlation_id,
                          request.slot.connection, reply)
               ? Disposition::kAnswer
               : Disposition::kNotNow;
  }
  const Duration wait_max = milliseconds(body.max_wait_ms);
  const log::IsolationLevel isolation = isolation_of(body);
  core.fetches.park({.slot = request.slot,
                     .api_version = version,
                     .correlation_id = request.header.correlation_id,
                     .request = std::move(body)},
                    *places, isolation, wait_max);
  return Disposition::kLater;
}

bool answer_parked_fetch(BrokerCore& core, ParkedFetch& fetch) {
  Reply reply;
  if (!answer_in_turn(core, fetch.request, fetch.api_version, fetch.correlation_id,
                      fetch.slot.connection, reply)) {
    return false;
  }
  core.server.complete(fetch.slot, std::move(reply));
  return true;
}

}  // namespace onceflow::broker
