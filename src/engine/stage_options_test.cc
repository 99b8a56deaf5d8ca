#include "engine/stage_options.h"

#include <gtest/gtest.h>

namespace onceflow::engine {
namespace {

TEST(IsFinal, what_passes_by_itself_is_never_final) {
  for (const ErrorCode code : {ErrorCode::kTimedOut, ErrorCode::kConnectionLost, ErrorCode::kFenced,
                               ErrorCode::kUnknownOutcome, ErrorCode::kNotFound}) {
    EXPECT_FALSE(is_final({code, "", Recovery::kRetriable}));
    EXPECT_FALSE(is_final({code, "", Recovery::kAbort}));
  }
  EXPECT_FALSE(is_final({ErrorCode::kRefused, "", Recovery::kAbort}));
}

TEST(IsFinal, what_only_a_person_can_mend_is_final_at_once) {
  EXPECT_TRUE(is_final({ErrorCode::kRefused, "", Recovery::kFatal}, false));
  EXPECT_TRUE(is_final({ErrorCode::kInvalidArgument, ""}, false));
  EXPECT_TRUE(is_final({ErrorCode::kUnsupported, ""}, false));
}

TEST(IsFinal, what_nobody_can_tell_is_final_when_it_comes_again) {
  EXPECT_FALSE(is_final(unclear_error("strange"), false));
  EXPECT_TRUE(is_final(unclear_error("strange"), true));
}

TEST(StageOptions, the_transaction_outlasts_its_interval_and_its_waits) {
  for (const std::int64_t interval_ms : {1, 100, 15'000, 60'000}) {
    StageOptions options;
    options.commit_interval = milliseconds(interval_ms);
    EXPECT_GE(options.transaction_timeout(),
              options.commit_interval + options.transaction_wait_max);
    // A commit that another worker left open times out before its records are given up.
    EXPECT_GT(options.decision_wait_max(), options.transaction_timeout());
  }
}

TEST(StageOptions, the_times_that_come_with_it_fit_one_another) {
  EXPECT_TRUE(check_times(StageOptions{}));
}

TEST(StageOptions, each_time_that_another_depends_on_is_checked) {
  StageOptions options;
  options.group.heartbeat_interval = options.group.session_timeout;
  EXPECT_NE(check_times(options).error().text.find("session.timeout.ms"), std::string::npos);
  options = {};
  options.group.rebalance_timeout = options.transaction_wait_max;
  EXPECT_NE(check_times(options).error().text.find("max.poll.interval.ms"), std::string::npos);
  options = {};
  options.producer.linger = options.producer.delivery_timeout;
  EXPECT_NE(check_times(options).error().text.find("delivery.timeout.ms"), std::string::npos);
  options = {};
  options.fetch.fetch_wait_max = options.call_timeout;
  EXPECT_NE(check_times(options).error().text.find("fetch.max.wait.ms"), std::string::npos);
}

}  // namespace
}  // namespace onceflow::engine
