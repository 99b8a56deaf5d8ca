#include "protocol/receipt.h"

#include "base/crc32c.h"
#include "base/wire.h"
#include "protocol/own_record.h"

namespace onceflow::protocol {
namespace {

constexpr std::int8_t kReceiptVersion = 2;
constexpr std::int8_t kReceiptVersionMin = 1;
// Smallest encodings, so that a count is checked against the bytes that are left before it is
// believed.
constexpr std::size_t kInputBytesMin = 1 + 4 + 1 + 1 + 1 + 8;
constexpr std::size_t kInputBytesMinVersion2 = kInputBytesMin + sizeof(TopicId) + 1;
constexpr std::size_t kOutputBytesMin = 1 + 4 + 1 + 8;
constexpr std::size_t kRowBytesMin = 1 + 1 + 8;

bool plausible(WireReader& reader, std::uint64_t count, std::size_t element_bytes_min) {
  if (count > reader.remaining() / element_bytes_min) {
    reader.fail();
    return false;
  }
  return true;
}

void encode_rows(WireWriter& writer, const Receipt& receipt) {
  writer.write_unsigned_varint(receipt.rows.size());
  for (const Receipt::Row& row : receipt.rows) {
    // Bit 0: a deletion; bit 1: a key hash follows; above: which input.
    const bool has_key = row.key_hash != 0;
    writer.write_unsigned_varint((std::uint64_t{row.input_index} << 2) | (has_key ? 2U : 0U) |
                                 (row.is_delete ? 1U : 0U));
    // Relative to the input's start, which keeps it to one or two bytes.
    writer.write_varlong(row.source_offset - receipt.inputs[row.input_index].from_offset);
    writer.write_uint64(row.row_hash);
    if (has_key) {
      writer.write_uint64(row.key_hash);
    }
  }
}

void decode_rows(WireReader& reader, Receipt& receipt) {
  const std::uint64_t count = reader.read_unsigned_varint();
  if (!plausible(reader, count, kRowBytesMin)) {
    return;
  }
  receipt.rows.resize(static_cast<std::size_t>(count));
  for (Receipt::Row& row : receipt.rows) {
    const std::uint64_t head = reader.read_unsigned_varint();
    if ((head >> 2) >= receipt.inputs.size()) {
      reader.fail();
      return;
    }
    row.input_index = static_cast<std::uint32_t>(head >> 2);
    row.is_delete = (head & 1) != 0;
    // Unsigned arithmetic: a hostile distance wraps instead of overflowing.
    row.source_offset = Offset(static_cast<std::int64_t>(
        static_cast<std::uint64_t>(receipt.inputs[row.input_index].from_offset.value) +
        static_cast<std::uint64_t>(reader.read_varlong())));
    row.row_hash = reader.read_uint64();
    if ((head & 2) != 0) {
      row.key_hash = reader.read_uint64();
    }
  }
}

Receipt::Beginning decode_beginning(WireReader& reader) {
  const std::int8_t value = reader.read_int8();
  if (value < 0 || value > static_cast<std::int8_t>(Receipt::Beginning::kFound)) {
    reader.fail();
    return Receipt::Beginning::kNone;
  }
  return static_cast<Receipt::Beginning>(value);
}

void decode_inputs(WireReader& reader, std::int8_t version, Receipt& receipt) {
  const std::uint64_t count = reader.read_unsigned_varint();
  if (!plausible(reader, count, version == 1 ? kInputBytesMin : kInputBytesMinVersion2)) {
    return;
  }
  receipt.inputs.resize(static_cast<std::size_t>(count));
  for (Receipt::Input& input : receipt.inputs) {
    input.source.topic = reader.read_sized_string();
    if (version >= 2) {
      input.topic_id = reader.read_uuid();
    }
    input.source.partition = PartitionIndex(reader.read_int32());
    input.from_offset = Offset(reader.read_varlong());
    input.next_offset = Offset(reader.read_varlong());
    input.record_count = reader.read_varlong();
    input.record_hash_sum = reader.read_uint64();
    if (version >= 2) {
      input.beginning = decode_beginning(reader);
    }
  }
}

void decode_outputs(WireReader& reader, Receipt& receipt) {
  const std::uint64_t count = reader.read_unsigned_varint();
  if (!plausible(reader, count, kOutputBytesMin)) {
    return;
  }
  receipt.outputs.resize(static_cast<std::size_t>(count));
  for (Receipt::Output& output : receipt.outputs) {
    output.name = reader.read_sized_string();
    output.partition = PartitionIndex(reader.read_int32());
    output.record_count = reader.read_varlong();
    output.record_hash_sum = reader.read_uint64();
  }
}

}  // namespace

Buffer encode_receipt(const Receipt& receipt) {
  Buffer bytes;
  WireWriter writer(bytes);
  writer.write_int8(kReceiptVersion);
  writer.write_uint32(0);
  writer.write_sized_string(receipt.pipeline);
  writer.write_sized_string(receipt.stage);
  writer.write_sized_string(receipt.worker);
  writer.write_varlong(receipt.commit_number);
  writer.write_int64(receipt.committed_at_ms);
  writer.write_uint64(receipt.definition);
  writer.write_unsigned_varint(receipt.inputs.size());
  for (const Receipt::Input& input : receipt.inputs) {
    writer.write_sized_string(input.source.topic);
    writer.write_uuid(input.topic_id);
    writer.write_int32(input.source.partition.value);
    writer.write_varlong(input.from_offset.value);
    writer.write_varlong(input.next_offset.value);
    writer.write_varlong(input.record_count);
    writer.write_uint64(input.record_hash_sum);
    writer.write_int8(static_cast<std::int8_t>(input.beginning));
  }
  writer.write_unsigned_varint(receipt.outputs.size());
  for (const Receipt::Output& output : receipt.outputs) {
    writer.write_sized_string(output.name);
    writer.write_int32(output.partition.value);
    writer.write_varlong(output.record_count);
    writer.write_uint64(output.record_hash_sum);
  }
  encode_rows(writer, receipt);
  writer.patch_integer(1, crc32c(ByteView(bytes).subspan(5)));
  return bytes;
}

Result<Receipt> decode_receipt(ByteView bytes) {
  WireReader reader(bytes);
  const auto version = read_own_record(reader, bytes, "receipt",
                                       {.first = kReceiptVersionMin, .last = kReceiptVersion});
  RETURN_IF_ERROR(version);
  Receipt receipt;
  receipt.pipeline = reader.read_sized_string();
  receipt.stage = reader.read_sized_string();
  receipt.worker = reader.read_sized_string();
  receipt.commit_number = reader.read_varlong();
  receipt.committed_at_ms = reader.read_int64();
  receipt.definition = *version >= 2 ? reader.read_uint64() : 0;
  decode_inputs(reader, *version, receipt);
  decode_outputs(reader, receipt);
  decode_rows(reader, receipt);
  if (!reader.ok() || reader.remaining() != 0) {
    return fail(ErrorCode::kCorrupt, "receipt: length does not match its contents");
  }
  return receipt;
}

}  // namespace onceflow::protocol
