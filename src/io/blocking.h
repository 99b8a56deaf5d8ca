// BlockingThread: where calls into foreign libraries that block (libpq, SQLite) wait, and where
// what works for long works, so that the scheduler does not. One per connection of a sink, one per
// broker: what runs there runs in order, one at a time.
#pragma once

#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "base/callback.h"
#include "base/task.h"
#include "io/event.h"

namespace onceflow::io {

class BlockingThread {
 public:
  /// Waits for the work that is running, drops the rest and every `done` that has not run.
  virtual ~BlockingThread() = default;

  /// Runs `work` after all that was given before, then `done` on the scheduler's thread. `work` may
  /// touch nothing of the scheduler's but what its caller leaves alone until then.
  virtual void async_run(Callback<void()> work, Callback<void()> done) = 0;

  /// co_await thread.run([...] { return blocking_call(); })
  template <typename Closure>
  Task<std::invoke_result_t<Closure&>> run(Closure closure) {
    using T = std::invoke_result_t<Closure&>;
    // Shared: the awaiting frame may be destroyed while the closure runs.
    if constexpr (std::is_void_v<T>) {
      auto job = std::make_shared<Closure>(std::move(closure));
      co_await Finished{*this, [job] { (*job)(); }};
    } else {
      struct Job {
        Closure closure;
        std::optional<T> result;
      };
      auto job = std::make_shared<Job>(Job{std::move(closure), std::nullopt});
      co_await Finished{*this, [job] { job->result.emplace(job->closure()); }};
      co_return std::move(*job->result);
    }
  }

 private:
  struct Finished {
    BlockingThread& thread;
    Callback<void()> work;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> awaiting) {
      thread.async_run(std::move(work), [awaiting] { awaiting.resume(); });
    }
    void await_resume() const noexcept {}
  };
};

}  // namespace onceflow::io
