#include "io/os/loop_thread.h"

#include <future>
#include <mutex>
#include <thread>

namespace onceflow::io {

struct LoopThread::State {
  std::mutex mutex;
  OsEnvironment* environment = nullptr;  // guarded by mutex; null before and after the loop
  AtStop at_stop;                        // the loop's own
  std::thread thread;
};

LoopThread::LoopThread(Main main) : state_(std::make_unique<State>()) {
  std::promise<void> started;
  auto running = started.get_future();
  state_->thread = std::thread(
      [&state = *state_, started = std::move(started), main = std::move(main)]() mutable {
        std::shared_ptr<void> content;
        OsEnvironment environment;
        {
          const std::scoped_lock lock(state.mutex);
          state.environment = &environment;
        }
        started.set_value();
        content = main(environment, state.at_stop);
        environment.loop().run();
        {
          const std::scoped_lock lock(state.mutex);
          state.environment = nullptr;
        }
        environment.shut_down();
        content.reset();
      });
  running.wait();
}

LoopThread::~LoopThread() { stop(); }

void LoopThread::post(Callback<void()> callback) {
  const std::scoped_lock lock(state_->mutex);
  if (state_->environment != nullptr) {
    state_->environment->loop().post_from_any_thread(std::move(callback));
  }
}

void LoopThread::stop() {
  if (!state_->thread.joinable()) {
    return;
  }
  {
    const std::scoped_lock lock(state_->mutex);
    if (state_->environment != nullptr) {
      EventLoop& loop = state_->environment->loop();
      loop.post_from_any_thread([&state = *state_, &loop] {
        if (state.at_stop) {
          state.at_stop();
        } else {
          loop.stop();
        }
      });
    }
  }
  state_->thread.join();
}

}  // namespace onceflow::io
