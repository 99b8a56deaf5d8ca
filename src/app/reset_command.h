// What `onceflow reset` was told.
#pragma once

#include <cstdint>
#include <string>

#include "app/log_task.h"

namespace onceflow::app {

enum class ResetTo { kNothing, kEarliest, kLatest, kDatetime, kCurrent, kKeepStates };

struct ResetCommand {
  std::string file;
  LogTaskOptions log{.verb = "reset", .bootstrap_servers = {}, .log = {}, .flags = {}};
  ResetTo to = ResetTo::kNothing;
  std::int64_t datetime_ms = 0;
  bool deletes_rows = false;
  bool keeps_rows = false;
  bool removes_members = false;
  bool executes = false;
};

}  // namespace onceflow::app
