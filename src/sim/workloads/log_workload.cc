#include "sim/workloads/log_workload.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/crc32c.h"
#include "log/log.h"
#include "protocol/batch_validation.h"
#include "protocol/record_batch_builder.h"

namespace onceflow::sim {

namespace {
constexpr std::size_t kBatchesInFlight = 5;
constexpr std::size_t kIdempotentCount = 3;
constexpr std::size_t kTransactionalCount = 3;
constexpr std::size_t kEnoughBatches = 1200;
constexpr std::string_view kTopic = "t";
constexpr std::string_view kDirectory = "data";
using Outcome = SentTransaction::Outcome;
}  // namespace

// One life of the broker's log, with the tasks of the clients that talk to it. What clients know is
// in the workload; what is here dies with the process.
class LogNode final : public log::RecoveryListener {
 public:
  LogNode(SimProcess& process, LogWorkload& workload)
      : process_(process),
        workload_(workload),
        environment_(process.environment()),
        random_(SimRandom(process.world().random().next())) {}
  ~LogNode() override {
    if (workload_.node_ == this) {
      workload_.node_ = nullptr;
    }
  }

  void start() {
    const Status prepared = prepare_directory();
    if (!prepared) {
      stop(prepared.error());
      return;
    }
    auto log = log::Log::open(environment_, log_options(), *this);
    if (!process_.is_running()) {
      return;
    }
    if (!log) {
      stop(log.error());
      return;
    }
    log_ = std::move(*log);
    log_->set_snapshot_writer([this](Buffer& snapshot) { write_snapshot(snapshot); });
    check_recovered();
    process_.scheduler().spawn(serve());
  }

  bool is_at_rest() const {
    return is_serving_ && resting_producers_ == workload_.producers_.size();
  }
  void check_end() {
    for (std::size_t index = 0; index < LogWorkload::kPartitionCount; ++index) {
      workload_.history_.check_end(index, partition(index));
    }
  }

  // The coordinators' side: a record is a number, an end carries its transaction's.
  Status on_snapshot(ByteView snapshot) override {
    WireReader reader(snapshot);
    last_record_ = reader.read_uint64();
    for (std::uint64_t count = reader.read_uint64(); count > 0 && reader.ok(); --count) {
      const std::uint64_t number = reader.read_uint64();
      decided_[number] = reader.read_bool();
    }
    if (!reader.ok()) {
      findings().report("LOG-1", "a snapshot came back cut off");
    }
    return {};
  }
  Status on_record(ByteView record) override {
    const std::uint64_t number = WireReader(record).read_uint64();
    if (number != last_record_ + 1) {
      findings().report(
          "LOG-1", fmt::format("record {} was recovered behind record {}", number, last_record_));
    }
    last_record_ = number;
    return {};
  }
  Status on_end_transaction(const log::EndTransaction& end, ByteView record) override {
    decided_[WireReader(record).read_uint64()] = end.commit;
    return {};
  }

 private:
  Findings& findings() { return workload_.findings_; }
  LogHistory& history() { return workload_.history_; }
  log::Partition& partition(std::size_t index) {
    log::Partition* const found =
        log_->topics().find(kTopic, PartitionIndex(static_cast<std::int32_t>(index)));
    CHECK(found != nullptr);
    return *found;
  }
  auto pause(Duration longest) {
    return process_.scheduler().sleep_for(random_.between(Duration(1000), longest));
  }

  void stop(const Error& error) {
    if (error.code == ErrorCode::kCorrupt) {
      findings().report("LOG-1", "the log does not open: " + error.text);
    }
    process_.exit("the log stops: " + error.text);
  }

  Status prepare_directory() {
    RETURN_IF_ERROR(environment_.disk.make_directory(std::string(kDirectory)));
    return environment_.disk.sync_directory(".");
  }

