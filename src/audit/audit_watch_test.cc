#include "audit/audit_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace onceflow::audit {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

MonotonicTime at_second(int second) { return MonotonicTime(seconds(second)); }

AuditReport report_of(const std::vector<std::string>& missing, Offset verified = Offset(10)) {
  AuditReport report{.pipeline = "p"};
  report.stages.push_back({.stage = "s", .partitions = {{.verified_offset = verified}}});
  for (const std::string& text : missing) {
    report.findings.add(FindingKind::kMissing, "s", 1, text);
  }
  return report;
}

TEST(AuditWatch, nothing_is_known_before_the_first_verdict) {
  AuditWatch watch;
  EXPECT_EQ(watch.state(), AuditState::kNever);
  watch.begin(at_second(1));
  EXPECT_EQ(watch.state(), AuditState::kRunning);
  EXPECT_EQ(watch.running_since(), at_second(1));
  EXPECT_FALSE(watch.verdict());
}

TEST(AuditWatch, a_verdict_stands_while_the_next_audit_runs) {
  AuditWatch watch;
  watch.begin(at_second(1));
  EXPECT_THAT(watch.end(report_of({}), at_second(3), WallTime(7)),
              ElementsAre("clean — 0 input records accounted for to the last row"));
  EXPECT_EQ(watch.verdict()->took, seconds(2));
  EXPECT_EQ(watch.verdict()->ended_at, WallTime(7));
  watch.begin(at_second(4));
  EXPECT_EQ(watch.state(), AuditState::kClean);
  EXPECT_THAT(watch.end(report_of({}), at_second(5), WallTime(8)), IsEmpty());
  EXPECT_EQ(watch.count(AuditState::kClean), 2U);
}

TEST(AuditWatch, each_finding_is_told_once_and_their_end_too) {
  AuditWatch watch;
  watch.begin(at_second(1));
  EXPECT_THAT(watch.end(report_of({"a"}), at_second(1), {}),
              ElementsAre("missing: a", "1 finding (1 missing)"));
  EXPECT_EQ(watch.state(), AuditState::kFindings);
  watch.begin(at_second(2));
  EXPECT_THAT(watch.end(report_of({"a"}), at_second(2), {}), IsEmpty());
  watch.begin(at_second(3));
  EXPECT_THAT(watch.end(report_of({"a", "b"}), at_second(3), {}),
              ElementsAre("missing: b", "2 findings (2 missing)"));
  watch.begin(at_second(4));
  EXPECT_THAT(watch.end(report_of({}), at_second(4), {}),
              ElementsAre("clean — 0 input records accounted for to the last row"));
}

TEST(AuditWatch, only_a_clean_audit_moves_what_is_accounted_for) {
  AuditWatch watch;
  watch.begin(at_second(1));
  watch.end(report_of({}, Offset(10)), at_second(1), {});
  watch.begin(at_second(2));
  watch.end(report_of({"a"}, Offset(20)), at_second(2), {});
  EXPECT_EQ(watch.verdict()->report.stages[0].partitions[0].verified_offset, Offset(20));
  EXPECT_EQ(watch.last_clean()->report.stages[0].partitions[0].verified_offset, Offset(10));
}

TEST(AuditWatch, an_audit_that_cannot_judge_keeps_the_last_verdict_and_says_why_once) {
  AuditWatch watch;
  watch.begin(at_second(1));
  watch.end(report_of({"a"}), at_second(1), {});
  for (int second = 2; second < 4; ++second) {
    watch.begin(at_second(second));
    const auto news =
        watch.end(fail(ErrorCode::kConnectionLost, "no broker"), at_second(second), {});
    if (second == 2) {
      EXPECT_THAT(news, ElementsAre("cannot judge: no broker"));
    } else {
      EXPECT_THAT(news, IsEmpty());
    }
  }
  EXPECT_EQ(watch.state(), AuditState::kFailed);
  EXPECT_EQ(watch.reason(), "no broker");
  EXPECT_EQ(watch.verdict()->ended, at_second(1));
  watch.begin(at_second(5));
  EXPECT_THAT(watch.end(report_of({"a"}), at_second(5), {}), ElementsAre("1 finding (1 missing)"));
  EXPECT_EQ(watch.reason(), "");
}

TEST(AuditWatch, what_is_told_has_a_limit) {
  AuditWatch watch;
  std::size_t told = 0;
  for (int round = 0; round < 1200; ++round) {
    watch.begin(at_second(round));
    told += watch.end(report_of({std::to_string(round)}), at_second(round), {}).size();
  }
  // Each name comes with the verdict; one line says that no more names come.
  EXPECT_EQ(told, 2 * AuditWatch::kToldMax + 1);
}

}  // namespace
}  // namespace onceflow::audit
