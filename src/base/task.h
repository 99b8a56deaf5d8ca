// Task<T>: a lazy coroutine of one thread. It starts when awaited (or spawned on a Scheduler) and
// resumes whoever awaited it, without a trip through the event loop.
//
// Ownership: a Task owns its frame; awaiting moves nothing, so the awaiting frame keeps the awaited
// one alive. A suspended Task is destroyed only when its whole world goes (its Scheduler drops its
// pending callbacks first, so none of them can touch a dead frame).
#pragma once

#include <coroutine>
#include <cstdlib>
#include <optional>
#include <type_traits>
#include <utility>

#include "base/check.h"

namespace onceflow {

template <typename T>
class [[nodiscard]] Task;

namespace task_detail {

struct FinalAwaiter {
  bool await_ready() const noexcept { return false; }
  template <typename Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> finished) const noexcept {
    return finished.promise().continuation ? finished.promise().continuation
                                           : std::noop_coroutine();
  }
  void await_resume() const noexcept {}
};

struct PromiseBase {
  std::coroutine_handle<> continuation;

  std::suspend_always initial_suspend() const noexcept { return {}; }
  FinalAwaiter final_suspend() const noexcept { return {}; }
  // No exceptions of ours exist and foreign ones are caught at their fence.
  [[noreturn]] void unhandled_exception() const noexcept {
    check_failed(__FILE__, __LINE__, "no exception leaves a coroutine", {});
  }
};

template <typename T>
struct Promise : PromiseBase {
  std::optional<T> value;
  Task<T> get_return_object();
  template <typename U>
  void return_value(U&& result) {
    value.emplace(std::forward<U>(result));
  }
};

template <>
struct Promise<void> : PromiseBase {
  Task<void> get_return_object();
  void return_void() const noexcept {}
};

}  // namespace task_detail

template <typename T = void>
class [[nodiscard]] Task {
 public:
  using promise_type = task_detail::Promise<T>;
  using Handle = std::coroutine_handle<promise_type>;

  Task() = default;
  explicit Task(Handle handle) : handle_(handle) {}
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      destroy();
      handle_ = std::exchange(other.handle_, {});
    }
    return *this;
  }
  ~Task() { destroy(); }

  bool done() const { return !handle_ || handle_.done(); }

  /// Runs until the first suspension. For Scheduler::spawn; others co_await.
  void start() {
    CHECK(handle_ && !handle_.done());
    handle_.resume();
  }
  /// Called when the task finishes, in place of an awaiting coroutine. For Scheduler::spawn.
  void set_continuation(std::coroutine_handle<> continuation) {
    handle_.promise().continuation = continuation;
  }

  auto operator co_await() const noexcept {
    struct Awaiter {
      Handle handle;
      bool await_ready() const noexcept { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting) const noexcept {
        handle.promise().continuation = awaiting;
        return handle;
      }
      T await_resume() const {
        if constexpr (!std::is_void_v<T>) {
          return std::move(*handle.promise().value);
        }
      }
    };
    return Awaiter{handle_};
  }

 private:
  void destroy() {
    if (handle_) {
      handle_.destroy();
      handle_ = {};
    }
  }

  Handle handle_;
};

namespace task_detail {
template <typename T>
Task<T> Promise<T>::get_return_object() {
  return Task<T>(std::coroutine_handle<Promise<T>>::from_promise(*this));
}
inline Task<void> Promise<void>::get_return_object() {
  return Task<void>(std::coroutine_handle<Promise<void>>::from_promise(*this));
}
}  // namespace task_detail

}  // namespace onceflow
