// Produce: validate the batch, check transaction and producer state in the same step as the append,
// answer when it is durable, whatever acks says. Stateless; on the broker's thread.
#include <fmt/format.h>

#include <limits>
#include <utility>

#include "broker/handlers/handlers.h"
#include "protocol/batch_validation.h"

namespace onceflow::broker {
namespace {

using protocol::ErrorCode;
using PartitionResponse = protocol::ProduceResponse::Partition;

constexpr std::int16_t kFirstVersionOfTransactionsV2 = 12;
// Once the batches of a request have unpacked to so much, those after them are left for the next
// request, so that others get their turn: a request takes at most twice as much. No client puts so
// much into one on purpose.
constexpr std::size_t kUnpackedBytesPerRequestMax = protocol::kDecompressedBytesMax;
// One batch that unpacks to much does not keep that memory for good.
constexpr std::size_t kScratchBytesKept = 8u << 20;

// What an error without a text of its own means here, and what helps.
std::string_view advice(ErrorCode code) {
  switch (code) {
    case ErrorCode::kKafkaStorageError:
      return "the log takes nothing in: its disk has less free than log.free.bytes.min, or has "
             "failed; the broker's own messages say which";
    case ErrorCode::kOutOfOrderSequenceNumber:
      return "a batch before this one has not arrived; send them again in their order";
    case ErrorCode::kInvalidProducerEpoch:
      return "a newer producer with the same transactional.id has taken over, or the transaction "
             "timed out; begin again with InitProducerId";
    case ErrorCode::kInvalidTxnState:
    case ErrorCode::kTransactionAbortable:
      return "the partition is not part of an ongoing transaction of this producer; abort, and "
             "begin another";
    case ErrorCode::kInvalidProducerIdMapping:
      return "this transactional.id has another producer id; begin again with InitProducerId";
    default:
      return "";
  }
}

// The errors on which clients send the same records with the same sequences again
// (MESSAGE_TOO_LARGE: in smaller batches; REQUEST_TIMED_OUT: of a request that unpacks to much).
// Not CORRUPT_MESSAGE: what a damaged header says of its sequences counts for nothing. After every
// other error the records are given up, and so is their transaction.
bool is_repeated_by_clients(ErrorCode error) {
  switch (error) {
    case ErrorCode::kOutOfOrderSequenceNumber:
    case ErrorCode::kUnknownTopicOrPartition:
    case ErrorCode::kMessageTooLarge:
    case ErrorCode::kKafkaStorageError:
    case ErrorCode::kRequestTimedOut:
      return true;
    default:
      return false;
  }
}

struct Refused {
  ErrorCode code;
  std::string text;
  std::optional<std::int32_t> record_index;
};

class Produce {
 public:
  Produce(BrokerCore& core, const Request& request, const protocol::ProduceRequest& body)
      : core_(core), version_(request.header.api_version), body_(body) {}

  PartitionResponse append(const std::string& topic,
                           const protocol::ProduceRequest::Partition& partition) {
    PartitionResponse response{.index = partition.index};
    if (const auto refused = try_append(topic, partition, response)) {
      response.error_code = refused->code;
      response.base_offset = -1;
      const std::string_view text =
          refused->text.empty() ? advice(refused->code) : std::string_view(refused->text);
      if (!text.empty()) {
        response.error_message = fmt::format("{}-{}: {}", topic, partition.index, text);
      }
      if (refused->record_index) {
        response.record_errors.push_back({*refused->record_index, refused->text});
      }
      doubt(topic, partition, refused->code);
    }
    return response;
  }

