// bench_rdkafka: librdkafka's side of the benchmarks. One command a run, one JSON object as its
// answer; bench/run starts it, against our broker and against Apache Kafka alike.
//
//   bench_rdkafka produce BOOTSTRAP TOPIC PARTITIONS COUNT large|single|idempotent
//   bench_rdkafka transactions BOOTSTRAP TOPIC PARTITIONS COUNT WARM
#include <fmt/format.h>
#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "bench/payload.h"

namespace onceflow::bench {
namespace {

using SteadyClock = std::chrono::steady_clock;

/// Of transactions that are measured; warming takes half of it at most.
constexpr double kSecondsMax = 10;

double seconds_since(SteadyClock::time_point started) {
  return std::chrono::duration<double>(SteadyClock::now() - started).count();
}

[[noreturn]] void stop(const std::string& why) {
  fmt::print(stderr, "bench_rdkafka: {}\n", why);
  std::_Exit(1);
}

void expect(rd_kafka_error_t* error) {
  if (error != nullptr) {
    stop(rd_kafka_error_string(error));
  }
}

struct Deliveries {
  std::int64_t good = 0;
  std::int64_t bad = 0;
};

void on_delivery(rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
  auto& deliveries = *static_cast<Deliveries*>(opaque);
  ++(message->err == RD_KAFKA_RESP_ERR_NO_ERROR ? deliveries.good : deliveries.bad);
}

class RdProducer {
 public:
  RdProducer(const std::map<std::string, std::string>& settings, const std::string& topic) {
    rd_kafka_conf_t* conf = rd_kafka_conf_new();
    char text[512];
    for (const auto& [key, value] : settings) {
      if (rd_kafka_conf_set(conf, key.c_str(), value.c_str(), text, sizeof(text)) !=
          RD_KAFKA_CONF_OK) {
        stop(text);
      }
    }
    rd_kafka_conf_set_opaque(conf, &deliveries_);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    producer_ = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    if (producer_ == nullptr) {
      stop(text);
    }
    topic_ = rd_kafka_topic_new(producer_, topic.c_str(), nullptr);
  }
  ~RdProducer() {
    rd_kafka_topic_destroy(topic_);
    rd_kafka_destroy(producer_);
  }
  RdProducer(const RdProducer&) = delete;
  RdProducer& operator=(const RdProducer&) = delete;

  void send(std::int32_t partition, std::string_view value) {
    while (rd_kafka_produce(topic_, partition, RD_KAFKA_MSG_F_COPY, const_cast<char*>(value.data()),
                            value.size(), nullptr, 0, nullptr) != 0) {
      if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
        stop(rd_kafka_err2str(rd_kafka_last_error()));
      }
      rd_kafka_poll(producer_, 10);
    }
  }
  rd_kafka_t* get() { return producer_; }
  const Deliveries& deliveries() const { return deliveries_; }

 private:
  Deliveries deliveries_;
  rd_kafka_t* producer_ = nullptr;
  rd_kafka_topic_t* topic_ = nullptr;
};

int produce(char** arguments) {
  const std::string topic = arguments[1];
  const std::int32_t partitions = std::atoi(arguments[2]);
  const std::int64_t count = std::atoll(arguments[3]);
  const bool is_large = std::string_view(arguments[4]) == "large";
  std::map<std::string, std::string> settings = {
      {"bootstrap.servers", arguments[0]},
      {"acks", "all"},
      {"queue.buffering.max.messages", "1000000"},
      {"queue.buffering.max.kbytes", "1000000"},
  };
  if (is_large) {
    settings["linger.ms"] = "5";
    settings["batch.size"] = "1000000";
    settings["batch.num.messages"] = "100000";
  } else {
    settings["linger.ms"] = "0";
    settings["batch.num.messages"] = "1";
    if (std::string_view(arguments[4]) == "idempotent") {
      settings["enable.idempotence"] = "true";  // five requests in flight
    }
  }
  RdProducer producer(settings, topic);
  Payload payload(100);
  const auto started = SteadyClock::now();
  for (std::int64_t sent = 0; sent < count; ++sent) {
    producer.send(static_cast<std::int32_t>(sent / 1024 % partitions), payload.next());
    if (sent % 1024 == 0) {
      rd_kafka_poll(producer.get(), 0);
    }
  }
  rd_kafka_flush(producer.get(), 120'000);
  const double elapsed = seconds_since(started);
  if (producer.deliveries().good != count) {
    stop(fmt::format("{} of {} delivered, {} failed", producer.deliveries().good, count,
                     producer.deliveries().bad));
  }
  fmt::print("{{\"count\": {}, \"seconds\": {:.4f}, \"rate\": {:.0f}}}\n", count, elapsed,
             static_cast<double>(count) / elapsed);
  return 0;
}

int transactions(char** arguments) {
  const std::int32_t partitions = std::atoi(arguments[2]);
  const std::int64_t count = std::atoll(arguments[3]);
  const std::int64_t warm = std::atoll(arguments[4]);
  RdProducer producer({{"bootstrap.servers", arguments[0]},
                       {"transactional.id", std::string("bench-rdkafka-") + arguments[1]},
                       {"linger.ms", "0"}},
                      arguments[1]);
  expect(rd_kafka_init_transactions(producer.get(), 30'000));
  Payload payload(100);
  std::vector<double> latencies_us;
  auto started = SteadyClock::now();
  std::int64_t done = 0;
  for (bool is_warm = warm == 0; std::cmp_less(latencies_us.size(), count); ++done) {
    if (!is_warm && (done == warm || seconds_since(started) > kSecondsMax / 2)) {
      is_warm = true;
      started = SteadyClock::now();
    }
    if (is_warm && seconds_since(started) > kSecondsMax) {
      break;
    }
    const auto beginning = SteadyClock::now();
    expect(rd_kafka_begin_transaction(producer.get()));
    producer.send(static_cast<std::int32_t>(done % partitions), payload.next());
    expect(rd_kafka_commit_transaction(producer.get(), 30'000));
    if (is_warm) {
      latencies_us.push_back(seconds_since(beginning) * 1e6);
    }
  }
  const double elapsed = seconds_since(started);
  std::ranges::sort(latencies_us);
  fmt::print(
      "{{\"count\": {}, \"seconds\": {:.4f}, \"rate\": {:.1f}, \"p50_us\": {:.1f}, \"p99_us\": "
      "{:.1f}}}\n",
      done, elapsed, static_cast<double>(latencies_us.size()) / elapsed,
      latencies_us[latencies_us.size() / 2], latencies_us[latencies_us.size() * 99 / 100]);
  return 0;
}

}  // namespace
}  // namespace onceflow::bench

int main(int argc, char** argv) {
  const std::string_view command = argc == 7 ? argv[1] : "";
  if (command == "produce") {
    return onceflow::bench::produce(argv + 2);
  }
  if (command == "transactions") {
    return onceflow::bench::transactions(argv + 2);
  }
  fmt::print(stderr, "bench_rdkafka: wrong arguments, see the head of bench/rdkafka.cc\n");
  return 2;
}
