// Server and Connection against a handler that does as the test says.
#include "broker/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <new>
#include <vector>

#include "broker/broker_testing.h"

namespace onceflow::broker {
namespace {

using testing::ElementsAre;

// Answers each request with its correlation id and the bytes of its body; keeps those whose body
// begins with 'L' for later, takes its time for 'S', has no answer to 'N', no memory for 'M', and
// closes at 'C'.
class EchoHandler : public RequestHandler {
 public:
  explicit EchoHandler(io::Scheduler& scheduler) : scheduler_(scheduler) {}

  Disposition handle(const Request& request, Reply& reply) override {
    handled.push_back(request.header.correlation_id);
    const std::string_view text = as_text(request.body);
    if (text.starts_with('N')) {
      return Disposition::kNothing;
    }
    if (text.starts_with('S')) {
      const MonotonicTime end_of_work = scheduler_.now() + std::chrono::microseconds(100);
      while (scheduler_.now() < end_of_work) {
      }
    }
    if (text.starts_with('M')) {
      throw std::bad_alloc();
    }
    if (text.starts_with('C')) {
      return Disposition::kClose;
    }
    if (text.starts_with('L')) {
      parked.emplace_back(request.slot, request.header.correlation_id);
      return Disposition::kLater;
    }
    reply = answer_to(request.header.correlation_id, text);
    reply.durable_at = end;
    return Disposition::kAnswer;
  }
  bool is_changing() const override { return false; }
  void on_requests_handled() override {}
  void on_connection_closed(ConnectionNumber) override { ++closed; }
  void on_turn(ConnectionNumber) override {}
  std::size_t buffered_bytes() const override { return 0; }
  JournalPosition durable() const override { return durable_; }
  void when_durable(JournalPosition, Callback<void()> callback) override {
    waiting_.push_back(std::move(callback));
  }
  bool is_full() const override { return full_; }
  void when_not_full(Callback<void()> callback) override {
    not_full_.push_back(std::move(callback));
  }

  static Reply answer_to(std::int32_t correlation_id, std::string_view text) {
    Reply reply;
    WireWriter writer(reply.bytes);
    const std::size_t frame = protocol::begin_frame(writer);
    writer.write_int32(correlation_id);
    writer.write_text(text);
    protocol::finish_frame(writer, frame);
    return reply;
  }
  void make_durable(JournalPosition position) {
    durable_ = position;
    for (auto& callback : std::exchange(waiting_, {})) {
      scheduler_.post(std::move(callback));
    }
  }
  void set_full(bool full) {
    full_ = full;
    if (!full) {
      for (auto& callback : std::exchange(not_full_, {})) {
        scheduler_.post(std::move(callback));
      }
    }
  }

  std::vector<std::int32_t> handled;
  std::vector<std::pair<ReplySlot, std::int32_t>> parked;
  JournalPosition end{0};
  int closed = 0;

 private:
  io::Scheduler& scheduler_;
  JournalPosition durable_{0};
  bool full_ = false;
  std::vector<Callback<void()>> waiting_;
  std::vector<Callback<void()>> not_full_;
};

class ServerTest : public testing::Test {
 protected:
  ~ServerTest() override {
    clients_.clear();
    if (server_) {
      run_task(os_.loop(), server_->stop(milliseconds(10)));
    }
  }
  void start(ServerOptions options = {}) {
    options.listen = {"127.0.0.1", 0};
    environment_.emplace(os_.environment());
    server_ = std::make_unique<Server>(*environment_, options, handler_);
    ASSERT_TRUE(server_->listen());
    server_->start();
  }
  RawClient& connect() {
    return *clients_.emplace_back(
        std::make_unique<RawClient>(os_.loop(), os_.network(), server_->local().port));
  }
  // A Metadata request of version 0: header, and a body that is none.
  static Buffer frame_of(std::int32_t correlation_id, std::string_view text) {
    Buffer bytes;
    WireWriter writer(bytes);
    const std::size_t frame = protocol::begin_frame(writer);
    protocol::RequestHeader{protocol::ApiKey::kMetadata, 0, correlation_id, "t"}.encode(writer);
    writer.write_text(text);
    protocol::finish_frame(writer, frame);
    return bytes;
  }
  static Buffer frames_of(std::initializer_list<std::pair<std::int32_t, std::string_view>> all) {
    Buffer bytes;
    for (const auto& [correlation_id, text] : all) {
      append(bytes, frame_of(correlation_id, text));
    }
    return bytes;
  }
  static std::int32_t correlation_of(const std::optional<Buffer>& frame) {
    return frame ? wire::load_big_endian<std::int32_t>(frame->data()) : -1;
  }
  bool wait_until(const std::function<bool()>& condition) {
    return os_.loop().run_until(condition, kTestPatience);
  }
  void run_for(Duration duration) { os_.loop().run_for(duration); }

