// onceflow cat: lines to a topic, or a topic as lines; kcat's letters.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <limits>
#include <optional>

#include "app/commands.h"
#include "app/parse_arguments.h"
#include "base/json_text.h"
#include "base/parse_number.h"
#include "base/utf8.h"
#include "client/admin.h"
#include "client/fetcher.h"
#include "client/partitioner.h"
#include "client/producer.h"
#include "io/os/file_descriptor.h"
#include "io/os/os_blocking_thread.h"
#include "io/os/os_environment.h"
#include "io/os/standard_streams.h"

namespace onceflow::app {
namespace {

/// For a first answer; kcat waits 5 seconds.
constexpr seconds kAnswerMax{8};
/// At the end of the topic (-e), for brokers that went away while it was read.
constexpr seconds kAwayMax{30};
constexpr std::int64_t kInt64Max = std::numeric_limits<std::int64_t>::max();

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
  bool nulls = false;  ///< an empty value that is produced is null; a null that is read is "NULL"
};

// Where reading begins: at an offset, or at what the log lists for a timestamp.
struct Start {
  std::optional<Offset> offset;
  std::int64_t listed = client::Admin::kEarliest;
};

Result<Start> parse_start(std::string_view text) {
  if (text == "beginning" || text == "earliest") {
    return Start{};
  }
  if (text == "end" || text == "latest") {
    return Start{.listed = client::Admin::kLatest};
  }
  if (const auto offset = parse_number<std::int64_t>(text); offset && *offset >= 0) {
    return Start{.offset = Offset(*offset)};
  }
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("-o '{}' must be beginning (or earliest), end (or latest), or an offset "
                          "from 0 to {}",
                          text, kInt64Max));
}

// Refused at once, where the broker would be asked about it again and again.
Status check_partition(const CatOptions& options, const client::TopicMetadata& topic) {
  if (options.partition < topic.partition_count()) {
    return {};
  }
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("topic {} has no partition {}: it has {}, from 0 on", options.topic,
                          options.partition, topic.partition_count()));
}

Task<Status> connect(io::OsEnvironment& os, const std::shared_ptr<client::Cluster>& cluster,
                     const CatOptions& options) {
  const Status connected = co_await cluster->connect(os.loop().now() + kAnswerMax);
  if (connected) {
    co_return connected;
  }
  const std::optional<Error> why = cluster->unreachable();
  co_return fail(ErrorCode::kConnectionLost,
                 fmt::format("nothing at {} answers as a broker ({}); start it, or name another "
                             "with -b host:port",
                             options.brokers, why ? why->text : connected.error().text));
}

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
  Status status;  // what cannot be read is no end
};