  log::LogOptions log_options() {
    log::LogOptions options;
    options.directory = kDirectory;
    // Small, so that files are switched, recycled and checkpointed many times in a run.
    options.topic_defaults.segment_bytes = 8 * 1024;
    options.journal_first_file_bytes = 32 * 1024;
    options.journal_file_bytes = 64 * 1024;
    options.checkpoint_every_bytes = 96 * 1024;
    options.segment_flush_bytes = 512;
    options.removal_slice = Duration(0);  // one file after another
    options.on_fatal = [this](const Error& error) { stop(error); };
    options.on_damage = [this](const Error& error) {
      process_.world().note(process_.name(), "damage: " + error.text);
    };
    return options;
  }

  void write_snapshot(Buffer& snapshot) const {
    WireWriter writer(snapshot);
    writer.write_uint64(last_record_);
    writer.write_uint64(decided_.size());
    for (const auto& [number, commit] : decided_) {
      writer.write_uint64(number);
      writer.write_bool(commit);
    }
  }

  // What recovery gave back, against what clients were told.
  void check_recovered() {
    if (last_record_ < workload_.record_acknowledged_) {
      findings().report("LOG-1", fmt::format("record {} was acknowledged, recovery ends with {}",
                                             workload_.record_acknowledged_, last_record_));
    }
    workload_.record_sent_ = last_record_;
    const bool has_topic = log_->topics().find(kTopic) != nullptr;
    if (!has_topic) {
      if (workload_.topic_is_acknowledged_) {
        findings().report("LOG-1", "the topic was acknowledged and is not there");
      }
      return;
    }
    for (const auto& producer : workload_.producers_) {
      if (SentTransaction* const transaction = producer->transaction) {
        const auto decided = decided_.find(transaction->number);
        if (decided != decided_.end()) {
          transaction->outcome = decided->second ? Outcome::kCommitted : Outcome::kAborted;
        } else if (transaction->outcome == Outcome::kCommitting ||
                   transaction->outcome == Outcome::kAborting) {
          // The decision was lost before anybody was told; the transaction is open still.
          transaction->outcome = Outcome::kOpen;
        }
      }
    }
    for (std::size_t index = 0; index < LogWorkload::kPartitionCount; ++index) {
      history().read_all(index, partition(index));
    }
  }

  Task<void> serve() {
    if (log_->topics().find(kTopic) == nullptr) {
      const auto created =
          log_->create_topic(kTopic, static_cast<std::int32_t>(LogWorkload::kPartitionCount));
      if (!created) {
        stop({ErrorCode::kIo, created.error().text, Recovery::kRetriable});
        co_return;
      }
      co_await log_->wait_durable(created->position);
    }
    workload_.topic_is_acknowledged_ = true;
    is_serving_ = true;
    for (const auto& producer : workload_.producers_) {
      process_.scheduler().spawn(producer->is_transactional ? run_transactional(*producer)
                                                            : run_idempotent(*producer));
    }
    process_.scheduler().spawn(run_reader());
    process_.scheduler().spawn(run_records());
  }

  // ------------------------------------------------------------------------------------- Batches

  SentBatch& make_batch(LogProducer& producer, std::size_t index) {
    LogProducer::Lane& lane = producer.lanes[index];
    protocol::RecordBatchBuilder builder;
    const std::uint64_t record_count = random_.between(1, 4);
    for (std::uint64_t record = 0; record < record_count; ++record) {
      const std::string value =
          fmt::format("{}:{}", ++workload_.next_value_, std::string(random_.below(300), 'x'));
      builder.append(
          {.timestamp_ms = environment_.scheduler.wall_now().ms, .value = as_bytes(value)});
    }
    SentBatch batch;
    batch.partition = index;
    batch.producer = producer.identity;
    batch.first_sequence = lane.next_sequence;
    batch.record_count = builder.records_count();
    batch.bytes = builder.finish({.producer = producer.identity,
                                  .base_sequence = lane.next_sequence,
                                  .is_transactional = producer.is_transactional});
    batch.content = crc32c(protocol::RecordBatchView::parse(batch.bytes)->record_bytes());
    batch.transaction = producer.transaction;
    lane.next_sequence = protocol::advance_sequence(lane.next_sequence, batch.record_count);
    SentBatch& sent = history().send(std::move(batch));
    lane.unacknowledged.push_back(&sent);
    lane.recent.push_back(&sent);
    if (lane.recent.size() > kBatchesInFlight) {
      lane.recent.pop_front();
    }
    return sent;
  }