 private:
  std::optional<Refused> try_append(const std::string& topic_name,
                                    const protocol::ProduceRequest::Partition& partition,
                                    PartitionResponse& response) {
    if (body_.acks < -1 || body_.acks > 1) {
      return Refused{ErrorCode::kInvalidRequiredAcks, "acks is none of -1, 0 and 1", {}};
    }
    log::Topic* const topic = core_.log.topics().find(topic_name);
    const auto index = static_cast<std::size_t>(partition.index);
    if (topic == nullptr || partition.index < 0 || index >= topic->partitions.size()) {
      return Refused{ErrorCode::kUnknownTopicOrPartition,
                     "it does not exist; create the topic, or produce to a partition that it has",
                     {}};
    }
    if (unpacked_bytes_ >= kUnpackedBytesPerRequestMax) {
      return Refused{ErrorCode::kRequestTimedOut,
                     fmt::format("the batches before it in the request have unpacked to {} bytes, "
                                 "and {} end it; send it again, or fewer of them at a time",
                                 unpacked_bytes_, kUnpackedBytesPerRequestMax),
                     {}};
    }
    const log::TopicConfig& config = topic->config;
    const ByteView records = partition.records.value_or(ByteView{});
    core_.scratch.clear();
    const auto batch = protocol::validate_produced_batch(
        records,
        {.produce_version = version_,
         .max_message_bytes = static_cast<std::size_t>(config.max_message_bytes),
         .segment_bytes = static_cast<std::size_t>(config.segment_bytes),
         .key_rule =
             config.cleanup_compact ? protocol::KeyRule::kRequired : protocol::KeyRule::kAny,
         .timestamp_type = config.message_timestamp_type == log::TimestampType::kLogAppendTime
                               ? protocol::TimestampType::kLogAppendTime
                               : protocol::TimestampType::kCreateTime,
         .timestamp_ms_min = earliest(config.timestamp_before_max_ms),
         .timestamp_ms_max = latest(config.timestamp_after_max_ms)},
        core_.scratch);
    unpacked_bytes_ += core_.scratch.size();
    if (core_.scratch.capacity() > kScratchBytesKept) {
      core_.scratch = {};
    }
    if (!batch) {
      return Refused{batch.error().code, batch.error().text, batch.error().record_index};
    }
    log::Partition& log_partition = *topic->partitions[index];
    if (const ErrorCode error = admit(batch->header, log_partition); error != ErrorCode::kNone) {
      return Refused{error, "", {}};
    }
    const auto unknown =
        batch->header.is_transactional() && version_ >= kFirstVersionOfTransactionsV2
            ? log::UnknownProducer::kSequenceZero
            : log::UnknownProducer::kAnySequence;
    const auto appended = core_.log.append_batch(log_partition, *batch, records, unknown);
    if (!appended) {
      return Refused{appended.error(), "", {}};
    }
    response.base_offset = appended->base_offset.value;
    response.log_append_time_ms = appended->log_append_time_ms;
    response.log_start_offset = appended->log_start_offset.value;
    settle_doubt(topic_name, partition.index, batch->header);
    count(batch->header, *appended, records.size());
    return std::nullopt;
  }

  std::int64_t earliest(std::int64_t before_max_ms) const {
    const std::int64_t now_ms = core_.environment.scheduler.wall_now().ms;
    return before_max_ms > now_ms ? std::numeric_limits<std::int64_t>::min()
                                  : now_ms - before_max_ms;
  }
  std::int64_t latest(std::int64_t after_max_ms) const {
    constexpr std::int64_t kLast = std::numeric_limits<std::int64_t>::max();
    const std::int64_t now_ms = core_.environment.scheduler.wall_now().ms;
    return after_max_ms > kLast - now_ms ? kLast : now_ms + after_max_ms;
  }

  // A transactional batch must belong to the ongoing transaction of its producer. The retry of a
  // batch that was appended is answered alike even if its transaction has ended meanwhile.
  ErrorCode admit(const protocol::RecordBatchHeader& header, const log::Partition& partition) {
    if (!header.is_transactional()) {
      return ErrorCode::kNone;
    }
    const log::IncomingBatch incoming{.producer = header.producer(),
                                      .first_sequence = header.base_sequence,
                                      .last_offset_delta = header.last_offset_delta,
                                      .is_transactional = true};
    if (partition.find_duplicate(incoming) != nullptr) {
      return ErrorCode::kNone;
    }
    const ErrorCode error = core_.coordinator.transactions().admit_produce(
        body_.transactional_id ? std::string_view(*body_.transactional_id) : std::string_view(),
        header.producer(), partition.id(), version_, core_.moment(), core_.effects);
    core_.append_entries();
    return error;
  }

