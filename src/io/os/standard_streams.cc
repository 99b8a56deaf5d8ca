#include "io/os/standard_streams.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>

#include "io/os/file_descriptor.h"
#include "io/os/line_writer.h"

namespace onceflow::io {

namespace {
constexpr int kStreamCount = 3;
// Written by open_closed_streams() alone, before there is another thread.
std::array<bool, kStreamCount> was_closed{};
}  // namespace

void open_closed_streams() {
  for (int number = 0; number < kStreamCount; ++number) {
    if (::fcntl(number, F_GETFD) < 0 && errno == EBADF) {
      was_closed.at(static_cast<std::size_t>(number)) = true;
      // Takes the lowest free number, which is this one: those below are open by now.
      ::open("/dev/null", number == STDIN_FILENO ? O_RDONLY : O_WRONLY);
    }
  }
}

bool is_input_closed() { return was_closed[STDIN_FILENO]; }
bool is_output_closed() { return was_closed[STDOUT_FILENO]; }

namespace {
union NeverDestroyed {
  NeverDestroyed() : output() {}
  ~NeverDestroyed() {}
  StandardOutput output;
};
}  // namespace

StandardOutput::StandardOutput() { setp(buffer_.data(), buffer_.data() + buffer_.size()); }

StandardOutput& StandardOutput::instance() {
  static NeverDestroyed kept;
  return kept.output;
}

StandardOutput::int_type StandardOutput::overflow(int_type character) {
  if (sync() != 0) {
    return traits_type::eof();
  }
  if (!traits_type::eq_int_type(character, traits_type::eof())) {
    *pptr() = traits_type::to_char_type(character);
    pbump(1);
  }
  return traits_type::not_eof(character);
}

int StandardOutput::sync() {
  const char* next = pbase();
  while (next < pptr() && first_error_ == 0) {
    const ssize_t count = ::write(STDOUT_FILENO, next, static_cast<std::size_t>(pptr() - next));
    if (count >= 0) {
      next += count;
    } else if (errno == EAGAIN) {
      pollfd room{STDOUT_FILENO, POLLOUT, 0};
      ::poll(&room, 1, -1);
    } else if (errno != EINTR) {
      first_error_ = errno;
    }
  }
  setp(buffer_.data(), buffer_.data() + buffer_.size());
  return first_error_ == 0 ? 0 : -1;
}

Status standard_output_status() {
  const int by_stream = StandardOutput::instance().first_error();
  const int error = by_stream != 0 ? by_stream : first_line_error(STDOUT_FILENO);
  if (error != 0) {
    return errno_failure("write", "standard output", error);
  }
  return {};
}

}  // namespace onceflow::io
