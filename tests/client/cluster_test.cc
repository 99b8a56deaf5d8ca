// The native client against a whole cluster, whichever it is: ONCEFLOW_TEST_CLUSTER is its
// host:port. What depends on the cluster's transaction.version asks for it.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <set>

#include "client/admin.h"
#include "client/consumer_group.h"
#include "client/fetcher.h"
#include "client/producer.h"
#include "client/transactional_producer.h"
#include "io/os/os_environment.h"

namespace onceflow::client {
namespace {

using protocol::NewRecord;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;
using State = TransactionalProducer::State;

constexpr std::size_t kLimitSeconds = 60;

struct Seen {
  std::string key;
  std::string value;
  Offset offset;
};

class ClusterTest : public testing::Test {
 public:
  void SetUp() override {
    const char* server = std::getenv("ONCEFLOW_TEST_CLUSTER");
    if (server == nullptr) {
      GTEST_SKIP() << "ONCEFLOW_TEST_CLUSTER is not set";
    }
    ASSERT_TRUE(set_option(options_, "bootstrap.servers", server));
    cluster_ = new_cluster();
    run_id_ = fmt::format("{:x}", environment_.random().next() >> 32);
  }
  void TearDown() override {
    if (cluster_) {
      cluster_->close();
    }
  }

  std::shared_ptr<Cluster> new_cluster() {
    return Cluster::create(environment_.environment(), options_);
  }
  MonotonicTime deadline() const { return loop_.now() + seconds(30); }
  std::string name(std::string_view what) const { return fmt::format("{}-{}", what, run_id_); }

  template <typename T>
  T run(Task<T> task) {
    std::optional<T> result;
    loop_.spawn([](Task<T> inner, std::optional<T>& out) -> Task<void> {
      out.emplace(co_await inner);
    }(std::move(task), result));
    const bool done = loop_.run_until([&] { return result.has_value(); }, seconds(kLimitSeconds));
    if (!done) {
      ADD_FAILURE() << "the task did not end";
      std::abort();
    }
    return std::move(*result);
  }

  template <typename T>
  T value(Task<Result<T>> task) {
    Result<T> result = run(std::move(task));
    EXPECT_TRUE(result) << result.error().text;
    return result ? std::move(*result) : T{};
  }
  void good(Task<Status> task) {
    const Status status = run(std::move(task));
    EXPECT_TRUE(status) << status.error().text;
  }
  void good(const Status& status) { EXPECT_TRUE(status) << status.error().text; }

  std::string create_topic(std::string_view what, std::int32_t partition_count = 1) {
    Admin admin(cluster_);
    good(admin.create_topic({.name = name(what), .partition_count = partition_count}, deadline()));
    return name(what);
  }

  /// Good as long as the texts are.
  NewRecord record(std::string_view key, std::string_view value) const {
    return {.timestamp_ms = loop_.wall_now().ms, .key = as_bytes(key), .value = as_bytes(value)};
  }

  /// Everything in the partitions up to their end, as a reader of this isolation level sees it now.
  std::vector<Seen> read_all(const std::string& topic, std::int32_t partition_count = 1,
                             IsolationLevel isolation = IsolationLevel::kReadCommitted) {
    FetchOptions options;
    options.isolation_level = isolation;
    options.fetch_wait_max = milliseconds(50);
    Fetcher fetcher(cluster_, options);
    std::vector<Fetcher::Position> positions;
    std::vector<TopicPartition> partitions;
    for (std::int32_t index = 0; index < partition_count; ++index) {
      partitions.push_back({topic, PartitionIndex(index)});
      positions.push_back({partitions.back(), Offset(0)});
    }
    Admin admin(cluster_);
    // The high watermark even for committed reading: a cluster may answer EndTxn before its markers
    // are written, so the last stable offset of this moment may lie before what was committed.
    const auto ends = value(admin.list_offsets(partitions, Admin::kLatest,
                                               IsolationLevel::kReadUncommitted, deadline()));
    fetcher.assign(positions);
    std::vector<Seen> seen;
    const auto at_end = [&] {
      return std::ranges::all_of(ends, [&](const ListedOffset& end) {
        return fetcher.position(end.partition) >= end.offset;
      });
    };
    const MonotonicTime limit = deadline();
    while (!at_end() && loop_.now() < limit) {
      const PollResult polled = value(fetcher.poll(loop_.now() + seconds(1)));
      EXPECT_THAT(polled.out_of_range, IsEmpty());
      for (const FetchedRun& fetched : polled.runs) {
        good(fetched.for_each([&](const auto& header, const protocol::RecordView& view) {
          seen.push_back({std::string(as_text(view.key.value_or(ByteView{}))),
                          std::string(as_text(view.value.value_or(ByteView{}))),
                          header.offset_of(view)});
        }));
      }
    }
    EXPECT_TRUE(at_end());
    return seen;
  }

