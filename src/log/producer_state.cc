#include "log/producer_state.h"

#include <algorithm>

namespace onceflow::log {

IncomingBatch IncomingBatch::of(const protocol::RecordBatchHeader& header) {
  return {.producer = header.producer(),
          .first_sequence = header.base_sequence,
          .last_offset_delta = header.last_offset_delta,
          .is_transactional = header.is_transactional()};
}

Sequence IncomingBatch::last_sequence() const {
  return protocol::advance_sequence(first_sequence, last_offset_delta);
}

void ProducerState::push_batch(const BatchDescriptor& batch) {
  if (batch_count_ == kBatchesKept) {
    std::ranges::copy(batches_.begin() + 1, batches_.end(), batches_.begin());
    --batch_count_;
  }
  batches_[batch_count_++] = batch;
}

Sequence ProducerState::last_sequence() const {
  return batch_count_ == 0 ? kNoSequence : batches_[batch_count_ - 1].last_sequence;
}

const BatchDescriptor* ProducerStates::find_duplicate(const IncomingBatch& batch) const {
  const ProducerState* state = find(batch.producer.id);
  if (state == nullptr || state->epoch != batch.producer.epoch) {
    return nullptr;
  }
  const Sequence last = batch.last_sequence();
  for (const BatchDescriptor& known : state->batches()) {
    if (known.first_sequence == batch.first_sequence && known.last_sequence == last) {
      return &known;
    }
  }
  return nullptr;
}

protocol::ErrorCode ProducerStates::check(const IncomingBatch& batch, UnknownProducer unknown,
                                          EpochCheck epoch_check) const {
  using enum protocol::ErrorCode;
  const ProducerState* state = find(batch.producer.id);
  if (state == nullptr) {
    const bool any = unknown == UnknownProducer::kAnySequence || batch.first_sequence.value == 0;
    return any ? kNone : kOutOfOrderSequenceNumber;
  }
  if (batch.producer.epoch < state->epoch) {
    if (epoch_check == EpochCheck::kOn) {
      return kInvalidProducerEpoch;
    }
  } else if (batch.producer.epoch > state->epoch) {
    if (batch.first_sequence.value != 0) {
      return kOutOfOrderSequenceNumber;
    }
  } else {
    // With no batch known of this epoch, last_sequence() is -1 and the next is 0.
    if (batch.first_sequence != protocol::advance_sequence(state->last_sequence(), 1)) {
      return kOutOfOrderSequenceNumber;
    }
  }
  if (!batch.is_transactional && state->has_open_transaction()) {
    return kInvalidTxnState;
  }
  return kNone;
}

bool ProducerStates::apply(const IncomingBatch& batch, const BatchDescriptor& appended,
                           std::int64_t max_timestamp, MonotonicTime now) {
  ProducerState& state = producers_[batch.producer.id];
  if (batch.producer.epoch != state.epoch) {
    state.epoch = batch.producer.epoch;
    state.clear_batches();
  }
  state.push_batch(appended);
  state.last_timestamp = max_timestamp;
  state.last_receipt = now;
  if (batch.is_transactional && !state.has_open_transaction()) {
    state.transaction_first_offset = appended.first_offset;
    return true;
  }
  return false;
}

std::optional<Offset> ProducerStates::apply_marker(ProducerIdentity marker,
                                                   std::int32_t coordinator_epoch,
                                                   std::int64_t timestamp, MonotonicTime now,
                                                   Room room) {
  if (room == Room::kNone && !producers_.contains(marker.id)) {
    return std::nullopt;
  }
  ProducerState& state = producers_[marker.id];
  if (marker.epoch > state.epoch) {
    state.epoch = marker.epoch;
    state.clear_batches();
  }
  state.coordinator_epoch = std::max(state.coordinator_epoch, coordinator_epoch);
  state.last_timestamp = timestamp;
  state.last_receipt = now;
  if (!state.has_open_transaction()) {
    return std::nullopt;
  }
  return std::exchange(state.transaction_first_offset, kNoOffset);
}

std::size_t ProducerStates::expire(MonotonicTime oldest) {
  return std::erase_if(producers_, [&](const auto& entry) {
    return entry.second.last_receipt < oldest && !entry.second.has_open_transaction();
  });
}

void ProducerStates::add_idle_since(std::vector<MonotonicTime>& times) const {
  for (const auto& [id, state] : producers_) {
    if (!state.has_open_transaction()) {
      times.push_back(state.last_receipt);
    }
  }
}

const ProducerState* ProducerStates::find(ProducerId producer) const {
  const auto found = producers_.find(producer);
  return found == producers_.end() ? nullptr : &found->second;
}

std::vector<std::pair<ProducerId, const ProducerState*>> ProducerStates::sorted() const {
  std::vector<std::pair<ProducerId, const ProducerState*>> result;
  result.reserve(producers_.size());
  for (const auto& [id, state] : producers_) {
    result.emplace_back(id, &state);
  }
  std::ranges::sort(result, {}, [](const auto& entry) { return entry.first; });
  return result;
}

void ProducerStates::encode(WireWriter& writer, MonotonicTime now) const {
  writer.write_unsigned_varint(producers_.size());
  for (const auto& [id, state] : sorted()) {
    writer.write_varlong(id.value);
    writer.write_int16(state->epoch.value);
    writer.write_varint(state->coordinator_epoch);
    writer.write_varlong(state->transaction_first_offset.value);
    writer.write_varlong(state->last_timestamp);
    writer.write_varlong(std::max<std::int64_t>(0, to_ms(now - state->last_receipt)));
    writer.write_unsigned_varint(state->batches().size());
    for (const BatchDescriptor& batch : state->batches()) {
      writer.write_int32(batch.first_sequence.value);
      writer.write_int32(batch.last_sequence.value);
      writer.write_varlong(batch.first_offset.value);
      writer.write_varlong(batch.last_offset - batch.first_offset);
      writer.write_varlong(batch.timestamp);
    }
  }
}

ProducerStates ProducerStates::decode(WireReader& reader, MonotonicTime now) {
  ProducerStates states;
  const std::uint64_t count = reader.read_unsigned_varint();
  for (std::uint64_t index = 0; index < count && reader.ok(); ++index) {
    const ProducerId id(reader.read_varlong());
    ProducerState state;
    state.epoch = ProducerEpoch(reader.read_int16());
    state.coordinator_epoch = reader.read_varint();
    state.transaction_first_offset = Offset(reader.read_varlong());
    state.last_timestamp = reader.read_varlong();
    const std::int64_t age_ms = reader.read_varlong();
    // An age beyond all sense would overflow the clock; a century is as good as for ever.
    state.last_receipt = now - milliseconds(std::clamp<std::int64_t>(age_ms, 0, 3'155'760'000'000));
    const std::uint64_t batch_count = reader.read_unsigned_varint();
    if (batch_count > ProducerState::kBatchesKept) {
      reader.fail();
      break;
    }
    for (std::uint64_t batch_index = 0; batch_index < batch_count; ++batch_index) {
      BatchDescriptor batch;
      batch.first_sequence = Sequence(reader.read_int32());
      batch.last_sequence = Sequence(reader.read_int32());
      batch.first_offset = Offset(reader.read_varlong());
      batch.last_offset = batch.first_offset + reader.read_varlong();
      batch.timestamp = reader.read_varlong();
      state.push_batch(batch);
    }
    if (reader.ok()) {
      states.producers_.insert_or_assign(id, state);
    }
  }
  return states;
}

void ProducerStates::forget_one_of_five() {
  for (auto& [id, state] : producers_) {
    if (state.batches().size() == ProducerState::kBatchesKept) {
      const std::vector<BatchDescriptor> kept(state.batches().begin() + 1, state.batches().end());
      state.clear_batches();
      for (const BatchDescriptor& batch : kept) {
        state.push_batch(batch);
      }
    }
  }
}

}  // namespace onceflow::log
