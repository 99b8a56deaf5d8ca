// A command that asks the pipeline's log a few things and ends: which log that is, and who has it.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "app/embedded_log.h"
#include "client/admin.h"
#include "client/cluster.h"
#include "io/os/os_environment.h"

namespace CLI {
class App;
}

namespace onceflow::app {

struct LogTaskOptions {
  std::string verb;               ///< who speaks, in messages
  std::string bootstrap_servers;  ///< empty: the embedded log
  EmbeddedLogOptions log;
  /// Those that were given, as they are typed again in a fix: " --data-dir DIR".
  std::string flags;
};

/// The flags that say which log it is, where they were given: whoever follows a fix word for word
/// acts on the same log.
std::string log_flags_of(const CLI::App& app);

/// Where the task found its log.
struct LogAtHand {
  io::OsEnvironment& os;
  std::shared_ptr<client::Cluster> cluster;
  /// The embedded log, opened here: nothing else has it open, so no worker of it is alive.
  bool is_ours = false;
};

/// There is no embedded log where it would be, and asking for it would make one.
bool is_log_missing(const LogTaskOptions& options);
/// What people are told then: a line.
std::string missing_log(const LogTaskOptions& options);

/// Runs the task on the log and returns its exit code. An embedded log that another process has
/// open is asked over its port; kExitUsage, said on standard error, if there is no way to ask.
int run_on_log(const LogTaskOptions& options, std::function<Task<int>(LogAtHand)> task);

}  // namespace onceflow::app
