#include "app/reset_command.h"

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <iostream>

#include "app/shell_words.h"
#include "base/log_line.h"

namespace onceflow::app {
namespace {

constexpr std::string_view kRemoveMembers = " --remove-members";

// 2026-11-29T10:15:00, with Z or nothing: UTC. Kafka's tool takes the same.
std::optional<std::int64_t> read_datetime(const std::string& text) {
  int year = 0;
  unsigned month = 0;
  unsigned day = 0;
  int hour = 0;
  int minute = 0;
  double second = 0;
  int length = 0;
  const int count = std::sscanf(text.c_str(), "%4d-%2u-%2uT%2d:%2d:%lf%n", &year, &month, &day,
                                &hour, &minute, &second, &length);
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(month),
                                         std::chrono::day(day)};
  const std::string rest = count == 6 ? text.substr(static_cast<std::size_t>(length)) : "?";
  if (count != 6 || !date.ok() || hour > 23 || minute > 59 || second >= 61 ||
      (!rest.empty() && rest != "Z")) {
    return std::nullopt;
  }
  const auto days = std::chrono::sys_days(date).time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(days).count() + hour * 3'600'000 +
         minute * 60'000 + std::llround(second * 1000);
}

std::string_view to_flag(ResetTo to) {
  switch (to) {
    case ResetTo::kEarliest:
      return "--to-earliest";
    case ResetTo::kLatest:
      return "--to-latest";
    case ResetTo::kDatetime:
      return "--to-datetime";
    case ResetTo::kCurrent:
      return "--to-current";
    case ResetTo::kKeepStates:
      return "--keep-states";
    case ResetTo::kNothing:
      break;
  }
  return "";
}

}  // namespace

// Kafka has words of its own for the milliseconds below zero.
std::optional<std::int64_t> parse_reset_time(const std::string& text) {
  const auto parsed = read_datetime(text);
  if (!parsed) {
    std::cerr << "onceflow reset: --to-datetime " << text
              << " is not a time; the rule: it is UTC, with Z or nothing behind it; the fix: "
                 "write for example 2026-11-29T10:15:00\n";
    return std::nullopt;
  }
  if (*parsed < 0) {
    std::cerr << "onceflow reset: --to-datetime " << text
              << " is before 1970; the rule: Kafka's times begin at 1970-01-01T00:00:00 (UTC); "
                 "the fix: --to-earliest\n";
    return std::nullopt;
  }
  return parsed;
}

std::string ResetCommand::named() const { return shell_word(file) + log.flags; }

std::string ResetCommand::decisions() const {
  std::string flags(to_flag(to));
  if (to == ResetTo::kDatetime) {
    flags += " " + to_iso8601_ms(WallTime(datetime_ms));
  }
  return flags + (deletes_rows ? " --delete-rows" : "") + (keeps_rows ? " --keep-rows" : "");
}

std::string flags_of(const ResetCommand& command) {
  return command.decisions() + std::string(command.removes_members ? kRemoveMembers : "");
}

bool is_same_reset(const ResetCommand& command, std::string_view flags) {
  if (flags.empty()) {
    // Of a version that did not keep them: any that begins so may be it.
    return command.to != ResetTo::kKeepStates;
  }
  if (flags.ends_with(kRemoveMembers)) {
    flags.remove_suffix(kRemoveMembers.size());
  }
  return flags == command.decisions();
}

}  // namespace onceflow::app
