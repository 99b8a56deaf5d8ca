#include "coordinator/producer_ids.h"

#include <algorithm>

#include "base/check.h"
#include "coordinator/records.h"

namespace onceflow::coordinator {

ProducerIds::ProducerIds(ProducerId first) : next_(first.value), block_end_(first.value) {
  CHECK(first.value >= 0 && first.value % kIdsOfALog == 0);
}

bool ProducerIds::is_handed_out(ProducerId id) const {
  return id.value >= next_ / kIdsOfALog * kIdsOfALog && id.value < next_;
}

ProducerId ProducerIds::next(Effects& effects) {
  while (true) {
    if (next_ == block_end_) {
      block_end_ += kBlockSize;
      Buffer record = begin_record(RecordKind::kProducerIdBlock);
      WireWriter(record).write_int64(block_end_);
      effects.entries.push_back({.record = std::move(record)});
    }
    const ProducerId id(next_++);
    if (!strangers_.contains(id)) {
      CHECK_INVARIANT("PRD-3", is_handed_out(id) && id.value < block_end_);
      return id;
    }
  }
}

ErrorCode ProducerIds::admit(ProducerIdentity producer, Sequence first_sequence) {
  if (const auto known = strangers_.find(producer.id); known != strangers_.end()) {
    return producer.epoch >= known->second ? ErrorCode::kNone : ErrorCode::kUnknownProducerId;
  }
  if (is_handed_out(producer.id)) {
    return ErrorCode::kNone;
  }
  const auto refused = refused_.find(producer.id);
  if (refused != refused_.end() && producer.epoch > refused->second && first_sequence.value == 0 &&
      strangers_.size() < kStrangersMax) {
    strangers_.emplace(producer.id, producer.epoch);
    return ErrorCode::kNone;
  }
  if (refused != refused_.end()) {
    refused->second = std::max(refused->second, producer.epoch);
    return ErrorCode::kUnknownProducerId;
  }
  if (refused_order_.size() == kRefusedMax) {
    refused_.erase(refused_order_.front());
    refused_order_.pop_front();
  }
  refused_.emplace(producer.id, producer.epoch);
  refused_order_.push_back(producer.id);
  return ErrorCode::kUnknownProducerId;
}

void ProducerIds::note_known(ProducerIdentity producer) {
  if (!is_handed_out(producer.id)) {
    ProducerEpoch& since = strangers_.try_emplace(producer.id, producer.epoch).first->second;
    since = std::min(since, producer.epoch);
  }
}

void ProducerIds::replay(WireReader& reader) {
  const std::int64_t block_end = reader.read_int64();
  // A log of an older version begins lower than one without any id would now.
  const bool is_first = block_end_ % kIdsOfALog == 0 && next_ == block_end_;
  if (!reader.ok() || block_end < 0 || (block_end < block_end_ && !is_first)) {
    reader.fail();
    return;
  }
  block_end_ = block_end;
  next_ = block_end;
}

void ProducerIds::write_snapshot(WireWriter& writer) const { writer.write_int64(block_end_); }

void ProducerIds::restore(WireReader& reader) { replay(reader); }

}  // namespace onceflow::coordinator
