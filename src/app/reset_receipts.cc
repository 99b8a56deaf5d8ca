#include "app/reset_receipts.h"

#include "base/topic_id_text.h"
#include "client/producer.h"

namespace onceflow::app {
namespace {

constexpr Duration kPauseWhileDeleted = milliseconds(200);

}  // namespace

Task<Result<TopicId>> make_receipts_topic(LogAtHand log, std::string name, TopicId former,
                                          MonotonicTime deadline) {
  client::Admin admin(log.cluster);
  while (true) {
    log.cluster->forget_topic(name);
    const auto there = co_await log.cluster->existing_topic(name, deadline);
    if (there && (there->id != former || former.is_zero())) {
      co_return there->id;
    }
    if (there) {
      CO_RETURN_IF_ERROR(co_await log.cluster->pause(kPauseWhileDeleted, deadline));
      continue;
    }
    if (there.error().code != ErrorCode::kNotFound) {
      co_return std::unexpected(there.error());
    }
    const Status created = co_await admin.create_topic({.name = name,
                                                        .partition_count = 1,
                                                        .replication_factor = -1,
                                                        .configs = client::kept_for_ever()},
                                                       deadline);
    if (!created && created.error().code != ErrorCode::kAlreadyExists) {
      co_return std::unexpected(created.error());
    }
    CO_RETURN_IF_ERROR(co_await log.cluster->pause(kPauseWhileDeleted, deadline));
  }
}

protocol::Receipt receipt_of_reset(const std::string& pipeline,
                                   const protocol::PipelineDefinition::Stage& stage,
                                   const Positions& positions, WallTime now) {
  protocol::Receipt receipt;
  receipt.pipeline = pipeline;
  receipt.stage = stage.id;
  receipt.worker = "onceflow reset";
  receipt.commit_number = 1;
  receipt.committed_at_ms = now.ms;
  receipt.definition = protocol::definition_hash(stage.text());
  receipt.inputs.reserve(positions.size());
  for (const connectors::ClaimedPartition& position : positions) {
    if (position.next_offset == kNoOffset) {
      continue;  // It begins as at a first start.
    }
    receipt.inputs.push_back({.source = position.source,
                              .topic_id = parse_topic_id(position.topic_id).value_or(TopicId{}),
                              .from_offset = position.next_offset,
                              .next_offset = position.next_offset,
                              .beginning = protocol::Receipt::Beginning::kReset});
  }
  return receipt;
}

Task<Status> write_receipt(LogAtHand log, std::string topic, protocol::Receipt receipt,
                           MonotonicTime deadline) {
  CO_RETURN_IF_ERROR(co_await make_receipts_topic(log, topic, {}, deadline));
  const Buffer bytes = encode_receipt(receipt);
  client::Producer producer(log.cluster, {});
  CO_RETURN_IF_ERROR(producer.append(producer.slot({topic, PartitionIndex(0)}),
                                     {.timestamp_ms = receipt.committed_at_ms,
                                      .key = as_bytes(receipt.stage),
                                      .value = ByteView(bytes)}));
  co_return co_await producer.flush(deadline);
}

}  // namespace onceflow::app
