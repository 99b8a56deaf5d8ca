// wait_socket: waits on one socket of a foreign library that blocks, with a deadline. For the
// threads of BlockingThread only: a scheduler's thread never waits so.
#pragma once

#include "base/result.h"
#include "base/time.h"

namespace onceflow::io {

enum class SocketNeed { kRead, kReadOrWrite };

/// Returns when the socket can be used or has failed; kTimedOut if `timeout` has passed before.
Status wait_socket(int socket, SocketNeed need, milliseconds timeout);

}  // namespace onceflow::io
