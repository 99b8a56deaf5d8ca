// Which records without a value pass a `where`, decided from the file alone.
#include "pipeline/deletions.h"

#include <gtest/gtest.h>

#include <string>

#include "pipeline/file.h"

namespace onceflow::pipeline {
namespace {

TEST(Deletions, pass_a_condition_on_fields_that_does_not_name_the_value) {
  for (const char* const condition :
       {"$.v <> 'no'", "$.v is not null", "coalesce($.v, '') = 'yes'", "$.value > 1",
        "$.\"odd name\" = 1 or key = 'a'", "'value is null' = $.v"}) {
    EXPECT_TRUE(passes_deletions(condition)) << condition;
  }
  for (const char* const condition :
       {"key <> 'a'", "offset % 2 = 0", "value is null or $.v = 1", "VALUE IS NOT NULL and $.v = 1",
        "(value) is not null and $.v = 1", "value not null and $.v = 1",
        "null is not value and $.v = 1", "value is distinct from null and $.v = 1",
        "coalesce(value, '') <> '' and $.v = 1", "typeof(value) <> 'null' and $.v = 1",
        "json_valid(value) and $.v = 1", "length(value) > 0 and $.v = 1",
        "value isnull or json_valid(value)", "value notnull", "topic = '$.v'"}) {
    EXPECT_FALSE(passes_deletions(condition)) << condition;
  }
}

bool has_deletions(const std::string& steps_and_sinks) {
  const auto spec =
      parse_pipeline("p.yaml", "name: p\nsource: { kafka: { topics: [in] } }\n" + steps_and_sinks,
                     [](const std::string&) { return std::optional<std::string>(); });
  EXPECT_TRUE(spec.has_value()) << steps_and_sinks;
  return spec && has_tables_with_deletions(*spec);
}

std::string table(const std::string& key, const std::string& mode = "upsert") {
  return "sinks: [ sqlite: { file: a.db, table: t, mode: " + mode +
         (mode == "upsert" ? ", key: [k]" : "") + ", columns: { k: " + key + ", v: $.v } } ]\n";
}

TEST(Deletions, reach_a_table_whose_key_is_the_records_own) {
  EXPECT_TRUE(has_deletions(table("key")));
  EXPECT_TRUE(has_deletions(table("lower(key)")));
  EXPECT_TRUE(has_deletions("steps: [ { id: a, key: upper(key) } ]\n" + table("key")));
  EXPECT_TRUE(has_deletions(table("'coalesce($.id, key)'")));
  EXPECT_TRUE(has_deletions(table("'ifnull($.id, lower(key))'")));
  EXPECT_TRUE(has_deletions(table("'iif($.id is null, cast(key as integer), $.id)'")));
  EXPECT_TRUE(has_deletions(table("'case when value is null then key else $.id end'")));
  EXPECT_TRUE(has_deletions("steps: [ { id: a, key: 'coalesce($.id, key)' } ]\n" + table("key")));
  EXPECT_TRUE(has_deletions(table("\"coalesce($.id, key ->> '$.id')\"")));
  EXPECT_TRUE(has_deletions(table("\"coalesce(value, key) ->> '$.id'\"")));
  EXPECT_TRUE(has_deletions(table("'coalesce($.id, substr(key, 4))'")));
  EXPECT_TRUE(has_deletions(table("\"case when topic = 't' then key else $.id end\"")));
  EXPECT_FALSE(has_deletions(table("topic")));
  EXPECT_FALSE(has_deletions(table("offset")));
  EXPECT_FALSE(has_deletions("steps: [ { id: a, key: { k: key, o: offset } } ]\n" + table("key")));
  EXPECT_FALSE(has_deletions(table("$.id")));
  EXPECT_FALSE(has_deletions(table("'coalesce($.id, topic)'")));
  EXPECT_FALSE(has_deletions(table("\"coalesce($.id, 'none')\"")));
  EXPECT_FALSE(has_deletions(table("'key || $.id'")));
  EXPECT_FALSE(has_deletions(table("key", "append")));
  EXPECT_FALSE(has_deletions("steps: [ { id: a, key: $.id } ]\n" + table("key")));
  EXPECT_FALSE(has_deletions("sinks: [ kafka: { topic: out } ]\n"));
}

TEST(Deletions, are_told_for_each_where) {
  const auto at_where = [](const std::string& key, const std::string& condition,
                           const std::string& steps = "") {
    const auto spec =
        parse_pipeline("p.yaml",
                       "name: p\nsource: { kafka: { topics: [in] } }\nsteps: [ " + steps +
                           "{ id: w, where: \"" + condition + "\" } ]\n" + table(key),
                       [](const std::string&) { return std::optional<std::string>(); });
    EXPECT_TRUE(spec.has_value()) << condition;
    return deletions_at_where(spec.value(), spec->steps.back());
  };
  EXPECT_EQ(at_where("key", "$.v > 1"), DeletionsAtWhere::kPassUnlessOut);
  EXPECT_EQ(at_where("'coalesce($.id, key)'", "$.v > 1"), DeletionsAtWhere::kPassUnlessOut);
  EXPECT_EQ(at_where("$.id", "$.v > 1"), DeletionsAtWhere::kKeptOut);
  EXPECT_EQ(at_where("key", "json_valid(value) and $.v > 1"), DeletionsAtWhere::kKeptOut);
  EXPECT_EQ(at_where("key", "value is null or $.v > 1"), DeletionsAtWhere::kPass);
  EXPECT_EQ(at_where("key", "key <> 'a'"), DeletionsAtWhere::kAsked);
  EXPECT_EQ(at_where("key", "key is not null", "{ id: a, key: $.r }, "),
            DeletionsAtWhere::kKeptOut);
  EXPECT_EQ(at_where("key", "key <> 'none'", "{ id: a, key: \"coalesce($.r, 'none')\" }, "),
            DeletionsAtWhere::kKeptOut);
  EXPECT_EQ(at_where("key", "key <> '7x'",
                     "{ id: a, key: \"ifnull($.r, 7)\" }, { id: b, key: \"key || 'x'\" }, "),
            DeletionsAtWhere::kKeptOut);
  EXPECT_EQ(at_where("key", "key = '7'", "{ id: a, key: 7 }, "), DeletionsAtWhere::kPass);
  EXPECT_EQ(at_where("key", "key <> 'a'", "{ id: a, key: \"coalesce($.r, key)\" }, "),
            DeletionsAtWhere::kAsked);
  EXPECT_EQ(at_where("key", "key <> 'a'", "{ id: a, key: { a: $.r, b: key } }, "),
            DeletionsAtWhere::kAsked);
}

}  // namespace
}  // namespace onceflow::pipeline
