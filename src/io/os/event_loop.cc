#include "io/os/event_loop.h"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <chrono>
#include <csignal>

namespace onceflow::io {

namespace {
// How many socket events may run in one turn before posted callbacks get theirs.
constexpr int kSocketEventsPerTurn = 64;
}  // namespace

struct EventLoop::Asio {
  // One thread runs it: Asio may leave out most of its locks, not those that post needs.
  boost::asio::io_context context{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{
      context.get_executor()};
};

LoopResource::LoopResource(EventLoop& loop)
    : loop_(&loop), place_(loop.resources_.insert(loop.resources_.end(), this)) {}

LoopResource::~LoopResource() {
  if (loop_ != nullptr) {
    loop_->resources_.erase(place_);
  }
}

EventLoop::EventLoop() : asio_(std::make_unique<Asio>()) {
  // A peer that has gone is an error of the write, not a signal.
  std::signal(SIGPIPE, SIG_IGN);
  // As is a file that may not grow.
  std::signal(SIGXFSZ, SIG_IGN);
}

EventLoop::~EventLoop() { shut_down(); }

void EventLoop::shut_down() {
  shut_down_ = true;
  posted_.clear();
  running_.clear();
  timers_.clear();
  std::vector<Callback<void()>> elsewhere;
  {
    const std::lock_guard lock(mutex_);
    elsewhere.swap(posted_elsewhere_);
  }
  elsewhere.clear();
  while (!resources_.empty()) {
    LoopResource* const resource = resources_.front();
    resources_.pop_front();
    resource->loop_ = nullptr;
    resource->drop();
  }
  destroy_spawned_tasks();
}

void EventLoop::run() {
  while (!stop_requested_) {
    turn(MonotonicTime::max());
  }
  stop_requested_ = false;
}

void EventLoop::run_for(Duration duration) {
  stop_requested_ = false;
  const MonotonicTime deadline = now() + duration;
  do {
    turn(deadline);
  } while (!stop_requested_ && now() < deadline);
}

bool EventLoop::run_until(const std::function<bool()>& done, Duration limit) {
  stop_requested_ = false;
  const MonotonicTime deadline = now() + limit;
  while (true) {
    begin_work();
    run_posted();
    run_due_timers();
    const bool is_done = done();
    if (is_done || stop_requested_ || now() >= deadline) {
      end_work();
      return is_done;
    }
    wait_for_sockets(deadline);
    end_work();
  }
}

MonotonicTime EventLoop::now() const {
  return MonotonicTime(std::chrono::steady_clock::now().time_since_epoch());
}

WallTime EventLoop::wall_now() const {
  return {to_ms(std::chrono::system_clock::now().time_since_epoch())};
}

void EventLoop::post(Callback<void()> callback) {
  if (!shut_down_) {
    posted_.push_back(std::move(callback));
  }
}

void EventLoop::post_from_any_thread(Callback<void()> callback) {
  {
    const std::lock_guard lock(mutex_);
    posted_elsewhere_.push_back(std::move(callback));
    if (std::exchange(wake_up_pending_, true)) {
      return;
    }
  }
  boost::asio::post(asio_->context, [this] { take_from_other_threads(); });
}

void EventLoop::take_from_other_threads() {
  begin_work();
  std::vector<Callback<void()>> arrived;
  {
    const std::lock_guard lock(mutex_);
    arrived.swap(posted_elsewhere_);
    wake_up_pending_ = false;
  }
  for (Callback<void()>& callback : arrived) {
    post(std::move(callback));
  }
}

TimerId EventLoop::schedule_at(MonotonicTime time, Callback<void()> callback) {
  return shut_down_ ? 0 : timers_.add(time, std::move(callback));
}

void EventLoop::cancel(TimerId timer) { timers_.cancel(timer); }

boost::asio::io_context& EventLoop::io_context() { return asio_->context; }

void EventLoop::begin_work() {
  if (work_began_ == MonotonicTime{}) {
    work_began_ = now();
  }
}

void EventLoop::end_work() {
  if (work_began_ != MonotonicTime{}) {
    const MonotonicTime end = now();
    longest_turns_.add(end, end - std::exchange(work_began_, {}));
  }
}

void EventLoop::turn(MonotonicTime deadline) {
  begin_work();
  run_posted();
  run_due_timers();
  if (!stop_requested_) {
    wait_for_sockets(deadline);
  }
  end_work();
}

void EventLoop::run_posted() {
  running_.swap(posted_);
  for (Callback<void()>& callback : running_) {
    callback();
    // What it captured goes now, not when the whole batch has run.
    callback = nullptr;
  }
  running_.clear();
}

void EventLoop::run_due_timers() {
  // Those that set themselves again for at once wait for the next turn.
  const auto first = timers_.earliest();
  if (!first) {
    return;
  }
  const MonotonicTime turn_time = now();
  if (*first > turn_time) {
    return;
  }
  while (auto callback = timers_.take_due(turn_time)) {
    (*callback)();
    if (now() > turn_time + milliseconds(10)) {
      break;
    }
  }
}

void EventLoop::wait_for_sockets(MonotonicTime deadline) {
  boost::asio::io_context& context = asio_->context;
  if (posted_.empty()) {
    if (const auto timer = timers_.earliest()) {
      deadline = std::min(deadline, *timer);
    }
    end_work();
    if (deadline == MonotonicTime::max()) {
      context.run_one();
    } else {
      context.run_one_until(std::chrono::steady_clock::time_point(deadline.time_since_epoch()));
    }
  }
  for (int count = 0; count < kSocketEventsPerTurn && context.poll_one() != 0; ++count) {
  }
}

}  // namespace onceflow::io
