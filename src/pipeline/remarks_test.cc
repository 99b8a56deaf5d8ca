#include "pipeline/remarks.h"

#include <gtest/gtest.h>

#include <string>

#include "pipeline/file.h"

namespace onceflow::pipeline {
namespace {

std::string remarks(const std::string& column, const std::string& sink,
                    const std::string& later = "") {
  const auto spec = parse_pipeline(
      "p.yaml",
      "name: p\nsource: { kafka: { topics: [in] } }\nsteps: [ { id: by, key: $.r, aggregate: { "
      "s: " +
          column + " } }" + later + " ]\nsinks: [ " + sink + " ]\n",
      [](const std::string&) { return std::nullopt; });
  return spec ? describe("p.yaml", remarks_on(*spec)) : describe("p.yaml", spec.error());
}

TEST(Remarks, a_sum_in_its_default_column_is_told_with_what_takes_more) {
  const std::string table = "sqlite: { file: f, table: t }";
  const std::string said = remarks("\"sum(coalesce($.v, 0))\"", table);
  EXPECT_TRUE(said.starts_with("p.yaml:3: column `s` of sink sqlite is real")) << said;
  EXPECT_TRUE(said.contains("`s: { value: \"sum(coalesce($.v, 0))\", type: integer }`")) << said;
  EXPECT_EQ(remarks("{ value: sum($.v), type: integer }", table), "");
  EXPECT_EQ(remarks("{ value: sum($.v), type: decimal }", table), "");
  EXPECT_EQ(remarks("max($.v)", table), "");
  EXPECT_EQ(remarks("avg($.v)", table), "");
  EXPECT_EQ(remarks("count(*)", table), "");
  EXPECT_EQ(remarks("sum($.v)", "kafka: { topic: out }"), "");
}

TEST(Remarks, a_number_in_a_column_of_text_is_told) {
  const auto table = [](const std::string& column) {
    return "sqlite: { file: f, table: t, columns: { c: " + column + " } }";
  };
  const std::string said = remarks("count(*)", table("$.s"));
  EXPECT_TRUE(said.starts_with("p.yaml:4: column `c` of sink sqlite is text, and `s` is a number"))
      << said;
  EXPECT_TRUE(said.contains("`c: { value: $.s, type: integer }`")) << said;
  EXPECT_TRUE(remarks("sum($.v)", table("$.s")).contains("type: decimal }`"));
  EXPECT_EQ(remarks("count(*)", table("{ value: $.s, type: integer }")), "");
  EXPECT_EQ(remarks("max($.v)", table("$.s")), "");
  EXPECT_EQ(remarks("count(*)", table("$.r")), "");
  EXPECT_EQ(remarks("count(*)", table("$.s"), ", { id: a, set: { $.s: \"'x'\" } }"), "");
}

std::string remarks_on_where(const std::string& condition, const std::string& sink) {
  const auto spec = parse_pipeline(
      "p.yaml",
      "name: p\nsource: { kafka: { topics: [in] } }\nsteps:\n  - { id: w, where: \"" + condition +
          "\" }\nsinks: [ " + sink + " ]\n",
      [](const std::string&) { return std::nullopt; });
  const std::string all =
      spec ? describe("p.yaml", remarks_on(*spec)) : describe("p.yaml", spec.error());
  std::vector<Problem> of_run;
  for (const auto& [level, remark] : spec ? remarks_of_run(*spec) : std::vector<RemarkOfRun>{}) {
    of_run.push_back(remark);
  }
  const std::string kept = of_run.empty() ? "" : describe("p.yaml", of_run);
  EXPECT_TRUE(kept.empty() || kept == all) << kept;
  return (kept.empty() ? "" : "kept: ") + all;
}

TEST(Remarks, what_a_where_makes_of_records_without_a_value_is_told) {
  const auto table = [](const std::string& key) {
    return "sqlite: { file: f, table: t, mode: upsert, key: k, columns: { k: \"" + key + "\" } }";
  };
  std::string said = remarks_on_where("$.v > 1", table("key"));
  EXPECT_TRUE(
      said.starts_with("p.yaml:4: step w passes records without a value, which delete rows "
                       "of table t, but those"))
      << said;
  EXPECT_TRUE(said.contains("write `where: value is not null and ($.v > 1)`")) << said;
  said = remarks_on_where("json_valid(value) and $.v > 1", table("coalesce($.id, key)"));
  EXPECT_TRUE(said.starts_with("kept: p.yaml:4: step w drops all records without a value")) << said;
  EXPECT_TRUE(said.contains("`where: value is null or (json_valid(value) and $.v > 1)`")) << said;
  said = remarks_on_where("$.v > 1", table("$.id"));
  EXPECT_TRUE(said.starts_with("kept: p.yaml:4: step w drops all records without a value")) << said;
  EXPECT_TRUE(said.contains("rows here have another")) << said;
  said = remarks_on_where("key <> 'a'", table("key"));
  EXPECT_TRUE(said.starts_with("p.yaml:4: step w asks records without a value")) << said;
  EXPECT_EQ(remarks_on_where("value is null or $.v > 1", table("key")), "");
  EXPECT_EQ(remarks_on_where("$.v > 1", "kafka: { topic: out }"), "");
  EXPECT_EQ(remarks_on_where("$.v > 1", "sqlite: { file: f, table: t }"), "");
}

bool is_on_order(const RemarkOfRun& remark) {
  return remark.remark.what.contains("is the record that is read last");
}

std::vector<RemarkOfRun> remarks_on_rows(const std::string& steps, const std::string& sinks) {
  const auto spec = parse_pipeline("p.yaml",
                                   "name: p\nsource: { kafka: { topics: [in] } }\nsteps: [ " +
                                       steps + " ]\nsinks: [ " + sinks + " ]\n",
                                   [](const std::string&) { return std::nullopt; });
  EXPECT_TRUE(spec.has_value()) << describe("p.yaml", spec.error());
  auto remarks = remarks_of_run(*spec);
  std::erase_if(remarks, is_on_order);
  return remarks;
}

TEST(Remarks, a_condition_that_no_record_meets_is_told) {
  const std::string table = "sqlite: { file: f, table: t, columns: { v: $.v } }";
  const auto remarks = remarks_on_rows("{ id: s, where: \"$.v <> null\" }", table);
  ASSERT_EQ(remarks.size(), 1U);
  EXPECT_EQ(remarks.front().level, LogLevel::kWarn);
  EXPECT_EQ(remarks.front().remark.what,
            "step s drops every record: `$.v <> null` is true of none, whatever is in it");
  EXPECT_TRUE(remarks_on_rows("{ id: s, where: \"$.v is not null\" }", table).empty());
}

TEST(Remarks, a_key_that_a_record_without_a_value_does_not_have_is_told) {
  const std::string by_key =
      "sqlite: { file: f, table: t, mode: upsert, key: k, columns: { k: key, v: $.v } }";
  const auto told = [&](const std::string& steps, const std::string& sinks) {
    const auto remarks = remarks_on_rows(steps, sinks);
    return remarks.empty() ? "" : remarks.front().remark.what;
  };
  const std::string refused =
      "a record without a value, which deletes a row of table t, is refused where it comes: ";
  EXPECT_EQ(told("{ id: s, key: { id: key, r: $.r } }", by_key),
            refused + "step s makes its key of fields");
  EXPECT_EQ(told("{ id: s, key: $.r }, { id: u, key: \"key || 'x'\" }", by_key),
            refused + "step s makes its key of fields");
  EXPECT_EQ(told("{ id: s, key: $.r }, { id: u, key: topic }", by_key),
            refused + "step u makes its key of what is not the record's key");
  EXPECT_EQ(told("{ id: s, key: { k: key, o: offset } }", by_key),
            refused + "step s makes its key of what is not the record's key");
  EXPECT_EQ(told("{ id: s, key: \"coalesce($.r, key)\" }", by_key), "");
  const std::string topic = "kafka: { topic: out }";
  EXPECT_EQ(
      told("{ id: s, key: $.r }", topic),
      "a record without a value goes into topic out under another key than the record that it "
      "deletes: step s makes its key of fields");
  EXPECT_TRUE(told("{ id: s, key: { id: key, r: $.r } }", topic).starts_with("a record without"));
  EXPECT_EQ(told("{ id: s, key: \"coalesce($.r, key)\" }", topic), "");
  EXPECT_EQ(told("{ id: w, where: value is not null }, { id: s, key: $.r }", topic), "");
  EXPECT_EQ(told("{ id: s, key: $.r, aggregate: { n: count(*) } }", topic), "");
  EXPECT_EQ(told("{ id: s, key: $.r, aggregate: { n: count(*) } }",
                 "sqlite: { file: f, table: t, mode: upsert }"),
            "");
  const std::string may_be =
      "a record without a value, which deletes a row of table t, may be "
      "refused where it comes: ";
  EXPECT_EQ(told("{ id: s, key: \"case when topic = 'in' then key else $.r end\" }", by_key),
            may_be + "step s makes its key of fields");
  EXPECT_EQ(told("{ id: w, where: topic = 'in' }, { id: s, key: $.r }", by_key),
            may_be + "step s makes its key of fields");
  const auto dropped =
      remarks_on_rows("{ id: s, key: $.r }, { id: w, where: key is not null }", by_key);
  ASSERT_EQ(dropped.size(), 1);
  EXPECT_EQ(dropped[0].level, LogLevel::kWarn);
  EXPECT_TRUE(dropped[0].remark.what.starts_with("step w drops all records without a value"));
  const std::string by_field =
      "sqlite: { file: f, table: t, mode: upsert, key: k, columns: { k: $.id, v: $.v } }";
  EXPECT_EQ(told("{ id: s, key: $.r }", by_field), "");  // its record says so
  const std::string by_stand_in =
      "sqlite: { file: f, table: t, mode: upsert, key: k, columns: { k: \"ifnull($.id, 0)\" } }";
  EXPECT_EQ(told("{ id: s, key: $.r }", by_stand_in),
            refused + "key column k is made of `ifnull($.id, 0)`");
  const auto table = [](const std::string& key, const std::string& columns) {
    return "sqlite: { file: f, table: t, mode: upsert, key: [" + key + "], columns: { " + columns +
           " } }";
  };
  EXPECT_EQ(told("", table("k", "k: \"'all'\"")), refused + "key column k is made of `'all'`");
  EXPECT_EQ(told("", table("k, p", "k: topic, p: { value: partition, type: integer }")),
            refused + "no column of the row's key comes to its key");
  EXPECT_EQ(told("", table("k, o", "k: key, o: offset")),
            refused + "key column o is made of `offset`");
  EXPECT_EQ(told("", table("k, t", "k: key, t: topic")), "");
  EXPECT_EQ(told("", table("k", "k: \"coalesce(nullif(key, ''), $.id)\"")),
            may_be + "key column k is made of `coalesce(nullif(key, ''), $.id)`");
  // What keeps them out says so itself.
  EXPECT_TRUE(
      told("{ id: s, where: value is not null }", by_field).starts_with("step s drops all"));
}

TEST(Remarks, a_table_that_appends_what_deletes_rows_of_another_is_warned_of) {
  const std::string both =
      "{ id: u, sqlite: { file: f, table: t, mode: upsert, key: k, columns: { k: key } } }, "
      "{ id: a, sqlite: { file: f, table: log } }";
  const auto remarks = remarks_on_rows("{ id: w, where: $.v > 1 }", both);
  ASSERT_EQ(remarks.size(), 1);
  EXPECT_EQ(remarks.front().level, LogLevel::kWarn);
  EXPECT_TRUE(remarks.front().remark.what.starts_with("table log with `mode: append` gets a row"));
  EXPECT_TRUE(remarks_on_rows("{ id: w, where: key <> 'x' }", both).empty());
}

TEST(Remarks, a_row_whose_records_may_come_by_two_partitions_is_told) {
  const auto told = [](const std::string& topics, const std::string& steps,
                       const std::string& columns) {
    const auto spec = parse_pipeline(
        "p.yaml",
        "name: p\nsource: { kafka: { topics: [" + topics + "] } }\nsteps: [ " + steps +
            " ]\nsinks: [ { sqlite: { file: f, table: t, mode: upsert" + columns + " } } ]\n",
        [](const std::string&) { return std::nullopt; });
    EXPECT_TRUE(spec.has_value()) << describe("p.yaml", spec.error());
    std::string what;
    for (const RemarkOfRun& remark : remarks_of_run(*spec)) {
      if (is_on_order(remark)) {
        EXPECT_EQ(remark.level, LogLevel::kInfo);
        EXPECT_TRUE(describe("p.yaml", remarks_on(*spec)).contains(remark.remark.what));
        what += remark.remark.what.substr(remark.remark.what.rfind(' ') + 1);
      }
    }
    return what;
  };
  const auto by = [](const std::string& key) {
    return ", key: [k], columns: { k: \"" + key + "\", v: $.v }";
  };
  const std::string all = "{ id: w, where: value is null or $.v > 1 }";
  EXPECT_EQ(told("in", all, by("key")), "");
  EXPECT_EQ(told("in", all, ", key: [k, r], columns: { k: key, r: partition }"), "");
  EXPECT_EQ(told("in, on", all, by("key")), "topics");
  for (const char* const key : {"$.id", "lower(key)", "coalesce($.id, key)", "key ->> '$.id'"}) {
    EXPECT_EQ(told("in", all, by(key)), "partitions") << key;
  }
  EXPECT_EQ(told("in", "{ id: s, key: lower(key) }", by("key")), "partitions");
  EXPECT_EQ(told("in", "{ id: s, key: $.r, aggregate: { n: count(*) } }", ""), "");
}

}  // namespace
}  // namespace onceflow::pipeline
