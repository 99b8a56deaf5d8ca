// Fuzzes a run of batches as a consumer walks it, and the first one as a broker validates it. A
// checksum stands in the way of damage, so it is made right first.
#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "protocol/batch_validation.h"
#include "protocol/control_batch.h"
#include "protocol/record_batch.h"
#include "protocol/record_batch_builder.h"

namespace onceflow::protocol {
namespace {

constexpr std::size_t kBytesMax = 1 << 20;

void walk(const RecordBatchView& batch) {
  static_cast<void>(parse_end_transaction_marker(batch));
  const auto decoded = DecodedBatch::decode(batch, kBytesMax);
  if (!decoded) {
    return;
  }
  CHECK(decoded->record_bytes().size() <= std::max(kBytesMax, batch.bytes().size()));
  RecordBatchBuilder builder;
  std::size_t raw_bytes = 0;
  RecordReader records = decoded->records();
  for (const RecordView& record : records) {
    raw_bytes += record.raw.size();
    CHECK(record.body.size() <= record.raw.size());
    RecordHeaderReader headers = record.headers();
    std::int32_t header_count = 0;
    for (RecordHeaderView header; headers.next(header); ++header_count) {
    }
    CHECK(header_count == record.header_count);
    builder.append(record, decoded->header().timestamp_of(record));
  }
  if (!records.complete()) {
    return;
  }
  CHECK(raw_bytes == decoded->record_bytes().size());
  if (!builder.empty()) {
    const Buffer copy = builder.finish({});
    const auto again = RecordBatchView::parse(copy);
    CHECK(again.has_value() && again->crc_matches());
  }
}

}  // namespace
}  // namespace onceflow::protocol

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace onceflow;
  using namespace onceflow::protocol;
  Buffer bytes = to_buffer(std::as_bytes(std::span(data, size)));
  RecordBatchReader reader(bytes);
  for (;;) {
    const auto batch = reader.next();
    if (!batch || !*batch) {
      break;
    }
    walk(**batch);
  }
  if (const auto batch = RecordBatchView::parse(bytes)) {
    wire::store_big_endian(bytes.data() + batch_layout::kCrc, batch->computed_crc());
  }
  for (const KeyRule rule : {KeyRule::kAny, KeyRule::kRequired}) {
    const auto validated = validate_produced_batch(
        bytes, {.produce_version = 12, .key_rule = rule, .decompressed_bytes_max = kBytesMax});
    if (validated) {
      CHECK(validated->header.size_bytes() == bytes.size());
      // What was accepted can be read by every consumer.
      const auto batch = RecordBatchView::parse(bytes);
      CHECK(batch.has_value() && batch->crc_matches());
      const auto decoded = DecodedBatch::decode(*batch, kBytesMax);
      CHECK(decoded.has_value());
    }
  }
  return 0;
}
