// Produce: validate the batch, check transaction and producer state in the same step as the append,
// answer when it is durable, whatever acks says. On the broker's thread.
//
// Validation reads all of a batch, and unpacks it. What is more than a little is validated on the
// worker's thread, one batch at a time, while the connection is held; what follows it, up to the
// append, happens on this one as ever, and only if the client is still there (KAFKA-17754).
#include <fmt/format.h>

#include <algorithm>
#include <expected>
#include <limits>
#include <memory>
#include <new>
#include <utility>

#include "base/task.h"
#include "broker/answer_bytes.h"
#include "broker/handlers/handlers.h"
#include "protocol/batch_validation.h"

namespace onceflow::broker {
namespace {

using protocol::ErrorCode;
using PartitionResponse = protocol::ProduceResponse::Partition;

constexpr std::int16_t kFirstVersionOfTransactionsV2 = 12;
// Once the batches of a request have unpacked to so much, those after them are left for the next
// request, so that others get their turn on the worker's thread: a request takes at most twice as
// much. No client puts so much into one on purpose.
constexpr std::size_t kUnpackedBytesPerRequestMax = protocol::kDecompressedBytesMax;
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
      return "the partition is not part of an ongoing transaction of this producer, or has no "
             "room in it (transaction.max.bytes, transactions.max.bytes); abort, and begin another";
    case ErrorCode::kRequestTimedOut:
      return "the log keeps the state of as many producers as it may, and all of them have written "
             "lately; send it again later";
    case ErrorCode::kInvalidProducerIdMapping:
      return "this producer id is not that of the transactional.id; begin again with "
             "InitProducerId";
    case ErrorCode::kUnknownProducerId:
      return "this log has not handed out this producer id; go on with a greater epoch from "
             "sequence 0, or begin again with InitProducerId";
    case ErrorCode::kTransactionalIdAuthorizationFailed:
      return "records of a transaction without its transactional.id in the request";
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

/// All that validation of one batch needs, so that it can happen elsewhere.
struct Checks {
  TopicId topic;
  ByteView records;
  protocol::BatchValidationOptions options;
};

struct Validated {
  std::expected<protocol::ValidatedBatch, protocol::BatchFault> batch;
  std::size_t unpacked_bytes = 0;
};

// Without memory to unpack it, it is to be sent again: REQUEST_TIMED_OUT.
Validated validate(const Checks& checks, Buffer& scratch) {
  scratch.clear();
  try {
    auto batch = protocol::validate_produced_batch(checks.records, checks.options, scratch);
    return {std::move(batch), scratch.size()};
  } catch (const std::bad_alloc&) {
    return {std::unexpected(
                protocol::BatchFault{ErrorCode::kRequestTimedOut,
                                     "there is no memory to unpack it at the moment; send it again",
                                     {}}),
            0};
  }
}

class Produce {
 public:
  Produce(BrokerCore& core, const Request& request, protocol::ProduceRequest body)
      : core_(core),
        version_(request.header.api_version),
        correlation_id_(request.header.correlation_id),
        slot_(request.slot),
        body_(std::move(body)) {
    response_.responses.reserve(body_.topic_data.size());
  }

  /// Appends one batch after another. False if the next takes long to validate.
  bool run_what_is_short() {
    for (; const auto checks = refuse_up_to_next(); ++next_partition_) {
      const std::optional<Validated> validated = validate_if_short(*checks);
      if (!validated) {
        return false;
      }
      answer_next(*checks, *validated);
    }
    return true;
  }

  /// The rest, off the loop. `produce` has its connection held.
  static Task<void> run_what_is_long(std::unique_ptr<Produce> produce) {
    BrokerCore& core = produce->core_;
    bool has_memory = true;
    while (true) {
      std::optional<Checks> checks;
      has_memory = core.try_to([&] { checks = produce->refuse_up_to_next(); });
      if (!has_memory || !checks) {
        break;
      }
      const Validated validated = co_await core.worker.run([checks = *checks] {
        Buffer scratch;
        return validate(checks, scratch);
      });
      co_await core.wait_while_full();
      if (!core.server.is_open(produce->slot_.connection)) {
        core.server.finish_held(produce->slot_, Disposition::kClose, {});
        co_return;
      }
      has_memory = core.try_to([&] {
        produce->answer_next(*checks, validated);
        ++produce->next_partition_;
      });
      if (!has_memory) {
        break;
      }
    }
    Reply reply;
    Disposition disposition = Disposition::kClose;
    has_memory = has_memory && core.try_to([&] { disposition = produce->finish(reply); });
    if (!has_memory) {
      core.server.close_without_memory(produce->slot_.connection);
    }
    core.finish_held(protocol::ApiKey::kProduce, produce->slot_, disposition, std::move(reply));
  }

  Disposition finish(Reply& reply) {
    reply.error = error_;
    if (body_.acks == 0) {
      // Without an answer, an error shows only by the closing of the connection; so does Kafka.
      return error_ == ErrorCode::kNone ? Disposition::kNothing : Disposition::kClose;
    }
    reply.latency = &core_.statistics.produce_latency;
    encode_reply(response_, version_, correlation_id_, reply);
    return Disposition::kAnswer;
  }

