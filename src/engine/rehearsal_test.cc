#include "engine/rehearsal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace onceflow::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(Rehearsal, what_run_stops_on_is_a_refusal_and_what_it_waits_for_is_not_known) {
  Rehearsal rehearsal;
  rehearsal.add(Status{}, "a");
  EXPECT_FALSE(rehearsal.has_ended());
  rehearsal.add(fail(ErrorCode::kConnectionLost, "no connection", Recovery::kRetriable), "b");
  EXPECT_TRUE(rehearsal.has_ended());
  EXPECT_THAT(rehearsal.refusals, IsEmpty());
  rehearsal.add(fail(ErrorCode::kRefused, "no column"), "c");
  rehearsal.add(fail(ErrorCode::kCorrupt, "deleted"));
  EXPECT_THAT(rehearsal.refusals, ElementsAre("stage 'c': no column", "deleted"));
  EXPECT_THAT(rehearsal.unasked, ElementsAre("stage 'b': no connection"));
}

DefinitionChange change_of(const std::string& stage, std::vector<std::string> topics) {
  DefinitionChange change;
  change.stage = stage;
  change.effect = "it begins";
  change.begins_in = std::move(topics);
  return change;
}

KeptPosition at(const std::string& topic, std::int32_t partition, std::int64_t offset) {
  return {.source = {topic, PartitionIndex(partition)}, .next_offset = Offset(offset)};
}

TEST(Rehearsal, a_change_says_that_it_goes_on_where_the_stage_has_found_a_position) {
  std::vector<StageRehearsal> stages(2);
  stages[0].stage = "a";
  const std::vector<KeptPosition> positions = {at("in", 0, 7), at("more", 0, 3), at("more", 1, -1),
                                               at("more", 2, 0)};
  stages[0].note_kept(positions);
  stages[1].stage = "b";
  std::vector<DefinitionChange> changes = {change_of("a", {"more"}), change_of("a", {"none"}),
                                           change_of("a", {}),       change_of("b", {"more"}),
                                           change_of("c", {"more"}), change_of("a", {"more"})};
  changes.back().weight = DefinitionChange::Weight::kRefused;
  say_what_is_kept(changes, stages);
  EXPECT_EQ(changes[0].effect, "its position is kept, and it goes on there: more-0@3, more-2@0");
  for (std::size_t index = 1; index < changes.size(); ++index) {
    EXPECT_EQ(changes[index].effect, "it begins") << index;
  }
}

TEST(Rehearsal, a_change_does_not_say_where_a_stage_begins_that_stops_before) {
  std::vector<StageRehearsal> stages(1);
  stages[0].stage = "a";
  stages[0].has_stopped = true;
  std::vector<DefinitionChange> changes = {change_of("a", {"more"}), change_of("a", {})};
  say_what_is_kept(changes, stages);
  EXPECT_EQ(changes[0].effect, "where it begins is not decided, because run stops before that");
  EXPECT_EQ(changes[1].effect, "it begins");
}

}  // namespace
}  // namespace onceflow::engine
