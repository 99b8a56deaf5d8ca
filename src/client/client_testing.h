// ClientTest: a fake broker, a cluster that knows it, and tasks run to their end on one loop.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "client/cluster.h"
#include "client/fake_broker_testing.h"
#include "protocol/record_batch_builder.h"

namespace onceflow::client {

class ClientTest : public testing::Test {
 public:
  ClientTest() {
    options_.bootstrap_servers = {{"127.0.0.1", broker_.port}};
    options_.retry_backoff = milliseconds(1);
    options_.retry_backoff_max = milliseconds(20);
    cluster_ = Cluster::create(environment_.environment(), options_);
  }
  ~ClientTest() override { cluster_->close(); }

  MonotonicTime deadline() const { return loop_.now() + seconds(20); }

  template <typename T>
  T run(Task<T> task) {
    std::optional<T> result;
    loop_.spawn([](Task<T> inner, std::optional<T>& out) -> Task<void> {
      out.emplace(co_await inner);
    }(std::move(task), result));
    CHECK(loop_.run_until([&] { return result.has_value(); }, seconds(60)));
    return std::move(*result);
  }
  void good(const Status& status) { EXPECT_TRUE(status) << status.error().text; }
  void good(Task<Status> task) { good(run(std::move(task))); }

  static protocol::NewRecord record(std::string_view value) {
    return {.timestamp_ms = 1000, .value = as_bytes(value)};
  }
  /// The batches of all Produce requests seen, in order.
  std::vector<Buffer> produced() const {
    std::vector<Buffer> batches;
    for (const FakeBroker::Seen& one : broker_.seen_of(protocol::ApiKey::kProduce)) {
      WireReader reader(one.body);
      const auto request = protocol::ProduceRequest::decode(reader, one.version);
      CHECK(request);
      for (const auto& topic : request->topic_data) {
        for (const auto& partition : topic.partition_data) {
          batches.push_back(to_buffer(*partition.records));
        }
      }
    }
    return batches;
  }
  static protocol::RecordBatchHeader header(const Buffer& batch) {
    return protocol::RecordBatchHeader::parse(batch).value();
  }

  io::OsEnvironment environment_;
  io::EventLoop& loop_ = environment_.loop();
  FakeBroker broker_{environment_};
  ClientOptions options_;
  std::shared_ptr<Cluster> cluster_;
};

}  // namespace onceflow::client
