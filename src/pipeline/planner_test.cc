// Plans: which stages a file becomes, and what is promised of them.
#include "pipeline/planner.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace onceflow::pipeline {
namespace {

std::optional<std::string> variables(const std::string&) { return "postgresql://localhost/db"; }

PlannedPipeline plan(const std::string& steps_and_sinks) {
  auto planned = plan_file(
      "p.yaml", "name: p\nsource: { kafka: { topics: [in] } }\n" + steps_and_sinks, variables);
  EXPECT_TRUE(planned.has_value()) << describe("p.yaml", planned.error());
  return std::move(*planned);
}

// "id: sources -> outputs", a line a stage.
std::string stages(const PlannedPipeline& planned) {
  std::string text;
  for (const engine::Stage& stage : planned.plan.stages) {
    text += stage.id + " (" + stage.group_id + "):";
    for (const std::string& topic : stage.source_topics) {
      text += " " + topic;
    }
    text += " ->";
    if (const auto* topics = std::get_if<std::vector<engine::TopicOutput>>(&stage.output)) {
      for (const engine::TopicOutput& topic : *topics) {
        text += " " + topic.topic;
      }
    } else {
      text += " table " + std::get<engine::SinkOutput>(stage.output).table.table;
    }
    text += "\n";
  }
  return text;
}

const std::string kWhere = "steps: [ { id: big, where: $.a > 1 } ]\n";
const std::string kAggregate =
    "steps: [ { id: big, where: $.a > 1 }, { id: by-r, key: $.r, aggregate: { n: count(*) } } ]\n";

TEST(Planner, one_database_after_a_filter_is_one_stage) {
  const auto planned = plan(kWhere + "sinks: [ sqlite: { file: a.db, table: t } ]\n");
  EXPECT_EQ(stages(planned), "sqlite (p): in -> table t\n");
  ASSERT_EQ(planned.plan.topics.size(), 1u);
  EXPECT_EQ(planned.plan.topics[0].name, "p-receipts");
  const auto& table = std::get<engine::SinkOutput>(planned.plan.stages[0].output).table;
  ASSERT_EQ(table.columns.size(), 2u);
  EXPECT_EQ(table.columns[0].name, "record_key");
  EXPECT_EQ(table.pipeline, "p");
  EXPECT_EQ(table.stage, "sqlite");
}

TEST(Planner, topics_after_a_filter_are_one_stage) {
  EXPECT_EQ(stages(plan(kWhere + "sinks: [ kafka: { topic: a }, kafka: { topic: b } ]\n")),
            "kafka (p): in -> a b\n");
}

TEST(Planner, a_database_beside_a_topic_reads_the_topic) {
  EXPECT_EQ(
      stages(plan(kWhere + "sinks: [ kafka: { topic: a }, sqlite: { file: f, table: t } ]\n")),
      "kafka (p): in -> a\n"
      "sqlite (p-sqlite): a -> table t\n");
}

TEST(Planner, only_topics_that_the_pipeline_reads_again_are_kept_for_ever) {
  const auto kept = [](const std::string& more) {
    std::string names;
    for (const engine::TopicSpec& topic :
         plan(kWhere + "sinks: [ kafka: { topic: a }, kafka: { topic: b }" + more + " ]\n")
             .plan.topics) {
      names += topic.is_internal ? topic.name + " " : "";
    }
    return names;
  };
  EXPECT_EQ(kept(""), "p-receipts ");
  EXPECT_EQ(kept(", sqlite: { file: f, table: t }"), "p-receipts a ");
}

TEST(Planner, two_databases_read_one_internal_topic) {
  EXPECT_EQ(stages(plan(kWhere + "sinks: [ sqlite: { file: f, table: t }, "
                                 "postgres: { dsn: \"${env:D}\", table: u } ]\n")),
            "sqlite-rows (p): in -> p-sqlite-rows\n"
            "sqlite (p-sqlite): p-sqlite-rows -> table t\n"
            "postgres (p-postgres): p-sqlite-rows -> table u\n");
}

TEST(Planner, an_aggregate_stands_behind_a_repartition_topic) {
  const auto planned =
      plan(kAggregate + "sinks: [ sqlite: { file: f, table: t, mode: upsert } ]\n");
  EXPECT_EQ(stages(planned),
            "by-r-key (p): in -> p-by-r-repartition\n"
            "by-r (p-by-r): p-by-r-repartition -> p-sqlite-rows\n"
            "sqlite (p-sqlite): p-sqlite-rows -> table t\n");
  EXPECT_EQ(planned.plan.stages[1].aggregate->changelog_topic, "p-by-r-changelog");
  EXPECT_EQ(planned.plan.stages[1].aggregate->key_columns, std::vector<std::string>{"r"});
  const auto& table = std::get<engine::SinkOutput>(planned.plan.stages[2].output).table;
  ASSERT_EQ(table.columns.size(), 2u);
  EXPECT_TRUE(table.columns[0].is_key);
  EXPECT_EQ(table.columns[0].type, ColumnType::kText);
  EXPECT_EQ(table.columns[1].type, ColumnType::kInteger);
}

TEST(Planner, a_step_after_an_aggregate_reads_its_results) {
  EXPECT_EQ(stages(plan("steps: [ { id: by-r, key: $.r, aggregate: { n: count(*) } }, "
                        "{ id: many, where: $.n > 9 } ]\nsinks: [ kafka: { topic: out } ]\n")),
            "by-r-key (p): in -> p-by-r-repartition\n"
            "by-r (p-by-r): p-by-r-repartition -> p-by-r-results\n"
            "kafka (p-kafka): p-by-r-results -> out\n");
}

TEST(Planner, at_least_once_is_said_where_it_is_so) {
  const auto planned = plan("guarantee: at_least_once\n" + kWhere +
                            "sinks: [ kafka: { topic: a }, sqlite: { file: f, table: t } ]\n");
  EXPECT_EQ(planned.report.stages[0].guarantee, engine::Guarantee::kAtLeastOnce);
  EXPECT_EQ(planned.report.stages[1].guarantee, engine::Guarantee::kExactlyOnce);
}

std::string problems(const std::string& steps_and_sinks) {
  const auto planned = plan_file(
      "p.yaml", "name: p\nsource: { kafka: { topics: [in] } }\n" + steps_and_sinks, variables);
  return planned ? "" : describe("p.yaml", planned.error());
}

TEST(Planner, a_column_that_takes_no_result_of_its_aggregate_is_a_problem) {
  const auto with_type = [](const std::string& type, const std::string& value = "$.n") {
    return problems(kAggregate + "sinks: [ sqlite: { file: f, table: t, columns: { n: { value: " +
                    value + ", type: " + type + " } } } ]\n");
  };
  for (const std::string type : {"timestamptz", "uuid", "bytea", "boolean"}) {
    EXPECT_TRUE(
        with_type(type).contains("column `n` of sink sqlite is " + type + ", and `n` is a number"))
        << with_type(type);
  }
  for (const std::string type : {"integer", "real", "decimal", "text", "json", "jsonb"}) {
    EXPECT_EQ(with_type(type), "");
  }
  EXPECT_EQ(with_type("boolean", "$.n > 1"), "");
  const std::string mean =
      "steps: [ { id: a, key: $.r, aggregate: { a: avg($.v) } } ]\n"
      "sinks: [ sqlite: { file: f, table: t, columns: { a: { value: V, type: integer } } } ]\n";
  const auto with_value = [&](const std::string& value) {
    std::string text = mean;
    return problems(text.replace(text.find('V'), 1, value));
  };
  EXPECT_TRUE(with_value("$.a").contains("is a mean")) << with_value("$.a");
  EXPECT_EQ(with_value("cast($.a as integer)"), "");
}

const std::string kSums =
    "steps: [ { id: by, key: { r: $.r, d: $.d }, aggregate: { s: sum($.v), n: count(*) } }";
const std::string kRows = " ]\nsinks: [ sqlite: { file: f, table: t, mode: upsert } ]\n";

TEST(Planner, a_condition_on_results_is_refused_in_front_of_a_table_of_groups) {
  const std::string where = ", { id: big, where: $.s > 5 }";
  const std::string said = problems(kSums + where + kRows);
  EXPECT_TRUE(said.contains("p.yaml:3: step big drops results of step by, of which sink sqlite"))
      << said;
  EXPECT_TRUE(said.contains("write `set: { $.is_shown: \"$.s > 5\" }`")) << said;
  for (const std::string steps : {
           ", { id: a, where: $.r = 'eu' and $.n > 1 }",
           ", { id: a, where: \"json_extract(value, '$.s') > 5\" }",
           ", { id: a, where: offset % 2 = 0 }",
           ", { id: a, where: timestamp > 5 }",
           ", { id: a, set: { $.x: $.s * 2 } }, { id: b, where: $.x > 5 }",
           ", { id: a, set: { $.\"\\u0072\": $.n } }, { id: b, where: $.r > 5 }",
           ", { id: a, key: $.n }, { id: b, where: key = '1' }",
           ", { id: a, where: $.d = 1 }, { id: b, where: $.n > 5 }",
       }) {
    EXPECT_TRUE(problems(kSums + steps + kRows).contains("keeps the last")) << steps;
  }
  EXPECT_TRUE(problems(kSums + where +
                       " ]\nsinks: [ kafka: { topic: o }, sqlite: { file: f, table: t }, postgres: "
                       "{ dsn: \"${env:D}\", table: u, mode: upsert } ]\n")
                  .contains("of which sink postgres keeps the last"));
}

TEST(Planner, a_condition_that_all_results_of_a_group_meet_or_none_is_none_on_results) {
  for (const std::string condition :
       {"$.r = 'eu'", "$.\\\"\\\\u0072\\\" = 'eu' and $.d > 5", "key <> '[1,2]'",
        "coalesce($.d, 0) = 0", "topic = 'x' or true"}) {
    EXPECT_EQ(problems(kSums + ", { id: a, where: \"" + condition + "\" }" + kRows), "")
        << condition;
  }
  EXPECT_EQ(problems("steps: [ { id: a, where: $.n > 1 } ]\nsinks: [ sqlite: { file: f, table: t, "
                     "mode: upsert, key: [k], columns: { k: key } } ]\n"),
            "");
  EXPECT_EQ(problems(kSums + ", { id: big, where: $.s > 5 } ]\nsinks: [ sqlite: { file: f, table: "
                             "t } ]\n"),
            "");
}

TEST(Planner, what_a_condition_on_results_leaves_unsaid_in_a_topic_is_told) {
  const auto told = [](const std::string& steps) {
    const auto planned = plan(kSums + steps + " ]\nsinks: [ kafka: { topic: out } ]\n");
    return std::ranges::any_of(planned.report.assumptions, [](const std::string& each) {
      return each.starts_with("readers of topic out take its records for results that met");
    });
  };
  EXPECT_TRUE(told(", { id: big, where: $.s > 5 }"));
  EXPECT_FALSE(told(", { id: big, where: $.r = 'eu' }"));
  EXPECT_FALSE(told(""));
}

std::string latest(const std::string& argument, const std::string& column,
                   const std::string& later = "") {
  return problems("steps: [ { id: by, key: $.r, aggregate: { last: { value: \"" + argument +
                  "\", type: text } } }" + later +
                  " ]\nsinks: [ sqlite: { file: f, table: t, columns: { last: " + column +
                  " } } ]\n");
}

TEST(Planner, times_are_compared_where_all_are_written_in_one_form) {
  const std::string timestamptz = "{ value: $.last, type: timestamptz }";
  const std::string timestamp = "{ value: $.last, type: timestamp }";
  const std::string with_zone = "{ value: \"$.last || 'Z'\", type: timestamptz }";
  const std::string told = "`last` is the max of texts by their bytes";
  for (const std::string argument :
       {"max($.at)", "max(coalesce($.at, $.created))", "max(strftime('%d.%m.%Y', $.at))",
        "max(strftime('%Y-%m-%dT%H:%M:%S.%s', $.at))", "max(strftime($.form, $.at))",
        "max(datetime($.at, $.how))", "max(replace($.at, ' ', 'T'))", "max(upper(date($.at)))"}) {
    EXPECT_TRUE(latest(argument, timestamptz).contains(told)) << argument;
    EXPECT_TRUE(latest(argument, timestamp).contains(told)) << argument;
    EXPECT_TRUE(latest(argument, with_zone).contains(told)) << argument;
    EXPECT_EQ(latest(argument, "{ value: $.last, type: text }"), "");
    EXPECT_EQ(latest(argument, "{ value: $.last, type: date }"), "");  // written in one way alone
  }
  EXPECT_TRUE(latest("max($.at)", timestamptz)
                  .contains("\"max(strftime('%Y-%m-%dT%H:%M:%fZ', $.at))\", type: text }`"));
  EXPECT_TRUE(latest("min($.at)", timestamp)
                  .contains("\"min(strftime('%Y-%m-%dT%H:%M:%f', $.at))\", type: text }`"));
  EXPECT_EQ(latest("max(strftime('%Y-%m-%dT%H:%M:%fZ', $.at))", timestamptz), "");
  EXPECT_EQ(latest("max(strftime('%Y-%m-%d %H:%M:%S', $.at) || '+00:00')", timestamptz), "");
  EXPECT_EQ(latest("min(strftime('%Y-%m-%d %H:%M', $.at))", timestamp), "");
  EXPECT_EQ(latest("max(datetime($.at, '+1 day'))", with_zone), "");
  EXPECT_EQ(latest("max($.ms)",
                   "{ value: \"strftime('%Y-%m-%dT%H:%M:%fZ', $.last / 1000.0, 'unixepoch')\", "
                   "type: timestamptz }"),
            "");
  EXPECT_EQ(latest("max($.at)", timestamptz, ", { id: a, set: { $.last: topic } }"), "");
}

TEST(Planner, how_far_a_sum_may_go_in_a_real_column_is_told) {
  const auto assumptions = [](const std::string& column, const std::string& sink) {
    std::string all;
    for (const std::string& each : plan("steps: [ { id: by, key: $.r, aggregate: { s: " + column +
                                        " } } ]\nsinks: [ " + sink + " ]\n")
                                       .report.assumptions) {
      all += each + "\n";
    }
    return all;
  };
  const std::string sqlite = "sqlite: { file: f, table: t }";
  constexpr std::string_view kTold = "sums of integers in `s` of sink sqlite, whose column is real";
  EXPECT_TRUE(assumptions("sum($.v)", sqlite).contains(kTold));
  EXPECT_FALSE(assumptions("{ value: sum($.v), type: integer }", sqlite).contains("2^53"));
  EXPECT_FALSE(assumptions("{ value: sum($.v), type: decimal }", sqlite).contains("2^53"));
  EXPECT_FALSE(assumptions("max($.v)", sqlite).contains("2^53"));
  EXPECT_FALSE(assumptions("sum($.v)", "kafka: { topic: out }").contains("2^53"));
}

TEST(Planner, what_may_be_rounded_before_an_exact_column_takes_it_is_told) {
  const auto told = [](const std::string& steps, const std::string& columns = "r: $.r") {
    std::string all;
    for (const std::string& each :
         plan("steps: [ " + steps + " ]\nsinks: [ sqlite: { file: f, table: t, columns: { " +
              columns + " } } ]\n")
             .report.assumptions) {
      all += each.contains("may be rounded") ? each + "\n" : "";
    }
    return all;
  };
  const std::string product = "{ id: s, set: { $.rev: $.p * $.q } }, ";
  const std::string exact =
      "{ id: by, key: $.r, aggregate: { total: { value: sum($.rev), type: decimal } } }";
  EXPECT_EQ(told(product + exact),
            "`$.rev`, which step s sets, is of integers, or may be rounded as doubles are, before "
            "`total` of step by with `type: decimal` takes it; to have it exact, write the "
            "computation there\n");
  const std::string column = "v: { value: $.v, type: decimal }";
  for (const auto& [steps, columns] : std::vector<std::pair<std::string, std::string>>{
           {product + "{ id: u, set: { $.rev: \"coalesce($.rev, 0)\" } }, " + exact, "r: $.r"},
           {product + "{ id: u, set: { $.x: $.rev } }, { id: w, set: { $.rev: $.x } }, " + exact,
            "r: $.r"},
           {"{ id: s, set: { $.rev: \"round($.p, 2)\" } }, " + exact, "r: $.r"},
           {"{ id: s, set: { $.rev: \"printf('%.2f', $.p)\" } }, " + exact, "r: $.r"},
           {"{ id: s, set: { $.rev.x: $.p / 2 } }, " + exact, "r: $.r"},
           {"{ id: s, set: { $.v: $.p * $.q } }", column},
           {"{ id: by, key: $.r, aggregate: { v: sum($.p) } }", column},
           {"{ id: by, key: $.r, aggregate: { v: max($.p * 2) } }", column},
       }) {
    EXPECT_NE(told(steps, columns), "") << steps;
  }
  for (const auto& [steps, columns] : std::vector<std::pair<std::string, std::string>>{
           {product + "{ id: u, set: { $.rev: $.p } }, " + exact, "r: $.r"},
           {"{ id: s, set: { $.rev: $.p } }, " + exact, "r: $.r"},
           {"{ id: s, set: { $.rev: cast($.p * $.q as real) } }, " + exact, "r: $.r"},
           {"{ id: s, set: { $.other: $.p * $.q } }, " + exact, "r: $.r"},
           {product + exact.substr(0, exact.find("{ value")) + "sum($.rev) } }", "r: $.r"},
           {"{ id: by, key: $.r, aggregate: { v: max($.p) } }", column},
           {"{ id: by, key: $.r, aggregate: { v: { value: sum($.p * 2), type: decimal } } }",
            column},
       }) {
    EXPECT_EQ(told(steps, columns), "") << steps;
  }
}

TEST(Planner, a_topic_of_the_pipelines_own_is_no_sink) {
  for (const std::string own :
       {"p-definitions", "p-receipts", "p-by-r-repartition", "p-by-r-changelog"}) {
    EXPECT_TRUE(problems(kAggregate + "sinks: [ kafka: { topic: " + own + " } ]\n")
                    .contains("topic " + own + " is used twice"))
        << own;
  }
}

TEST(Planner, json_is_no_key_and_jsonb_is) {
  const auto with_type = [](const std::string& type) {
    return problems(
        "sinks: [ sqlite: { file: f, table: t, mode: upsert, key: [k], columns: { k: { value: "
        "$.k, type: " +
        type + " } } } ]\n");
  };
  EXPECT_TRUE(with_type("json").contains("key column `k` of sink sqlite is json"));
  EXPECT_TRUE(with_type("json").contains("`type: jsonb`"));
  EXPECT_EQ(with_type("jsonb"), "");
}

}  // namespace
}  // namespace onceflow::pipeline
