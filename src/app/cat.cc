// onceflow cat: lines to a topic, or a topic as lines; kcat's letters.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <iostream>

#include "app/commands.h"
#include "base/json_text.h"
#include "base/utf8.h"
#include "client/admin.h"
#include "client/fetcher.h"
#include "client/partitioner.h"
#include "client/producer.h"
#include "io/os/os_blocking_thread.h"
#include "io/os/os_environment.h"

namespace onceflow::app {
namespace {

struct CatOptions {
  bool produce = false;
  bool consume = false;
  std::string brokers = "127.0.0.1:9092";
  std::string topic;
  std::int32_t partition = -1;
  std::string key_delimiter;
  std::string offset = "beginning";
  bool exit_at_end = false;
  std::int64_t count_max = -1;
  std::int64_t rate_per_second = 0;
  bool read_uncommitted = false;
  bool json = false;
};

Result<client::ClientOptions> client_options(const CatOptions& options) {
  client::ClientOptions client;
  RETURN_IF_ERROR(client::set_option(client, "bootstrap.servers", options.brokers));
  client.client_id = "onceflow-cat";
  return client;
}

// Lines come from a thread of their own: a terminal or a slow pipe must not hold up the sender.
struct Lines {
  std::vector<std::string> lines;
  bool at_end = false;
};

Lines read_lines(std::size_t count_max) {
  Lines read;
  std::string line;
  while (read.lines.size() < count_max) {
    if (!std::getline(std::cin, line)) {
      read.at_end = true;
      break;
    }
    read.lines.push_back(line);
    // A line that is there alone is sent alone; a file is read in runs.
    if (std::cin.rdbuf()->in_avail() <= 0) {
      break;
    }
  }
  return read;
}

Task<Status> produce(io::OsEnvironment& os, std::shared_ptr<client::Cluster> cluster,
                     const CatOptions& options) {
  client::Producer producer(cluster, {.linger = milliseconds(5)});
  const auto topic = co_await cluster->topic(options.topic, os.loop().now() + seconds(30));
  CO_RETURN_IF_ERROR(topic);
  io::OsBlockingThread input(os.loop());
  const MonotonicTime started = os.loop().now();
  std::int64_t sent_count = 0;
  for (bool at_end = false; !at_end;) {
    const std::size_t run_max =
        options.rate_per_second > 0
            ? static_cast<std::size_t>(std::max<std::int64_t>(1, options.rate_per_second / 50))
            : 10'000;
    const Lines read = co_await input.run([run_max] { return read_lines(run_max); });
    at_end = read.at_end;
    for (const std::string& line : read.lines) {
      protocol::NewRecord record;
      record.timestamp_ms = os.loop().wall_now().ms;
      std::string_view value = line;
      const std::size_t split =
          options.key_delimiter.empty() ? std::string::npos : line.find(options.key_delimiter);
      if (split != std::string::npos) {
        record.key = as_bytes(value.substr(0, split));
        value.remove_prefix(split + options.key_delimiter.size());
      }
      record.value = as_bytes(value);
      PartitionIndex partition(options.partition);
      if (options.partition < 0) {
        partition =
            record.key
                ? client::partition_of_key(*record.key, topic->partition_count())
                : PartitionIndex(static_cast<std::int32_t>(sent_count % topic->partition_count()));
      }
      CO_RETURN_IF_ERROR(producer.append(producer.slot({options.topic, partition}), record));
      ++sent_count;
    }
    if (!producer.has_room()) {
      CO_RETURN_IF_ERROR(co_await producer.wait_for_room(os.loop().now() + seconds(300)));
    }
    if (options.rate_per_second > 0) {
      co_await os.loop().sleep_until(
          started + std::chrono::nanoseconds(sent_count * 1'000'000'000 / options.rate_per_second));
    }
  }
  co_return co_await producer.flush(os.loop().now() + seconds(300));
}

void print_record(const CatOptions& options, const TopicPartition& partition,
                  const protocol::RecordBatchHeader& header, const protocol::RecordView& record) {
  const std::string_view key = record.key ? as_text(*record.key) : std::string_view();
  const std::string_view value = record.value ? as_text(*record.value) : std::string_view();
  if (options.json) {
    // JSON is UTF-8, whatever a record holds; without --json the bytes are what they are.
    const std::string key_text = repaired_utf8(key);
    const std::string value_text = repaired_utf8(value);
    std::string line = "{\"topic\":";
    append_json_string(line, partition.topic);
    fmt::format_to(std::back_inserter(line),
                   ",\"partition\":{},\"offset\":{},\"ts\":{},\"key\":", partition.partition.value,
                   header.offset_of(record).value, header.timestamp_of(record));
    append_json_value(line, record.key ? Value(std::string_view(key_text)) : Value());
    line += ",\"payload\":";
    append_json_value(line, record.value ? Value(std::string_view(value_text)) : Value());
    std::cout << line << "}\n";
    return;
  }
  if (!options.key_delimiter.empty()) {
    std::cout << key << options.key_delimiter;
  }
  std::cout << value << '\n';
}

Task<Result<std::vector<client::Fetcher::Position>>> start_positions(
    io::OsEnvironment& os, std::shared_ptr<client::Cluster> cluster, const CatOptions& options,
    client::IsolationLevel isolation_level) {
  const MonotonicTime deadline = os.loop().now() + seconds(30);
  const auto topic = co_await cluster->existing_topic(options.topic, deadline);
  CO_RETURN_IF_ERROR(topic);
  std::vector<TopicPartition> partitions;
  for (std::int32_t partition = 0; partition < topic->partition_count(); ++partition) {
    if (options.partition < 0 || options.partition == partition) {
      partitions.push_back({options.topic, PartitionIndex(partition)});
    }
  }
  std::vector<client::Fetcher::Position> positions;
  if (options.offset != "beginning" && options.offset != "end") {
    for (const TopicPartition& partition : partitions) {
      positions.push_back({partition, Offset(std::stoll(options.offset))});
    }
    co_return positions;
  }
  client::Admin admin(cluster);
  const auto listed = co_await admin.list_offsets(
      partitions, options.offset == "end" ? client::Admin::kLatest : client::Admin::kEarliest,
      isolation_level, deadline);
  CO_RETURN_IF_ERROR(listed);
  for (const client::ListedOffset& offset : *listed) {
    positions.push_back({offset.partition, offset.offset});
  }
  co_return positions;
}

Task<Status> consume(io::OsEnvironment& os, std::shared_ptr<client::Cluster> cluster,
                     const CatOptions& options) {
  client::FetchOptions fetch;
  fetch.isolation_level = options.read_uncommitted ? client::IsolationLevel::kReadUncommitted
                                                   : client::IsolationLevel::kReadCommitted;
  const auto positions = co_await start_positions(os, cluster, options, fetch.isolation_level);
  CO_RETURN_IF_ERROR(positions);
  client::Fetcher fetcher(cluster, fetch);
  fetcher.assign(*positions);
  std::int64_t left = options.count_max;
  while (left != 0) {
    const auto polled = co_await fetcher.poll(os.loop().now() + milliseconds(100));
    CO_RETURN_IF_ERROR(polled);
    if (!polled->out_of_range.empty()) {
      const client::OffsetOutOfRange& lost = polled->out_of_range.front();
      co_return fail(ErrorCode::kInvalidArgument,
                     fmt::format("{}-{}: offset {} is outside the log", lost.partition.topic,
                                 lost.partition.partition.value, lost.position.value));
    }
    for (const client::FetchedRun& run : polled->runs) {
      CO_RETURN_IF_ERROR(run.for_each(
          [&](const protocol::RecordBatchHeader& header, const protocol::RecordView& record) {
            if (left != 0) {
              print_record(options, run.partition, header, record);
              left -= left > 0 ? 1 : 0;
            }
          }));
    }
    std::cout.flush();
    if (options.exit_at_end &&
        std::ranges::all_of(*positions, [&](const client::Fetcher::Position& position) {
          return fetcher.is_at_end(position.partition);
        })) {
      break;
    }
  }
  co_return Status{};
}

Task<void> run_on_loop(io::OsEnvironment& os, std::shared_ptr<client::Cluster> cluster,
                       const CatOptions& options, Status& ended) {
  if (options.produce) {
    ended = co_await produce(os, cluster, options);
  } else {
    ended = co_await consume(os, cluster, options);
  }
  cluster->close();
  os.loop().stop();
}

}  // namespace

int run_cat(const Arguments& arguments) {
  CatOptions options;
  CLI::App app("write lines to a topic (-P), or read a topic as lines (-C)", "onceflow cat");
  app.add_flag("-P", options.produce, "produce: one record a line of standard input");
  app.add_flag("-C", options.consume, "consume: one line a record");
  app.add_option("-b,--bootstrap.servers", options.brokers, "host:port[,host:port]")
      ->capture_default_str();
  app.add_option("-t", options.topic, "topic")->required();
  app.add_option("-p", options.partition, "partition; default: by key, or all");
  app.add_option("-K", options.key_delimiter, "what stands between key and value");
  app.add_option("-o", options.offset, "beginning, end, or an offset")->capture_default_str();
  app.add_flag("-e", options.exit_at_end, "exit at the end of the topic");
  app.add_option("-c", options.count_max, "exit after so many records");
  app.add_option("--rate", options.rate_per_second, "produce so many records a second at most");
  app.add_flag("--read-uncommitted", options.read_uncommitted, "show open and aborted records too");
  app.add_flag("-J,--json", options.json, "one JSON object a line");
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitOk : kExitUsage;
  }
  if (options.produce == options.consume) {
    std::cerr << "onceflow cat: say -P to produce or -C to consume\n";
    return kExitUsage;
  }
  if (!is_utf8(options.topic)) {
    std::cerr << "onceflow cat: -t " << printable(options.topic)
              << ": a name is text in UTF-8; no topic has this one\n";
    return kExitUsage;
  }
  const auto client = client_options(options);
  if (!client) {
    std::cerr << "onceflow cat: " << client.error().text << '\n';
    return kExitUsage;
  }
  io::OsEnvironment os;
  auto cluster = client::Cluster::create(os.environment(), *client);
  Status ended;
  os.loop().spawn(run_on_loop(os, cluster, options, ended));
  os.loop().run();
  if (!ended) {
    std::cerr << "onceflow cat: " << ended.error().text << '\n';
    return kExitFailed;
  }
  return kExitOk;
}

}  // namespace onceflow::app
