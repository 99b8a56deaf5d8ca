#include "io/os/os_network.h"

#include <fmt/format.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <cstddef>
#include <optional>
#include <vector>

namespace onceflow::io {

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using ErrorOfAsio = boost::system::error_code;
using Executor = asio::io_context::executor_type;
using Socket = asio::basic_stream_socket<tcp, Executor>;
using Acceptor = asio::basic_socket_acceptor<tcp, Executor>;
using Resolver = asio::ip::basic_resolver<tcp, Executor>;

// How long a listener rests when the process has no file descriptors left.
constexpr milliseconds kAcceptPause{100};

Endpoint to_endpoint(const tcp::endpoint& endpoint) {
  ErrorOfAsio ignored;
  return {endpoint.address().to_string(ignored), endpoint.port()};
}

std::unexpected<Error> connection_lost(const Endpoint& peer, const ErrorOfAsio& error) {
  return fail(ErrorCode::kConnectionLost,
              fmt::format("connection with {}: {}", to_string(peer), error.message()),
              Recovery::kRetriable);
}

std::unexpected<Error> cancelled() {
  return fail(ErrorCode::kCancelled, "the connection was closed on our side");
}

// Room for the one operation of a kind that a connection has under way, so that Asio allocates
// none.
class OperationMemory {
 public:
  void* allocate(std::size_t bytes) {
    if (!in_use_ && bytes <= sizeof storage_) {
      in_use_ = true;
      return storage_;
    }
    return ::operator new(bytes);
  }
  void deallocate(void* place) {
    if (place == storage_) {
      in_use_ = false;
    } else {
      ::operator delete(place);
    }
  }

 private:
  alignas(std::max_align_t) std::byte storage_[256];
  bool in_use_ = false;
};

template <typename T>
struct OperationAllocator {
  using value_type = T;
  OperationMemory* memory;

  explicit OperationAllocator(OperationMemory* of) : memory(of) {}
  template <typename U>
  OperationAllocator(const OperationAllocator<U>& other) : memory(other.memory) {}
  T* allocate(std::size_t count) { return static_cast<T*>(memory->allocate(count * sizeof(T))); }
  void deallocate(T* place, std::size_t) { memory->deallocate(place); }
  friend bool operator==(const OperationAllocator&, const OperationAllocator&) = default;
};

// What is left to write, as Asio wants it: a range that is cheap to copy.
struct UnwrittenParts {
  using value_type = asio::const_buffer;
  using const_iterator = const asio::const_buffer*;
  const_iterator first;
  const_iterator last;
  const_iterator begin() const { return first; }
  const_iterator end() const { return last; }
};

// The socket of a connection and its pending callbacks. Shared between the connection and Asio's
// pending operations, which end after the connection has gone.
class SocketState final : public LoopResource, public std::enable_shared_from_this<SocketState> {
 public:
  SocketState(EventLoop& loop, Socket socket)
      : LoopResource(loop), loop_(loop), socket_(std::move(socket)) {
    ErrorOfAsio ignored;
    const tcp::endpoint remote = socket_->remote_endpoint(ignored);
    peer_ = to_endpoint(remote);
    socket_->set_option(tcp::no_delay(true), ignored);
  }

  const Endpoint& peer() const { return peer_; }

  void async_read(MutableByteView destination, Callback<void(Result<std::size_t>)> callback) {
    CHECK(!read_callback_);
    read_callback_ = std::move(callback);
    if (!is_open()) {
      fail_later();
      return;
    }
    socket_->async_read_some(asio::buffer(destination.data(), destination.size()),
                             ReadHandler{shared_from_this()});
  }

  void async_write(std::span<const ByteView> parts, Callback<void(Status)> callback) {
    CHECK(!write_callback_);
    write_callback_ = std::move(callback);
    if (!is_open()) {
      fail_later();
      return;
    }
    unwritten_.clear();
    first_unwritten_ = 0;
    for (const ByteView part : parts) {
      if (!part.empty()) {
        unwritten_.emplace_back(part.data(), part.size());
      }
    }
    if (unwritten_.empty()) {
      loop_.post([self = shared_from_this()] { self->finish_write(Status{}); });
      return;
    }
    write_some();
  }

  void cancel_read() {
    CHECK(!write_callback_);
    if (is_open()) {
      ErrorOfAsio ignored;
      socket_->cancel(ignored);
    }
  }

