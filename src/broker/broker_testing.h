// For tests of the broker: a client of bytes and frames on the same loop. Test code only.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "io/os/os_blocking_thread.h"
#include "io/os/os_environment.h"
#include "protocol/header.h"

namespace onceflow::broker {

inline constexpr Duration kTestPatience = seconds(20);

/// A connection to 127.0.0.1 that the test writes to and reads from, turn by turn.
class RawClient {
 public:
  RawClient(io::EventLoop& loop, io::OsNetwork& network, std::uint16_t port) : loop_(loop) {
    bool connected = false;
    network.async_connect({"127.0.0.1", port}, loop.now() + kTestPatience,
                          [&](Result<std::unique_ptr<io::Connection>> connection) {
                            EXPECT_TRUE(connection);
                            connection_ = std::move(*connection);
                            connected = true;
                          });
    EXPECT_TRUE(loop_.run_until([&] { return connected; }, kTestPatience));
    read_on();
  }
  ~RawClient() {
    close();
    loop_.run_until([&] { return !*reading_; }, kTestPatience);
  }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  void send(ByteView bytes) {
    bool written = false;
    connection_->async_write(std::span(&bytes, 1), [&](const Status&) { written = true; });
    EXPECT_TRUE(loop_.run_until([&] { return written; }, kTestPatience));
  }
  template <typename Request>
  void send(const Request& request, std::int16_t version, std::int32_t correlation_id = 0) {
    Buffer frame;
    protocol::encode_request_frame(frame, request, version, correlation_id, "test");
    send(ByteView(frame));
  }

  /// The next frame without its size; nullopt if the broker closes before, or nothing comes in
  /// time.
  std::optional<Buffer> receive(Duration patience = kTestPatience) {
    loop_.run_until([&] { return closed_ || has_frame(); }, patience);
    if (!has_frame()) {
      return std::nullopt;
    }
    const std::size_t size = frame_bytes();
    Buffer frame(received_.begin() + 4, received_.begin() + 4 + static_cast<std::ptrdiff_t>(size));
    received_.erase(received_.begin(), received_.begin() + 4 + static_cast<std::ptrdiff_t>(size));
    return frame;
  }
  /// As receive, decoded; the frame it has views into is kept until the next call.
  template <typename Response>
  std::optional<Response> receive_as(std::int16_t version, Duration patience = kTestPatience) {
    auto frame = receive(patience);
    if (!frame) {
      return std::nullopt;
    }
    frame_ = std::move(*frame);
    WireReader reader(frame_);
    const auto header = protocol::ResponseHeader::decode(
        reader, protocol::response_header_version(Response::kApiKey, version));
    EXPECT_TRUE(header);
    auto response = Response::decode(reader, version);
    EXPECT_TRUE(response) << response.error().text;
    EXPECT_EQ(reader.remaining(), 0u);
    return response ? std::optional<Response>(std::move(*response)) : std::nullopt;
  }
  template <typename Request>
  std::optional<typename Request::Response> call(const Request& request, std::int16_t version) {
    send(request, version);
    return receive_as<typename Request::Response>(version);
  }

  /// True if the broker closes the connection in time.
  bool is_closed(Duration patience = kTestPatience) {
    return loop_.run_until([&] { return closed_; }, patience);
  }
  void close() { connection_->close(); }

 private:
  void read_on() {
    *reading_ = true;
    connection_->async_read(chunk_, [this, reading = reading_](Result<std::size_t> count) {
      *reading = false;
      if (!count || *count == 0) {
        closed_ = true;
        return;
      }
      append(received_, ByteView(chunk_).first(*count));
      read_on();
    });
  }
  bool has_frame() const { return received_.size() >= 4 && received_.size() >= 4 + frame_bytes(); }
  std::size_t frame_bytes() const {
    return static_cast<std::size_t>(wire::load_big_endian<std::int32_t>(received_.data()));
  }

  io::EventLoop& loop_;
  std::unique_ptr<io::Connection> connection_;
  Buffer chunk_ = Buffer(64 * 1024);
  Buffer received_;
  Buffer frame_;
  bool closed_ = false;
  std::shared_ptr<bool> reading_ = std::make_shared<bool>(false);
};

/// Runs a task to its end and returns what it returns.
template <typename T>
T run_task(io::EventLoop& loop, Task<T> task) {
  std::optional<T> result;
  loop.spawn([](Task<T> inner, std::optional<T>& out) -> Task<void> {
    out.emplace(co_await inner);
  }(std::move(task), result));
  EXPECT_TRUE(loop.run_until([&] { return result.has_value(); }, kTestPatience));
  return std::move(*result);
}
inline void run_task(io::EventLoop& loop, Task<void> task) {
  bool done = false;
  loop.spawn([](Task<void> inner, bool& flag) -> Task<void> {
    co_await inner;
    flag = true;
  }(std::move(task), done));
  EXPECT_TRUE(loop.run_until([&] { return done; }, kTestPatience));
}

}  // namespace onceflow::broker
