#include "engine/forgotten_definition.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/definition_testing.h"

namespace onceflow::engine {
namespace {

using ::testing::HasSubstr;
using Found = ForgottenDefinition::Found;

std::uint64_t own() { return protocol::definition_hash(rows().stages.front().text()); }

TEST(ForgottenDefinition, without_receipts_there_is_nothing_to_say) {
  const auto judged = judge_receipts({}, rows(), "p.yaml");
  ASSERT_TRUE(judged.has_value());
  EXPECT_EQ(judged->found, Found::kNothing);
  EXPECT_EQ(judged->warning, "");
}

TEST(ForgottenDefinition, receipts_of_this_definition_bring_it_back) {
  const auto judged = judge_receipts({{"sqlite", own()}}, rows(), "p.yaml");
  ASSERT_TRUE(judged.has_value());
  EXPECT_EQ(judged->found, Found::kSame);
  EXPECT_THAT(judged->warning, HasSubstr("topic p-definitions was gone"));
}

TEST(ForgottenDefinition, receipts_that_name_none_are_of_an_earlier_version) {
  const auto judged = judge_receipts({{"sqlite", 0}}, rows(), "p.yaml");
  ASSERT_TRUE(judged.has_value());
  EXPECT_EQ(judged->found, Found::kEarlierVersion);
  EXPECT_THAT(judged->warning, HasSubstr("was run by an earlier version"));
}

TEST(ForgottenDefinition, receipts_of_another_definition_or_stage_are_refused) {
  const auto other = judge_receipts({{"sqlite", own() + 1}}, rows(), "p.yaml");
  ASSERT_FALSE(other.has_value());
  EXPECT_EQ(other.error().code, ErrorCode::kRefused);
  EXPECT_THAT(other.error().text,
              HasSubstr("topic p-definitions is gone, and stage sqlite has gone by another "
                        "definition than this file's until now"));
  EXPECT_THAT(other.error().text,
              HasSubstr("onceflow reset p.yaml --to-earliest (--delete-rows | --keep-rows)"));
  const auto stage = judge_receipts({{"rows", 7}, {"sqlite", own()}}, rows(), "p.yaml");
  ASSERT_FALSE(stage.has_value());
  EXPECT_THAT(stage.error().text,
              HasSubstr("there are receipts of stage rows, which this file does not have"));
}

}  // namespace
}  // namespace onceflow::engine
