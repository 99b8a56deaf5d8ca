// Where a stage begins, over a broker that answers as it is told and a keeper of positions in
// memory: the first start, partitions that appear later, other topics, moved positions.
#include "engine/start_positions.h"

#include "client/client_testing.h"
#include "protocol/messages/01_fetch.h"
#include "protocol/messages/02_list_offsets.h"

namespace onceflow::engine {
namespace {

using Beginning = protocol::Receipt::Beginning;
using ::testing::HasSubstr;

TopicPartition in(std::int32_t partition) { return {"in", PartitionIndex(partition)}; }
TopicId id_of(std::uint8_t number) {
  TopicId id;
  id.bytes[0] = number;
  return id;
}

class MemoryKeeper final : public PositionKeeper {
 public:
  Task<Result<std::vector<KeptPosition>>> read(std::vector<TopicPartition> partitions) override {
    ++reads;
    std::vector<KeptPosition> found;
    for (const TopicPartition& partition : partitions) {
      found.push_back(kept.contains(partition) ? kept.at(partition)
                                               : KeptPosition{.source = partition});
    }
    if (on_read) {
      on_read();
    }
    co_return found;
  }
  Task<Result<std::vector<KeptPosition>>> find_receipts(
      std::vector<KeptPosition> positions) override {
    co_return positions;
  }
  Task<Result<std::vector<KeptPosition>>> recall(std::vector<KeptPosition> positions) override {
    for (KeptPosition& position : positions) {
      if (const auto place = recalled.find(position.source); place != recalled.end()) {
        position.receipt_offset = place->second;
        position.receipt_beginning = Beginning::kLatest;
      }
    }
    if (refuses_to_begin) {
      co_return fail(ErrorCode::kRefused, "it has begun");
    }
    co_return positions;
  }
  Task<Result<std::vector<KeptPosition>>> find_inputs(
      std::vector<KeptPosition> positions) override {
    co_return positions;
  }
  Task<Status> open(std::vector<OpenedPosition> positions) override {
    for (const OpenedPosition& position : positions) {
      opened[position.before.source] = position;
      kept[position.before.source] = {.source = position.before.source,
                                      .next_offset = position.next_offset,
                                      .topic_id = topic_id_text(position.topic_id)};
    }
    co_return Status{};
  }

  std::map<TopicPartition, KeptPosition> kept;
  std::map<TopicPartition, OpenedPosition> opened;
  std::map<TopicPartition, Offset> recalled;
  bool refuses_to_begin = false;
  std::function<void()> on_read;
  int reads = 0;
};

class StartPositionsTest : public client::ClientTest {
 protected:
  StartPositionsTest() {
    stage_options_.call_timeout = seconds(10);
    broker_.script<protocol::MetadataRequest>(
        [this](const protocol::MetadataRequest& request, std::int16_t) {
          protocol::MetadataResponse response;
          response.brokers.push_back({.node_id = 1, .host = "127.0.0.1", .port = broker_.port});
          if (request.topics) {
            for (const auto& topic : *request.topics) {
              auto& known = response.topics.emplace_back();
              known.name = topic.name;
              known.topic_id = topic_id_;
              for (std::int32_t index = 0; index < partition_count_; ++index) {
                known.partitions.push_back({.partition_index = index, .leader_id = 1});
              }
            }
          }
          return response;
        });
    broker_.script<protocol::ListOffsetsRequest>(
        [this](const protocol::ListOffsetsRequest& request, std::int16_t) {
          protocol::ListOffsetsResponse response;
          for (const auto& topic : request.topics) {
            auto& answered = response.topics.emplace_back();
            answered.name = topic.name;
            for (const auto& partition : topic.partitions) {
              answered.partitions.push_back(
                  {.partition_index = partition.partition_index,
                   .offset = partition.timestamp == client::Admin::kEarliest ? start_ : end_});
            }
          }
          return response;
        });
  }

