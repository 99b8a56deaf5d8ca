// Fetcher: one coroutine per broker and question; what it brings waits in queues for poll().
#include "client/fetcher.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>

#include "base/topic_id_text.h"
#include "client/aborted_filter.h"
#include "client/broker_error.h"
#include "io/event.h"
#include "protocol/messages/01_fetch.h"

namespace onceflow::client {

namespace {

/// The last version that speaks of topics by name; later ones speak of ids.
constexpr std::int16_t kNamesVersionMax = 12;
/// Answers of a partition that wait for poll() before no more is asked for: one to be processed
/// while the next is on its way.
constexpr std::size_t kQueuedRunsMax = 2;

// A batch that compaction has emptied keeps the id of its producer, for which alone it stays.
bool holds_lost_offsets(const protocol::RecordBatchHeader& header) {
  return header.records_count == 0 && !header.is_control() && !header.has_producer_id();
}

}  // namespace

Status FetchedRun::corrupt(Offset base_offset) const {
  return fail(ErrorCode::kCorrupt,
              fmt::format("{}-{}: the batch at offset {} does not hold the records it claims",
                          partition.topic, partition.partition.value, base_offset.value));
}

RunReader::RunReader(FetchedRun run) : run_(std::move(run)) {
  if (!run_.batches.empty()) {
    reader_ = run_.batches.front().records();
  }
}

Status RunReader::next_batch() {
  if (!reader_->complete()) {
    return run_.corrupt(header().base_offset);
  }
  if (++index_ == run_.batches.size()) {
    reader_.reset();
  } else {
    reader_ = run_.batches[index_].records();
  }
  return {};
}

class Fetcher::Core : public ClusterUser, public std::enable_shared_from_this<Core> {
 public:
  Core(std::shared_ptr<Cluster> cluster, FetchOptions options, std::size_t unpacked_bytes_max)
      : cluster_(std::move(cluster)),
        options_(options),
        unpacked_bytes_max_(unpacked_bytes_max),
        channel_(cluster_->new_channel()),
        changed_(cluster_->scheduler()) {}

  void assign(std::vector<Position> positions);
  void seek(const TopicPartition& partition, Offset offset);
  void pause(const TopicPartition& partition);
  void resume(const TopicPartition& partition);
  Task<Result<PollResult>> poll(MonotonicTime deadline);
  void wake() {
    wake_requested_ = true;
    changed_.notify_all();
  }
  Offset position(const TopicPartition& partition) const;
  Offset known_end(const TopicPartition& partition) const;
  Ends known_ends(const TopicPartition& partition) const;
  std::optional<Trouble> trouble() const;
  void close() override;

 private:
  /// Of one partition, out of one answer; not yet decompressed.
  struct Run {
    std::shared_ptr<const Buffer> bytes;
    std::vector<protocol::RecordBatchView> batches;
    std::size_t handed_out_count = 0;  ///< of the batches
    std::vector<LostRange> lost;
    Offset first_offset;
    Offset next_offset;
    Offset high_watermark;
    Offset last_stable_offset;
  };
  struct Partition {
    TopicId topic_id;
    Offset position;        ///< handed out up to here
    Offset fetch_position;  ///< asked for up to here
    std::deque<Run> queue;
    bool is_paused = false;
    bool is_stalled = false;  ///< until a seek
    NodeId leader = kNoNode;
    MonotonicTime retry_at;
    int failure_count = 0;
    std::optional<Trouble> trouble;  ///< until an answer comes
    Ends known_ends;                 ///< absent until an answer for this position
  };
  using Partitions = std::map<TopicPartition, Partition>;

