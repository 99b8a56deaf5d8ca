// ProcessPool: fork, two pipes a child (results and standard error), poll.
#include "io/os/process_pool.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "io/os/file_descriptor.h"

namespace onceflow::io {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kReadBytes = 64 * 1024;
// Of standard error the beginning is kept: the line of a CHECK, the first report of a sanitizer.
constexpr std::size_t kLastWordsBytesMax = 16 * 1024;
constexpr int kPollMs = 1000;

struct Range {
  std::uint64_t next = 0;
  std::uint64_t end = 0;
};

struct Child {
  pid_t pid = -1;
  FileDescriptor results;
  FileDescriptor errors;
  Range range;  ///< next is the job that runs now
  std::string received;
  std::string last_output;  ///< of its last job, which counts when it has ended well
  std::string words;
  Clock::time_point job_began;
  bool took_too_long = false;
};

struct Pipe {
  FileDescriptor read;
  FileDescriptor write;
};

Result<Pipe> open_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return errno_failure("open", "a pipe");
  }
  return Pipe{FileDescriptor(ends[0]), FileDescriptor(ends[1])};
}

bool write_all(int to, const char* data, std::size_t count) {
  while (count > 0) {
    const ssize_t written = ::write(to, data, count);
    if (written < 0 && errno != EINTR) {
      return false;
    }
    if (written > 0) {
      data += written;
      count -= static_cast<std::size_t>(written);
    }
  }
  return true;
}

// A result on its way: its length in eight bytes, as this machine has them, and then itself.
[[noreturn]] void be_child(Range range, int results, int errors, pid_t parent,
                           const std::function<std::string(std::uint64_t)>& job) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) {
    std::_Exit(EXIT_FAILURE);  // it has gone already
  }
  ::dup2(errors, STDERR_FILENO);
  for (; range.next < range.end; ++range.next) {
    const std::string output = job(range.next);
    const std::uint64_t length = output.size();
    std::array<char, sizeof(length)> head{};
    std::memcpy(head.data(), &length, sizeof(length));
    if (!write_all(results, head.data(), head.size()) ||
        !write_all(results, output.data(), output.size())) {
      std::_Exit(EXIT_FAILURE);
    }
  }
  // Not _Exit: a sanitizer looks for leaks here.
  std::exit(EXIT_SUCCESS);
}

// False at the end of the pipe.
bool read_some(const FileDescriptor& from, std::string& into) {
  const std::size_t before = into.size();
  into.resize(before + kReadBytes);
  const ssize_t count = ::read(from.number(), into.data() + before, kReadBytes);
  into.resize(before + (count > 0 ? static_cast<std::size_t>(count) : 0));
  return count > 0 || (count < 0 && errno == EINTR);
}

std::string describe_end(int status) {
  if (WIFSIGNALED(status)) {
    return ::strsignal(WTERMSIG(status));
  }
  return "exit code " + std::to_string(WEXITSTATUS(status));
}

class Pool {
 public:
  Pool(const ProcessPoolOptions& options, std::uint64_t job_count,
       const std::function<std::string(std::uint64_t)>& job,
       const std::function<Continue(std::uint64_t, JobEnd)>& on_end)
      : options_(options), job_count_(job_count), job_(job), on_end_(on_end) {}
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  ~Pool() {
    for (const auto& child : children_) {
      ::kill(child->pid, SIGKILL);
      ::waitpid(child->pid, nullptr, 0);
    }
  }

  Status run() {
    while (reported_count_ < job_count_ && !is_stopped_) {
      while (children_.size() < std::max<std::size_t>(options_.process_count, 1)) {
        const Range range = next_range();
        if (range.next == range.end) {
          break;
        }
        if (const Status started = start(range); !started) {
          return started;
        }
      }
      wait_and_read();
      end_late_ones();
      report();
    }
    return {};
  }

 private:
  Range next_range() {
    if (!left_over_.empty()) {
      const Range range = left_over_.front();
      left_over_.pop_front();
      return range;
    }
    const Range range{next_, std::min(next_ + options_.jobs_per_process, job_count_)};
    next_ = range.end;
    return range;
  }

  Status start(Range range) {
    auto results = open_pipe();
    RETURN_IF_ERROR(results);
    auto errors = open_pipe();
    RETURN_IF_ERROR(errors);
    const pid_t parent = ::getpid();
    const pid_t pid = ::fork();
    if (pid < 0) {
      return errno_failure("start", "a process");
    }
    if (pid == 0) {
      be_child(range, results->write.number(), errors->write.number(), parent, job_);
    }
    auto child = std::make_unique<Child>();
    child->pid = pid;
    child->results = std::move(results->read);
    child->errors = std::move(errors->read);
    child->range = range;
    child->job_began = Clock::now();
    children_.push_back(std::move(child));
    return {};
  }

