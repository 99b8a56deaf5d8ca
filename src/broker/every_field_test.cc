// Every field of every request of every API is repeated, inverted, inflated and truncated, against
// a broker in this process. Whatever comes: an answer that decodes or a closed connection, in
// bounded time and memory; and where all of the answer is errors, the broker is as it was.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <set>

#include "broker/broker.h"
#include "broker/broker_testing.h"
#include "broker/watcher_testing.h"
#include "io/os/process.h"
#include "protocol/messages/index.h"
#include "protocol/record_batch_builder.h"

namespace onceflow::broker {
namespace {

using protocol::ApiKey;
using protocol::ErrorCode;
using protocol::FieldInfo;

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr int kSlowness = 20;
#else
constexpr int kSlowness = 1;
#endif
#else
constexpr int kSlowness = 1;
#endif

/// Of this process, in which client and broker both run, for one request and its answer.
constexpr Duration kProcessorTimeMax = milliseconds(400) * kSlowness;
constexpr std::int64_t kMemoryGrowthKiBMax = std::int64_t{64} * 1024 * kSlowness;

constexpr std::size_t kCountInflated = 1'000;
constexpr std::size_t kBytesInflated = std::size_t{1} << 20;

template <typename T>
concept Structure = requires(T& value) { T::for_each_field(value, 0, [](auto&&...) {}); };

/// What is done to one field.
enum class Mutation { kNone, kLeast, kGreatest, kMinusOne, kEmpty, kInflated, kRepeated, kUnsound };
constexpr Mutation kMutations[] = {Mutation::kLeast,  Mutation::kGreatest, Mutation::kMinusOne,
                                   Mutation::kEmpty,  Mutation::kInflated, Mutation::kRepeated,
                                   Mutation::kUnsound};

/// Fills a request with what could be meant, and mutates the field at one place of it. Fields are
/// counted in the order of their definition, arrays and their elements apart.
class Filler {
 public:
  Filler(std::int16_t version, std::size_t place, Mutation mutation)
      : version_(version), place_(place), mutation_(mutation) {}

  template <Structure T>
  void fill(T& structure) {
    T::for_each_field(structure, version_, [&](const FieldInfo& field, auto& value) {
      name_ = field.name;
      put(value);
    });
  }
  bool has_reached_place() const { return next_place_ > place_; }
  bool has_mutated() const { return has_mutated_; }
  const std::string& mutated_name() const { return mutated_name_; }

 private:
  bool is_here() {
    if (next_place_++ != place_) {
      return false;
    }
    mutated_name_ = name_;
    return true;
  }

