#include "protocol/own_record.h"

#include <gtest/gtest.h>

#include "protocol/definition.h"
#include "protocol/receipt.h"

namespace onceflow::protocol {
namespace {

ErrorCode error_of_definition(ByteView bytes) { return decode_definition(bytes).error().code; }
ErrorCode error_of_receipt(ByteView bytes) { return decode_receipt(bytes).error().code; }

TEST(OwnRecord, what_another_program_has_written_is_not_ours) {
  for (const std::string_view text :
       {"", "x", "null", "{\"a\":1}", "order 1", "\n\n\n\n\n\n\n\n", "\xff\xfe\xfd\xfc\xfb\xfa"}) {
    EXPECT_EQ(error_of_definition(as_bytes(text)), ErrorCode::kUnsupported) << text;
    EXPECT_EQ(error_of_receipt(as_bytes(text)), ErrorCode::kUnsupported) << text;
  }
}

TEST(OwnRecord, one_of_ours_that_was_altered_is_no_stranger) {
  Buffer definition = encode_definition({});
  definition.back() ^= std::byte{1};
  EXPECT_EQ(error_of_definition(definition), ErrorCode::kCorrupt);
  Buffer receipt = encode_receipt({});
  receipt.back() ^= std::byte{1};
  EXPECT_EQ(error_of_receipt(receipt), ErrorCode::kCorrupt);
}

TEST(OwnRecord, one_of_a_later_version_is_no_stranger) {
  for (const int version : {3, 31, 111}) {
    Buffer definition = encode_definition({});
    definition.front() = static_cast<std::byte>(version);
    EXPECT_EQ(error_of_definition(definition), ErrorCode::kCorrupt) << version;
    Buffer receipt = encode_receipt({});
    receipt.front() = static_cast<std::byte>(version);
    EXPECT_EQ(error_of_receipt(receipt), ErrorCode::kCorrupt) << version;
  }
}

}  // namespace
}  // namespace onceflow::protocol