  void wait_and_read() {
    std::vector<pollfd> waiting;
    for (const auto& child : children_) {
      // A closed one has number -1, which poll passes over.
      waiting.push_back({child->results.number(), POLLIN, 0});
      waiting.push_back({child->errors.number(), POLLIN, 0});
    }
    ::poll(waiting.data(), waiting.size(), kPollMs);
    std::vector<std::unique_ptr<Child>> running;
    for (std::size_t index = 0; index < children_.size(); ++index) {
      Child& child = *children_[index];
      if (waiting[2 * index].revents != 0 && !read_some(child.results, child.received)) {
        child.results = {};
      }
      if (waiting[2 * index + 1].revents != 0 && !read_some(child.errors, child.words)) {
        child.errors = {};
      }
      child.words.resize(std::min(child.words.size(), kLastWordsBytesMax));
      take_results(child);
      if (child.results.is_open() || child.errors.is_open()) {
        running.push_back(std::move(children_[index]));
      } else {
        finish(child);
      }
    }
    children_ = std::move(running);
  }

  void take_results(Child& child) {
    std::uint64_t length = 0;
    std::size_t position = 0;
    while (child.received.size() - position >= sizeof(length)) {
      std::memcpy(&length, child.received.data() + position, sizeof(length));
      if (child.received.size() - position - sizeof(length) < length) {
        break;
      }
      position += sizeof(length);
      const std::uint64_t index = child.range.next++;
      std::string output = child.received.substr(position, length);
      position += length;
      (child.range.next == child.range.end ? child.last_output : ended_[index].output) =
          std::move(output);
      child.job_began = Clock::now();
    }
    child.received.erase(0, position);
  }

  // Its job is the one that had no result; one that dies when it has done them all, as with leaks,
  // is said of the last.
  void finish(Child& child) {
    int status = 0;
    while (::waitpid(child.pid, &status, 0) < 0 && errno == EINTR) {
    }
    const bool has_died = !WIFEXITED(status) || WEXITSTATUS(status) != EXIT_SUCCESS;
    if (!has_died) {
      write_all(STDERR_FILENO, child.words.data(), child.words.size());
      ended_[child.range.end - 1].output = std::move(child.last_output);
      return;
    }
    const std::uint64_t victim = std::min(child.range.next, child.range.end - 1);
    JobEnd& end = ended_[victim];
    end.death = child.took_too_long ? "it did not come to an end" : describe_end(status);
    end.last_words = std::move(child.words);
    if (victim + 1 < child.range.end) {
      left_over_.push_back({victim + 1, child.range.end});
    }
  }

  void end_late_ones() {
    for (const auto& child : children_) {
      if (!child->took_too_long && Clock::now() - child->job_began > options_.job_time_max) {
        child->took_too_long = true;
        ::kill(child->pid, SIGKILL);
      }
    }
  }

  void report() {
    for (auto first = ended_.begin();
         first != ended_.end() && first->first == reported_count_ && !is_stopped_;
         first = ended_.begin()) {
      JobEnd end = std::move(first->second);
      ended_.erase(first);
      is_stopped_ = on_end_(reported_count_++, std::move(end)) == Continue::kNo;
    }
  }

  const ProcessPoolOptions& options_;
  std::uint64_t job_count_;
  const std::function<std::string(std::uint64_t)>& job_;
  const std::function<Continue(std::uint64_t, JobEnd)>& on_end_;
  std::uint64_t next_ = 0;
  std::deque<Range> left_over_;  // of children that died
  std::vector<std::unique_ptr<Child>> children_;
  std::map<std::uint64_t, JobEnd> ended_;  // not reported yet, by index
  std::uint64_t reported_count_ = 0;
  bool is_stopped_ = false;
};

}  // namespace

Status run_in_processes(const ProcessPoolOptions& options, std::uint64_t job_count,
                        const std::function<std::string(std::uint64_t)>& job,
                        const std::function<Continue(std::uint64_t, JobEnd)>& on_end) {
  return Pool(options, job_count, job, on_end).run();
}

std::size_t processor_count() {
  const long count = ::sysconf(_SC_NPROCESSORS_ONLN);
  return count > 0 ? static_cast<std::size_t>(count) : 1;
}

}  // namespace onceflow::io
