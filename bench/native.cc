// bench_native: the native client's side of the benchmarks, and their verifier. One command a run,
// one JSON object as its answer; bench/run starts it. Works against any Kafka broker.
//
//   bench_native COMMAND KEY=VALUE...
#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <map>
#include <utility>

#include "bench/payload.h"
#include "client/admin.h"
#include "client/fetcher.h"
#include "client/producer.h"
#include "client/transactional_producer.h"
#include "io/os/os_environment.h"

namespace onceflow::bench {
namespace {

using SteadyClock = std::chrono::steady_clock;

double seconds_since(SteadyClock::time_point started) {
  return std::chrono::duration<double>(SteadyClock::now() - started).count();
}

class Arguments {
 public:
  Arguments(int argc, char** argv) {
    for (int index = 2; index < argc; ++index) {
      const std::string_view argument = argv[index];
      const std::size_t split = argument.find('=');
      values_.emplace(argument.substr(0, split),
                      split == std::string_view::npos ? "" : argument.substr(split + 1));
    }
  }
  std::string text(const std::string& key, std::string otherwise = "") const {
    const auto found = values_.find(key);
    return found == values_.end() ? std::move(otherwise) : found->second;
  }
  std::int64_t number(const std::string& key, std::int64_t otherwise) const {
    const auto found = values_.find(key);
    return found == values_.end() ? otherwise : std::stoll(found->second);
  }

 private:
  std::map<std::string, std::string> values_;
};

struct Session {
  io::OsEnvironment& os;
  std::shared_ptr<client::Cluster> cluster;
  const Arguments& arguments;

