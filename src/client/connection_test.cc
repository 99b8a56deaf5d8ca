#include "client/connection.h"

#include <gtest/gtest.h>

#include "client/broker_error.h"
#include "client/client_testing.h"

namespace onceflow::client {
namespace {

using protocol::ApiKey;
using protocol::EndTxnRequest;
using protocol::FindCoordinatorRequest;
using protocol::MetadataRequest;
using Fate = FakeBroker::Fate;

class ConnectionTest : public ClientTest {
 public:
  std::shared_ptr<BrokerConnection> open() {
    auto opened = run(BrokerConnection::open(environment_.environment(), options_,
                                             {"127.0.0.1", broker_.port}, deadline()));
    EXPECT_TRUE(opened) << opened.error().text;
    return opened ? *opened : nullptr;
  }
};

TEST_F(ConnectionTest, the_handshake_learns_versions_and_features) {
  broker_.finalize_transaction_version(2);
  broker_.pipeline_transactions();
  const auto connection = open();
  EXPECT_EQ(connection->features().finalized_level("transaction.version"), 2);
  EXPECT_TRUE(connection->features().supports(kPipelinedTransactionsFeature));
  EXPECT_EQ(connection->choose_version<EndTxnRequest>(), EndTxnRequest::kVersionMax);
  EXPECT_EQ(connection->choose_version<EndTxnRequest>(4), 4);
  connection->close(cancelled_error());
}

TEST_F(ConnectionTest, a_broker_that_knows_only_older_handshakes_is_asked_again_in_its_version) {
  for (const std::int16_t version : {0, 2, 3}) {
    broker_.api_versions_version_max = version;
    broker_.seen.clear();
    const auto connection = open();
    ASSERT_EQ(broker_.seen.size(), 2);
    EXPECT_EQ(broker_.seen[1].version, version);
    EXPECT_TRUE(connection->choose_version<MetadataRequest>());
    connection->close(cancelled_error());
  }
}

TEST_F(ConnectionTest, what_the_broker_does_not_speak_is_refused_before_it_is_sent) {
  std::erase_if(broker_.features.api_keys, [](const auto& api) {
    return api.api_key == static_cast<std::int16_t>(ApiKey::kEndTxn);
  });
  const auto connection = open();
  const auto reply = run(connection->send(EndTxnRequest{}, deadline()));
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, ErrorCode::kUnsupported);
  EXPECT_TRUE(connection->is_open());
  connection->close(cancelled_error());
}

TEST_F(ConnectionTest, requests_are_answered_in_the_order_they_were_submitted) {
  const auto connection = open();
  std::vector<BrokerConnection::PendingReply> pending;
  for (int index = 0; index < 100; ++index) {
    MetadataRequest request;
    request.topics.emplace().emplace_back().name = std::to_string(index);
    pending.push_back(connection->submit(request, deadline()));
  }
  for (int index = 0; index < 100; ++index) {
    const auto reply =
        run(BrokerConnection::receive<MetadataRequest>(pending[static_cast<std::size_t>(index)]));
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->body.topics[0].name, std::to_string(index));
  }
  connection->close(cancelled_error());
}

TEST_F(ConnectionTest, after_a_deadline_has_passed_everything_in_flight_is_of_unknown_fate) {
  const auto connection = open();
  broker_.set_fates(ApiKey::kMetadata, {Fate::kSilence});
  const auto first = connection->submit(MetadataRequest{}, loop_.now() + milliseconds(50));
  const auto second = connection->submit(FindCoordinatorRequest{}, deadline());
  const auto late = run(BrokerConnection::receive<FindCoordinatorRequest>(second));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ErrorCode::kConnectionLost);
  ASSERT_TRUE(first->ready());
  EXPECT_EQ(first->value().error().code, ErrorCode::kConnectionLost);
  EXPECT_FALSE(connection->is_open());
}

TEST_F(ConnectionTest, a_broker_that_hangs_up_ends_every_request) {
  const auto connection = open();
  broker_.set_fates(ApiKey::kMetadata, {Fate::kHangUp});
  const auto reply = run(connection->send(MetadataRequest{}, deadline()));
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, ErrorCode::kConnectionLost);
  EXPECT_EQ(reply.error().recovery, Recovery::kRetriable);
}

TEST_F(ConnectionTest, an_answer_that_lies_about_its_size_ends_the_connection) {
  options_.response_bytes_max = 1000;
  const auto connection = open();
  MetadataRequest request;
  request.topics.emplace().resize(200);
  for (auto& topic : *request.topics) {
    topic.name = "a topic with quite a long name";
  }
  const auto reply = run(connection->send(request, deadline()));
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, ErrorCode::kConnectionLost);
}

TEST_F(ConnectionTest, an_answer_larger_than_any_staging_arrives_whole) {
  const auto connection = open();
  MetadataRequest request;
  request.topics.emplace().resize(20000);
  for (auto& topic : *request.topics) {
    topic.name = "a topic with quite a long name";
  }
  const auto reply = run(connection->send(request, deadline()));
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->body.topics.size(), 20000);
  connection->close(cancelled_error());
}

TEST_F(ConnectionTest, a_cluster_waits_for_a_broker_that_is_down) {
  broker_.stop();
  loop_.schedule_after(milliseconds(300), [this] { broker_.start(); });
  good(cluster_->connect(deadline()));
}

TEST_F(ConnectionTest, a_cluster_waits_until_the_deadline_and_then_says_what_went_wrong) {
  broker_.stop();
  const Status status = run(cluster_->connect(loop_.now() + milliseconds(200)));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kTimedOut);
  EXPECT_EQ(status.error().recovery, Recovery::kRetriable);
}

TEST_F(ConnectionTest, closing_the_cluster_ends_what_waits) {
  broker_.stop();
  loop_.schedule_after(milliseconds(50), [this] { cluster_->close(); });
  const Status status = run(cluster_->connect(deadline()));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kCancelled);
}

TEST_F(ConnectionTest, channels_do_not_share_connections) {
  good(cluster_->connect(deadline()));
  const Channel one = cluster_->new_channel();
  const Channel other = cluster_->new_channel();
  const auto first = run(cluster_->connection(one, NodeId(1), deadline()));
  const auto again = run(cluster_->connection(one, NodeId(1), deadline()));
  const auto second = run(cluster_->connection(other, NodeId(1), deadline()));
  ASSERT_TRUE(first && again && second);
  EXPECT_EQ(*first, *again);
  EXPECT_NE(*first, *second);
}

}  // namespace
}  // namespace onceflow::client
