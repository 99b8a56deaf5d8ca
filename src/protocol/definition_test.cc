#include "protocol/definition.h"

#include <gtest/gtest.h>

#include "protocol/testing/hex.h"

namespace onceflow::protocol {
namespace {

PipelineDefinition totals() {
  PipelineDefinition definition;
  definition.kind = PipelineDefinition::Kind::kAccepted;
  definition.written_at_ms = 1'700'000'000'000;
  definition.pipeline = "p";
  definition.guarantee = "exactly_once";
  definition.stages.push_back({.id = "k",
                               .group_id = "p-k",
                               .sources = {"p-k-repartition"},
                               .steps = "aggregate n = count(*)\n",
                               .state = "values 1\nkey k = $.k\naggregate n = count(*)\n",
                               .changelog_topic = "p-k-changelog",
                               .database = {},
                               .outputs = {"out", "more"},
                               .columns = {}});
  return definition;
}

PipelineDefinition begun() {
  PipelineDefinition definition = totals();
  definition.kind = PipelineDefinition::Kind::kResetBegun;
  definition.flags = "--to-earliest --delete-rows";
  return definition;
}

// Of begun(), by a program that is not ours (the page in docs/formats, read by hand).
constexpr std::string_view kVersion2 =
    "02399bdb6f030000018bcfe5680001700c65786163746c795f6f6e636501016b03702d6b010f702d"
    "6b2d7265706172746974696f6e17616767726567617465206e203d20636f756e74282a290a2c7661"
    "6c75657320310a6b6579206b203d20242e6b0a616767726567617465206e203d20636f756e74282a"
    "290a0d702d6b2d6368616e67656c6f670002036f7574046d6f7265001b2d2d746f2d6561726c6965"
    "7374202d2d64656c6574652d726f7773";
// As the programs before version 2 wrote it.
constexpr std::string_view kVersion1 =
    "01f51d238c030000018bcfe5680001700c65786163746c795f6f6e636501016b03702d6b010f702d"
    "6b2d7265706172746974696f6e17616767726567617465206e203d20636f756e74282a290a2c7661"
    "6c75657320310a6b6579206b203d20242e6b0a616767726567617465206e203d20636f756e74282a"
    "290a0d702d6b2d6368616e67656c6f670002036f7574046d6f726500";

TEST(Definition, is_written_in_the_bytes_of_version_2) {
  EXPECT_EQ(testing::to_hex(encode_definition(begun())), kVersion2);
}

TEST(Definition, version_1_is_read_and_lacks_the_flags_of_a_reset) {
  const auto read = decode_definition(testing::from_hex(kVersion1));
  ASSERT_TRUE(read.has_value()) << read.error().text;
  EXPECT_TRUE(read->is_same_pipeline(begun()));
  EXPECT_EQ(read->kind, PipelineDefinition::Kind::kResetBegun);
  EXPECT_EQ(read->flags, "");
}

TEST(Definition, a_version_of_tomorrow_is_refused) {
  Buffer bytes = encode_definition(begun());
  bytes[0] = std::byte{3};
  const auto read = decode_definition(bytes);
  ASSERT_FALSE(read.has_value());
  EXPECT_TRUE(read.error().text.contains("reads versions 1 and 2")) << read.error().text;
}

TEST(Definition, the_flags_of_a_reset_are_kept) {
  const auto read = decode_definition(encode_definition(begun()));
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->flags, "--to-earliest --delete-rows");
}

TEST(Definition, reads_back_what_was_written) {
  const auto read = decode_definition(encode_definition(totals()));
  ASSERT_TRUE(read.has_value());
  EXPECT_TRUE(read->is_same_pipeline(totals()));
  EXPECT_EQ(read->kind, PipelineDefinition::Kind::kAccepted);
  EXPECT_EQ(read->written_at_ms, 1'700'000'000'000);
}

TEST(Definition, a_kind_that_is_not_known_is_refused) {
  PipelineDefinition definition = totals();
  definition.kind = PipelineDefinition::Kind::kStatesKept;
  const auto read = decode_definition(encode_definition(definition));
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->kind, PipelineDefinition::Kind::kStatesKept);
  definition.kind = static_cast<PipelineDefinition::Kind>(5);
  EXPECT_FALSE(decode_definition(encode_definition(definition)).has_value());
}

TEST(Definition, a_cast_to_text_makes_the_same_keys_of_a_text_column) {
  const auto kept_by = [](const char* columns) {
    return PipelineDefinition::Stage{.columns = columns}.kept_by();
  };
  const auto plain = kept_by("mode upsert\nkey column k text = $.k\ncolumn n integer = $.n\n");
  EXPECT_EQ(plain, (std::vector<std::string>{"key column k text = $.k", "mode upsert"}));
  EXPECT_EQ(kept_by("mode upsert\nkey column k text = cast($.k as text)\n"), plain);
  for (const char* other :
       {"mode upsert\nkey column k text = 'x' || $.k\n",
        "mode upsert\nkey column k integer = $.k\n",
        "mode upsert\nkey column k text = cast($.k as real)\n",
        "mode upsert\nkey column k text = cast($.k as text) || cast($.k as text)\n",
        "mode append\nkey column k text = $.k\n"}) {
    EXPECT_NE(kept_by(other), plain) << other;
  }
}

TEST(Definition, every_flipped_bit_and_every_cut_is_found) {
  const Buffer whole = encode_definition(totals());
  for (std::size_t index = 0; index < whole.size(); ++index) {
    Buffer damaged = whole;
    damaged[index] ^= std::byte{4};
    EXPECT_FALSE(decode_definition(damaged).has_value()) << index;
    EXPECT_FALSE(decode_definition(ByteView(whole).first(index)).has_value()) << index;
  }
}

}  // namespace
}  // namespace onceflow::protocol
