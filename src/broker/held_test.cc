// Requests that are worked on off the loop: what comes meanwhile, on their connection and
// elsewhere.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <filesystem>
#include <utility>

#include "broker/broker.h"
#include "broker/broker_testing.h"
#include "protocol/messages/index.h"
#include "protocol/record_batch_builder.h"

namespace onceflow::broker {
namespace {

using protocol::ErrorCode;

/// Works when it is told to.
class StepWorker final : public io::BlockingThread {
 public:
  explicit StepWorker(io::EventLoop& loop) : loop_(loop) {}

  void async_run(Callback<void()> work, Callback<void()> done) override {
    jobs_.emplace_back(std::move(work), std::move(done));
  }
  std::size_t job_count() const { return jobs_.size(); }
  void step() {
    auto [work, done] = std::move(jobs_.front());
    jobs_.pop_front();
    work();
    loop_.post(std::move(done));
  }

 private:
  io::EventLoop& loop_;
  std::deque<std::pair<Callback<void()>, Callback<void()>>> jobs_;
};

constexpr std::size_t kLong = 2000;  // bytes of a value

class HeldTest : public ::testing::Test {
 protected:
  HeldTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "onceflow-XXXXXX").string();
    EXPECT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    BrokerOptions options;
    options.server.listen = {"127.0.0.1", 0};
    options.log.directory = directory_;
    options.batch_bytes_on_loop_max = 1000;
    options.on_fatal = [](const Error& error) { ADD_FAILURE() << error.text; };
    auto worker = std::make_unique<StepWorker>(os_.loop());
    worker_ = worker.get();
    broker_ = std::make_unique<Broker>(os_.environment(), std::move(worker), std::move(options));
    EXPECT_TRUE(run_task(os_.loop(), broker_->start()));
    other_ = connect();
    create();
  }
  ~HeldTest() override {
    other_.reset();
    EXPECT_TRUE(run_task(os_.loop(), broker_->stop()));
    broker_.reset();
    std::filesystem::remove_all(directory_);
  }

  std::unique_ptr<RawClient> connect() {
    return std::make_unique<RawClient>(os_.loop(), os_.network(), broker_->local().port);
  }
  void create() {
    protocol::CreateTopicsRequest request;
    request.topics.push_back({.name = "t", .num_partitions = 3, .replication_factor = 1});
    EXPECT_EQ(other_->call(request, 7)->topics.at(0).error_code, ErrorCode::kNone);
  }

  void send(RawClient& client, const std::vector<std::size_t>& value_bytes,
            std::int16_t acks = -1) {
    std::vector<Buffer> batches;
    protocol::ProduceRequest request;
    request.acks = acks;
    request.topic_data.push_back({.name = "t"});
    for (const std::size_t bytes : value_bytes) {
      const std::string value(bytes, 'x');
      protocol::RecordBatchBuilder builder;
      builder.append({.timestamp_ms = 1000, .value = as_bytes(value)});
      batches.push_back(builder.finish({}));
    }
    for (std::size_t index = 0; index < batches.size(); ++index) {
      request.topic_data[0].partition_data.push_back(
          {.index = static_cast<std::int32_t>(index), .records = ByteView(batches[index])});
    }
    client.send(request, 9);
  }
  using Produced = std::vector<protocol::ProduceResponse::Partition>;
  static Produced answer(RawClient& client) {
    const auto response = client.receive_as<protocol::ProduceResponse>(9);
    EXPECT_TRUE(response);
    return response ? response->responses.at(0).partition_responses : Produced{};
  }
  bool wait_for_job() {
    return os_.loop().run_until([&] { return worker_->job_count() > 0; }, kTestPatience);
  }
  std::int64_t end_of(std::int32_t partition) {
    protocol::ListOffsetsRequest request;
    request.topics.push_back(
        {.name = "t", .partitions = {{.partition_index = partition, .timestamp = -1}}});
    return other_->call(request, 5)->topics.at(0).partitions.at(0).offset;
  }

  /// What was appended shows when it is durable.
  bool comes_to(std::int32_t partition, std::int64_t end) {
    const MonotonicTime deadline = os_.loop().now() + kTestPatience;
    while (end_of(partition) != end && os_.loop().now() < deadline) {
    }
    return end_of(partition) == end;
  }

  io::OsEnvironment os_;
  std::string directory_;
  StepWorker* worker_ = nullptr;
  std::unique_ptr<Broker> broker_;
  std::unique_ptr<RawClient> other_;
};

