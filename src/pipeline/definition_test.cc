// Definitions: what is the same to a state, and what is not.
#include "pipeline/definition.h"

#include <gtest/gtest.h>

#include <map>

#include "base/json_text.h"
#include "pipeline/definition_spelling.h"
#include "pipeline/planner.h"
#include "protocol/definition_lines.h"

namespace onceflow::pipeline {
namespace {

std::string state_of(const std::string& steps) {
  const auto planned = plan_file("p.yaml",
                                 "name: p\nsource: { kafka: { topics: [in] } }\nsteps:\n" + steps +
                                     "sinks: [ kafka: { topic: out } ]\n",
                                 [](const std::string&) { return std::nullopt; });
  EXPECT_TRUE(planned.has_value()) << describe("p.yaml", planned.error());
  std::string state;
  for (const auto& stage : definition_of(*planned).stages) {
    state += stage.state;
  }
  return state;
}

TEST(Definition, a_state_is_made_by_all_that_decides_it) {
  EXPECT_EQ(state_of("  - { id: a, where: $.x>1 }\n"
                     "  - { id: b, set: { $.y: $.x*2 } }\n"
                     "  - { id: c, key: $.k, aggregate: { n: count(*), s: sum( $.y ) } }\n"),
            "values 1\nset $.y = $.x * 2\nkey k = $.k\naggregate n = count(*)\n"
            "aggregate s = sum($.y)\n");
}

TEST(Definition, what_decides_nothing_is_not_in_it) {
  const std::string one = "  - { id: c, key: $.k, aggregate: { s: sum($.y) } }\n";
  for (const char* same : {
           "  - { id: d, key: $.k, aggregate: { s: sum($.y) } }\n",
           "  - { id: c, key: { k: $.k }, aggregate: { s: sum( $.y) } }\n",
           "  - { id: k, key: $.k }\n  - { id: c, aggregate: { s: sum($.y) } }\n",
           "  - { id: c, key: $.k, aggregate: { s: { value: sum($.y), type: integer } } }\n",
           "  - { id: c, key: $.k, aggregate: { s: sum($.y) } }\n  - { id: w, where: $.s > 1 }\n",
           "  - { id: c, key: '$.\"k\"', aggregate: { s: 'sum($.\"\\u0079\")' } }\n",
           "  - aggregate: # by region\n      \"s\": >-\n        sum(\n        $.y\n        )\n"
           "    key: \"$.k\"\n    'id': c\n",
           "  - { id: w, where: $.y > 0 }\n  - { id: c, key: $.k, aggregate: { s: sum($.y) } }\n",
       }) {
    EXPECT_EQ(state_of(same), state_of(one)) << same;
  }
  for (const char* other : {
           "  - { id: c, key: $.K, aggregate: { s: sum($.y) } }\n",
           "  - { id: c, key: { l: $.k }, aggregate: { s: sum($.y) } }\n",
           "  - { id: c, key: { k: $.k, l: $.l }, aggregate: { s: sum($.y) } }\n",
           "  - { id: c, key: $.k, aggregate: { t: sum($.y) } }\n",
           "  - { id: c, key: $.k, aggregate: { s: avg($.y) } }\n",
           "  - { id: c, key: $.k, aggregate: { s: sum($.y), n: count(*) } }\n",
           "  - { id: w, set: { $.y: 1 } }\n  - { id: c, key: $.k, aggregate: { s: sum($.y) } }\n",
       }) {
    EXPECT_NE(state_of(other), state_of(one)) << other;
  }
}

std::vector<std::string> parts_of(const std::string& file) {
  const auto planned = plan_file("p.yaml", file, [](const std::string&) { return std::nullopt; });
  EXPECT_TRUE(planned.has_value()) << describe("p.yaml", planned.error());
  const auto definition = definition_of(*planned);
  return {definition.text(), definition.flags};
}

TEST(Definition, defaults_that_are_written_out_are_the_defaults) {
  EXPECT_EQ(parts_of("name: p\n"
                     "source: { kafka: { topics: [in] } }\n"
                     "steps:\n"
                     "  - { id: a, where: $.x = 1.5 }\n"
                     "  - { id: c, key: $.k, aggregate: { s: sum($.y) } }\n"
                     "sinks: [ sqlite: { file: p.db, table: t, mode: upsert } ]\n"),
            parts_of("# all of it\n"
                     "guarantee: exactly_once\n"
                     "sinks:\n"
                     "  - id: sqlite\n"
                     "    sqlite:\n"
                     "      table: \"t\"\n"
                     "      columns:\n"
                     "        k: { value: '$.\"k\"', type: text }\n"
                     "        s: { value: \"$.s\", type: real }\n"
                     "      mode: upsert\n"
                     "      key: [k]\n"
                     "      file: 'p.db'\n"
                     "steps:\n"
                     "  - where: \"$.x == 1.50\"\n"
                     "    id: a\n"
                     "  - { id: c, key: { k: $.k }, aggregate: { s: sum($.y) } }\n"
                     "source:\n"
                     "  kafka:\n"
                     "    group.id: p\n"
                     "    auto.offset.reset: earliest\n"
                     "    topics:\n"
                     "      - in\n"
                     "name: 'p'\n"));
}

protocol::PipelineDefinition defined(const std::string& steps,
                                     const std::string& sinks = "[ kafka: { topic: out } ]") {
  const std::string file =
      "name: p\nsource: { kafka: { topics: [in] } }\nsteps:\n" + steps + "sinks: " + sinks + "\n";
  const auto planned = plan_file("p.yaml", file, [](const std::string&) { return std::nullopt; });
  EXPECT_TRUE(planned.has_value()) << file << describe("p.yaml", planned.error());
  return planned ? definition_of(*planned) : protocol::PipelineDefinition{};
}

// What `after` is compared with `before`: the same, if no text of it differs.
bool is_same(const protocol::PipelineDefinition& before,
             const protocol::PipelineDefinition& after) {
  engine::KnownDefinition known;
  known.add(before);
  return spelled_as(after, known).is_same_pipeline(before);
}

protocol::PipelineDefinition in_earlier_form(protocol::PipelineDefinition definition) {
  for (auto& stage : definition.stages) {
    stage.steps = protocol::in_earlier_form(stage.steps);
    stage.state = protocol::in_earlier_form(stage.state);
    stage.columns = protocol::in_earlier_form(stage.columns);
  }
  return definition;
}

std::string yaml(std::string_view text) {
  std::string quoted;
  append_json_string(quoted, text);
  return quoted;
}

// Lists of up to `count` steps, each of one or two fields or parts of a key.
std::vector<std::string> lists_of_steps(int count) {
  const std::vector<std::string> steps = {
      "set: { $.a: $.x }", "set: { $.b: $.a }",       "set: { $.a: $.x, $.b: $.a }",
      "key: { k: $.a }",   "key: { k: $.a, l: $.b }", "key: { l: $.b }",
      "where: $.a > 1",
  };
  std::vector<std::string> lists = {""};
  for (std::size_t begin = 0, length = 1; length <= static_cast<std::size_t>(count); ++length) {
    const std::size_t end = lists.size();
    for (; begin < end; ++begin) {
      for (const std::string& step : steps) {
        lists.push_back(lists[begin] + "  - { id: s" + std::to_string(length) + ", " + step +
                        " }\n");
      }
    }
  }
  lists.erase(lists.begin());
  return lists;
}

TEST(Definition, another_grouping_into_steps_is_another_definition) {
  std::map<std::string, std::string> by_text;
  for (const std::string& list : lists_of_steps(3)) {
    const std::string text = defined(list).text();
    EXPECT_EQ(defined(list).text(), text);
    const auto [place, is_new] = by_text.emplace(text, list);
    EXPECT_TRUE(is_new) << list << "and\n" << place->second << "are both\n" << text;
  }
}

TEST(Definition, no_list_of_steps_is_taken_for_another_that_is_recorded) {
  const std::string end = "  - { id: c, key: { m: $.m }, aggregate: { n: count(*) } }\n";
  std::vector<std::pair<std::string, protocol::PipelineDefinition>> all;
  for (const std::string& list : lists_of_steps(2)) {
    all.emplace_back(list, defined(list + end));
  }
  for (const auto& [list, before] : all) {
    for (const auto& [other, after] : all) {
      EXPECT_EQ(is_same(before, after), list == other) << list << "and\n" << other;
    }
    EXPECT_TRUE(is_same(in_earlier_form(before), before)) << list << in_earlier_form(before).text();
  }
}

TEST(Definition, no_name_and_no_literal_is_taken_for_another_line) {
  const std::vector<std::pair<std::string, std::string>> parts = {
      {"a", "key"},
      {"a", "key = $.x"},
      {"a = key", "$.x"},
      {"a b", "$.x"},
      {"\"a b\"", "$.x"},
      {"\"a", "$.x"},
      {"it's", "$.x"},
      {"a\\u0020b", "$.x"},
      {"a\nalso key b = $.y\nkey c", "$.x"},
      {"a\nb", "$.x"},
      {"größe", "$.x"},
      {"also", "$.x"},
      {"a", "'\n'"},
      {"a", "'\\x0a'"},
      {"a", "'e\n''\t'' e'"},
      {"a", "'x' || '\nset $.a = 1'"},
      {"a", "'x\nset $.a = 1'"},
      {"a", "'x' || char(10) || 'set $.a = 1'"},
  };
  std::vector<protocol::PipelineDefinition> all;
  for (const auto& [name, expression] : parts) {
    const std::string one = yaml(name) + ": " + yaml(expression);
    all.push_back(defined("  - { id: k, key: { " + one + " } }\n"));
    all.push_back(
        defined("  - { id: k, key: { " + one + ", z: $.z }, aggregate: { n: count(*) } }\n"));
    all.push_back(defined("  - { id: k, key: $.k, aggregate: { " + yaml(name) + ": " +
                          yaml("max(" + expression + ")") + " } }\n"));
  }
  for (const auto& before : all) {
    for (const auto& after : all) {
      EXPECT_EQ(is_same(before, after), &before == &after) << before.text() << after.text();
    }
    for (const auto& stage : before.stages) {
      EXPECT_FALSE(protocol::is_of_earlier_form(stage.steps)) << stage.steps;
      EXPECT_FALSE(protocol::is_of_earlier_form(stage.state)) << stage.state;
    }
  }
}

TEST(Definition, what_an_earlier_version_recorded_is_matched_as_it_wrote_it) {
  const auto now = defined(
      "  - { id: a, set: { $.a: $.x, $.b: \"'\\n' || $.b\" } }\n  - { id: b, set: { $.c: $.x } }\n"
      "  - { id: k, key: { shop: $.shop, 'the day': $.day },"
      " aggregate: { 'in all': sum($.c), most: \"max($.v || '\\n')\" } }\n");
  const auto before = in_earlier_form(now);
  EXPECT_EQ(now.stages[1].state,
            "values 1\nset $.a = $.x\nalso set $.b = e'\\x0a' || $.b\nthen set $.c = $.x\n"
            "key shop = $.shop\nalso key \"the day\" = $.day\n"
            "aggregate \"in all\" = sum($.c)\naggregate most = max($.v || e'\\x0a')\n");
  EXPECT_EQ(before.stages[1].state,
            "values 1\nset $.a = $.x\nset $.b = '\n' || $.b\nset $.c = $.x\n"
            "key shop = $.shop\nkey the day = $.day\n"
            "aggregate in all = sum($.c)\naggregate most = max($.v || '\n')\n");
  EXPECT_TRUE(is_same(before, now));
  EXPECT_TRUE(is_same(now, now));
  EXPECT_FALSE(is_same(now, before));
}

const std::string kTable =
    "[ kafka: { topic: out }, sqlite: { file: p.db, table: t, mode: upsert, key: [k], "
    "columns: { k: key, a: $.a } } ]";

TEST(Definition, a_where_says_whether_deletions_pass_it) {
  const std::string where = "  - { id: w, where: $.a > 1 }\n";
  const auto with = defined(where, kTable);
  const auto without = defined(where);
  EXPECT_EQ(with.stages[0].steps, "where $.a > 1, passes deletions\n");
  EXPECT_EQ(without.stages[0].steps, "where $.a > 1\n");
  EXPECT_EQ(defined("  - { id: w, where: value is not null }\n", kTable).stages[0].steps,
            "where value is not null\n");
  const auto steps_after = [](const protocol::PipelineDefinition& before,
                              const protocol::PipelineDefinition& after) {
    engine::KnownDefinition known;
    known.add(before);
    return spelled_as(after, known).stages[0].steps;
  };
  EXPECT_EQ(steps_after(without, with), "where $.a > 1, passes deletions\n");
  EXPECT_EQ(steps_after(with, without), "where $.a > 1, judges deletions\n");
  auto judged = without;
  judged.stages[0].steps = "where $.a > 1, judges deletions\n";
  EXPECT_TRUE(is_same(judged, without));
  EXPECT_EQ(steps_after(judged, with), "where $.a > 1, passes deletions\n");
  // Earlier versions did not say it: their pipeline tells it.
  auto unsaid = with;
  unsaid.stages[0].steps = "where $.a > 1\n";
  EXPECT_TRUE(is_same(unsaid, with));
  EXPECT_EQ(steps_after(unsaid, without), "where $.a > 1, judges deletions\n");
  for (auto other : {defined("  - { id: k, key: $.k }\n" + where, kTable),
                     defined(where + "  - { id: k, key: { a: key, b: $.k } }\n", kTable)}) {
    other.stages[0].steps = without.stages[0].steps + "key k = $.k\n";
    EXPECT_EQ(steps_after(other, with), "where $.a > 1, passes deletions\n");
  }
}

}  // namespace
}  // namespace onceflow::pipeline
