// Every array of every request, by the definitions, in the oldest version and the newest: one
// element many times over costs a little for each, and the answer has what it names once. A
// definition that is added is tried by itself.
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "broker/broker.h"
#include "broker/broker_testing.h"
#include "protocol/messages/index.h"

namespace onceflow::broker {
namespace {

using protocol::FieldInfo;
using protocol::Repeats;

constexpr std::size_t kCount = 30'000;
// Some ms each. What is quadratic takes 900'000'000 steps.
constexpr Duration kTimeMax = seconds(5);
// An error's text may be in one of them only.
constexpr std::size_t kAnswerBytesMore = 400;

/// Gives every array of a request one element, and that in the place `target` of them `count`.
class Request {
 public:
  Request(std::size_t target, std::size_t count) : target_(target), count_(count) {}

  template <typename Structure>
  void fill(Structure& structure, std::int16_t version) {
    Structure::for_each_field(structure, version, [&](const FieldInfo& field, auto& value) {
      put(field, value, version);
    });
  }
  /// "partitions of topics", or empty: it has no such place.
  const std::string& filled() const { return filled_; }
  Repeats repeats() const { return repeats_; }

 private:
  template <typename T>
  void put(const FieldInfo& field, std::optional<T>& value, std::int16_t version) {
    if constexpr (!std::is_same_v<T, ByteView>) {
      put(field, value.emplace(), version);
    }
  }
  template <typename T>
  void put(const FieldInfo& field, std::vector<T>& values, std::int16_t version) {
    const bool is_target = place_++ == target_;
    T element{};
    put(field, element, version);
    if (is_target) {
      filled_ = field.name;
      repeats_ = field.repeats;
    }
    values.assign(is_target ? count_ : 1, element);
  }
  void put(const FieldInfo& field, std::string& value, std::int16_t) {
    if (field.name != "transactional_id_pattern") {
      value = "t";
    }
  }
  template <typename Other>
  void put(const FieldInfo& field, Other& value, std::int16_t version) {
    if constexpr (requires { Other::for_each_field(value, version, [](auto&&...) {}); }) {
      fill(value, version);
    } else if constexpr (std::is_same_v<Other, std::int8_t>) {
      value = field.name.ends_with("resource_type") ? 2 : 0;
    } else if constexpr (std::is_same_v<Other, std::int32_t>) {
      value = field.name == "max_bytes" || field.name.ends_with("timeout_ms") ? 10'000 : 0;
    }
  }

