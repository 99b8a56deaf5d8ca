// What was read, against what the log has there now, over a broker whose log is told.
#include "engine/input_comparison.h"

#include <deque>
#include <initializer_list>

#include "base/record_hash.h"
#include "client/client_testing.h"
#include "protocol/messages/01_fetch.h"
#include "protocol/messages/02_list_offsets.h"
#include "protocol/messages/32_describe_configs.h"

namespace onceflow::engine {
namespace {

using Input = protocol::Receipt::Input;
using ::testing::HasSubstr;

class InputComparisonTest : public client::ClientTest {
 protected:
  InputComparisonTest() {
    broker_.script<protocol::FetchRequest>(
        [this](const protocol::FetchRequest& request, std::int16_t) {
          protocol::FetchResponse response;
          for (const auto& topic : request.topics) {
            auto& answered = response.responses.emplace_back();
            answered.topic = topic.topic;
            for (const auto& partition : topic.partitions) {
              answer(partition, answered.partitions.emplace_back());
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
                  {.partition_index = partition.partition_index, .offset = start_.value});
            }
          }
          return response;
        });
    broker_.script<protocol::DescribeConfigsRequest>(
        [this](const protocol::DescribeConfigsRequest&, std::int16_t) {
          protocol::DescribeConfigsResponse response;
          auto& result = response.results.emplace_back();
          auto& config = result.configs.emplace_back();
          config.name = "cleanup.policy";
          config.value = policy_;
          return response;
        });
  }

  void answer(const protocol::FetchRequest::Partition& asked,
              protocol::FetchResponse::Partition& result) {
    result.partition_index = asked.partition;
    result.high_watermark = end_.value;
    result.last_stable_offset = stable_ == kNoOffset ? end_.value : stable_.value;
    if (asked.fetch_offset > end_.value || asked.fetch_offset < start_.value) {
      result.error_code = protocol::ErrorCode::kOffsetOutOfRange;
      return;
    }
    served_.push_back({});
    for (const Buffer& batch : log_) {
      if (header(batch).next_offset() > Offset(asked.fetch_offset) &&
          header(batch).next_offset() <= Offset(result.last_stable_offset)) {
        append(served_.back(), batch);
      }
    }
    result.records = ByteView(served_.back());
  }

  void write(std::initializer_list<std::string_view> values) {
    for (const std::string_view value : values) {
      protocol::RecordBatchBuilder builder;
      builder.append(record(value));
      log_.push_back(builder.finish({.base_offset = end_}));
      end_ = end_ + 1;
    }
  }
  void restore() {
    log_.clear();
    end_ = Offset(0);
  }
  /// As a stage has read it.
  Input read(std::int64_t from, std::initializer_list<std::string_view> values) const {
    Input input{.source = partition_, .from_offset = Offset(from), .next_offset = Offset(from)};
    for (const std::string_view value : values) {
      ++input.record_count;
      input.record_hash_sum +=
          input_record_hash(partition_.partition, input.next_offset, std::nullopt, as_bytes(value));
      input.next_offset = input.next_offset + 1;
    }
    return input;
  }
  /// How many are changed.
  std::size_t changed(const Input& input, InputComparison::Bounds bounds = {}) {
    InputComparison comparison(cluster_, {}, bounds);
    const auto found = run(comparison.find_changed({input}));
    remark_ = comparison.remark();
    hidden_ = comparison.hidden();
    return found.size();
  }

  const TopicPartition partition_{"t", PartitionIndex(0)};
  std::vector<Buffer> log_;
  std::deque<Buffer> served_;
  Offset start_{0};
  Offset end_{0};
  Offset stable_ = kNoOffset;
  std::string policy_ = "delete";
  std::string remark_;
  std::string hidden_;
};

TEST_F(InputComparisonTest, a_log_that_was_written_again_is_another) {
  write({"a", "b", "c", "d"});
  const Input input = read(1, {"b", "c"});
  // What is read is the middle of the log.
  EXPECT_EQ(changed(input), 0u);
  EXPECT_EQ(remark_, "");
  restore();
  write({"a", "x", "c", "d", "e"});
  EXPECT_EQ(changed(input), 1u);
  EXPECT_EQ(changed(read(3, {"d"})), 0u);
}

TEST_F(InputComparisonTest, fewer_records_are_others_unless_the_topic_is_compacted) {
  write({"a", "b", "c"});
  const Input input = read(0, {"a", "b", "c"});
  log_.erase(log_.begin() + 1);
  EXPECT_EQ(changed(input), 1u);
  policy_ = "compact,delete";
  EXPECT_EQ(changed(input), 0u);
  EXPECT_THAT(remark_, HasSubstr("t-0 offsets 0..2 are not compared with the newest receipt: the "
                                 "topic is compacted"));
  // Others, and not fewer: no compaction does that.
  restore();
  write({"a", "b", "x"});
  EXPECT_EQ(changed(input), 1u);
}

TEST_F(InputComparisonTest, what_was_deleted_is_told_of) {
  write({"a", "b", "c"});
  start_ = Offset(1);
  EXPECT_EQ(changed(read(0, {"a", "b"})), 0u);
  EXPECT_THAT(remark_, HasSubstr("t-0 offsets 0..1 are not compared"));
  EXPECT_EQ(hidden_, "");
}

TEST_F(InputComparisonTest, what_an_open_transaction_hides_is_compared_once_it_has_ended) {
  write({"a", "x", "c"});
  stable_ = Offset(1);
  EXPECT_EQ(changed(read(0, {"a"})), 0u);
  EXPECT_EQ(hidden_, "");
  EXPECT_EQ(changed(read(0, {"a", "b"})), 0u);
  EXPECT_EQ(hidden_, "t-0 offsets 0..1");
  EXPECT_EQ(remark_, "");
  stable_ = Offset(3);
  EXPECT_EQ(changed(read(0, {"a", "b"})), 1u);
  EXPECT_EQ(hidden_, "");
}

TEST_F(InputComparisonTest, a_log_that_ends_before_them_does_not_show_them) {
  write({"a"});
  EXPECT_EQ(changed(read(0, {"a", "b"})), 0u);
  EXPECT_EQ(hidden_, "t-0 offsets 0..1");
  EXPECT_EQ(changed(read(5, {"a", "b"})), 0u);
  EXPECT_EQ(hidden_, "t-0 offsets 5..6");
  EXPECT_EQ(remark_, "");
}

TEST_F(InputComparisonTest, what_is_too_large_is_told_of) {
  write({"aaaaaaaaaa", "b", "c"});
  log_.resize(2);
  EXPECT_EQ(changed(read(0, {"a", "b", "c"}), {.bytes_max = 5}), 0u);
  EXPECT_THAT(remark_, HasSubstr("too large"));
}

TEST_F(InputComparisonTest, a_beginning_says_nothing) {
  EXPECT_EQ(changed(read(7, {})), 0u);
  EXPECT_EQ(broker_.seen_of(protocol::ApiKey::kFetch).size(), 0u);
}

}  // namespace
}  // namespace onceflow::engine