  void drop_questions();
  void restart(Partition& partition, Offset offset);
  void pump();
  /// False, and failure_ is set: the name belongs to another topic now.
  bool is_its_topic(const TopicPartition& name, const Partition& partition);
  bool wants_more(NodeId node) const;
  bool is_due(const Partition& partition, MonotonicTime now) const;
  void arm_retry(MonotonicTime time);
  void put_off(Partition& partition, const Error& why);
  protocol::FetchRequest make_request(NodeId node) const;
  static Task<void> ask(std::shared_ptr<Core> self, NodeId node, std::uint64_t round);
  static Task<void> find_leaders(std::shared_ptr<Core> self, std::uint64_t round);
  void accept_answer(const protocol::FetchRequest& request,
                     const Reply<protocol::FetchResponse>& reply);
  void accept_partition(const TopicPartition& name, Partition& partition,
                        const protocol::FetchResponse::Partition& result,
                        const std::shared_ptr<const Buffer>& bytes);
  Result<Run> read_records(const TopicPartition& name, const Partition& partition,
                           const protocol::FetchResponse::Partition& result,
                           const std::shared_ptr<const Buffer>& bytes) const;
  Status hand_out(PollResult& result);
  Result<FetchedRun> unpack(const TopicPartition& name, Run& run, std::size_t& bytes_left) const;
  bool has_something() const;