  std::size_t target_;
  std::size_t count_;
  std::size_t place_ = 0;
  std::string filled_;
  Repeats repeats_ = Repeats::kNotSaid;
};

/// Whether some field of the answer says an error: INVALID_REQUEST, or that there is no such thing.
template <typename Structure>
bool is_refused(const Structure& structure, std::int16_t version) {
  bool refused = false;
  const auto visit = [&](const auto& self, const auto& value) -> void {
    using Value = std::remove_cvref_t<decltype(value)>;
    if constexpr (std::is_same_v<Value, protocol::ErrorCode>) {
      refused = refused || value != protocol::ErrorCode::kNone;
    } else if constexpr (requires { Value::for_each_field(value, version, [](auto&&...) {}); }) {
      Value::for_each_field(value, version,
                            [&](const FieldInfo&, const auto& field) { self(self, field); });
    } else if constexpr (requires { value.has_value(); }) {
      if (value) {
        self(self, *value);
      }
    } else if constexpr (requires { typename Value::value_type; }) {
      if constexpr (!std::is_same_v<Value, std::string> && !std::is_same_v<Value, ByteView>) {
        for (const auto& element : value) {
          self(self, element);
        }
      }
    }
  };
  visit(visit, structure);
  return refused;
}

class RepeatsTest : public ::testing::Test {
 protected:
  RepeatsTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "onceflow-XXXXXX").string();
    EXPECT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    BrokerOptions options;
    options.server.listen = {"127.0.0.1", 0};
    options.log.directory = directory_;
    options.coordinator.groups.initial_rebalance_delay = Duration(0);
    options.on_fatal = [](const Error& error) { ADD_FAILURE() << error.text; };
    broker_ = std::make_unique<Broker>(
        os_.environment(), std::make_unique<io::OsBlockingThread>(os_.loop()), std::move(options));
    EXPECT_TRUE(run_task(os_.loop(), broker_->start()));
    // So that a request may name as many as are tried, each with one of each kind in it.
    protocol::CreateTopicsRequest wide;
    wide.topics.push_back(
        {.name = "wide", .num_partitions = 75'000, .replication_factor = 1, .assignments = {}});
    EXPECT_TRUE(ask(protocol::CreateTopicsRequest::kVersionMax, wide));
  }
  ~RepeatsTest() override {
    EXPECT_TRUE(run_task(os_.loop(), broker_->stop()));
    std::filesystem::remove_all(directory_);
  }

  struct Answered {
    std::size_t bytes = 0;
    bool is_refused = false;
  };
  /// Nullopt: the connection was closed.
  template <typename Message>
  std::optional<Answered> ask(std::int16_t version, const Message& message) {
    RawClient client(os_.loop(), os_.network(), broker_->local().port);
    client.send(message, version);
    const auto frame = client.receive();
    if (!frame) {
      return std::nullopt;
    }
    WireReader reader(*frame);
    using Response = typename Message::Response;
    EXPECT_TRUE(protocol::ResponseHeader::decode(
        reader, protocol::response_header_version(Message::kApiKey, version)));
    const auto response = Response::decode(reader, version);
    EXPECT_TRUE(response) << response.error().text;
    return Answered{frame->size(), response && is_refused(*response, version)};
  }

  template <typename Message>
  void try_array(std::int16_t version, std::size_t place) {
    Message once;
    Request(place, 1).fill(once, version);
    Message many;
    Request filled(place, kCount);
    filled.fill(many, version);
    SCOPED_TRACE(filled.filled());
    ASSERT_NE(filled.repeats(), Repeats::kNotSaid);
    const auto usual = ask(version, once);
    const MonotonicTime begun = os_.loop().now();
    const auto answer = ask(version, many);
    EXPECT_LT(os_.loop().now() - begun, kTimeMax);
    EXPECT_EQ(usual.has_value(), answer.has_value());
    if (!usual || !answer) {
      return;
    }
    if (filled.repeats() != Repeats::kKept) {
      EXPECT_LE(answer->bytes, usual->bytes + kAnswerBytesMore);
    }
    if (filled.repeats() == Repeats::kRefused) {
      EXPECT_TRUE(answer->is_refused);
    }
    ++tried_;
  }

  template <typename Message>
  void try_each() {
    const Api* const api = find_api(Message::kApiKey);
    ASSERT_NE(api, nullptr);
    for (const std::int16_t version : std::set{api->version_min, api->version_max}) {
      for (std::size_t place = 0;; ++place) {
        Request probe(place, 1);
        Message message;
        probe.fill(message, version);
        if (probe.filled().empty()) {
          break;
        }
        SCOPED_TRACE(std::string(Message::kName) + " version " + std::to_string(version));
        try_array<Message>(version, place);
        if (HasFatalFailure()) {
          return;
        }
      }
    }
  }

  io::OsEnvironment os_;
  std::string directory_;
  std::unique_ptr<Broker> broker_;
  std::size_t tried_ = 0;
};

template <typename... Requests>
struct Each {
  template <typename Visitor>
  static void visit(Visitor visitor) {
    (visitor.template operator()<Requests>(), ...);
  }
};

// REQ-1
TEST_F(RepeatsTest, nothing_costs_more_than_what_it_names_once) {
  protocol::ForAllRequests<Each>::visit([&]<typename Message>() { try_each<Message>(); });
  EXPECT_GT(tried_, 80U);
}

}  // namespace
}  // namespace onceflow::broker
