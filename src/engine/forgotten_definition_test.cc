#include "engine/forgotten_definition.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/definition_testing.h"

namespace onceflow::engine {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Found = ForgottenDefinition::Found;
using protocol::PipelineDefinition;
using protocol::ReceiptsByStage;
using Beginning = protocol::Receipt::Beginning;
constexpr Beginning kEarliest = Beginning::kEarliest;

std::uint64_t own() { return protocol::definition_hash(rows().stages.front().text()); }

TEST(ForgottenDefinition, without_receipts_there_is_nothing_to_say) {
  const auto judged = judge_receipts({}, rows(), "p.yaml");
  ASSERT_TRUE(judged.has_value());
  EXPECT_EQ(judged->found, Found::kNothing);
  EXPECT_EQ(judged->warning, "");
}

TEST(ForgottenDefinition, receipts_of_this_definition_bring_it_back) {
  const auto judged = judge_receipts({{"sqlite", {own(), kEarliest}}}, rows(), "p.yaml");
  ASSERT_TRUE(judged.has_value());
  EXPECT_EQ(judged->found, Found::kSame);
  EXPECT_THAT(judged->warning, HasSubstr("topic p-definitions was gone"));
  EXPECT_THAT(judged->warning, Not(HasSubstr("was reset before")));
}

// A stage that writes topic out, and a sink behind it.
PipelineDefinition chain() {
  PipelineDefinition definition = rows();
  PipelineDefinition::Stage first;
  first.id = "kafka";
  first.outputs = {"out"};
  definition.stages.insert(definition.stages.begin(), first);
  return definition;
}

TEST(ForgottenDefinition, receipts_tell_of_a_reset) {
  const std::uint64_t first = protocol::definition_hash(chain().stages.front().text());
  const auto after = [&](Beginning in_topic, Beginning in_database) {
    return may_have_been_reset({{"kafka", {first, in_topic}}, {"sqlite", {own(), in_database}}},
                               chain());
  };
  EXPECT_FALSE(after(kEarliest, kEarliest));
  EXPECT_TRUE(after(Beginning::kReset, kEarliest)) << "its database is new";
  EXPECT_TRUE(after(kEarliest, Beginning::kReset));
  EXPECT_TRUE(after(Beginning::kNone, kEarliest)) << "the first receipts are gone";
  EXPECT_FALSE(after(kEarliest, Beginning::kNone)) << "the topic tells";
  EXPECT_TRUE(may_have_been_reset({{"sqlite", {own(), Beginning::kReset}}}, rows()));
  EXPECT_TRUE(may_have_been_reset({{"sqlite", {own(), Beginning::kNone}}}, rows()));
  EXPECT_FALSE(may_have_been_reset({{"sqlite", {own(), Beginning::kLatest}}}, rows()));
  const auto judged = judge_receipts(
      {{"kafka", {first, Beginning::kReset}}, {"sqlite", {own(), kEarliest}}}, chain(), "p.yaml");
  ASSERT_TRUE(judged.has_value());
  EXPECT_THAT(judged->warning, HasSubstr("was reset before"));
}

TEST(ForgottenDefinition, receipts_in_databases_alone_are_of_half_a_reset) {
  const auto judged = judge_receipts({{"sqlite", {own(), kEarliest}}}, chain(), "p.yaml");
  ASSERT_FALSE(judged.has_value());
  EXPECT_THAT(judged.error().text, HasSubstr("as after a reset that has not ended"));
}

TEST(ForgottenDefinition, receipts_that_name_none_are_of_an_earlier_version) {
  const auto judged = judge_receipts({{"sqlite", {0, Beginning::kNone}}}, rows(), "p.yaml");
  ASSERT_TRUE(judged.has_value());
  EXPECT_EQ(judged->found, Found::kEarlierVersion);
  EXPECT_THAT(judged->warning, HasSubstr("was run by an earlier version"));
}

TEST(ForgottenDefinition, receipts_of_another_definition_or_stage_are_refused) {
  const auto other = judge_receipts({{"sqlite", {own() + 1, kEarliest}}}, rows(), "p.yaml");
  ASSERT_FALSE(other.has_value());
  EXPECT_EQ(other.error().code, ErrorCode::kRefused);
  EXPECT_THAT(other.error().text,
              HasSubstr("topic p-definitions is gone, and stage sqlite has gone by another "
                        "definition than this file's until now"));
  EXPECT_THAT(other.error().text,
              HasSubstr("onceflow reset p.yaml --to-earliest (--delete-rows | --keep-rows)"));
  const auto stage =
      judge_receipts({{"rows", {7, kEarliest}}, {"sqlite", {own(), kEarliest}}}, rows(), "p.yaml");
  ASSERT_FALSE(stage.has_value());
  EXPECT_THAT(stage.error().text,
              HasSubstr("there are receipts of stage rows, which this file does not have"));
}

}  // namespace
}  // namespace onceflow::engine
