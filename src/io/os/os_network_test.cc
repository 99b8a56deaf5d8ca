#include "io/os/os_network.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include "io/os/os_environment.h"

namespace onceflow::io {
namespace {

constexpr bool kSanitizerNeedsDescriptors = __has_feature(undefined_behavior_sanitizer);

class OsNetworkTest : public testing::Test {
 public:
  Task<void> echo_all() {
    while (true) {
      auto connection = co_await listener_->accept();
      if (!connection) {
        co_return;
      }
      loop_.spawn(echo(std::move(*connection)));
    }
  }
  static Task<void> echo(std::unique_ptr<Connection> connection) {
    Buffer buffer(65536);
    while (true) {
      const auto count = co_await connection->read(buffer);
      if (!count || *count == 0) {
        co_return;
      }
      if (!co_await connection->write(ByteView(buffer).first(*count))) {
        co_return;
      }
    }
  }
  void listen() { listener_ = std::move(environment_.network().listen({"127.0.0.1", 0}).value()); }
  Task<Result<std::unique_ptr<Connection>>> connect(std::string host = "127.0.0.1") {
    return environment_.network().connect({std::move(host), listener_->local().port},
                                          loop_.now() + seconds(10));
  }
  void run(Task<void> task) {
    bool done = false;
    loop_.spawn([](Task<void> inner, bool& flag) -> Task<void> {
      co_await inner;
      flag = true;
    }(std::move(task), done));
    ASSERT_TRUE(loop_.run_until([&] { return done; }, seconds(20)));
  }