  io::OsEnvironment os_;
  std::optional<io::Environment> environment_;
  EchoHandler handler_{os_.loop()};
  std::unique_ptr<Server> server_;
  std::vector<std::unique_ptr<RawClient>> clients_;
};

TEST_F(ServerTest, requests_are_handled_in_order_however_they_are_cut) {
  start();
  RawClient& client = connect();
  const Buffer bytes = frames_of({{1, "a"}, {2, "bb"}, {3, std::string(70'000, 'c')}, {4, "d"}});
  for (std::size_t sent = 0; sent < bytes.size();) {
    const std::size_t piece = std::min<std::size_t>(sent < 60 ? 7 : 30'000, bytes.size() - sent);
    client.send(ByteView(bytes).subspan(sent, piece));
    run_for(milliseconds(1));
    sent += piece;
  }
  EXPECT_EQ(correlation_of(client.receive()), 1);
  EXPECT_EQ(correlation_of(client.receive()), 2);
  EXPECT_EQ(client.receive()->size(), 70'004u);
  EXPECT_EQ(correlation_of(client.receive()), 4);
  EXPECT_THAT(handler_.handled, ElementsAre(1, 2, 3, 4));
}

TEST_F(ServerTest, a_parked_answer_holds_back_those_behind_it_not_their_handling) {
  start();
  RawClient& client = connect();
  client.send(frames_of({{1, "Later"}, {2, "b"}, {3, "N"}, {4, "d"}}));
  EXPECT_FALSE(client.receive(milliseconds(20)));
  EXPECT_THAT(handler_.handled, ElementsAre(1, 2, 3, 4));
  server_->complete(handler_.parked[0].first, EchoHandler::answer_to(1, "now"));
  EXPECT_EQ(correlation_of(client.receive()), 1);
  EXPECT_EQ(correlation_of(client.receive()), 2);
  EXPECT_EQ(correlation_of(client.receive()), 4);
}

TEST_F(ServerTest, an_answer_leaves_when_the_journal_is_durable) {
  start();
  RawClient& client = connect();
  handler_.end = JournalPosition(10);
  client.send(frame_of(1, "a"));
  ASSERT_TRUE(wait_until([&] { return handler_.handled.size() == 1; }));
  handler_.end = JournalPosition(20);
  client.send(frame_of(2, "b"));
  EXPECT_FALSE(client.receive(milliseconds(20)));
  handler_.make_durable(JournalPosition(15));
  EXPECT_EQ(correlation_of(client.receive()), 1);
  EXPECT_FALSE(client.receive(milliseconds(20)));
  handler_.make_durable(JournalPosition(20));
  EXPECT_EQ(correlation_of(client.receive()), 2);
}

TEST_F(ServerTest, records_are_spliced_into_an_answer) {
  start();
  RawClient& client = connect();
  client.send(frame_of(1, "L"));
  ASSERT_TRUE(wait_until([&] { return handler_.parked.size() == 1; }));
  Reply reply = EchoHandler::answer_to(1, "<><>");
  reply.records = to_buffer("onetwo!");
  reply.splices = {{9, 3}, {11, 4}};
  wire::store_big_endian<std::int32_t>(reply.bytes.data(), 4 + 4 + 7);
  server_->complete(handler_.parked[0].first, std::move(reply));
  const auto frame = client.receive();
  ASSERT_TRUE(frame);
  EXPECT_EQ(as_text(*frame).substr(4), "<one><two!>");
}

TEST_F(ServerTest, nonsense_closes_its_connection_and_no_other) {
  start({.request_bytes_max = 1000});
  RawClient& other = connect();
  const std::vector<std::string> nonsense = {
      std::string("\x7f\xff\xff\xff", 4) + "garbage",  // too long
      std::string("\xff\xff\xff\xff", 4),              // negative
      std::string("\0\0\0\0", 4),                      // empty
      std::string("\0\0\0\x03"
                  "abc",
                  7),  // no room for a header
      "GET / HTTP/1.1\r\n\r\n",
      std::string("\0\0\0\x0a\0\x03\0\0\0\0\0\1\x7f\xff", 14),  // a client id longer than the frame
  };
  for (const std::string& bytes : nonsense) {
    RawClient& client = connect();
    client.send(as_bytes(bytes));
    EXPECT_TRUE(client.is_closed()) << bytes;
  }
  RawClient& refused = connect();
  refused.send(frames_of({{7, "C"}, {8, "x"}}));
  EXPECT_TRUE(refused.is_closed());
  other.send(frame_of(1, "a"));
  EXPECT_EQ(correlation_of(other.receive()), 1);
  EXPECT_THAT(handler_.handled, ElementsAre(7, 1));
  EXPECT_EQ(server_->statistics().closed_garbage, nonsense.size());
}

TEST_F(ServerTest, a_length_that_is_only_announced_takes_no_memory) {
  start();
  for (int index = 0; index < 20; ++index) {
    connect().send(as_bytes(std::string("\x04\0\0\0", 4) + "only a few bytes"));
  }
  run_for(milliseconds(20));
  EXPECT_EQ(server_->statistics().open_connections, 20u);
  EXPECT_EQ(server_->statistics().memory_bytes, 0u);
}

TEST_F(ServerTest, half_a_request_and_silence_is_closed) {
  start({.half_request_silence_max = milliseconds(50)});
  RawClient& silent = connect();
  RawClient& idle = connect();
  silent.send(ByteView(frame_of(1, "a")).first(9));
  EXPECT_TRUE(silent.is_closed());
  idle.send(frame_of(2, "b"));
  EXPECT_EQ(correlation_of(idle.receive()), 2);
  EXPECT_EQ(server_->statistics().closed_silent, 1u);
}

TEST_F(ServerTest, an_idle_connection_is_closed_unless_an_answer_is_due) {
  start({.idle_max = milliseconds(50)});
  RawClient& idle = connect();
  RawClient& waiting = connect();
  waiting.send(frame_of(1, "L"));
  EXPECT_TRUE(idle.is_closed());
  EXPECT_FALSE(waiting.is_closed(milliseconds(100)));
}

TEST_F(ServerTest, requests_in_flight_have_a_limit_behind_which_nothing_is_handled) {
  start({.requests_in_flight_max = 2});
  RawClient& client = connect();
  client.send(frames_of({{1, "L"}, {2, "L"}, {3, "c"}, {4, "d"}}));
  run_for(milliseconds(20));
  EXPECT_THAT(handler_.handled, ElementsAre(1, 2));
  server_->complete(handler_.parked[0].first, EchoHandler::answer_to(1, ""));
  ASSERT_TRUE(wait_until([&] { return handler_.handled.size() == 3; }));
  server_->complete(handler_.parked[1].first, EchoHandler::answer_to(2, ""));
  for (const int expected : {1, 2, 3, 4}) {
    EXPECT_EQ(correlation_of(client.receive()), expected);
  }
}

TEST_F(ServerTest, nothing_is_handled_while_the_journal_is_full) {
  start();
  handler_.set_full(true);
  RawClient& client = connect();
  client.send(frames_of({{1, "a"}, {2, "b"}}));
  run_for(milliseconds(20));
  EXPECT_THAT(handler_.handled, ElementsAre());
  handler_.set_full(false);
  EXPECT_EQ(correlation_of(client.receive()), 1);
  EXPECT_EQ(correlation_of(client.receive()), 2);
}

TEST_F(ServerTest, half_requests_never_take_more_memory_than_the_limit_and_all_are_finished) {
  constexpr std::size_t kLimit = 1 << 20;
  start({.memory_bytes_max = kLimit, .memory_patience = seconds(20)});
  const Buffer large = frame_of(5, std::string(400'000, 'x'));
  const std::size_t half = large.size() / 2;
  std::vector<RawClient*> all;
  for (int index = 0; index < 10; ++index) {
    all.push_back(&connect());
    all.back()->send(ByteView(large).first(half));
    run_for(milliseconds(5));
  }
  EXPECT_LE(server_->statistics().memory_bytes, kLimit);
  for (RawClient* const client : all) {
    client->send(ByteView(large).subspan(half));
  }
  for (RawClient* const client : all) {
    EXPECT_EQ(correlation_of(client->receive()), 5);
  }
  EXPECT_LE(server_->statistics().memory_bytes, kLimit);
}

TEST_F(ServerTest, a_half_request_goes_when_another_one_waits_for_its_memory) {
  start({.memory_bytes_max = 1 << 20, .memory_patience = milliseconds(50)});
  const Buffer large = frame_of(5, std::string(400'000, 'x'));
  RawClient& first = connect();
  RawClient& second = connect();
  first.send(ByteView(large).first(300'000));
  second.send(ByteView(large).first(300'000));
  run_for(milliseconds(20));
  RawClient& whole = connect();
  whole.send(ByteView(large));
  EXPECT_EQ(correlation_of(whole.receive()), 5);
  EXPECT_EQ(server_->statistics().closed_for_memory[1], 1u);
  EXPECT_NE(first.is_closed(milliseconds(10)), second.is_closed(milliseconds(10)));
}

TEST_F(ServerTest, small_requests_go_on_when_half_ones_hold_all_there_is) {
  start({.memory_bytes_max = 1 << 20});
  const Buffer large = frame_of(5, std::string(400'000, 'x'));
  for (int index = 0; index < 5; ++index) {
    connect().send(ByteView(large).first(350'000));
  }
  run_for(milliseconds(20));
  RawClient& small = connect();
  for (int index = 0; index < 20; ++index) {
    small.send(frame_of(index, std::string(10'000, 'y')));
    EXPECT_EQ(correlation_of(small.receive(milliseconds(500))), index);
  }
  EXPECT_LE(server_->statistics().memory_bytes, 1u << 20);
}

TEST_F(ServerTest, a_steady_sender_does_not_wait_for_each_sync_while_memory_is_short) {
  start({.memory_bytes_max = 1 << 20});
  const Buffer large = frame_of(5, std::string(450'000, 'x'));
  connect().send(ByteView(large).first(400'000));
  connect().send(ByteView(large).first(400'000));
  run_for(milliseconds(20));
  handler_.end = JournalPosition(1);
  RawClient& steady = connect();
  for (int number = 0; number < 20; ++number) {
    steady.send(frame_of(number, "y"));
  }
  EXPECT_TRUE(wait_until([&] { return handler_.handled.size() == 20; }));
  handler_.make_durable(JournalPosition(1));
  for (int number = 0; number < 20; ++number) {
    EXPECT_EQ(correlation_of(steady.receive()), number);
  }
}

TEST_F(ServerTest, the_shortest_backlog_is_handled_first) {
  start();
  constexpr std::int32_t kFew = 20;
  const auto frames = [](std::int32_t correlation_id, std::int32_t count) {
    Buffer bytes;
    for (std::int32_t number = 0; number < count; ++number) {
      append(bytes, frame_of(correlation_id, "S" + std::string(40, 'x')));
    }
    return bytes;
  };
  const Buffer many = frames(1, 200);
  for (int count = 0; count < 10; ++count) {
    connect().send(ByteView(many));
  }
  RawClient& modest = connect();
  modest.send(ByteView(frames(2, kFew)));
  ASSERT_TRUE(wait_until([&] { return std::ranges::count(handler_.handled, 2) == kFew; }));
  const auto first = std::ranges::find(handler_.handled, 2);
  const auto others_meanwhile = std::ranges::count(first, handler_.handled.end(), 1);
  EXPECT_LT(others_meanwhile, 100);
}

TEST_F(ServerTest, an_idle_connection_gives_its_buffer_back) {
  start({.half_request_silence_max = milliseconds(100), .idle_buffer_max = milliseconds(200)});
  RawClient& client = connect();
  for (const int number : {1, 2}) {
    client.send(frame_of(number, std::string(5000, 'x')));
    EXPECT_EQ(correlation_of(client.receive()), number);
    EXPECT_GE(server_->statistics().memory_bytes, 5000u);
    EXPECT_TRUE(wait_until([&] { return server_->statistics().memory_bytes == 0; }));
  }
}

TEST_F(ServerTest, a_request_without_memory_ends_its_connection_and_no_other) {
  start();
  RawClient& other = connect();
  RawClient& client = connect();
  client.send(frames_of({{1, "a"}, {2, "M"}, {3, "c"}}));
  EXPECT_TRUE(client.is_closed());
  other.send(frame_of(4, "d"));
  EXPECT_EQ(correlation_of(other.receive()), 4);
  EXPECT_THAT(handler_.handled, ElementsAre(1, 2, 4));
  EXPECT_EQ(server_->statistics().closed_without_memory, 1u);
  EXPECT_EQ(server_->statistics().memory_bytes, 0u);
}

TEST_F(ServerTest, who_is_closed_gives_back_what_it_held) {
  start();
  RawClient& client = connect();
  client.send(frames_of({{1, std::string(100'000, 'L')}}));
  ASSERT_TRUE(wait_until([&] { return handler_.parked.size() == 1; }));
  EXPECT_GE(server_->statistics().memory_bytes, 100'000u);
  client.close();
  ASSERT_TRUE(wait_until([&] { return handler_.closed == 1; }));
  EXPECT_EQ(server_->statistics().memory_bytes, 0u);
  server_->complete(handler_.parked[0].first, EchoHandler::answer_to(1, "too late"));
}

TEST_F(ServerTest, connections_beyond_the_limit_are_refused) {
  start({.connection_count_max = 2});
  RawClient& first = connect();
  connect();
  EXPECT_TRUE(connect().is_closed());
  first.send(frame_of(1, "a"));
  EXPECT_EQ(correlation_of(first.receive()), 1);
}

TEST_F(ServerTest, stopping_sends_what_only_waits_for_the_journal) {
  start();
  RawClient& client = connect();
  handler_.end = JournalPosition(10);
  client.send(frames_of({{1, "a"}, {2, "L"}}));
  ASSERT_TRUE(wait_until([&] { return handler_.handled.size() == 2; }));
  bool stopped = false;
  os_.loop().spawn([](Server& server, bool& flag) -> Task<void> {
    co_await server.stop(seconds(10));
    flag = true;
  }(*server_, stopped));
  run_for(milliseconds(20));
  EXPECT_FALSE(stopped);
  handler_.make_durable(JournalPosition(10));
  EXPECT_EQ(correlation_of(client.receive()), 1);
  EXPECT_TRUE(client.is_closed());
  ASSERT_TRUE(wait_until([&] { return stopped; }));
}

}  // namespace
}  // namespace onceflow::broker
