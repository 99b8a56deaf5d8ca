#include "audit/claims/definitions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "audit/memory_log_testing.h"

namespace onceflow::audit {
namespace {

using protocol::PipelineDefinition;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using Kind = PipelineDefinition::Kind;

constexpr auto kSum = "values 1\nkey k = $.k\naggregate s = sum($.x)\n";
constexpr auto kHundredfold = "values 1\nkey k = $.k\naggregate s = sum($.x * 100)\n";

class DefinitionsTest : public ::testing::Test {
 protected:
  DefinitionsTest() {
    subject_.id = "s";
    history_.subject = &subject_;
  }

  static PipelineDefinition definition(const std::string& steps, const std::string& state = {},
                                       Kind kind = Kind::kRun) {
    PipelineDefinition definition;
    definition.kind = kind;
    definition.written_at_ms = 1'000;
    definition.pipeline = "p";
    PipelineDefinition::Stage stage;
    stage.id = "s";
    stage.steps = steps;
    stage.state = state;
    definition.stages.push_back(std::move(stage));
    return definition;
  }

  /// As a reset begins with it.
  void begin_reset(PipelineDefinition definition, const std::string& flags) {
    definition.kind = Kind::kResetBegun;
    definition.flags = flags;
    know(definition);
  }

  void know(const PipelineDefinition& definition) {
    log_.create("p-definitions", 1);
    const Buffer bytes = encode_definition(definition);
    log_.append(at("p-definitions", 0), {{"", std::string(as_text(bytes))}});
  }

  /// The next ten records of in-0, by this definition; null: by a version that does not say.
  void commit(const PipelineDefinition* by) {
    ReceiptEntry entry;
    entry.place = "p-receipts-0 offset " + std::to_string(next_);
    entry.receipt.stage = "s";
    entry.receipt.definition =
        by == nullptr ? 0 : protocol::definition_hash(by->stages.front().text());
    entry.receipt.inputs.push_back({.source = at("in", 0),
                                    .from_offset = Offset(next_),
                                    .next_offset = Offset(next_ + 10),
                                    .record_count = 10});
    next_ += 10;
    history_.add(std::move(entry));
  }

  std::size_t check() {
    DefinitionRecords known("p");
    EXPECT_TRUE(run_now(known.read_to_end(log_)));
    EXPECT_THAT(known.odd(), IsEmpty());
    history_.sort_ranges();
    return check_definitions(history_, known, findings_);
  }
  StateOf state_made_by(const PipelineDefinition& by) {
    DefinitionRecords known("p");
    EXPECT_TRUE(run_now(known.read_to_end(log_)));
    return state_of(known, "s", protocol::definition_hash(by.stages.front().text()));
  }
  std::vector<std::string> found() {
    std::vector<std::string> texts;
    for (const Finding& finding : findings_.kept()) {
      texts.push_back(to_string(finding.kind) + ": " + finding.text);
    }
    return texts;
  }