  std::uint64_t taken_bytes() {
    int in_kernel = 0;
    if (!is_open() || ::ioctl(socket_->native_handle(), SIOCOUTQ, &in_kernel) != 0) {
      return 0;
    }
    return written_bytes_ - static_cast<std::uint64_t>(in_kernel);
  }

  void close() {
    if (is_open()) {
      closed_ = true;
      ErrorOfAsio ignored;
      socket_->close(ignored);
    }
  }

  void drop() override {
    closed_ = true;
    socket_.reset();
    read_callback_ = nullptr;
    write_callback_ = nullptr;
  }

 private:
  struct ReadHandler {
    std::shared_ptr<SocketState> state;
    using allocator_type = OperationAllocator<void>;
    allocator_type get_allocator() const { return allocator_type(&state->read_memory_); }
    void operator()(const ErrorOfAsio& error, std::size_t count) const {
      state->on_read(error, count);
    }
  };
  struct WriteHandler {
    std::shared_ptr<SocketState> state;
    using allocator_type = OperationAllocator<void>;
    allocator_type get_allocator() const { return allocator_type(&state->write_memory_); }
    void operator()(const ErrorOfAsio& error, std::size_t count) const {
      state->on_written(error, count);
    }
  };

  bool is_open() const { return !closed_; }

  // What is asked of a closed connection is answered in a turn of its own.
  void fail_later() {
    loop_.post([self = shared_from_this()] {
      if (self->read_callback_) {
        self->finish_read(cancelled());
      }
      if (self->write_callback_) {
        self->finish_write(cancelled());
      }
    });
  }

  void on_read(const ErrorOfAsio& error, std::size_t count) {
    loop_.begin_work();
    if (!read_callback_) {
      return;
    }
    if (closed_ || error == asio::error::operation_aborted) {
      finish_read(cancelled());
    } else if (error == asio::error::eof) {
      finish_read(std::size_t{0});
    } else if (error) {
      finish_read(connection_lost(peer_, error));
    } else {
      finish_read(count);
    }
  }

  // At most as many parts at a time as one system call takes.
  void write_some() {
    socket_->async_write_some(
        UnwrittenParts{unwritten_.data() + first_unwritten_, unwritten_.data() + unwritten_.size()},
        WriteHandler{shared_from_this()});
  }

  void on_written(const ErrorOfAsio& error, std::size_t count) {
    loop_.begin_work();
    if (!write_callback_) {
      return;
    }
    if (closed_) {
      finish_write(cancelled());
      return;
    }
    if (error) {
      finish_write(connection_lost(peer_, error));
      return;
    }
    written_bytes_ += count;
    while (count > 0) {
      asio::const_buffer& part = unwritten_[first_unwritten_];
      const std::size_t taken = std::min(count, part.size());
      part += taken;
      count -= taken;
      if (part.size() == 0) {
        ++first_unwritten_;
      }
    }
    if (first_unwritten_ == unwritten_.size()) {
      finish_write(Status{});
    } else {
      write_some();
    }
  }

  void finish_read(Result<std::size_t> result) {
    auto callback = std::exchange(read_callback_, nullptr);
    callback(std::move(result));
  }
  void finish_write(Status status) {
    if (auto callback = std::exchange(write_callback_, nullptr)) {
      callback(std::move(status));
    }
  }

  EventLoop& loop_;
  std::optional<Socket> socket_;
  Endpoint peer_;
  bool closed_ = false;
  Callback<void(Result<std::size_t>)> read_callback_;
  Callback<void(Status)> write_callback_;
  std::vector<asio::const_buffer> unwritten_;
  std::size_t first_unwritten_ = 0;
  std::uint64_t written_bytes_ = 0;
  OperationMemory read_memory_;
  OperationMemory write_memory_;
};

class OsConnection final : public Connection {
 public:
  OsConnection(EventLoop& loop, Socket socket)
      : state_(std::make_shared<SocketState>(loop, std::move(socket))) {}
  ~OsConnection() override { state_->close(); }

  void async_read(MutableByteView destination,
                  Callback<void(Result<std::size_t>)> callback) override {
    state_->async_read(destination, std::move(callback));
  }
  void async_write(std::span<const ByteView> parts, Callback<void(Status)> callback) override {
    state_->async_write(parts, std::move(callback));
  }
  void cancel_read() override { state_->cancel_read(); }
  void close() override { state_->close(); }
  Endpoint peer() const override { return state_->peer(); }
  std::uint64_t taken_bytes() const override { return state_->taken_bytes(); }

