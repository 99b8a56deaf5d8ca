// Record batches: foreign bytes of every codec, building, walking, rewriting, damage, and no
// allocation.
#include "protocol/record_batch.h"

#include <gtest/gtest.h>

#include <array>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

#include "protocol/record_batch_builder.h"
#include "protocol/testing/hex.h"
#include "protocol/testing/random_message.h"

namespace onceflow::protocol {
namespace {

using testing::from_hex;
using testing::RandomMessages;
using testing::to_hex;

constexpr std::array kCodecs = {CompressionCodec::kNone, CompressionCodec::kGzip,
                                CompressionCodec::kSnappy, CompressionCodec::kLz4,
                                CompressionCodec::kZstd};

std::string show(const std::optional<ByteView>& bytes) {
  return bytes ? "x" + to_hex(*bytes) : "null";
}

/// As make_goldens.py writes it.
std::string show(const RecordBatchHeader& header, const RecordView& record) {
  std::string text = std::to_string(header.offset_of(record).value) + ":" +
                     std::to_string(header.timestamp_of(record)) + ":" + show(record.key) + ":" +
                     show(record.value) + ":{";
  RecordHeaderReader headers = record.headers();
  RecordHeaderView entry;
  while (headers.next(entry)) {
    text += (text.back() == '{' ? "" : ",") + std::string(entry.key) + "=" + show(entry.value);
  }
  return text + "}";
}

std::string show(const RecordBatchView& batch) {
  const RecordBatchHeader& header = batch.header();
  std::string text = "producer=" + std::to_string(header.producer_id.value) +
                     " epoch=" + std::to_string(header.producer_epoch.value) +
                     " sequence=" + std::to_string(header.base_sequence.value) +
                     " transactional=" + (header.is_transactional() ? "1" : "0");
  const auto decoded = DecodedBatch::decode(batch);
  if (!decoded) {
    return text + " " + decoded.error().text;
  }
  RecordReader records = decoded->records();
  for (const RecordView& record : records) {
    text += " " + show(header, record);
  }
  return text + (records.complete() ? "" : " INCOMPLETE");
}

struct Golden {
  std::string name;
  Buffer bytes;
  std::string text;
};

std::vector<Golden> read_goldens() {
  std::vector<Golden> goldens;
  std::ifstream file("tests/golden/protocol/batches.txt");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    Golden golden;
    std::string hex;
    words >> golden.name >> hex;
    golden.bytes = from_hex(hex);
    std::getline(words >> std::ws, golden.text);
    goldens.push_back(std::move(golden));
  }
  return goldens;
}

RecordBatchView parse(ByteView bytes) {
  const auto batch = RecordBatchView::parse(bytes);
  CHECK(batch.has_value());
  return *batch;
}

Buffer small_batch(CompressionCodec codec = CompressionCodec::kNone, std::int32_t count = 3) {
  RecordBatchBuilder builder;
  for (std::int32_t index = 0; index < count; ++index) {
    const std::string value = "value " + std::to_string(index);
    builder.append({.timestamp_ms = 1000 + index, .key = as_bytes("k"), .value = as_bytes(value)});
  }
  return builder.finish({.base_offset = Offset(0), .codec = codec});
}

TEST(RecordBatch, foreign_batches_of_every_codec_read_as_written) {
  const auto goldens = read_goldens();
  ASSERT_EQ(goldens.size(), 11U);
  for (const Golden& golden : goldens) {
    SCOPED_TRACE(golden.name);
    const RecordBatchView batch = parse(golden.bytes);
    EXPECT_TRUE(batch.crc_matches());
    EXPECT_EQ(show(batch), golden.text);
    EXPECT_EQ(batch.header().last_offset(), Offset(3));
    EXPECT_EQ(batch.header().max_timestamp, 1700000100000);
    EXPECT_EQ(golden.name.substr(0, golden.name.find('-')), to_string(batch.header().codec()));
  }
}

TEST(RecordBatch, the_builder_writes_what_a_foreign_encoder_writes) {
  for (const Golden& golden : read_goldens()) {
    SCOPED_TRACE(golden.name);
    const RecordBatchView batch = parse(golden.bytes);
    const auto decoded = DecodedBatch::decode(batch);
    ASSERT_TRUE(decoded.has_value());
    RecordBatchBuilder builder;
    RecordReader records = decoded->records();
    for (const RecordView& record : records) {
      std::vector<RecordHeaderView> headers;
      RecordHeaderReader reader = record.headers();
      for (RecordHeaderView entry; reader.next(entry);) {
        headers.push_back(entry);
      }
      builder.append({.timestamp_ms = batch.header().timestamp_of(record),
                      .key = record.key,
                      .value = record.value,
                      .headers = headers});
    }
    const RecordBatchHeader& header = batch.header();
    const BatchStamp stamp{.base_offset = header.base_offset,
                           .partition_leader_epoch = header.partition_leader_epoch,
                           .producer = header.producer(),
                           .base_sequence = header.base_sequence,
                           .is_transactional = header.is_transactional(),
                           .codec = header.codec()};
    const Buffer built = builder.finish(stamp);
    if (header.codec() == CompressionCodec::kNone) {
      EXPECT_EQ(to_hex(built), to_hex(golden.bytes));
    }
    // Compressors differ in their bytes, not in what comes out.
    EXPECT_EQ(show(parse(built)), golden.text);
    EXPECT_TRUE(parse(built).crc_matches());
  }
}

TEST(RecordBatch, the_smallest_batch_is_these_bytes) {
  RecordBatchBuilder builder;
  builder.append({.timestamp_ms = 0x0102, .key = as_bytes("k"), .value = as_bytes("v")});
  const Buffer batch = builder.finish({.base_offset = Offset(5),
                                       .partition_leader_epoch = 7,
                                       .producer = {ProducerId(0x11), ProducerEpoch(0x22)},
                                       .base_sequence = Sequence(0x33)});
  EXPECT_EQ(to_hex(batch),
            "0000000000000005"  // base offset
            "0000003a"          // batch length: 49 after this field, and 9 of the record
            "00000007"          // partition leader epoch
            "02"                // magic
                + to_hex(ByteView(batch).subspan(batch_layout::kCrc, 4)) +
                "0000"              // attributes
                "00000000"          // last offset delta
                "0000000000000102"  // base timestamp
                "0000000000000102"  // max timestamp
                "0000000000000011"  // producer id
                "0022"              // producer epoch
                "00000033"          // base sequence
                "00000001"          // records count
                "10"                // length 8
                "00"
                "00"
                "00"  // attributes, timestamp delta, offset delta
                "02"
                "6b"
                "02"
                "76"    // key, value
                "00");  // no headers
  EXPECT_TRUE(parse(batch).crc_matches());
}

TEST(RecordBatch, random_records_come_back_from_every_codec) {
  for (const CompressionCodec codec : kCodecs) {
    SCOPED_TRACE(to_string(codec));
    RandomMessages random(static_cast<std::uint64_t>(codec) + 100);
    for (int round = 0; round < 50; ++round) {
      const std::size_t count = 1 + random.below(40);
      std::vector<std::array<std::optional<Buffer>, 2>> contents(count);
      std::vector<std::int64_t> timestamps(count);
      RecordBatchBuilder builder;
      for (std::size_t index = 0; index < count; ++index) {
        for (auto& bytes : contents[index]) {
          if (random.below(4) != 0) {
            bytes = random.bytes(random.below(round == 0 ? 100000 : 100));
          }
        }
        timestamps[index] = static_cast<std::int64_t>(random.below(1U << 30)) - 1000;
        builder.append({.timestamp_ms = timestamps[index],
                        .key = contents[index][0],
                        .value = contents[index][1]});
      }
      const Buffer bytes = builder.finish({.codec = codec});
      EXPECT_TRUE(builder.empty());
      const RecordBatchView batch = parse(bytes);
      EXPECT_EQ(batch.bytes().size(), bytes.size());
      ASSERT_TRUE(batch.crc_matches());
      const auto decoded = DecodedBatch::decode(batch);
      ASSERT_TRUE(decoded.has_value()) << decoded.error().text;
      RecordReader records = decoded->records();
      std::size_t index = 0;
      for (RecordView record; records.next(record); ++index) {
        ASSERT_LT(index, count);
        EXPECT_EQ(record.offset_delta, static_cast<std::int32_t>(index));
        EXPECT_EQ(decoded->header().timestamp_of(record), timestamps[index]);
        EXPECT_EQ(show(record.key), show(contents[index][0]));
        EXPECT_EQ(show(record.value), show(contents[index][1]));
      }
      EXPECT_TRUE(records.complete());
      EXPECT_EQ(index, count);
    }
  }
}

TEST(RecordBatch, a_decoded_batch_may_be_moved) {
  for (const CompressionCodec codec : kCodecs) {
    const Buffer bytes = small_batch(codec);
    auto decoded = DecodedBatch::decode(parse(bytes));
    ASSERT_TRUE(decoded.has_value());
    std::vector<DecodedBatch> batches;
    batches.push_back(std::move(*decoded));
    batches.reserve(100);
    RecordReader records = batches[0].records();
    int count = 0;
    for (const RecordView& record : records) {
      EXPECT_EQ(as_text(*record.value), "value " + std::to_string(count++));
    }
    EXPECT_EQ(count, 3);
  }
}

TEST(RecordBatch, a_record_is_re_encoded_with_new_deltas) {
  const std::array<RecordHeaderView, 1> headers = {{{"h", as_bytes("x")}}};
  RecordBatchBuilder builder;
  for (int index = 0; index < 200; ++index) {
    builder.append(
        {.timestamp_ms = 5000 + index * 1000, .value = as_bytes("v"), .headers = headers});
  }
  const Buffer source = builder.finish({});
  const auto decoded = DecodedBatch::decode(parse(source));
  ASSERT_TRUE(decoded.has_value());
  RecordReader records = decoded->records();
  // Every other record, so that offset deltas shrink from two bytes to one.
  for (const RecordView& record : records) {
    if (record.offset_delta % 2 == 0) {
      builder.append(record, decoded->header().timestamp_of(record));
    }
  }
  const Buffer copy = builder.finish({});
  const auto again = DecodedBatch::decode(parse(copy));
  RecordReader copied = again->records();
  int index = 0;
  for (const RecordView& record : copied) {
    EXPECT_EQ(
        show(again->header(), record),
        std::to_string(index) + ":" + std::to_string(5000 + index * 2000) + ":null:x76:{h=x78}");
    ++index;
  }
  EXPECT_TRUE(copied.complete());
  EXPECT_EQ(index, 100);
}

TEST(RecordBatch, a_record_never_takes_more_than_its_bound) {
  RandomMessages random(5);
  RecordBatchBuilder builder;
  for (int index = 0; index < 300; ++index) {
    const Buffer value = random.bytes(random.below(300));
    const NewRecord record{
        .timestamp_ms = index % 2 == 0 ? 0 : std::numeric_limits<std::int64_t>::max(),
        .value = value};
    const std::size_t before = builder.size_bytes();
    builder.append(record);
    EXPECT_LE(builder.size_bytes(), before + RecordBatchBuilder::size_bytes_max(record));
  }
}

TEST(RecordBatch, every_truncation_of_a_batch_is_told) {
  for (const CompressionCodec codec : kCodecs) {
    const Buffer whole = small_batch(codec);
    for (std::size_t length = 0; length < whole.size(); ++length) {
      const Buffer cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
      EXPECT_FALSE(RecordBatchView::parse(cut).has_value()) << length;
    }
  }
}

TEST(RecordBatch, every_flipped_bit_changes_the_checksum_or_the_envelope) {
  const Buffer whole = small_batch();
  for (std::size_t index = 0; index < whole.size(); ++index) {
    const bool outside_of_checksum =
        index < batch_layout::kBatchLength ||
        (index >= batch_layout::kPartitionLeaderEpoch && index < batch_layout::kMagic);
    for (int bit = 0; bit < 8; ++bit) {
      Buffer damaged = whole;
      damaged[index] ^= static_cast<std::byte>(1 << bit);
      const auto batch = RecordBatchView::parse(damaged);
      EXPECT_EQ(batch.has_value() && batch->crc_matches(), outside_of_checksum) << index;
    }
  }
}

TEST(RecordBatch, damaged_records_never_read_past_their_bytes) {
  RandomMessages random(17);
  for (int round = 0; round < 3000; ++round) {
    Buffer bytes = small_batch(kCodecs[random.below(kCodecs.size())], 5);
    for (int flips = 0; flips < 3; ++flips) {
      const std::size_t index =
          batch_layout::kRecords + random.below(bytes.size() - batch_layout::kRecords);
      bytes[index] = static_cast<std::byte>(random.below(256));
    }
    const auto decoded = DecodedBatch::decode(parse(bytes), 1 << 20);
    if (decoded) {
      RecordReader records = decoded->records();
      for (const RecordView& record : records) {
        show(decoded->header(), record);
      }
    }
  }
}

TEST(RecordReader, tells_a_wrong_count_and_left_over_bytes) {
  const Buffer bytes = small_batch();
  const ByteView records = parse(bytes).record_bytes();
  const auto walk = [](RecordReader reader) {
    for (const RecordView& record : reader) {
      static_cast<void>(record);
    }
    return reader.complete();
  };
  EXPECT_TRUE(walk({records, 3}));
  EXPECT_FALSE(walk({records, 2}));
  EXPECT_FALSE(walk({records, 4}));
  EXPECT_FALSE(walk({records, 0}));
  EXPECT_TRUE(walk({{}, 0}));
  EXPECT_FALSE(walk({records, std::numeric_limits<std::int32_t>::max()}));
  EXPECT_FALSE(walk({records, -1}));
}

TEST(RecordReader, refuses_records_that_lie) {
  const auto reads = [](std::string_view hex) {
    const Buffer bytes = from_hex(hex);
    RecordReader reader(bytes, 1);
    RecordView record;
    return reader.next(record) && reader.complete();
  };
  EXPECT_TRUE(reads("10 00 00 00 02 6b 02 76 00"));
  EXPECT_TRUE(reads("0c 00 00 00 01 01 00"));               // null key and value
  EXPECT_FALSE(reads("0e 00 00 00 02 6b 02 76 00"));        // length one short
  EXPECT_FALSE(reads("12 00 00 00 02 6b 02 76 00 00"));     // one byte too many inside
  EXPECT_FALSE(reads("01 00 00 00 02 6b 02 76 00"));        // length -1
  EXPECT_FALSE(reads("10 00 00 00 03 6b 02 76 00"));        // key length -2
  EXPECT_FALSE(reads("10 00 00 00 20 6b 02 76 00"));        // key longer than the record
  EXPECT_FALSE(reads("10 00 00 00 02 6b 02 76 01"));        // header count -1
  EXPECT_FALSE(reads("10 00 00 00 02 6b 02 76 02"));        // a header that is not there
  EXPECT_FALSE(reads("14 00 00 00 02 6b 02 76 02 01 01"));  // header with a null key
  EXPECT_TRUE(reads("14 00 00 00 02 6b 02 76 02 00 01"));   // header with a null value
  EXPECT_FALSE(reads("0c ff ff ff ff ff ff ff"));           // a varint without end
  EXPECT_FALSE(
      reads("1c 00 00 80 80 80 80 80 01 01 01 00 00 00 00"));  // offset delta above 32 bits
}

TEST(RecordBatchReader, walks_batches_and_stops_at_a_truncated_last_one) {
  Buffer blob;
  append(blob, small_batch(CompressionCodec::kNone, 1));
  append(blob, small_batch(CompressionCodec::kZstd, 2));
  const std::size_t whole = blob.size();
  append(blob, small_batch(CompressionCodec::kNone, 3));
  for (std::size_t length = whole; length < blob.size(); ++length) {
    RecordBatchReader reader(ByteView(blob).first(length));
    std::vector<std::int32_t> counts;
    for (;;) {
      const auto batch = reader.next();
      ASSERT_TRUE(batch.has_value()) << length;
      if (!*batch) {
        break;
      }
      counts.push_back((*batch)->header().records_count);
    }
    EXPECT_EQ(counts, (std::vector<std::int32_t>{1, 2}));
    EXPECT_EQ(reader.position(), whole);
    EXPECT_EQ(reader.bytes_left(), length - whole);
  }
}

TEST(RecordBatchReader, refuses_an_old_magic_and_a_length_that_cannot_be) {
  Buffer old_magic = small_batch();
  old_magic[batch_layout::kMagic] = std::byte{1};
  EXPECT_EQ(RecordBatchReader(old_magic).next().error().code, onceflow::ErrorCode::kUnsupported);
  EXPECT_EQ(RecordBatchReader(ByteView(old_magic).first(30)).next().error().code,
            onceflow::ErrorCode::kUnsupported);
  Buffer short_length = small_batch();
  for (const std::int32_t length : {48, 0, -1, std::numeric_limits<std::int32_t>::min()}) {
    wire::store_big_endian(short_length.data() + batch_layout::kBatchLength, length);
    EXPECT_EQ(RecordBatchReader(short_length).next().error().code, onceflow::ErrorCode::kCorrupt);
  }
}

TEST(RecordBatch, rewriting_offset_and_epoch_keeps_the_checksum) {
  Buffer bytes = small_batch();
  rewrite_base_offset(bytes, Offset(1LL << 40));
  rewrite_partition_leader_epoch(bytes, 77);
  const RecordBatchView batch = parse(bytes);
  EXPECT_TRUE(batch.crc_matches());
  EXPECT_EQ(batch.header().base_offset, Offset(1LL << 40));
  EXPECT_EQ(batch.header().next_offset(), Offset((1LL << 40) + 3));
  EXPECT_EQ(batch.header().partition_leader_epoch, 77);
}

TEST(RecordBatch, rewriting_inside_of_the_checksum_renews_it) {
  Buffer bytes = small_batch(CompressionCodec::kLz4);
  rewrite_max_timestamp(bytes, 4711);
  EXPECT_TRUE(parse(bytes).crc_matches());
  EXPECT_EQ(parse(bytes).header().max_timestamp, 4711);
  EXPECT_EQ(parse(bytes).header().timestamp_type(), TimestampType::kCreateTime);

  rewrite_log_append_time(bytes, WallTime{99});
  const RecordBatchView stamped = parse(bytes);
  EXPECT_TRUE(stamped.crc_matches());
  EXPECT_EQ(stamped.header().codec(), CompressionCodec::kLz4);
  EXPECT_EQ(stamped.header().timestamp_type(), TimestampType::kLogAppendTime);
  const auto decoded = DecodedBatch::decode(stamped);
  RecordReader records = decoded->records();
  for (const RecordView& record : records) {
    EXPECT_EQ(decoded->header().timestamp_of(record), 99);
  }

  rewrite_producer(bytes, {ProducerId(8), ProducerEpoch(9)}, Sequence(10));
  EXPECT_TRUE(parse(bytes).crc_matches());
  EXPECT_EQ(parse(bytes).header().producer(), (ProducerIdentity{ProducerId(8), ProducerEpoch(9)}));
  EXPECT_EQ(parse(bytes).header().base_sequence, Sequence(10));
  EXPECT_EQ(parse(bytes).header().last_sequence(), Sequence(12));
}

TEST(RecordBatch, sequences_wrap_to_zero) {
  constexpr std::int32_t kMax = std::numeric_limits<std::int32_t>::max();
  EXPECT_EQ(advance_sequence(Sequence(0), 5), Sequence(5));
  EXPECT_EQ(advance_sequence(Sequence(kMax), 1), Sequence(0));
  EXPECT_EQ(advance_sequence(Sequence(kMax - 1), 3), Sequence(1));
  EXPECT_EQ(advance_sequence(Sequence(kMax), kMax), Sequence(kMax - 1));
  RecordBatchHeader header{.last_offset_delta = 3, .base_sequence = Sequence(kMax - 1)};
  EXPECT_EQ(header.last_sequence(), Sequence(1));
  header.base_sequence = kNoSequence;
  EXPECT_EQ(header.last_sequence(), kNoSequence);
}

TEST(RecordBatchBuilder, a_record_that_does_not_fit_changes_nothing) {
  const std::string value(40, 'v');
  const NewRecord record{.timestamp_ms = 5, .value = as_bytes(value)};
  RecordBatchBuilder expected;
  expected.append(record);
  expected.append(record);
  const std::size_t size_bytes = expected.size_bytes();

  RecordBatchBuilder builder;
  EXPECT_TRUE(builder.append_if_it_fits(record, size_bytes));
  EXPECT_TRUE(builder.append_if_it_fits(record, size_bytes));  // to the last byte
  EXPECT_FALSE(builder.append_if_it_fits(record, size_bytes + 10));
  EXPECT_EQ(builder.records_count(), 2);
  EXPECT_EQ(builder.size_bytes(), size_bytes);
  EXPECT_EQ(to_hex(builder.finish({})), to_hex(expected.finish({})));
}

TEST(RecordBatchBuilder, reused_memory_leaves_no_trace) {
  const NewRecord record{.timestamp_ms = 5, .value = as_bytes("value")};
  RecordBatchBuilder fresh;
  fresh.append(record);
  RecordBatchBuilder reusing;
  reusing.reuse(Buffer(1000, std::byte{0xee}));
  EXPECT_EQ(reusing.size_bytes(), kBatchHeaderBytes);
  reusing.append(record);
  EXPECT_EQ(to_hex(reusing.finish({})), to_hex(fresh.finish({})));
}

}  // namespace
}  // namespace onceflow::protocol
