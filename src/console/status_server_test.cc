#include "console/status_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "io/os/os_environment.h"

namespace onceflow::console {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

/// Lines of 1000 bytes, as many as it is told.
class Lines final : public TextSource {
 public:
  Lines(std::size_t count, std::size_t& made) : left_(count), made_(made) {}
  bool append(std::string& text, std::size_t bytes) override {
    const std::size_t begin = text.size();
    for (; left_ > 0 && text.size() - begin < bytes; --left_, ++made_) {
      text += std::string(999, 'x') + '\n';
    }
    return text.size() > begin;
  }

 private:
  std::size_t left_;
  std::size_t& made_;
};

class StatusServerTest : public ::testing::Test {
 protected:
  class TestPages final : public Pages {
   public:
    explicit TestPages(StatusServerTest& test) : test_(test) {}
    Task<std::optional<Page>> read(HttpRequest request) override {
      ++test_.read_count_;
      if (request.path == "/status") {
        co_return Page{
            .response = {.content_type = "application/json", .body = "{\"state\": \"running\"}\n"},
            .rest = nullptr};
      }
      if (request.path == "/lines") {
        co_return Page{
            .response = {.body = "first\n"},
            .rest = std::make_unique<Lines>(std::stoul(request.query["count"]), test_.made_count_)};
      }
      co_return std::nullopt;
    }
    Task<Health> health() override { co_return test_.health_; }

   private:
    StatusServerTest& test_;
  };

  void start(StatusServerOptions options = {}) {
    options.listen = {"127.0.0.1", 0};
    auto server =
        StatusServer::start(os_.environment(), options, std::make_shared<TestPages>(*this));
    ASSERT_TRUE(server.has_value());
    server_ = std::move(*server);
  }

