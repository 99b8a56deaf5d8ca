// The native client while its broker is killed with -9 and started again, over and over. The broker
// is a process: ONCEFLOW_TEST_BROKER names its program, which is started as
//   PROGRAM broker --port PORT --data-dir DIR --override group.initial.rebalance.delay.ms=0
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "client/admin.h"
#include "client/committed_offsets.h"
#include "client/fetcher.h"
#include "client/producer.h"
#include "client/transactional_producer.h"
#include "io/os/os_environment.h"

namespace onceflow::client {
namespace {

class RestartTest : public testing::Test {
 public:
  void SetUp() override {
    const char* program = std::getenv("ONCEFLOW_TEST_BROKER");
    if (program == nullptr) {
      GTEST_SKIP() << "ONCEFLOW_TEST_BROKER is not set";
    }
    program_ = program;
    std::string pattern = (std::filesystem::temp_directory_path() / "onceflow-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    // A port that is free now; nobody else is told of it.
    port_ = environment_.network().listen({"127.0.0.1", 0}).value()->local().port;
    start_broker();
    ClientOptions options;
    options.bootstrap_servers = {{"127.0.0.1", port_}};
    options.request_timeout = seconds(5);
    cluster_ = Cluster::create(environment_.environment(), options);
  }
  void TearDown() override {
    if (cluster_) {
      cluster_->close();
      kill_broker();
      std::filesystem::remove_all(directory_);
    }
  }

  void start_broker() {
    const std::string port = std::to_string(port_);
    const std::string data = directory_ + "/data";
    const std::string log = directory_ + "/broker.log";
    pid_ = fork();
    if (pid_ == 0) {
      if (std::freopen(log.c_str(), "a", stdout) == nullptr || dup2(1, 2) < 0) {
        _exit(1);
      }
      execl(program_.c_str(), program_.c_str(), "broker", "--port", port.c_str(), "--data-dir",
            data.c_str(), "--override", "group.initial.rebalance.delay.ms=0", nullptr);
      _exit(1);
    }
  }
  void kill_broker() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  /// Kills and restarts at random moments until `stop_at`.
  Task<void> torment(MonotonicTime stop_at) {
    while (loop_.now() < stop_at) {
      co_await loop_.sleep_for(milliseconds(50 + environment_.random().below(600)));
      kill_broker();
      ++kill_count_;
      co_await loop_.sleep_for(milliseconds(environment_.random().below(100)));
      start_broker();
    }
  }

  template <typename T>
  T run(Task<T> task) {
    std::optional<T> result;
    loop_.spawn([](Task<T> inner, std::optional<T>& out) -> Task<void> {
      out.emplace(co_await inner);
    }(std::move(task), result));
    CHECK(loop_.run_until([&] { return result.has_value(); }, seconds(100)));
    return std::move(*result);
  }
  MonotonicTime deadline() const { return loop_.now() + seconds(30); }

  std::vector<int> read_all(const TopicPartition& partition) {
    Admin admin(cluster_);
    const auto ends = run(admin.list_offsets({partition}, Admin::kLatest,
                                             IsolationLevel::kReadCommitted, deadline()));
    EXPECT_TRUE(ends);
    Fetcher fetcher(cluster_, {});
    fetcher.assign({{partition, Offset(0)}});
    std::vector<int> values;
    while (ends && fetcher.position(partition) < ends->at(0).offset) {
      const auto polled = run(fetcher.poll(deadline()));
      EXPECT_TRUE(polled);
      if (!polled) {
        break;
      }
      for (const FetchedRun& fetched : polled->runs) {
        EXPECT_TRUE(fetched.for_each([&](const auto&, const protocol::RecordView& view) {
          values.push_back(std::stoi(std::string(as_text(*view.value))));
        }));
      }
    }
    return values;
  }
  static void expect_counting(const std::vector<int>& values, int count) {
    ASSERT_EQ(values.size(), static_cast<std::size_t>(count));
    for (int index = 0; index < count; ++index) {
      ASSERT_EQ(values[static_cast<std::size_t>(index)], index);
    }
  }

  std::string program_;
  std::string directory_;
  std::uint16_t port_ = 0;
  pid_t pid_ = 0;
  int kill_count_ = 0;
  io::OsEnvironment environment_;
  io::EventLoop& loop_ = environment_.loop();
  std::shared_ptr<Cluster> cluster_;
};

TEST_F(RestartTest, what_an_idempotent_producer_flushed_is_there_once_and_in_order) {
  Admin admin(cluster_);
  const TopicPartition partition{"idempotent", PartitionIndex(0)};
  ASSERT_TRUE(run(admin.create_topic({.name = partition.topic}, deadline())));
  Producer producer(cluster_, {.linger = milliseconds(1), .batch_bytes_max = 1000});
  const auto produce = [&](MonotonicTime stop_at) -> Task<Result<int>> {
    const PartitionSlot slot = producer.slot(partition);
    int next = 0;
    while (loop_.now() < stop_at) {
      for (int index = 0; index < 100; ++index) {
        CO_RETURN_IF_ERROR(
            producer.append(slot, {.timestamp_ms = 1, .value = as_bytes(std::to_string(next++))}));
      }
      CO_RETURN_IF_ERROR(co_await producer.wait_for_room(deadline()));
      co_await loop_.sleep_for(milliseconds(1));
    }
    CO_RETURN_IF_ERROR(co_await producer.flush(deadline()));
    co_return next;
  };
  const MonotonicTime stop_at = loop_.now() + seconds(6);
  loop_.spawn(torment(stop_at));
  const auto count = run(produce(stop_at + milliseconds(500)));
  ASSERT_TRUE(count) << count.error().text;
  expect_counting(read_all(partition), *count);
  RecordProperty("kills", kill_count_);
  RecordProperty("retries", static_cast<int>(producer.statistics().retry_count));
}

// The engine's loop in small: the position is in the group; whatever fails, it starts anew from
// there.
TEST_F(RestartTest, transactions_and_their_offsets_move_together_whatever_happens) {
  Admin admin(cluster_);
  const TopicPartition one{"one", PartitionIndex(0)};
  const TopicPartition other{"other", PartitionIndex(0)};
  const TopicPartition input{"input", PartitionIndex(0)};
  for (const TopicPartition& partition : {one, other, input}) {
    ASSERT_TRUE(run(admin.create_topic({.name = partition.topic}, deadline())));
  }
  TransactionalProducer producer(cluster_, {.linger = milliseconds(1)}, {.transactional_id = "tx"});
  const Channel channel = cluster_->new_channel();
  int unknown_count = 0;
  const auto work = [&](MonotonicTime stop_at) -> Task<Result<int>> {
    int committed = 0;
    while (loop_.now() < stop_at) {
      if (!co_await producer.init_transactions(deadline())) {
        continue;
      }
      const auto offsets =
          co_await fetch_committed(cluster_, channel, {.group_id = "g"}, {input}, deadline());
      if (!offsets) {
        continue;
      }
      const int position = static_cast<int>(std::max<std::int64_t>(0, offsets->at(0).offset.value));
      EXPECT_GE(position, committed);
      committed = position;
      while (loop_.now() < stop_at) {
        CO_RETURN_IF_ERROR(producer.begin());
        const std::string text = std::to_string(committed);
        const protocol::NewRecord record{.timestamp_ms = 1, .value = as_bytes(text)};
        Status status = producer.append(producer.slot(one), record);
        if (status) {
          status = producer.append(producer.slot(other), record);
        }
        if (status) {
          status = producer.send_offsets({.group_id = "g"}, {{input, Offset(committed + 1)}});
        }
        if (status) {
          status = co_await producer.commit(deadline());
        }
        if (!status) {
          unknown_count += status.error().code == ErrorCode::kUnknownOutcome ? 1 : 0;
          break;
        }
        ++committed;
      }
    }
    CO_RETURN_IF_ERROR(co_await producer.init_transactions(deadline()));
    const auto offsets =
        co_await fetch_committed(cluster_, channel, {.group_id = "g"}, {input}, deadline());
    CO_RETURN_IF_ERROR(offsets);
    co_return static_cast<int>(offsets->at(0).offset.value);
  };
  const MonotonicTime stop_at = loop_.now() + seconds(6);
  loop_.spawn(torment(stop_at));
  const auto count = run(work(stop_at + milliseconds(500)));
  ASSERT_TRUE(count) << count.error().text;
  EXPECT_GT(*count, 10);
  expect_counting(read_all(one), *count);
  expect_counting(read_all(other), *count);
  RecordProperty("kills", kill_count_);
  RecordProperty("unknown_outcomes", unknown_count);
}

}  // namespace
}  // namespace onceflow::client