Lines read_lines(std::size_t count_max) {
  Lines read;
  std::string line;
  while (read.lines.size() < count_max) {
    const bool has_line = !std::getline(std::cin, line).fail();
    if (std::cin.eof() && std::ferror(stdin) != 0) {
      // A line that began before the error is not whole.
      read.status = io::errno_failure("read", "standard input");
    }
    if (!has_line || !read.status) {
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
  CO_RETURN_IF_ERROR(check_partition(options, *topic));
  io::OsBlockingThread input(os.loop());
  const MonotonicTime started = os.loop().now();
  std::int64_t sent_count = 0;
  Status was_read;
  for (bool at_end = false; !at_end;) {
    const std::size_t run_max =
        options.rate_per_second > 0
            ? static_cast<std::size_t>(std::max<std::int64_t>(1, options.rate_per_second / 50))
            : 10'000;
    const Lines read = co_await input.run([run_max] { return read_lines(run_max); });
    at_end = read.at_end;
    was_read = read.status;
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
      if (!value.empty() || !options.nulls) {
        record.value = as_bytes(value);
      }
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
  CO_RETURN_IF_ERROR(co_await producer.flush(os.loop().now() + seconds(300)));
  if (!was_read) {
    co_return fail(was_read.error().code, fmt::format("{}; records produced before that: {}",
                                                      was_read.error().text, sent_count));
  }
  co_return Status{};
}

// JSON is UTF-8: other bytes are given as hexadecimal digits, under a name that says so.
void append_member(std::string& line, std::string_view name, const std::optional<ByteView>& bytes) {
  const bool is_text = !bytes || is_utf8(as_text(*bytes));
  fmt::format_to(std::back_inserter(line), ",\"{}{}\":", name, is_text ? "" : "_hex");
  if (is_text) {
    append_json_value(line, bytes ? Value(as_text(*bytes)) : Value());
    return;
  }
  line += '"';
  for (const std::byte byte : *bytes) {
    fmt::format_to(std::back_inserter(line), "{:02x}", std::to_integer<unsigned>(byte));
  }
  line += '"';
}

void print_record(const CatOptions& options, const TopicPartition& partition,
                  const protocol::RecordBatchHeader& header, const protocol::RecordView& record) {
  const std::string_view null = options.nulls ? "NULL" : "";
  const std::string_view key = record.key ? as_text(*record.key) : null;
  const std::string_view value = record.value ? as_text(*record.value) : null;
  if (options.json) {
    std::string line = "{\"topic\":";
    append_json_string(line, partition.topic);
    fmt::format_to(std::back_inserter(line), ",\"partition\":{},\"offset\":{},\"ts\":{}",
                   partition.partition.value, header.offset_of(record).value,
                   header.timestamp_of(record));
    append_member(line, "key", record.key);
    append_member(line, "payload", record.value);
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
    const Start& start, client::IsolationLevel isolation_level) {
  const MonotonicTime deadline = os.loop().now() + seconds(30);
  const auto topic = co_await cluster->existing_topic(options.topic, deadline);
  CO_RETURN_IF_ERROR(topic);
  CO_RETURN_IF_ERROR(check_partition(options, *topic));
  std::vector<TopicPartition> partitions;
  for (std::int32_t partition = 0; partition < topic->partition_count(); ++partition) {
    if (options.partition < 0 || options.partition == partition) {
      partitions.push_back({options.topic, PartitionIndex(partition)});
    }
  }
  std::vector<client::Fetcher::Position> positions;
  if (start.offset) {
    for (const TopicPartition& partition : partitions) {
      positions.push_back({partition, *start.offset});
    }
    co_return positions;
  }
  client::Admin admin(cluster);
  const auto listed =
      co_await admin.list_offsets(partitions, start.listed, isolation_level, deadline);
  CO_RETURN_IF_ERROR(listed);
  for (const client::ListedOffset& offset : *listed) {
    positions.push_back({offset.partition, offset.offset});
  }
  co_return positions;
}

Task<Status> consume(io::OsEnvironment& os, std::shared_ptr<client::Cluster> cluster,
                     const CatOptions& options, const Start& start) {
  client::FetchOptions fetch;
  fetch.isolation_level = options.read_uncommitted ? client::IsolationLevel::kReadUncommitted
                                                   : client::IsolationLevel::kReadCommitted;
  const auto positions =
      co_await start_positions(os, cluster, options, start, fetch.isolation_level);
  CO_RETURN_IF_ERROR(positions);
  client::Fetcher fetcher(cluster, fetch);
  fetcher.assign(*positions);
  std::int64_t left = options.count_max;
  MonotonicTime reached = os.loop().now();
  while (left != 0) {
    const auto polled = co_await fetcher.poll(os.loop().now() + milliseconds(100));
    CO_RETURN_IF_ERROR(polled);
    const std::optional<Error> away = cluster->unreachable();
    reached = away ? reached : os.loop().now();
    if (options.exit_at_end && os.loop().now() - reached > kAwayMax) {
      co_return fail(ErrorCode::kConnectionLost,
                     fmt::format("the end of the topic was not read: {}", away->text));
    }
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
    if (!std::cout.flush()) {
      break;  // main says why
    }
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
                       const CatOptions& options, const Start& start, Status& ended) {
  ended = co_await connect(os, cluster, options);
  if (ended && options.produce) {
    ended = co_await produce(os, cluster, options);
  } else if (ended) {
    ended = co_await consume(os, cluster, options, start);
  }
  cluster->close();
  os.loop().stop();
}

void add_options(CLI::App& app, CatOptions& options) {
  app.add_flag("-P", options.produce, "produce: one record a line of standard input");
  app.add_flag("-C", options.consume, "consume: one line a record");
  app.add_option("-b,--bootstrap.servers", options.brokers, "host:port[,host:port]")
      ->capture_default_str();
  app.add_option("-t", options.topic, "topic")->required();
  app.add_option("-p", options.partition, "partition; default, and -1: by key, or all")
      ->check(CLI::Range(-1, std::numeric_limits<std::int32_t>::max()));
  app.add_option("-K", options.key_delimiter, "what stands between key and value");
  app.add_flag("-Z", options.nulls,
               "-P: an empty value is null, which deletes; -C: null is printed as NULL");
  app.add_option("-o", options.offset, "beginning (earliest), end (latest), or an offset")
      ->capture_default_str();
  app.add_flag("-e", options.exit_at_end, "exit at the end of the topic");
  app.add_option("-c", options.count_max, "exit after so many records")
      ->check(CLI::Range(std::int64_t{0}, kInt64Max));
  app.add_option("--rate", options.rate_per_second,
                 "produce so many records a second at most; 0: as fast as it goes")
      ->check(CLI::Range(std::int64_t{0}, kInt64Max));
  app.add_flag("--read-uncommitted", options.read_uncommitted, "show open and aborted records too");
  app.add_flag("-J,--json", options.json,
               "one JSON object a line; bytes that are not UTF-8 as key_hex, payload_hex");
}

}  // namespace

int run_cat(const Arguments& arguments) {
  CatOptions options;
  CLI::App app("write lines to a topic (-P), or read a topic as lines (-C)", "onceflow cat");
  add_options(app, options);
  if (const auto ended = parse_arguments(app, arguments)) {
    return *ended;
  }
  if (options.produce == options.consume) {
    std::cerr << "onceflow cat: say -P to produce or -C to consume\n";
    return kExitUsage;
  }
  if (options.produce ? io::is_input_closed() : io::is_output_closed()) {
    std::cerr << fmt::format("onceflow cat: standard {} is closed\n",
                             options.produce ? "input" : "output");
    return kExitUsage;
  }
  const auto start = parse_start(options.offset);
  if (!start) {
    std::cerr << "onceflow cat: " << start.error().text << '\n';
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
  os.loop().spawn(run_on_loop(os, cluster, options, *start, ended));
  os.loop().run();
  if (!ended) {
    std::cerr << "onceflow cat: " << ended.error().text << '\n';
    return kExitFailed;
  }
  return kExitOk;
}

}  // namespace onceflow::app
