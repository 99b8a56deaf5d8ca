#include "io/os/signals.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <optional>

namespace onceflow::io {

class Signals::State final : public LoopResource, public std::enable_shared_from_this<State> {
 public:
  State(EventLoop& loop, Callback<void(int)> on_stop)
      : LoopResource(loop), on_stop_(std::move(on_stop)) {
    signals_.emplace(loop.io_context(), SIGTERM, SIGINT);
  }

  void wait() {
    signals_->async_wait(
        [self = shared_from_this()](const boost::system::error_code& error, int number) {
          if (!error && self->signals_) {
            self->on_stop_(number);
            if (self->signals_) {
              self->wait();
            }
          }
        });
  }

  void drop() override {
    signals_.reset();
    on_stop_ = nullptr;
  }

 private:
  std::optional<boost::asio::signal_set> signals_;
  Callback<void(int)> on_stop_;
};

Signals::Signals(EventLoop& loop, Callback<void(int)> on_stop)
    : state_(std::make_shared<State>(loop, std::move(on_stop))) {
  state_->wait();
}

Signals::~Signals() { state_->drop(); }

}  // namespace onceflow::io
