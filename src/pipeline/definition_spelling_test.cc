// One meaning has one spelling, and two meanings have two; that over the evaluators too is in
// evaluators_test.cc.
#include "pipeline/definition_spelling.h"

#include <gtest/gtest.h>

namespace onceflow::pipeline {
namespace {

using protocol::PipelineDefinition;

TEST(DefinitionSpelling, an_expression_has_one_text_however_it_is_written) {
  EXPECT_EQ(canonical_text("sum_of"), "sum_of");
  EXPECT_EQ(canonical_text(" $.a  *100 "), "$.a * 100");
  EXPECT_EQ(canonical_text("$.a*100"), "$.a * 100");
  EXPECT_EQ(canonical_text("COALESCE( $.a ,0)"), "coalesce($.a, 0)");
  EXPECT_EQ(canonical_text("$.a IN('x','Y')and NOT($.b=1)"), "$.a in ('x', 'Y') and not ($.b = 1)");
  EXPECT_EQ(canonical_text("'two  blanks' || $.\"Odd  Name\""), "'two  blanks' || $.\"Odd  Name\"");
  EXPECT_EQ(canonical_text("$.\"u\""), "$.u");
  EXPECT_EQ(canonical_text("$.\"\\u0075\".\"v w\"[00]"), "$.u.\"v w\"[0]");
  EXPECT_EQ(canonical_text("$.\"gr\\u00f6\\u00dfe\""), "$.größe");
  EXPECT_EQ(canonical_text("$.\"a\\/b\""), "$.\"a/b\"");
  EXPECT_EQ(canonical_text("$.l[#-01]"), "$.l[#-1]");
  EXPECT_EQ(canonical_text("$.l[#-0]"), canonical_text("$.l[#]"));
  EXPECT_EQ(canonical_text("$.a==1.50 or $.a!=15e-1"), "$.a = 1.5 or $.a <> 1.5");
  EXPECT_EQ(canonical_text("100000.00"), canonical_text("1e5"));
}

TEST(DefinitionSpelling, what_means_another_thing_has_another_text) {
  for (const auto& [one, other] : std::initializer_list<std::pair<const char*, const char*>>{
           {"1", "1.0"},
           {"'1'", "1"},
           {"'a'", "'A'"},
           {"'a'", "'a '"},
           {"$.a", "$.A"},
           {"$.a.b", "$.\"a.b\""},
           {"$.\"a[0]\"", "$.a[0]"},
           {"$.a[0]", "$.a[#-0]"},
           {"$.a[0]", "$.a.\"0\""},
           {"$.\"\"", "$.\" \""},
           {"$.\"ö\"", "$.\"o\\u0308\""},
           {"$.a - -1", "$.a - 1"},
           {"$.a -> 'b'", "$.a ->> 'b'"},
           {"$.a is 1", "$.a = 1"},
           {"'$.\"u\"'", "'$.u'"},
           {"9007199254740993", "9007199254740992"},
           {"json('1.0')", "json('1.00')"},
       }) {
    EXPECT_NE(canonical_text(one), canonical_text(other));
  }
}

PipelineDefinition definition(const std::string& steps, const std::string& state,
                              const std::string& columns) {
  PipelineDefinition definition{.pipeline = "p", .guarantee = "exactly_once", .stages = {}};
  definition.stages.push_back({.id = "s",
                               .group_id = "p",
                               .sources = {"in"},
                               .steps = steps,
                               .state = state,
                               .changelog_topic = "",
                               .database = "",
                               .outputs = {"out"},
                               .columns = columns});
  return definition;
}

std::string spelled(const std::string& text, const std::string& recorded) {
  engine::KnownDefinition known;
  known.add(definition(recorded, recorded, recorded));
  const PipelineDefinition result = spelled_as(definition(text, text, text), known);
  EXPECT_EQ(result.stages[0].steps, result.stages[0].state);
  EXPECT_EQ(result.stages[0].steps, result.stages[0].columns);
  return result.stages[0].steps;
}

TEST(DefinitionSpelling, what_is_recorded_keeps_its_spelling) {
  const std::string recorded =
      "values 1\nwhere $.\"u\" != 1\nset $.\"a = b\" = $.\"x\"\nset $.\"y\" = 1.0\n"
      "key k = $.\"k\"\naggregate s = sum($.\"v\") decimal\naggregate n = count(*)\nmode upsert\n"
      "key column k text = cast($.\"k\" as text)\ncolumn c real = $.c == 1\n";
  const std::string now =
      "values 1\nwhere $.u <> 1\nset $.\"a = b\" = $.x\nset $.y = 1.0\n"
      "key k = $.k\naggregate s = sum($.v) decimal\naggregate n = count(*)\nmode upsert\n"
      "key column k text = cast($.k as text)\ncolumn c real = $.c = 1\n";
  EXPECT_EQ(spelled(now, recorded), recorded);
  EXPECT_EQ(spelled(recorded, recorded), recorded);
  EXPECT_EQ(spelled("values 1\nwhere $.u <> 1\nkey k = $.other\n", recorded),
            "values 1\nwhere $.\"u\" != 1\nkey k = $.other\n");
  EXPECT_EQ(spelled("set $.u = 1\nset $.u = 1\n", "set $.u = 1\nset $.\"u\" = 1\n"),
            "set $.u = 1\nset $.\"u\" = 1\n");
}

TEST(DefinitionSpelling, another_meaning_does_not_take_the_recorded_spelling) {
  for (const auto& [text, recorded] : std::initializer_list<std::pair<const char*, const char*>>{
           {"aggregate s = sum($.v)\n", "aggregate s = sum($.\"v\") decimal\n"},
           {"aggregate s = sum($.v)\n", "aggregate s = min($.\"v\")\n"},
           {"key column k text = $.k\n", "column k text = $.\"k\"\n"},
           {"column k text = $.k\n", "column k json = $.\"k\"\n"},
           {"values 2\n", "values 1\n"},
           {"where 'a\nkey k = $.k\nb' = $.x\n", "where 'a\nkey k = $.\"k\"\nb' = $.x\n"},
       }) {
    EXPECT_EQ(spelled(text, recorded), text);
  }
}

TEST(DefinitionSpelling, one_file_is_one_database_however_its_path_is_written) {
  const auto spelled = [](const std::string& planned, const std::string& recorded) {
    PipelineDefinition of_file = definition("", "", "");
    of_file.stages.front().database = planned;
    PipelineDefinition before = of_file;
    before.stages.front().database = recorded;
    engine::KnownDefinition known;
    known.add(before);
    return spelled_as(of_file, known).stages.front().database;
  };
  for (const auto& [planned, recorded] : std::initializer_list<std::pair<const char*, const char*>>{
           {"sqlite ./shop.db", "sqlite shop.db"},
           {"sqlite shop.db", "sqlite ././shop.db"},
           {"sqlite /data//a/./shop.db", "sqlite /data/a/shop.db"}}) {
    EXPECT_EQ(spelled(planned, recorded), recorded);
  }
  for (const auto& [planned, recorded] : std::initializer_list<std::pair<const char*, const char*>>{
           {"sqlite /shop.db", "sqlite shop.db"},
           {"sqlite a/../shop.db", "sqlite shop.db"},
           {"sqlite shop.db", "sqlite Shop.db"},
           {"sqlite a/shop.db", "sqlite shop.db"}}) {
    EXPECT_EQ(spelled(planned, recorded), planned);
  }
}

}  // namespace
}  // namespace onceflow::pipeline
