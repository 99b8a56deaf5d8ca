// Headers, frames, the table of APIs and the error codes.
#include "protocol/header.h"

#include <gtest/gtest.h>

#include "protocol/api_table.h"
#include "protocol/error_code.h"
#include "protocol/messages/18_api_versions.h"
#include "protocol/messages/index.h"
#include "protocol/testing/hex.h"

namespace onceflow::protocol {
namespace {

using testing::from_hex;
using testing::to_hex;

TEST(Header, a_flexible_request_has_v2_and_others_v1) {
  EXPECT_EQ(request_header_version(ApiKey::kProduce, 8), 1);
  EXPECT_EQ(request_header_version(ApiKey::kProduce, 9), 2);
  EXPECT_EQ(response_header_version(ApiKey::kProduce, 8), 0);
  EXPECT_EQ(response_header_version(ApiKey::kProduce, 9), 1);
}

TEST(Header, the_response_to_api_versions_always_has_v0) {
  for (std::int16_t version = 0; version < 10; ++version) {
    EXPECT_EQ(response_header_version(ApiKey::kApiVersions, version), 0);
  }
  EXPECT_EQ(request_header_version(ApiKey::kApiVersions, 3), 2);
  EXPECT_EQ(request_header_version(ApiKey::kApiVersions, 99), 2);
}

TEST(Header, the_request_header_v2_keeps_the_old_form_of_the_client_id) {
  // Fetch v12, correlation id 7, client id "kcat", no tagged fields.
  const Buffer bytes = from_hex("0001 000c 00000007 0004 6b636174 00");
  WireReader reader(bytes);
  const auto header = RequestHeader::decode(reader);
  ASSERT_TRUE(header.has_value());
  EXPECT_EQ(reader.remaining(), 0U);
  EXPECT_EQ(*header, (RequestHeader{ApiKey::kFetch, 12, 7, "kcat"}));
  Buffer again;
  WireWriter writer(again);
  header->encode(writer);
  EXPECT_EQ(to_hex(again), to_hex(bytes));
}

TEST(Header, the_client_id_may_be_null) {
  const Buffer bytes = from_hex("0003 0001 ffffffff ffff");
  WireReader reader(bytes);
  const auto header = RequestHeader::decode(reader);
  ASSERT_TRUE(header.has_value());
  EXPECT_EQ(*header, (RequestHeader{ApiKey::kMetadata, 1, -1, std::nullopt}));
}

TEST(Header, v0_has_no_client_id) {
  const Buffer bytes = from_hex("0007 0000 00000001");
  WireReader reader(bytes);
  const auto header = RequestHeader::decode(reader, 0);
  ASSERT_TRUE(header.has_value());
  EXPECT_EQ(header->correlation_id, 1);
  EXPECT_EQ(reader.remaining(), 0U);
}

TEST(Header, every_truncation_is_an_error) {
  const Buffer bytes = from_hex("0001 000c 00000007 0004 6b636174 01 05 02 aabb");
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    WireReader reader(ByteView(bytes).first(length));
    EXPECT_FALSE(RequestHeader::decode(reader).has_value()) << length;
  }
  WireReader reader(bytes);
  EXPECT_TRUE(RequestHeader::decode(reader).has_value());
}

TEST(Header, a_frame_is_its_size_a_header_and_a_body) {
  Buffer frame;
  encode_request_frame(frame, ApiVersionsRequest{}, 2, 5, "me");
  EXPECT_EQ(to_hex(frame),
            "0000000c"
            "0012"
            "0002"
            "00000005"
            "0002"
            "6d65");
  encode_response_frame(frame, ApiVersionsResponse{.error_code = ErrorCode::kUnsupportedVersion}, 0,
                        5);
  EXPECT_EQ(to_hex(ByteView(frame).subspan(16)),
            "0000000a"
            "00000005"
            "0023"
            "00000000");
}

TEST(Header, a_flexible_response_header_has_tagged_fields) {
  Buffer frame;
  encode_response_frame(frame, HeartbeatResponse{}, 4, 9);
  EXPECT_EQ(to_hex(frame),
            "0000000c"
            "00000009"
            "00"
            "00000000"
            "0000"
            "00");
  WireReader reader(ByteView(frame).subspan(kFrameSizeBytes));
  const auto header = ResponseHeader::decode(reader, 1);
  ASSERT_TRUE(header.has_value());
  EXPECT_EQ(header->correlation_id, 9);
}

TEST(ApiTable, knows_every_api_by_its_key) {
  EXPECT_EQ(api_table().size(), 39u);
  for (const ApiInfo& api : api_table()) {
    EXPECT_EQ(find_api(api.key), &api);
    EXPECT_EQ(to_string(api.key), api.name);
    EXPECT_LE(api.version_min, api.version_max);
  }
  EXPECT_EQ(find_api(static_cast<ApiKey>(17)), nullptr);
  EXPECT_EQ(to_string(static_cast<ApiKey>(-5)), "Unknown");
}

TEST(ApiTable, has_the_ranges_that_clients_need) {
  const ApiInfo& produce = *find_api(ApiKey::kProduce);
  EXPECT_EQ(produce.name, "Produce");
  EXPECT_TRUE(produce.supports(3));
  EXPECT_TRUE(produce.supports(12));
  EXPECT_FALSE(produce.supports(13));
  EXPECT_FALSE(produce.supports(2));
  EXPECT_FALSE(produce.is_flexible(8));
  EXPECT_TRUE(produce.is_flexible(9));
  EXPECT_TRUE(find_api(ApiKey::kFetch)->supports(16));
  EXPECT_TRUE(find_api(ApiKey::kEndTxn)->supports(5));
}

TEST(ErrorCode, has_kafkas_name_and_number) {
  EXPECT_EQ(to_string(ErrorCode::kNone), "NONE");
  EXPECT_EQ(to_string(ErrorCode::kUnknownServerError), "UNKNOWN_SERVER_ERROR");
  EXPECT_EQ(to_string(static_cast<ErrorCode>(45)), "OUT_OF_ORDER_SEQUENCE_NUMBER");
  EXPECT_EQ(to_string(static_cast<ErrorCode>(90)), "PRODUCER_FENCED");
  EXPECT_EQ(to_string(static_cast<ErrorCode>(120)), "TRANSACTION_ABORTABLE");
  EXPECT_EQ(to_string(static_cast<ErrorCode>(133)), "SHARE_SESSION_LIMIT_REACHED");
  EXPECT_EQ(to_string(static_cast<ErrorCode>(134)), "UNKNOWN_ERROR_CODE");
  EXPECT_EQ(to_string(static_cast<ErrorCode>(-2)), "UNKNOWN_ERROR_CODE");
}

TEST(ErrorCode, says_what_a_client_may_retry) {
  EXPECT_TRUE(retriable(ErrorCode::kNotCoordinator));
  EXPECT_TRUE(retriable(ErrorCode::kConcurrentTransactions));
  EXPECT_TRUE(retriable(ErrorCode::kUnknownTopicOrPartition));
  EXPECT_FALSE(retriable(ErrorCode::kNone));
  EXPECT_FALSE(retriable(ErrorCode::kProducerFenced));
  EXPECT_FALSE(retriable(ErrorCode::kOutOfOrderSequenceNumber));
  EXPECT_FALSE(retriable(static_cast<ErrorCode>(9999)));
}

TEST(Frame, spliced_it_is_the_same_request) {
  const Buffer small(100, std::byte{'s'});
  const Buffer large(10'000, std::byte{'l'});
  ProduceRequest request;
  request.acks = -1;
  auto& topic = request.topic_data.emplace_back();
  topic.name = "flights";
  topic.partition_data = {{0, ByteView(large)}, {1, ByteView(small)}, {2, ByteView(large)}};
  for (std::int16_t version = ProduceRequest::kVersionMin; version <= ProduceRequest::kVersionMax;
       ++version) {
    Buffer plain;
    encode_request_frame(plain, request, version, 7, "kcat");
    Buffer bytes;
    std::vector<Splice> splices;
    WireWriter writer(bytes, splices);
    encode_request_frame(writer, request, version, 7, "kcat");
    ASSERT_EQ(splices.size(), 2U);
    EXPECT_EQ(splices[0].bytes.data(), large.data());
    Buffer whole;
    std::size_t taken = 0;
    for (const Splice& splice : splices) {
      append(whole, ByteView(bytes).subspan(taken, splice.position - taken));
      append(whole, splice.bytes);
      taken = splice.position;
    }
    append(whole, ByteView(bytes).subspan(taken));
    EXPECT_TRUE(equal(whole, plain)) << "version " << version;
  }
}

}  // namespace
}  // namespace onceflow::protocol
