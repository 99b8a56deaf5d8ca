// What `onceflow reset` was told.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "app/commands.h"
#include "app/log_task.h"

namespace onceflow::app {

enum class ResetTo { kNothing, kEarliest, kLatest, kDatetime, kCurrent, kKeepStates };

/// A time as --to-datetime takes it, in ms since 1970; says on standard error what is wrong with
/// it.
std::optional<std::int64_t> parse_reset_time(const std::string& text);

struct ResetCommand {
  std::string file;
  LogTaskOptions log{.verb = "reset", .bootstrap_servers = {}, .log = {}, .flags = {}};
  ResetTo to = ResetTo::kNothing;
  std::int64_t datetime_ms = 0;
  bool deletes_rows = false;
  bool keeps_rows = false;
  bool removes_members = false;
  bool executes = false;

  /// The file and the flags of its log, as they are typed again.
  std::string named() const;
  /// What decides what becomes of the pipeline, as flags in one order: " --to-earliest
  /// --delete-rows". Two commands with the same ones do the same.
  std::string decisions() const;
};

/// From the command line; else the exit code, and what is wrong stands on standard error.
std::expected<ResetCommand, int> read_reset_command(const Arguments& arguments);

/// What stands in the record of a reset that has begun: its decisions, and how it treats members.
std::string flags_of(const ResetCommand& command);
/// Whether the command ends a reset whose record has these flags.
bool is_same_reset(const ResetCommand& command, std::string_view flags);

}  // namespace onceflow::app
