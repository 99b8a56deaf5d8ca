#include "client/transactional_producer.h"

#include "base/error_class.h"
#include "client/client_testing.h"
#include "protocol/messages/24_add_partitions_to_txn.h"
#include "protocol/messages/25_add_offsets_to_txn.h"

namespace onceflow::client {
namespace {

using protocol::ApiKey;
using testing::ElementsAre;
using Fate = FakeBroker::Fate;
using State = TransactionalProducer::State;

class TransactionalProducerTest : public ClientTest {
 public:
  void speak_version_2(bool pipelined) {
    broker_.finalize_transaction_version(2);
    if (pipelined) {
      broker_.pipeline_transactions();
    }
  }
  void make(io::Environment environment) {
    cluster_->close();
    cluster_ = Cluster::create(environment, options_);
    producer_.emplace(cluster_, ProducerOptions{.linger = milliseconds(0)},
                      TransactionOptions{.transactional_id = "tx"});
    slot_ = producer_->slot({"t", PartitionIndex(0)});
  }
  void make() { make(environment_.environment()); }
  void begin_with(std::string_view value, bool with_offsets = true) {
    good(producer_->begin());
    good(producer_->append(slot_, record(value)));
    if (with_offsets) {
      good(producer_->send_offsets({.group_id = "g"}, {{{"in", PartitionIndex(0)}, Offset(1)}}));
    }
  }
  std::vector<ApiKey> requests_of_transactions() const {
    std::vector<ApiKey> keys;
    for (const FakeBroker::Seen& one : broker_.seen) {
      if (one.key == ApiKey::kProduce || one.key == ApiKey::kTxnOffsetCommit ||
          one.key == ApiKey::kEndTxn || one.key == ApiKey::kAddPartitionsToTxn ||
          one.key == ApiKey::kAddOffsetsToTxn) {
        keys.push_back(one.key);
      }
    }
    return keys;
  }
  /// Whether each EndTxn seen was a commit.
  std::vector<bool> ends() const {
    std::vector<bool> commits;
    for (const FakeBroker::Seen& one : broker_.seen_of(ApiKey::kEndTxn)) {
      WireReader reader(one.body);
      commits.push_back(protocol::EndTxnRequest::decode(reader, one.version).value().committed);
    }
    return commits;
  }
  void script_version_1() {
    using protocol::AddOffsetsToTxnRequest;
    using protocol::AddPartitionsToTxnRequest;
    broker_.script<AddPartitionsToTxnRequest>(
        [](const AddPartitionsToTxnRequest& request, std::int16_t) {
          protocol::AddPartitionsToTxnResponse response;
          for (const auto& topic : request.v3_and_below_topics) {
            auto& answered = response.results_by_topic_v3_and_below.emplace_back();
            answered.name = topic.name;
            for (const auto partition : topic.partitions) {
              answered.results_by_partition.push_back({.partition_index = partition});
            }
          }
          return response;
        });
    broker_.script<AddOffsetsToTxnRequest>([](const AddOffsetsToTxnRequest&, std::int16_t) {
      return protocol::AddOffsetsToTxnResponse{};
    });
  }

