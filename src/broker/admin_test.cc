// What administrators ask of a broker: configurations, records and offsets that go, directories,
// access rules, and what may be done.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>

#include "broker/broker.h"
#include "broker/broker_testing.h"
#include "broker/watcher_testing.h"
#include "protocol/messages/index.h"
#include "protocol/record_batch_builder.h"

namespace onceflow::broker {
namespace {

using protocol::ErrorCode;
using testing::HasSubstr;

constexpr std::int8_t kTopic = 2;
constexpr std::int8_t kBroker = 4;
constexpr std::int8_t kSet = 0;
constexpr std::int8_t kDelete = 1;
constexpr std::int8_t kAppend = 2;
constexpr std::int8_t kSubtract = 3;

class AdminTest : public testing::Test {
 protected:
  AdminTest() {
    char name[] = "/tmp/onceflow_admin_test_XXXXXX";
    EXPECT_NE(mkdtemp(name), nullptr);
    directory_ = name;
  }
  ~AdminTest() override {
    client_.reset();
    stop();
    std::filesystem::remove_all(directory_);
  }

  void start(std::function<void(BrokerOptions&)> change = {}) {
    BrokerOptions options;
    options.server.listen = {"127.0.0.1", 0};
    options.log.directory = directory_;
    options.coordinator.groups.initial_rebalance_delay = Duration(0);
    options.on_fatal = [](const Error& error) { ADD_FAILURE() << error.text; };
    options.on_notice = [this](const Error& error) { notices_ += error.text + "\n"; };
    if (change) {
      change(options);
    }
    broker_ = std::make_unique<Broker>(
        os_.environment(), std::make_unique<io::OsBlockingThread>(os_.loop()), std::move(options));
    ASSERT_TRUE(run_task(os_.loop(), broker_->start()));
    client_ = std::make_unique<RawClient>(os_.loop(), os_.network(), broker_->local().port);
  }
  void stop() {
    if (broker_) {
      EXPECT_TRUE(run_task(os_.loop(), broker_->stop()));
      broker_.reset();
    }
  }
  void restart() {
    client_.reset();
    stop();
    start();
  }

  void create(const std::string& topic, std::int32_t partitions = 1) {
    protocol::CreateTopicsRequest request;
    request.topics.push_back(
        {.name = topic, .num_partitions = partitions, .replication_factor = 1});
    EXPECT_EQ(client_->call(request, 7)->topics.at(0).error_code, ErrorCode::kNone);
  }
  using Produced = protocol::ProduceResponse::Partition;
  Produced produce(const std::string& topic, std::size_t value_bytes = 5,
                   std::int64_t timestamp_ms = -1) {
    protocol::RecordBatchBuilder builder;
    const std::string value(value_bytes, 'v');
    builder.append({.timestamp_ms = timestamp_ms < 0 ? os_.loop().wall_now().ms : timestamp_ms,
                    .value = as_bytes(value)});
    const Buffer batch = builder.finish({});
    protocol::ProduceRequest request;
    request.acks = -1;
    request.topic_data.push_back(
        {.name = topic, .partition_data = {{.index = 0, .records = ByteView(batch)}}});
    return client_->call(request, 10)->responses.at(0).partition_responses.at(0);
  }

