#include "base/log_line.h"

#include <gtest/gtest.h>

namespace onceflow {
namespace {

constexpr WallTime kTime{1795254824123};

TEST(LogLine, text_carries_time_level_stage_and_event) {
  EXPECT_EQ(to_log_line({.level = LogLevel::kWarn,
                         .stage = "paid",
                         .event = "retrying",
                         .text = "the database is away"},
                        kTime, LogFormat::kText, "run"),
            "2026-11-21T09:53:44.123Z WARN  run stage=paid event=\"retrying\": the database is "
            "away\n");
}

TEST(LogLine, json_carries_the_same) {
  EXPECT_EQ(to_log_line({.level = LogLevel::kError, .event = "failed", .text = "a \"b\" \\ c"},
                        kTime, LogFormat::kJson, "broker"),
            "{\"time\":\"2026-11-21T09:53:44.123Z\",\"level\":\"error\",\"component\":\"broker\","
            "\"event\":\"failed\",\"message\":\"a \\\"b\\\" \\\\ c\"}\n");
}

TEST(LogLine, one_event_is_one_line_whatever_stands_in_it) {
  const LogEvent event{.stage = "a\nb", .event = "e\r", .text = "x\ny\x1b[31m"};
  EXPECT_EQ(to_log_line(event, kTime, LogFormat::kText, "run"),
            "2026-11-21T09:53:44.123Z INFO  run stage=a; b event=\"e \": x; y\\x1b[31m\n");
  EXPECT_EQ(
      to_log_line(event, kTime, LogFormat::kJson, "run"),
      "{\"time\":\"2026-11-21T09:53:44.123Z\",\"level\":\"info\",\"component\":\"run\","
      "\"stage\":\"a\\u000ab\",\"event\":\"e\\u000d\",\"message\":\"x\\u000ay\\u001b[31m\"}\n");
}

TEST(LogLine, a_list_of_several_lines_is_one_sentence) {
  const LogEvent event{.event = "failed", .text = "choose one of:\n  keep it\n\n  begin anew\n"};
  EXPECT_EQ(to_log_line(event, kTime, LogFormat::kText, "run"),
            "2026-11-21T09:53:44.123Z INFO  run event=\"failed\": "
            "choose one of: keep it; begin anew\n");
}

TEST(LogLine, bytes_that_are_not_utf8_are_replaced) {
  for (const LogFormat format : {LogFormat::kText, LogFormat::kJson}) {
    const std::string line =
        to_log_line({.event = "e", .text = "gr\xc3\xb6\xff \xed\xa0\x80 \xc3"}, kTime, format, "r");
    EXPECT_EQ(line.find('\xff'), std::string::npos);
    EXPECT_EQ(line.find("\xed\xa0\x80"), std::string::npos);
    EXPECT_NE(line.find("gr\xc3\xb6\xef\xbf\xbd"), std::string::npos) << line;
  }
}

TEST(LogLine, what_ends_a_line_or_commands_a_reader_elsewhere_is_spelled) {
  // NEL, CSI of a terminal, a line separator, a right-to-left override; and letters around them.
  const LogEvent event{.event = "e",
                       .text = "\xc2\x85 \xc2\x9b \xe2\x80\xa8 \xe2\x80\xae \xc2\xa0 \xe2\x82\xac"};
  for (const LogFormat format : {LogFormat::kText, LogFormat::kJson}) {
    const std::string line = to_log_line(event, kTime, format, "r");
    EXPECT_NE(line.find("\\u0085 \\u009b \\u2028 \\u202e \xc2\xa0 \xe2\x82\xac"), std::string::npos)
        << line;
  }
}

}  // namespace
}  // namespace onceflow