  std::shared_ptr<Cluster> cluster_;
  FetchOptions options_;
  std::size_t unpacked_bytes_max_;
  Channel channel_;
  io::Event changed_;
  Partitions partitions_;
  std::map<NodeId, bool> asking_;
  bool finding_leaders_ = false;
  /// Counts assignments and seeks: an answer to an older question is dropped.
  std::uint64_t round_ = 0;
  std::vector<OffsetOutOfRange> out_of_range_;
  std::optional<Error> failure_;
  TopicPartition last_handed_out_;
  bool wake_requested_ = false;
  bool closed_ = false;
  io::TimerId retry_timer_ = 0;
  MonotonicTime retry_armed_;
};

// ---- the owner's calls

void Fetcher::Core::restart(Partition& partition, Offset offset) {
  partition.position = partition.fetch_position = offset;
  partition.queue.clear();
  partition.is_stalled = false;
  partition.known_ends = {};
  partition.trouble.reset();
}

// Questions on their way are for positions that no longer matter, and a long poll among them would
// hold up the next one. A new connection costs less than waiting for it.
void Fetcher::Core::drop_questions() {
  ++round_;
  failure_.reset();
  finding_leaders_ = false;
  const bool is_asking = std::ranges::any_of(asking_, [](const auto& node) { return node.second; });
  asking_.clear();
  if (is_asking) {
    cluster_->close_channel(channel_, Error{ErrorCode::kConnectionLost, "the fetcher moved"});
  }
  for (auto& [name, partition] : partitions_) {
    partition.fetch_position =
        partition.queue.empty() ? partition.position : partition.queue.back().next_offset;
  }
}

void Fetcher::Core::assign(std::vector<Position> positions) {
  Partitions assigned;
  for (const Position& wanted : positions) {
    Partition& partition = assigned[wanted.partition];
    const auto place = partitions_.find(wanted.partition);
    if (place != partitions_.end()) {
      partition = std::move(place->second);
      partition.is_paused = false;
    }
    if (place == partitions_.end() || partition.position != wanted.offset ||
        partition.topic_id != wanted.topic_id || partition.is_stalled) {
      restart(partition, wanted.offset);
    }
    if (partition.topic_id != wanted.topic_id) {
      partition.topic_id = wanted.topic_id;
      partition.leader = kNoNode;
    }
  }
  partitions_ = std::move(assigned);
  out_of_range_.clear();
  drop_questions();
  pump();
}

void Fetcher::Core::seek(const TopicPartition& name, Offset offset) {
  const auto place = partitions_.find(name);
  CHECK(place != partitions_.end());
  restart(place->second, offset);
  std::erase_if(out_of_range_, [&](const auto& event) { return event.partition == name; });
  drop_questions();
  pump();
}

void Fetcher::Core::pause(const TopicPartition& name) {
  const auto place = partitions_.find(name);
  CHECK(place != partitions_.end());
  place->second.is_paused = true;
  // Kept, it would hold up the other partitions of its broker.
  place->second.queue.clear();
  place->second.fetch_position = place->second.position;
}

void Fetcher::Core::resume(const TopicPartition& name) {
  const auto place = partitions_.find(name);
  CHECK(place != partitions_.end());
  if (std::exchange(place->second.is_paused, false)) {
    drop_questions();
    pump();
  }
}

Offset Fetcher::Core::position(const TopicPartition& name) const {
  const auto place = partitions_.find(name);
  return place == partitions_.end() ? kNoOffset : place->second.position;
}

Offset Fetcher::Core::known_end(const TopicPartition& name) const {
  const auto place = partitions_.find(name);
  if (place == partitions_.end()) {
    return kNoOffset;
  }
  return options_.isolation_level == IsolationLevel::kReadCommitted
             ? place->second.known_ends.last_stable
             : place->second.known_ends.high_watermark;
}

Fetcher::Ends Fetcher::Core::known_ends(const TopicPartition& name) const {
  const auto place = partitions_.find(name);
  return place == partitions_.end() ? Ends{} : place->second.known_ends;
}

std::optional<Fetcher::Trouble> Fetcher::Core::trouble() const {
  std::optional<Trouble> oldest;
  for (const auto& [name, partition] : partitions_) {
    if (partition.trouble && !partition.is_paused &&
        (!oldest || partition.trouble->since < oldest->since)) {
      oldest = partition.trouble;
    }
  }
  return oldest;
}

void Fetcher::Core::close() {
  if (closed_) {
    return;
  }
  closed_ = true;
  cluster_->scheduler().cancel(std::exchange(retry_timer_, 0));
  cluster_->close_channel(channel_, cancelled_error());
  changed_.notify_all();
}

bool Fetcher::Core::has_something() const {
  return !out_of_range_.empty() || std::ranges::any_of(partitions_, [](const auto& one) {
    return !one.second.queue.empty();
  });
}

Task<Result<PollResult>> Fetcher::Core::poll(MonotonicTime deadline) {
  const auto self = shared_from_this();
  while (!closed_ && !failure_ && !has_something() && !wake_requested_) {
    if (!co_await changed_.wait_until(deadline)) {
      break;
    }
  }
  wake_requested_ = false;
  if (closed_) {
    co_return std::unexpected(cancelled_error());
  }
  PollResult result;
  if (Status handed = hand_out(result); !handed) {
    failure_ = handed.error();  // for every poll to come: nothing is skipped
  }
  result.out_of_range = std::exchange(out_of_range_, {});
  if (failure_ && result.runs.empty() && result.out_of_range.empty()) {
    co_return std::unexpected(*failure_);
  }
  pump();
  co_return result;
}

// Who was last is not first again: a partition with much to unpack does not hold up the others.
Status Fetcher::Core::hand_out(PollResult& result) {
  std::size_t bytes_left = unpacked_bytes_max_;
  auto place = partitions_.upper_bound(last_handed_out_);
  for (std::size_t count = 0; count < partitions_.size() && bytes_left > 0; ++count, ++place) {
    if (place == partitions_.end()) {
      place = partitions_.begin();
    }
    auto& [name, partition] = *place;
    if (partition.queue.empty()) {
      continue;
    }
    Run& run = partition.queue.front();
    auto handed = unpack(name, run, bytes_left);
    RETURN_IF_ERROR(handed);
    partition.position = handed->next_offset;
    if (run.handed_out_count == run.batches.size()) {
      partition.queue.pop_front();
    }
    last_handed_out_ = name;
    result.runs.push_back(std::move(*handed));
  }
  return {};
}

Result<FetchedRun> Fetcher::Core::unpack(const TopicPartition& name, Run& run,
                                         std::size_t& bytes_left) const {
  FetchedRun handed;
  handed.partition = name;
  handed.first_offset = run.first_offset;
  handed.high_watermark = run.high_watermark;
  handed.last_stable_offset = run.last_stable_offset;
  handed.bytes = run.bytes;
  while (run.handed_out_count < run.batches.size() && bytes_left > 0) {
    const protocol::RecordBatchView& batch = run.batches[run.handed_out_count];
    auto decoded = protocol::DecodedBatch::decode(batch);
    if (!decoded && !handed.batches.empty()) {
      break;  // what lies before it comes first
    }
    if (!decoded) {
      return fail(decoded.error().code,
                  fmt::format("{}-{}: the batch at offset {}: {}", name.topic, name.partition.value,
                              batch.header().base_offset.value, decoded.error().text));
    }
    bytes_left -= std::min(bytes_left, decoded->record_bytes().size());
    handed.next_offset = decoded->header().next_offset();
    handed.batches.push_back(std::move(*decoded));
    ++run.handed_out_count;
  }
  if (run.handed_out_count == run.batches.size()) {
    handed.next_offset = run.next_offset;
  }
  const auto later = std::ranges::find_if(
      run.lost, [&](const LostRange& lost) { return lost.from >= handed.next_offset; });
  handed.lost.assign(run.lost.begin(), later);
  run.lost.erase(run.lost.begin(), later);
  return handed;
}

// ---- asking

bool Fetcher::Core::is_due(const Partition& partition, MonotonicTime now) const {
  return !partition.is_paused && !partition.is_stalled && partition.retry_at <= now;
}

bool Fetcher::Core::wants_more(NodeId node) const {
  const MonotonicTime now = cluster_->scheduler().now();
  bool has_due = false;
  for (const auto& [name, partition] : partitions_) {
    if (partition.leader != node || !is_due(partition, now)) {
      continue;
    }
    if (partition.queue.size() >= kQueuedRunsMax) {
      return false;
    }
    has_due = true;
  }
  return has_due;
}

void Fetcher::Core::arm_retry(MonotonicTime time) {
  if (retry_timer_ != 0) {
    if (retry_armed_ <= time) {
      return;
    }
    cluster_->scheduler().cancel(retry_timer_);
  }
  retry_armed_ = time;
  retry_timer_ = cluster_->scheduler().schedule_at(time, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) {
      self->retry_timer_ = 0;
      self->pump();
    }
  });
}

