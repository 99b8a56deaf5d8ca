// OsNetwork: TCP through Boost.Asio, on the thread of its EventLoop.
#pragma once

#include "io/network.h"
#include "io/os/event_loop.h"

namespace onceflow::io {

class OsNetwork final : public Network {
 public:
  explicit OsNetwork(EventLoop& loop) : loop_(loop) {}

  /// A name is resolved at once, on the calling thread: listening is for start. An empty host
  /// listens on all addresses of IPv4.
  Result<std::unique_ptr<Listener>> listen(const Endpoint& endpoint) override;
  /// Tries all addresses of a name in turn. Errors are retriable.
  void async_connect(const Endpoint& endpoint, MonotonicTime deadline,
                     Callback<void(Result<std::unique_ptr<Connection>>)> callback) override;

 private:
  EventLoop& loop_;
};

}  // namespace onceflow::io
