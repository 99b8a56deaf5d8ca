#include "broker/server_properties.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <regex>
#include <set>
#include <sstream>

namespace onceflow::broker {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

ServerProperties::Applied apply(std::string_view text) {
  ServerProperties properties;
  properties.add_file(text, "server.properties");
  auto applied = properties.apply();
  EXPECT_TRUE(applied) << applied.error().text;
  return applied ? std::move(*applied) : ServerProperties::Applied{};
}

std::string problem_of(std::string_view text) {
  ServerProperties properties;
  properties.add_file(text, "server.properties");
  const auto applied = properties.apply();
  return applied ? "" : applied.error().text;
}

TEST(ServerProperties, nothing_said_is_kafkas_defaults_in_our_directory) {
  const auto applied = apply("");
  EXPECT_EQ(applied.options.log.directory, "./onceflow-data");
  EXPECT_EQ(applied.options.server.listen, (io::Endpoint{"127.0.0.1", 9092}));
  EXPECT_EQ(applied.options.num_partitions, 1);
  EXPECT_TRUE(applied.options.auto_create_topics);
  EXPECT_EQ(applied.options.log.flush, log::FlushMode::kDurable);
  EXPECT_THAT(applied.warnings, ElementsAre());
}

TEST(ServerProperties, kafkas_own_file_is_obeyed_where_it_means_something) {
  const auto applied = apply(
      "process.roles=broker,controller\nnode.id=7\ncontroller.quorum.bootstrap.servers=x:9093\n"
      "listeners=PLAINTEXT://:19092,CONTROLLER://:9093\n"
      "advertised.listeners=PLAINTEXT://broker.example:29092,CONTROLLER://localhost:9093\n"
      "num.network.threads=3\nlog.dirs=/data/kraft\nnum.partitions=4\n"
      "offsets.topic.replication.factor=3\ntransaction.state.log.min.isr=2\n"
      "log.retention.hours=2\nlog.segment.bytes=1073741824\nlog.flush=os\n"
      "transaction.max.timeout.ms=60000\ngroup.initial.rebalance.delay.ms=0\n");
  EXPECT_EQ(applied.options.node_id, 7);
  EXPECT_EQ(applied.options.server.listen, (io::Endpoint{"", 19092}));
  EXPECT_EQ(applied.options.advertised, (io::Endpoint{"broker.example", 29092}));
  EXPECT_EQ(applied.options.log.directory, "/data/kraft");
  EXPECT_EQ(applied.options.num_partitions, 4);
  EXPECT_EQ(applied.options.log.topic_defaults.retention_ms, 7'200'000);
  EXPECT_EQ(applied.options.log.flush, log::FlushMode::kOs);
  EXPECT_EQ(applied.options.coordinator.transactions.timeout_max, seconds(60));
  EXPECT_EQ(applied.options.coordinator.groups.initial_rebalance_delay, seconds(0));
  EXPECT_THAT(applied.warnings,
              ElementsAre(AllOf(HasSubstr("ignored"), HasSubstr("num.network.threads"),
                                HasSubstr("offsets.topic.replication.factor"))));
}

TEST(ServerProperties, an_unknown_key_is_one_warning_with_its_place) {
  EXPECT_THAT(apply("node.id=1\nnum.partition=3\n").warnings,
              ElementsAre("server.properties:2: unknown key 'num.partition' is ignored"));
}

TEST(ServerProperties, a_wrong_value_names_place_rule_and_key) {
  EXPECT_THAT(problem_of("\nnum.partitions=many\n"),
              AllOf(HasSubstr("server.properties:2: num.partitions=many"),
                    HasSubstr("whole number from 1 to")));
  EXPECT_THAT(problem_of("num.partitions=0"), HasSubstr("server.properties:1"));
  EXPECT_THAT(problem_of("auto.create.topics.enable=yes"), HasSubstr("true or false"));
  EXPECT_THAT(problem_of("log.flush=never"), HasSubstr("must be sync"));
  EXPECT_THAT(problem_of("log.dirs=/a,/b"), HasSubstr("one directory"));
  EXPECT_THAT(problem_of("listeners=SSL://:9092"), HasSubstr("'SSL' is not offered"));
  EXPECT_THAT(problem_of("listeners=localhost:9092"), HasSubstr("PLAINTEXT://host:port"));
  EXPECT_THAT(problem_of("listeners=PLAINTEXT://localhost:99999"),
              HasSubstr("must end with :port"));
}

TEST(ServerProperties, an_override_beats_the_file_and_a_later_one_an_earlier) {
  ServerProperties properties;
  properties.add_file("num.partitions=2\n", "server.properties");
  ASSERT_TRUE(properties.add_override("num.partitions=3"));
  ASSERT_TRUE(properties.add_override("num.partitions=4"));
  EXPECT_EQ(properties.apply()->options.num_partitions, 4);
  EXPECT_FALSE(properties.add_override("num.partitions"));
  ASSERT_TRUE(properties.add_override("num.partitions=x"));
  EXPECT_THAT(properties.apply().error().text, HasSubstr("--override: num.partitions=x"));
}

TEST(ServerProperties, a_listener_on_every_address_without_a_name_is_warned_of) {
  EXPECT_THAT(apply("listeners=PLAINTEXT://0.0.0.0:9092\n").warnings,
              ElementsAre(HasSubstr("set advertised.listeners")));
  EXPECT_THAT(apply("listeners=PLAINTEXT://:9092\nadvertised.listeners=PLAINTEXT://a:1\n").warnings,
              ElementsAre());
}

TEST(ServerProperties, session_timeouts_that_leave_no_value_are_refused) {
  const auto refusal = [](std::string_view text) {
    ServerProperties properties;
    properties.add_file(text, "f");
    const auto applied = properties.apply();
    return applied ? std::string() : applied.error().text;
  };
  EXPECT_THAT(
      refusal("group.max.session.timeout.ms=5000\n"),
      HasSubstr(
          "group.max.session.timeout.ms=5000 (f:1) is below group.min.session.timeout.ms=6000 "
          "(default)"));
  EXPECT_THAT(refusal("group.min.session.timeout.ms=2000000\n"), HasSubstr("=2000000 (f:1)"));
  EXPECT_EQ(refusal("group.max.session.timeout.ms=5000\ngroup.min.session.timeout.ms=5000\n"), "");
}

TEST(ServerProperties, the_finest_unit_of_retention_wins) {
  EXPECT_EQ(
      apply("log.retention.ms=5\nlog.retention.hours=1\n").options.log.topic_defaults.retention_ms,
      5);
  EXPECT_EQ(apply("log.retention.hours=-1\n").options.log.topic_defaults.retention_ms, -1);
}

// What docs/operations.md says of the bounds on what clients put into the log: each setting that
// it names is there, and each has the default that it says.
using Bound = std::function<std::int64_t(const BrokerOptions&)>;

const std::map<std::string, Bound>& bounds() {
  static const auto of_groups = [](auto coordinator::GroupOptions::* member) -> Bound {
    return [member](const BrokerOptions& options) {
      return static_cast<std::int64_t>(options.coordinator.groups.*member);
    };
  };
  static const auto of_transactions = [](auto coordinator::TransactionOptions::* member) -> Bound {
    return [member](const BrokerOptions& options) {
      return static_cast<std::int64_t>(options.coordinator.transactions.*member);
    };
  };
  using Groups = coordinator::GroupOptions;
  using Transactions = coordinator::TransactionOptions;
  static const std::map<std::string, Bound> kBounds = {
      {"partitions.max.count",
       [](const BrokerOptions& options) {
         return static_cast<std::int64_t>(options.log.partitions_max);
       }},
      {"segment.bytes.min",
       [](const BrokerOptions& options) {
         return std::int64_t{options.log.config_bounds.segment_bytes_min};
       }},
      {"topic.config.value.max.bytes",
       [](const BrokerOptions& options) {
         return static_cast<std::int64_t>(options.log.config_bounds.value_bytes_max);
       }},
      {"topic.configs.max.bytes",
       [](const BrokerOptions& options) {
         return static_cast<std::int64_t>(options.log.config_bytes_max);
       }},
      {"group.max.count", of_groups(&Groups::group_count_max)},
      {"group.max.size", of_groups(&Groups::group_size_max)},
      {"group.id.max.bytes", of_groups(&Groups::id_bytes_max)},
      {"group.member.max.bytes", of_groups(&Groups::member_bytes_max)},
      {"group.max.bytes", of_groups(&Groups::group_bytes_max)},
      {"group.members.max.bytes", of_groups(&Groups::membership_bytes_max)},
      {"offset.metadata.max.bytes", of_groups(&Groups::offset_metadata_bytes_max)},
      {"group.offsets.max.bytes", of_groups(&Groups::offset_bytes_max)},
      {"transactional.id.max.count", of_transactions(&Transactions::transactional_id_count_max)},
      {"transactional.id.max.bytes", of_transactions(&Transactions::transactional_id_bytes_max)},
      {"transaction.max.bytes", of_transactions(&Transactions::transaction_bytes_max)},
      {"transactions.max.bytes", of_transactions(&Transactions::transactions_bytes_max)},
      {"producer.states.max.count",
       [](const BrokerOptions& options) {
         return static_cast<std::int64_t>(options.log.producer_states_max);
       }},
  };
  return kBounds;
}

// The repository, above wherever the test runs.
std::string operations_page() {
  for (std::filesystem::path at = std::filesystem::current_path(); at != at.root_path();
       at = at.parent_path()) {
    if (std::filesystem::exists(at / "docs" / "operations.md")) {
      std::stringstream read;
      read << std::ifstream(at / "docs" / "operations.md").rdbuf();
      return read.str();
    }
  }
  return {};
}

TEST(ServerProperties, the_page_has_the_bounds_and_their_defaults) {
  const std::string page = operations_page();
  const std::size_t begin = page.find("<!-- bounds: begin");
  const std::size_t end = page.find("<!-- bounds: end -->");
  ASSERT_NE(begin, std::string::npos);
  ASSERT_NE(end, std::string::npos);
  const std::string table = page.substr(begin, end - begin);
  const std::regex row(R"(\| `([a-z.]+)` \| ([0-9]+) \|)");
  std::set<std::string> seen;
  for (std::sregex_iterator at(table.begin(), table.end(), row); at != std::sregex_iterator();
       ++at) {
    const std::string key = (*at)[1];
    ASSERT_TRUE(bounds().contains(key)) << key;
    EXPECT_EQ(std::to_string(bounds().at(key)(apply("").options)), (*at)[2]) << key;
    seen.insert(key);
  }
  EXPECT_EQ(seen.size(), bounds().size());
}

TEST(ServerProperties, each_bound_is_set_by_its_key) {
  for (const auto& [key, bound] : bounds()) {
    const std::int64_t other = bound(apply("").options) - 1;
    EXPECT_EQ(bound(apply(fmt::format("{}={}", key, other)).options), other) << key;
    EXPECT_THAT(problem_of(key + "=-1"), HasSubstr(key));
  }
}

}  // namespace
}  // namespace onceflow::broker
