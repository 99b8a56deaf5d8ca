#include "engine/start_over.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/definition_change.h"

namespace onceflow::engine {
namespace {

using protocol::PipelineDefinition;
using testing::ElementsAre;
using testing::IsEmpty;
using Kind = PipelineDefinition::Kind;

const std::string kFlags = "auto.offset.reset: earliest";

PipelineDefinition record(Kind kind, std::int64_t time, std::string flags) {
  PipelineDefinition definition;
  definition.kind = kind;
  definition.written_at_ms = time;
  definition.pipeline = "p";
  definition.flags = std::move(flags);
  PipelineDefinition::Stage first;
  first.id = "k";
  first.sources = {"in"};
  first.outputs = {"out", "p-results"};
  PipelineDefinition::Stage sink;
  sink.id = "lite";
  sink.sources = {"out"};
  sink.outputs = {"t"};
  sink.database = "sqlite a.db";
  definition.stages = {first, sink};
  return definition;
}

StartOver::Place place(const std::string& topic, std::int32_t partition, std::int64_t offset) {
  return {{topic, PartitionIndex(partition)}, topic + "-id", Offset(offset)};
}

KnownDefinition known_after(const std::vector<PipelineDefinition>& records) {
  KnownDefinition known;
  for (const PipelineDefinition& each : records) {
    known.add(each);
  }
  return known;
}

TEST(StartOver, the_record_that_ends_it_says_where_its_stages_begin) {
  const std::vector<StartOver::Place> places = {place("in", 0, 7), place("in", 1, 0),
                                                place("out", 0, 5)};
  const KnownDefinition known = known_after(
      {record(Kind::kRun, 1, kFlags), record(Kind::kResetBegun, 2, "--to-latest --delete-rows"),
       record(Kind::kAccepted, 3, kFlags + places_text(places))});
  ASSERT_TRUE(known.newest_start_over());
  const StartOver& found = *known.newest_start_over();
  EXPECT_EQ(found.places, places);
  EXPECT_FALSE(found.is_unknown);
  EXPECT_EQ(found.ended_at_ms, 3);
  EXPECT_THAT(found.stages, ElementsAre("k", "lite"));
  EXPECT_EQ(found.find({"out", PartitionIndex(0)})->offset, Offset(5));
  EXPECT_EQ(found.find({"out", PartitionIndex(1)}), nullptr);
  // The file is the one of before, and no change of it.
  EXPECT_EQ(known.current().flags, kFlags);
  EXPECT_THAT(known.compare(record(Kind::kRun, 4, kFlags)), IsEmpty());
}

TEST(StartOver, the_newest_counts_and_going_on_is_none) {
  std::vector<PipelineDefinition> records = {
      record(Kind::kRun, 1, kFlags), record(Kind::kResetBegun, 2, "--to-earliest"),
      record(Kind::kAccepted, 3, kFlags + places_text({place("out", 0, 5)}))};
  records.push_back(record(Kind::kResetBegun, 4, "--to-current"));
  EXPECT_EQ(known_after(records).newest_start_over()->ended_at_ms, 3) << "the next has not ended";
  records.push_back(record(Kind::kAccepted, 5, kFlags));
  records.push_back(record(Kind::kRun, 6, kFlags));
  EXPECT_EQ(known_after(records).newest_start_over()->places, std::vector{place("out", 0, 5)});
  records.push_back(record(Kind::kResetBegun, 7, "--to-datetime 2026-11-29T10:15:00.000Z"));
  records.push_back(record(Kind::kAccepted, 8, kFlags + places_text({place("out", 0, 9)})));
  EXPECT_EQ(known_after(records).newest_start_over()->places, std::vector{place("out", 0, 9)});
  EXPECT_FALSE(known_after({record(Kind::kRun, 1, kFlags), record(Kind::kAccepted, 2, kFlags)})
                   .newest_start_over())
      << "a worker's";
}

TEST(StartOver, of_a_version_that_did_not_write_it_down_the_topics_are_known) {
  const auto over = [](const std::string& begun, const std::string& ended) {
    return *known_after({record(Kind::kResetBegun, 1, begun), record(Kind::kAccepted, 2, ended)})
                .newest_start_over();
  };
  EXPECT_TRUE(over("--to-earliest", kFlags).is_unknown);
  // What lies between its stages it made anew, and its input begins by itself.
  EXPECT_THAT(over("--to-earliest", kFlags).topics, ElementsAre("out"));
  EXPECT_THAT(over("--to-latest", kFlags).topics, ElementsAre("in", "out"));
  EXPECT_FALSE(over("--to-latest", kFlags + places_text({})).is_unknown);
  EXPECT_THAT(over("--to-latest", kFlags + "\nbegins out id x@5 1@ 2@7\nlater words").places,
              ElementsAre(StartOver::Place{{"out", PartitionIndex(2)}, "id", Offset(7)}));
}

TEST(StartOver, one_that_was_lost_with_the_topic_is_remembered_as_that) {
  std::vector<PipelineDefinition> records = {
      record(Kind::kRun, 1, kFlags + forgotten_places_text()), record(Kind::kRun, 2, kFlags)};
  const KnownDefinition known = known_after(records);
  ASSERT_TRUE(known.newest_start_over());
  EXPECT_TRUE(known.newest_start_over()->is_unknown);
  EXPECT_TRUE(known.newest_start_over()->is_forgotten);
  EXPECT_THAT(known.newest_start_over()->topics, ElementsAre("in", "out"));
  EXPECT_EQ(known.current().flags, kFlags);
  records.push_back(record(Kind::kResetBegun, 3, "--to-earliest"));
  records.push_back(record(Kind::kAccepted, 4, kFlags + places_text({place("out", 0, 5)})));
  EXPECT_FALSE(known_after(records).newest_start_over()->is_unknown) << "the next one counts";
}

TEST(StartOver, its_record_is_enough_where_those_before_were_deleted) {
  const KnownDefinition known =
      known_after({record(Kind::kAccepted, 3, kFlags + places_text({place("out", 0, 5)}))});
  ASSERT_TRUE(known.newest_start_over());
  EXPECT_FALSE(known.newest_start_over()->is_unknown);
  EXPECT_EQ(known.newest_start_over()->find({"out", PartitionIndex(0)})->offset, Offset(5));
  EXPECT_EQ(known.current().flags, kFlags);
}

}  // namespace
}  // namespace onceflow::engine
