#include "sim/workloads/storage_workload.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "log/log.h"
#include "log/salvage.h"
#include "protocol/batch_validation.h"
#include "protocol/record_batch_builder.h"
#include "sim/checkers/salvage_judge.h"

namespace onceflow::sim {

namespace {
constexpr std::string_view kDirectory = "data";
constexpr std::uint64_t kTopicCount = 3;
constexpr std::uint64_t kPartitionsMax = 6;
constexpr std::uint64_t kDoneEnough = 1500;
// Producers 0 and 1 are idempotent, 2 and 3 transactional; below 0: none.
constexpr std::int64_t kFirstTransactional = 2;
constexpr std::uint64_t kProducerCount = 4;
}  // namespace

// What a log gives back to its coordinators: their records, by a hash.
class CoordinatorsRecords final : public log::RecoveryListener {
 public:
  Status on_snapshot(ByteView snapshot) override {
    stored_.records = WireReader(snapshot).read_uint64();
    return {};
  }
  Status on_record(ByteView record) override {
    stored_.add_record(WireReader(record).read_uint64());
    return {};
  }
  Status on_end_transaction(const log::EndTransaction&, ByteView record) override {
    return on_record(record);
  }
  std::uint64_t hash() const { return stored_.records; }
  Buffer snapshot() const {
    Buffer snapshot;
    WireWriter(snapshot).write_uint64(hash());
    return snapshot;
  }

 private:
  Stored stored_;
};

// One life of the log, with the one task that works on it.
class StorageNode final {
 public:
  StorageNode(SimProcess& process, StorageWorkload& workload)
      : process_(process),
        workload_(workload),
        history_(workload.history_),
        environment_(process.environment()),
        random_(SimRandom(process.world().random().next())) {}

  void start() {
    SimMachine& machine = process_.machine();
    const bool went_down =
        std::exchange(workload_.crash_count_, machine.crash_count) != machine.crash_count;
    history_.begin_life(went_down && workload_.flush_ == log::FlushMode::kOs);
    history_.files_damaged(machine.damage_count);
    const Status prepared = prepare_directory();
    if (!prepared) {
      stop(prepared.error());
      return;
    }
    CoordinatorsRecords records;
    auto log = log::Log::open(environment_, log_options(kDirectory), records);
    if (!process_.is_running()) {
      return;
    }
    if (!log) {
      stop(log.error());
      return;
    }
    log_ = std::move(*log);
    machine.has_gone_down = false;
    log_->set_snapshot_writer(
        [this](Buffer& snapshot) { WireWriter(snapshot).write_uint64(history_.now().records); });
    history_.recovered(*log_, records.hash());
    if (!history_.is_over()) {
      process_.scheduler().spawn(work());
    }
  }

 private:
  Findings& findings() { return workload_.findings_; }

  Status prepare_directory() {
    RETURN_IF_ERROR(environment_.disk.make_directory(std::string(kDirectory)));
    return environment_.disk.sync_directory(".");
  }

  void stop(const Error& error) {
    if (error.code == ErrorCode::kCorrupt) {
      if (history_.is_damaged()) {
        if (log_) {
          history_.end();  // it has said so while it ran
        } else {
          salvage();  // somebody does what it says
        }
      } else {
        findings().report("LOG-1", "the log does not open: " + error.text);
      }
    }
    process_.exit("the log stops: " + error.text);
  }

  // What salvage cannot read or write at the moment is tried again in the next life.
  void salvage() {
    const std::string directory = fmt::format("saved-{}", ++workload_.salvage_count_);
    CoordinatorsRecords records;
    log::Salvage salvage(environment_,
                         {.from = std::string(kDirectory),
                          .to = directory,
                          .is_rehearsal = false,
                          .boot_id = boot_id(),
                          .cluster_id = {},
                          .on_progress = {}},
                         records);
    Status saved = salvage.read();
    if (saved) {
      saved = salvage.finish(records.snapshot());
    }
    if (!process_.is_running()) {
      return;
    }
    if (!saved) {
      process_.world().note(process_.name(), "salvage: " + saved.error().text);
      if (saved.error().code == ErrorCode::kCorrupt || saved.error().code == ErrorCode::kNotFound) {
        findings().report("LOG-1", "salvage refuses: " + saved.error().text);
      }
      return;
    }
    CoordinatorsRecords of_saved;
    const auto log = log::Log::open(environment_, log_options(directory), of_saved);
    if (!process_.is_running()) {
      return;
    }
    if (log) {
      process_.world().note(process_.name(), fmt::format("salvaged, with {} offsets lost",
                                                         salvage.report().lost_offset_count()));
      for (const std::string& lost : salvage.report().lost_states) {
        process_.world().note(process_.name(), "lost: " + lost);
      }
      for (const log::LostOffsets& lost : salvage.report().lost) {
        process_.world().note(process_.name(), fmt::format("lost: {}-{}: {} to {}: {}", lost.topic,
                                                           lost.partition.value, lost.from.value,
                                                           lost.next.value, lost.cause));
      }
      judge_salvaged(history_, **log, salvage.report(), findings());
      history_.end();
    } else if (log.error().code == ErrorCode::kCorrupt) {
      findings().report("LOG-1", "the salvaged log does not open: " + log.error().text);
      history_.end();
    }
  }