  MemoryLog log_;
  StageSubject subject_;
  StageHistory history_;
  Findings findings_{20};
  std::int64_t next_ = 0;
};

TEST_F(DefinitionsTest, one_definition_is_not_worth_a_word) {
  const PipelineDefinition first = definition("where $.x > 0\n");
  know(first);
  commit(&first);
  commit(&first);
  EXPECT_EQ(check(), 1u);
  EXPECT_THAT(found(), IsEmpty());
  EXPECT_THAT(findings_.notes(), IsEmpty());
}

TEST_F(DefinitionsTest, which_records_were_judged_by_which_is_noted) {
  const PipelineDefinition first = definition("where $.x > 0\n");
  const PipelineDefinition second = definition("where $.x > 1\n");
  know(first);
  know(second);
  commit(nullptr);
  commit(&first);
  commit(&second);
  EXPECT_EQ(check(), 2u);
  EXPECT_THAT(found(), IsEmpty());
  EXPECT_THAT(findings_.notes(),
              Contains(AllOf(HasSubstr("2 definitions"),
                             HasSubstr("in-0 offsets 0..9 by a version that names no definition"),
                             HasSubstr("offsets 10..19 by the definition of 1970-01-01T00:00:01"),
                             HasSubstr("offsets 20..29 by"),
                             HasSubstr("`where $.x > 0` became `where $.x > 1`"))));
}

TEST_F(DefinitionsTest, a_change_that_was_rolled_out_is_told_part_by_part) {
  const PipelineDefinition first = definition("where $.x > 0\n");
  const PipelineDefinition second = definition("");
  know(first);
  know(second);
  for (int count = 0; count < 4; ++count) {
    commit(&first);
    commit(&second);
  }
  EXPECT_EQ(check(), 2u);
  EXPECT_THAT(findings_.notes(), ElementsAre(AllOf(HasSubstr("and so on, 7 changes in all"),
                                                   HasSubstr("; `where $.x > 0` was removed"))));
}

TEST_F(DefinitionsTest, lines_that_were_added_are_told) {
  const PipelineDefinition first = definition("");
  const PipelineDefinition second = definition("where $.x > 0\nset $.y = 1\n");
  know(first);
  know(second);
  commit(&first);
  commit(&second);
  EXPECT_EQ(check(), 2u);
  EXPECT_THAT(findings_.notes(),
              ElementsAre(HasSubstr("; `where $.x > 0`, `set $.y = 1` were added")));
}

TEST_F(DefinitionsTest, a_definition_that_nobody_knows_is_a_finding) {
  const PipelineDefinition first = definition("where $.x > 0\n");
  const PipelineDefinition unknown = definition("where $.x > 9\n");
  know(first);
  commit(&first);
  commit(&unknown);
  commit(&unknown);
  check();
  EXPECT_THAT(found(), ElementsAre(AllOf(HasSubstr("altered: the commit of p-receipts-0 offset 10"),
                                         HasSubstr("and 1 commit after it"),
                                         HasSubstr("p-definitions does not hold"))));
}

TEST_F(DefinitionsTest, without_the_topic_it_is_not_covered) {
  const PipelineDefinition first = definition("where $.x > 0\n");
  commit(&first);
  check();
  EXPECT_THAT(found(), IsEmpty());
  EXPECT_EQ(findings_.not_covered_count(), 1);
}

TEST_F(DefinitionsTest, a_state_of_another_definition_needs_a_reset) {
  const PipelineDefinition first = definition("", kSum);
  for (const auto kind : {Kind::kRun, Kind::kAccepted, Kind::kStatesKept}) {
    log_ = {};
    findings_ = Findings(20);
    history_ = {.subject = &subject_};
    const PipelineDefinition second = definition("", kHundredfold, kind);
    know(first);
    know(second);
    commit(&first);
    commit(&second);
    check();
    EXPECT_EQ(found().size(), kind == Kind::kRun ? 1u : 0u);
    EXPECT_EQ(findings_.not_covered_count(), kind == Kind::kStatesKept ? 1 : 0);
    if (kind == Kind::kRun) {
      EXPECT_THAT(found(), ElementsAre(AllOf(HasSubstr("without a reset"), HasSubstr("mixed"))));
    }
  }
}

TEST_F(DefinitionsTest, a_state_that_was_kept_stays_kept_whatever_reset_comes_later) {
  const PipelineDefinition first = definition("", kSum);
  const PipelineDefinition kept = definition("", kHundredfold, Kind::kStatesKept);
  const PipelineDefinition accepted = definition("", kHundredfold, Kind::kAccepted);
  const PipelineDefinition other_steps = definition("set $.y = 1\n", kHundredfold, Kind::kAccepted);
  struct Later {
    std::string flags;
    std::vector<const PipelineDefinition*> ended;
  };
  for (const bool is_committed_between : {true, false}) {
    for (const Later& later :
         {Later{"--to-current", {&accepted}}, Later{"", {&accepted}}, Later{"", {&kept}},
          Later{"--to-current", {&accepted, &accepted, &kept}},
          Later{"--to-current", {&other_steps}}}) {
      log_ = {};
      findings_ = Findings(20);
      history_ = {.subject = &subject_};
      know(first);
      know(kept);
      commit(&first);
      if (is_committed_between) {
        commit(&kept);
      }
      for (const PipelineDefinition* ended : later.ended) {
        begin_reset(*ended, later.flags);
        know(*ended);
      }
      commit(later.ended.back());
      check();
      EXPECT_THAT(found(), IsEmpty());
      EXPECT_EQ(findings_.not_covered_count(), 1);
      EXPECT_THAT(findings_.notes(), Not(Contains(HasSubstr("has a new state"))));
    }
  }
}

TEST_F(DefinitionsTest, a_state_that_was_begun_anew_stays_new_whatever_reset_comes_later) {
  const PipelineDefinition first = definition("", kSum);
  const PipelineDefinition anew = definition("", kHundredfold, Kind::kAccepted);
  const PipelineDefinition kept = definition("", kHundredfold, Kind::kStatesKept);
  const PipelineDefinition again = definition("", kSum, Kind::kStatesKept);
  know(first);
  begin_reset(anew, "--to-current");
  know(anew);
  know(kept);
  commit(&first);
  commit(&anew);
  check();
  EXPECT_EQ(findings_.not_covered_count(), 0);
  EXPECT_THAT(findings_.notes(), Contains(HasSubstr("has a new state")));
  // And is foreign to the next one that it is kept for.
  know(again);
  commit(&again);
  check();
  EXPECT_EQ(findings_.not_covered_count(), 1);
  EXPECT_THAT(found(), IsEmpty());
}

TEST_F(DefinitionsTest, a_reset_that_has_not_ended_is_said_with_what_ends_it) {
  const PipelineDefinition first = definition("", kSum);
  know(first);
  begin_reset(first, "--to-earliest --delete-rows");
  know(first);                        // no worker ends it
  begin_reset(first, "--to-latest");  // of two at once the first counts
  for (const bool has_ended : {false, true}) {
    if (has_ended) {
      know(definition("", kSum, Kind::kAccepted));
    }
    DefinitionRecords known("p");
    EXPECT_TRUE(run_now(known.read_to_end(log_)));
    Findings findings(20);
    EXPECT_EQ(check_reset_has_ended(known, findings), !has_ended);
    EXPECT_EQ(findings.not_covered_count(), has_ended ? 0 : 1);
    if (!has_ended) {
      EXPECT_THAT(findings.notes(),
                  Contains(HasSubstr("run the same command again: onceflow reset FILE "
                                     "--to-earliest --delete-rows --execute")));
    }
  }
}

TEST_F(DefinitionsTest, a_start_over_begins_a_state_that_the_file_has_not_changed) {
  const PipelineDefinition first = definition("", kSum);
  const PipelineDefinition kept = definition("", kHundredfold, Kind::kStatesKept);
  PipelineDefinition over = definition("set $.y = 1\n", kHundredfold, Kind::kAccepted);
  know(first);
  know(kept);
  begin_reset(over, "--to-earliest");
  know(over);
  commit(&first);
  commit(&over);
  check();
  EXPECT_THAT(found(), IsEmpty());
  EXPECT_EQ(findings_.not_covered_count(), 0);
}

TEST_F(DefinitionsTest, what_a_worker_wrote_while_a_reset_was_under_way_does_not_count) {
  const PipelineDefinition first = definition("", kSum);
  const PipelineDefinition other = definition("", kHundredfold);
  know(first);
  begin_reset(first, "--to-current");
  know(other);
  know(definition("", kSum, Kind::kAccepted));
  commit(&first);
  commit(&other);
  check();
  EXPECT_THAT(found(), ElementsAre(HasSubstr("without a reset")));
}

TEST_F(DefinitionsTest, rows_that_another_key_keeps_are_not_covered) {
  PipelineDefinition one = definition("");
  one.stages[0].columns = "mode upsert\nkey column id text = key\ncolumn n text = $.n\n";
  PipelineDefinition two = one;
  two.kind = Kind::kAccepted;
  two.stages[0].columns = "mode upsert\nkey column id text = 'x-' || key\n";
  know(one);
  know(two);
  commit(&one);
  commit(&two);
  check();
  EXPECT_THAT(findings_.notes(),
              Contains(AllOf(HasSubstr("not covered"), HasSubstr("kept by `key column id text = "
                                                                 "'x-' || key`"))));
}

TEST_F(DefinitionsTest, what_lies_before_the_first_known_definition_is_not_covered) {
  const PipelineDefinition one = definition("where $.x > 0\n");
  know(one);
  commit(nullptr);
  commit(&one);
  check();
  EXPECT_THAT(findings_.notes(), Contains(AllOf(HasSubstr("not covered"),
                                                HasSubstr("1 commit up to the commit of p-receipts"
                                                          "-0 offset 0"))));
}

TEST_F(DefinitionsTest, going_back_to_the_definition_before_a_reset_needs_one_too) {
  const PipelineDefinition first = definition("", "values 1\naggregate n = count(*)\n");
  const PipelineDefinition second =
      definition("", "values 1\naggregate n = max($.x)\n", Kind::kAccepted);
  know(first);
  know(second);
  know(first);
  commit(&first);
  commit(&second);
  commit(&first);
  check();
  EXPECT_THAT(found(), ElementsAre(HasSubstr("without a reset")));
}

TEST_F(DefinitionsTest, what_a_definition_has_made_goes_with_the_reset_that_begins_the_state_anew) {
  const PipelineDefinition first = definition("", kSum);
  const PipelineDefinition anew = definition("", kHundredfold, Kind::kAccepted);
  const PipelineDefinition back = definition("", kSum, Kind::kAccepted);
  know(first);
  EXPECT_EQ(state_made_by(first), StateOf::kNow);
  begin_reset(anew, "--to-current");
  EXPECT_EQ(state_made_by(first), StateOf::kBefore);
  know(anew);
  EXPECT_EQ(state_made_by(first), StateOf::kBefore);
  EXPECT_EQ(state_made_by(anew), StateOf::kNow);
  begin_reset(back, "--to-current");
  know(back);
  EXPECT_EQ(state_made_by(first), StateOf::kBoth);
  EXPECT_EQ(state_made_by(anew), StateOf::kBefore);
  EXPECT_EQ(state_made_by(definition("where $.x > 0\n")), StateOf::kUnknown);
}

TEST_F(DefinitionsTest, a_state_that_a_reset_keeps_is_the_same_one) {
  const PipelineDefinition first = definition("", kSum);
  know(first);
  know(definition("", kHundredfold, Kind::kStatesKept));
  EXPECT_EQ(state_made_by(first), StateOf::kNow);
  begin_reset(definition("where $.x > 0\n", kHundredfold), "--to-current");
  EXPECT_EQ(state_made_by(first), StateOf::kNow);
}

}  // namespace
}  // namespace onceflow::audit
