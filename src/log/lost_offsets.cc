#include "log/lost_offsets.h"

#include "base/check.h"
#include "base/crc32c.h"
#include "base/wire.h"

namespace onceflow::log {

namespace layout = protocol::batch_layout;

Buffer encode_lost_offsets(Offset from, Offset next) {
  CHECK(next > from && next - from <= kLostOffsetsMax);
  Buffer batch;
  WireWriter writer(batch);
  writer.write_int64(from.value);
  writer.write_int32(static_cast<std::int32_t>(layout::kRecords - layout::kLogOverheadBytes));
  writer.write_int32(0);  // leader epoch
  writer.write_int8(protocol::kMagicV2);
  writer.write_uint32(0);  // the checksum's place
  writer.write_int16(0);   // attributes
  writer.write_int32(static_cast<std::int32_t>(next - from - 1));
  writer.write_int64(-1);  // base timestamp
  writer.write_int64(-1);  // greatest timestamp
  writer.write_int64(kNoProducerId.value);
  writer.write_int16(kNoProducerEpoch.value);
  writer.write_int32(kNoSequence.value);
  writer.write_int32(0);  // records
  CHECK(batch.size() == protocol::kBatchHeaderBytes);
  wire::store_big_endian(batch.data() + layout::kCrc,
                         crc32c(ByteView(batch).subspan(layout::kCrcStart)));
  return batch;
}

bool holds_lost_offsets(const protocol::RecordBatchHeader& header) {
  return header.records_count == 0 && !header.is_control();
}

}  // namespace onceflow::log
