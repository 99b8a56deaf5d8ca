// EventLoop: the real Scheduler, over epoll through Boost.Asio. The thread that calls run() owns it
// and everything that lives on it; only post_from_any_thread may be called from elsewhere.
//
// A turn of the loop: all callbacks that were posted before it, then the timers that are due, then
// what sockets have to say, at most so many of them that posted callbacks never wait long.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <vector>

#include "base/time.h"
#include "io/os/longest_turns.h"
#include "io/os/timer_queue.h"
#include "io/scheduler.h"

namespace boost::asio {
class io_context;
}

namespace onceflow::io {

class EventLoop;

/// Something on the loop that holds callbacks of others, a socket for one. When the loop goes it is
/// told to drop them, before any task is destroyed.
class LoopResource {
 public:
  explicit LoopResource(EventLoop& loop);
  LoopResource(const LoopResource&) = delete;
  LoopResource& operator=(const LoopResource&) = delete;
  virtual ~LoopResource();

  /// Destroys callbacks without running them and gives back what belongs to Asio. Once, last call.
  virtual void drop() = 0;

 private:
  friend class EventLoop;
  EventLoop* loop_;
  std::list<LoopResource*>::iterator place_;
};

class EventLoop final : public Scheduler {
 public:
  EventLoop();
  ~EventLoop() override;
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  /// Runs until stop(). May be called again.
  void run();
  /// Ends run() after the callback that calls this and those posted before it.
  void stop() { stop_requested_ = true; }
  /// Runs for about so long, or until stop().
  void run_for(Duration duration);
  /// Runs until `done` says so, asked once a turn; false if `limit` has passed before.
  bool run_until(const std::function<bool()>& done, Duration limit);
  /// Drops every pending callback and then destroys every spawned task. The destructor does it too;
  /// call it earlier when something that tasks refer to is about to go. The loop is of no use
  /// after.
  void shut_down();

  MonotonicTime now() const override;
  WallTime wall_now() const override;
  void post(Callback<void()> callback) override;
  void post_from_any_thread(Callback<void()> callback) override;
  TimerId schedule_at(MonotonicTime time, Callback<void()> callback) override;
  void cancel(TimerId timer) override;

  /// The longest turns, without the waiting between them; the one that runs is not among them.
  LongestTurns& longest_turns() { return longest_turns_; }

  /// For the other files of io/os.
  boost::asio::io_context& io_context();
  /// What a socket has woken calls it before it works: the waiting is over.
  void begin_work();

 private:
  friend class LoopResource;
  struct Asio;

  void turn(MonotonicTime deadline);
  void end_work();
  void run_posted();
  void run_due_timers();
  void wait_for_sockets(MonotonicTime deadline);
  void take_from_other_threads();

  std::unique_ptr<Asio> asio_;
  std::vector<Callback<void()>> posted_;
  std::vector<Callback<void()>> running_;
  TimerQueue timers_;
  MonotonicTime work_began_;  ///< 0 while the loop waits
  LongestTurns longest_turns_;
  std::list<LoopResource*> resources_;
  bool stop_requested_ = false;
  bool shut_down_ = false;

  std::mutex mutex_;
  std::vector<Callback<void()>> posted_elsewhere_;  // guarded by mutex_
  bool wake_up_pending_ = false;                    // guarded by mutex_
};

}  // namespace onceflow::io
