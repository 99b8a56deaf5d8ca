// Network: connections as the system promises them. Bytes arrive in order or the connection fails;
// whether what was written arrived is unknown until the peer says so.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/bytes.h"
#include "base/callback.h"
#include "base/result.h"
#include "base/task.h"
#include "base/time.h"

namespace onceflow::io {

struct Endpoint {
  std::string host;
  std::uint16_t port = 0;
  friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
};
std::string to_string(const Endpoint& endpoint);
/// "host:port" or "[v6]:port".
Result<Endpoint> parse_endpoint(std::string_view text);

/// At most one read and one write at a time. close() ends both with kCancelled; they still call
/// back (later, on the scheduler), unless the scheduler itself goes first. Destroying it closes it.
class Connection {
 public:
  virtual ~Connection() = default;

  /// At least one byte, as many as have come; 0 means the peer has sent all it will.
  virtual void async_read(MutableByteView destination,
                          Callback<void(Result<std::size_t>)> callback) = 0;
  /// All parts, in order; they stay valid until the callback.
  virtual void async_write(std::span<const ByteView> parts, Callback<void(Status)> callback) = 0;
  /// The read under way ends with kCancelled, unless something has come; nothing that has come is
  /// lost. Not while a write is under way.
  virtual void cancel_read() = 0;
  virtual void close() = 0;
  virtual Endpoint peer() const = 0;
  /// Of all that was written, what the peer's system has taken: it grows while the peer reads.
  virtual std::uint64_t taken_bytes() const = 0;

  Task<Result<std::size_t>> read(MutableByteView destination);
  /// Until `destination` is full; kConnectionLost if the peer ends before.
  Task<Status> read_fully(MutableByteView destination);
  Task<Status> write(ByteView bytes);
};

class Listener {
 public:
  virtual ~Listener() = default;
  virtual void async_accept(Callback<void(Result<std::unique_ptr<Connection>>)> callback) = 0;
  /// Where it listens; the port is the real one if 0 was asked for.
  virtual Endpoint local() const = 0;
  virtual void close() = 0;

  Task<Result<std::unique_ptr<Connection>>> accept();
};

class Network {
 public:
  virtual ~Network() = default;

  /// kAddressInUse if somebody listens there.
  virtual Result<std::unique_ptr<Listener>> listen(const Endpoint& endpoint) = 0;
  virtual void async_connect(const Endpoint& endpoint, MonotonicTime deadline,
                             Callback<void(Result<std::unique_ptr<Connection>>)> callback) = 0;

  Task<Result<std::unique_ptr<Connection>>> connect(Endpoint endpoint, MonotonicTime deadline);
};

}  // namespace onceflow::io