void Fetcher::Core::put_off(Partition& partition, const Error& why) {
  if (partition.trouble) {
    partition.trouble->error = why;
  } else {
    partition.trouble = Trouble{why, cluster_->scheduler().now()};
  }
  const auto doublings = std::min(partition.failure_count++, 10);
  partition.retry_at =
      cluster_->scheduler().now() + std::min(cluster_->options().retry_backoff * (1 << doublings),
                                             cluster_->options().retry_backoff_max);
}

// What metadata says of the name when the leader is learned; an answer by id says it too late for
// brokers that know no ids in Fetch.
bool Fetcher::Core::is_its_topic(const TopicPartition& name, const Partition& partition) {
  const TopicId now = cluster_->known_topic_id(name.topic);
  if (partition.topic_id.is_zero() || now.is_zero() || now == partition.topic_id) {
    return true;
  }
  failure_ = Error{ErrorCode::kRefused,
                   fmt::format("{}-{}: another topic of that name: it was deleted and made again "
                               "while offset {} of it was to be read; its id was {} and is {} now; "
                               "to begin the new topic at its first offset: onceflow reset FILE "
                               "--to-earliest --execute",
                               name.topic, name.partition.value, partition.fetch_position.value,
                               to_text(partition.topic_id), to_text(now))};
  changed_.notify_all();
  return false;
}

void Fetcher::Core::pump() {
  if (closed_ || failure_) {
    return;
  }
  const MonotonicTime now = cluster_->scheduler().now();
  bool leaders_are_missing = false;
  std::vector<NodeId> nodes;
  for (auto& [name, partition] : partitions_) {
    if (!is_due(partition, now)) {
      if (partition.retry_at > now) {
        arm_retry(partition.retry_at);
      }
      continue;
    }
    if (partition.leader == kNoNode) {
      partition.leader = cluster_->known_leader(name);
      if (!is_its_topic(name, partition)) {
        return;
      }
    }
    if (partition.leader == kNoNode) {
      leaders_are_missing = true;
    } else if (std::ranges::find(nodes, partition.leader) == nodes.end()) {
      nodes.push_back(partition.leader);
    }
  }
  for (const NodeId node : nodes) {
    if (!asking_[node] && wants_more(node)) {
      asking_[node] = true;
      cluster_->scheduler().spawn(ask(shared_from_this(), node, round_));
    }
  }
  if (leaders_are_missing && !finding_leaders_) {
    finding_leaders_ = true;
    cluster_->scheduler().spawn(find_leaders(shared_from_this(), round_));
  }
}

