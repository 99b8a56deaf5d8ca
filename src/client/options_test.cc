#include "client/options.h"

#include <gtest/gtest.h>

namespace onceflow::client {
namespace {

TEST(Options, keys_are_kafkas) {
  ClientOptions client;
  EXPECT_TRUE(set_option(client, "bootstrap.servers", "one:9092, [::1]:9093"));
  EXPECT_EQ(client.bootstrap_servers, (std::vector<io::Endpoint>{{"one", 9092}, {"::1", 9093}}));
  EXPECT_TRUE(set_option(client, "request.timeout.ms", "1500"));
  EXPECT_EQ(client.request_timeout, milliseconds(1500));
  ProducerOptions producer;
  EXPECT_TRUE(set_option(producer, "compression.type", "zstd"));
  EXPECT_EQ(producer.compression, protocol::CompressionCodec::kZstd);
  FetchOptions fetch;
  EXPECT_TRUE(set_option(fetch, "isolation.level", "read_uncommitted"));
  EXPECT_EQ(fetch.isolation_level, IsolationLevel::kReadUncommitted);
}

TEST(Options, a_wrong_value_is_refused_with_the_rule_and_changes_nothing) {
  ProducerOptions producer;
  const Status status = set_option(producer, "max.in.flight.requests.per.connection", "6");
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(status.error().text,
            "max.in.flight.requests.per.connection = '6': must be a whole number from 1 to 5");
  EXPECT_EQ(producer.in_flight_requests_max, 5);
  ClientOptions client;
  for (const char* servers : {"", "nohost", "host:port", "host:99999"}) {
    EXPECT_FALSE(set_option(client, "bootstrap.servers", servers)) << servers;
  }
  EXPECT_FALSE(set_option(producer, "linger.ms", "-1"));
  EXPECT_FALSE(set_option(producer, "linger.ms", "5x"));
  EXPECT_FALSE(set_option(producer, "compression.type", "brotli"));
}

TEST(Options, an_unknown_key_is_not_found) {
  GroupOptions group;
  const Status status = set_option(group, "group.idd", "x");
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace onceflow::client