  log::Answer<log::AppendedBatch> append_bytes(std::size_t index, ByteView batch) {
    const auto validated = protocol::validate_produced_batch(batch, {.produce_version = 9});
    CHECK(validated.has_value());
    return log_->append_batch(partition(index), *validated, batch);
  }

  // Appends, again if need be. False if the log takes nothing now.
  bool append(LogProducer& producer, SentBatch& batch) {
    const auto answer = append_bytes(batch.partition, batch.bytes);
    if (!answer) {
      if (answer.error() == protocol::ErrorCode::kKafkaStorageError) {
        return false;
      }
      findings().report("PRD-1",
                        fmt::format("{}{} is refused: {}", to_string(batch),
                                    batch.is_acknowledged() ? ", acknowledged before," : "",
                                    protocol::to_string(answer.error())));
      return true;
    }
    if (batch.is_acknowledged() && !answer->is_duplicate) {
      findings().report("PRD-1", fmt::format("the retry of {}, acknowledged at offset {}, was "
                                             "appended at {}",
                                             to_string(batch), batch.acknowledged_at.value,
                                             answer->base_offset.value));
    }
    process_.scheduler().spawn(await_acknowledgement(producer, batch, *answer));
    return true;
  }

  Task<void> await_acknowledgement(LogProducer& producer, SentBatch& batch,
                                   log::AppendedBatch appended) {
    co_await log_->wait_durable(appended.position);
    history().acknowledge(batch, appended.base_offset);
    LogProducer::Lane& lane = producer.lanes[batch.partition];
    std::erase(lane.unacknowledged, &batch);
    lane.knows_epoch |= batch.producer == producer.identity;
  }

  // Everything that was sent and not answered, in order, as a client does with a new connection.
  void resend(LogProducer& producer) {
    for (LogProducer::Lane& lane : producer.lanes) {
      lane.must_resend = false;
      const std::deque<SentBatch*> batches = lane.unacknowledged;
      for (SentBatch* const batch : batches) {
        if (!append(producer, *batch)) {
          lane.must_resend = true;
          break;
        }
      }
    }
  }
  static bool has_unacknowledged(const LogProducer& producer) {
    return std::ranges::any_of(
        producer.lanes, [](const LogProducer::Lane& lane) { return !lane.unacknowledged.empty(); });
  }
  static bool must_resend(const LogProducer& producer) {
    return std::ranges::any_of(producer.lanes,
                               [](const LogProducer::Lane& lane) { return lane.must_resend; });
  }

  void send_one(LogProducer& producer, std::size_t index) {
    LogProducer::Lane& lane = producer.lanes[index];
    if (lane.unacknowledged.size() < kBatchesInFlight && !lane.must_resend) {
      lane.must_resend = !append(producer, make_batch(producer, index));
    }
  }

  // A retry of one of the last five, as after a lost answer.
  void retry_one(LogProducer& producer, std::size_t index) {
    LogProducer::Lane& lane = producer.lanes[index];
    if (lane.unacknowledged.empty() && !lane.recent.empty()) {
      append(producer, *lane.recent[random_.below(lane.recent.size())]);
    }
  }

  void raise_epoch(LogProducer& producer) {
    producer.identity.epoch =
        ProducerEpoch(static_cast<std::int16_t>(producer.identity.epoch.value + 1));
    for (LogProducer::Lane& lane : producer.lanes) {
      lane.next_sequence = Sequence(0);
      lane.recent.clear();
      lane.knows_epoch = false;
    }
  }