  OsEnvironment environment_;
  EventLoop& loop_ = environment_.loop();
  std::unique_ptr<Listener> listener_;
};

TEST_F(OsNetworkTest, a_read_is_cancelled_and_nothing_is_lost) {
  listen();
  loop_.spawn(echo_all());
  run([](OsNetworkTest& test) -> Task<void> {
    auto connection = std::move((co_await test.connect()).value());
    Buffer buffer(16);
    std::optional<Result<std::size_t>> ended;
    connection->async_read(buffer, [&](Result<std::size_t> count) { ended = std::move(count); });
    connection->cancel_read();
    while (!ended) {
      co_await test.loop_.yield();
    }
    EXPECT_EQ(ended->error().code, ErrorCode::kCancelled);
    EXPECT_TRUE(co_await connection->write(as_bytes("abc")));
    const auto count = co_await connection->read(buffer);
    EXPECT_EQ(count.value(), 3u);
    EXPECT_EQ(connection->taken_bytes(), 3u);
  }(*this));
}

TEST_F(OsNetworkTest, what_is_written_in_parts_comes_back_whole) {
  listen();
  loop_.spawn(echo_all());
  run([](OsNetworkTest& test, auto open) -> Task<void> {
    (void)test;
    auto connection = std::move((co_await open("localhost")).value());
    Buffer large(3'000'000);
    for (std::size_t index = 0; index < large.size(); ++index) {
      large[index] = static_cast<std::byte>(index * 7);
    }
    Buffer received(large.size() + 5);
    const ByteView parts[] = {as_bytes("hello"), {}, large};
    bool written = false;
    connection->async_write(parts, [&](Status status) { written = status.has_value(); });
    EXPECT_TRUE((co_await connection->read_fully(received)).has_value());
    EXPECT_TRUE(written);
    EXPECT_EQ(as_text(ByteView(received).first(5)), "hello");
    EXPECT_TRUE(equal(ByteView(received).subspan(5), large));
  }(*this, [this](std::string host) { return connect(host); }));
}

TEST_F(OsNetworkTest, a_peer_that_closes_reads_as_zero_bytes) {
  listen();
  run([](Listener& listener, Task<Result<std::unique_ptr<Connection>>> connecting) -> Task<void> {
    auto ours = std::move((co_await connecting).value());
    auto theirs = std::move((co_await listener.accept()).value());
    EXPECT_EQ(theirs->peer().host, "127.0.0.1");
    theirs.reset();
    Buffer buffer(10);
    EXPECT_EQ((co_await ours->read(buffer)).value(), 0U);
    EXPECT_EQ((co_await ours->read_fully(buffer)).error().code, ErrorCode::kConnectionLost);
  }(*listener_, connect()));
}

TEST_F(OsNetworkTest, closing_ends_a_read_with_cancelled_and_not_inside_close) {
  listen();
  run([](EventLoop& loop, Task<Result<std::unique_ptr<Connection>>> connecting) -> Task<void> {
    auto connection = std::move((co_await connecting).value());
    Buffer buffer(10);
    std::optional<ErrorCode> code;
    connection->async_read(buffer, [&](auto result) { code = result.error().code; });
    connection->close();
    EXPECT_FALSE(code.has_value());
    while (!code) {
      co_await loop.yield();
    }
    EXPECT_EQ(*code, ErrorCode::kCancelled);
    EXPECT_EQ((co_await connection->read(buffer)).error().code, ErrorCode::kCancelled);
    EXPECT_EQ((co_await connection->write(as_bytes("x"))).error().code, ErrorCode::kCancelled);
  }(loop_, connect()));
}

TEST_F(OsNetworkTest, closing_a_listener_ends_its_accept) {
  listen();
  run([](EventLoop& loop, Listener& listener) -> Task<void> {
    loop.post([&] { listener.close(); });
    EXPECT_EQ((co_await listener.accept()).error().code, ErrorCode::kCancelled);
  }(loop_, *listener_));
}

TEST_F(OsNetworkTest, an_address_in_use_is_named) {
  listen();
  const auto second = environment_.network().listen(listener_->local());
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, ErrorCode::kAddressInUse);
  EXPECT_NE(second.error().text.find(to_string(listener_->local())), std::string::npos);
}

TEST_F(OsNetworkTest, nobody_listening_is_a_lost_connection) {
  listen();
  const Endpoint nobody = listener_->local();
  listener_.reset();
  run([](EventLoop& loop, Network& network, Endpoint to) -> Task<void> {
    const auto connection = co_await network.connect(to, loop.now() + seconds(5));
    EXPECT_EQ(connection.error().code, ErrorCode::kConnectionLost);
    EXPECT_EQ(connection.error().recovery, Recovery::kRetriable);
    const auto unknown =
        co_await network.connect({"no-such-host.invalid", 1}, loop.now() + seconds(5));
    EXPECT_FALSE(unknown.has_value());
  }(loop_, environment_.network(), nobody));
}

TEST_F(OsNetworkTest, a_deadline_in_the_past_is_timed_out) {
  listen();
  run([](EventLoop& loop, Network& network) -> Task<void> {
    // Not routed anywhere (TEST-NET-1), so neither answer nor refusal can come first.
    const auto late = co_await network.connect({"192.0.2.1", 9}, loop.now() + milliseconds(1));
    EXPECT_FALSE(late.has_value());
  }(loop_, environment_.network()));
}

TEST_F(OsNetworkTest, without_descriptors_a_listener_waits_instead_of_spinning) {
  if (kSanitizerNeedsDescriptors) {
    GTEST_SKIP() << "the sanitizer opens a pipe to look at an object's type, and could not here";
  }
  listen();
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  std::unique_ptr<Connection> accepted;
  std::unique_ptr<Connection> client;
  loop_.spawn([](Task<Result<std::unique_ptr<Connection>>> connecting,
                 std::unique_ptr<Connection>& to) -> Task<void> {
    to = std::move((co_await connecting).value());
  }(connect(), client));
  ASSERT_TRUE(loop_.run_until([&] { return client != nullptr; }, seconds(5)));
  rlimit none = before;
  none.rlim_cur = 0;
  setrlimit(RLIMIT_NOFILE, &none);
  listener_->async_accept([&](auto result) { accepted = std::move(result.value()); });
  loop_.run_for(milliseconds(50));
  EXPECT_EQ(accepted, nullptr);
  setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_TRUE(loop_.run_until([&] { return accepted != nullptr; }, seconds(5)));
}

TEST_F(OsNetworkTest, the_loop_may_go_while_everything_is_pending) {
  listen();
  loop_.spawn(echo_all());
  std::unique_ptr<Connection> outside;
  bool called = false;
  Buffer buffer(10);
  loop_.spawn([](OsNetworkTest& test, std::unique_ptr<Connection>& to) -> Task<void> {
    to = std::move((co_await test.connect()).value());
    auto inside = std::move((co_await test.connect()).value());
    Buffer own(10);
    co_await inside->read(own);
  }(*this, outside));
  ASSERT_TRUE(loop_.run_until([&] { return outside != nullptr; }, seconds(5)));
  outside->async_read(buffer, [&](auto) { called = true; });
  loop_.run_for(milliseconds(5));
  environment_.shut_down();
  EXPECT_FALSE(called);
}

}  // namespace
}  // namespace onceflow::io
