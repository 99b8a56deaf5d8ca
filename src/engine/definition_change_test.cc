// What a changed file means for what the pipeline keeps: a row of docs/changing-a-pipeline.md each.
#include "engine/definition_change.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/definition_testing.h"

namespace onceflow::engine {
namespace {

using protocol::PipelineDefinition;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using Stage = PipelineDefinition::Stage;

const std::string kCount = "values 1\nkey k = $.k\naggregate n = count(*)\n";

// where, key and count; a topic, and a table that reads it.
PipelineDefinition totals() {
  PipelineDefinition definition;
  definition.pipeline = "p";
  definition.guarantee = "exactly_once";
  definition.stages = {
      {.id = "k-key",
       .group_id = "g",
       .sources = {"in"},
       .steps = "key k = $.k\n",
       .state = {},
       .changelog_topic = {},
       .database = {},
       .outputs = {"p-k-repartition"},
       .columns = {}},
      {.id = "k",
       .group_id = "p-k",
       .sources = {"p-k-repartition"},
       .steps = "aggregate n = count(*)\n",
       .state = kCount,
       .changelog_topic = "p-k-changelog",
       .database = {},
       .outputs = {"out"},
       .columns = {}},
      {.id = "sqlite",
       .group_id = "p-sqlite",
       .sources = {"out"},
       .steps = {},
       .state = {},
       .changelog_topic = {},
       .database = "sqlite a.db",
       .outputs = {"t"},
       .columns = "mode upsert\nkey column k text = $.k\ncolumn n integer = $.n\n"},
  };
  return definition;
}

KnownDefinition known_as(const PipelineDefinition& definition) {
  KnownDefinition known;
  known.add(definition);
  return known;
}

std::string refused(const PipelineDefinition& before, const PipelineDefinition& after) {
  return describe(known_as(before).compare(after), DefinitionChange::Weight::kRefused);
}
std::string noted(const PipelineDefinition& before, const PipelineDefinition& after) {
  const auto changes = known_as(before).compare(after);
  EXPECT_FALSE(has_refusal(changes)) << describe(changes, DefinitionChange::Weight::kRefused);
  return describe(changes, DefinitionChange::Weight::kNote);
}

TEST(DefinitionChange, nothing_known_and_nothing_changed_are_no_change) {
  EXPECT_TRUE(KnownDefinition().compare(totals()).empty());
  EXPECT_TRUE(known_as(totals()).compare(totals()).empty());
}

TEST(DefinitionChange, another_aggregate_expression_is_refused_with_both_texts) {
  PipelineDefinition after = totals();
  after.stages[1].state = "values 1\nkey k = $.k\naggregate n = sum($.x)\n";
  after.stages[1].steps = "aggregate n = sum($.x)\n";
  EXPECT_THAT(refused(totals(), after),
              HasSubstr("k: `aggregate n = count(*)` is now `aggregate n = sum($.x)`; its state"));
}

TEST(DefinitionChange, another_key_is_refused_once) {
  PipelineDefinition after = totals();
  after.stages[0].steps = "key k = $.other\n";
  after.stages[1].state = "values 1\nkey k = $.other\naggregate n = count(*)\n";
  EXPECT_EQ(known_as(totals()).compare(after).size(), 1u);
  EXPECT_THAT(refused(totals(), after), HasSubstr("`key k = $.k` is now `key k = $.other`"));
}

TEST(DefinitionChange, another_filter_before_an_aggregate_is_noted) {
  PipelineDefinition after = totals();
  after.stages[0].steps = "where $.x > 1\nkey k = $.k\n";
  EXPECT_THAT(noted(totals(), after), HasSubstr("k-key: `where $.x > 1` is new; it holds from"));
}

TEST(DefinitionChange, a_filter_and_what_is_counted_behind_it_are_both_said) {
  PipelineDefinition after = totals();
  after.stages[0].steps = "where $.x > 1\nkey k = $.other\n";
  after.stages[1].state = "values 1\nkey k = $.other\naggregate n = sum($.x)\n";
  const auto changes = known_as(totals()).compare(after);
  EXPECT_THAT(
      describe(changes, DefinitionChange::Weight::kNote),
      AllOf(HasSubstr("k-key: `where $.x > 1` is new; it holds from"), Not(HasSubstr("key k"))));
  EXPECT_THAT(describe(changes, DefinitionChange::Weight::kRefused),
              HasSubstr("k: `key k = $.k` is now `key k = $.other`"));
}

TEST(DefinitionChange, a_filter_that_judges_what_another_step_has_made_is_said_too) {
  const auto with = [](const std::string& steps, const std::string& count) {
    PipelineDefinition definition = totals();
    definition.stages[0].steps = steps + "key k = $.k\n";
    definition.stages[1].state = "values 1\nset $.x = $.x * 10\nkey k = $.k\n" + count;
    return definition;
  };
  const PipelineDefinition before =
      with("where $.x > 1\nset $.x = $.x * 10\n", "aggregate n = count(*)\n");
  const PipelineDefinition moved =
      with("set $.x = $.x * 10\nwhere $.x > 1\n", "aggregate n = sum($.x)\n");
  EXPECT_THAT(describe(known_as(before).compare(moved), DefinitionChange::Weight::kNote),
              HasSubstr("k-key: the same lines stand in another order; it holds from"));
  const PipelineDefinition beside =
      with("where $.x > 1\nset $.x = $.x * 10\n", "aggregate n = sum($.x)\n");
  EXPECT_EQ(describe(known_as(before).compare(beside), DefinitionChange::Weight::kNote), "");
  const PipelineDefinition without = with("set $.x = $.x * 10\n", "aggregate n = sum($.x)\n");
  EXPECT_THAT(describe(known_as(before).compare(without), DefinitionChange::Weight::kNote),
              AllOf(HasSubstr("k-key: `where $.x > 1` is gone; it holds"), Not(HasSubstr("set"))));
}

TEST(DefinitionChange, exchanged_lines_are_a_change_too) {
  PipelineDefinition before = totals();
  before.stages[1].state = "values 1\naggregate a = count(*)\naggregate b = count(*)\n";
  PipelineDefinition after = totals();
  after.stages[1].state = "values 1\naggregate b = count(*)\naggregate a = count(*)\n";
  EXPECT_THAT(refused(before, after), HasSubstr("the same lines stand in another order"));
}

TEST(DefinitionChange, a_renamed_step_with_state_is_refused_under_both_names) {
  PipelineDefinition after = totals();
  after.stages[0].id = "by-k-key";
  after.stages[1].id = "by-k";
  after.stages[1].group_id = "p-by-k";
  after.stages[1].changelog_topic = "p-by-k-changelog";
  EXPECT_EQ(known_as(totals()).compare(after).size(), 1u);
  EXPECT_THAT(refused(totals(), after), HasSubstr("by-k: k is now called by-k; its state"));
}

// The stages whose topics between stages are left with this.
std::vector<std::string> left(const PipelineDefinition& before, const PipelineDefinition& after) {
  std::vector<std::string> stages;
  for (const DefinitionChange& change : known_as(before).left_topics(after)) {
    EXPECT_TRUE(change.must_be_read);
    for (const std::string& topic : change.left_topics) {
      stages.push_back(change.stage + " " + topic);
    }
  }
  return stages;
}

// in -> p-FIRST-rows -> a table for each sink.
PipelineDefinition two_tables(const std::string& first, const std::string& second,
                              const std::string& topic) {
  const auto table = [&](const std::string& id) {
    return Stage{.id = id,
                 .group_id = "p-" + id,
                 .sources = {topic},
                 .steps = {},
                 .state = {},
                 .changelog_topic = {},
                 .database = "sqlite a.db",
                 .outputs = {"table of " + id},
                 .columns = "mode append\ncolumn x integer = $.x\n"};
  };
  PipelineDefinition definition = rows();
  definition.stages[0].id = first + "-rows";
  definition.stages[0].database = {};
  definition.stages[0].outputs = {topic};
  definition.stages[0].columns = {};
  definition.stages.push_back(table(first));
  definition.stages.push_back(table(second));
  return definition;
}

TEST(DefinitionChange, topics_between_stages_that_are_left_must_be_read) {
  const PipelineDefinition before = two_tables("a", "b", "p-a-rows");
  EXPECT_THAT(left(before, before), IsEmpty());
  EXPECT_THAT(left(before, two_tables("b", "a", "p-b-rows")),
              ElementsAre("a p-a-rows", "b p-a-rows"));
  EXPECT_THAT(left(before, two_tables("a", "b", "copy")), ElementsAre("a p-a-rows", "b p-a-rows"));
  // The other table's rows are its own choice; those of the one that stays are not.
  PipelineDefinition alone = rows();
  alone.stages[0].id = "b";
  alone.stages[0].outputs = {"table of b"};
  EXPECT_THAT(left(before, alone), ElementsAre("b p-a-rows"));
  // A sink under another name, with its topic.
  PipelineDefinition renamed = two_tables("c", "b", "p-c-rows");
  renamed.stages[1].outputs = {"table of a"};
  EXPECT_THAT(left(before, renamed), ElementsAre("a p-a-rows", "b p-a-rows"));
  PipelineDefinition removed = before;
  removed.stages.pop_back();
  EXPECT_THAT(left(before, removed), IsEmpty());
}

TEST(DefinitionChange, a_lone_sink_behind_an_aggregate_leaves_its_topic_with_its_name) {
  PipelineDefinition before = totals();
  before.stages[1].outputs = {"p-sqlite-rows"};
  before.stages[2].sources = {"p-sqlite-rows"};
  PipelineDefinition after = before;
  after.stages[1].outputs = {"p-store-rows"};
  after.stages[2].id = "store";
  after.stages[2].sources = {"p-store-rows"};
  EXPECT_THAT(left(before, after), ElementsAre("sqlite p-sqlite-rows"));
  after.stages[2].outputs = {"another"};
  after.stages[2].database = "postgres";
  EXPECT_THAT(left(before, after), ElementsAre("sqlite p-sqlite-rows"));
  // With its topic it goes on at the old name's position.
  after = before;
  after.stages[2].id = "store";
  EXPECT_THAT(left(before, after), IsEmpty());
}

TEST(DefinitionChange, a_renamed_aggregate_leaves_its_repartition_topic) {
  PipelineDefinition after = totals();
  after.stages[0].id = "by-k-key";
  after.stages[0].outputs = {"p-by-k-repartition"};
  after.stages[1].id = "by-k";
  after.stages[1].sources = {"p-by-k-repartition"};
  EXPECT_THAT(left(totals(), after), ElementsAre("k p-k-repartition"));
}

TEST(DefinitionChange, what_was_keyed_as_the_file_said_before_must_be_read) {
  const auto with = [](const std::string& state) {
    PipelineDefinition definition = totals();
    definition.stages[1].state = "values 1\n" + state;
    return definition;
  };
  const PipelineDefinition before = with("set $.x = 1\nkey k = $.k\naggregate n = count(*)\n");
  EXPECT_THAT(left(before, with("set $.x = 2\nkey k = $.k\naggregate n = count(*)\n")),
              ElementsAre("k p-k-repartition"));
  EXPECT_THAT(left(before, with("set $.x = 1\nkey k = $.j\naggregate n = count(*)\n")),
              ElementsAre("k p-k-repartition"));
  // What is counted of them is the file's to say.
  EXPECT_THAT(left(before, with("set $.x = 1\nkey k = $.k\naggregate n = sum($.x)\n")), IsEmpty());
  EXPECT_THAT(left(before, with("where $.x > 0\nset $.x = 1\nkey k = $.k\n"
                                "aggregate n = count(*)\n")),
              IsEmpty());
  // The pipeline's input is read as the file says now.
  PipelineDefinition input = before;
  input.stages.erase(input.stages.begin());
  input.stages[0].sources = {"in"};
  PipelineDefinition changed = input;
  changed.stages[0].state = "values 1\nkey k = $.j\naggregate n = count(*)\n";
  EXPECT_THAT(left(input, changed), IsEmpty());
}

TEST(DefinitionChange, a_sink_that_comes_back_beside_another_topic_leaves_the_one_before) {
  PipelineDefinition without = totals();
  without.stages.pop_back();
  KnownDefinition known = known_as(totals());
  known.add(without);
  PipelineDefinition back = totals();
  back.stages[1].outputs = {"first", "out"};
  back.stages[2].sources = {"first"};
  const auto changes = known.left_topics(back);
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes.front().left_topics, std::vector<std::string>{"out"});
}

TEST(DefinitionChange, nothing_is_advised_that_leaves_records_unread) {
  std::vector<DefinitionChange> changes = known_as(totals()).compare(rows());
  EXPECT_THAT(ways_on(changes, rows(), "FILE", ""), HasSubstr("--to-current"));
  changes.push_back({.weight = DefinitionChange::Weight::kRefused,
                     .stage = "k",
                     .what = "it read topic t",
                     .effect = "t-0 offsets 1..2 (2) would stay unread",
                     .must_be_read = true});
  EXPECT_THAT(ways_on(changes, rows(), "FILE", ""),
              AllOf(Not(HasSubstr("--to-current")), HasSubstr("change the file back, run it until"),
                    HasSubstr("--to-earliest")));
}

TEST(DefinitionChange, another_group_is_refused_where_it_holds_the_position) {
  PipelineDefinition after = totals();
  after.stages[0].group_id = "h";
  EXPECT_THAT(refused(totals(), after), HasSubstr("group.id was g, and is now h"));
  after = rows();
  after.stages[0].group_id = "h";
  EXPECT_THAT(noted(rows(), after), HasSubstr("its position is in the database, and stays"));
}

TEST(DefinitionChange, a_second_table_beside_a_lone_one_is_refused) {
  PipelineDefinition after = rows();
  Stage first = after.stages[0];
  first.id = "sqlite-rows";
  first.database = {};
  first.columns = {};
  first.outputs = {"p-sqlite-rows"};
  after.stages[0].sources = {"p-sqlite-rows"};
  after.stages[0].steps = {};
  after.stages[0].group_id = "p-sqlite";
  Stage second = after.stages[0];
  second.id = "sqlite-2";
  second.group_id = "p-sqlite-2";
  second.outputs = {"u"};
  after.stages = {first, after.stages[0], second};
  const std::string text = refused(rows(), after);
  EXPECT_THAT(text, HasSubstr("sqlite-2: it is a new sink; its table would stay without"));
  EXPECT_THAT(text, HasSubstr("sqlite: it read in, and now reads p-sqlite-rows"));
}

TEST(DefinitionChange, a_second_table_on_a_topic_of_the_pipeline_is_filled_from_it) {
  PipelineDefinition after = totals();
  Stage second = after.stages[2];
  second.id = "sqlite-2";
  second.group_id = "p-sqlite-2";
  second.outputs = {"u"};
  after.stages.push_back(second);
  EXPECT_THAT(noted(totals(), after), HasSubstr("filled from the beginning of topic out"));
  EXPECT_EQ(known_as(totals()).compare(after).front().filled_from, "out");
}

TEST(DefinitionChange, a_renamed_sink_and_another_sink_on_its_table_are_refused) {
  PipelineDefinition after = totals();
  after.stages[2].id = "store";
  after.stages[2].group_id = "p-store";
  EXPECT_THAT(refused(totals(), after), HasSubstr("store: sqlite is now called store"));
  after = totals();
  after.stages.push_back(after.stages[2]);
  after.stages[3].id = "twin";
  EXPECT_THAT(refused(totals(), after), HasSubstr("which another sink has written"));
}

TEST(DefinitionChange, another_table_is_refused_another_file_is_noted) {
  PipelineDefinition after = totals();
  after.stages[2].outputs = {"u"};
  EXPECT_THAT(refused(totals(), after), HasSubstr("table t is now u"));
  after = totals();
  after.stages[2].database = "sqlite b.db";
  EXPECT_THAT(noted(totals(), after), HasSubstr("was sqlite a.db, and is now sqlite b.db"));
}

TEST(DefinitionChange, what_a_tables_rows_are_kept_by_needs_a_decision) {
  const std::string columns[] = {
      "mode upsert\nkey column x text = $.k\ncolumn n integer = $.n\n",          // another column
      "mode upsert\nkey column k text = 'x-' || $.k\ncolumn n integer = $.n\n",  // its expression
      "mode upsert\nkey column k integer = $.k\ncolumn n integer = $.n\n",       // its type
      "mode upsert\nkey column k text = $.k\nkey column n integer = $.n\n",      // one more
      "mode append\ncolumn k text = $.k\ncolumn n integer = $.n\n",
  };
  for (const std::string& changed : columns) {
    PipelineDefinition after = totals();
    after.stages[2].columns = changed;
    EXPECT_THAT(refused(totals(), after),
                HasSubstr("rows are kept by the mode and the key before"));
    EXPECT_EQ(known_as(totals()).compare(after).front().state_topics,
              std::vector<std::string>{"out"});
  }
  PipelineDefinition after = rows();
  after.stages[0].columns = "mode upsert\nkey column x integer = $.x\n";
  EXPECT_THAT(refused(rows(), after), HasSubstr("`mode append` is now `mode upsert`"));
}

TEST(DefinitionChange, columns_beside_a_tables_key_begin_with_the_next_row) {
  const std::string columns[] = {
      "mode upsert\nkey column k text = $.k\n",
      "mode upsert\nkey column k text = $.k\ncolumn n integer = $.n\ncolumn m text = $.m\n",
      "mode upsert\ncolumn n integer = $.n\nkey column k text = $.k\n",
      "mode upsert\nkey column k text = $.k\ncolumn n integer = $.n + 1\n",
  };
  for (const std::string& changed : columns) {
    PipelineDefinition after = totals();
    after.stages[2].columns = changed;
    EXPECT_THAT(refused(totals(), after), IsEmpty());
    EXPECT_THAT(noted(totals(), after), HasSubstr("it holds from the next row on"));
  }
}

TEST(DefinitionChange, a_step_with_state_that_is_gone_or_new_is_refused) {
  PipelineDefinition without = totals();
  without.stages = {without.stages[0]};
  without.stages[0].id = "kafka";
  without.stages[0].outputs = {"out"};
  EXPECT_THAT(refused(totals(), without), HasSubstr("k: it is gone, and has kept a state"));
  EXPECT_THAT(refused(without, totals()), HasSubstr("k: it is new, and keeps a state"));
}

TEST(DefinitionChange, a_further_output_topic_is_refused_a_dropped_one_is_noted) {
  PipelineDefinition after = totals();
  after.stages[1].outputs = {"out", "more"};
  EXPECT_THAT(refused(totals(), after), HasSubstr("topic more is a new output"));
  EXPECT_THAT(noted(after, totals()), HasSubstr("topic more is no output any more"));
}

TEST(DefinitionChange, what_begins_with_the_next_record_is_noted) {
  PipelineDefinition after = rows();
  after.stages[0].steps = "where $.x > 2\n";
  EXPECT_THAT(noted(rows(), after), HasSubstr("`where $.x > 1` is now `where $.x > 2`"));
  after = rows();
  after.stages[0].columns = "mode append\ncolumn x integer = $.y\n";
  EXPECT_THAT(noted(rows(), after), HasSubstr("rows written before stay as they are"));
  after = rows();
  after.guarantee = "at_least_once";
  EXPECT_THAT(noted(rows(), after), HasSubstr("the guarantee was exactly_once"));
  after = rows();
  after.stages[0].sources = {"in", "more"};
  EXPECT_THAT(noted(rows(), after), HasSubstr("source topic more is new"));
  EXPECT_THAT(noted(after, rows()), HasSubstr("source topic more is gone"));
}

TEST(DefinitionChange, a_sink_that_comes_back_goes_on_where_it_was) {
  PipelineDefinition without = totals();
  without.stages.pop_back();
  KnownDefinition known = known_as(totals());
  EXPECT_THAT(noted(totals(), without), HasSubstr("sqlite: the sink is gone"));
  known.add(without);
  EXPECT_TRUE(known.compare(totals()).empty());
  PipelineDefinition renamed = totals();
  renamed.stages[2].id = "twin";
  EXPECT_TRUE(has_refusal(known.compare(renamed)));
}

TEST(DefinitionChange, of_two_files_that_begin_at_once_the_first_one_counts) {
  PipelineDefinition other = totals();
  other.stages[1].state = "values 1\nkey k = $.k\naggregate n = sum($.x)\n";
  KnownDefinition known = known_as(totals());
  known.add(other);
  EXPECT_TRUE(known.compare(totals()).empty());
  other.kind = PipelineDefinition::Kind::kAccepted;
  known.add(other);
  EXPECT_TRUE(known.compare(other).empty());
  EXPECT_TRUE(has_refusal(known.compare(totals())));
}

using KeepingState = DefinitionChange::KeepingState;

PipelineDefinition with_state(std::string state) {
  PipelineDefinition definition = totals();
  definition.stages[1].state = std::move(state);
  return definition;
}

KeepingState keeping(const std::string& before, const std::string& after) {
  const auto changes = known_as(with_state(before)).compare(with_state(after));
  EXPECT_TRUE(has_refusal(changes));
  EXPECT_EQ(may_keep_states(changes), changes.front().keeping_state != KeepingState::kRefused);
  return changes.front().keeping_state;
}

TEST(DefinitionChange, a_state_may_be_kept_where_its_shape_is_the_same) {
  const std::string count = "aggregate n = count(*)\n";
  const std::string key = "key k = $.k\n";
  const std::string begin = "values 1\n";
  for (const std::string& filters :
       {std::string("where $.x > 1\n"), std::string("set $.x = 1\nwhere $.k = 'key a = b'\n")}) {
    EXPECT_EQ(keeping(kCount, begin + filters + key + count), KeepingState::kAdvised);
    EXPECT_EQ(keeping(begin + filters + key + count, kCount), KeepingState::kAdvised);
  }
  EXPECT_EQ(keeping(kCount, begin + "key k = lower($.k)\n" + count), KeepingState::kAllowed);
  for (const std::string& other :
       {begin + "key j = $.k\n" + count, begin + key + "key j = $.j\n" + count,
        begin + key + "aggregate m = count(*)\n", begin + key + "aggregate n = count($.x)\n",
        begin + key + count + "aggregate s = sum($.x)\n", "values 2\n" + key + count}) {
    EXPECT_EQ(keeping(kCount, other), KeepingState::kRefused) << other;
  }
  // A sum goes on by digits, and nothing else does.
  EXPECT_EQ(keeping(begin + key + count + "aggregate s = sum($.x)\n",
                    begin + key + count + "aggregate s = sum($.x) decimal\n"),
            KeepingState::kAdvised);
  for (const auto& [former, later] : std::initializer_list<std::pair<const char*, const char*>>{
           {"sum($.x) decimal", "sum($.x)"},
           {"sum($.x)", "sum($.x * 2) decimal"},
           {"avg($.x)", "avg($.x) decimal"},
           {"max($.x)", "max($.x) decimal"},
       }) {
    EXPECT_EQ(keeping(begin + key + "aggregate s = " + former + "\n",
                      begin + key + "aggregate s = " + later + "\n"),
              KeepingState::kRefused)
        << later;
  }
  // A name with the sign in it is told from no other by its first part.
  EXPECT_EQ(keeping(begin + "key a = b = $.x\n" + count, begin + "key a = c = $.x\n" + count),
            KeepingState::kRefused);
}

TEST(DefinitionChange, a_state_is_kept_by_its_steps_and_not_by_what_their_lines_hold) {
  const std::string begin = "values 1\n";
  const std::string key = "key k = $.k\nalso key l = $.l\n";
  const std::string count = "aggregate n = count(*)\n";
  const std::string sets = "set $.a = $.x\nalso set $.b = $.a\n";
  EXPECT_EQ(keeping(begin + sets + key + count,
                    begin + "set $.a = $.x\nthen set $.b = $.a\n" + key + count),
            KeepingState::kAdvised);
  EXPECT_EQ(keeping(begin + key + count, begin + "key k = $.k\nthen key l = $.l\n" + count),
            KeepingState::kRefused);
  EXPECT_EQ(keeping(begin + key + count, begin + "key k = $.k\nalso key l = $.m\n" + count),
            KeepingState::kAllowed);
  EXPECT_EQ(
      keeping(begin + "key \"a = b\" = $.x\n" + count, begin + "key \"a = c\" = $.x\n" + count),
      KeepingState::kRefused);
  EXPECT_EQ(
      keeping(begin + "key \"a = b\" = $.x\n" + count, begin + "key \"a = b\" = $.y\n" + count),
      KeepingState::kAllowed);
  EXPECT_EQ(keeping(begin + "key k = $.k\naggregate m = max($.v || e'\\x0aset a')\n",
                    begin + "key k = $.k\naggregate m = max($.v || e'\\x0aset b')\n"),
            KeepingState::kRefused);
  // As an earlier version recorded them.
  EXPECT_EQ(keeping(begin + "key k = $.k\naggregate m = max($.v || '\nset a')\n",
                    begin + "key k = $.k\naggregate m = max($.v || e'\\x0aset b')\n"),
            KeepingState::kRefused);
  EXPECT_EQ(keeping(begin + "set $.a = $.x\nset $.b = $.a\nkey k = $.k\nkey l = $.l\n" + count,
                    begin + "set $.a = $.y\nthen set $.b = $.a\n" + key + count),
            KeepingState::kAdvised);
  EXPECT_EQ(keeping(begin + "key k = $.k\naggregate in all = count(*)\n",
                    begin + "set $.a = 1\nkey k = $.k\naggregate \"in all\" = count(*)\n"),
            KeepingState::kAdvised);
}

TEST(DefinitionChange, what_becomes_of_deletions_is_said) {
  PipelineDefinition judged = totals();
  judged.stages[0].steps = "where $.x > 1\nkey k = $.k\n";
  PipelineDefinition passed = totals();
  passed.stages[0].steps = "where $.x > 1, passes deletions\nkey k = $.k\n";
  EXPECT_THAT(noted(judged, passed),
              AllOf(HasSubstr("`where $.x > 1` is now `where $.x > 1, passes deletions`; it holds"),
                    HasSubstr("; a record without a value passes from now on")));
  EXPECT_THAT(noted(passed, judged), HasSubstr("a record without a value does not pass unasked"));
  PipelineDefinition other = passed;
  other.stages[0].steps = "where $.x > 2, passes deletions\nkey k = $.k\n";
  EXPECT_THAT(noted(passed, other), Not(HasSubstr("without a value")));
}

TEST(DefinitionChange, a_state_is_not_kept_beside_what_needs_another_decision) {
  PipelineDefinition after =
      with_state("values 1\nwhere $.x\nkey k = $.k\naggregate n = count(*)\n");
  EXPECT_TRUE(may_keep_states(known_as(totals()).compare(after)));
  after.stages[0].group_id = "other";
  const auto changes = known_as(totals()).compare(after);
  EXPECT_FALSE(may_keep_states(changes));
  EXPECT_THAT(ways_on(changes, after, "p.yaml", ""), Not(HasSubstr("--keep-states")));
}

TEST(DefinitionChange, states_are_accepted_from_keeping_to_keeping) {
  const auto hash = [](const std::string& text) { return protocol::definition_hash(text); };
  const std::string second = "values 1\nwhere $.x > 1\nkey k = $.k\naggregate n = count(*)\n";
  const std::string third = "values 1\nwhere $.x > 2\nkey k = $.k\naggregate n = count(*)\n";
  KnownDefinition known = known_as(totals());
  EXPECT_TRUE(known.accepted_states("k").empty());
  PipelineDefinition record = with_state(second);
  record.kind = PipelineDefinition::Kind::kStatesKept;
  known.add(record);
  EXPECT_TRUE(known.compare(with_state(second)).empty());
  EXPECT_THAT(known.accepted_states("k"), ElementsAre(hash(kCount)));
  known.add(with_state(second));
  EXPECT_THAT(known.accepted_states("k"), ElementsAre(hash(kCount)));
  record = with_state(third);
  record.kind = PipelineDefinition::Kind::kStatesKept;
  known.add(record);
  EXPECT_THAT(known.accepted_states("k"), ElementsAre(hash(kCount), hash(second)));
  record = with_state(second);
  record.kind = PipelineDefinition::Kind::kAccepted;
  known.add(record);
  EXPECT_TRUE(known.accepted_states("k").empty());
}

TEST(DefinitionChange, nothing_runs_on_half_of_a_reset) {
  KnownDefinition known = known_as(totals());
  PipelineDefinition record = totals();
  record.kind = PipelineDefinition::Kind::kResetBegun;
  known.add(record);
  EXPECT_TRUE(known.is_being_reset());
  known.add(totals());
  EXPECT_TRUE(known.is_being_reset());
  record.kind = PipelineDefinition::Kind::kAccepted;
  known.add(record);
  EXPECT_FALSE(known.is_being_reset());
}

TEST(DefinitionChange, whose_turn_a_reset_is_tells_its_newest_record) {
  KnownDefinition known = known_as(totals());
  EXPECT_FALSE(known.newest_reset());
  const auto add = [&known](PipelineDefinition::Kind kind, std::int64_t time, std::string flags) {
    PipelineDefinition record = totals();
    record.kind = kind;
    record.written_at_ms = time;
    record.flags = std::move(flags);
    known.add(record);
    return known.newest_reset();
  };
  using Kind = PipelineDefinition::Kind;
  EXPECT_FALSE(add(Kind::kAccepted, 1, {})) << "a worker's, of a state that did not exist";
  const ResetMark first{Kind::kResetBegun, 2};
  EXPECT_EQ(add(Kind::kResetBegun, 2, "--to-earliest"), first);
  EXPECT_EQ(add(Kind::kResetBegun, 3, "--to-latest"), first) << "refused beside the first";
  EXPECT_EQ(add(Kind::kRun, 4, {}), first);
  EXPECT_EQ(add(Kind::kResetBegun, 5, "--to-earliest"), (ResetMark{Kind::kResetBegun, 5}));
  EXPECT_EQ(add(Kind::kAccepted, 6, {}), (ResetMark{Kind::kAccepted, 6}));
  EXPECT_EQ(add(Kind::kRun, 7, {}), (ResetMark{Kind::kAccepted, 6}));
  EXPECT_EQ(add(Kind::kStatesKept, 8, {}), (ResetMark{Kind::kStatesKept, 8}));
}

TEST(DefinitionChange, what_holds_for_new_topics_alone_is_noted_where_both_are_known) {
  PipelineDefinition before = rows();
  before.flags = "auto.offset.reset: earliest";
  PipelineDefinition after = rows();
  after.flags = "auto.offset.reset: latest";
  EXPECT_THAT(noted(before, after),
              AllOf(HasSubstr("`auto.offset.reset: earliest` is now `auto.offset.reset: latest`"),
                    HasSubstr("what has begun stays where it is")));
  EXPECT_EQ(noted(before, before), "");
  EXPECT_EQ(noted(rows(), after), "") << "of a version that did not say";
  EXPECT_TRUE(before.is_same_pipeline(after)) << "workers with either go by one definition";
}

TEST(DefinitionChange, a_reset_that_has_not_ended_is_named_with_its_flags) {
  KnownDefinition known = known_as(totals());
  PipelineDefinition begun = totals();
  begun.kind = PipelineDefinition::Kind::kResetBegun;
  begun.flags = "--to-earliest --delete-rows";
  known.add(begun);
  PipelineDefinition repeated = begun;
  repeated.flags = "--to-latest";  // of two at once the first counts
  known.add(repeated);
  const std::string end = "the fix: onceflow reset p.yaml --to-earliest --delete-rows --execute";
  const std::string same = unended_reset(known, totals(), "p.yaml");
  EXPECT_TRUE(same.ends_with(end)) << same;

  PipelineDefinition changed = totals();
  changed.stages[0].steps = "key k = $.other\n";
  EXPECT_THAT(unended_reset(known, changed, "p.yaml"),
              AllOf(HasSubstr("the fix: change the file back to what it was when the reset began"),
                    HasSubstr("k-key: `key k = $.k` is now `key k = $.other`"),
                    HasSubstr("and then onceflow reset p.yaml --to-earliest --delete-rows")));
}

TEST(DefinitionChange, a_reset_of_a_version_that_kept_no_flags_is_to_be_run_again) {
  KnownDefinition known = known_as(totals());
  PipelineDefinition begun = totals();
  begun.kind = PipelineDefinition::Kind::kResetBegun;
  known.add(begun);
  EXPECT_THAT(unended_reset(known, totals(), "p.yaml"),
              HasSubstr("run the same `onceflow reset p.yaml --to-… --execute` again"));
}

}  // namespace
}  // namespace onceflow::engine
