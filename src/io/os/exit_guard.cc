#include "io/os/exit_guard.h"

#include <unistd.h>

#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <thread>

#include "io/os/line_writer.h"

namespace onceflow::io {

struct ExitGuard::State {
  std::mutex mutex;
  std::condition_variable disarmed;
  bool is_disarmed = false;  // guarded by mutex
  std::thread thread;
};

void end_process(int exit_code) {
  finish_lines();
  std::fflush(stdout);
  std::fflush(stderr);
  ::_exit(exit_code);
}

ExitGuard::ExitGuard() = default;
ExitGuard::~ExitGuard() { disarm(); }

void ExitGuard::arm(Duration time_left, int exit_code) {
  if (state_) {
    return;
  }
  state_ = std::make_unique<State>();
  state_->thread = std::thread([&state = *state_, time_left, exit_code] {
    std::unique_lock lock(state.mutex);
    if (!state.disarmed.wait_for(lock, time_left, [&] { return state.is_disarmed; })) {
      end_process(exit_code);
    }
  });
}

void ExitGuard::disarm() {
  if (!state_) {
    return;
  }
  {
    const std::scoped_lock lock(state_->mutex);
    state_->is_disarmed = true;
  }
  state_->disarmed.notify_all();
  state_->thread.join();
  state_.reset();
}

}  // namespace onceflow::io