  template <typename T>
  void put(std::optional<T>& value) {
    put(value ? *value : value.emplace());
  }
  template <typename T>
  void put(std::vector<T>& values) {
    const bool is_mutated = is_here();
    values.resize(1);
    if constexpr (std::is_same_v<T, bool>) {
      values[0] = true;
    } else {
      put(values.front());
    }
    if (!is_mutated) {
      return;
    }
    if (mutation_ == Mutation::kEmpty) {
      has_mutated_ = true;
      values.clear();
    } else if (mutation_ == Mutation::kRepeated) {
      has_mutated_ = true;
      const T first = values.front();
      values.assign(kCountInflated, first);
    } else if (mutation_ == Mutation::kInflated) {
      has_mutated_ = true;
      values.assign(kCountInflated, T{});
    }
  }
  void put(std::string& value) {
    value = name_ == "name" || name_ == "topic" || name_ == "resource_name" ? "t"
            : name_.contains("transactional_id")                            ? "x"
            : name_.contains("member")                                      ? ""
                                                                            : "g";
    if (!is_here()) {
      return;
    }
    switch (mutation_) {
      case Mutation::kEmpty:
        value.clear();
        break;
      case Mutation::kInflated:
        value.assign(std::numeric_limits<std::int16_t>::max(), 'a');
        break;
      case Mutation::kRepeated:
        value += value;
        break;
      case Mutation::kUnsound:
        value = "\xff\xfe";
        break;
      default:
        return;
    }
    has_mutated_ = true;
  }
  void put(ByteView& value) {
    value = batch();
    if (!is_here()) {
      return;
    }
    switch (mutation_) {
      case Mutation::kEmpty:
        value = {};
        break;
      case Mutation::kInflated:
        bytes_.assign(kBytesInflated, std::byte{0x55});
        value = bytes_;
        break;
      case Mutation::kRepeated:
        bytes_ = batch();
        append(bytes_, batch());
        value = bytes_;
        break;
      case Mutation::kLeast:
        value = value.first(value.size() / 2);
        break;
      case Mutation::kUnsound:
        bytes_ = batch();
        bytes_.back() ^= std::byte{0xff};
        value = bytes_;
        break;
      default:
        return;
    }
    has_mutated_ = true;
  }
  void put(TopicId& value) {
    if (is_here() && mutation_ == Mutation::kGreatest) {
      value.bytes.fill(0xff);
      has_mutated_ = true;
    }
  }
  void put(ErrorCode& value) { put_number(value, std::int16_t{0}); }
  void put(bool& value) {
    if (is_here() && mutation_ == Mutation::kGreatest) {
      value = !value;
      has_mutated_ = true;
    }
  }
  template <typename T>
  void put(T& value) {
    if constexpr (Structure<T>) {
      fill(value);
    } else {
      put_number(value, likely<T>());
    }
  }
  /// A wait of any length would only make the test wait.
  template <typename T>
  T likely() const {
    if (name_ == "session_timeout_ms" || name_ == "rebalance_timeout_ms" ||
        name_ == "transaction_timeout_ms") {
      return static_cast<T>(10'000);
    }
    return name_ == "num_partitions" || name_ == "replication_factor" || name_ == "acks" ||
                   name_ == "count"
               ? T{1}
               : T{0};
  }
  template <typename T, typename Number>
  void put_number(T& value, Number likely) {
    value = static_cast<T>(likely);
    if (!is_here()) {
      return;
    }
    using Limits = std::numeric_limits<Number>;
    switch (mutation_) {
      case Mutation::kLeast:
        value = static_cast<T>(Limits::lowest());
        break;
      case Mutation::kGreatest:
        value = static_cast<T>(Limits::max());
        break;
      case Mutation::kMinusOne:
        value = static_cast<T>(static_cast<Number>(-1));
        break;
      default:
        return;
    }
    has_mutated_ = true;
  }
  static const Buffer& batch() {
    static const Buffer kBatch = [] {
      protocol::RecordBatchBuilder builder;
      builder.append({.timestamp_ms = 1'000, .key = as_bytes("k"), .value = as_bytes("v")});
      return builder.finish({});
    }();
    return kBatch;
  }

  const std::int16_t version_;
  const std::size_t place_;
  const Mutation mutation_;
  std::size_t next_place_ = 0;
  bool has_mutated_ = false;
  std::string name_;
  std::string mutated_name_;
  Buffer bytes_;
};

/// The error codes of an answer, wherever they are in it.
class ErrorCodes {
 public:
  template <Structure T>
  void look_into(T& structure, std::int16_t version) {
    T::for_each_field(structure, version,
                      [&](const FieldInfo&, auto& value) { look_at(value, version); });
  }
  bool are_all_errors() const { return errors_ > 0 && successes_ == 0; }

 private:
  void look_at(ErrorCode& code, std::int16_t) {
    ++(code == ErrorCode::kNone ? successes_ : errors_);
  }
  template <typename T>
  void look_at(std::vector<T>& values, std::int16_t version) {
    if constexpr (Structure<T>) {
      for (T& value : values) {
        look_into(value, version);
      }
    }
  }
  template <typename T>
  void look_at(std::optional<T>& value, std::int16_t version) {
    if (value) {
      look_at(*value, version);
    }
  }
  template <typename T>
  void look_at(T& value, std::int16_t version) {
    if constexpr (Structure<T>) {
      look_into(value, version);
    }
  }

  std::size_t errors_ = 0;
  std::size_t successes_ = 0;
};

Duration processor_time() { return io::process_usage().cpu_time; }

/// The most that this process has ever had.
std::int64_t memory_peak_kib() {
  std::ifstream file("/proc/self/status");
  for (std::string word; file >> word;) {
    if (word == "VmHWM:") {
      std::int64_t kib = 0;
      file >> kib;
      return kib;
    }
  }
  return 0;
}

class EveryField : public testing::Test {
 protected:
  EveryField() {
    char name[] = "/tmp/onceflow_every_field_XXXXXX";
    EXPECT_NE(mkdtemp(name), nullptr);
    directory_ = name;
    BrokerOptions options;
    options.server.listen = {"127.0.0.1", 0};
    options.log.directory = directory_;
    options.coordinator.groups.initial_rebalance_delay = Duration(0);
    options.on_fatal = [](const Error& error) { ADD_FAILURE() << error.text; };
    broker_ = std::make_unique<Broker>(
        os_.environment(), std::make_unique<io::OsBlockingThread>(os_.loop()), std::move(options));
    EXPECT_TRUE(run_task(os_.loop(), broker_->start()));
    watcher_.emplace(os_.loop(), *broker_);
    bystander_ = connect();
  }
  ~EveryField() override {
    bystander_.reset();
    client_.reset();
    EXPECT_TRUE(run_task(os_.loop(), broker_->stop()));
    broker_.reset();
    std::filesystem::remove_all(directory_);
  }

  std::unique_ptr<RawClient> connect() {
    return std::make_unique<RawClient>(os_.loop(), os_.network(), broker_->local().port);
  }

  /// What a request may change. Members of groups come and go by themselves.
  std::string state() {
    const StatusMirror& seen = watcher_->look();
    std::string text;
    for (const auto& [name, id] : seen.topics()) {
      text += " " + name;
      for (const MirroredPartition& partition : seen.topic(id).partitions) {
        text += "@" + std::to_string(partition.log_start_offset) + ".." +
                std::to_string(partition.high_watermark);
      }
    }
    for (const auto& [group_id, group] : seen.groups()) {
      for (const auto& [partition, offset] : group.offsets) {
        text += " " + group_id + "@" + std::to_string(offset);
      }
    }
    for (const OpenTransaction& open : watcher_->totals().open_transactions) {
      text += " " + open.transactional_id;
    }
    return text;
  }

  /// A topic and a group to speak of.
  void restore() {
    protocol::CreateTopicsRequest request;
    request.topics.push_back({.name = "t", .num_partitions = 1, .replication_factor = 1});
    bystander_->call(request, 7);
  }

  /// These may wait for others, or by their own wish.
  static bool may_wait(ApiKey key) {
    return key == ApiKey::kFetch || key == ApiKey::kJoinGroup || key == ApiKey::kSyncGroup;
  }
  /// A part of a transaction that is refused dooms it on purpose; a first JoinGroup is told its
  /// member id by an error.
  static bool may_change_by_an_error(ApiKey key) {
    return key == ApiKey::kProduce || key == ApiKey::kTxnOffsetCommit || key == ApiKey::kJoinGroup;
  }

  template <typename Request>
  void try_one(const Request& request, std::int16_t version) {
    if (!client_ || client_->is_closed(Duration(0))) {
      client_ = connect();
    }
    const std::string before = state();
    const std::int64_t memory_before = memory_peak_kib();
    const Duration time_before = processor_time();
    client_->send(request, version);
    // An answer to somebody else shows that the broker has had its turn.
    const auto alive = bystander_->call(protocol::ApiVersionsRequest{}, 0);
    ASSERT_TRUE(alive) << "the broker answers nothing any more";
    const bool expects_answer = !may_wait(Request::kApiKey);
    auto answered = client_->template receive_as<typename Request::Response>(
        version, expects_answer ? milliseconds(2'000) * kSlowness : milliseconds(1));
    EXPECT_LT(processor_time() - time_before, kProcessorTimeMax);
    EXPECT_LT(memory_peak_kib() - memory_before, kMemoryGrowthKiBMax);
    if (!answered) {
      if (expects_answer && !is_without_answer(request)) {
        EXPECT_TRUE(client_->is_closed(Duration(0))) << "neither an answer nor the end";
      }
      client_.reset();
      return;
    }
    ErrorCodes codes;
    codes.look_into(*answered, version);
    if (codes.are_all_errors() && !may_change_by_an_error(Request::kApiKey)) {
      EXPECT_EQ(state(), before);
    }
  }
  template <typename Request>
  static bool is_without_answer(const Request& request) {
    if constexpr (std::is_same_v<Request, protocol::ProduceRequest>) {
      return request.acks == 0;
    }
    return false;
  }

  template <typename Request>
  void try_version(std::int16_t version) {
    for (std::size_t place = 0;; ++place) {
      for (const Mutation mutation : kMutations) {
        Request request;
        Filler filler(version, place, mutation);
        filler.fill(request);
        if (!filler.has_reached_place()) {
          return;
        }
        if (!filler.has_mutated()) {
          continue;
        }
        SCOPED_TRACE(std::string(Request::kName) + " version " + std::to_string(version) +
                     ", field " + filler.mutated_name() + ", mutation " +
                     std::to_string(static_cast<int>(mutation)));
        restore();
        try_one(request, version);
        ++tried_;
        if (HasFatalFailure()) {
          return;
        }
      }
    }
  }
  template <typename Request>
  void try_request() {
    const Api* const api = find_api(Request::kApiKey);
    if (api == nullptr) {
      return;
    }
    for (const int version : std::set<int>{
             api->version_min,
             std::clamp<int>(Request::kFlexibleFrom - 1, api->version_min, api->version_max),
             api->version_max}) {
      try_version<Request>(static_cast<std::int16_t>(version));
    }
    ++apis_;
  }

  std::string directory_;
  io::OsEnvironment os_;
  std::unique_ptr<Broker> broker_;
  std::optional<Watcher> watcher_;
  std::unique_ptr<RawClient> bystander_;
  std::unique_ptr<RawClient> client_;
  std::size_t tried_ = 0;
  std::size_t apis_ = 0;
};

template <typename... Requests>
struct Each {
  template <typename Visitor>
  static void visit(Visitor visitor) {
    (visitor.template operator()<Requests>(), ...);
  }
};

TEST_F(EveryField, of_every_request_may_hold_anything) {
  protocol::ForAllRequests<Each>::visit([&]<typename Request>() {
    if (!HasFatalFailure()) {
      try_request<Request>();
    }
  });
  EXPECT_EQ(apis_, api_table().size());
  EXPECT_GT(tried_, 1'200U);
  restore();
  protocol::MetadataRequest metadata;
  metadata.topics = {{.name = "t"}};
  EXPECT_EQ(bystander_->call(metadata, 7)->topics.at(0).error_code, ErrorCode::kNone);
}

}  // namespace
}  // namespace onceflow::broker
