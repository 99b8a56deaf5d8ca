// Requests that name much: their answers are those that the whole would have had, and others are
// served between two pieces of the work.
#include <gtest/gtest.h>

#include <filesystem>
#include <utility>

#include "broker/broker.h"
#include "broker/broker_testing.h"
#include "broker/pieces.h"
#include "protocol/messages/index.h"

namespace onceflow::broker {
namespace {

using protocol::ErrorCode;

constexpr std::int32_t kWide = 2 * static_cast<std::int32_t>(kPieceParts) + 7;
constexpr std::int32_t kMany = 40;

std::string name(std::int32_t number) { return "m" + std::to_string(number); }

/// A broker on a directory: the same one in slices, or not.
class TestBroker {
 public:
  TestBroker(const std::string& directory, std::size_t names_at_once_max) {
    BrokerOptions options;
    options.server.listen = {"127.0.0.1", 0};
    options.advertised = {"here", 1};
    options.log.directory = directory;
    options.names_at_once_max = names_at_once_max;
    options.slice_length = Duration(0);
    options.on_fatal = [](const Error& error) { ADD_FAILURE() << error.text; };
    broker_ = std::make_unique<Broker>(
        os_.environment(), std::make_unique<io::OsBlockingThread>(os_.loop()), std::move(options));
    EXPECT_TRUE(run_task(os_.loop(), broker_->start()));
  }
  ~TestBroker() {
    EXPECT_TRUE(run_task(os_.loop(), broker_->stop()));
    broker_.reset();
  }
  std::unique_ptr<RawClient> connect() {
    return std::make_unique<RawClient>(os_.loop(), os_.network(), broker_->local().port);
  }

 private:
  io::OsEnvironment os_;
  std::unique_ptr<Broker> broker_;
};

class PiecesTest : public ::testing::Test {
 protected:
  PiecesTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "onceflow-XXXXXX").string();
    EXPECT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  ~PiecesTest() override { std::filesystem::remove_all(directory_); }