  std::optional<TransactionalProducer> producer_;
  PartitionSlot slot_;
};

TEST_F(TransactionalProducerTest,
       version_2_takes_the_epoch_of_each_end_and_starts_at_sequence_zero) {
  speak_version_2(false);
  make();
  good(producer_->init_transactions(deadline()));
  EXPECT_EQ(producer_->transaction_version(), 2);
  EXPECT_FALSE(producer_->is_pipelined());
  for (const std::int16_t epoch : {0, 1, 2}) {
    EXPECT_EQ(producer_->identity().epoch, ProducerEpoch(epoch));
    begin_with("a");
    good(producer_->commit(deadline()));
    const auto last = header(produced().back());
    EXPECT_EQ(last.producer_epoch, ProducerEpoch(epoch));
    EXPECT_EQ(last.base_sequence, Sequence(0));
    EXPECT_TRUE(last.is_transactional());
  }
  EXPECT_THAT(ends(), ElementsAre(true, true, true));
  EXPECT_EQ(broker_.seen_of(ApiKey::kProduce)[0].version, 12);
  EXPECT_EQ(broker_.seen_of(ApiKey::kTxnOffsetCommit)[0].version, 5);
  EXPECT_EQ(broker_.seen_of(ApiKey::kEndTxn)[0].version, 5);
}

TEST_F(TransactionalProducerTest, version_1_enrols_first_and_keeps_epoch_and_sequence) {
  broker_.finalize_transaction_version(1);
  script_version_1();
  make();
  good(producer_->init_transactions(deadline()));
  EXPECT_EQ(producer_->transaction_version(), 1);
  begin_with("a");
  good(producer_->commit(deadline()));
  EXPECT_THAT(requests_of_transactions(),
              ElementsAre(ApiKey::kAddPartitionsToTxn, ApiKey::kProduce, ApiKey::kAddOffsetsToTxn,
                          ApiKey::kTxnOffsetCommit, ApiKey::kEndTxn));
  EXPECT_EQ(broker_.seen_of(ApiKey::kProduce)[0].version, 11);
  EXPECT_EQ(broker_.seen_of(ApiKey::kTxnOffsetCommit)[0].version, 4);
  EXPECT_EQ(broker_.seen_of(ApiKey::kEndTxn)[0].version, 4);
  begin_with("b");
  good(producer_->commit(deadline()));
  EXPECT_EQ(header(produced()[1]).producer_epoch, ProducerEpoch(0));
  EXPECT_EQ(header(produced()[1]).base_sequence, Sequence(1));
}

TEST_F(TransactionalProducerTest, a_pipelined_commit_writes_everything_on_one_connection_at_once) {
  speak_version_2(true);
  make();
  good(producer_->init_transactions(deadline()));
  EXPECT_TRUE(producer_->is_pipelined());
  // No answer to the first is needed for the others to be sent.
  broker_.set_fates(ApiKey::kProduce, {Fate::kSilence});
  begin_with("a");
  bool done = false;
  loop_.spawn([](TransactionalProducerTest& test, bool& flag) -> Task<void> {
    co_await test.producer_->commit(test.deadline());
    flag = true;
  }(*this, done));
  EXPECT_TRUE(loop_.run_until([&] { return requests_of_transactions().size() == 3; }, seconds(10)));
  EXPECT_THAT(requests_of_transactions(),
              ElementsAre(ApiKey::kProduce, ApiKey::kTxnOffsetCommit, ApiKey::kEndTxn));
  EXPECT_EQ(broker_.seen_of(ApiKey::kProduce)[0].connection,
            broker_.seen_of(ApiKey::kEndTxn)[0].connection);
  broker_.hang_up_all();
  EXPECT_TRUE(loop_.run_until([&] { return done; }, seconds(10)));
}

TEST_F(TransactionalProducerTest,
       a_lost_answer_to_a_commit_is_an_unknown_outcome_and_never_repeated) {
  for (const bool pipelined : {true, false}) {
    broker_.features.supported_features.clear();
    broker_.features.finalized_features.clear();
    speak_version_2(pipelined);
    make();
    broker_.seen.clear();
    good(producer_->init_transactions(deadline()));
    broker_.set_fates(ApiKey::kEndTxn, {Fate::kHangUp});
    begin_with("a");
    const Status status = run(producer_->commit(deadline()));
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, ErrorCode::kUnknownOutcome);
    EXPECT_EQ(producer_->state(), State::kUninitialised);
    EXPECT_FALSE(producer_->begin());
    EXPECT_EQ(ends().size(), 1);

    const ProducerEpoch before = producer_->identity().epoch;
    good(producer_->init_transactions(deadline()));
    EXPECT_GT(producer_->identity().epoch, before);
    begin_with("b");
    good(producer_->commit(deadline()));
    EXPECT_THAT(ends(), ElementsAre(true, true));
    EXPECT_EQ(header(produced().back()).base_sequence, Sequence(0));
  }
}

TEST_F(TransactionalProducerTest, the_seeded_bug_repeats_a_lost_commit_into_the_next_transaction) {
  speak_version_2(true);
  io::Environment environment = environment_.environment();
  environment.seeded_bug = SeededBug::kRetryEndTxnIntoNextTransaction;
  make(environment);
  good(producer_->init_transactions(deadline()));
  broker_.set_fates(ApiKey::kEndTxn, {Fate::kHangUp});
  begin_with("a");
  EXPECT_FALSE(run(producer_->commit(deadline())));
  good(producer_->init_transactions(deadline()));
  broker_.seen.clear();
  begin_with("b");
  run(producer_->commit(deadline()));
  EXPECT_THAT(requests_of_transactions(), ElementsAre(ApiKey::kProduce, ApiKey::kEndTxn,
                                                      ApiKey::kTxnOffsetCommit, ApiKey::kEndTxn));
}

TEST_F(TransactionalProducerTest, a_transaction_with_nothing_in_it_asks_nobody) {
  speak_version_2(true);
  make();
  good(producer_->init_transactions(deadline()));
  good(producer_->begin());
  good(producer_->commit(deadline()));
  good(producer_->begin());
  good(producer_->append(slot_, record("never sent")));
  good(producer_->abort(deadline()));
  EXPECT_THAT(requests_of_transactions(), ElementsAre());
  begin_with("a", false);
  good(producer_->commit(deadline()));
  EXPECT_EQ(header(produced()[0]).base_sequence, Sequence(0));
}

TEST_F(TransactionalProducerTest, a_refused_batch_fails_the_commit_and_can_be_aborted) {
  for (const bool pipelined : {true, false}) {
    broker_.features.supported_features.clear();
    broker_.features.finalized_features.clear();
    speak_version_2(pipelined);
    make();
    good(producer_->init_transactions(deadline()));
    broker_.produce_errors = {protocol::ErrorCode::kTransactionAbortable};
    if (pipelined) {
      // As a broker does that has promised: the commit behind it cannot succeed.
      broker_.script<protocol::EndTxnRequest>(
          [this](const protocol::EndTxnRequest& request, std::int16_t) {
            protocol::EndTxnResponse response;
            response.error_code = request.committed ? protocol::ErrorCode::kTransactionAbortable
                                                    : protocol::ErrorCode::kNone;
            response.producer_id = 7;
            response.producer_epoch = broker_.next_epoch++;
            return response;
          });
    }
    begin_with("a");
    const Status status = run(producer_->commit(deadline()));
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().recovery, Recovery::kAbort) << status.error().text;
    EXPECT_EQ(producer_->state(), State::kMustAbort);
    EXPECT_FALSE(run(producer_->commit(deadline())));
    good(producer_->abort(deadline()));
    EXPECT_EQ(producer_->state(), State::kReady);
    EXPECT_FALSE(ends().back());
  }
}

