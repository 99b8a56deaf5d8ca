#include "sim/workloads/transactions_workload.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>

#include "client/admin.h"
#include "client/cluster.h"
#include "client/committed_offsets.h"
#include "client/fetcher.h"
#include "client/producer.h"
#include "sim/workloads/broker_node.h"
#include "sim/workloads/stranger.h"

namespace onceflow::sim {

namespace {

constexpr std::size_t kPartitionCount = 3;
constexpr std::size_t kInputCount = 3;
constexpr std::size_t kCommitsEnough = 60;
constexpr int kRecordsMax = 4;  // of a transaction on one partition
constexpr const char* kDataTopic = "data";
constexpr const char* kInputTopic = "input";
constexpr Duration kTransactionTimeout = seconds(3);
constexpr Duration kCallTimeout = seconds(8);
// TXN-3: how much longer than its timeout a transaction may be open with a broker that is up: one
// more, for a wall clock that went back when the machine started anew, and what a call may take.
constexpr Duration kTimeoutSlack = seconds(10);
// While the last transactions wait for their timeouts the broker is killed this often, and the last
// time so late that a timeout which began anew then would end after the slack.
constexpr Duration kLifeWhileWaiting = seconds(1);

PartitionIndex index_of(std::size_t partition) {
  return PartitionIndex(static_cast<std::int32_t>(partition));
}

std::vector<TopicPartition> all_partitions(const char* topic, std::size_t count) {
  std::vector<TopicPartition> partitions;
  partitions.reserve(count);
  for (std::size_t partition = 0; partition < count; ++partition) {
    partitions.push_back({topic, index_of(partition)});
  }
  return partitions;
}

std::string group_of(const std::string& transactional_id) { return "group-" + transactional_id; }

// All offsets of the group, by input partition; -1: none.
Task<Result<std::vector<std::int64_t>>> read_offsets(std::shared_ptr<client::Cluster> cluster,
                                                     std::string transactional_id,
                                                     MonotonicTime deadline) {
  const auto committed = co_await client::fetch_committed(
      cluster, cluster->new_channel(), {.group_id = group_of(transactional_id)},
      all_partitions(kInputTopic, kInputCount), deadline);
  CO_RETURN_IF_ERROR(committed);
  std::vector<std::int64_t> offsets;
  for (const client::CommittedOffset& offset : *committed) {
    offsets.push_back(offset.offset.value);
  }
  co_return offsets;
}

}  // namespace

TransactionsWorkload::TransactionsWorkload(Findings& findings)
    : findings_(findings), history_(kPartitionCount, kInputCount, findings) {}

TransactionsWorkload::~TransactionsWorkload() = default;

void TransactionsWorkload::start(SimWorld& world) {
  world_ = &world;
  world.add_node({.name = "broker", .boot = [this](SimProcess& process) {
                    boot_broker(process, simulated_broker_options(kPartitionCount), findings_);
                  }});
  add_writer("writer-1", "t-1", Protocol::kNewest);
  add_writer("twin-of-1", "t-1", Protocol::kNewest);
  add_writer("writer-2", "t-2", Protocol::kNewest);
  add_writer("writer-3", "t-3", Protocol::kVersion1);
  writer_nodes_.push_back("plain");
  world.add_node({.name = "plain", .boot = [this](SimProcess& process) {
                    process.scheduler().spawn(write_plain(process));
                  }});
  writer_nodes_.push_back("stranger");
  world.add_node({.name = "stranger", .boot = [this](SimProcess& process) {
                    process.scheduler().spawn(write_as_a_stranger(process));
                  }});
  world.add_node({.name = "reader", .boot = [this](SimProcess& process) {
                    positions_.clear();
                    process.scheduler().spawn(read(process, ReaderKind::kReadCommitted));
                    process.scheduler().spawn(read(process, ReaderKind::kReadUncommitted));
                    process.scheduler().spawn(come_to_rest(process));
                  }});
  schedule_zombie();
}

// Beside the faults of the seed: two with one id are only worth it if each is late now and then.
void TransactionsWorkload::schedule_zombie() {
  world_->schedule_after(world_->random().between(milliseconds(200), seconds(4)), [this] {
    if (!is_settling_) {
      SimNode& node = world_->node(world_->random().coin() ? "twin-of-1" : "writer-1");
      const Duration longest = world_->random().below(4) == 0 ? seconds(6) : milliseconds(500);
      world_->pause(node, world_->random().between(milliseconds(50), longest));
      schedule_zombie();
    }
  });
}

// ----------------------------------------------------------------------------------------------
// Writers

void TransactionsWorkload::add_writer(const std::string& node, const std::string& transactional_id,
                                      Protocol protocol) {
  writer_nodes_.push_back(node);
  transactional_ids_.insert(transactional_id);
  world_->add_node({.name = node, .boot = [this, transactional_id, protocol](SimProcess& process) {
                      auto cluster = client::Cluster::create(
                          process.environment(), simulated_client_options(process.name()));
                      client::TransactionalProducer producer(
                          cluster, {.linger = milliseconds(2), .delivery_timeout = kCallTimeout},
                          {.transactional_id = transactional_id,
                           .transaction_timeout = kTransactionTimeout,
                           .force_version_1 = protocol == Protocol::kVersion1});
                      process.scheduler().spawn(write(std::make_unique<Writer>(
                          Writer{process, SimRandom(world_->random().next()), std::move(cluster),
                                 std::move(producer), transactional_id})));
                    }});
}

Task<void> TransactionsWorkload::write(std::unique_ptr<Writer> writer) {
  SimScheduler& scheduler = writer->process.scheduler();
  const MonotonicTime never = MonotonicTime::max();
  for (const char* topic : {kDataTopic, kInputTopic}) {
    static_cast<void>(co_await writer->cluster->topic(topic, never));
  }
  while (!is_settling_) {
    using State = client::TransactionalProducer::State;
    if (writer->producer.state() == State::kUninitialised) {
      const Status taken = co_await take_over(*writer);
      if (!taken) {
        co_await scheduler.sleep_for(writer->random.between(milliseconds(10), milliseconds(500)));
        continue;
      }
    }
    co_await run_transaction(*writer);
    if (writer->random.below(8) == 0) {
      co_await scheduler.sleep_for(writer->random.between(Duration(0), seconds(1)));
    }
  }
  // What it leaves open ends by its timeout.
  finished_nodes_.insert(writer->process.name());
  writer->producer.close();
  writer->cluster->close();
}

// init_transactions() and the offsets after it, as everybody has to who wants to go on.
Task<Status> TransactionsWorkload::take_over(Writer& writer) {
  SimScheduler& scheduler = writer.process.scheduler();
  const std::int64_t decided_below = history_.next_number();
  const Status ready = co_await writer.producer.init_transactions(scheduler.now() + kCallTimeout);
  CO_RETURN_IF_ERROR(ready);
  const std::vector<std::int64_t> floor = history_.offset_floor(writer.transactional_id);
  const auto offsets = co_await read_offsets(writer.cluster, writer.transactional_id,
                                             scheduler.now() + kCallTimeout);
  if (offsets) {
    history_.see_offsets(writer.transactional_id, *offsets, floor, decided_below);
  }
  co_return Status{};
}

std::vector<bool> TransactionsWorkload::draw_offsets(SimRandom& random) const {
  std::vector<bool> moves(kInputCount);
  if (random.below(4) != 0) {
    for (std::size_t input = 0; input < kInputCount; ++input) {
      moves[input] = random.coin();
    }
  }
  return moves;
}

HistoricTransaction& TransactionsWorkload::begin(Writer& writer) {
  std::vector<int> record_counts(kPartitionCount);
  for (int& count : record_counts) {
    count = writer.random.coin() ? static_cast<int>(writer.random.between(1, kRecordsMax)) : 0;
  }
  // One at least, so that its offsets can be told from its records.
  record_counts[writer.random.below(kPartitionCount)] += 1;
  return history_.begin(writer.transactional_id, std::move(record_counts),
                        draw_offsets(writer.random));
}

Task<Status> TransactionsWorkload::append_all(Writer& writer,
                                              const HistoricTransaction& transaction) {
  SimScheduler& scheduler = writer.process.scheduler();
  for (std::size_t partition = 0; partition < kPartitionCount; ++partition) {
    const client::PartitionSlot slot = writer.producer.slot({kDataTopic, index_of(partition)});
    for (int index = 0; index < transaction.record_counts[partition]; ++index) {
      const std::string value = TransactionHistory::value_of(transaction, partition, index);
      protocol::NewRecord record;
      record.timestamp_ms = scheduler.wall_now().ms;
      record.value = as_bytes(value);
      CO_RETURN_IF_ERROR(writer.producer.append(slot, record));
    }
    if (writer.random.below(5) == 0) {
      CO_RETURN_IF_ERROR(co_await writer.producer.flush(scheduler.now() + kCallTimeout));
    }
    if (writer.random.below(6) == 0) {
      // Now and then longer than the transaction may live.
      const Duration longest = writer.random.below(5) == 0 ? kTransactionTimeout * 2 : seconds(1);
      co_await scheduler.sleep_for(writer.random.between(Duration(0), longest));
    }
  }
  co_return Status{};
}

Task<void> TransactionsWorkload::run_transaction(Writer& writer) {
  CHECK(writer.producer.begin().has_value());
  HistoricTransaction& transaction = begin(writer);
  Status written = co_await append_all(writer, transaction);
  if (written) {
    std::vector<client::OffsetToCommit> offsets;
    for (std::size_t input = 0; input < kInputCount; ++input) {
      if (transaction.moves_offset[input]) {
        offsets.push_back({{kInputTopic, index_of(input)}, Offset(transaction.number), ""});
      }
    }
    written = writer.producer.send_offsets({.group_id = group_of(writer.transactional_id)},
                                           std::move(offsets));
  }
  if (is_settling_ || writer.random.below(25) == 0) {
    // Walks away, as if dead; what it wrote stays open.
    writer.process.world().note(writer.process.name(), "leaves its transaction");
    static_cast<void>(
        co_await writer.producer.flush(writer.process.scheduler().now() + seconds(1)));
    co_await writer.process.scheduler().sleep_for(
        is_settling_ ? Duration(0) : writer.random.between(Duration(0), 2 * kTransactionTimeout));
    static_cast<void>(is_settling_ ? Status{} : co_await take_over(writer));
    co_return;
  }
  if (written && writer.random.below(4) != 0) {
    co_await end_transaction(writer, transaction);
  }
  // Its transaction is over, unless it failed or was never to be committed.
  using State = client::TransactionalProducer::State;
  const State state = writer.producer.state();
  if (state == State::kInTransaction || state == State::kMustAbort) {
    const Status aborted =
        co_await writer.producer.abort(writer.process.scheduler().now() + kCallTimeout);
    if (!aborted && writer.producer.state() != State::kUninitialised) {
      static_cast<void>(co_await take_over(writer));
    }
  }
}

Task<void> TransactionsWorkload::end_transaction(Writer& writer, HistoricTransaction& transaction) {
  history_.ask_commit(transaction);
  const Status ended =
      co_await writer.producer.commit(writer.process.scheduler().now() + kCallTimeout);
  if (ended) {
    history_.resolve(transaction, true);
  } else if (ended.error().recovery == Recovery::kAbort ||
             ended.error().code == ErrorCode::kFenced) {
    history_.resolve(transaction, false);
  }
  // Anything else: its fate shows later, in offsets and records.
}

Task<void> TransactionsWorkload::write_plain(SimProcess& process) {
  SimRandom random(world_->random().next());
  auto cluster =
      client::Cluster::create(process.environment(), simulated_client_options(process.name()));
  const MonotonicTime never = MonotonicTime::max();
  client::Producer producer(cluster,
                            {.linger = milliseconds(2), .delivery_timeout = std::chrono::hours(1)});
  static_cast<void>(co_await cluster->topic(kDataTopic, never));
  std::map<client::PartitionSlot, std::deque<std::string>> on_their_way;
  std::map<client::PartitionSlot, std::size_t> partition_of_slot;
  producer.on_delivery([&](const client::Delivery& delivery) {
    std::deque<std::string>& values = on_their_way[delivery.slot];
    if (!delivery.base_offset) {
      findings_.report("PRD-1",
                       "an idempotent producer gave up: " + delivery.base_offset.error().text);
      return;
    }
    if (values.size() < static_cast<std::size_t>(delivery.record_count)) {
      findings_.report("PRD-1", "more records were delivered than sent");
      return;
    }
    for (std::int32_t index = 0; index < delivery.record_count; ++index) {
      history_.acknowledge_plain(values.front(), partition_of_slot[delivery.slot],
                                 *delivery.base_offset + index);
      values.pop_front();
    }
  });
  while (!is_settling_) {
    for (std::uint64_t left = random.between(1, 3); left > 0; --left) {
      const std::size_t partition = random.below(kPartitionCount);
      const client::PartitionSlot slot = producer.slot({kDataTopic, index_of(partition)});
      partition_of_slot[slot] = partition;
      const std::string& value = on_their_way[slot].emplace_back(history_.new_plain_value());
      protocol::NewRecord record;
      record.timestamp_ms = process.scheduler().wall_now().ms;
      record.value = as_bytes(value);
      if (const Status appended = producer.append(slot, record); !appended) {
        findings_.report("PRD-1", "an idempotent producer gave up: " + appended.error().text);
        co_return;
      }
    }
    if (random.coin()) {
      const Status flushed = co_await producer.flush(never);
      if (!flushed) {
        findings_.report("PRD-1", "an idempotent producer gave up: " + flushed.error().text);
        break;
      }
    }
    co_await process.scheduler().sleep_for(random.between(Duration(0), milliseconds(400)));
  }
  static_cast<void>(co_await producer.flush(never));
  finished_nodes_.insert(process.name());
  producer.close();
  cluster->close();
}

Task<void> TransactionsWorkload::write_as_a_stranger(SimProcess& process) {
  Stranger stranger(process, history_, findings_);
  co_await stranger.run(kDataTopic, kPartitionCount, [this] { return is_settling_; });
  finished_nodes_.insert(process.name());
}

// ----------------------------------------------------------------------------------------------
// Readers, and the end

Task<void> TransactionsWorkload::read(SimProcess& process, ReaderKind kind) {
  positions_[kind].assign(kPartitionCount, 0);
  auto cluster =
      client::Cluster::create(process.environment(), simulated_client_options(process.name()));
  static_cast<void>(co_await cluster->topic(kDataTopic, MonotonicTime::max()));
  client::Fetcher fetcher(cluster,
                          {.isolation_level = kind == ReaderKind::kReadCommitted
                                                  ? client::IsolationLevel::kReadCommitted
                                                  : client::IsolationLevel::kReadUncommitted,
                           .fetch_bytes_max = 4096,
                           .partition_bytes_max = 1024});
  std::vector<client::Fetcher::Position> positions;
  for (const TopicPartition& partition : all_partitions(kDataTopic, kPartitionCount)) {
    positions.push_back({partition, Offset(0)});
  }
  fetcher.assign(std::move(positions));
  while (true) {
    const auto polled = co_await fetcher.poll(process.scheduler().now() + seconds(1));
    if (!polled) {
      findings_.report("LOG-1", "a reader gave up: " + polled.error().text);
      co_return;
    }
    if (!polled->out_of_range.empty()) {
      const client::OffsetOutOfRange& lost = polled->out_of_range.front();
      findings_.report("LOG-3", fmt::format("offset {} of partition {} is out of range",
                                            lost.position.value, lost.partition.partition.value));
      co_return;
    }
    for (const client::FetchedRun& run : polled->runs) {
      const auto partition = static_cast<std::size_t>(run.partition.partition.value);
      const Status walked = run.for_each(
          [&](const protocol::RecordBatchHeader& header, const protocol::RecordView& record) {
            history_.see_record(kind, partition, header.offset_of(record),
                                as_text(record.value.value_or(ByteView{})));
          });
      if (!walked) {
        findings_.report("LOG-1", walked.error().text);
      }
      positions_[kind][partition] = run.next_offset.value;
    }
  }
}

// Nobody writes any more: what is open ends by its timeout (TXN-3), the readers come to the end,
// and the groups are asked a last time.
Task<void> TransactionsWorkload::come_to_rest(SimProcess& process) {
  SimScheduler& scheduler = process.scheduler();
  while (finished_nodes_.size() < writer_nodes_.size()) {
    co_await scheduler.sleep_for(milliseconds(100));
  }
  auto cluster =
      client::Cluster::create(process.environment(), simulated_client_options(process.name()));
  static_cast<void>(co_await cluster->connect(MonotonicTime::max()));
  const MonotonicTime deadline = scheduler.now() + kTransactionTimeout + kTimeoutSlack;
  is_waiting_for_timeouts_ = true;
  kill_broker_until(deadline - 2 * kLifeWhileWaiting);
  // Asking may take as long as the broker comes and goes: what was asked before counts for nothing.
  for (bool is_late = false; co_await has_open_transactions(*cluster, process);
       is_late = scheduler.now() > deadline) {
    if (is_late) {
      findings_.report("TXN-3",
                       fmt::format("a transaction that nobody ends is open long after its timeout; "
                                   "last stable offsets {}, high watermarks {}",
                                   fmt::join(stable_ends_, " "), fmt::join(ends_, " ")));
      co_return;
    }
    co_await scheduler.sleep_for(milliseconds(100));
  }
  is_waiting_for_timeouts_ = false;
  while (!readers_have_read_all()) {
    co_await scheduler.sleep_for(milliseconds(100));
  }
  for (const std::string& transactional_id : transactional_ids_) {
    const auto offsets =
        co_await read_offsets(cluster, transactional_id, scheduler.now() + seconds(60));
    if (!offsets) {
      findings_.report("TXN-2", "the committed offsets cannot be read: " + offsets.error().text);
      co_return;
    }
    final_offsets_[transactional_id] = *offsets;
  }
  is_at_rest_ = true;
}

// What is open is aborted its timeout after it began, however often the broker starts meanwhile.
void TransactionsWorkload::kill_broker_until(MonotonicTime deadline) {
  world_->schedule_after(kLifeWhileWaiting, [this, deadline] {
    if (world_->now() < deadline && is_waiting_for_timeouts_) {
      world_->kill(world_->node("broker"), "kill, before any timeout can have passed");
      kill_broker_until(deadline);
    }
  });
}

// Leaves what it was told in stable_ends_ and ends_.
Task<bool> TransactionsWorkload::has_open_transactions(client::Cluster& cluster,
                                                       SimProcess& process) {
  client::Admin admin(cluster.shared_from_this());
  const MonotonicTime deadline = process.scheduler().now() + seconds(30);
  const std::vector<TopicPartition> partitions = all_partitions(kDataTopic, kPartitionCount);
  const auto stable = co_await admin.list_offsets(partitions, client::Admin::kLatest,
                                                  client::IsolationLevel::kReadCommitted, deadline);
  const auto ends = co_await admin.list_offsets(partitions, client::Admin::kLatest,
                                                client::IsolationLevel::kReadUncommitted, deadline);
  if (!stable || !ends) {
    co_return true;
  }
  ends_.clear();
  stable_ends_.clear();
  for (std::size_t partition = 0; partition < kPartitionCount; ++partition) {
    ends_.push_back((*ends)[partition].offset.value);
    stable_ends_.push_back((*stable)[partition].offset.value);
  }
  co_return stable_ends_ != ends_;
}

bool TransactionsWorkload::readers_have_read_all() const {
  return positions_.size() == 2 && std::ranges::all_of(positions_, [&](const auto& reader) {
           return std::ranges::equal(reader.second, ends_, std::ranges::greater_equal{});
         });
}

bool TransactionsWorkload::has_done_enough() const {
  return history_.committed_count() >= kCommitsEnough;
}

void TransactionsWorkload::settle() { is_settling_ = true; }

void TransactionsWorkload::check_end() {
  world_->note("world", fmt::format("{} transactions begun, {} known to be committed; {} plain "
                                    "records acknowledged",
                                    history_.next_number(), history_.committed_count(),
                                    history_.acknowledged_plain_count()));
  history_.check_end(final_offsets_);
}

}  // namespace onceflow::sim