 private:
  std::shared_ptr<SocketState> state_;
};

using ConnectionCallback = Callback<void(Result<std::unique_ptr<Connection>>)>;

class AcceptorState final : public LoopResource,
                            public std::enable_shared_from_this<AcceptorState> {
 public:
  AcceptorState(EventLoop& loop, Acceptor acceptor, Endpoint local)
      : LoopResource(loop), loop_(loop), acceptor_(std::move(acceptor)), local_(std::move(local)) {}

  const Endpoint& local() const { return local_; }

  void async_accept(ConnectionCallback callback) {
    CHECK(!callback_);
    callback_ = std::move(callback);
    if (closed_) {
      loop_.post([self = shared_from_this()] { self->finish(cancelled()); });
      return;
    }
    accept();
  }

  void close() {
    if (!closed_) {
      closed_ = true;
      loop_.cancel(std::exchange(pause_, 0));
      ErrorOfAsio ignored;
      acceptor_->close(ignored);
      loop_.post([self = shared_from_this()] { self->finish(cancelled()); });
    }
  }

  void drop() override {
    closed_ = true;
    acceptor_.reset();
    callback_ = nullptr;
  }

 private:
  void accept() {
    acceptor_->async_accept([self = shared_from_this()](const ErrorOfAsio& error, Socket socket) {
      self->on_accepted(error, std::move(socket));
    });
  }

  void on_accepted(const ErrorOfAsio& error, Socket socket) {
    loop_.begin_work();
    if (closed_) {
      finish(cancelled());
    } else if (!error) {
      finish(std::make_unique<OsConnection>(loop_, std::move(socket)));
    } else if (error == asio::error::no_descriptors || error == asio::error::no_buffer_space ||
               error == asio::error::no_memory || error.value() == ENFILE) {
      // The connection waits in the kernel's queue until descriptors are free again.
      pause_ = loop_.schedule_after(kAcceptPause, [self = shared_from_this()] {
        self->pause_ = 0;
        self->accept();
      });
    } else {
      // It was gone before we took it.
      accept();
    }
  }

  void finish(Result<std::unique_ptr<Connection>> result) {
    if (auto callback = std::exchange(callback_, nullptr)) {
      callback(std::move(result));
    }
  }

  EventLoop& loop_;
  std::optional<Acceptor> acceptor_;
  Endpoint local_;
  bool closed_ = false;
  TimerId pause_ = 0;
  ConnectionCallback callback_;
};

class OsListener final : public Listener {
 public:
  explicit OsListener(std::shared_ptr<AcceptorState> state) : state_(std::move(state)) {}
  ~OsListener() override { state_->close(); }

  void async_accept(ConnectionCallback callback) override {
    state_->async_accept(std::move(callback));
  }
  Endpoint local() const override { return state_->local(); }
  void close() override { state_->close(); }

 private:
  std::shared_ptr<AcceptorState> state_;
};

// One async_connect: resolve, then try the addresses in turn, until the deadline.
class ConnectState final : public LoopResource, public std::enable_shared_from_this<ConnectState> {
 public:
  ConnectState(EventLoop& loop, Endpoint endpoint, ConnectionCallback callback)
      : LoopResource(loop),
        loop_(loop),
        endpoint_(std::move(endpoint)),
        callback_(std::move(callback)) {}

  void start(MonotonicTime deadline) {
    deadline_timer_ = loop_.schedule_at(deadline, [self = shared_from_this()] {
      self->deadline_timer_ = 0;
      self->finish(fail(ErrorCode::kTimedOut,
                        fmt::format("no connection with {} in time", to_string(self->endpoint_)),
                        Recovery::kRetriable));
    });
    ErrorOfAsio not_numeric;
    const auto address = asio::ip::make_address(endpoint_.host, not_numeric);
    if (!not_numeric) {
      addresses_.emplace_back(address, endpoint_.port);
      connect_next();
      return;
    }
    resolver_.emplace(loop_.io_context().get_executor());
    resolver_->async_resolve(endpoint_.host, std::to_string(endpoint_.port),
                             [self = shared_from_this()](const ErrorOfAsio& error,
                                                         const Resolver::results_type& results) {
                               self->on_resolved(error, results);
                             });
  }