  static std::vector<std::string> values(const std::vector<Seen>& seen) {
    std::vector<std::string> texts;
    for (const Seen& one : seen) {
      texts.push_back(one.value);
    }
    return texts;
  }

  TransactionalProducer transactional(const std::string& id, std::shared_ptr<Cluster> cluster,
                                      bool force_version_1 = false) {
    return {std::move(cluster),
            {.linger = milliseconds(0)},
            {.transactional_id = id, .force_version_1 = force_version_1}};
  }

  io::OsEnvironment environment_;
  io::EventLoop& loop_ = environment_.loop();
  ClientOptions options_;
  std::shared_ptr<Cluster> cluster_;
  std::string run_id_;
};

TEST_F(ClusterTest, a_topic_that_was_created_is_described_and_then_deleted) {
  const std::string topic = create_topic("described", 3);
  Admin admin(cluster_);
  const TopicMetadata metadata = value(admin.describe_topic(topic, deadline()));
  EXPECT_EQ(metadata.partition_count(), 3);
  EXPECT_FALSE(metadata.id.is_zero());
  EXPECT_THAT(value(admin.list_topics(deadline())), testing::Contains(topic));
  const Status again = run(admin.create_topic({.name = topic, .partition_count = 1}, deadline()));
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::kAlreadyExists);
  good(admin.delete_topic(topic, deadline()));
  // A cluster's metadata follows its controller a moment later.
  auto gone = run(admin.describe_topic(topic, deadline()));
  for (const MonotonicTime limit = deadline(); gone && loop_.now() < limit;) {
    gone = run(admin.describe_topic(topic, deadline()));
  }
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, ErrorCode::kNotFound);
}

TEST_F(ClusterTest, what_was_produced_is_read_back_in_order_from_every_partition) {
  const std::string topic = create_topic("many", 4);
  Producer producer(cluster_, {.linger = milliseconds(1), .batch_bytes_max = 4096});
  std::vector<PartitionSlot> slots;
  for (std::int32_t index = 0; index < 4; ++index) {
    slots.push_back(producer.slot({topic, PartitionIndex(index)}));
  }
  constexpr int kCount = 20000;
  for (int index = 0; index < kCount; ++index) {
    const std::string text = std::to_string(index);
    good(producer.append(slots[static_cast<std::size_t>(index % 4)], record(text, text)));
  }
  good(producer.flush(deadline()));
  EXPECT_EQ(producer.acknowledged_end(slots[0]), Offset(kCount / 4));
  EXPECT_EQ(producer.statistics().record_count, kCount);
  EXPECT_EQ(producer.statistics().buffered_bytes, 0);

  const std::vector<Seen> seen = read_all(topic, 4);
  ASSERT_EQ(seen.size(), kCount);
  std::array<int, 4> next = {0, 1, 2, 3};
  for (const Seen& one : seen) {
    const int number = std::stoi(one.value);
    ASSERT_EQ(number, next[static_cast<std::size_t>(number % 4)]);
    next[static_cast<std::size_t>(number % 4)] += 4;
  }
}