  std::uint64_t boot_id() const { return 1 + std::uint64_t{process_.machine().crash_count}; }

  log::LogOptions log_options(std::string_view directory) {
    log::LogOptions options;
    options.directory = directory;
    options.flush = workload_.flush_;
    options.boot_id = boot_id();
    options.journal_first_file_bytes = 16 * 1024;
    options.journal_file_bytes = 32 * 1024;
    options.checkpoint_every_bytes = 48 * 1024;
    options.open_files_max = 3;
    options.config_bounds.segment_bytes_min = 1;  // segments that roll within a run
    // By hand alone, so that what it may take is known.
    options.retention_check_interval = std::chrono::hours(1000);
    options.first_retention_after = options.retention_check_interval;
    options.removal_slice = Duration(0);  // one file after another
    options.on_fatal = [this](const Error& error) { stop(error); };
    options.on_damage = [this](const Error& error) {
      process_.world().note(process_.name(), "damage: " + error.text);
      history_.damage_is_named();
    };
    return options;
  }

  Task<void> work() {
    while (!workload_.is_settling_) {
      do_something();
      if (random_.below(300) == 0) {
        const JournalPosition end = log_->end();
        const Status closed = co_await log_->close();
        if (closed) {
          promise(end);
        }
        process_.exit("closed");
        co_return;
      }
      if (random_.below(3) == 0) {
        co_await process_.scheduler().sleep_for(random_.between(Duration(1000), milliseconds(10)));
      }
    }
    const JournalPosition end = log_->end();
    co_await log_->wait_durable(end);
    promise(end);
    history_.read_all(*log_);
    workload_.is_at_rest_ = process_.is_running();
  }

  void do_something() {
    if (!process_.is_running()) {
      return;
    }
    ++workload_.done_count_;
    const std::uint64_t what = random_.below(100);
    if (what < 4 || history_.now().topics.empty()) {
      create_topic();
    } else if (what < 6) {
      delete_topic();
    } else if (what < 62) {
      append_batch();
    } else if (what < 75) {
      end_transaction();
    } else if (what < 79) {
      append_record();
    } else if (what < 81) {
      add_partition();
    } else if (what < 85) {
      delete_records();
    } else if (what < 90) {
      apply_retention();
    } else if (what < 92) {
      configure_topic();
    } else if (what < 94) {
      process_.scheduler().spawn(make_checkpoint(*log_));
    } else {
      const auto [name, index] = some_partition();
      history_.read(name, index, partition(name, index));
    }
  }
  static Task<void> make_checkpoint(log::Log& log) { static_cast<void>(co_await log.checkpoint()); }

  // ---------------------------------------------------------------------------------------------

  void done(JournalPosition end, StorageHistory::Change change) {
    history_.done(end, std::move(change));
    log_->when_durable(end, [this, end] { promise(end); });
  }
  // What a process says that is about to end within this callback reaches nobody.
  void promise(JournalPosition position) {
    if (process_.is_running()) {
      history_.promise(position);
    }
  }
  // Nobody may say no but a disk without room, or one that has failed.
  void judge_refusal(std::string_view call, protocol::ErrorCode code) {
    if (code != protocol::ErrorCode::kKafkaStorageError) {
      findings().report("LOG-2", fmt::format("{} is refused: {}", call, protocol::to_string(code)));
    }
  }

  std::string some_topic() {
    const auto& topics = history_.now().topics;
    return std::next(topics.begin(), static_cast<std::ptrdiff_t>(random_.below(topics.size())))
        ->first;
  }
  std::pair<std::string, std::size_t> some_partition() {
    const std::string name = some_topic();
    return {name, random_.below(history_.now().topics.at(name).partitions.size())};
  }
  log::Partition& partition(const std::string& topic, std::size_t index) {
    log::Partition* const found =
        log_->topics().find(topic, PartitionIndex(static_cast<std::int32_t>(index)));
    CHECK(found != nullptr);
    return *found;
  }