 private:
  using Topic = protocol::ProduceRequest::Topic;
  using Partition = protocol::ProduceRequest::Partition;

  /// The next that is to be looked into; nullopt at the end.
  std::optional<Checks> refuse_up_to_next() {
    for (; find_next(); ++next_partition_) {
      const auto checks = checks_of_next();
      if (checks) {
        return *checks;
      }
      answer_next(checks.error());
    }
    return std::nullopt;
  }

  /// Makes the place of its answer too. False at the end.
  bool find_next() {
    while (next_topic_ < body_.topic_data.size()) {
      const Topic& topic = body_.topic_data[next_topic_];
      if (response_.responses.size() == next_topic_) {
        auto& answered = response_.responses.emplace_back();
        answered.name = topic.name;
        answered.partition_responses.reserve(topic.partition_data.size());
      }
      if (next_partition_ < topic.partition_data.size()) {
        return true;
      }
      ++next_topic_;
      next_partition_ = 0;
    }
    return false;
  }
  const std::string& topic_name() const { return body_.topic_data[next_topic_].name; }
  const Partition& partition() const {
    return body_.topic_data[next_topic_].partition_data[next_partition_];
  }

  std::expected<Checks, Refused> checks_of_next() const {
    if (body_.acks < -1 || body_.acks > 1) {
      return refuse(ErrorCode::kInvalidRequiredAcks, "acks is none of -1, 0 and 1");
    }
    if (partition().is_repeated) {
      return refuse(ErrorCode::kInvalidRequest, std::string(kGivenTwice));
    }
    const log::Topic* const topic = core_.log.topics().find(topic_name());
    if (topic == nullptr || partition().index < 0 ||
        std::cmp_greater_equal(partition().index, topic->partitions.size())) {
      return refuse(ErrorCode::kUnknownTopicOrPartition,
                    "it does not exist; create the topic, or produce to a partition that it has");
    }
    if (unpacked_bytes_ >= kUnpackedBytesPerRequestMax) {
      return refuse(ErrorCode::kRequestTimedOut,
                    fmt::format("the batches before it in the request have unpacked to {} bytes, "
                                "and {} end it; send it again, or fewer of them at a time",
                                unpacked_bytes_, kUnpackedBytesPerRequestMax));
    }
    const log::TopicConfig& config = topic->config;
    return Checks{
        .topic = topic->id,
        .records = partition().records.value_or(ByteView{}),
        .options = {
            .produce_version = version_,
            .max_message_bytes = static_cast<std::size_t>(config.max_message_bytes),
            .segment_bytes = static_cast<std::size_t>(config.segment_bytes),
            .key_rule =
                config.cleanup_compact ? protocol::KeyRule::kRequired : protocol::KeyRule::kAny,
            .timestamp_type = config.message_timestamp_type == log::TimestampType::kLogAppendTime
                                  ? protocol::TimestampType::kLogAppendTime
                                  : protocol::TimestampType::kCreateTime,
            .timestamp_ms_min = earliest(config.timestamp_before_max_ms),
            .timestamp_ms_max = latest(config.timestamp_after_max_ms)}};
  }

  /// Nullopt: it is too much for the loop, as far as could be seen with what it may take.
  std::optional<Validated> validate_if_short(Checks checks) {
    const std::size_t bytes_max = core_.options.batch_bytes_on_loop_max;
    const std::size_t bytes = bytes_on_loop_ + checks.records.size();
    if (bytes > bytes_max) {
      return std::nullopt;
    }
    checks.options.decompressed_bytes_max =
        std::min(checks.options.decompressed_bytes_max, bytes_max - bytes);
    Validated validated = validate(checks, core_.scratch);
    if (!validated.batch && validated.batch.error().code == ErrorCode::kMessageTooLarge &&
        checks.records.size() <= checks.options.max_message_bytes) {
      return std::nullopt;  // it unpacks to more
    }
    bytes_on_loop_ = bytes + validated.unpacked_bytes;
    return validated;
  }

  static std::unexpected<Refused> refuse(ErrorCode code, std::string text) {
    return std::unexpected<Refused>(Refused{code, std::move(text), {}});
  }

  void answer_next(const Checks& checks, const Validated& validated) {
    unpacked_bytes_ += validated.unpacked_bytes;
    PartitionResponse response{.index = partition().index};
    const auto refused = core_.changing([&] { return append(checks, validated, response); });
    if (refused) {
      answer_next(*refused);
    } else {
      response_.responses.back().partition_responses.push_back(std::move(response));
    }
  }

  void answer_next(const Refused& refused) {
    PartitionResponse response{
        .index = partition().index, .error_code = refused.code, .base_offset = -1};
    const std::string_view text =
        refused.text.empty() ? advice(refused.code) : std::string_view(refused.text);
    if (!text.empty() && text_bytes_ < kProduceTextBytesMax) {
      response.error_message = fmt::format("{}-{}: {}", topic_name(), partition().index, text);
      if (refused.record_index) {
        response.record_errors.push_back({*refused.record_index, refused.text});
      }
      text_bytes_ += response.error_message->size() + refused.text.size();
    }
    response_.responses.back().partition_responses.push_back(std::move(response));
    error_ = refused.code;
    core_.changing([&] { doubt(topic_name(), partition(), refused.code); });
  }