TEST_F(ClusterTest, every_compression_is_read_back) {
  using enum protocol::CompressionCodec;
  for (const auto codec : {kGzip, kSnappy, kLz4, kZstd}) {
    const std::string topic = create_topic(protocol::to_string(codec));
    Producer producer(cluster_, {.compression = codec});
    const PartitionSlot slot = producer.slot({topic, PartitionIndex(0)});
    for (int index = 0; index < 100; ++index) {
      good(producer.append(slot, record("key", std::string(100, 'x') + std::to_string(index))));
    }
    good(producer.flush(deadline()));
    const std::vector<Seen> seen = read_all(topic);
    ASSERT_EQ(seen.size(), 100) << protocol::to_string(codec);
    EXPECT_EQ(seen[99].value, std::string(100, 'x') + "99");
  }
}

TEST_F(ClusterTest, a_batch_made_elsewhere_is_stamped_and_sent) {
  const std::string topic = create_topic("made");
  protocol::RecordBatchBuilder builder;
  builder.append(record("a", "1"));
  builder.append(record("b", "2"));
  Producer producer(cluster_, {});
  const PartitionSlot slot = producer.slot({topic, PartitionIndex(0)});
  good(producer.append_batch(slot, builder.finish({})));
  good(producer.append(slot, record("c", "3")));
  good(producer.flush(deadline()));
  EXPECT_THAT(values(read_all(topic)), ElementsAre("1", "2", "3"));
}

TEST_F(ClusterTest, offsets_are_listed_by_position_and_by_time) {
  const std::string topic = create_topic("listed");
  const TopicPartition partition{topic, PartitionIndex(0)};
  Producer producer(cluster_, {});
  const PartitionSlot slot = producer.slot(partition);
  for (std::int64_t time : {1000, 2000, 3000}) {
    NewRecord one = record("k", "v");
    one.timestamp_ms = time;
    good(producer.append(slot, one));
    good(producer.flush(deadline()));
  }
  Admin admin(cluster_);
  const auto at = [&](std::int64_t time) {
    return value(
               admin.list_offsets({partition}, time, IsolationLevel::kReadUncommitted, deadline()))
        .at(0)
        .offset;
  };
  EXPECT_EQ(at(Admin::kEarliest), Offset(0));
  EXPECT_EQ(at(Admin::kLatest), Offset(3));
  EXPECT_EQ(at(1500), Offset(1));
  EXPECT_EQ(at(3001), kNoOffset);
}

TEST_F(ClusterTest, a_position_outside_the_log_comes_back_as_an_event) {
  const std::string topic = create_topic("outside");
  const TopicPartition partition{topic, PartitionIndex(0)};
  Fetcher fetcher(cluster_, {});
  fetcher.assign({{partition, Offset(100)}});
  const PollResult polled = value(fetcher.poll(deadline()));
  ASSERT_EQ(polled.out_of_range.size(), 1);
  EXPECT_EQ(polled.out_of_range[0].partition, partition);
  EXPECT_EQ(polled.out_of_range[0].position, Offset(100));
  fetcher.seek(partition, Offset(0));
  EXPECT_THAT(value(fetcher.poll(loop_.now() + milliseconds(800))).runs, IsEmpty());
  EXPECT_TRUE(fetcher.is_at_end(partition));
}

TEST_F(ClusterTest, a_poll_that_waits_ends_when_it_is_woken_and_when_the_cluster_is_closed) {
  const std::string topic = create_topic("woken");
  Fetcher fetcher(cluster_, {});
  fetcher.assign({{{topic, PartitionIndex(0)}, Offset(0)}});
  loop_.schedule_after(milliseconds(50), [&] { fetcher.wake(); });
  const MonotonicTime start = loop_.now();
  EXPECT_THAT(value(fetcher.poll(deadline())).runs, IsEmpty());
  EXPECT_LT(loop_.now() - start, seconds(5));
  loop_.schedule_after(milliseconds(50), [&] { cluster_->close(); });
  const auto closed = run(fetcher.poll(deadline()));
  ASSERT_FALSE(closed);
  EXPECT_EQ(closed.error().code, ErrorCode::kCancelled);
}