  /// A connection that has sent `text`.
  std::unique_ptr<io::Connection> connect(const std::string& text) {
    std::unique_ptr<io::Connection> made;
    bool done = false;
    const auto talk = [&]() -> Task<void> {
      auto connection =
          co_await os_.network().connect(server_->local(), os_.loop().now() + seconds(10));
      EXPECT_TRUE(connection.has_value());
      EXPECT_TRUE((co_await (*connection)->write(as_bytes(text))).has_value());
      made = std::move(*connection);
      done = true;
    };
    os_.loop().spawn(talk());
    EXPECT_TRUE(os_.loop().run_until([&] { return done; }, seconds(20)));
    return made;
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
  Health health_;
  int read_count_ = 0;
  std::size_t made_count_ = 0;
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

TEST_F(StatusServerTest, pages_are_served) {
  start();
  const std::string status = ask("GET /status HTTP/1.1\r\n\r\n");
  EXPECT_THAT(status, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(status, HasSubstr("application/json"));
  EXPECT_THAT(status, HasSubstr("{\"state\": \"running\"}"));
  EXPECT_EQ(read_count_, 1);
}

TEST_F(StatusServerTest, a_long_page_is_sent_in_chunks_and_the_connection_goes_on) {
  start();
  std::string rest =
      ask("GET /lines?count=500 HTTP/1.1\r\n\r\n"
          "GET /status HTTP/1.1\r\nConnection: close\r\n\r\n",
          2);
  const std::size_t head_end = rest.find("\r\n\r\n");
  EXPECT_THAT(rest.substr(0, head_end), HasSubstr("Transfer-Encoding: chunked"));
  rest.erase(0, head_end + 4);
  std::string body;
  std::size_t chunk_count = 0;
  while (true) {
    const std::size_t size = std::stoul(rest, nullptr, 16);
    rest.erase(0, rest.find("\r\n") + 2);
    if (size == 0) {
      break;
    }
    ++chunk_count;
    body += rest.substr(0, size);
    ASSERT_EQ(rest.substr(size, 2), "\r\n");
    rest.erase(0, size + 2);
  }
  EXPECT_THAT(body, StartsWith("first\nxxx"));
  EXPECT_EQ(body.size(), 6u + 500 * 1000);
  EXPECT_GT(chunk_count, 2u);
  EXPECT_THAT(rest, StartsWith("\r\nHTTP/1.1 200 OK"));
}

TEST_F(StatusServerTest, a_client_that_knows_no_chunks_reads_to_the_end) {
  start();
  const std::string answer =
      ask("GET /lines?count=300 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 2);
  const std::size_t head_end = answer.find("\r\n\r\n");
  EXPECT_THAT(answer.substr(0, head_end), HasSubstr("Connection: close"));
  EXPECT_EQ(answer.size() - head_end - 4, 6u + 300 * 1000);
}

TEST_F(StatusServerTest, head_of_a_long_page_makes_nothing_of_it) {
  start();
  EXPECT_THAT(ask("HEAD /lines?count=300 HTTP/1.1\r\n\r\n"), HasSubstr("chunked"));
  EXPECT_EQ(made_count_, 0u);
}

// What a reader does not take is not made either: its memory is a piece, whatever the page is.
TEST_F(StatusServerTest, a_reader_that_does_not_read_holds_a_piece) {
  start({.silence_max = milliseconds(50)});
  const auto reader = connect("GET /lines?count=1000000 HTTP/1.1\r\n\r\n");
  os_.loop().run_for(milliseconds(30));
  const std::size_t made = made_count_;
  EXPECT_LT(made * 1000, 64u << 20);  // the system's buffers for sockets, and a piece
  os_.loop().run_for(milliseconds(300));
  EXPECT_EQ(made_count_, made) << "it was closed, and is served all the same";
}

TEST_F(StatusServerTest, half_requests_make_room_for_whole_ones) {
  start({.connections_max = 3, .silence_max = seconds(100)});
  std::vector<std::unique_ptr<io::Connection>> silent;
  for (int count = 0; count < 10; ++count) {
    silent.push_back(connect(count % 2 == 0 ? "GET /sta" : ""));
  }
  EXPECT_THAT(ask("GET /status HTTP/1.1\r\n\r\n"), HasSubstr("running"));
}

TEST_F(StatusServerTest, those_that_are_being_answered_are_not_thrown_out) {
  start({.connections_max = 2, .silence_max = seconds(100)});
  const auto one = connect("GET /lines?count=1000000 HTTP/1.1\r\n\r\n");
  const auto other = connect("GET /lines?count=1000000 HTTP/1.1\r\n\r\n");
  os_.loop().run_for(milliseconds(50));
  EXPECT_EQ(ask("GET /status HTTP/1.1\r\n\r\n"), "");
}

TEST_F(StatusServerTest, readers_that_do_not_read_make_room) {
  start({.connections_max = 4, .silence_max = seconds(100)});
  std::vector<std::unique_ptr<io::Connection>> unread;
  for (int count = 0; count < 6; ++count) {
    unread.push_back(connect("GET /lines?count=1000000 HTTP/1.1\r\n\r\n"));
    os_.loop().run_for(milliseconds(10));
  }
  health_ = {.is_alive = true, .is_ready = true, .text = "alive\n"};
  EXPECT_THAT(ask("GET /healthz HTTP/1.1\r\n\r\n"), HasSubstr("alive"));
  EXPECT_THAT(ask("GET /status HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 503"));
  os_.loop().run_for(milliseconds(300));
  EXPECT_THAT(ask("GET /status HTTP/1.1\r\n\r\n"), HasSubstr("running"));
}

TEST_F(StatusServerTest, one_connection_carries_many_requests) {
  start();
  const std::string answers =
      ask("GET /status HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nConnection: close\r\n\r\n", 2);
  EXPECT_THAT(answers, HasSubstr("{\"state\""));
  EXPECT_THAT(answers, HasSubstr("for Prometheus"));
}

TEST_F(StatusServerTest, what_is_not_there_and_what_is_not_asked_so_is_refused) {
  start();
  EXPECT_THAT(ask("GET /x HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 404 "));
  read_count_ = 0;
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