Task<void> Fetcher::Core::find_leaders(std::shared_ptr<Core> self, std::uint64_t round) {
  const MonotonicTime deadline =
      self->cluster_->scheduler().now() + 5 * self->cluster_->options().retry_backoff_max;
  std::vector<TopicPartition> missing;
  for (const auto& [name, partition] : self->partitions_) {
    if (partition.leader == kNoNode) {
      missing.push_back(name);
    }
  }
  std::map<std::string, Error> unknown;  // asked for until the deadline, for all its partitions
  for (const TopicPartition& name : missing) {
    const auto known = unknown.find(name.topic);
    const Result<NodeId> leader = known == unknown.end()
                                      ? co_await self->cluster_->leader(name, deadline)
                                      : Result<NodeId>(std::unexpected(known->second));
    if (self->closed_ || self->round_ != round) {
      co_return;
    }
    const auto place = self->partitions_.find(name);
    if (leader) {
      if (!self->is_its_topic(name, place->second)) {
        co_return;
      }
      place->second.leader = *leader;
    } else if (leader.error().recovery == Recovery::kFatal &&
               leader.error().code == ErrorCode::kRefused) {
      self->failure_ = leader.error();
    } else {
      if (leader.error().code == ErrorCode::kNotFound) {
        unknown.try_emplace(name.topic, leader.error());
      }
      self->put_off(place->second, leader.error());
    }
  }
  self->finding_leaders_ = false;
  self->changed_.notify_all();
  self->pump();
}

protocol::FetchRequest Fetcher::Core::make_request(NodeId node) const {
  protocol::FetchRequest request;
  request.max_wait_ms = static_cast<std::int32_t>(to_ms(options_.fetch_wait_max));
  request.min_bytes = options_.fetch_bytes_min;
  request.max_bytes = options_.fetch_bytes_max;
  request.isolation_level = static_cast<std::int8_t>(options_.isolation_level);
  const MonotonicTime now = cluster_->scheduler().now();
  for (const auto& [name, partition] : partitions_) {
    if (partition.leader != node || !is_due(partition, now)) {
      continue;
    }
    if (request.topics.empty() || request.topics.back().topic != name.topic) {
      request.topics.emplace_back().topic = name.topic;
      request.topics.back().topic_id = partition.topic_id;
    }
    auto& wanted = request.topics.back().partitions.emplace_back();
    wanted.partition = name.partition.value;
    wanted.fetch_offset = partition.fetch_position.value;
    wanted.partition_max_bytes = options_.partition_bytes_max;
  }
  // Who stands first is served first when the answer is full: so it changes.
  if (!request.topics.empty()) {
    auto& topics = request.topics;
    std::ranges::rotate(topics,
                        topics.begin() + static_cast<std::ptrdiff_t>(
                                             cluster_->environment().random.below(topics.size())));
    for (auto& topic : topics) {
      std::ranges::rotate(topic.partitions,
                          topic.partitions.begin() +
                              static_cast<std::ptrdiff_t>(
                                  cluster_->environment().random.below(topic.partitions.size())));
    }
  }
  return request;
}