  struct Change {
    std::string key;
    std::int8_t operation = kSet;
    std::optional<std::string> value;
  };
  using Altered = protocol::IncrementalAlterConfigsResponse::Resource;
  Altered alter(const std::string& topic, const std::vector<Change>& changes,
                bool validate_only = false, std::int8_t type = kTopic) {
    protocol::IncrementalAlterConfigsRequest request;
    auto& resource = request.resources.emplace_back();
    resource.resource_type = type;
    resource.resource_name = topic;
    for (const Change& change : changes) {
      resource.configs.push_back(
          {.name = change.key, .config_operation = change.operation, .value = change.value});
    }
    request.validate_only = validate_only;
    return client_->call(request, 1)->responses.at(0);
  }
  using Config = protocol::DescribeConfigsResponse::Config;
  std::map<std::string, Config> describe(const std::string& name, std::int8_t type = kTopic) {
    protocol::DescribeConfigsRequest request;
    request.resources.push_back({.resource_type = type, .resource_name = name});
    request.include_synonyms = true;
    request.include_documentation = true;
    std::map<std::string, Config> by_name;
    const auto response = client_->call(request, 4);
    EXPECT_EQ(response->results.at(0).error_code, ErrorCode::kNone);
    for (const Config& config : response->results.at(0).configs) {
      by_name.emplace(config.name, config);
    }
    return by_name;
  }
  std::string value(const std::string& topic, const std::string& key) {
    return describe(topic).at(key).value.value_or("null");
  }
  protocol::DeleteRecordsResponse::Partition delete_records(const std::string& topic,
                                                            std::int64_t offset) {
    protocol::DeleteRecordsRequest request;
    request.topics.push_back(
        {.name = topic, .partitions = {{.partition_index = 0, .offset = offset}}});
    return client_->call(request, 2)->topics.at(0).partitions.at(0);
  }
  void commit(const std::string& group, const std::string& topic, std::int64_t offset) {
    protocol::OffsetCommitRequest request;
    request.group_id = group;
    request.topics.push_back(
        {.name = topic, .partitions = {{.partition_index = 0, .committed_offset = offset}}});
    EXPECT_EQ(client_->call(request, 7)->topics.at(0).partitions.at(0).error_code,
              ErrorCode::kNone);
  }
  std::int64_t committed(const std::string& group, const std::string& topic) {
    protocol::OffsetFetchRequest request;
    request.group_id = group;
    request.topics.emplace().push_back({.name = topic, .partition_indexes = {0}});
    return client_->call(request, 5)->topics.at(0).partitions.at(0).committed_offset;
  }
  protocol::OffsetDeleteResponse delete_offsets(const std::string& group,
                                                const std::string& topic) {
    protocol::OffsetDeleteRequest request;
    request.group_id = group;
    request.topics.push_back({.name = topic, .partitions = {{.partition_index = 0}}});
    return *client_->call(request, 0);
  }
  protocol::JoinGroupResponse join(const std::string& group, const std::string& topic) {
    Buffer metadata;
    WireWriter writer(metadata);
    writer.write_int16(0);
    protocol::ConsumerProtocolSubscription subscription;
    subscription.topics = {topic};
    subscription.encode(writer, 0);
    protocol::JoinGroupRequest request;
    request.group_id = group;
    request.group_instance_id = "i";
    request.protocol_type = "consumer";
    request.session_timeout_ms = 10'000;
    request.rebalance_timeout_ms = 10'000;
    request.protocols.push_back({.name = "range", .metadata = ByteView(metadata)});
    auto joined = *client_->call(request, 5);
    protocol::SyncGroupRequest sync;
    sync.group_id = group;
    sync.group_instance_id = "i";
    sync.member_id = joined.member_id;
    sync.generation_id = joined.generation_id;
    EXPECT_EQ(client_->call(sync, 3)->error_code, ErrorCode::kNone);
    return joined;
  }

