// The database double as its readers see it.
#include "sim/sim_database.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim/sim_table_reader.h"

namespace onceflow::sim {
namespace {

using testing::ElementsAre;

const std::vector<TopicPartition> kSource = {{"numbers", PartitionIndex(0)}};

connectors::SinkTable table_named(const std::string& name) {
  return {.pipeline = "p", .stage = "s", .table = name, .columns = {{.name = "n"}}};
}

void commit(SimDatabase& database, const connectors::SinkTable& table, std::string receipt) {
  const auto outcome = database.commit(
      table, {.rows = {}, .positions = {}, .receipt = std::move(receipt), .shape = 0});
  ASSERT_EQ(outcome.kind, connectors::CommitOutcome::Kind::kCommitted);
}

TEST(SimDatabase, what_is_read_stays_of_one_moment) {
  SimWorld world({.seed = 1});
  SimDatabase database(world);
  const connectors::SinkTable picked = table_named("picked");
  const connectors::SinkTable totals = table_named("totals");
  ASSERT_TRUE(database.claim(picked, kSource).has_value());
  ASSERT_TRUE(database.claim(totals, kSource).has_value());
  commit(database, picked, "first");

  audit::TableSubject subject;
  subject.table = "picked";
  SimTableReader reader(database.image(), subject);
  ASSERT_TRUE(reader.begin_snapshot().value());
  ASSERT_TRUE(database.look(totals, kSource).has_value());
  commit(database, picked, "second");

  std::vector<std::string> receipts;
  const Status read = reader.for_each_receipt("p", "s", [&](std::int64_t, ByteView receipt) {
    receipts.emplace_back(as_text(receipt));
    return Status{};
  });
  ASSERT_TRUE(read.has_value());
  EXPECT_THAT(receipts, ElementsAre("first"));
}

TEST(SimDatabase, a_look_changes_nothing) {
  SimWorld world({.seed = 1});
  SimDatabase database(world);
  ASSERT_TRUE(database.look(table_named("picked"), kSource).has_value());
  EXPECT_TRUE(database.image().empty());
  ASSERT_TRUE(database.claim(table_named("picked"), kSource).has_value());
  ASSERT_TRUE(database.look(table_named("picked"), kSource).has_value());
  EXPECT_EQ(database.table("picked").positions.at(kSource.front()).epoch, 1);
}

}  // namespace
}  // namespace onceflow::sim