  void create_topic() {
    const std::string name = fmt::format("t{}", random_.below(kTopicCount));
    if (history_.now().topics.contains(name)) {
      return;
    }
    const log::TopicConfigOverrides overrides = draw_overrides();
    const std::size_t partition_count = random_.between(1, 3);
    const auto created =
        log_->create_topic(name, static_cast<std::int32_t>(partition_count), overrides);
    if (!created) {
      judge_refusal("the creation of a topic", created.error().code);
      return;
    }
    if (!workload_.topic_ids_.insert(created->id).second) {
      findings().report("LOG-2", fmt::format("topic {} has the id of an earlier one", name));
    }
    done(created->position, [=, id = created->id](Stored& stored) {
      stored.topics[name] = {id, overrides, std::vector<StoredPartition>(partition_count)};
    });
  }

  void configure_topic() {
    const std::string name = some_topic();
    const log::TopicConfigOverrides overrides = draw_overrides();
    const auto changed = log_->set_topic_config(name, overrides);
    if (!changed) {
      judge_refusal("a topic's configuration", changed.error().code);
      return;
    }
    done(changed->position, [=](Stored& stored) { stored.topics.at(name).overrides = overrides; });
  }

  log::TopicConfigOverrides draw_overrides() {
    log::TopicConfigOverrides overrides{
        {"segment.bytes", std::to_string(random_.between(2000, 5000))}, {"retention.ms", "-1"}};
    switch (random_.below(3)) {
      case 0:
        overrides["retention.bytes"] = std::to_string(random_.between(2000, 12000));
        break;
      case 1:
        overrides["retention.ms"] = std::to_string(random_.between(500, 5000));
        break;
      default:
        break;
    }
    return overrides;
  }

  void delete_topic() {
    const std::string name = some_topic();
    const auto deleted = log_->delete_topic(name);
    if (!deleted) {
      judge_refusal("the deletion of a topic", deleted.error().code);
      return;
    }
    done(deleted->position, [name](Stored& stored) { stored.topics.erase(name); });
  }

  void add_partition() {
    const std::string name = some_topic();
    const std::size_t count = history_.now().topics.at(name).partitions.size() + 1;
    if (count > kPartitionsMax) {
      return;
    }
    const auto added = log_->add_partitions(name, static_cast<std::int32_t>(count));
    if (!added) {
      judge_refusal("a new partition", added.error().code);
      return;
    }
    done(added->position,
         [name](Stored& stored) { stored.topics.at(name).partitions.emplace_back(); });
  }

  void append_batch() {
    const auto [name, index] = some_partition();
    StoredPartition& stored = history_.now().partition(name, index);
    const ProducerId producer(static_cast<std::int64_t>(random_.below(kProducerCount + 2)) - 2);
    const bool is_transactional = producer.value >= kFirstTransactional;
    protocol::RecordBatchBuilder builder;
    std::vector<StoredRecord> records;
    const auto end = static_cast<std::uint64_t>(stored.end().value);
    const std::uint64_t count = workload_.is_filled_alike_ ? 1 + end % 4 : random_.between(1, 4);
    while (records.size() < count) {
      const Offset offset = stored.end() + static_cast<std::int64_t>(records.size());
      records.push_back({history_.next_number(), environment_.scheduler.wall_now().ms});
      const std::string value = StorageHistory::value_of(records.back().number, offset);
      builder.append({.timestamp_ms = records.back().timestamp_ms, .value = as_bytes(value)});
    }
    const auto known = stored.next_sequence.find(producer);
    const Sequence sequence = producer.value < 0                    ? kNoSequence
                              : known == stored.next_sequence.end() ? Sequence(0)
                                                                    : known->second;
    const Buffer batch = builder.finish(
        {.producer =
             producer.value < 0 ? ProducerIdentity{} : ProducerIdentity{producer, ProducerEpoch(0)},
         .base_sequence = sequence,
         .is_transactional = is_transactional});
    const auto validated = protocol::validate_produced_batch(batch, {.produce_version = 9});
    CHECK(validated.has_value());
    const auto appended = log_->append_batch(partition(name, index), *validated, batch);
    if (!appended) {
      judge_refusal("a batch", appended.error());
      return;
    }
    if (appended->is_duplicate || appended->base_offset != stored.end()) {
      findings().report("LOG-2",
                        fmt::format("{}-{}: a new batch is at offset {} instead of {}", name, index,
                                    appended->base_offset.value, stored.end().value));
      return;
    }
    for (std::size_t each = 0; each < records.size(); ++each) {
      history_.note_written(records[each].number,
                            {history_.now().topics.at(name).id, index,
                             appended->base_offset + static_cast<std::int64_t>(each)});
    }
    done(appended->position, [=, position = appended->position](Stored& to) {
      StoredPartition& place = to.partition(name, index);
      if (is_transactional) {
        place.open.try_emplace(producer, place.end());
      }
      place.records.insert(place.records.end(), records.begin(), records.end());
      place.position_of_end[place.end()] = position;
      if (producer.value >= 0) {
        place.next_sequence[producer] =
            protocol::advance_sequence(sequence, static_cast<std::int32_t>(records.size()));
      }
    });
  }

