// Which process this is, in words that another one can check: is it the same machine and the same
// view of its processes, and if so, does that process still live? A process number alone says
// nothing: it is used again, and means another process in another container. Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace onceflow::io {

enum class ProcessLife : std::uint8_t {
  kAlive,
  kDead,
  kUnknown,  ///< it is, or was, on another machine or in another container
};

/// "pid=123 started=456789 host=h boot=<boot id> namespace=<pid namespace>": of this process.
/// `started` is in clock ticks since the machine's start, and no two processes share it and a pid.
std::string process_identity();

/// Of this machine, until it is started again; empty where the system does not say.
std::string boot_id();

/// Of the process that gave this identity. One that has ended and whose parent has not asked for
/// its status is dead. What is not an identity is kUnknown.
ProcessLife process_life(std::string_view identity);

/// "process 123 on h", or the text itself.
std::string describe_process(std::string_view identity);

}  // namespace onceflow::io
