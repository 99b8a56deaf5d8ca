#include "io/os/wait_socket.h"

#include <fmt/format.h>
#include <poll.h>

#include <cerrno>

#include "io/os/file_descriptor.h"
#include "io/os/os_clock.h"

namespace onceflow::io {

Status wait_socket(int socket, SocketNeed need, milliseconds timeout) {
  const OsClock clock;
  const MonotonicTime deadline = clock.now() + timeout;
  pollfd waiting{socket, static_cast<short>(need == SocketNeed::kRead ? POLLIN : POLLIN | POLLOUT),
                 0};
  for (;;) {
    const std::int64_t left_ms = to_ms(deadline - clock.now());
    const int ready = ::poll(&waiting, 1, static_cast<int>(left_ms < 0 ? 0 : left_ms));
    if (ready > 0) {
      return {};
    }
    if (ready == 0) {
      return fail(ErrorCode::kTimedOut, fmt::format("no answer within {} ms", timeout.count()),
                  Recovery::kRetriable);
    }
    if (errno != EINTR) {
      return errno_failure("wait for", "a socket");
    }
  }
}

}  // namespace onceflow::io