  std::string directory_;
};

constexpr std::size_t kWhole = 1'000'000;

/// Calls `add(topic, partitions)` for each topic, the wide one, and one that is not there.
template <typename Topic, auto kName, auto kParts, typename Part>
std::vector<Topic> all_topics(Part part) {
  std::vector<Topic> topics;
  const auto add = [&](const std::string& called, std::int32_t count) {
    Topic& topic = topics.emplace_back();
    topic.*kName = called;
    for (std::int32_t index = 0; index < count; ++index) {
      (topic.*kParts).push_back(part(index));
    }
  };
  for (std::int32_t number = 0; number < kMany; ++number) {
    add(name(number), 2);
  }
  add("wide", kWide + 1);
  add("none", 1);
  return topics;
}

std::int32_t index_itself(std::int32_t index) { return index; }

void fill(RawClient& client) {
  protocol::CreateTopicsRequest topics;
  topics.topics.push_back({.name = "wide", .num_partitions = kWide, .replication_factor = 1});
  for (std::int32_t number = 0; number < kMany; ++number) {
    topics.topics.push_back({.name = name(number), .num_partitions = 2, .replication_factor = 1});
  }
  const auto created = client.call(topics, 7);
  ASSERT_EQ(created->topics.size(), 1u + kMany);
  for (const auto& topic : created->topics) {
    EXPECT_EQ(topic.error_code, ErrorCode::kNone) << topic.name;
    EXPECT_TRUE(topic.configs.has_value()) << "few topics are described, in pieces too";
  }
  using Commit = protocol::OffsetCommitRequest;
  for (const char* const group : {"g", "h"}) {
    Commit commit;
    commit.group_id = group;
    commit.topics = all_topics<Commit::Topic, &Commit::Topic::name, &Commit::Topic::partitions>(
        [](std::int32_t index) {
          return Commit::Partition{.partition_index = index, .committed_offset = 7 + index};
        });
    client.call(commit, 7);
  }
}

std::vector<Buffer> answers_to_all(RawClient& client) {
  std::vector<Buffer> answers;
  const auto ask = [&](const auto& request, std::int16_t version) {
    client.send(request, version);
    answers.push_back(client.receive().value_or(Buffer{}));
    EXPECT_FALSE(answers.back().empty()) << "answer " << answers.size();
  };
  protocol::MetadataRequest metadata;
  metadata.topics.reset();
  ask(metadata, 9);
  metadata.allow_auto_topic_creation = false;
  metadata.topics.emplace();
  ask(metadata, 0);
  metadata.topics->push_back({.name = "none"});
  for (std::int32_t number = kMany; number > 0; --number) {
    metadata.topics->push_back({.name = name(number)});
  }
  metadata.topics->push_back({.name = "wide"});
  ask(metadata, 9);

  using List = protocol::ListOffsetsRequest;
  List list;
  list.topics =
      all_topics<List::Topic, &List::Topic::name, &List::Topic::partitions>([](std::int32_t index) {
        return List::Partition{.partition_index = index, .timestamp = -1};
      });
  ask(list, 5);
  using Epochs = protocol::OffsetForLeaderEpochRequest;
  Epochs epochs;
  epochs.topics = all_topics<Epochs::Topic, &Epochs::Topic::topic, &Epochs::Topic::partitions>(
      [](std::int32_t index) { return Epochs::Partition{.partition = index}; });
  ask(epochs, 3);
  using Fetch = protocol::OffsetFetchRequest;
  Fetch fetch;
  fetch.group_id = "g";
  fetch.topics =
      all_topics<Fetch::Topic, &Fetch::Topic::name, &Fetch::Topic::partition_indexes>(index_itself);
  ask(fetch, 7);
  Fetch groups;
  groups.groups.push_back({.group_id = "g"});
  for (const char* const group : {"h", "unknown", "g2"}) {
    groups.groups.push_back(
        {.group_id = group,
         .topics = all_topics<Fetch::GroupTopic, &Fetch::GroupTopic::name,
                              &Fetch::GroupTopic::partition_indexes>(index_itself)});
  }
  groups.groups.push_back({.group_id = "h2", .topics = std::vector<Fetch::GroupTopic>{}});
  ask(groups, 8);
  using Dirs = protocol::DescribeLogDirsRequest;
  Dirs dirs;
  ask(dirs, 1);  // version 4 tells of the room that is left, too
  dirs.topics =
      all_topics<Dirs::Topic, &Dirs::Topic::topic, &Dirs::Topic::partitions>(index_itself);
  ask(dirs, 1);
  using Producers = protocol::DescribeProducersRequest;
  Producers producers;
  producers.topics =
      all_topics<Producers::Topic, &Producers::Topic::name, &Producers::Topic::partition_indexes>(
          index_itself);
  ask(producers, 0);
  protocol::DescribeConfigsRequest configs;
  protocol::FindCoordinatorRequest coordinators;
  for (std::int32_t number = 0; number < kMany; ++number) {
    configs.resources.push_back({.resource_type = 2, .resource_name = name(number)});
    coordinators.coordinator_keys.push_back(name(number));
  }
  ask(configs, 3);
  ask(coordinators, 4);
  return answers;
}

TEST_F(PiecesTest, the_answers_are_those_to_the_whole) {
  {
    TestBroker broker(directory_, 1);
    fill(*broker.connect());
  }
  std::vector<Buffer> whole;
  {
    TestBroker broker(directory_, kWhole);
    whole = answers_to_all(*broker.connect());
  }
  TestBroker broker(directory_, 1);
  const std::vector<Buffer> in_pieces = answers_to_all(*broker.connect());
  ASSERT_EQ(in_pieces.size(), whole.size());
  for (std::size_t index = 0; index < whole.size(); ++index) {
    EXPECT_EQ(in_pieces[index], whole[index]) << "answer " << index;
  }
}

TEST_F(PiecesTest, what_changes_state_is_done_piece_by_piece) {
  TestBroker broker(directory_, 1);
  const auto client = broker.connect();
  fill(*client);
  protocol::CreatePartitionsRequest more;
  protocol::IncrementalAlterConfigsRequest alter;
  protocol::DeleteTopicsRequest remove;
  for (std::int32_t number = 0; number < kMany; ++number) {
    more.topics.push_back({.name = name(number), .count = 3});
    alter.resources.push_back(
        {.resource_type = 2,
         .resource_name = name(number),
         .configs = {{.name = "retention.ms", .config_operation = 0, .value = "777"}}});
    remove.topic_names.push_back(name(number));
  }
  using Delete = protocol::DeleteRecordsRequest;
  Delete records;
  records.topics = all_topics<Delete::Topic, &Delete::Topic::name, &Delete::Topic::partitions>(
      [](std::int32_t index) { return Delete::Partition{.partition_index = index}; });
  const auto cut_off = client->call(records, 1);
  ASSERT_EQ(cut_off->topics.size(), kMany + 2u);
  ASSERT_EQ(cut_off->topics[kMany].partitions.size(), kWide + 1u);
  EXPECT_EQ(cut_off->topics[kMany].partitions[kWide - 1].error_code, ErrorCode::kNone);
  EXPECT_EQ(cut_off->topics[kMany].partitions[kWide].error_code,
            ErrorCode::kUnknownTopicOrPartition);
  const auto added = client->call(more, 2);
  ASSERT_EQ(added->results.size(), std::size_t{kMany});
  const auto altered = client->call(alter, 1);
  ASSERT_EQ(altered->responses.size(), std::size_t{kMany});
  const auto removed = client->call(remove, 5);
  ASSERT_EQ(removed->responses.size(), std::size_t{kMany});
  for (std::int32_t number = 0; number < kMany; ++number) {
    const auto index = static_cast<std::size_t>(number);
    EXPECT_EQ(added->results[index].error_code, ErrorCode::kNone);
    EXPECT_EQ(altered->responses[index].error_code, ErrorCode::kNone);
    EXPECT_EQ(removed->responses[index].error_code, ErrorCode::kNone);
    EXPECT_EQ(removed->responses[index].name, name(number));
  }
  protocol::MetadataRequest all;
  all.topics.reset();
  EXPECT_EQ(client->call(all, 9)->topics.size(), 1u);
}

TEST_F(PiecesTest, others_are_served_between_two_of_them) {
  TestBroker broker(directory_, 500);
  const auto client = broker.connect();
  const auto other = broker.connect();
  fill(*client);
  protocol::DeleteRecordsRequest records;
  records.topics.emplace_back().name = "wide";
  for (std::int32_t index = 0; index < 9'000; ++index) {
    records.topics[0].partitions.push_back({.partition_index = index});
  }
  client->send(records, 1);
  other->send(protocol::HeartbeatRequest{.group_id = "none"}, 4);
  EXPECT_TRUE(other->receive());
  EXPECT_FALSE(client->receive(Duration(0))) << "all of it was done in one turn of the loop";
  EXPECT_TRUE(client->receive());
}

// What is asked for in one request is gone or changed when its turn comes.
TEST_F(PiecesTest, a_topic_that_goes_between_two_of_them_is_unknown) {
  TestBroker broker(directory_, 500);
  const auto client = broker.connect();
  const auto other = broker.connect();
  fill(*client);
  protocol::DescribeConfigsRequest configs;
  for (std::int32_t number = 0; number < 600; ++number) {
    configs.resources.push_back({.resource_type = 2, .resource_name = "none"});
    configs.resources.back().resource_name += std::to_string(number);
  }
  configs.resources.push_back({.resource_type = 2, .resource_name = "wide"});
  client->send(configs, 3);
  protocol::DeleteTopicsRequest remove;
  remove.topic_names.emplace_back("wide");
  EXPECT_EQ(other->call(remove, 5)->responses.at(0).error_code, ErrorCode::kNone);
  const auto described = client->receive_as<protocol::DescribeConfigsResponse>(3);
  ASSERT_EQ(described->results.size(), 601u);
  EXPECT_EQ(described->results.back().resource_name, "wide");
}

}  // namespace
}  // namespace onceflow::broker
