#include "io/os/line_writer.h"

#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace onceflow::io {

namespace {

constexpr std::size_t kWaitingBytesMax = std::size_t{1} << 20;
/// Longer than a write takes that somebody reads; so long the loop waits once.
constexpr Duration kPatience = milliseconds(20);
constexpr Duration kFinishTimeMax = milliseconds(500);

/// Returns 0, or the number of the error.
int write_whole(int descriptor, const std::string& line) {
  std::size_t done = 0;
  while (done < line.size()) {
    const ssize_t count = ::write(descriptor, line.data() + done, line.size() - done);
    if (count >= 0) {
      done += static_cast<std::size_t>(count);
    } else if (errno == EAGAIN) {
      // Another process that has this pipe, too, has made it so.
      pollfd room{descriptor, POLLOUT, 0};
      ::poll(&room, 1, -1);
    } else if (errno != EINTR) {
      return errno;
    }
  }
  return 0;
}

}  // namespace

struct LineWriter::State {
  State(int to, LineOfLost of_lost) : descriptor(to), line_of_lost(std::move(of_lost)) {}

  void add(std::string line);
  void wait_until_out(std::chrono::steady_clock::time_point deadline);
  [[noreturn]] void write_all();

  const int descriptor;
  const LineOfLost line_of_lost;
  std::mutex mutex;  // guards all below
  std::condition_variable has_work;
  std::condition_variable has_written;
  std::deque<std::string> lines;  // the first one is being written
  std::size_t bytes = 0;
  std::uint64_t added_count = 0;
  std::uint64_t ended_count = 0;  // written, or lost by an error
  std::uint64_t lost_count = 0;   // not said yet
  std::uint64_t lost_count_ever = 0;
  bool is_full = false;  // what comes is lost until what waits is out
  bool is_slow = false;  // nobody waits for a line until what waits is out
  bool fails = false;    // the last write did
  int first_error = 0;

 private:
  void write_one(std::unique_lock<std::mutex>& lock, const std::string& line);
  void say_what_was_lost(std::unique_lock<std::mutex>& lock);
  void lose_one() {
    ++lost_count;
    ++lost_count_ever;
  }
};

// All writers of the process.
struct LineWriter::All {
  std::mutex mutex;
  std::vector<std::shared_ptr<State>> states;

  static All& instance() {
    static All all;
    return all;
  }
  std::vector<std::shared_ptr<State>> list() {
    const std::scoped_lock lock(mutex);
    return states;
  }
};

void LineWriter::State::add(std::string line) {
  std::unique_lock lock(mutex);
  if (is_full || bytes + line.size() > kWaitingBytesMax) {
    is_full = true;
    lose_one();
    has_work.notify_one();
    return;
  }
  bytes += line.size();
  lines.push_back(std::move(line));
  const std::uint64_t number = ++added_count;
  has_work.notify_one();
  if (!is_slow) {
    is_slow = !has_written.wait_for(lock, kPatience, [&] { return ended_count >= number; });
  }
}

void LineWriter::State::wait_until_out(std::chrono::steady_clock::time_point deadline) {
  std::unique_lock lock(mutex);
  has_written.wait_until(lock, deadline,
                         [this] { return lines.empty() && (lost_count == 0 || fails); });
}

void LineWriter::State::write_all() {
  std::unique_lock lock(mutex);
  while (true) {
    has_work.wait(lock, [this] { return !lines.empty() || (lost_count > 0 && !fails); });
    // After an error with the next line, so that a stream that fails is not tried without an end.
    if (lost_count > 0 && (lines.empty() || fails)) {
      say_what_was_lost(lock);
    }
    if (!lines.empty()) {
      write_one(lock, lines.front());
      if (fails) {
        lose_one();
      }
      bytes -= lines.front().size();
      lines.pop_front();
      ++ended_count;
    }
    if (lines.empty()) {
      is_slow = false;
      is_full = false;  // what was lost is said next: what comes meanwhile stands behind that
    }
    has_written.notify_all();
  }
}

// `line` stays where it is while the lock is open: others add behind it.
void LineWriter::State::write_one(std::unique_lock<std::mutex>& lock, const std::string& line) {
  lock.unlock();
  const int error = write_whole(descriptor, line);
  lock.lock();
  fails = error != 0;
  first_error = first_error == 0 ? error : first_error;
}

void LineWriter::State::say_what_was_lost(std::unique_lock<std::mutex>& lock) {
  const std::uint64_t count = lost_count;
  if (line_of_lost) {
    write_one(lock, line_of_lost(count));
  } else {
    fails = false;
  }
  lost_count -= fails ? 0 : count;
}

LineWriter::LineWriter(int descriptor, LineOfLost line_of_lost)
    : state_(std::make_shared<State>(descriptor, std::move(line_of_lost))) {
  {
    const std::scoped_lock lock(All::instance().mutex);
    All::instance().states.push_back(state_);
  }
  // Signals are for the thread of the loop.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread([state = state_] { state->write_all(); }).detach();
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void LineWriter::write(std::string line) { state_->add(std::move(line)); }

void finish_lines() {
  const auto deadline = std::chrono::steady_clock::now() + kFinishTimeMax;
  for (const auto& state : LineWriter::All::instance().list()) {
    state->wait_until_out(deadline);
  }
}

std::uint64_t lost_line_count() {
  std::uint64_t count = 0;
  for (const auto& state : LineWriter::All::instance().list()) {
    const std::scoped_lock lock(state->mutex);
    count += state->lost_count_ever;
  }
  return count;
}

int first_line_error(int descriptor) {
  for (const auto& state : LineWriter::All::instance().list()) {
    const std::scoped_lock lock(state->mutex);
    if (state->descriptor == descriptor && state->first_error != 0) {
      return state->first_error;
    }
  }
  return 0;
}

}  // namespace onceflow::io
