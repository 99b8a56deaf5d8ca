// TestLog: a Log on a TestWorld, with what its tests say again and again.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "log/format.h"
#include "log/log.h"
#include "log/world_testing.h"
#include "protocol/record_batch_builder.h"

namespace onceflow::log::testing {

struct BatchSpec {
  int records = 1;
  std::string value = "v";
  std::int64_t timestamp_ms = 1000;
  ProducerIdentity producer;
  Sequence sequence = kNoSequence;
  bool transactional = false;
};

inline Buffer make_batch(const BatchSpec& spec) {
  protocol::RecordBatchBuilder builder;
  for (int index = 0; index < spec.records; ++index) {
    builder.append({.timestamp_ms = spec.timestamp_ms + index, .value = as_bytes(spec.value)});
  }
  return builder.finish({.producer = spec.producer,
                         .base_sequence = spec.sequence,
                         .is_transactional = spec.transactional});
}

/// Where the frames with entries begin in the bytes of a journal's file.
inline std::vector<std::size_t> frames_of(ByteView journal) {
  std::vector<std::size_t> frames;
  for (std::size_t at = 0; at < journal.size(); at += kJournalBlockBytes) {
    const auto header = decode_frame_header(journal.subspan(at));
    if (header && header->payload_bytes > 0) {
      frames.push_back(at);
    }
  }
  return frames;
}

using FoundTime = Answer<std::optional<TimestampOffset>>;
inline FoundTime found_in(Partition& partition, const Answer<std::optional<BatchOfTime>>& batch) {
  if (!batch) {
    return std::unexpected(batch.error());
  }
  return *batch ? partition.answer_found((*batch)->find_record()) : FoundTime(std::nullopt);
}
/// The first record of the time or a later one.
inline FoundTime found_from(Partition& partition, std::int64_t timestamp) {
  return found_in(partition,
                  partition.find_batch_by_timestamp(timestamp, IsolationLevel::kReadUncommitted));
}

struct RecordingListener final : RecoveryListener {
  Status on_snapshot(ByteView snapshot) override {
    events.push_back("snapshot " + std::string(as_text(snapshot)));
    return {};
  }
  Status on_record(ByteView record) override {
    events.push_back("record " + std::string(as_text(record)));
    return {};
  }
  Status on_end_transaction(const EndTransaction& end, ByteView record) override {
    events.push_back((end.commit ? "commit " : "abort ") + std::to_string(end.producer.id.value) +
                     " " + std::string(as_text(record)));
    return {};
  }
  void on_topic_deleted(const TopicId&) override { events.push_back("deleted"); }
  std::vector<std::string> events;
};

struct TestLog {
  explicit TestLog(std::uint64_t seed = 1) : world(seed) {
    options.directory = "data";
    options.journal_first_file_bytes = 64 << 10;
    options.journal_file_bytes = 128 << 10;
    options.checkpoint_every_bytes = 1 << 20;
    options.free_bytes_min = 0;
    options.config_bounds.segment_bytes_min = 14;
    options.on_fatal = [this](const Error& what) { fatal.push_back(what.text); };
    options.on_damage = [this](const Error& what) { damage.push_back(what.text); };
  }

  Status try_open() {
    listener.events.clear();
    auto opened = Log::open(world.environment(), options, listener);
    if (!opened) {
      error = opened.error();
      return std::unexpected(opened.error());
    }
    log = *std::move(opened);
    log->set_snapshot_writer([this](Buffer& buffer) { append(buffer, as_bytes(snapshot)); });
    return {};
  }
  void open() {
    const Status status = try_open();
    ASSERT_TRUE(status) << error.text;
  }
  void settle() { world.scheduler.run_for(milliseconds(10)); }
  void crash_process() {
    log.reset();
    world.scheduler.drop_all();
    world.disk.crash_process();
  }
  void crash_machine() {
    log.reset();
    world.scheduler.drop_all();
    world.disk.crash_machine();
  }
  void close() {
    bool done = false;
    world.scheduler.spawn(close_task(*log, done));
    ASSERT_TRUE(world.scheduler.run_until([&] { return done; }));
    log.reset();
    world.scheduler.drop_all();
  }
  void checkpoint() {
    bool done = false;
    world.scheduler.spawn(checkpoint_task(*log, done));
    ASSERT_TRUE(world.scheduler.run_until([&] { return done; }));
  }
  Partition& partition(std::string_view topic = "t", int index = 0) {
    Partition* found = log->topics().find(topic, PartitionIndex(index));
    CHECK(found != nullptr);
    return *found;
  }
  void create(std::string_view topic = "t", int partitions = 1,
              const TopicConfigOverrides& overrides = {}) {
    const auto created = log->create_topic(topic, partitions, overrides);
    ASSERT_TRUE(created) << created.error().text;
  }
  Answer<AppendedBatch> append_to(Partition& place, const BatchSpec& spec,
                                  UnknownProducer unknown = UnknownProducer::kAnySequence) {
    const Buffer batch = make_batch(spec);
    const auto header = protocol::RecordBatchHeader::parse(batch);
    return log->append_batch(place, {.header = *header, .max_timestamp = header->max_timestamp},
                             batch, unknown);
  }
  Answer<AppendedBatch> append(const BatchSpec& spec = {}) { return append_to(partition(), spec); }
  static void append(Buffer& buffer, ByteView bytes) { onceflow::append(buffer, bytes); }

  /// All visible values, "offset:value".
  std::vector<std::string> values(Partition& place,
                                  IsolationLevel isolation = IsolationLevel::kReadUncommitted) {
    std::vector<std::string> result;
    Offset from = place.log_start_offset();
    while (true) {
      Buffer bytes;
      const auto read = place.read(from, 300, isolation, bytes);
      if (!read) {
        result.push_back(std::string(protocol::to_string(read.error())));
        return result;
      }
      if (read->bytes == 0) {
        return result;
      }
      protocol::RecordBatchReader reader(bytes);
      while (true) {
        const auto batch = reader.next();
        CHECK(batch.has_value());
        if (!*batch) {
          break;
        }
        CHECK((*batch)->crc_matches());
        const auto decoded = protocol::DecodedBatch::decode(**batch);
        protocol::RecordReader records = decoded->records();
        for (const protocol::RecordView& record : records) {
          const Offset offset = decoded->header().offset_of(record);
          result.push_back(
              std::to_string(offset.value) + ":" +
              (decoded->header().is_control() ? "marker" : std::string(as_text(*record.value))));
        }
      }
      from = read->end;
    }
  }

  TestWorld world;
  LogOptions options;
  RecordingListener listener;
  std::string snapshot;
  std::unique_ptr<Log> log;
  Error error;
  std::vector<std::string> fatal;
  std::vector<std::string> damage;

 private:
  static Task<void> close_task(Log& log, bool& done) {
    const Status status = co_await log.close();
    EXPECT_TRUE(status);
    done = true;
  }
  static Task<void> checkpoint_task(Log& log, bool& done) {
    const Status status = co_await log.checkpoint();
    EXPECT_TRUE(status);
    done = true;
  }
};

}  // namespace onceflow::log::testing