TEST_F(TransactionalProducerTest, version_1_leaves_a_transaction_in_doubt_by_a_new_epoch) {
  broker_.finalize_transaction_version(1);
  script_version_1();
  make();
  good(producer_->init_transactions(deadline()));
  const ProducerEpoch before = producer_->identity().epoch;
  broker_.produce_errors = {protocol::ErrorCode::kInvalidTxnState};
  begin_with("a");
  EXPECT_FALSE(run(producer_->commit(deadline())));
  good(producer_->abort(deadline()));
  EXPECT_THAT(ends(), ElementsAre());
  EXPECT_GT(producer_->identity().epoch, before);
  EXPECT_EQ(producer_->state(), State::kReady);
}

TEST_F(TransactionalProducerTest, a_fenced_producer_says_so_and_is_finished_until_it_starts_anew) {
  speak_version_2(true);
  make();
  good(producer_->init_transactions(deadline()));
  broker_.produce_errors = {protocol::ErrorCode::kInvalidProducerEpoch};
  broker_.script<protocol::EndTxnRequest>([](const protocol::EndTxnRequest&, std::int16_t) {
    protocol::EndTxnResponse response;
    response.error_code = protocol::ErrorCode::kProducerFenced;
    return response;
  });
  begin_with("a");
  const Status status = run(producer_->commit(deadline()));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kFenced);
  EXPECT_EQ(status.error().recovery, Recovery::kFatal);
  EXPECT_EQ(producer_->state(), State::kUninitialised);
}

