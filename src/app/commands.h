// The subcommands: each takes what stands behind its name and returns the exit code of the process.
#pragma once

#include <string>
#include <vector>

#define ONCEFLOW_VERSION "0.1.0"

namespace onceflow::app {

using Arguments = std::vector<std::string>;

inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;  ///< a check or an audit failed, or the work could not go on
inline constexpr int kExitUsage = 2;   ///< wrong arguments or a wrong file; nothing was started

int run_run(const Arguments& arguments);
int run_broker(const Arguments& arguments);
int run_validate(const Arguments& arguments);
int run_explain(const Arguments& arguments);
int run_audit(const Arguments& arguments);
int run_sim(const Arguments& arguments);
int run_cat(const Arguments& arguments);
int run_salvage(const Arguments& arguments);
int run_dump(const Arguments& arguments);

}  // namespace onceflow::app