  std::string directory_;
  std::string notices_;
  io::OsEnvironment os_;
  std::unique_ptr<Broker> broker_;
  std::unique_ptr<RawClient> client_;
};

// --- Configurations ---

TEST_F(AdminTest, a_changed_setting_acts_at_once_and_is_there_after_a_restart) {
  start();
  create("t");
  EXPECT_EQ(produce("t", 500).error_code, ErrorCode::kNone);
  EXPECT_EQ(alter("t", {{"max.message.bytes", kSet, "200"}}).error_code, ErrorCode::kNone);
  const Produced refused = produce("t", 500);
  EXPECT_EQ(refused.error_code, ErrorCode::kMessageTooLarge);
  EXPECT_THAT(refused.error_message.value_or(""),
              testing::AllOf(HasSubstr("t-0"), HasSubstr("max.message.bytes of 200 bytes"),
                             HasSubstr("--add-config max.message.bytes=")));
  restart();
  EXPECT_EQ(produce("t", 500).error_code, ErrorCode::kMessageTooLarge);
  EXPECT_EQ(value("t", "max.message.bytes"), "200");
  EXPECT_EQ(alter("t", {{"max.message.bytes", kDelete, {}}}).error_code, ErrorCode::kNone);
  EXPECT_EQ(produce("t", 500).error_code, ErrorCode::kNone);
  EXPECT_EQ(value("t", "max.message.bytes"), "1048588");
}

TEST_F(AdminTest, the_limit_that_an_error_names_helps_when_it_is_typed) {
  start();
  create("t");
  alter("t", {{"max.message.bytes", kSet, "200"}});
  const std::string text = produce("t", 500).error_message.value_or("");
  const std::string key = "--add-config max.message.bytes=";
  ASSERT_THAT(text, HasSubstr(key));
  alter("t", {{"max.message.bytes", kSet, text.substr(text.find(key) + key.size())}});
  EXPECT_EQ(produce("t", 500).error_code, ErrorCode::kNone);
}

TEST_F(AdminTest, retention_that_is_shortened_takes_old_records_at_once) {
  start();
  create("t");
  produce("t", 5, os_.loop().wall_now().ms - 60'000);
  EXPECT_EQ(alter("t", {{"retention.ms", kSet, "1000"}}).error_code, ErrorCode::kNone);
  EXPECT_EQ(Watcher(os_.loop(), *broker_).partition("t", 0).log_start_offset, 1);
}

TEST_F(AdminTest, timestamps_out_of_bounds_are_refused_by_the_topics_setting) {
  start();
  create("t");
  const std::int64_t now_ms = os_.loop().wall_now().ms;
  // As Kafka: an hour ahead, and any time ago.
  EXPECT_EQ(produce("t", 5, now_ms + 7'200'000).error_code, ErrorCode::kInvalidTimestamp);
  EXPECT_EQ(produce("t", 5, now_ms + 1'800'000).error_code, ErrorCode::kNone);
  EXPECT_EQ(produce("t", 5, 0).error_code, ErrorCode::kNone);
  EXPECT_EQ(alter("t", {{"message.timestamp.after.max.ms", kSet, "10800000"}}).error_code,
            ErrorCode::kNone);
  EXPECT_EQ(produce("t", 5, now_ms + 7'200'000).error_code, ErrorCode::kNone);
  EXPECT_EQ(alter("t", {{"message.timestamp.after.max.ms", kSet, "3600000"},
                        {"message.timestamp.before.max.ms", kSet, "3600000"}})
                .error_code,
            ErrorCode::kNone);
  EXPECT_EQ(produce("t", 5, now_ms + 7'200'000).error_code, ErrorCode::kInvalidTimestamp);
  EXPECT_EQ(produce("t", 5, now_ms - 7'200'000).error_code, ErrorCode::kInvalidTimestamp);
  EXPECT_EQ(produce("t", 5, now_ms).error_code, ErrorCode::kNone);
}

TEST_F(AdminTest, a_compacted_topic_refuses_records_without_a_key_from_then_on) {
  start();
  create("t");
  EXPECT_EQ(produce("t").error_code, ErrorCode::kNone);
  EXPECT_EQ(alter("t", {{"cleanup.policy", kAppend, "compact"}}).error_code, ErrorCode::kNone);
  EXPECT_EQ(value("t", "cleanup.policy"), "delete,compact");
  EXPECT_EQ(produce("t").error_code, ErrorCode::kInvalidRecord);
  EXPECT_EQ(alter("t", {{"cleanup.policy", kSubtract, "compact"}}).error_code, ErrorCode::kNone);
  EXPECT_EQ(produce("t").error_code, ErrorCode::kNone);
}

TEST_F(AdminTest, what_cannot_be_set_is_refused_whole) {
  start();
  create("t");
  const auto refused = [&](const std::vector<Change>& changes) {
    return alter("t", changes).error_code;
  };
  EXPECT_EQ(refused({{"no.such.key", kSet, "1"}}), ErrorCode::kInvalidConfig);
  EXPECT_EQ(refused({{"retention.ms", kSet, "soon"}}), ErrorCode::kInvalidConfig);
  EXPECT_EQ(refused({{"compression.type", kSet, "zip"}}), ErrorCode::kInvalidConfig);
  EXPECT_EQ(refused({{"segment.ms", kSet, "ever"}}), ErrorCode::kInvalidConfig);
  EXPECT_EQ(refused({{"retention.ms", kSet, {}}}), ErrorCode::kInvalidConfig);
  EXPECT_EQ(refused({{"retention.ms", kAppend, "1"}}), ErrorCode::kInvalidConfig);
  EXPECT_EQ(refused({{"retention.ms", kSet, "1"}, {"retention.ms", kSet, "2"}}),
            ErrorCode::kInvalidRequest);
  EXPECT_EQ(refused({{"retention.bytes", kSet, "5"}, {"no.such.key", kSet, "1"}}),
            ErrorCode::kInvalidConfig);
  EXPECT_EQ(value("t", "retention.bytes"), "-1");
  EXPECT_EQ(alter("gone", {{"retention.ms", kSet, "1"}}).error_code,
            ErrorCode::kUnknownTopicOrPartition);
  const Altered broker = alter("1", {{"log.retention.ms", kSet, "1"}}, false, kBroker);
  EXPECT_EQ(broker.error_code, ErrorCode::kInvalidRequest);
  EXPECT_THAT(broker.error_message.value_or(""), HasSubstr("server.properties"));
}

TEST_F(AdminTest, a_setting_without_effect_is_told_of) {
  start();
  create("t");
  alter("t", {{"retention.ms", kSet, "7000"}});
  EXPECT_EQ(notices_, "");
  alter("t", {{"segment.ms", kSet, "5"}});
  EXPECT_THAT(notices_, HasSubstr("topic 't': without effect here, and kept: segment.ms"));
}

TEST_F(AdminTest, a_validation_changes_nothing) {
  start();
  create("t");
  EXPECT_EQ(alter("t", {{"retention.ms", kSet, "7"}}, true).error_code, ErrorCode::kNone);
  EXPECT_EQ(alter("t", {{"retention.ms", kSet, "x"}}, true).error_code, ErrorCode::kInvalidConfig);
  EXPECT_EQ(value("t", "retention.ms"), "604800000");
}

TEST_F(AdminTest, alter_configs_replaces_all_that_was_set) {
  start();
  create("t");
  alter("t", {{"retention.ms", kSet, "7000"}, {"compression.type", kSet, "zstd"}});
  protocol::AlterConfigsRequest request;
  request.resources.push_back({.resource_type = kTopic,
                               .resource_name = "t",
                               .configs = {{.name = "segment.bytes", .value = "4194304"}}});
  EXPECT_EQ(client_->call(request, 2)->responses.at(0).error_code, ErrorCode::kNone);
  EXPECT_EQ(value("t", "segment.bytes"), "4194304");
  EXPECT_EQ(value("t", "retention.ms"), "604800000");
  EXPECT_EQ(value("t", "compression.type"), "producer");
}

TEST_F(AdminTest, settings_are_described_with_their_sources_and_synonyms) {
  start([](BrokerOptions& options) { options.log.topic_defaults.retention_ms = 5000; });
  create("t");
  auto configs = describe("t");
  EXPECT_EQ(configs.size(), 31U);
  EXPECT_EQ(configs.at("compression.type").value, "producer");
  EXPECT_EQ(configs.at("compression.type").config_source, 5);
  EXPECT_EQ(configs.at("compression.type").documentation.value_or(""),
            "Accepted and kept; it has no effect here.");
  EXPECT_EQ(configs.at("retention.ms").value, "5000");
  EXPECT_EQ(configs.at("retention.ms").config_source, 4);
  ASSERT_EQ(configs.at("retention.ms").synonyms.size(), 2U);
  EXPECT_EQ(configs.at("retention.ms").synonyms[0].name, "log.retention.ms");
  alter("t", {{"retention.ms", kSet, "6000"}});
  configs = describe("t");
  EXPECT_EQ(configs.at("retention.ms").config_source, 1);
  ASSERT_EQ(configs.at("retention.ms").synonyms.size(), 3U);
  EXPECT_EQ(configs.at("retention.ms").synonyms[2].value, "604800000");
  EXPECT_TRUE(describe("1", kBroker).at("log.free.bytes.min").read_only);
}

TEST_F(AdminTest, what_has_a_configuration_is_listed) {
  start();
  create("t");
  protocol::ListConfigResourcesRequest request;
  const auto all = client_->call(request, 1);
  ASSERT_EQ(all->config_resources.size(), 2U);
  EXPECT_EQ(all->config_resources[0].resource_name, "t");
  EXPECT_EQ(all->config_resources[1].resource_name, "1");
  request.resource_types = {kBroker};
  EXPECT_EQ(client_->call(request, 1)->config_resources.size(), 1U);
  request.resource_types.clear();
  EXPECT_TRUE(client_->call(request, 0)->config_resources.empty());
}

// --- Records and offsets ---

TEST_F(AdminTest, deleted_records_are_gone_and_stay_gone) {
  start();
  create("t");
  for (int count = 0; count < 5; ++count) {
    produce("t");
  }
  const auto deleted = delete_records("t", 3);
  EXPECT_EQ(deleted.error_code, ErrorCode::kNone);
  EXPECT_EQ(deleted.low_watermark, 3);
  EXPECT_EQ(delete_records("t", 2).low_watermark, 3);
  EXPECT_EQ(delete_records("t", 6).error_code, ErrorCode::kOffsetOutOfRange);
  EXPECT_EQ(delete_records("gone", 1).error_code, ErrorCode::kUnknownTopicOrPartition);
  restart();
  EXPECT_EQ(Watcher(os_.loop(), *broker_).partition("t", 0).log_start_offset, 3);
  EXPECT_EQ(delete_records("t", -1).low_watermark, 5);
  alter("t", {{"cleanup.policy", kSet, "compact"}});
  EXPECT_EQ(delete_records("t", 5).error_code, ErrorCode::kPolicyViolation);
}

TEST_F(AdminTest, records_that_were_never_in_a_segment_can_be_deleted) {
  start();
  create("t");
  produce("t");
  EXPECT_EQ(delete_records("t", -1).low_watermark, 1);
  restart();
  EXPECT_EQ(produce("t").base_offset, 1);
}

TEST_F(AdminTest, deleted_offsets_are_gone_and_stay_gone) {
  start();
  create("t");
  create("other");
  commit("g", "t", 5);
  commit("g", "other", 6);
  EXPECT_EQ(delete_offsets("g", "t").topics.at(0).partitions.at(0).error_code, ErrorCode::kNone);
  EXPECT_EQ(committed("g", "t"), -1);
  restart();
  EXPECT_EQ(committed("g", "t"), -1);
  EXPECT_EQ(committed("g", "other"), 6);
  EXPECT_EQ(delete_offsets("nobody", "t").error_code, ErrorCode::kGroupIdNotFound);
  EXPECT_EQ(delete_offsets("g", "gone").topics.at(0).partitions.at(0).error_code,
            ErrorCode::kUnknownTopicOrPartition);
}

TEST_F(AdminTest, offsets_of_a_topic_that_a_member_reads_stay) {
  start();
  create("t");
  create("other");
  commit("g", "t", 5);
  commit("g", "other", 6);
  join("g", "t");
  EXPECT_EQ(delete_offsets("g", "t").topics.at(0).partitions.at(0).error_code,
            ErrorCode::kGroupSubscribedToTopic);
  EXPECT_EQ(delete_offsets("g", "other").topics.at(0).partitions.at(0).error_code,
            ErrorCode::kNone);
  EXPECT_EQ(committed("g", "t"), 5);
}

// --- What there is, and what may be done ---

TEST_F(AdminTest, the_log_directory_tells_what_each_partition_takes) {
  start();
  create("t", 2);
  produce("t", 1000);
  protocol::DescribeLogDirsRequest request;
  const auto all = client_->call(request, 4);
  ASSERT_EQ(all->results.size(), 1U);
  EXPECT_EQ(all->results[0].log_dir, directory_);
  EXPECT_GT(all->results[0].usable_bytes, 0);
  ASSERT_EQ(all->results[0].topics.at(0).partitions.size(), 2U);
  EXPECT_GT(all->results[0].topics.at(0).partitions.at(0).partition_size, 1000);
  request.topics.emplace().push_back({.topic = "t", .partitions = {1}});
  EXPECT_EQ(client_->call(request, 1)->results.at(0).topics.at(0).partitions.size(), 1U);
}

TEST_F(AdminTest, without_an_authorizer_there_are_no_rules_and_all_is_allowed) {
  start();
  create("t");
  EXPECT_EQ(client_->call(protocol::DescribeAclsRequest{}, 3)->error_code,
            ErrorCode::kSecurityDisabled);
  protocol::CreateAclsRequest creations;
  creations.creations.resize(2);
  EXPECT_EQ(client_->call(creations, 3)->results.at(1).error_code, ErrorCode::kSecurityDisabled);
  protocol::DeleteAclsRequest filters;
  filters.filters.resize(1);
  EXPECT_EQ(client_->call(filters, 3)->filter_results.at(0).error_code,
            ErrorCode::kSecurityDisabled);

  protocol::MetadataRequest metadata;
  metadata.topics = std::nullopt;
  metadata.include_topic_authorized_operations = true;
  metadata.include_cluster_authorized_operations = true;
  const auto answer = client_->call(metadata, 10);
  EXPECT_EQ(answer->topics.at(0).topic_authorized_operations, 3576);
  EXPECT_EQ(answer->cluster_authorized_operations, 8096);
  protocol::DescribeClusterRequest cluster;
  cluster.include_cluster_authorized_operations = true;
  EXPECT_EQ(client_->call(cluster, 1)->cluster_authorized_operations, 8096);
  commit("g", "t", 1);
  protocol::DescribeGroupsRequest groups;
  groups.groups = {"g"};
  groups.include_authorized_operations = true;
  EXPECT_EQ(client_->call(groups, 5)->groups.at(0).authorized_operations, 3400);
  metadata.include_topic_authorized_operations = false;
  EXPECT_LT(client_->call(metadata, 10)->topics.at(0).topic_authorized_operations, 0);
}

TEST_F(AdminTest, nothing_is_being_reassigned) {
  start();
  const auto answer = client_->call(protocol::ListPartitionReassignmentsRequest{}, 0);
  EXPECT_EQ(answer->error_code, ErrorCode::kNone);
  EXPECT_TRUE(answer->topics.empty());
}

// --- Room ---

TEST_F(AdminTest, a_disk_within_its_reserve_is_named_at_the_start_and_to_the_producer) {
  start([](BrokerOptions& options) { options.log.free_bytes_min = std::uint64_t{1} << 50; });
  EXPECT_THAT(notices_, HasSubstr("log.free.bytes.min"));
  create("t");
  const Produced refused = produce("t");
  EXPECT_EQ(refused.error_code, ErrorCode::kKafkaStorageError);
  EXPECT_THAT(refused.error_message.value_or(""), HasSubstr("log.free.bytes.min"));
  EXPECT_TRUE(broker_->status().log.is_out_of_room);
  EXPECT_EQ(broker_->status().log.free_bytes_min, std::uint64_t{1} << 50);
  client_.reset();
  stop();
  start([](BrokerOptions& options) { options.log.free_bytes_min = 0; });
  EXPECT_EQ(produce("t").error_code, ErrorCode::kNone);
  EXPECT_FALSE(broker_->status().log.is_out_of_room);
}

}  // namespace
}  // namespace onceflow::broker