  MonotonicTime in_seconds(int count) const { return os.loop().now() + seconds(count); }
};

std::string latencies(std::vector<double>& values_us) {
  std::ranges::sort(values_us);
  const auto at = [&](double share) {
    return values_us[static_cast<std::size_t>(share * static_cast<double>(values_us.size() - 1))];
  };
  return fmt::format("\"p50_us\": {:.1f}, \"p99_us\": {:.1f}, \"max_us\": {:.1f}", at(0.5),
                     at(0.99), at(1.0));
}

std::vector<TopicPartition> partitions_of(const std::string& topic, std::int32_t count) {
  std::vector<TopicPartition> partitions;
  for (std::int32_t partition = 0; partition < count; ++partition) {
    partitions.push_back({topic, PartitionIndex(partition)});
  }
  return partitions;
}

// topic=T partitions=N
Task<Status> create_topic(Session session) {
  client::Admin admin(session.cluster);
  co_return co_await admin.create_topic(
      {.name = session.arguments.text("topic"),
       .partition_count = static_cast<std::int32_t>(session.arguments.number("partitions", 4)),
       .replication_factor = 1},
      session.in_seconds(30));
}

// topic=T
Task<Status> delete_topic(Session session) {
  client::Admin admin(session.cluster);
  co_return co_await admin.delete_topic(session.arguments.text("topic"), session.in_seconds(30));
}

// topic=T count=N bytes=100: an idempotent producer, large batches, round robin over partitions.
Task<Status> produce(Session session) {
  const std::string name = session.arguments.text("topic");
  const std::int64_t count = session.arguments.number("count", 1'000'000);
  const auto topic = co_await session.cluster->existing_topic(name, session.in_seconds(30));
  CO_RETURN_IF_ERROR(topic);
  client::ProducerOptions options;
  options.batch_bytes_max =
      static_cast<std::size_t>(session.arguments.number("batch.size", 256 << 10));
  options.linger = milliseconds(session.arguments.number("linger.ms", 5));
  client::Producer producer(session.cluster, options);
  std::vector<client::PartitionSlot> slots;
  for (const TopicPartition& partition : partitions_of(name, topic->partition_count())) {
    slots.push_back(producer.slot(partition));
  }
  Payload payload(static_cast<std::size_t>(session.arguments.number("bytes", 100)));
  const auto started = SteadyClock::now();
  const std::int64_t now_ms = session.os.loop().wall_now().ms;
  for (std::int64_t sent = 0; sent < count; ++sent) {
    if (sent % 1024 == 0) {
      if (!producer.has_room()) {
        CO_RETURN_IF_ERROR(co_await producer.wait_for_room(session.in_seconds(60)));
      } else {
        co_await session.os.loop().yield();
      }
    }
    // A run of records goes to one partition: batches fill one after another.
    const std::size_t slot = static_cast<std::size_t>(sent / 1024) % slots.size();
    CO_RETURN_IF_ERROR(
        producer.append(slots[slot], {.timestamp_ms = now_ms, .value = as_bytes(payload.next())}));
  }
  CO_RETURN_IF_ERROR(co_await producer.flush(session.in_seconds(120)));
  const double elapsed = seconds_since(started);
  fmt::print("{{\"count\": {}, \"seconds\": {:.4f}, \"rate\": {:.0f}, \"requests\": {}}}\n", count,
             elapsed, static_cast<double>(count) / elapsed, producer.statistics().request_count);
  co_return Status{};
}

// topic=T count=N id=I width=1 warm=0 seconds=10: transactions one after another, one record a
// partition; fewer if time is up. Answers with all that were committed, warm ones too.
Task<Status> transactions(Session session) {
  const std::string name = session.arguments.text("topic");
  const std::int64_t count = session.arguments.number("count", 1000);
  const std::int64_t warm = session.arguments.number("warm", 0);
  const double seconds_max = static_cast<double>(session.arguments.number("seconds", 10));
  const std::int64_t width = session.arguments.number("width", 1);
  const auto topic = co_await session.cluster->existing_topic(name, session.in_seconds(30));
  CO_RETURN_IF_ERROR(topic);
  client::TransactionalProducer producer(
      session.cluster, {}, {.transactional_id = session.arguments.text("id", "bench-native")});
  CO_RETURN_IF_ERROR(co_await producer.init_transactions(session.in_seconds(30)));
  std::vector<client::PartitionSlot> slots;
  for (const TopicPartition& partition : partitions_of(name, topic->partition_count())) {
    slots.push_back(producer.slot(partition));
  }
  Payload payload(100);
  std::vector<double> latencies_us;
  auto started = SteadyClock::now();
  std::int64_t done = 0;
  for (bool is_warm = warm == 0; std::cmp_less(latencies_us.size(), count); ++done) {
    if (!is_warm && (done == warm || seconds_since(started) > seconds_max / 2)) {
      is_warm = true;
      started = SteadyClock::now();
    }
    if (is_warm && seconds_since(started) > seconds_max) {
      break;
    }
    CO_RETURN_IF_ERROR(producer.begin());
    for (std::int64_t record = 0; record < width; ++record) {
      const auto slot = static_cast<std::size_t>((done + record)) % slots.size();
      CO_RETURN_IF_ERROR(producer.append(
          slots[slot],
          {.timestamp_ms = session.os.loop().wall_now().ms, .value = as_bytes(payload.next())}));
    }
    const auto committing = SteadyClock::now();
    CO_RETURN_IF_ERROR(co_await producer.commit(session.in_seconds(30)));
    if (is_warm) {
      latencies_us.push_back(seconds_since(committing) * 1e6);
    }
  }
  const double elapsed = seconds_since(started);
  fmt::print(
      "{{\"count\": {}, \"seconds\": {:.4f}, \"rate\": {:.1f}, {}, \"version\": {}, "
      "\"pipelined\": {}}}\n",
      done, elapsed, static_cast<double>(latencies_us.size()) / elapsed, latencies(latencies_us),
      producer.transaction_version(), producer.is_pipelined());
  co_return Status{};
}

// topic=T count=N flush=0: commit latency by partitions in the transaction; widths take turns, so
// that noise meets all alike. flush=1: the records are acknowledged before, only the end is timed.
Task<Status> commit_width(Session session) {
  const std::string name = session.arguments.text("topic");
  const std::int64_t count = session.arguments.number("count", 300);
  const bool is_flushed = session.arguments.number("flush", 0) != 0;
  const std::vector<std::size_t> widths = {1, 4, 16, 64};
  client::TransactionalProducer producer(session.cluster, {},
                                         {.transactional_id = "bench-commit-width"});
  const auto topic = co_await session.cluster->existing_topic(name, session.in_seconds(30));
  CO_RETURN_IF_ERROR(topic);
  CO_RETURN_IF_ERROR(co_await producer.init_transactions(session.in_seconds(30)));
  std::vector<client::PartitionSlot> slots;
  for (const TopicPartition& partition : partitions_of(name, topic->partition_count())) {
    slots.push_back(producer.slot(partition));
  }
  Payload payload(100);
  std::map<std::size_t, std::vector<double>> latencies_us;
  std::int64_t records = 0;
  for (std::int64_t round = -20; round < count; ++round) {
    for (const std::size_t width : widths) {
      CO_RETURN_IF_ERROR(producer.begin());
      for (std::size_t record = 0; record < width; ++record) {
        CO_RETURN_IF_ERROR(producer.append(
            slots[record % slots.size()],
            {.timestamp_ms = session.os.loop().wall_now().ms, .value = as_bytes(payload.next())}));
        ++records;
      }
      if (is_flushed) {
        CO_RETURN_IF_ERROR(co_await producer.flush(session.in_seconds(30)));
      }
      const auto committing = SteadyClock::now();
      CO_RETURN_IF_ERROR(co_await producer.commit(session.in_seconds(30)));
      if (round >= 0) {
        latencies_us[width].push_back(seconds_since(committing) * 1e6);
      }
    }
  }
  std::string text;
  for (auto& [width, values] : latencies_us) {
    text += fmt::format(", \"{}\": {{{}}}", width, latencies(values));
  }
  fmt::print("{{\"count\": {}, \"version\": {}, \"pipelined\": {}{}}}\n", records,
             producer.transaction_version(), producer.is_pipelined(), text);
  co_return Status{};
}

// topic=T: reads all that is committed; how many, the sum of their numbers, and of the squares.
Task<Status> count(Session session) {
  const std::string name = session.arguments.text("topic");
  const auto topic = co_await session.cluster->existing_topic(name, session.in_seconds(30));
  CO_RETURN_IF_ERROR(topic);
  client::Fetcher fetcher(session.cluster, {});
  std::vector<client::Fetcher::Position> positions;
  for (const TopicPartition& partition : partitions_of(name, topic->partition_count())) {
    positions.push_back({partition, Offset(0)});
  }
  fetcher.assign(positions);
  std::uint64_t records = 0;
  std::uint64_t sum = 0;
  std::uint64_t squares = 0;
  const auto started = SteadyClock::now();
  while (!std::ranges::all_of(positions, [&](const client::Fetcher::Position& position) {
    return fetcher.is_at_end(position.partition);
  })) {
    const auto polled = co_await fetcher.poll(session.in_seconds(1));
    CO_RETURN_IF_ERROR(polled);
    for (const client::FetchedRun& run : polled->runs) {
      CO_RETURN_IF_ERROR(run.for_each([&](const protocol::RecordBatchHeader&,
                                          const protocol::RecordView& record) {
        const std::uint64_t number = record.value ? Payload::number_of(as_text(*record.value)) : 0;
        ++records;
        sum += number;
        squares += number * number;
      }));
    }
  }
  const double elapsed = seconds_since(started);
  fmt::print("{{\"count\": {}, \"sum\": {}, \"squares\": {}, \"rate\": {:.0f}}}\n", records, sum,
             squares, static_cast<double>(records) / elapsed);
  co_return Status{};
}

// group=G topic=T partitions=N count=N: waits until the group has committed all of the topic, and
// tells how fast: over all after the first commit, and over the second half alone.
Task<Status> watch(Session session) {
  const std::int64_t total = session.arguments.number("count", 0);
  const auto partitions =
      partitions_of(session.arguments.text("topic"),
                    static_cast<std::int32_t>(session.arguments.number("partitions", 4)));
  client::Admin admin(session.cluster);
  struct Sample {
    double time;
    std::int64_t committed;
  };
  std::vector<Sample> samples;
  const auto started = SteadyClock::now();
  const double seconds_max = static_cast<double>(session.arguments.number("seconds", 120));
  while (samples.empty() || samples.back().committed < total) {
    const auto offsets = co_await admin.committed(session.arguments.text("group"), partitions,
                                                  session.in_seconds(30));
    CO_RETURN_IF_ERROR(offsets);
    std::int64_t sum = 0;
    for (const client::CommittedOffset& offset : *offsets) {
      sum += std::max<std::int64_t>(0, offset.offset.value);
    }
    if (sum > 0 && (samples.empty() || samples.back().committed != sum)) {
      samples.push_back({seconds_since(started), sum});
    }
    if (seconds_since(started) > seconds_max) {
      co_return fail(ErrorCode::kTimedOut,
                     fmt::format("the group has committed {} of {}", sum, total));
    }
    co_await session.os.loop().sleep_for(milliseconds(5));
  }
  const auto rate_from = [&](const Sample& from) {
    return static_cast<double>(samples.back().committed - from.committed) /
           (samples.back().time - from.time);
  };
  const auto half = std::ranges::find_if(
      samples, [&](const Sample& sample) { return sample.committed >= total / 2; });
  if (half == samples.end() - 1) {
    co_return fail(ErrorCode::kInvalidArgument, "too few commits to measure by");
  }
  fmt::print(
      "{{\"count\": {}, \"seconds\": {:.3f}, \"first_commit\": {:.3f}, \"commits_seen\": {}, "
      "\"rate\": {:.0f}, \"second_half_rate\": {:.0f}}}\n",
      samples.back().committed, samples.back().time, samples.front().time, samples.size(),
      rate_from(samples.front()), rate_from(*half));
  co_return Status{};
}

// Never-touched memory of a virtual machine is an order slower than touched one; whoever runs first
// would pay for it.
int touch_memory(std::size_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (memory == MAP_FAILED) {
    std::perror("mmap");
    return 1;
  }
  return munmap(memory, bytes);
}

Task<void> run_on_loop(Session session, Task<Status> (*command)(Session), Status& ended) {
  ended = co_await session.cluster->connect(session.in_seconds(30));
  if (ended) {
    ended = co_await command(session);
  }
  session.cluster->close();
  session.os.loop().stop();
}

int run(int argc, char** argv) {
  const std::map<std::string, Task<Status> (*)(Session), std::less<>> commands = {
      {"create", create_topic},       {"delete", delete_topic}, {"produce", produce},
      {"transactions", transactions}, {"count", count},         {"watch", watch},
      {"commit-width", commit_width},
  };
  const Arguments arguments(argc, argv);
  const std::string_view name = argc > 1 ? argv[1] : "";
  if (name == "touch") {
    return touch_memory(static_cast<std::size_t>(arguments.number("mib", 1024)) << 20);
  }
  const auto command = commands.find(name);
  if (command == commands.end()) {
    fmt::print(stderr, "bench_native: no such command\n");
    return 2;
  }
  client::ClientOptions options;
  options.client_id = "bench-native";
  if (const Status set =
          client::set_option(options, "bootstrap.servers", arguments.text("bootstrap"));
      !set) {
    fmt::print(stderr, "bench_native: {}\n", set.error().text);
    return 2;
  }
  io::OsEnvironment os;
  auto cluster = client::Cluster::create(os.environment(), options);
  Status ended;
  os.loop().spawn(run_on_loop({os, cluster, arguments}, command->second, ended));
  os.loop().run();
  if (!ended) {
    fmt::print(stderr, "bench_native {}: {}\n", name, ended.error().text);
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace onceflow::bench

int main(int argc, char** argv) { return onceflow::bench::run(argc, argv); }