Task<void> Fetcher::Core::ask(std::shared_ptr<Core> self, NodeId node, std::uint64_t round) {
  Cluster& cluster = *self->cluster_;
  const auto is_over = [&] { return self->closed_ || self->round_ != round; };
  const auto connection = co_await cluster.connection(
      self->channel_, node, cluster.scheduler().now() + 2 * cluster.options().retry_backoff_max);
  if (is_over()) {
    co_return;
  }
  std::optional<Error> failed = connection ? std::nullopt : std::optional(connection.error());
  if (connection) {
    const protocol::FetchRequest request = self->make_request(node);
    if (request.topics.empty()) {
      self->asking_[node] = false;
      co_return;
    }
    const MonotonicTime deadline =
        cluster.request_deadline(MonotonicTime::max()) + self->options_.fetch_wait_max;
    const bool knows_ids = std::ranges::none_of(
        request.topics, [](const auto& topic) { return topic.topic_id.is_zero(); });
    const auto reply =
        co_await (*connection)
            ->send(request, deadline, knows_ids ? request.kVersionMax : kNamesVersionMax);
    if (is_over()) {
      co_return;
    }
    if (!reply) {
      failed = reply.error();
    } else if (reply->body.error_code != protocol::ErrorCode::kNone) {
      failed = broker_error(reply->body.error_code, "Fetch");
    } else {
      self->accept_answer(request, *reply);
    }
  }
  if (failed) {
    if (failed->code == ErrorCode::kUnsupported || failed->code == ErrorCode::kCorrupt) {
      self->failure_ = failed;
    }
    for (auto& [name, partition] : self->partitions_) {
      if (partition.leader == node) {
        self->put_off(partition, *failed);
        if (!connection) {
          // The node may be gone for good, and its partitions led by others.
          partition.leader = kNoNode;
          cluster.forget_topic(name.topic);
        }
      }
    }
  }
  self->asking_[node] = false;
  if (self->has_something() || self->failure_) {
    self->changed_.notify_all();
  }
  self->pump();
}

// ---- answers

void Fetcher::Core::accept_answer(const protocol::FetchRequest& request,
                                  const Reply<protocol::FetchResponse>& reply) {
  std::map<TopicPartition, Offset> asked;
  std::map<TopicId, std::string> names;
  for (const auto& topic : request.topics) {
    names[topic.topic_id] = topic.topic;
    for (const auto& partition : topic.partitions) {
      asked[{topic.topic, PartitionIndex(partition.partition)}] = Offset(partition.fetch_offset);
    }
  }
  for (const auto& topic : reply->responses) {
    for (const auto& result : topic.partitions) {
      const TopicPartition name{
          reply.version > kNamesVersionMax ? names[topic.topic_id] : topic.topic,
          PartitionIndex(result.partition_index)};
      const auto place = partitions_.find(name);
      const auto question = asked.find(name);
      if (place == partitions_.end() || question == asked.end() ||
          question->second != place->second.fetch_position || place->second.is_paused) {
        continue;
      }
      accept_partition(name, place->second, result, reply.bytes);
    }
  }
}

void Fetcher::Core::accept_partition(const TopicPartition& name, Partition& partition,
                                     const protocol::FetchResponse::Partition& result,
                                     const std::shared_ptr<const Buffer>& bytes) {
  using enum protocol::ErrorCode;
  if (result.error_code == kOffsetOutOfRange) {
    partition.is_stalled = true;
    out_of_range_.push_back({name, partition.fetch_position});
    return;
  }
  if (result.error_code != kNone) {
    const Error refusal = broker_error(
        result.error_code, fmt::format("Fetch of {}-{} at offset {}", name.topic,
                                       name.partition.value, partition.fetch_position.value));
    if (is_wrong_leader(result.error_code) || result.error_code == kUnknownTopicId ||
        result.error_code == kInconsistentTopicId) {
      partition.leader = kNoNode;
      cluster_->forget_topic(name.topic);
    } else if (!protocol::retriable(result.error_code) || result.error_code == kCorruptMessage) {
      failure_ = refusal;
      if (result.error_code == kCorruptMessage) {
        failure_->code = ErrorCode::kCorrupt;
        failure_->recovery = Recovery::kFatal;
      }
    }
    put_off(partition, refusal);
    return;
  }
  partition.failure_count = 0;
  partition.trouble.reset();
  auto run = read_records(name, partition, result, bytes);
  if (!run) {
    failure_ = run.error();
    return;
  }
  partition.known_ends = {run->last_stable_offset, run->high_watermark,
                          cluster_->scheduler().now()};
  if (run->next_offset > partition.fetch_position) {
    partition.fetch_position = run->next_offset;
    partition.queue.push_back(std::move(*run));
  }
}

