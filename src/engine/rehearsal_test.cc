#include "engine/rehearsal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace onceflow::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(Rehearsal, what_run_stops_on_is_a_refusal_and_what_it_waits_for_is_not_known) {
  Rehearsal rehearsal;
  rehearsal.add(Status{}, "a");
  EXPECT_FALSE(rehearsal.has_ended());
  rehearsal.add(fail(ErrorCode::kConnectionLost, "no connection", Recovery::kRetriable), "b");
  EXPECT_TRUE(rehearsal.has_ended());
  EXPECT_THAT(rehearsal.refusals, IsEmpty());
  rehearsal.add(fail(ErrorCode::kRefused, "no column"), "c");
  rehearsal.add(fail(ErrorCode::kCorrupt, "deleted"));
  EXPECT_THAT(rehearsal.refusals, ElementsAre("stage 'c': no column", "deleted"));
  EXPECT_THAT(rehearsal.unasked, ElementsAre("stage 'b': no connection"));
}

}  // namespace
}  // namespace onceflow::engine