  void drop() override {
    resolver_.reset();
    socket_.reset();
    callback_ = nullptr;
  }

 private:
  void on_resolved(const ErrorOfAsio& error, const Resolver::results_type& results) {
    loop_.begin_work();
    if (!callback_) {
      return;
    }
    if (error) {
      finish(fail(ErrorCode::kConnectionLost,
                  fmt::format("'{}' is not a known host: {}", endpoint_.host, error.message()),
                  Recovery::kRetriable));
      return;
    }
    for (const auto& result : results) {
      addresses_.push_back(result.endpoint());
    }
    connect_next();
  }

  void connect_next() {
    socket_.emplace(loop_.io_context().get_executor());
    socket_->async_connect(
        addresses_[next_address_++],
        [self = shared_from_this()](const ErrorOfAsio& error) { self->on_connected(error); });
  }

  void on_connected(const ErrorOfAsio& error) {
    loop_.begin_work();
    if (!callback_) {
      return;
    }
    if (!error) {
      Socket socket = std::move(*socket_);
      finish(std::make_unique<OsConnection>(loop_, std::move(socket)));
    } else if (next_address_ < addresses_.size()) {
      connect_next();
    } else {
      finish(connection_lost(endpoint_, error));
    }
  }

  void finish(Result<std::unique_ptr<Connection>> result) {
    loop_.cancel(std::exchange(deadline_timer_, 0));
    resolver_.reset();
    socket_.reset();
    if (auto callback = std::exchange(callback_, nullptr)) {
      callback(std::move(result));
    }
  }

  EventLoop& loop_;
  Endpoint endpoint_;
  ConnectionCallback callback_;
  TimerId deadline_timer_ = 0;
  std::optional<Resolver> resolver_;
  std::optional<Socket> socket_;
  std::vector<tcp::endpoint> addresses_;
  std::size_t next_address_ = 0;
};

Result<tcp::endpoint> resolve_to_listen(asio::io_context& context, const Endpoint& endpoint) {
  if (endpoint.host.empty()) {
    return tcp::endpoint(tcp::v4(), endpoint.port);
  }
  ErrorOfAsio error;
  const auto address = asio::ip::make_address(endpoint.host, error);
  if (!error) {
    return tcp::endpoint(address, endpoint.port);
  }
  Resolver resolver(context.get_executor());
  const auto results =
      resolver.resolve(endpoint.host, std::to_string(endpoint.port), tcp::resolver::passive, error);
  if (error || results.empty()) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("cannot listen on {}: '{}' is not a known host", to_string(endpoint),
                            endpoint.host));
  }
  for (const auto& result : results) {
    if (result.endpoint().address().is_v4()) {
      return result.endpoint();
    }
  }
  return results.begin()->endpoint();
}

}  // namespace

Result<std::unique_ptr<Listener>> OsNetwork::listen(const Endpoint& endpoint) {
  const auto where = resolve_to_listen(loop_.io_context(), endpoint);
  RETURN_IF_ERROR(where);
  Acceptor acceptor(loop_.io_context().get_executor());
  ErrorOfAsio error;
  acceptor.open(where->protocol(), error);
  if (!error) {
    // Without it, a restart would have to wait for connections of the previous run to be forgotten.
    acceptor.set_option(Acceptor::reuse_address(true), error);
  }
  if (!error) {
    acceptor.bind(*where, error);
  }
  if (!error) {
    acceptor.listen(asio::socket_base::max_listen_connections, error);
  }
  if (error == asio::error::address_in_use) {
    return fail(ErrorCode::kAddressInUse,
                fmt::format("{} is in use by another process", to_string(endpoint)));
  }
  if (error) {
    return fail(ErrorCode::kIo,
                fmt::format("cannot listen on {}: {}", to_string(endpoint), error.message()));
  }
  const Endpoint local = to_endpoint(acceptor.local_endpoint(error));
  return std::make_unique<OsListener>(
      std::make_shared<AcceptorState>(loop_, std::move(acceptor), local));
}

void OsNetwork::async_connect(const Endpoint& endpoint, MonotonicTime deadline,
                              ConnectionCallback callback) {
  std::make_shared<ConnectState>(loop_, endpoint, std::move(callback))->start(deadline);
}

}  // namespace onceflow::io