TEST_F(ClusterTest, committed_transactions_are_seen_and_aborted_ones_are_not) {
  const std::string topic = create_topic("isolated", 2);
  for (const bool force_version_1 : {false, true}) {
    const std::string id = name(force_version_1 ? "tx-v1" : "tx");
    const std::string tag = force_version_1 ? "old-" : "new-";
    TransactionalProducer producer = transactional(id, cluster_, force_version_1);
    good(producer.init_transactions(deadline()));
    EXPECT_EQ(
        producer.transaction_version(),
        force_version_1 ? 1 : std::min<int>(2, std::max<int>(1, cluster_->transaction_version())));
    const PartitionSlot first = producer.slot({topic, PartitionIndex(0)});
    const PartitionSlot second = producer.slot({topic, PartitionIndex(1)});
    for (int round = 0; round < 6; ++round) {
      good(producer.begin());
      good(producer.append(first, record("k", fmt::format("{}a{}", tag, round))));
      good(producer.append(second, record("k", fmt::format("{}b{}", tag, round))));
      if (round % 3 == 1) {
        good(producer.flush(deadline()));
        good(producer.append(first, record("k", fmt::format("{}c{}", tag, round))));
      }
      if (round % 2 == 0) {
        good(producer.commit(deadline()));
      } else {
        good(producer.abort(deadline()));
      }
      ASSERT_EQ(producer.state(), State::kReady);
    }
    good(producer.begin());
    good(producer.commit(deadline()));  // with nothing in it
    producer.close();
  }
  EXPECT_THAT(
      values(read_all(topic, 2)),
      UnorderedElementsAre("new-a0", "new-b0", "new-a2", "new-b2", "new-a4", "new-b4", "new-c4",
                           "old-a0", "old-b0", "old-a2", "old-b2", "old-a4", "old-b4", "old-c4"));
  EXPECT_GT(read_all(topic, 2, IsolationLevel::kReadUncommitted).size(), 14);
}

TEST_F(ClusterTest, a_successor_fences_its_predecessor_and_aborts_its_transaction) {
  const std::string topic = create_topic("fenced");
  const std::shared_ptr<Cluster> other = new_cluster();
  TransactionalProducer zombie = transactional(name("tx"), cluster_);
  good(zombie.init_transactions(deadline()));
  good(zombie.begin());
  good(zombie.append(zombie.slot({topic, PartitionIndex(0)}), record("k", "zombie")));
  good(zombie.flush(deadline()));

  TransactionalProducer successor = transactional(name("tx"), other);
  good(successor.init_transactions(deadline()));
  good(successor.begin());
  good(successor.append(successor.slot({topic, PartitionIndex(0)}), record("k", "successor")));
  good(successor.commit(deadline()));

  const Status late = run(zombie.commit(deadline()));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ErrorCode::kFenced) << late.error().text;
  EXPECT_EQ(late.error().recovery, Recovery::kFatal);
  EXPECT_EQ(zombie.state(), State::kUninitialised);
  EXPECT_THAT(values(read_all(topic)), ElementsAre("successor"));
  other->close();
}

TEST_F(ClusterTest, offsets_move_with_the_transaction_or_not_at_all) {
  const std::string topic = create_topic("offsets");
  const TopicPartition input{topic, PartitionIndex(0)};
  Admin admin(cluster_);
  for (const bool force_version_1 : {false, true}) {
    const std::string group = name(force_version_1 ? "group-v1" : "group");
    TransactionalProducer producer =
        transactional(name(force_version_1 ? "tx-v1" : "tx"), cluster_, force_version_1);
    good(producer.init_transactions(deadline()));
    const PartitionSlot slot = producer.slot(input);
    const auto committed = [&] {
      return value(admin.committed(group, {input}, deadline())).at(0).offset;
    };
    EXPECT_EQ(committed(), kNoOffset);
    good(producer.begin());
    good(producer.append(slot, record("k", "v")));
    good(producer.send_offsets({.group_id = group}, {{input, Offset(7)}}));
    good(producer.commit(deadline()));
    EXPECT_EQ(committed(), Offset(7));
    good(producer.begin());
    good(producer.append(slot, record("k", "w")));
    good(producer.send_offsets({.group_id = group}, {{input, Offset(9)}}));
    good(producer.abort(deadline()));
    EXPECT_EQ(committed(), Offset(7));
    good(producer.begin());
    good(producer.send_offsets({.group_id = group}, {{input, Offset(11)}}));
    good(producer.commit(deadline()));
    EXPECT_EQ(committed(), Offset(11));
    producer.close();
  }
}