  void end_transaction() {
    const ProducerId producer(kFirstTransactional + (random_.coin() ? 1 : 0));
    log::EndTransaction end{.producer = {producer, ProducerEpoch(0)},
                            .commit = random_.coin(),
                            .timestamp_ms = environment_.scheduler.wall_now().ms};
    std::vector<std::pair<std::string, std::size_t>> places;
    for (const auto& [name, topic] : history_.now().topics) {
      for (std::size_t index = 0; index < topic.partitions.size(); ++index) {
        if (topic.partitions[index].open.contains(producer)) {
          places.emplace_back(name, index);
          end.partitions.push_back(partition(name, index).id());
        }
      }
    }
    const std::uint64_t number = history_.next_number();
    Buffer record;
    WireWriter(record).write_uint64(number);
    const log::AppendedMarkers appended = log_->append_end_transaction(end, record);
    done(appended.position, [places, producer, number, commit = end.commit, at = end.timestamp_ms,
                             position = appended.position](Stored& stored) {
      for (const auto& [name, index] : places) {
        StoredPartition& place = stored.partition(name, index);
        place.ends[place.end()] = {producer, commit};
        place.records.push_back({0, at});
        place.position_of_end[place.end()] = position;
        place.open.erase(producer);
        place.aborted_count += commit ? 0 : 1;
      }
      stored.add_record(number);
    });
  }

  void append_record() {
    const std::uint64_t number = history_.next_number();
    Buffer record;
    WireWriter(record).write_uint64(number);
    done(log_->append_record(record), [number](Stored& stored) { stored.add_record(number); });
  }

  void delete_records() {
    const auto [name, index] = some_partition();
    log::Partition& place = partition(name, index);
    const Offset start = place.log_start_offset();
    if (place.last_stable_offset() <= start) {
      return;
    }
    const Offset to =
        start + static_cast<std::int64_t>(random_.between(
                    1, static_cast<std::uint64_t>(place.last_stable_offset() - start)));
    const auto moved = log_->delete_records(place, to);
    if (!moved) {
      judge_refusal("DeleteRecords", moved.error());
      return;
    }
    history_.note_log_start(history_.now().topics.at(name).id, index, to);
    done(*moved, [=](Stored& stored) { stored.partition(name, index).log_start = to; });
  }

  void apply_retention() {
    const JournalPosition begin = log_->end();
    const std::int64_t now_ms = environment_.scheduler.wall_now().ms;
    for (const auto& [name, topic] : history_.now().topics) {
      log_->apply_retention(name);
    }
    std::vector<StorageHistory::LogStartMove> moves;
    for (auto& [name, topic] : history_.now().topics) {
      for (std::size_t index = 0; index < topic.partitions.size(); ++index) {
        const log::Partition& place = partition(name, index);
        if (place.log_start_offset() != topic.partitions[index].log_start) {
          history_.judge_retention(name, index, place, now_ms);
          history_.note_log_start(topic.id, index, place.log_start_offset());
          moves.push_back({name, index, place.log_start_offset()});
        }
      }
    }
    if (!moves.empty()) {
      const JournalPosition end = log_->end();
      history_.done(begin, end, moves);
      log_->when_durable(end, [this, end] { promise(end); });
    }
  }

  SimProcess& process_;
  StorageWorkload& workload_;
  StorageHistory& history_;
  io::Environment environment_;
  SimRandom random_;
  std::unique_ptr<log::Log> log_;
};

void StorageWorkload::start(SimWorld& world) {
  world_ = &world;
  flush_ = world.random().below(3) == 0 ? log::FlushMode::kOs : log::FlushMode::kDurable;
  if (flush_ == log::FlushMode::kOs) {
    // What the page cache shows after a failed sync is not what the device has, and no later sync
    // can tell: of that class nothing is promised then (LIMITS.md).
    world.faults().sync_fails = {};
  }
  is_filled_alike_ = world.random().coin();
  world.note("world", flush_ == log::FlushMode::kOs ? "log.flush=os" : "log.flush=durable");
  world.add_node(
      {.name = "log",
       .boot = [this](SimProcess& process) { process.make<StorageNode>(process, *this).start(); },
       .suffers_damage = true});
}

bool StorageWorkload::has_done_enough() const {
  return done_count_ >= kDoneEnough || history_.is_over();
}

void StorageWorkload::check_end() {
  world_->note("world", fmt::format("{} things done{}", done_count_,
                                    history_.is_over() ? "; the log has named its damage" : ""));
}

}  // namespace onceflow::sim
