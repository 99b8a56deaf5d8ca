#include "coordinator/producer_ids.h"

#include "coordinator/records.h"

namespace onceflow::coordinator {

ProducerId ProducerIds::next(Effects& effects) {
  if (next_ == block_end_) {
    block_end_ += kBlockSize;
    Buffer record = begin_record(RecordKind::kProducerIdBlock);
    WireWriter(record).write_int64(block_end_);
    effects.entries.push_back({.record = std::move(record)});
  }
  return ProducerId(next_++);
}

void ProducerIds::replay(WireReader& reader) {
  const std::int64_t block_end = reader.read_int64();
  if (!reader.ok() || block_end < block_end_) {
    reader.fail();
    return;
  }
  block_end_ = block_end;
  next_ = block_end;
}

void ProducerIds::write_snapshot(WireWriter& writer) const { writer.write_int64(block_end_); }

void ProducerIds::restore(WireReader& reader) { replay(reader); }

}  // namespace onceflow::coordinator