TEST_F(ClusterTest, a_transaction_with_a_refused_batch_moves_nothing) {
  const std::string topic = create_topic("whole");
  const std::string compacted = name("compacted");
  Admin admin(cluster_);
  good(admin.create_topic({.name = compacted, .configs = {{"cleanup.policy", "compact"}}},
                          deadline()));
  const TopicPartition input{topic, PartitionIndex(0)};
  for (const bool force_version_1 : {false, true}) {
    TransactionalProducer producer =
        transactional(name(force_version_1 ? "tx-v1" : "tx"), cluster_, force_version_1);
    good(producer.init_transactions(deadline()));
    good(producer.begin());
    good(producer.append(producer.slot(input), record("k", "before")));
    // A compacted topic takes no record without a key.
    good(producer.append(producer.slot({compacted, PartitionIndex(0)}),
                         {.timestamp_ms = 1, .value = as_bytes("refused")}));
    good(producer.append(producer.slot(input), record("k", "after")));
    good(producer.send_offsets({.group_id = name("group")}, {{input, Offset(5)}}));
    const Status status = run(producer.commit(deadline()));
    ASSERT_FALSE(status);
    // The same again would be refused again; the producer itself goes on after an abort.
    EXPECT_EQ(status.error().code, ErrorCode::kRefused) << status.error().text;
    EXPECT_EQ(status.error().recovery, Recovery::kFatal) << status.error().text;
    good(producer.abort(deadline()));
    good(producer.begin());
    good(producer.append(producer.slot(input), record("k", "next")));
    good(producer.commit(deadline()));
    producer.close();
  }
  EXPECT_THAT(values(read_all(topic)), ElementsAre("next", "next"));
  EXPECT_EQ(value(admin.committed(name("group"), {input}, deadline())).at(0).offset, kNoOffset);
}

TEST_F(ClusterTest, a_commit_is_written_at_once_where_the_broker_says_so) {
  const std::string topic = create_topic("pipelined");
  const auto connection = run(cluster_->any_connection(cluster_->new_channel(), deadline()));
  ASSERT_TRUE(connection);
  TransactionalProducer producer = transactional(name("tx"), cluster_);
  good(producer.init_transactions(deadline()));
  EXPECT_EQ(producer.is_pipelined(),
            (*connection)->features().supports(kPipelinedTransactionsFeature));
  for (int index = 0; index < 200; ++index) {
    good(producer.begin());
    good(producer.append(producer.slot({topic, PartitionIndex(0)}),
                         record("k", std::to_string(index))));
    good(producer.commit(deadline()));
  }
  EXPECT_EQ(read_all(topic).size(), 200);
}

TEST_F(ClusterTest, a_generation_that_has_passed_cannot_commit_its_offsets) {
  const std::string topic = create_topic("generation");
  const TopicPartition input{topic, PartitionIndex(0)};
  ConsumerGroup group(cluster_, {.group_id = name("group")}, {topic});
  group.start();
  GroupEvent event = value(group.next_event(deadline()));
  ASSERT_EQ(event.kind, GroupEvent::Kind::kAssigned);
  EXPECT_THAT(event.partitions, ElementsAre(input));

  TransactionalProducer producer = transactional(name("tx"), cluster_);
  good(producer.init_transactions(deadline()));
  good(producer.begin());
  good(producer.append(producer.slot(input), record("k", "good")));
  good(producer.send_offsets(event.metadata, {{input, Offset(1)}}));
  good(producer.commit(deadline()));

  GroupMetadata stale = event.metadata;
  stale.generation = stale.generation - 1;
  good(producer.begin());
  good(producer.append(producer.slot(input), record("k", "stale")));
  good(producer.send_offsets(stale, {{input, Offset(2)}}));
  const Status refused = run(producer.commit(deadline()));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kFenced) << refused.error().text;
  EXPECT_EQ(refused.error().recovery, Recovery::kAbort);
  good(producer.abort(deadline()));
  EXPECT_EQ(value(group.committed({input}, deadline())).at(0).offset, Offset(1));
  good(producer.begin());
  good(producer.append(producer.slot(input), record("k", "after")));
  good(producer.commit(deadline()));
  EXPECT_THAT(values(read_all(topic)), ElementsAre("good", "after"));
}

