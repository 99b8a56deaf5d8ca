// Pipeline files: what is read from a good one, and how every kind of bad one is refused. The bad
// ones are the files of tests/negative/pipeline, each beside the messages that are expected of it.
#include "pipeline/file.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "pipeline/planner.h"

namespace onceflow::pipeline {
namespace {

std::optional<std::string> variables(const std::string& name) {
  return name == "PG_DSN" ? std::optional<std::string>("postgresql://user:hush@localhost/db")
                          : std::nullopt;
}

std::string read(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

constexpr std::string_view kPaidOrders = R"yaml(name: paid-orders
source: { kafka: { topics: [orders], group.id: paid } }
steps:
  - id: only-paid
    where: "$.status = 'paid' and $.amount > 100"
  - id: per-region
    key: "$.region"
    aggregate: { orders: count(*), revenue: "sum($.amount)" }
sinks:
  - kafka: { topic: revenue-per-region }
  - postgres: { dsn: "${env:PG_DSN}", table: revenue, mode: upsert }
)yaml";

TEST(PipelineFile, the_example_of_the_manual_is_read) {
  const auto spec = parse_pipeline("paid-orders.yaml", kPaidOrders, variables);
  ASSERT_TRUE(spec.has_value()) << describe("paid-orders.yaml", spec.error());
  EXPECT_EQ(spec->name, "paid-orders");
  EXPECT_EQ(spec->guarantee, engine::Guarantee::kExactlyOnce);
  EXPECT_EQ(spec->source.topics, std::vector<std::string>{"orders"});
  EXPECT_EQ(spec->source.group_id, "paid");
  EXPECT_TRUE(spec->bootstrap_servers.empty());
  ASSERT_EQ(spec->steps.size(), 2u);
  EXPECT_EQ(spec->steps[1].key->columns[0].name, "region");
  EXPECT_TRUE(spec->steps[1].aggregate->columns[0].column.counts_all);
  ASSERT_EQ(spec->sinks.size(), 2u);
  EXPECT_EQ(spec->sinks[1].dsn, "postgresql://user:hush@localhost/db");
}

TEST(PipelineFile, times_of_the_groups_follow_the_session) {
  const auto times = [](const std::string& settings) {
    const auto spec = parse_pipeline("p.yaml",
                                     "name: p\nsource: { kafka: { topics: [in]" + settings +
                                         " } }\nsinks: [ { kafka: { topic: out } } ]\n",
                                     variables);
    EXPECT_TRUE(spec.has_value());
    return spec ? spec->source.group_times : GroupTimes{};
  };
  EXPECT_EQ(times("").session_timeout, milliseconds(10'000));
  EXPECT_EQ(times("").heartbeat_interval, milliseconds(1'000));
  EXPECT_EQ(times("").max_poll_interval, milliseconds(60'000));
  EXPECT_EQ(times(", session.timeout.ms: 1500").heartbeat_interval, milliseconds(500));
  EXPECT_EQ(times(", session.timeout.ms: 90000").max_poll_interval, milliseconds(90'000));
  EXPECT_EQ(times(", heartbeat.interval.ms: 250").heartbeat_interval, milliseconds(250));
}

TEST(PipelineFile, every_bad_file_is_refused_as_expected) {
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("tests/negative/pipeline")) {
    if (entry.path().extension() != ".yaml") {
      continue;
    }
    ++count;
    const std::string name = entry.path().filename().string();
    const auto planned = plan_file(name, read(entry.path()), variables);
    ASSERT_FALSE(planned.has_value()) << name;
    std::filesystem::path expected = entry.path();
    expected.replace_extension(".expected");
    // ONCEFLOW_REWRITE=1 writes what is said now; read the difference before committing it.
    if (std::getenv("ONCEFLOW_REWRITE") != nullptr) {
      std::ofstream(expected) << describe(name, planned.error());
    }
    EXPECT_EQ(describe(name, planned.error()), read(expected)) << name;
    EXPECT_FALSE(describe(name, planned.error()).contains("hush")) << name;
  }
  EXPECT_GE(count, 20u);
}

TEST(PipelineFile, all_examples_are_good) {
  for (const auto& entry : std::filesystem::directory_iterator("examples")) {
    if (entry.path().extension() == ".yaml") {
      const auto planned = plan_file(entry.path().string(), read(entry.path()), variables);
      EXPECT_TRUE(planned.has_value()) << describe(entry.path().string(), planned.error());
    }
  }
}

}  // namespace
}  // namespace onceflow::pipeline