  // A zombie of the epoch before tries where the new one is known.
  void try_stale_epoch(LogProducer& producer, std::size_t index) {
    if (producer.identity.epoch.value == 0 || !producer.lanes[index].knows_epoch) {
      return;
    }
    protocol::RecordBatchBuilder builder;
    builder.append({.timestamp_ms = 1, .value = as_bytes("stale")});
    const ProducerIdentity stale{
        producer.identity.id,
        ProducerEpoch(static_cast<std::int16_t>(producer.identity.epoch.value - 1))};
    const Buffer batch = builder.finish({.producer = stale,
                                         .base_sequence = Sequence(0),
                                         .is_transactional = producer.is_transactional});
    if (const auto answer = append_bytes(index, batch); answer) {
      findings().report("PRD-2",
                        fmt::format("producer {} appended with epoch {} at offset {} while "
                                    "its epoch is {}",
                                    stale.id.value, stale.epoch.value, answer->base_offset.value,
                                    producer.identity.epoch.value));
    }
  }

  // ---------------------------------------------------------------------------------- Producers

  Task<void> run_idempotent(LogProducer& producer) {
    resend(producer);
    while (true) {
      co_await pause(milliseconds(20));
      if (must_resend(producer)) {
        resend(producer);
      }
      if (workload_.is_settling_) {
        if (!has_unacknowledged(producer)) {
          break;
        }
        continue;
      }
      const std::size_t index = random_.below(LogWorkload::kPartitionCount);
      switch (random_.below(12)) {
        case 0:
        case 1:
          retry_one(producer, index);
          break;
        case 2:
          if (!has_unacknowledged(producer) && random_.below(4) == 0) {
            raise_epoch(producer);
          }
          break;
        case 3:
          try_stale_epoch(producer, index);
          break;
        default:
          for (std::uint64_t count = random_.between(1, kBatchesInFlight); count > 0; --count) {
            send_one(producer, index);
          }
      }
    }
    ++resting_producers_;
  }

  Task<void> run_transactional(LogProducer& producer) {
    if (producer.transaction != nullptr) {
      co_await settle_doubt(producer);
    }
    while (!workload_.is_settling_) {
      co_await pause(milliseconds(30));
      producer.transaction = &history().begin(producer.identity);
      producer.touched.assign(LogWorkload::kPartitionCount, false);
      for (std::uint64_t count = random_.between(1, 6); count > 0; --count) {
        const std::size_t index = random_.below(LogWorkload::kPartitionCount);
        producer.touched[index] = true;
        send_one(producer, index);
        if (random_.coin()) {
          co_await pause(milliseconds(10));
        }
        if (random_.below(4) == 0) {
          retry_one(producer, index);
        }
      }
      while (has_unacknowledged(producer)) {
        if (must_resend(producer)) {
          resend(producer);
        }
        co_await pause(milliseconds(5));
      }
      co_await end_transaction(producer,
                               random_.below(4) != 0 ? Outcome::kCommitting : Outcome::kAborting);
      if (random_.below(4) == 0) {
        try_stale_epoch(producer, random_.below(LogWorkload::kPartitionCount));
      }
    }
    ++resting_producers_;
  }

  // The transaction of an earlier life: decided already, or to be aborted.
  Task<void> settle_doubt(LogProducer& producer) {
    if (producer.transaction->outcome == Outcome::kOpen) {
      co_await end_transaction(producer, Outcome::kAborting);
    } else {
      forget_transaction(producer);
    }
  }

