#include "coordinator/doubts.h"

#include "coordinator/records.h"

namespace onceflow::coordinator {
namespace {

constexpr std::uint32_t kSequenceMask = 0x7fffffff;  // sequences wrap at 2^31

/// Whether `sequence` is `other` or comes after it; they are less than half a round apart.
bool reaches(Sequence sequence, Sequence other) {
  const auto distance =
      static_cast<std::uint32_t>(sequence.value) - static_cast<std::uint32_t>(other.value);
  return (distance & kSequenceMask) <= kSequenceMask / 2;
}

}  // namespace

void Doubts::add(const TransactionPart& refused) {
  const auto [place, is_new] = last_refused_.try_emplace(key_of(refused), refused.last_sequence);
  if (is_new) {
    size_bytes_ += bytes_of(refused);
  } else if (reaches(refused.last_sequence, place->second)) {
    place->second = refused.last_sequence;
  }
}

bool Doubts::has(const TransactionPart& refused) const {
  const auto place = last_refused_.find(key_of(refused));
  return place != last_refused_.end() && reaches(place->second, refused.last_sequence);
}

bool Doubts::is_settled_by(const TransactionPart& accepted) const {
  if (empty()) {
    return false;
  }
  const auto place = last_refused_.find(key_of(accepted));
  return place != last_refused_.end() && reaches(accepted.last_sequence, place->second);
}

void Doubts::settle(const TransactionPart& accepted) {
  if (is_settled_by(accepted)) {
    last_refused_.erase(key_of(accepted));
    size_bytes_ -= bytes_of(accepted);
  }
}

void Doubts::encode(WireWriter& writer) const {
  writer.write_unsigned_varint(last_refused_.size());
  for (const auto& [key, last_sequence] : last_refused_) {
    const auto& [group_id, topic, partition] = key;
    encode_part(writer, {group_id, topic, partition, last_sequence});
  }
}

void Doubts::decode(WireReader& reader) {
  constexpr std::size_t kPartBytesMin = 2 + 2 * sizeof(std::int32_t);
  for (std::size_t left = read_count(reader, kPartBytesMin); left > 0 && reader.ok(); --left) {
    add(decode_part(reader));
  }
}

void Doubts::encode_part(WireWriter& writer, const TransactionPart& part) {
  writer.write_sized_string(part.group_id);
  writer.write_sized_string(part.topic);
  writer.write_int32(part.partition.value);
  writer.write_int32(part.last_sequence.value);
}

TransactionPart Doubts::decode_part(WireReader& reader) {
  TransactionPart part;
  part.group_id = as_text(reader.read_sized_bytes());
  part.topic = as_text(reader.read_sized_bytes());
  part.partition = PartitionIndex(reader.read_int32());
  part.last_sequence = Sequence(reader.read_int32());
  return part;
}

}  // namespace onceflow::coordinator
