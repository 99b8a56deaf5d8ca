#include "app/reset_command.h"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <iostream>

#include "app/bootstrap_servers.h"
#include "app/parse_arguments.h"
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

std::expected<ResetCommand, int> read_reset_command(const Arguments& arguments) {
  ResetCommand command;
  CLI::App app(
      "begin a pipeline anew, or fit what it keeps to a changed file\n"
      "says what it would do; --execute does it; refused while a worker lives",
      "onceflow reset");
  app.add_option("FILE", command.file, "a pipeline file")->required();
  auto* to = app.add_option_group("to", "where it goes on");
  to->add_flag_callback(
      "--to-earliest", [&] { command.to = ResetTo::kEarliest; },
      "start over: at the first records that the source topics still have");
  to->add_flag_callback(
      "--to-latest", [&] { command.to = ResetTo::kLatest; },
      "start over: with what is written from now on");
  std::string datetime;
  const CLI::Option* const to_datetime = to->add_option(
      "--to-datetime", datetime,
      "start over: at the first record of this time or later, 2026-11-29T10:15:00 (UTC)");
  to->add_flag_callback(
      "--to-current", [&] { command.to = ResetTo::kCurrent; },
      "go on where it is; states that the file has changed begin empty");
  to->add_flag_callback(
      "--keep-states", [&] { command.to = ResetTo::kKeepStates; },
      "go on where it is, with the states as they are: for another `set` or `key` before "
      "an aggregate");
  to->require_option(1);
  CLI::Option* const deletes_rows =
      app.add_flag("--delete-rows", command.deletes_rows, "start over: empty the sinks' tables");
  app.add_flag("--keep-rows", command.keeps_rows,
               "start over: leave the rows that are there, although theirs come again")
      ->excludes(deletes_rows);
  app.add_flag("--remove-members", command.removes_members,
               "workers that were killed count as gone before their session has ended");
  app.add_flag("--execute", command.executes, "do it");
  add_servers_option(app, command.log.bootstrap_servers);
  app.add_option("--data-dir", command.log.log.data_directory, "of the embedded log")
      ->capture_default_str();
  app.add_option("--port", command.log.log.port, "of the embedded log, where it is running")
      ->capture_default_str();
  if (const auto ended = parse_arguments(app, arguments)) {
    return std::unexpected(*ended);
  }
  if (*to_datetime) {
    const auto parsed = parse_reset_time(datetime);
    if (!parsed) {
      return std::unexpected(kExitUsage);
    }
    command.to = ResetTo::kDatetime;
    command.datetime_ms = *parsed;
  }
  const bool goes_on = command.to == ResetTo::kCurrent || command.to == ResetTo::kKeepStates;
  if (goes_on && (command.deletes_rows || command.keeps_rows)) {
    std::cerr << "onceflow reset: --delete-rows and --keep-rows say what becomes of rows that are "
                 "made again; --to-current and --keep-states make none again; the fix: leave the "
                 "flag out\n";
    return std::unexpected(kExitUsage);
  }
  command.log.flags = log_flags_of(app);
  return command;
}

}  // namespace onceflow::app
