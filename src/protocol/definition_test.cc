#include "protocol/definition.h"

#include <gtest/gtest.h>

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