TEST_F(TransactionalProducerTest, initialisation_waits_out_the_end_of_the_transaction_before) {
  speak_version_2(true);
  int count = 0;
  broker_.script<protocol::InitProducerIdRequest>(
      [&](const protocol::InitProducerIdRequest&, std::int16_t) {
        protocol::InitProducerIdResponse response;
        response.error_code =
            ++count < 4 ? protocol::ErrorCode::kConcurrentTransactions : protocol::ErrorCode::kNone;
        response.producer_id = 7;
        response.producer_epoch = 3;
        return response;
      });
  make();
  good(producer_->init_transactions(deadline()));
  EXPECT_EQ(count, 4);
}

TEST_F(TransactionalProducerTest, a_commit_that_could_not_be_sent_is_no_unknown_outcome) {
  speak_version_2(true);
  make();
  good(producer_->init_transactions(deadline()));
  begin_with("a");
  broker_.stop();
  loop_.run_for(milliseconds(50));
  const Status status = run(producer_->commit(loop_.now() + milliseconds(300)));
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().code, ErrorCode::kUnknownOutcome);
  EXPECT_EQ(status.error().recovery, Recovery::kAbort);
}

TEST_F(TransactionalProducerTest, a_brokers_final_no_is_final_and_names_its_record) {
  using enum protocol::ErrorCode;
  speak_version_2(false);
  make();
  good(producer_->init_transactions(deadline()));
  for (const protocol::ErrorCode code :
       {kMessageTooLarge, kRecordListTooLarge, kInvalidRecord, kInvalidTimestamp,
        kTopicAuthorizationFailed, kUnsupportedForMessageFormat, kPolicyViolation,
        kInvalidRequiredAcks, kUnsupportedCompressionType, kClusterAuthorizationFailed}) {
    broker_.produce_errors = {code};
    good(producer_->begin());
    good(producer_->append(slot_, record("a"), {.source_index = 1, .offset = Offset(42)}));
    const Status status = run(producer_->commit(deadline()));
    ASSERT_FALSE(status) << protocol::to_string(code);
    EXPECT_EQ(status.error().code, ErrorCode::kRefused) << status.error().text;
    EXPECT_EQ(status.error().recovery, Recovery::kFatal) << status.error().text;
    EXPECT_TRUE(status.error().text.contains("t-0")) << status.error().text;
    EXPECT_TRUE(status.error().text.contains("the fix: ")) << status.error().text;
    ASSERT_TRUE(producer_->refused_origin());
    EXPECT_EQ(producer_->refused_origin()->offset, Offset(42));
    EXPECT_EQ(producer_->state(), State::kMustAbort);
    good(producer_->abort(deadline()));
  }
  begin_with("b");
  good(producer_->commit(deadline()));
  EXPECT_FALSE(producer_->refused_origin());
}

TEST_F(TransactionalProducerTest, a_batch_that_is_too_large_is_written_in_smaller_ones_next_time) {
  using enum protocol::ErrorCode;
  speak_version_2(false);
  make();
  good(producer_->init_transactions(deadline()));
  broker_.produce_errors = {kMessageTooLarge};
  const auto try_all = [&] {
    good(producer_->begin());
    for (const char* value : {"a", "b", "c", "d"}) {
      good(producer_->append(slot_, record(value)));
    }
    return run(producer_->commit(deadline()));
  };
  const Status status = try_all();
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().recovery, Recovery::kAbort) << status.error().text;
  good(producer_->abort(deadline()));
  const std::size_t before = produced().size();
  good(try_all());
  EXPECT_GT(produced().size(), before + 1);
}

TEST_F(TransactionalProducerTest, an_error_that_is_not_listed_says_that_it_may_be_tried_once_more) {
  speak_version_2(false);
  make();
  good(producer_->init_transactions(deadline()));
  const auto unheard = static_cast<protocol::ErrorCode>(999);
  broker_.produce_errors = {unheard, unheard};
  begin_with("a");
  const Status status = run(producer_->commit(deadline()));
  ASSERT_FALSE(status);
  EXPECT_TRUE(is_unclear(status.error())) << status.error().text;
  EXPECT_TRUE(status.error().text.contains("999")) << status.error().text;
  good(producer_->abort(deadline()));
}

}  // namespace
}  // namespace onceflow::client