  Task<void> end_transaction(LogProducer& producer, Outcome outcome) {
    SentTransaction& transaction = *producer.transaction;
    transaction.outcome = outcome;
    log::EndTransaction end;
    end.producer = producer.identity;
    // As the coordinator does: an abort of what is in doubt fences with the next epoch too.
    if (producer.raises_epoch_at_end || has_unacknowledged(producer)) {
      end.producer.epoch =
          ProducerEpoch(static_cast<std::int16_t>(producer.identity.epoch.value + 1));
    }
    end.commit = outcome == Outcome::kCommitting;
    end.timestamp_ms = environment_.scheduler.wall_now().ms;
    for (std::size_t index = 0; index < producer.touched.size(); ++index) {
      if (producer.touched[index]) {
        end.partitions.push_back(partition(index).id());
      }
    }
    Buffer record;
    WireWriter(record).write_uint64(transaction.number);
    const log::AppendedMarkers markers = log_->append_end_transaction(end, record);
    decided_[transaction.number] = end.commit;
    co_await log_->wait_durable(markers.position);
    transaction.outcome = end.commit ? Outcome::kCommitted : Outcome::kAborted;
    forget_transaction(producer);
  }

  // Whatever the end wrote, the next transaction begins with an epoch that is greater than both.
  void forget_transaction(LogProducer& producer) {
    const bool had_unacknowledged = has_unacknowledged(producer);
    producer.transaction = nullptr;
    for (LogProducer::Lane& lane : producer.lanes) {
      lane.unacknowledged.clear();
      lane.must_resend = false;
    }
    if (producer.raises_epoch_at_end || had_unacknowledged) {
      raise_epoch(producer);
      for (std::size_t index = 0; index < producer.lanes.size(); ++index) {
        // The marker has told the partitions of the new epoch.
        producer.lanes[index].knows_epoch = producer.touched[index];
      }
    }
  }

  // ---------------------------------------------------------------------------- Readers, records

  Task<void> run_reader() {
    while (true) {
      co_await pause(milliseconds(8));
      for (std::size_t index = 0; index < LogWorkload::kPartitionCount; ++index) {
        if (random_.below(100) == 0) {
          history().read_all(index, partition(index));
        } else {
          history().read_new(index, partition(index));
        }
      }
    }
  }

  Task<void> run_records() {
    while (!workload_.is_settling_) {
      co_await pause(milliseconds(50));
      const std::uint64_t number = ++workload_.record_sent_;
      Buffer record;
      WireWriter(record).write_uint64(number);
      const JournalPosition position = log_->append_record(record);
      last_record_ = number;
      co_await log_->wait_durable(position);
      workload_.record_acknowledged_ = number;
    }
  }

  SimProcess& process_;
  LogWorkload& workload_;
  io::Environment environment_;
  SimRandom random_;
  std::unique_ptr<log::Log> log_;
  std::map<std::uint64_t, bool> decided_;
  std::uint64_t last_record_ = 0;
  bool is_serving_ = false;
  std::size_t resting_producers_ = 0;
};

LogWorkload::LogWorkload(Findings& findings)
    : findings_(findings), history_(kPartitionCount, findings) {
  for (std::size_t number = 0; number < kIdempotentCount + kTransactionalCount; ++number) {
    auto producer = std::make_unique<LogProducer>();
    producer->identity = {ProducerId(static_cast<std::int64_t>(number) + 1), ProducerEpoch(0)};
    producer->is_transactional = number >= kIdempotentCount;
    producer->raises_epoch_at_end = number % 2 == 0;
    producer->lanes.resize(kPartitionCount);
    producer->touched.assign(kPartitionCount, false);
    producers_.push_back(std::move(producer));
  }
}

LogWorkload::~LogWorkload() = default;

void LogWorkload::start(SimWorld& world) {
  world_ = &world;
  world.add_node({.name = "log", .boot = [this](SimProcess& process) {
                    LogNode& node = process.make<LogNode>(process, *this);
                    node_ = &node;
                    node.start();
                  }});
}

bool LogWorkload::has_done_enough() const {
  return history_.acknowledged_count() >= kEnoughBatches;
}

bool LogWorkload::is_at_rest() const { return node_ != nullptr && node_->is_at_rest(); }

void LogWorkload::check_end() {
  if (node_ != nullptr) {
    node_->check_end();
  }
}

}  // namespace onceflow::sim