  // The commit may be on its way behind the refused batch (design D2a).
  void doubt(const std::string& topic, const protocol::ProduceRequest::Partition& partition,
             ErrorCode error) {
    const auto header = protocol::RecordBatchHeader::parse(partition.records.value_or(ByteView{}));
    if (!is_version_2() || !header || !header->is_transactional()) {
      return;
    }
    coordinator::TransactionCoordinator& transactions = core_.coordinator.transactions();
    if (!is_repeated_by_clients(error)) {
      transactions.mark_must_abort(header->producer(), core_.moment(), core_.effects);
    } else if (!has_been_accepted(topic, partition.index, *header)) {
      transactions.add_doubt(header->producer(), part_of(topic, partition.index, *header),
                             core_.moment(), core_.effects);
    }
    core_.settle();
  }

  void settle_doubt(const std::string& topic, std::int32_t partition,
                    const protocol::RecordBatchHeader& header) {
    if (is_version_2() && header.is_transactional()) {
      core_.coordinator.transactions().settle_doubt(
          header.producer(), part_of(topic, partition, header), core_.effects);
      core_.append_entries();
    }
  }

  bool is_version_2() const {
    return version_ >= kFirstVersionOfTransactionsV2 && body_.transactional_id.has_value();
  }

  // One that comes late, when all of its sequences are in the log already, leaves nothing out.
  bool has_been_accepted(const std::string& topic, std::int32_t partition,
                         const protocol::RecordBatchHeader& header) const {
    const log::Partition* const found = core_.log.topics().find(topic, PartitionIndex(partition));
    const log::ProducerState* const known =
        found == nullptr ? nullptr : found->producers().find(header.producer_id);
    return known != nullptr && known->epoch == header.producer_epoch &&
           known->last_sequence() >= log::IncomingBatch::of(header).last_sequence();
  }

  static coordinator::TransactionPart part_of(const std::string& topic, std::int32_t partition,
                                              const protocol::RecordBatchHeader& header) {
    return {.topic = topic,
            .partition = PartitionIndex(partition),
            .last_sequence = log::IncomingBatch::of(header).last_sequence()};
  }

  void count(const protocol::RecordBatchHeader& header, const log::AppendedBatch& appended,
             std::size_t bytes) {
    BrokerStatistics& statistics = core_.statistics;
    if (appended.is_duplicate) {
      ++statistics.duplicate_batches;
      return;
    }
    ++statistics.produced_batches;
    statistics.produced_records += static_cast<std::uint64_t>(header.records_count);
    statistics.produced_bytes += bytes;
  }

  BrokerCore& core_;
  const std::int16_t version_;
  const protocol::ProduceRequest& body_;
  std::size_t unpacked_bytes_ = 0;  ///< of this request's batches so far
};

}  // namespace

Disposition handle_produce(BrokerCore& core, const Request& request,
                           const protocol::ProduceRequest& body, Reply& reply) {
  Produce produce(core, request, body);
  protocol::ProduceResponse response;
  response.responses.reserve(body.topic_data.size());
  for (const protocol::ProduceRequest::Topic& topic : body.topic_data) {
    auto& answered = response.responses.emplace_back();
    answered.name = topic.name;
    answered.partition_responses.reserve(topic.partition_data.size());
    for (const protocol::ProduceRequest::Partition& partition : topic.partition_data) {
      const auto& last =
          answered.partition_responses.emplace_back(produce.append(topic.name, partition));
      if (last.error_code != ErrorCode::kNone) {
        reply.error = last.error_code;
      }
    }
  }
  if (body.acks == 0) {
    // Without an answer, an error shows only by the closing of the connection; so does Kafka.
    return reply.error == ErrorCode::kNone ? Disposition::kNothing : Disposition::kClose;
  }
  reply.latency = &core.statistics.produce_latency;
  encode_reply(response, request.header.api_version, request.header.correlation_id, reply);
  return Disposition::kAnswer;
}

}  // namespace onceflow::broker