  std::optional<Refused> append(const Checks& checks, const Validated& validated,
                                PartitionResponse& response) {
    const auto& batch = validated.batch;
    if (!batch) {
      return Refused{batch.error().code, batch.error().text, batch.error().record_index};
    }
    const log::Topic* const topic = core_.log.topics().find(topic_name());
    if (topic == nullptr || topic->id != checks.topic) {
      return Refused{ErrorCode::kUnknownTopicOrPartition,
                     "its topic was deleted while the batch was looked into; send it again if it "
                     "is for the topic that has the name now",
                     {}};
    }
    log::Partition& log_partition = *topic->partitions[static_cast<std::size_t>(partition().index)];
    if (const ErrorCode error = admit(batch->header, log_partition); error != ErrorCode::kNone) {
      // Clients ask by it whether retention or the log itself has forgotten them.
      response.log_start_offset = log_partition.log_start_offset().value;
      return Refused{error, "", {}};
    }
    const auto unknown =
        batch->header.is_transactional() && version_ >= kFirstVersionOfTransactionsV2
            ? log::UnknownProducer::kSequenceZero
            : log::UnknownProducer::kAnySequence;
    const auto appended = core_.log.append_batch(log_partition, *batch, checks.records, unknown);
    if (!appended) {
      tell_of_many_producers(appended.error());
      return Refused{appended.error(), "", {}};
    }
    response.base_offset = appended->base_offset.value;
    response.log_append_time_ms = appended->log_append_time_ms;
    response.log_start_offset = appended->log_start_offset.value;
    settle_doubt(topic_name(), partition().index, batch->header);
    count(batch->header, *appended, checks.records.size());
    return std::nullopt;
  }

  void tell_of_many_producers(ErrorCode error) const {
    if (error == ErrorCode::kRequestTimedOut) {
      core_.tell_of_client(
          ClientNews::kManyProducers,
          fmt::format("producers to {}-{} are refused for now: {}; producer.states.max.count is {}",
                      topic_name(), partition().index, advice(error),
                      core_.options.log.producer_states_max));
    }
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

  // A transactional batch must belong to the ongoing transaction of its producer, one without a
  // transaction to a producer that may write so. The retry of a batch that was appended is answered
  // alike even if its transaction has ended meanwhile.
  ErrorCode admit(const protocol::RecordBatchHeader& header, const log::Partition& partition) {
    if (!header.has_producer_id() && !header.is_transactional()) {
      return ErrorCode::kNone;
    }
    if (header.is_transactional() && !body_.transactional_id) {
      return ErrorCode::kTransactionalIdAuthorizationFailed;  // as Kafka
    }
    if (partition.find_duplicate(log::IncomingBatch::of(header)) != nullptr) {
      return ErrorCode::kNone;
    }
    if (!header.is_transactional()) {
      return core_.coordinator.admit_idempotent(header.producer(), header.base_sequence);
    }
    const ErrorCode error = core_.coordinator.transactions().admit_produce(
        key_of(header), partition.id(), version_, core_.moment(), core_.effects);
    core_.append_entries();
    return error;
  }

  coordinator::TransactionKey key_of(const protocol::RecordBatchHeader& header) const {
    return {.transactional_id = *body_.transactional_id, .producer = header.producer()};
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
      transactions.mark_must_abort(key_of(*header), core_.moment(), core_.effects);
    } else if (!has_been_accepted(topic, partition.index, *header)) {
      transactions.add_doubt(key_of(*header), part_of(topic, partition.index, *header),
                             core_.moment(), core_.effects);
    }
    core_.settle();
  }

  void settle_doubt(const std::string& topic, std::int32_t partition,
                    const protocol::RecordBatchHeader& header) {
    if (is_version_2() && header.is_transactional()) {
      core_.coordinator.transactions().settle_doubt(
          key_of(header), part_of(topic, partition, header), core_.effects);
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
  const std::int32_t correlation_id_;
  const ReplySlot slot_;
  protocol::ProduceRequest body_;
  std::size_t next_topic_ = 0;
  std::size_t next_partition_ = 0;
  protocol::ProduceResponse response_;
  ErrorCode error_ = ErrorCode::kNone;
  std::size_t text_bytes_ = 0;      ///< of the refusals so far
  std::size_t bytes_on_loop_ = 0;   ///< what was validated there, with what it unpacked to
  std::size_t unpacked_bytes_ = 0;  ///< of this request's batches so far
};

}  // namespace

Disposition handle_produce(BrokerCore& core, const Request& request, protocol::ProduceRequest& body,
                           Reply& reply) {
  Produce produce(core, request, std::move(body));
  if (produce.run_what_is_short()) {
    return produce.finish(reply);
  }
  core.environment.scheduler.spawn(
      Produce::run_what_is_long(std::make_unique<Produce>(std::move(produce))));
  return Disposition::kHeld;
}

}  // namespace onceflow::broker
