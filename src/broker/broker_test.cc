// The whole broker, over real sockets and a real directory, spoken to in frames.
#include "broker/broker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "broker/broker_testing.h"
#include "broker/watcher_testing.h"
#include "protocol/messages/index.h"
#include "protocol/record_batch_builder.h"

namespace onceflow::broker {
namespace {

using protocol::ErrorCode;
using testing::ElementsAre;
using testing::SizeIs;

// A folder of its own, removed at the end.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "onceflow-XXXXXX").string();
    const char* const made = mkdtemp(pattern.data());
    EXPECT_NE(made, nullptr);
    path_ = pattern;
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class BrokerTest : public testing::Test {
 protected:
  ~BrokerTest() override {
    clients_.clear();
    stop();
  }

  BrokerOptions options() const {
    BrokerOptions options;
    options.server.listen = {"127.0.0.1", 0};
    options.log.directory = directory_.path();
    options.coordinator.groups.initial_rebalance_delay = Duration(0);
    options.on_fatal = [](const Error& error) { ADD_FAILURE() << error.text; };
    return options;
  }
  void start() { start(options()); }
  void start(BrokerOptions options) {
    broker_ = std::make_unique<Broker>(
        os_.environment(), std::make_unique<io::OsBlockingThread>(os_.loop()), std::move(options));
    const Status started = run_task(os_.loop(), broker_->start());
    ASSERT_TRUE(started) << started.error().text;
  }
  void stop() {
    if (broker_) {
      EXPECT_TRUE(run_task(os_.loop(), broker_->stop()));
      broker_.reset();
    }
  }
  RawClient& connect() {
    return *clients_.emplace_back(
        std::make_unique<RawClient>(os_.loop(), os_.network(), broker_->local().port));
  }

  TopicId create(RawClient& client, const std::string& topic, std::int32_t partitions = 1) {
    protocol::CreateTopicsRequest request;
    request.topics.push_back(
        {.name = topic, .num_partitions = partitions, .replication_factor = 3});
    const auto response = client.call(request, 7);
    EXPECT_EQ(response->topics.at(0).error_code, ErrorCode::kNone);
    return response->topics.at(0).topic_id;
  }

  struct BatchOf {
    std::string value = "value";
    ProducerIdentity producer;
    std::int32_t sequence = -1;
    bool is_transactional = false;
  };
  static Buffer make_batch(const BatchOf& batch) {
    protocol::RecordBatchBuilder builder;
    builder.append({.timestamp_ms = 1000, .value = as_bytes(batch.value)});
    return builder.finish({.producer = batch.producer,
                           .base_sequence = Sequence(batch.sequence),
                           .is_transactional = batch.is_transactional});
  }
  struct ProduceTo {
    std::string topic = "t";
    std::int16_t version = 12;
    std::int16_t acks = -1;
    std::optional<std::string> transactional_id;
  };
  void send_batch(RawClient& client, const Buffer& batch, const ProduceTo& to) {
    protocol::ProduceRequest request;
    request.transactional_id = to.transactional_id;
    request.acks = to.acks;
    request.topic_data.push_back(
        {.name = to.topic, .partition_data = {{.index = 0, .records = ByteView(batch)}}});
    client.send(request, to.version);
  }
  using Produced = protocol::ProduceResponse::Partition;
  Produced produced(RawClient& client, std::int16_t version = 12) {
    const auto response = client.receive_as<protocol::ProduceResponse>(version);
    EXPECT_TRUE(response);
    return response ? response->responses.at(0).partition_responses.at(0) : Produced{};
  }
  Produced produce(RawClient& client, const BatchOf& batch) { return produce(client, batch, {}); }
  Produced produce(RawClient& client, const BatchOf& batch, const ProduceTo& to) {
    send_batch(client, make_batch(batch), to);
    return produced(client, to.version);
  }

  static protocol::FetchRequest fetch_of(const std::string& topic, const TopicId& id,
                                         std::int64_t offset) {
    protocol::FetchRequest request;
    request.max_wait_ms = 0;
    request.min_bytes = 1;
    request.session_epoch = -1;
    request.topics.push_back(
        {.topic = topic,
         .topic_id = id,
         .partitions = {{.partition = 0, .fetch_offset = offset, .partition_max_bytes = 1 << 20}}});
    return request;
  }

  ProducerIdentity init_producer(RawClient& client, const std::string& transactional_id) {
    protocol::InitProducerIdRequest request;
    request.transactional_id = transactional_id;
    request.transaction_timeout_ms = 60'000;
    const auto response = client.call(request, 5);
    EXPECT_EQ(response->error_code, ErrorCode::kNone);
    return {ProducerId(response->producer_id), ProducerEpoch(response->producer_epoch)};
  }
  static protocol::EndTxnRequest commit_of(const std::string& id, ProducerIdentity producer) {
    protocol::EndTxnRequest request;
    request.transactional_id = id;
    request.producer_id = producer.id.value;
    request.producer_epoch = producer.epoch.value;
    request.committed = true;
    return request;
  }

  TemporaryDirectory directory_;
  io::OsEnvironment os_;
  std::unique_ptr<Broker> broker_;
  std::vector<std::unique_ptr<RawClient>> clients_;
};

TEST_F(BrokerTest, what_was_produced_is_fetched_the_same) {
  start();
  RawClient& client = connect();
  const TopicId id = create(client, "t");
  EXPECT_EQ(produce(client, {.value = "one"}).base_offset, 0);
  EXPECT_EQ(produce(client, {.value = "two"}).base_offset, 1);
  const auto fetched = client.call(fetch_of("t", id, 1), 13);
  const auto& partition = fetched->responses.at(0).partitions.at(0);
  EXPECT_EQ(partition.high_watermark, 2);
  const auto batch = protocol::RecordBatchView::parse(*partition.records);
  ASSERT_TRUE(batch);
  EXPECT_EQ(batch->header().base_offset, Offset(1));
  EXPECT_TRUE(batch->crc_matches());
}

// The answer to a fetch is written by hand; the generated codec must read it, and write the same.
TEST_F(BrokerTest, a_fetch_is_answered_in_the_bytes_of_the_codec_in_every_version) {
  start();
  RawClient& client = connect();
  const TopicId id = create(client, "t");
  const TopicId empty_id = create(client, "empty");
  const ProducerIdentity producer = init_producer(client, "id");
  produce(client, {.producer = producer, .sequence = 0, .is_transactional = true},
          {.transactional_id = "id"});
  auto abort = commit_of("id", producer);
  abort.committed = false;
  ASSERT_EQ(client.call(abort, 5)->error_code, ErrorCode::kNone);
  for (std::int16_t version = 4; version <= protocol::FetchRequest::kVersionMax; ++version) {
    for (const std::int8_t isolation : {0, 1}) {
      protocol::FetchRequest request = fetch_of("t", id, 0);
      request.isolation_level = isolation;
      request.topics.push_back(fetch_of("empty", empty_id, 0).topics[0]);
      request.topics.back().partitions.push_back({.partition = 9});
      client.send(request, version, 77);
      const auto frame = client.receive();
      ASSERT_TRUE(frame);
      WireReader reader(*frame);
      ASSERT_TRUE(protocol::ResponseHeader::decode(
          reader, protocol::response_header_version(protocol::ApiKey::kFetch, version)));
      const auto response = protocol::FetchResponse::decode(reader, version);
      ASSERT_TRUE(response) << version;
      EXPECT_EQ(reader.remaining(), 0u);
      Buffer again;
      protocol::encode_response_frame(again, *response, version, 77);
      EXPECT_TRUE(equal(ByteView(again).subspan(4), *frame)) << version;
      const auto& partition = response->responses.at(0).partitions.at(0);
      EXPECT_EQ(partition.error_code, ErrorCode::kNone);
      EXPECT_EQ(partition.aborted_transactions.has_value(), isolation == 1);
      EXPECT_GT(partition.records->size(), 61u);
      EXPECT_EQ(response->responses.at(1).partitions.at(1).error_code,
                ErrorCode::kUnknownTopicOrPartition);
    }
  }
}

TEST_F(BrokerTest, a_fetch_waits_for_data_as_long_as_it_says) {
  start();
  RawClient& reader = connect();
  RawClient& writer = connect();
  const TopicId id = create(writer, "t");
  auto request = fetch_of("t", id, 0);
  request.max_wait_ms = 30;
  const auto empty = reader.call(request, 13);
  EXPECT_TRUE(empty->responses.at(0).partitions.at(0).records->empty());

  request.max_wait_ms = 20'000;
  reader.send(request, 13);
  EXPECT_FALSE(reader.receive(milliseconds(20)));
  EXPECT_EQ(broker_->status().parked_fetches, 1u);
  produce(writer, {});
  const auto woken = reader.receive_as<protocol::FetchResponse>(13);
  EXPECT_FALSE(woken->responses.at(0).partitions.at(0).records->empty());
  EXPECT_EQ(broker_->status().parked_fetches, 0u);
}

TEST_F(BrokerTest, a_fetch_waits_for_its_min_bytes) {
  start();
  RawClient& reader = connect();
  RawClient& writer = connect();
  const TopicId id = create(writer, "t");
  auto request = fetch_of("t", id, 0);
  request.max_wait_ms = 20'000;
  request.min_bytes = 1500;
  reader.send(request, 13);
  produce(writer, {.value = std::string(1000, 'a')});
  EXPECT_FALSE(reader.receive(milliseconds(20)));
  produce(writer, {.value = std::string(1000, 'b')});
  const auto woken = reader.receive_as<protocol::FetchResponse>(13);
  EXPECT_GT(woken->responses.at(0).partitions.at(0).records->size(), 2000u);
}

TEST_F(BrokerTest, a_fetch_hears_that_its_topic_is_gone) {
  start();
  RawClient& reader = connect();
  RawClient& writer = connect();
  const TopicId id = create(writer, "t");
  auto request = fetch_of("t", id, 0);
  request.max_wait_ms = 20'000;
  reader.send(request, 13);
  EXPECT_FALSE(reader.receive(milliseconds(20)));
  protocol::DeleteTopicsRequest deletion;
  deletion.topics.push_back({.name = "t"});
  EXPECT_EQ(writer.call(deletion, 6)->responses.at(0).error_code, ErrorCode::kNone);
  EXPECT_EQ(
      reader.receive_as<protocol::FetchResponse>(13)->responses.at(0).partitions.at(0).error_code,
      ErrorCode::kUnknownTopicId);
}

TEST_F(BrokerTest, the_fetch_of_a_closed_connection_is_forgotten) {
  start();
  RawClient& reader = connect();
  const TopicId id = create(reader, "t");
  auto request = fetch_of("t", id, 0);
  request.max_wait_ms = 2'000'000'000;
  reader.send(request, 13);
  ASSERT_TRUE(
      os_.loop().run_until([&] { return broker_->status().parked_fetches == 1; }, kTestPatience));
  reader.close();
  EXPECT_TRUE(
      os_.loop().run_until([&] { return broker_->status().parked_fetches == 0; }, kTestPatience));
}

TEST_F(BrokerTest, an_answer_to_a_fetch_has_a_bound_of_its_own) {
  start();
  RawClient& client = connect();
  const TopicId id = create(client, "t");
  for (std::size_t bytes = 0; bytes <= LargeAnswers::kBytesMax; bytes += 900'000) {
    produce(client, {.value = std::string(900'000, 'x')});
  }
  auto request = fetch_of("t", id, 0);
  request.max_bytes = request.topics[0].partitions[0].partition_max_bytes = 50 << 20;
  const auto fetched = client.call(request, 13);
  const std::size_t bytes = fetched->responses.at(0).partitions.at(0).records->size();
  EXPECT_LE(bytes, LargeAnswers::kBytesMax);
  EXPECT_GT(bytes, LargeAnswers::kBytesMax / 2);
}

// The first of each waits for data, so all are to be answered in the same turn.
TEST_F(BrokerTest, large_fetches_that_come_together_are_all_answered_in_their_order) {
  start();
  RawClient& writer = connect();
  const TopicId id = create(writer, "t");
  produce(writer, {.value = std::string(300'000, 'a')});
  auto request = fetch_of("t", id, 0);
  auto patient = request;
  patient.min_bytes = 500'000;
  patient.max_wait_ms = 20'000;
  std::vector<RawClient*> readers;
  for (int count = 0; count < 20; ++count) {
    readers.push_back(&connect());
    readers.back()->send(patient, 13, 1);
    readers.back()->send(patient, 13, 2);
    readers.back()->send(request, 13, 3);
    readers.back()->send(request, 13, 4);
  }
  produce(writer, {.value = std::string(300'000, 'b')});
  for (RawClient* const reader : readers) {
    for (std::int32_t correlation_id = 1; correlation_id <= 4; ++correlation_id) {
      const auto frame = reader->receive();
      ASSERT_TRUE(frame);
      EXPECT_EQ(wire::load_big_endian<std::int32_t>(frame->data()), correlation_id);
      EXPECT_GT(frame->size(), 300'000u);
    }
  }
}

// It is put off twice, for others are first, and is one request all the same.
TEST_F(BrokerTest, a_request_that_is_put_off_is_counted_once) {
  start();
  RawClient& writer = connect();
  const TopicId id = create(writer, "t");
  produce(writer, {.value = std::string(300'000, 'a')});
  Buffer frames;
  for (std::int32_t correlation_id = 0; correlation_id < 5; ++correlation_id) {
    protocol::encode_request_frame(frames, fetch_of("t", id, 0), 13, correlation_id, "test");
  }
  writer.send(ByteView(frames));
  for (int count = 0; count < 5; ++count) {
    ASSERT_TRUE(writer.receive());
  }
  EXPECT_EQ(broker_->status().counters.apis.at(protocol::ApiKey::kFetch).requests, 5u);
}

TEST_F(BrokerTest, a_version_of_api_versions_that_we_lack_is_answered_in_the_oldest_form) {
  start();
  RawClient& client = connect();
  Buffer frame;
  WireWriter writer(frame);
  const std::size_t begin = protocol::begin_frame(writer);
  protocol::RequestHeader{protocol::ApiKey::kApiVersions, 99, 5, "x"}.encode(writer, 2);
  protocol::finish_frame(writer, begin);
  client.send(ByteView(frame));
  const auto response = client.receive_as<protocol::ApiVersionsResponse>(0);
  ASSERT_TRUE(response);
  EXPECT_EQ(response->error_code, ErrorCode::kUnsupportedVersion);
  ASSERT_THAT(response->api_keys, SizeIs(1));
  EXPECT_EQ(response->api_keys[0].api_key, 18);

  protocol::ApiVersionsRequest request;
  request.client_software_name = "a";
  request.client_software_version = "1";
  const auto v3 = client.call(request, 3);
  EXPECT_EQ(v3->api_keys.at(0).min_version, 0);
  EXPECT_EQ(v3->finalized_features.at(0).max_version_level, 2);
  for (const auto& feature : v3->supported_features) {
    EXPECT_GT(feature.min_version, 0);
  }
  request.client_software_name = "-bad";
  EXPECT_EQ(client.call(request, 3)->error_code, ErrorCode::kInvalidRequest);
}

TEST_F(BrokerTest, a_version_that_we_lack_closes) {
  start();
  RawClient& client = connect();
  Buffer frame;
  WireWriter writer(frame);
  const std::size_t begin = protocol::begin_frame(writer);
  protocol::RequestHeader{protocol::ApiKey::kProduce, 2, 5, "x"}.encode(writer, 1);
  protocol::finish_frame(writer, begin);
  client.send(ByteView(frame));
  EXPECT_TRUE(client.is_closed());
}

TEST_F(BrokerTest, without_acks_there_is_no_answer_and_an_error_closes) {
  start();
  RawClient& client = connect();
  create(client, "t");
  send_batch(client, make_batch({}), {.acks = 0});
  EXPECT_EQ(produce(client, {}).base_offset, 1);
  send_batch(client, make_batch({}), {.topic = "unknown", .acks = 0});
  EXPECT_TRUE(client.is_closed());
}

TEST_F(BrokerTest, a_wrong_batch_gets_the_error_of_the_table) {
  start();
  RawClient& client = connect();
  create(client, "t");
  Buffer batch = make_batch({});
  batch.back() ^= std::byte{1};
  send_batch(client, batch, {});
  EXPECT_EQ(produced(client).error_code, ErrorCode::kCorruptMessage);
  send_batch(client, {}, {});
  EXPECT_EQ(produced(client).error_code, ErrorCode::kInvalidRecord);
  send_batch(client, make_batch({}), {.acks = 2});
  EXPECT_EQ(produced(client).error_code, ErrorCode::kInvalidRequiredAcks);
  EXPECT_EQ(produce(client, {}, {.topic = "unknown"}).error_code,
            ErrorCode::kUnknownTopicOrPartition);
  EXPECT_EQ(produce(client, {.value = std::string(2'000'000, 'x')}).error_code,
            ErrorCode::kMessageTooLarge);
  EXPECT_EQ(produce(client, {}).base_offset, 0);
}

TEST_F(BrokerTest, what_a_request_unpacks_to_is_bounded_and_the_rest_is_taken_when_it_comes_again) {
  start();
  RawClient& client = connect();
  create(client, "t", 4);
  const ProducerIdentity producer = init_producer(client, "id");
  protocol::RecordBatchBuilder builder;
  const Buffer value(std::size_t{100} << 20, std::byte{'x'});
  builder.append({.timestamp_ms = 1000, .value = ByteView(value)});
  const Buffer batch = builder.finish({.producer = producer,
                                       .base_sequence = Sequence(0),
                                       .is_transactional = true,
                                       .codec = protocol::CompressionCodec::kZstd});
  const auto produce_to = [&](const std::vector<std::int32_t>& partitions) {
    protocol::ProduceRequest request;
    request.transactional_id = "id";
    request.acks = -1;
    auto& topic = request.topic_data.emplace_back();
    topic.name = "t";
    for (const std::int32_t index : partitions) {
      topic.partition_data.push_back({.index = index, .records = ByteView(batch)});
    }
    const auto response = client.call(request, 12);
    std::vector<ErrorCode> codes;
    for (const auto& partition : response->responses.at(0).partition_responses) {
      codes.push_back(partition.error_code);
    }
    return codes;
  };
  EXPECT_THAT(produce_to({0, 1, 2, 3}),
              ElementsAre(ErrorCode::kNone, ErrorCode::kNone, ErrorCode::kRequestTimedOut,
                          ErrorCode::kRequestTimedOut));
  // All of them are sent again, as by a client that has lost the answer.
  EXPECT_THAT(produce_to({2, 3}), ElementsAre(ErrorCode::kNone, ErrorCode::kNone));
  EXPECT_EQ(client.call(commit_of("id", producer), 5)->error_code, ErrorCode::kNone);
}

TEST_F(BrokerTest, a_whole_transaction_may_be_written_at_once) {
  start();
  RawClient& client = connect();
  create(client, "t");
  const ProducerIdentity producer = init_producer(client, "id");
  const ProduceTo to{.transactional_id = "id"};
  for (const std::int32_t sequence : {0, 1}) {
    send_batch(client,
               make_batch({.producer = producer, .sequence = sequence, .is_transactional = true}),
               to);
  }
  client.send(commit_of("id", producer), 5);
  EXPECT_EQ(produced(client).base_offset, 0);
  EXPECT_EQ(produced(client).base_offset, 1);
  const auto ended = client.receive_as<protocol::EndTxnResponse>(5);
  EXPECT_EQ(ended->error_code, ErrorCode::kNone);
  EXPECT_EQ(ended->producer_epoch, producer.epoch.value + 1);
  EXPECT_EQ(broker_->status().counters.committed_transactions, 1u);
}

TEST_F(BrokerTest, a_commit_behind_a_refused_batch_is_refused) {
  start();
  RawClient& client = connect();
  create(client, "t");
  const ProducerIdentity producer = init_producer(client, "id");
  const ProduceTo to{.transactional_id = "id"};
  send_batch(client, make_batch({.producer = producer, .sequence = 0, .is_transactional = true}),
             to);
  send_batch(client, make_batch({.producer = producer, .sequence = 7, .is_transactional = true}),
             to);
  client.send(commit_of("id", producer), 5);
  EXPECT_EQ(produced(client).error_code, ErrorCode::kNone);
  EXPECT_EQ(produced(client).error_code, ErrorCode::kOutOfOrderSequenceNumber);
  EXPECT_EQ(client.receive_as<protocol::EndTxnResponse>(5)->error_code,
            ErrorCode::kTransactionAbortable);
  auto abort = commit_of("id", producer);
  abort.committed = false;
  EXPECT_EQ(client.call(abort, 5)->error_code, ErrorCode::kNone);
}

// A batch that came before its turn is sent again, and nothing is missing then.
TEST_F(BrokerTest, a_commit_behind_a_batch_that_was_refused_and_sent_again_succeeds) {
  start();
  RawClient& client = connect();
  create(client, "t");
  ProducerIdentity producer = init_producer(client, "id");
  const ProduceTo to{.transactional_id = "id"};
  const auto batch = [&](std::int32_t sequence) {
    return BatchOf{.producer = producer, .sequence = sequence, .is_transactional = true};
  };
  EXPECT_EQ(produce(client, batch(1), to).error_code, ErrorCode::kOutOfOrderSequenceNumber);
  EXPECT_EQ(produce(client, batch(2), to).error_code, ErrorCode::kOutOfOrderSequenceNumber);
  EXPECT_EQ(produce(client, batch(0), to).error_code, ErrorCode::kNone);
  EXPECT_EQ(produce(client, batch(1), to).error_code, ErrorCode::kNone);
  EXPECT_EQ(client.call(commit_of("id", producer), 5)->error_code,
            ErrorCode::kTransactionAbortable);
  EXPECT_EQ(produce(client, batch(2), to).error_code, ErrorCode::kNone);
  const auto committed = client.call(commit_of("id", producer), 5);
  EXPECT_EQ(committed->error_code, ErrorCode::kNone);

  producer = {ProducerId(committed->producer_id), ProducerEpoch(committed->producer_epoch)};
  const ProduceTo later{.topic = "later", .transactional_id = "id"};
  EXPECT_EQ(produce(client, batch(0), later).error_code, ErrorCode::kUnknownTopicOrPartition);
  create(client, "later");
  EXPECT_EQ(client.call(commit_of("id", producer), 5)->error_code,
            ErrorCode::kTransactionAbortable);
  EXPECT_EQ(produce(client, batch(0), later).error_code, ErrorCode::kNone);
  EXPECT_EQ(client.call(commit_of("id", producer), 5)->error_code, ErrorCode::kNone);
}

TEST_F(BrokerTest, an_old_batch_that_comes_once_more_too_late_leaves_no_doubt) {
  start();
  RawClient& client = connect();
  create(client, "t");
  const ProducerIdentity producer = init_producer(client, "id");
  const ProduceTo to{.transactional_id = "id"};
  const auto batch = [&](std::int32_t sequence) {
    return BatchOf{.producer = producer, .sequence = sequence, .is_transactional = true};
  };
  for (std::int32_t sequence = 0; sequence < 7; ++sequence) {
    EXPECT_EQ(produce(client, batch(sequence), to).error_code, ErrorCode::kNone);
  }
  EXPECT_EQ(produce(client, batch(0), to).error_code, ErrorCode::kOutOfOrderSequenceNumber);
  EXPECT_EQ(client.call(commit_of("id", producer), 5)->error_code, ErrorCode::kNone);
}

// Only the broker's own timer runs: nobody asks for anything while the sessions end.
TEST_F(BrokerTest, members_that_are_gone_leave_their_groups_empty_without_a_request) {
  BrokerOptions quick = options();
  quick.coordinator.groups.session_timeout_min = milliseconds(1);
  start(std::move(quick));
  RawClient& client = connect();
  const std::vector<std::string> groups = {"g1", "g2", "g3"};
  for (const std::string& group : groups) {
    protocol::JoinGroupRequest join;
    join.group_id = group;
    join.group_instance_id = "instance";
    join.protocol_type = "consumer";
    join.session_timeout_ms = 300;
    join.rebalance_timeout_ms = 60'000;
    join.protocols.push_back({.name = "range"});
    const auto joined = client.call(join, 5);
    ASSERT_EQ(joined->error_code, ErrorCode::kNone);
    protocol::SyncGroupRequest sync;
    sync.group_id = group;
    sync.group_instance_id = "instance";
    sync.member_id = joined->member_id;
    sync.generation_id = joined->generation_id;
    ASSERT_EQ(client.call(sync, 3)->error_code, ErrorCode::kNone);
  }
  Watcher watcher(os_.loop(), *broker_);
  EXPECT_TRUE(os_.loop().run_until(
      [&] {
        const auto& listed = watcher.look().groups();
        return listed.size() == groups.size() && std::ranges::all_of(listed, [](const auto& group) {
                 return group.second.state == "Empty";
               });
      },
      kTestPatience));
}

TEST_F(BrokerTest, a_member_whose_connection_ends_while_it_joins_is_gone_after_its_session) {
  BrokerOptions slow = options();
  slow.coordinator.groups.session_timeout_min = milliseconds(1);
  slow.coordinator.groups.initial_rebalance_delay = milliseconds(100);
  start(std::move(slow));
  RawClient& client = connect();
  protocol::JoinGroupRequest join;
  join.group_id = "g";
  join.group_instance_id = "instance";
  join.protocol_type = "consumer";
  join.session_timeout_ms = 200;
  join.rebalance_timeout_ms = 60'000;
  join.protocols.push_back({.name = "range"});
  client.send(join, 5);
  Watcher watcher(os_.loop(), *broker_);
  EXPECT_TRUE(
      os_.loop().run_until([&] { return !watcher.look().groups().empty(); }, kTestPatience));
  client.close();
  EXPECT_TRUE(os_.loop().run_until([&] { return watcher.look().groups().at("g").state == "Empty"; },
                                   kTestPatience));
}

TEST_F(BrokerTest, a_retry_appends_nothing_also_after_the_transaction_has_ended) {
  start();
  RawClient& client = connect();
  create(client, "t");
  const ProducerIdentity producer = init_producer(client, "id");
  protocol::AddPartitionsToTxnRequest add;
  add.v3_and_below_transactional_id = "id";
  add.v3_and_below_producer_id = producer.id.value;
  add.v3_and_below_producer_epoch = producer.epoch.value;
  add.v3_and_below_topics.push_back({.name = "t", .partitions = {0}});
  ASSERT_TRUE(client.call(add, 3));
  const BatchOf batch{.producer = producer, .sequence = 0, .is_transactional = true};
  const ProduceTo v1{.version = 9, .transactional_id = "id"};
  EXPECT_EQ(produce(client, batch, v1).base_offset, 0);
  ASSERT_EQ(client.call(commit_of("id", producer), 3)->error_code, ErrorCode::kNone);
  const Produced again = produce(client, batch, v1);
  EXPECT_EQ(again.error_code, ErrorCode::kNone);
  EXPECT_EQ(again.base_offset, 0);
  EXPECT_EQ(broker_->status().counters.duplicate_batches, 1u);
  // A new batch outside of a transaction is refused.
  EXPECT_EQ(produce(client, {.producer = producer, .sequence = 1, .is_transactional = true}, v1)
                .error_code,
            ErrorCode::kInvalidTxnState);
}

TEST_F(BrokerTest, all_is_there_after_a_restart) {
  start();
  RawClient& client = connect();
  const TopicId id = create(client, "t");
  const ProducerIdentity producer = init_producer(client, "id");
  const ProduceTo to{.transactional_id = "id"};
  const BatchOf batch{.producer = producer, .sequence = 0, .is_transactional = true};
  ASSERT_EQ(produce(client, batch, to).error_code, ErrorCode::kNone);
  const std::string cluster_id = broker_->status().cluster_id;
  EXPECT_THAT(cluster_id, SizeIs(22));
  clients_.clear();
  stop();

  start();
  EXPECT_EQ(broker_->status().cluster_id, cluster_id);
  ASSERT_THAT(broker_->status().open_transactions, SizeIs(1));
  RawClient& later = connect();
  EXPECT_EQ(produce(later, batch, to).base_offset, 0);
  EXPECT_EQ(broker_->status().counters.duplicate_batches, 1u);
  const auto fetched = later.call(fetch_of("t", id, 0), 13);
  EXPECT_EQ(fetched->responses.at(0).partitions.at(0).high_watermark, 1);
  EXPECT_EQ(fetched->responses.at(0).partitions.at(0).last_stable_offset, 0);
  EXPECT_EQ(later.call(commit_of("id", producer), 5)->error_code, ErrorCode::kNone);
}

TEST_F(BrokerTest, a_directory_or_an_address_in_use_is_said_plainly) {
  start();
  Broker same_directory(os_.environment(), std::make_unique<io::OsBlockingThread>(os_.loop()),
                        options());
  const Status locked = run_task(os_.loop(), same_directory.start());
  ASSERT_FALSE(locked);
  EXPECT_EQ(locked.error().code, onceflow::ErrorCode::kLocked) << locked.error().text;
  EXPECT_TRUE(run_task(os_.loop(), same_directory.stop()));

  const TemporaryDirectory other;
  BrokerOptions same_port = options();
  same_port.log.directory = other.path();
  same_port.server.listen.port = broker_->local().port;
  Broker in_use(os_.environment(), std::make_unique<io::OsBlockingThread>(os_.loop()),
                std::move(same_port));
  const Status refused = run_task(os_.loop(), in_use.start());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, onceflow::ErrorCode::kAddressInUse);
  EXPECT_TRUE(run_task(os_.loop(), in_use.stop()));
}

TEST_F(BrokerTest, a_directory_of_another_node_is_refused) {
  start();
  stop();
  BrokerOptions other = options();
  other.node_id = 2;
  Broker broker(os_.environment(), std::make_unique<io::OsBlockingThread>(os_.loop()),
                std::move(other));
  const Status refused = run_task(os_.loop(), broker.start());
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().text, testing::HasSubstr("belongs to node 1"));
  EXPECT_TRUE(run_task(os_.loop(), broker.stop()));
}

// Every API, in every version, with a body of noise: an answer or a closed connection, nothing
// else.
TEST_F(BrokerTest, noise_in_any_request_harms_nobody_else) {
  start();
  RawClient& bystander = connect();
  create(bystander, "t");
  std::uint64_t state = 20261121;
  const auto noise = [&state] {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<std::uint8_t>(state >> 33);
  };
  for (const Api& api : api_table()) {
    for (std::int16_t version = api.version_min; version <= api.version_max; ++version) {
      RawClient client(os_.loop(), os_.network(), broker_->local().port);
      Buffer frame;
      WireWriter writer(frame);
      const std::size_t begin = protocol::begin_frame(writer);
      protocol::RequestHeader{api.key, version, 1, "noise"}.encode(writer);
      for (int count = noise() % 64; count > 0; --count) {
        // Small numbers get further than large ones.
        writer.write_int8(static_cast<std::int8_t>(noise() % 4 == 0 ? noise() : noise() % 3));
      }
      protocol::finish_frame(writer, begin);
      client.send(ByteView(frame));
      client.receive(milliseconds(1));
    }
  }
  EXPECT_EQ(produce(bystander, {}).base_offset, 0);
}

TEST_F(BrokerTest, status_counts_what_has_been_done) {
  start();
  RawClient& client = connect();
  create(client, "t", 2);
  produce(client, {.value = "x"});
  produce(client, {}, {.topic = "unknown"});
  const BrokerStatus status = broker_->status();
  EXPECT_EQ(status.topic_count, 1u);
  EXPECT_EQ(status.counters.produced_records, 1u);
  EXPECT_EQ(status.counters.apis.at(protocol::ApiKey::kProduce).requests, 2u);
  EXPECT_EQ(status.counters.apis.at(protocol::ApiKey::kProduce)
                .errors.at(ErrorCode::kUnknownTopicOrPartition),
            1u);
  EXPECT_EQ(status.counters.produce_latency.count(), 2u);
  EXPECT_EQ(status.server.open_connections, 1u);
}

}  // namespace
}  // namespace onceflow::broker
