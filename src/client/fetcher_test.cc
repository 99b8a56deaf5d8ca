#include "client/fetcher.h"

#include "client/client_testing.h"
#include "protocol/control_batch.h"
#include "protocol/messages/01_fetch.h"

namespace onceflow::client {
namespace {

using protocol::ApiKey;
using protocol::FetchRequest;
using testing::ElementsAre;
using testing::IsEmpty;
using Fate = FakeBroker::Fate;

/// A log of one partition, served as a broker would: from the batch that holds the offset on.
class FetcherTest : public ClientTest {
 public:
  FetcherTest() {
    broker_.script<FetchRequest>([this](const FetchRequest& request, std::int16_t) {
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
  }

  void answer(const FetchRequest::Partition& asked, protocol::FetchResponse::Partition& result) {
    result.partition_index = asked.partition;
    result.high_watermark = result.last_stable_offset = end_.value;
    asked_offsets_.push_back(asked.fetch_offset);
    if (!errors_.empty()) {
      result.error_code = errors_.front();
      errors_.pop_front();
      return;
    }
    if (asked.fetch_offset > end_.value) {
      result.error_code = protocol::ErrorCode::kOffsetOutOfRange;
      return;
    }
    result.aborted_transactions = aborted_;
    served_.push_back({});
    for (const Buffer& batch : log_) {
      if (header(batch).next_offset() > Offset(asked.fetch_offset)) {
        append(served_.back(), batch);
        if (one_batch_an_answer_) {
          break;
        }
      }
    }
    result.records = ByteView(served_.back());
  }

  void add(std::initializer_list<std::string_view> values, ProducerIdentity producer = {},
           bool is_transactional = false) {
    protocol::RecordBatchBuilder builder;
    for (const std::string_view value : values) {
      builder.append(record(value));
    }
    log_.push_back(builder.finish({.base_offset = end_,
                                   .producer = producer,
                                   .base_sequence = Sequence(0),
                                   .is_transactional = is_transactional}));
    end_ = header(log_.back()).next_offset();
  }
  void add_marker(ProducerIdentity producer, protocol::ControlRecordType type) {
    log_.push_back(
        protocol::encode_end_transaction_marker({.type = type, .producer = producer}, end_, 0));
    end_ = end_ + 1;
  }

  Fetcher make(FetchOptions options = {}, std::size_t unpacked_bytes_max = 1 << 20) {
    Fetcher fetcher(cluster_, options, unpacked_bytes_max);
    fetcher.assign({{partition_, Offset(0)}});
    return fetcher;
  }
  std::vector<std::string> read(Fetcher& fetcher) {
    std::vector<std::string> values;
    const auto polled = run(fetcher.poll(loop_.now() + seconds(5)));
    EXPECT_TRUE(polled) << polled.error().text;
    if (polled) {
      for (const FetchedRun& fetched : polled->runs) {
        good(fetched.for_each([&](const auto&, const protocol::RecordView& view) {
          values.emplace_back(as_text(*view.value));
        }));
      }
    }
    return values;
  }

  const TopicPartition partition_{"t", PartitionIndex(0)};
  std::vector<Buffer> log_;
  Offset end_{0};
  std::deque<Buffer> served_;
  std::deque<protocol::ErrorCode> errors_;
  std::vector<std::int64_t> asked_offsets_;
  std::vector<protocol::FetchResponse::AbortedTransaction> aborted_;
  bool one_batch_an_answer_ = false;
};

constexpr ProducerIdentity kProducer{ProducerId(9), ProducerEpoch(0)};

TEST_F(FetcherTest, records_before_the_position_are_not_shown) {
  add({"a", "b", "c"});
  Fetcher fetcher = make();
  fetcher.seek(partition_, Offset(1));
  EXPECT_THAT(read(fetcher), ElementsAre("b", "c"));
  EXPECT_EQ(fetcher.position(partition_), Offset(3));
  EXPECT_TRUE(fetcher.is_at_end(partition_));
}

TEST_F(FetcherTest, the_next_question_goes_out_before_the_last_answer_is_polled) {
  one_batch_an_answer_ = true;
  for (int index = 0; index < 10; ++index) {
    add({"x"});
  }
  Fetcher fetcher = make();
  // And no further: what nobody polls is not piled up.
  loop_.run_for(milliseconds(100));
  EXPECT_THAT(asked_offsets_, ElementsAre(0, 1));
  EXPECT_EQ(fetcher.position(partition_), Offset(0));
  for (int index = 0; index < 10; ++index) {
    EXPECT_THAT(read(fetcher), ElementsAre("x"));
  }
}

TEST_F(FetcherTest, an_aborted_transaction_is_stepped_over) {
  add({"a"});
  add({"b", "c"}, kProducer, true);
  add_marker(kProducer, protocol::ControlRecordType::kAbort);
  add({"d"});
  aborted_ = {{.producer_id = 9, .first_offset = 1}};
  Fetcher committed = make();
  EXPECT_THAT(read(committed), ElementsAre("a", "d"));
  EXPECT_EQ(committed.position(partition_), Offset(5));
  Fetcher uncommitted = make({.isolation_level = IsolationLevel::kReadUncommitted});
  EXPECT_THAT(read(uncommitted), ElementsAre("a", "b", "c", "d"));
}

TEST_F(FetcherTest, the_position_moves_past_control_records_alone) {
  add_marker(kProducer, protocol::ControlRecordType::kCommit);
  Fetcher fetcher = make();
  EXPECT_THAT(read(fetcher), IsEmpty());
  EXPECT_EQ(fetcher.position(partition_), Offset(1));
  EXPECT_TRUE(fetcher.is_at_end(partition_));
}

TEST_F(FetcherTest, a_damaged_batch_is_an_error_of_every_poll_and_nothing_is_skipped) {
  add({"a", "b"});
  log_.back()[log_.back().size() - 2] ^= std::byte{1};
  add({"c"});
  Fetcher fetcher = make();
  for (int attempt = 0; attempt < 2; ++attempt) {
    const auto polled = run(fetcher.poll(deadline()));
    ASSERT_FALSE(polled);
    EXPECT_EQ(polled.error().code, ErrorCode::kCorrupt);
    EXPECT_THAT(polled.error().text, testing::HasSubstr("t-0"));
  }
  EXPECT_EQ(fetcher.position(partition_), Offset(0));
}

TEST_F(FetcherTest, a_leader_that_moved_is_asked_for_again) {
  add({"a"});
  errors_ = {protocol::ErrorCode::kNotLeaderOrFollower, protocol::ErrorCode::kLeaderNotAvailable};
  Fetcher fetcher = make();
  EXPECT_THAT(read(fetcher), ElementsAre("a"));
  EXPECT_GE(broker_.seen_of(ApiKey::kMetadata).size(), 2);
}

TEST_F(FetcherTest, a_broker_that_restarts_is_waited_for) {
  add({"a"});
  Fetcher fetcher = make();
  EXPECT_THAT(read(fetcher), ElementsAre("a"));
  broker_.stop();
  add({"b"});
  loop_.schedule_after(milliseconds(300), [this] { broker_.start(); });
  EXPECT_THAT(read(fetcher), ElementsAre("b"));
}

TEST_F(FetcherTest, a_seek_drops_what_was_fetched_and_does_not_wait_for_a_long_poll) {
  add({"a", "b"});
  Fetcher fetcher = make();
  EXPECT_THAT(read(fetcher), ElementsAre("a", "b"));
  broker_.set_fates(ApiKey::kFetch, {Fate::kSilence});
  loop_.run_for(milliseconds(30));
  fetcher.seek(partition_, Offset(0));
  const MonotonicTime start = loop_.now();
  EXPECT_THAT(read(fetcher), ElementsAre("a", "b"));
  EXPECT_LT(loop_.now() - start, seconds(3));
}

TEST_F(FetcherTest, a_poll_unpacks_no_more_than_its_bound_or_one_batch) {
  const std::string large(1000, 'x');
  for (int index = 0; index < 6; ++index) {
    add({large, large});
  }
  Fetcher fetcher = make({}, 3000);
  for (int poll = 0; poll < 3; ++poll) {
    EXPECT_EQ(read(fetcher).size(), 4U);
    EXPECT_EQ(fetcher.position(partition_), Offset(4 * (poll + 1)));
  }
  EXPECT_TRUE(fetcher.is_at_end(partition_));
  Fetcher small = make({}, 1);
  EXPECT_EQ(read(small).size(), 2U);
}

TEST_F(FetcherTest, a_run_is_read_in_pieces_across_its_batches) {
  add({"a", "b", "c"});
  add({"d"});
  add({"e", "f"});
  Fetcher fetcher = make();
  fetcher.seek(partition_, Offset(1));
  auto polled = run(fetcher.poll(deadline()));
  ASSERT_TRUE(polled);
  ASSERT_EQ(polled->runs.size(), 1U);
  RunReader reader(std::move(polled->runs.front()));
  std::vector<std::vector<std::string>> pieces;
  while (!reader.is_done()) {
    std::vector<std::string>& piece = pieces.emplace_back();
    good(reader.read([&](const auto&, const protocol::RecordView& view) {
      if (piece.size() == 2) {
        return false;
      }
      piece.emplace_back(as_text(*view.value));
      return true;
    }));
  }
  EXPECT_THAT(pieces, ElementsAre(ElementsAre("b", "c"), ElementsAre("d", "e"), ElementsAre("f")));
}

TEST_F(FetcherTest, what_lies_before_a_damaged_batch_is_handed_out_first) {
  add({"a"});
  add({"b"});
  log_.back()[log_.back().size() - 2] ^= std::byte{1};
  Fetcher fetcher = make();
  EXPECT_THAT(read(fetcher), ElementsAre("a"));
  const auto polled = run(fetcher.poll(deadline()));
  ASSERT_FALSE(polled);
  EXPECT_EQ(polled.error().code, ErrorCode::kCorrupt);
}

TEST_F(FetcherTest, a_paused_partition_is_left_alone) {
  add({"a"});
  Fetcher fetcher = make();
  fetcher.pause(partition_);
  EXPECT_THAT(run(fetcher.poll(loop_.now() + milliseconds(100)))->runs, IsEmpty());
  fetcher.resume(partition_);
  EXPECT_THAT(read(fetcher), ElementsAre("a"));
}

TEST_F(FetcherTest, an_assignment_keeps_nothing_of_what_is_not_in_it) {
  add({"a"});
  Fetcher fetcher = make();
  loop_.run_for(milliseconds(50));
  fetcher.assign({});
  EXPECT_THAT(run(fetcher.poll(loop_.now() + milliseconds(50)))->runs, IsEmpty());
  EXPECT_EQ(fetcher.position(partition_), kNoOffset);
  fetcher.assign({{partition_, Offset(0)}});
  EXPECT_THAT(read(fetcher), ElementsAre("a"));
}

}  // namespace
}  // namespace onceflow::client
