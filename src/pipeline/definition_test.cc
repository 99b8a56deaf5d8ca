// Definitions: what is the same to a state, and what is not.
#include "pipeline/definition.h"

#include <gtest/gtest.h>

#include "pipeline/planner.h"

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

}  // namespace
}  // namespace onceflow::pipeline