  Result<std::vector<InputAccount::Position>> settle(std::vector<std::int32_t> partitions) {
    std::vector<KeptPosition> own;
    for (const std::int32_t partition : partitions) {
      own.push_back(keeper_.kept.contains(in(partition)) ? keeper_.kept.at(in(partition))
                                                         : KeptPosition{.source = in(partition)});
    }
    StartPositions start(cluster_, stage_options_, keeper_, "group 'g'", [] { return false; });
    return run(start.settle(std::move(own), bounds_));
  }
  std::vector<std::int64_t> offsets(std::vector<std::int32_t> partitions) {
    const auto settled = settle(std::move(partitions));
    EXPECT_TRUE(settled.has_value()) << settled.error().text;
    std::vector<std::int64_t> found;
    for (const InputAccount::Position& position : *settled) {
      found.push_back(position.offset.value);
    }
    return found;
  }
  std::string refusal(std::vector<std::int32_t> partitions) {
    const auto settled = settle(std::move(partitions));
    EXPECT_FALSE(settled.has_value());
    EXPECT_TRUE(settled.has_value() || is_final(settled.error())) << settled.error().text;
    return settled ? std::string() : settled.error().text;
  }
  /// Offsets 0..2 were read; a fetch shows none after the first, of a log that ends at `end`.
  void keep_of_what_is_hidden(std::int64_t end) {
    broker_.script<protocol::FetchRequest>(
        [end](const protocol::FetchRequest& request, std::int16_t) {
          protocol::FetchResponse response;
          for (const auto& topic : request.topics) {
            auto& answered = response.responses.emplace_back();
            answered.topic = topic.topic;
            for (const auto& partition : topic.partitions) {
              answered.partitions.push_back({.partition_index = partition.partition,
                                             .high_watermark = end,
                                             .last_stable_offset = 1});
            }
          }
          return response;
        });
    keep(0, 3, id());
    keeper_.kept[in(0)].receipt_input = protocol::Receipt::Input{
        .source = in(0), .from_offset = Offset(0), .next_offset = Offset(3), .record_count = 3};
  }

  void keep(std::int32_t partition, std::int64_t offset, std::string topic_id) {
    keeper_.kept[in(partition)] = {
        .source = in(partition), .next_offset = Offset(offset), .topic_id = std::move(topic_id)};
  }
  std::string id() const { return topic_id_text(topic_id_); }

