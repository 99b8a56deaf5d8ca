// bench_rdkafka: librdkafka's side of the benchmarks. One command a run, one JSON object as its
// answer; bench/run starts it, against our broker and against Apache Kafka alike.
//
//   bench_rdkafka produce BOOTSTRAP TOPIC PARTITIONS COUNT large|single|idempotent
//   bench_rdkafka transactions BOOTSTRAP TOPIC PARTITIONS COUNT WARM
//   bench_rdkafka pace BOOTSTRAP TOPIC PARTITIONS COUNT RATE
#include <fmt/format.h>
#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <map>
#include <string>
#include <thread>
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

using Settings = std::map<std::string, std::string>;

rd_kafka_conf_t* configuration(const Settings& settings) {
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  char text[512];
  for (const auto& [key, value] : settings) {
    if (rd_kafka_conf_set(conf, key.c_str(), value.c_str(), text, sizeof(text)) !=
        RD_KAFKA_CONF_OK) {
      stop(text);
    }
  }
  return conf;
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
  RdProducer(const Settings& settings, const std::string& topic) {
    rd_kafka_conf_t* conf = configuration(settings);
    char text[512];
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
  Settings settings = {
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

// ---- pace: one record at a time at a steady rate, and what it takes until it is acknowledged and
// until a consumer has it

std::int64_t now_us() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             SteadyClock::now().time_since_epoch())
      .count();
}

struct Pace {
  std::vector<double> acknowledged_ms;
  std::vector<double> consumed_ms;
  std::int64_t failed = 0;
  std::atomic<std::int64_t> errors = 0;  // a connection that was closed, for instance
};

void on_paced_delivery(rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
  auto& pace = *static_cast<Pace*>(opaque);
  if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
    ++pace.failed;
    return;
  }
  const std::string sent(static_cast<const char*>(message->payload), message->len);
  pace.acknowledged_ms.push_back(static_cast<double>(now_us() - std::atoll(sent.c_str())) / 1e3);
}

void on_error(rd_kafka_t*, int code, const char* reason, void* opaque) {
  ++static_cast<Pace*>(opaque)->errors;
  fmt::print(stderr, "bench_rdkafka: {}: {}\n", code, reason);
}

rd_kafka_t* paced_client(rd_kafka_type_t type, const Settings& settings, Pace& pace) {
  rd_kafka_conf_t* conf = configuration(settings);
  char text[512];
  rd_kafka_conf_set_opaque(conf, &pace);
  rd_kafka_conf_set_error_cb(conf, on_error);
  if (type == RD_KAFKA_PRODUCER) {
    rd_kafka_conf_set_dr_msg_cb(conf, on_paced_delivery);
  }
  rd_kafka_t* client = rd_kafka_new(type, conf, text, sizeof(text));
  if (client == nullptr) {
    stop(text);
  }
  return client;
}

// From the end of each partition on, until `count` records have come or nothing does for 30 s.
void consume_paced(rd_kafka_t* consumer, std::int64_t count, Pace& pace) {
  auto last = SteadyClock::now();
  while (std::cmp_less(pace.consumed_ms.size(), count) && seconds_since(last) < 30) {
    rd_kafka_message_t* message = rd_kafka_consumer_poll(consumer, 100);
    if (message == nullptr) {
      continue;
    }
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
      const std::string sent(static_cast<const char*>(message->payload), message->len);
      pace.consumed_ms.push_back(static_cast<double>(now_us() - std::atoll(sent.c_str())) / 1e3);
      last = SteadyClock::now();
    }
    rd_kafka_message_destroy(message);
  }
}

double quantile(std::vector<double>& values, double of) {
  if (values.empty()) {
    return -1;
  }
  std::ranges::sort(values);
  return values[std::min(values.size() - 1,
                         static_cast<std::size_t>(static_cast<double>(values.size()) * of))];
}

int pace(char** arguments) {
  const std::string topic = arguments[1];
  const std::int32_t partitions = std::atoi(arguments[2]);
  const std::int64_t count = std::atoll(arguments[3]);
  const double rate = std::atof(arguments[4]);
  Pace pace;
  rd_kafka_t* consumer = paced_client(RD_KAFKA_CONSUMER,
                                      {{"bootstrap.servers", arguments[0]},
                                       {"group.id", "bench-pace"},
                                       {"enable.auto.commit", "false"},
                                       {"fetch.wait.max.ms", "500"}},
                                      pace);
  rd_kafka_poll_set_consumer(consumer);
  rd_kafka_topic_partition_list_t* assigned = rd_kafka_topic_partition_list_new(partitions);
  for (std::int32_t partition = 0; partition < partitions; ++partition) {
    std::int64_t low = 0;
    std::int64_t high = 0;
    if (rd_kafka_query_watermark_offsets(consumer, topic.c_str(), partition, &low, &high, 30'000) !=
        RD_KAFKA_RESP_ERR_NO_ERROR) {
      stop("the end of the topic is not known");
    }
    rd_kafka_topic_partition_list_add(assigned, topic.c_str(), partition)->offset = high;
  }
  rd_kafka_assign(consumer, assigned);
  rd_kafka_topic_partition_list_destroy(assigned);
  std::thread reader([&] { consume_paced(consumer, count, pace); });

  rd_kafka_t* producer = paced_client(
      RD_KAFKA_PRODUCER, {{"bootstrap.servers", arguments[0]}, {"acks", "all"}, {"linger.ms", "0"}},
      pace);
  rd_kafka_topic_t* target = rd_kafka_topic_new(producer, topic.c_str(), nullptr);
  const auto started = SteadyClock::now();
  for (std::int64_t sent = 0; sent < count; ++sent) {
    while (seconds_since(started) * rate < static_cast<double>(sent)) {
      rd_kafka_poll(producer, 0);
      std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
    std::string value = fmt::format("{:<100}", now_us());
    rd_kafka_produce(target, static_cast<std::int32_t>(sent % partitions), RD_KAFKA_MSG_F_COPY,
                     value.data(), value.size(), nullptr, 0, nullptr);
  }
  rd_kafka_flush(producer, 60'000);
  reader.join();
  const std::size_t acknowledged = pace.acknowledged_ms.size();
  const std::size_t consumed = pace.consumed_ms.size();
  fmt::print(
      "{{\"count\": {}, \"acknowledged\": {}, \"consumed\": {}, \"failed\": {}, \"errors\": {}, "
      "\"ack_p50_ms\": {:.3f}, \"ack_p99_ms\": {:.3f}, \"ack_max_ms\": {:.3f}, "
      "\"read_p50_ms\": {:.3f}, \"read_p99_ms\": {:.3f}, \"read_max_ms\": {:.3f}}}\n",
      count, acknowledged, consumed, pace.failed, pace.errors.load(),
      quantile(pace.acknowledged_ms, 0.5), quantile(pace.acknowledged_ms, 0.99),
      quantile(pace.acknowledged_ms, 1), quantile(pace.consumed_ms, 0.5),
      quantile(pace.consumed_ms, 0.99), quantile(pace.consumed_ms, 1));
  rd_kafka_topic_destroy(target);
  rd_kafka_destroy(producer);
  rd_kafka_consumer_close(consumer);
  rd_kafka_destroy(consumer);
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
  if (command == "pace") {
    return onceflow::bench::pace(argv + 2);
  }
  fmt::print(stderr, "bench_rdkafka: wrong arguments, see the head of bench/rdkafka.cc\n");
  return 2;
}