Result<Fetcher::Core::Run> Fetcher::Core::read_records(
    const TopicPartition& name, const Partition& partition,
    const protocol::FetchResponse::Partition& result,
    const std::shared_ptr<const Buffer>& bytes) const {
  Run run;
  run.bytes = bytes;
  run.first_offset = run.next_offset = partition.fetch_position;
  run.high_watermark = Offset(result.high_watermark);
  run.last_stable_offset = Offset(result.last_stable_offset);
  std::vector<AbortedFilter::Aborted> aborted;
  if (options_.isolation_level == IsolationLevel::kReadCommitted && result.aborted_transactions) {
    for (const auto& transaction : *result.aborted_transactions) {
      aborted.push_back({ProducerId(transaction.producer_id), Offset(transaction.first_offset)});
    }
  }
  AbortedFilter filter(std::move(aborted));
  protocol::RecordBatchReader reader(result.records.value_or(ByteView{}));
  const auto corrupt = [&](std::string_view why) {
    return fail(ErrorCode::kCorrupt, fmt::format("{}-{} after offset {}: {}", name.topic,
                                                 name.partition.value, run.next_offset.value, why));
  };
  while (true) {
    const auto batch = reader.next();
    const bool is_damaged = !batch || (*batch && options_.check_crcs && !(*batch)->crc_matches());
    if (is_damaged && run.next_offset > run.first_offset) {
      break;  // what lies before it comes first; the next answer begins with it
    }
    if (is_damaged) {
      return corrupt(batch ? "the checksum of a batch is wrong" : batch.error().text);
    }
    if (!*batch) {
      break;
    }
    const bool is_shown = filter.shows(**batch);
    const protocol::RecordBatchHeader& header = (*batch)->header();
    if (header.next_offset() <= run.next_offset) {
      continue;
    }
    if (holds_lost_offsets(header)) {
      run.lost.push_back({std::max(header.base_offset, run.next_offset), header.next_offset()});
    }
    run.next_offset = header.next_offset();
    if (is_shown && header.records_count > 0) {
      run.batches.push_back(**batch);
    }
  }
  if (run.next_offset == run.first_offset && reader.bytes_left() > 0) {
    return corrupt("a batch does not fit max.partition.fetch.bytes, and the broker cut it");
  }
  return run;
}

// ---- the face

Fetcher::Fetcher(std::shared_ptr<Cluster> cluster, FetchOptions options,
                 std::size_t unpacked_bytes_max)
    : core_(std::make_shared<Core>(cluster, options, unpacked_bytes_max)) {
  cluster->add_user(core_);
}
Fetcher::~Fetcher() { close(); }
Fetcher::Fetcher(Fetcher&&) noexcept = default;
Fetcher& Fetcher::operator=(Fetcher&& other) noexcept {
  if (this != &other) {
    close();
    core_ = std::move(other.core_);
  }
  return *this;
}

void Fetcher::assign(std::vector<Position> positions) { core_->assign(std::move(positions)); }
void Fetcher::seek(const TopicPartition& partition, Offset offset) {
  core_->seek(partition, offset);
}
void Fetcher::pause(const TopicPartition& partition) { core_->pause(partition); }
void Fetcher::resume(const TopicPartition& partition) { core_->resume(partition); }
Task<Result<PollResult>> Fetcher::poll(MonotonicTime deadline) { return core_->poll(deadline); }
void Fetcher::wake() { core_->wake(); }
Offset Fetcher::position(const TopicPartition& partition) const {
  return core_->position(partition);
}
Offset Fetcher::known_end(const TopicPartition& partition) const {
  return core_->known_end(partition);
}
Fetcher::Ends Fetcher::known_ends(const TopicPartition& partition) const {
  return core_->known_ends(partition);
}
std::optional<Fetcher::Trouble> Fetcher::trouble() const { return core_->trouble(); }
bool Fetcher::is_at_end(const TopicPartition& partition) const {
  const Offset end = core_->known_end(partition);
  return end != kNoOffset && core_->position(partition) >= end;
}
void Fetcher::close() {
  if (core_) {
    core_->close();
  }
}

}  // namespace onceflow::client
