#include "console/status_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "io/os/os_environment.h"

namespace onceflow::console {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class StatusServerTest : public ::testing::Test {
 protected:
  void start(StatusServerOptions options = {}) {
    options.listen = {"127.0.0.1", 0};
    auto server = StatusServer::start(
        os_.environment(), options,
        [this]() -> Task<StatusPage> {
          ++read_count_;
          StatusPage page{.json = "{\"state\": \"running\"}\n", .not_yet = not_yet_};
          page.metrics.push_back({"up", "it is", MetricType::kGauge, {}});
          page.metrics.back().add({}, 1);
          co_return page;
        },
        [this] { return health_; });
    ASSERT_TRUE(server.has_value());
    server_ = std::move(*server);
  }

  /// All that comes until the server closes, or until `count` answers have been seen.
  std::string ask(const std::string& requests, std::size_t count = 1) {
    std::string answer;
    bool done = false;
    const auto talk = [&]() -> Task<void> {
      auto connection =
          co_await os_.network().connect(server_->local(), os_.loop().now() + seconds(10));
      EXPECT_TRUE(connection.has_value());
      EXPECT_TRUE((co_await (*connection)->write(as_bytes(requests))).has_value());
      Buffer chunk(4096);
      while (true) {
        const auto size = co_await (*connection)->read(chunk);
        if (!size || *size == 0) {
          break;
        }
        answer += as_text(ByteView(chunk).first(*size));
        std::size_t seen = 0;
        for (std::size_t at = 0; (at = answer.find("HTTP/1.1 ", at)) != std::string::npos; ++at) {
          ++seen;
        }
        if (seen >= count && answer.ends_with("\n")) {
          break;
        }
      }
      done = true;
    };
    os_.loop().spawn(talk());
    EXPECT_TRUE(os_.loop().run_until([&] { return done; }, seconds(20)));
    return answer;
  }

  io::OsEnvironment os_;
  std::string not_yet_;
  Health health_;
  int read_count_ = 0;
  std::unique_ptr<StatusServer> server_;
};

TEST_F(StatusServerTest, probes_answer_with_503_what_is_not_well) {
  start();
  health_ = {.is_alive = true, .is_ready = false, .text = "paid: retrying\n"};
  EXPECT_THAT(ask("GET /healthz HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 200 OK"));
  const std::string not_ready = ask("GET /readyz HTTP/1.1\r\n\r\n");
  EXPECT_THAT(not_ready, StartsWith("HTTP/1.1 503 Service Unavailable"));
  EXPECT_THAT(not_ready, HasSubstr("paid: retrying"));
  health_ = {.is_alive = false, .is_ready = true, .text = "x\n"};
  EXPECT_THAT(ask("GET /healthz HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 503"));
  EXPECT_THAT(ask("GET /readyz HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 200"));
  EXPECT_EQ(read_count_, 0);
}

TEST_F(StatusServerTest, what_is_not_known_yet_is_no_page) {
  start();
  not_yet_ = "it is starting";
  for (const char* path : {"/status", "/metrics"}) {
    const std::string answer = ask("GET " + std::string(path) + " HTTP/1.1\r\n\r\n");
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 503"));
    EXPECT_THAT(answer, HasSubstr("it is starting"));
  }
}

TEST_F(StatusServerTest, metrics_and_status_are_served) {
  start();
  const std::string metrics = ask("GET /metrics HTTP/1.1\r\n\r\n");
  EXPECT_THAT(metrics, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(metrics, HasSubstr("text/plain; version=0.0.4"));
  EXPECT_THAT(metrics, HasSubstr("\nup 1\n"));
  EXPECT_THAT(ask("GET /status HTTP/1.1\r\n\r\n"), HasSubstr("{\"state\": \"running\"}"));
  EXPECT_EQ(read_count_, 2);
}

TEST_F(StatusServerTest, one_connection_carries_many_requests) {
  start();
  const std::string answers =
      ask("GET /status HTTP/1.1\r\n\r\nGET /metrics HTTP/1.1\r\nConnection: close\r\n\r\n", 2);
  EXPECT_THAT(answers, HasSubstr("{\"state\""));
  EXPECT_THAT(answers, HasSubstr("up 1"));
}

TEST_F(StatusServerTest, what_is_not_there_and_what_is_not_asked_so_is_refused) {
  start();
  EXPECT_THAT(ask("GET /x HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(ask("PUT /status HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 405 "));
  EXPECT_THAT(ask("nonsense\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
  EXPECT_EQ(read_count_, 0);
}

TEST_F(StatusServerTest, an_endless_request_is_refused) {
  start({.request_bytes_max = 100});
  EXPECT_THAT(ask("GET /status HTTP/1.1\r\nA: " + std::string(200, 'a')),
              StartsWith("HTTP/1.1 400 "));
}

TEST_F(StatusServerTest, silence_ends_the_connection) {
  start({.silence_max = milliseconds(20)});
  EXPECT_EQ(ask("GET /st"), "");
}

TEST_F(StatusServerTest, it_may_go_while_somebody_is_connected) {
  start();
  bool closed = false;
  const auto wait = [&]() -> Task<void> {
    auto connection =
        co_await os_.network().connect(server_->local(), os_.loop().now() + seconds(10));
    std::byte one[1];
    co_await (*connection)->read(one);
    closed = true;
  };
  os_.loop().spawn(wait());
  os_.loop().run_for(milliseconds(20));
  server_.reset();
  EXPECT_TRUE(os_.loop().run_until([&] { return closed; }, seconds(20)));
}

TEST_F(StatusServerTest, the_loop_may_go_first) {
  start();
  const auto wait = [&]() -> Task<void> {
    auto connection =
        co_await os_.network().connect(server_->local(), os_.loop().now() + seconds(10));
    std::byte one[1];
    co_await (*connection)->read(one);
  };
  os_.loop().spawn(wait());
  os_.loop().run_for(milliseconds(20));
  os_.shut_down();
  server_.reset();
}

}  // namespace
}  // namespace onceflow::console
