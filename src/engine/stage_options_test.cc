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

}  // namespace
}  // namespace onceflow::engine