  TopicId topic_id_ = id_of(1);
  std::int32_t partition_count_ = 4;
  std::int64_t start_ = 5;
  std::int64_t end_ = 20;
  StageOptions stage_options_;
  LogBounds bounds_ = LogBounds::kTrusted;
  MemoryKeeper keeper_;
};

TEST_F(StartPositionsTest, a_beginning_that_is_known_elsewhere_is_not_decided_again) {
  stage_options_.offset_reset = OffsetReset::kLatest;
  keeper_.recalled = {{in(0), Offset(7)}, {in(3), Offset(9)}};
  EXPECT_EQ(offsets({0, 1}), (std::vector<std::int64_t>{7, 20}));
  EXPECT_EQ(keeper_.opened.at(in(3)).next_offset, Offset(9));
  EXPECT_EQ(keeper_.opened.at(in(0)).beginning, Beginning::kLatest);
}

TEST_F(StartPositionsTest, a_partition_behind_those_that_began_elsewhere_came_later) {
  stage_options_.offset_reset = OffsetReset::kLatest;
  keeper_.recalled = {{in(0), Offset(7)}, {in(1), Offset(9)}};
  EXPECT_EQ(offsets({0, 1, 2}), (std::vector<std::int64_t>{7, 9, 0}));
  EXPECT_EQ(keeper_.opened.at(in(2)).beginning, Beginning::kNewPartition);
}

TEST_F(StartPositionsTest, nothing_begins_that_the_keeper_knows_to_have_begun) {
  keeper_.refuses_to_begin = true;
  EXPECT_THAT(refusal({0, 1}), HasSubstr("it has begun"));
  EXPECT_TRUE(keeper_.opened.empty());
}

TEST_F(StartPositionsTest, the_owner_of_partition_0_fixes_all_partitions_of_the_first_start) {
  stage_options_.offset_reset = OffsetReset::kLatest;
  EXPECT_EQ(offsets({0, 1}), (std::vector<std::int64_t>{20, 20}));
  ASSERT_EQ(keeper_.opened.size(), 4u);
  EXPECT_EQ(keeper_.opened.at(in(3)).next_offset, Offset(20));
  EXPECT_EQ(keeper_.opened.at(in(3)).beginning, Beginning::kLatest);
  // What comes later is read from there, whoever owns it then.
  end_ = 30;
  keeper_.opened.clear();
  EXPECT_EQ(offsets({2, 3, 0}), (std::vector<std::int64_t>{20, 20, 20}));
  EXPECT_TRUE(keeper_.opened.empty());
}

TEST_F(StartPositionsTest, the_others_wait_for_partition_0) {
  stage_options_.offset_reset = OffsetReset::kLatest;
  keeper_.on_read = [this] {
    if (keeper_.reads == 3) {
      keep(0, 20, id());
      keep(2, 17, id());
    }
  };
  EXPECT_EQ(offsets({2}), (std::vector<std::int64_t>{17}));
  EXPECT_TRUE(keeper_.opened.empty());
}

TEST_F(StartPositionsTest, a_partition_that_appears_later_begins_at_0) {
  start_ = 0;
  stage_options_.offset_reset = OffsetReset::kLatest;
  keep(0, 20, id());
  keep(1, 20, id());
  EXPECT_EQ(offsets({1, 3}), (std::vector<std::int64_t>{20, 0}));
  EXPECT_EQ(keeper_.opened.at(in(3)).beginning, Beginning::kNewPartition);
  keeper_.opened.clear();
  EXPECT_EQ(offsets({0, 2}), (std::vector<std::int64_t>{20, 0}));
}

TEST_F(StartPositionsTest, a_table_of_results_keeps_the_partitions_that_it_began_with) {
  stage_options_.upserts_from = UpsertsFrom::kStages;
  keep(0, 20, id());
  keep(1, 20, id());
  EXPECT_EQ(offsets({0, 1}), (std::vector<std::int64_t>{20, 20}));
  EXPECT_THAT(refusal({1, 3}),
              HasSubstr("in-3: a partition that was not there when the table began"));
  EXPECT_TRUE(keeper_.opened.empty());
}

TEST_F(StartPositionsTest, a_partition_that_others_have_added_under_an_upsert_is_said_aloud) {
  start_ = 0;
  std::vector<LogEvent> said;
  stage_options_.tell = [&](const LogEvent& event) { said.push_back(event); };
  keep(0, 20, id());
  EXPECT_EQ(offsets({0, 2}), (std::vector<std::int64_t>{20, 0}));
  EXPECT_TRUE(said.empty());
  stage_options_.upserts_from = UpsertsFrom::kSources;
  EXPECT_EQ(offsets({0, 3}), (std::vector<std::int64_t>{20, 0}));
  ASSERT_EQ(said.size(), 1U);
  EXPECT_EQ(said.front().level, LogLevel::kWarn);
  EXPECT_THAT(said.front().text, HasSubstr("in-3: it was not there when the table began"));
}

TEST_F(StartPositionsTest, positions_of_an_earlier_version_are_adopted_with_the_topics_id) {
  stage_options_.offset_reset = OffsetReset::kLatest;
  keep(0, 10, "");
  keep(1, 12, "");
  EXPECT_EQ(offsets({0, 1, 2}), (std::vector<std::int64_t>{10, 12, 20}));
  EXPECT_EQ(keeper_.opened.at(in(1)).beginning, Beginning::kFound);
  EXPECT_EQ(keeper_.opened.at(in(1)).topic_id, topic_id_);
  // Idle in the earlier version: by the file's word, and not taken for one that appeared later.
  EXPECT_EQ(keeper_.opened.at(in(2)).beginning, Beginning::kLatest);
  EXPECT_EQ(keeper_.opened.at(in(3)).beginning, Beginning::kLatest);
}

TEST_F(StartPositionsTest, a_position_of_another_consumer_is_refused) {
  for (const std::string& topic : {std::string(), id()}) {
    keep(0, 10, topic);
    keeper_.kept[in(0)].is_signed = false;
    EXPECT_THAT(refusal({0}), HasSubstr("in-0: group 'g' holds offset 10, which no receipt"));
    // Of an earlier version: receipts account for it, and it is signed.
    keeper_.kept[in(0)].receipt_offset = Offset(10);
    EXPECT_EQ(offsets({0}), (std::vector<std::int64_t>{10}));
    EXPECT_TRUE(keeper_.opened.contains(in(0)));
    EXPECT_EQ(keeper_.opened.at(in(0)).beginning,
              topic.empty() ? Beginning::kFound : Beginning::kNone);
    keeper_.opened.clear();
  }
  keep(0, 10, {});
  keeper_.kept[in(0)].is_signed = false;
  keeper_.kept[in(0)].receipt_offset = Offset(8);
  EXPECT_THAT(refusal({0}), HasSubstr("by another consumer in the group"));
}

TEST_F(StartPositionsTest, another_topic_of_the_name_is_refused) {
  keep(0, 10, topic_id_text(id_of(9)));
  EXPECT_THAT(refusal({0}), HasSubstr("in-0: another topic of that name"));
  keeper_.kept[in(0)] = {
      .source = in(0), .receipt_offset = Offset(10), .receipt_topic_id = topic_id_text(id_of(9))};
  EXPECT_THAT(refusal({0}), HasSubstr("group 'g' is at offset 10 of the topic with id"));
}

TEST_F(StartPositionsTest, a_cluster_without_topic_ids_is_not_covered) {
  topic_id_ = {};
  keep(0, 10, topic_id_text(id_of(9)));
  EXPECT_EQ(offsets({0}), (std::vector<std::int64_t>{10}));
  keep(0, 10, "unknown");
  EXPECT_EQ(offsets({0}), (std::vector<std::int64_t>{10}));
}

TEST_F(StartPositionsTest, a_position_that_is_not_where_the_newest_receipt_ended_is_refused) {
  for (const std::int64_t offset : {8, 15}) {
    keep(0, offset, id());
    keeper_.kept[in(0)].receipt_offset = Offset(12);
    EXPECT_THAT(refusal({0}), HasSubstr("but the newest receipt of this stage ended at offset 12"));
  }
  keep(0, 12, id());
  keeper_.kept[in(0)].receipt_offset = Offset(12);
  EXPECT_EQ(offsets({0}), (std::vector<std::int64_t>{12}));
  keeper_.kept[in(0)] = {.source = in(0), .receipt_offset = Offset(12), .receipt_topic_id = id()};
  EXPECT_THAT(refusal({0}), HasSubstr("in-0: the position is gone in group 'g'"));
}

TEST_F(StartPositionsTest, at_least_once_may_have_its_receipt_before_its_position) {
  stage_options_.guarantee = Guarantee::kAtLeastOnce;
  keep(0, 8, id());
  keeper_.kept[in(0)].receipt_offset = Offset(12);
  EXPECT_EQ(offsets({0}), (std::vector<std::int64_t>{8}));
  keep(0, 15, id());
  keeper_.kept[in(0)].receipt_offset = Offset(12);
  EXPECT_THAT(refusal({0}), HasSubstr("offsets 12..14 would be passed over without account"));
}

TEST_F(StartPositionsTest, a_beginning_whose_position_was_lost_is_taken_again) {
  partition_count_ = 1;
  keeper_.kept[in(0)] = {.source = in(0),
                         .receipt_offset = Offset(7),
                         .receipt_topic_id = id(),
                         .receipt_beginning = Beginning::kLatest};
  stage_options_.offset_reset = OffsetReset::kLatest;
  EXPECT_EQ(offsets({0}), (std::vector<std::int64_t>{7}));
}

TEST_F(StartPositionsTest, what_was_deleted_before_it_was_read_is_refused_or_skipped_by_receipt) {
  keep(0, 2, id());
  keep(1, 9, id());
  bounds_ = LogBounds::kChecked;
  EXPECT_THAT(refusal({0, 1}), HasSubstr("in-0: offsets 2..4 were deleted before this stage had "
                                         "read them"));
  stage_options_.skips_deleted = true;
  EXPECT_EQ(offsets({0, 1}), (std::vector<std::int64_t>{5, 9}));
  ASSERT_EQ(keeper_.opened.size(), 1u);
  EXPECT_EQ(keeper_.opened.at(in(0)).beginning, Beginning::kReset);
}

TEST_F(StartPositionsTest, all_that_was_deleted_unread_is_named_as_all_of_it_is_skipped) {
  keep(0, 2, id());
  keep(1, 9, id());
  keep(2, 4, id());
  bounds_ = LogBounds::kChecked;
  EXPECT_THAT(refusal({0, 1, 2}),
              AllOf(HasSubstr("in-0: offsets 2..4, in-2: offsets 4..4 were deleted before"),
                    HasSubstr("it goes on at in-0@5, in-2@5,")));
  stage_options_.skips_deleted = true;
  EXPECT_EQ(offsets({0, 1, 2}), (std::vector<std::int64_t>{5, 9, 5}));
}

TEST_F(StartPositionsTest, a_position_past_the_end_of_the_log_is_refused) {
  keep(0, 21, id());
  bounds_ = LogBounds::kChecked;
  EXPECT_THAT(refusal({0}), HasSubstr("the topic ends at offset 20"));
}

TEST_F(StartPositionsTest, what_was_read_and_is_hidden_now_is_waited_for) {
  end_ = 5;
  keep_of_what_is_hidden(5);
  const auto settled = settle({0});
  ASSERT_FALSE(settled.has_value());
  EXPECT_FALSE(is_final(settled.error()));
  EXPECT_THAT(settled.error().text, HasSubstr("in-0 offsets 0..2: this stage has read them, and "
                                              "the log does not show them now"));
}

TEST_F(StartPositionsTest, an_end_before_what_was_read_is_found_before_others_write_past_it) {
  keep_of_what_is_hidden(1);
  end_ = 1;
  EXPECT_THAT(refusal({0}), HasSubstr("the topic ends at offset 1"));
  end_ = 5;  // They have written meanwhile.
  const auto settled = settle({0});
  ASSERT_FALSE(settled.has_value());
  EXPECT_FALSE(is_final(settled.error()));
}

TEST(GroupPositionText, reads_back_and_is_nothing_in_others_words) {
  const GroupPositionText both{.topic_id = "abc", .changelog_id = "def"};
  EXPECT_EQ(to_text(both), "onceflow topic=abc changelog=def");
  EXPECT_EQ(parse_group_position(to_text(both)).topic_id, "abc");
  EXPECT_EQ(parse_group_position(to_text(both)).changelog_id, "def");
  EXPECT_EQ(parse_group_position("onceflow topic=abc").topic_id, "abc");
  const GroupPositionText all{.topic_id = "abc", .changelog_id = "def", .receipts_id = "ghi"};
  EXPECT_EQ(to_text(all), "onceflow topic=abc changelog=def receipts=ghi");
  EXPECT_EQ(parse_group_position(to_text(all)).changelog_id, "def");
  EXPECT_EQ(parse_group_position(to_text(all)).receipts_id, "ghi");
  EXPECT_EQ(parse_group_position(to_text(both)).receipts_id, "");
  const GroupPositionText by{.topic_id = "abc", .receipts_id = "ghi", .pipeline = "p-1.x"};
  EXPECT_EQ(to_text(by), "onceflow topic=abc receipts=ghi pipeline=p-1.x");
  EXPECT_EQ(parse_group_position(to_text(by)).pipeline, "p-1.x");
  EXPECT_EQ(parse_group_position(to_text(by)).receipts_id, "ghi");
  EXPECT_EQ(parse_group_position(to_text(all)).pipeline, "");
  EXPECT_EQ(parse_group_position("").topic_id, "");
  EXPECT_EQ(parse_group_position("some other client's words").topic_id, "");
}

}  // namespace
}  // namespace onceflow::engine
