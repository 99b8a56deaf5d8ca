// Which records without a value pass a `where`, decided from the file alone.
#include "pipeline/deletions.h"

#include <gtest/gtest.h>

#include <string>

#include "pipeline/file.h"

namespace onceflow::pipeline {
namespace {

TEST(Deletions, pass_a_condition_that_reads_the_value_and_does_not_speak_of_them) {
  for (const char* const condition :
       {"$.v <> 'no'", "$.v is not null", "coalesce($.v, '') = 'yes'", "json_valid(value)",
        "$.\"odd name\" = 1 or key = 'a'", "typeof(value) = 'text'", "'value is null' = $.v"}) {
    EXPECT_TRUE(passes_deletions(condition)) << condition;
  }
  for (const char* const condition :
       {"key <> 'a'", "offset % 2 = 0", "value is null or $.v = 1", "value IS NOT NULL and $.v = 1",
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
  EXPECT_FALSE(has_deletions(table("$.id")));
  EXPECT_FALSE(has_deletions(table("key", "append")));
  EXPECT_FALSE(has_deletions("steps: [ { id: a, key: $.id } ]\n" + table("key")));
  EXPECT_FALSE(has_deletions("sinks: [ kafka: { topic: out } ]\n"));
}

}  // namespace
}  // namespace onceflow::pipeline