TEST_F(HeldTest, what_follows_on_the_connection_waits_and_others_do_not) {
  const auto client = connect();
  send(*client, {kLong});
  send(*client, {10});
  ASSERT_TRUE(wait_for_job());
  send(*other_, {10});
  EXPECT_EQ(answer(*other_).at(0).base_offset, 0);
  EXPECT_EQ(worker_->job_count(), 1U);
  worker_->step();
  EXPECT_EQ(answer(*client).at(0).base_offset, 1);
  EXPECT_EQ(answer(*client).at(0).base_offset, 2);
}

// A short one that unpacks to much lies where an idle connection reads to.
TEST_F(HeldTest, what_is_held_stays_where_it_is_however_much_follows) {
  const auto client = connect();
  const std::string value(kLong, 'x');
  protocol::RecordBatchBuilder builder;
  builder.append({.timestamp_ms = 1000, .value = as_bytes(value)});
  const Buffer batch = builder.finish({.codec = protocol::CompressionCodec::kZstd});
  protocol::ProduceRequest request;
  request.acks = -1;
  request.topic_data.push_back(
      {.name = "t", .partition_data = {{.index = 0, .records = ByteView(batch)}}});
  Buffer frames;
  protocol::encode_request_frame(frames, request, 9, 1, "test");
  ASSERT_LT(frames.size(), 300u);
  client->send(ByteView(frames));
  ASSERT_TRUE(wait_for_job());
  frames.clear();
  for (int count = 0; count < 100; ++count) {
    protocol::encode_request_frame(frames, protocol::HeartbeatRequest{.group_id = "none"}, 4, 2,
                                   "test");
  }
  client->send(ByteView(frames));
  end_of(1);
  worker_->step();
  EXPECT_EQ(answer(*client).at(0).error_code, ErrorCode::kNone);
  EXPECT_TRUE(comes_to(0, 1));
}

TEST_F(HeldTest, what_is_short_before_it_is_appended_at_once_and_all_are_answered_together) {
  const auto client = connect();
  send(*client, {10, kLong, 10});
  ASSERT_TRUE(wait_for_job());
  EXPECT_TRUE(comes_to(0, 1));
  EXPECT_EQ(end_of(1), 0);
  worker_->step();
  ASSERT_TRUE(wait_for_job());
  EXPECT_TRUE(comes_to(1, 1));
  worker_->step();
  const Produced produced = answer(*client);
  ASSERT_EQ(produced.size(), 3U);
  for (const auto& partition : produced) {
    EXPECT_EQ(partition.error_code, ErrorCode::kNone);
    EXPECT_EQ(partition.base_offset, 0);
  }
}

TEST_F(HeldTest, what_a_client_sent_that_has_gone_is_not_appended) {
  auto client = connect();
  send(*client, {kLong});
  ASSERT_TRUE(wait_for_job());
  client.reset();
  EXPECT_EQ(end_of(0), 0);  // by then the broker has heard of it
  worker_->step();
  EXPECT_EQ(end_of(0), 0);
  EXPECT_EQ(end_of(0), 0);
}

TEST_F(HeldTest, a_topic_that_is_made_anew_meanwhile_is_another) {
  const auto client = connect();
  send(*client, {kLong});
  ASSERT_TRUE(wait_for_job());
  protocol::DeleteTopicsRequest request;
  request.topics.push_back({.name = "t"});
  EXPECT_EQ(other_->call(request, 6)->responses.at(0).error_code, ErrorCode::kNone);
  create();
  worker_->step();
  EXPECT_EQ(answer(*client).at(0).error_code, ErrorCode::kUnknownTopicOrPartition);
  EXPECT_EQ(end_of(0), 0);
}

TEST_F(HeldTest, without_acks_it_is_appended_and_the_connection_goes_on) {
  const auto client = connect();
  send(*client, {kLong}, 0);
  send(*client, {10});
  ASSERT_TRUE(wait_for_job());
  worker_->step();
  EXPECT_EQ(answer(*client).at(0).base_offset, 1);
}

TEST_F(HeldTest, a_broker_that_stops_does_not_wait_for_long) {
  const auto client = connect();
  send(*client, {kLong});
  ASSERT_TRUE(wait_for_job());
  os_.loop().post([&] { worker_->step(); });
  EXPECT_TRUE(run_task(os_.loop(), broker_->stop()));
  EXPECT_TRUE(client->is_closed());
}

}  // namespace
}  // namespace onceflow::broker
