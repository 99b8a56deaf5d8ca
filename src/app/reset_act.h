// Act: something that `onceflow reset` does, said before it is done.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "app/reset_tables.h"
#include "base/result.h"
#include "base/task.h"

namespace onceflow::app {

struct Act {
  std::string what;
  std::function<Task<Status>()> run;
  std::function<Status()> try_out{};  ///< empty: nothing but the log is asked for it
  bool removes_members = false;       ///< else its groups must be empty
};

/// What a database refuses it refuses here, before the first act, and each of them says so.
inline Status try_out(const std::vector<Act>& acts) {
  std::vector<Status> tried;
  for (const Act& act : acts) {
    if (act.try_out) {
      tried.push_back(act.try_out());
    }
  }
  return joined_errors(tried);
}

}  // namespace onceflow::app