TEST_F(ClusterTest, members_share_the_partitions_and_hand_them_over) {
  const std::string topic = create_topic("shared", 4);
  const GroupOptions options{.group_id = name("group"),
                             .session_timeout = seconds(10),
                             .heartbeat_interval = milliseconds(100)};
  ConsumerGroup first(cluster_, options, {topic});
  first.start();
  GroupEvent event = value(first.next_event(deadline()));
  ASSERT_EQ(event.kind, GroupEvent::Kind::kAssigned);
  EXPECT_EQ(event.partitions.size(), 4);
  const GenerationId generation = event.metadata.generation;

  ConsumerGroup second(cluster_, options, {topic});
  second.start();
  event = value(first.next_event(deadline()));
  ASSERT_EQ(event.kind, GroupEvent::Kind::kRevoked);
  EXPECT_EQ(event.metadata.generation, generation);
  // Until it gives up, the member's commits count.
  good(first.commit(event.metadata, {{event.partitions[0], Offset(5)}}, deadline()));
  first.give_up();
  event = value(first.next_event(deadline()));
  ASSERT_EQ(event.kind, GroupEvent::Kind::kAssigned);
  EXPECT_EQ(event.partitions.size(), 2);
  EXPECT_GT(event.metadata.generation, generation);
  const GroupEvent others = value(second.next_event(deadline()));
  ASSERT_EQ(others.kind, GroupEvent::Kind::kAssigned);
  std::set<TopicPartition> all(event.partitions.begin(), event.partitions.end());
  all.insert(others.partitions.begin(), others.partitions.end());
  EXPECT_EQ(all.size(), 4);
  EXPECT_EQ(value(second.committed({{topic, PartitionIndex(0)}}, deadline())).at(0).offset,
            Offset(5));
  Admin admin(cluster_);
  const GroupDescription description = value(admin.describe_group(options.group_id, deadline()));
  EXPECT_EQ(description.state, "Stable");
  EXPECT_EQ(description.members.size(), 2);

  run([](ConsumerGroup& group, MonotonicTime until) -> Task<int> {
    co_await group.leave(until);
    co_return 0;
  }(second, deadline()));
  event = value(first.next_event(deadline()));
  ASSERT_EQ(event.kind, GroupEvent::Kind::kRevoked);
  first.give_up();
  event = value(first.next_event(deadline()));
  ASSERT_EQ(event.kind, GroupEvent::Kind::kAssigned);
  EXPECT_EQ(event.partitions.size(), 4);
}

TEST_F(ClusterTest, a_static_member_comes_back_to_its_partitions_and_fences_its_double) {
  const std::string topic = create_topic("static", 2);
  const GroupOptions options{.group_id = name("group"),
                             .group_instance_id = "one",
                             .session_timeout = seconds(10),
                             .heartbeat_interval = milliseconds(100)};
  ConsumerGroup first(cluster_, options, {topic});
  first.start();
  const GroupEvent event = value(first.next_event(deadline()));
  ASSERT_EQ(event.kind, GroupEvent::Kind::kAssigned);
  ConsumerGroup again(cluster_, options, {topic});
  again.start();
  const GroupEvent event_again = value(again.next_event(deadline()));
  ASSERT_EQ(event_again.kind, GroupEvent::Kind::kAssigned);
  EXPECT_EQ(event_again.partitions, event.partitions);
  EXPECT_EQ(event_again.metadata.generation, event.metadata.generation);
  EXPECT_EQ(value(first.next_event(deadline())).kind, GroupEvent::Kind::kFenced);
  const auto end = run(first.next_event(deadline()));
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().code, ErrorCode::kFenced);
}

}  // namespace
}  // namespace onceflow::client
