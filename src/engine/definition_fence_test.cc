// What a worker that takes partitions again finds in the record of definitions, and whether it goes
// on.
#include "engine/definition_fence.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace onceflow::engine {
namespace {

using protocol::PipelineDefinition;
using ::testing::HasSubstr;
using Kind = PipelineDefinition::Kind;

PipelineDefinition definition(const std::string& where, Kind kind = Kind::kRun,
                              std::int64_t written_at_ms = 1000) {
  PipelineDefinition definition;
  definition.kind = kind;
  definition.written_at_ms = written_at_ms;
  definition.pipeline = "p";
  definition.guarantee = "exactly_once";
  definition.stages = {{.id = "kafka",
                        .group_id = "g",
                        .sources = {"in"},
                        .steps = "where " + where + "\n",
                        .state = {},
                        .changelog_topic = {},
                        .database = {},
                        .outputs = {"out"},
                        .columns = {}}};
  return definition;
}

/// A worker that has begun with the records so far.
class Began {
 public:
  explicit Began(std::vector<PipelineDefinition> records) {
    for (const PipelineDefinition& record : records) {
      known_.add(record);
    }
    fence_.begin(known_);
  }
  void add(const PipelineDefinition& record) { known_.add(record); }
  Status look(std::vector<OtherWorker> others = {}, Rolling rolling = Rolling::kNo) {
    return fence_.check(
        {.known = known_, .own = own_, .others = others, .rolling = rolling, .file = "p.yaml"},
        now_);
  }
  void pass(Duration time) { now_ = now_ + time; }
  void forget() { known_ = {}; }

 private:
  const PipelineDefinition own_ = definition("a");
  KnownDefinition known_;
  DefinitionFence fence_;
  MonotonicTime now_;
};

void expect_final(const Status& status, const std::string& words) {
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code, ErrorCode::kRefused);
  EXPECT_EQ(status.error().recovery, Recovery::kFatal);
  EXPECT_THAT(status.error().text, HasSubstr(words));
}

OtherWorker other(Rolling rolling) { return {.worker = "2", .rolling = rolling}; }

TEST(DefinitionFence, goes_on_where_nothing_has_changed) {
  Began worker({definition("a", Kind::kResetBegun, 1), definition("a", Kind::kAccepted, 2)});
  EXPECT_TRUE(worker.look());
  worker.add(definition("a", Kind::kRun, 3));
  EXPECT_TRUE(worker.look());
  worker.forget();  // Deleted, or its records: the next start says so.
  EXPECT_TRUE(worker.look());
}

TEST(DefinitionFence, ends_after_any_reset_also_one_of_the_same_file) {
  Began worker({definition("a")});
  worker.add(definition("a", Kind::kResetBegun, 2));
  expect_final(worker.look(), "was reset while this worker was away (begun at");
  worker.add(definition("a", Kind::kAccepted, 3));
  expect_final(worker.look(), "(ended at");
  worker.add(definition("a", Kind::kRun, 4));
  expect_final(worker.look(), "onceflow run p.yaml");
}

TEST(DefinitionFence, ends_after_a_second_reset_and_after_states_were_kept) {
  Began worker({definition("a", Kind::kResetBegun, 1), definition("a", Kind::kAccepted, 2)});
  EXPECT_TRUE(worker.look());
  worker.add(definition("a", Kind::kStatesKept, 3));
  expect_final(worker.look(), "was reset while this worker was away");

  Began again({definition("a", Kind::kResetBegun, 1), definition("a", Kind::kAccepted, 2)});
  again.add(definition("a", Kind::kResetBegun, 3));
  again.add(definition("a", Kind::kAccepted, 4));
  expect_final(again.look(), "was reset while this worker was away");
}

TEST(DefinitionFence, ends_where_another_definition_ran_and_its_workers_are_gone) {
  Began worker({definition("a")});
  worker.add(definition("b", Kind::kRun, 2));
  const Status first = worker.look();
  ASSERT_FALSE(first);
  EXPECT_EQ(first.error().recovery, Recovery::kRetriable) << "they may be about to join";
  worker.pass(DefinitionFence::kOthersAwaited);
  expect_final(worker.look(), "has another definition by now: one of ");
}

TEST(DefinitionFence, is_its_own_again_where_the_file_was_changed_back) {
  Began worker({definition("a")});
  worker.add(definition("b", Kind::kRun, 2));
  EXPECT_FALSE(worker.look());
  worker.add(definition("a", Kind::kRun, 3));
  EXPECT_TRUE(worker.look());
}

TEST(DefinitionFence, ends_beside_live_workers_unless_the_change_is_rolled_out) {
  Began worker({definition("a")});
  worker.add(definition("b", Kind::kRun, 2));
  expect_final(worker.look({other(Rolling::kYes), other(Rolling::kNo)}), "worker '2'");
  EXPECT_TRUE(worker.look({other(Rolling::kYes)}));
}

TEST(DefinitionFence, goes_on_when_those_it_went_beside_end_but_not_with_the_next_change) {
  Began worker({definition("a")});
  worker.add(definition("b", Kind::kRun, 2));
  EXPECT_TRUE(worker.look({other(Rolling::kYes)}));
  worker.pass(seconds(60));
  EXPECT_TRUE(worker.look()) << "the newcomer is restarted";
  worker.add(definition("c", Kind::kRun, 3));
  EXPECT_FALSE(worker.look());
  worker.pass(DefinitionFence::kOthersAwaited);
  expect_final(worker.look({}, Rolling::kYes), "another definition by now");
}

}  // namespace
}  // namespace onceflow::engine
