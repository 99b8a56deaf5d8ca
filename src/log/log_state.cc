#include "log/log_state.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/check.h"
#include "io/time_slice.h"
#include "log/damage.h"

namespace onceflow::log {

namespace {
constexpr std::size_t kTailBytesMax = 48u << 20;
constexpr std::uint64_t kRoomCheckBytes = 16u << 20;
// Of the states of producers, when there is no room for another: so many at a time, for all are
// looked at.
constexpr std::size_t kProducersForgottenShare = 10;
// Segments set nothing aside where there is less than this many times what must be left.
constexpr std::uint64_t kReservingFreeFactor = 4;
// Of a topic's name in that of a folder to be removed, which has its id: a file system takes 255.
constexpr std::size_t kDoomedNameKeptMax = 190;

std::string hexadecimal(const TopicId& id) {
  std::string text;
  for (const std::uint8_t byte : id.bytes) {
    fmt::format_to(std::back_inserter(text), "{:02x}", byte);
  }
  return text;
}
}  // namespace

LogState::LogState(const io::Environment& an_environment, LogOptions the_options)
    : environment(an_environment),
      options(std::move(the_options)),
      // A batch that fills a flush is written as soon as it is durable, so it is not held for long.
      files(environment.disk, options.open_files_max, options.segment_flush_bytes,
            environment.seeded_bug),
      files_removed(environment.scheduler),
      checkpoint_done(environment.scheduler) {}

LogState::~LogState() { *alive = false; }

Result<std::unique_ptr<Topic>> LogState::make_topic(const TopicEntry& entry) {
  auto config = apply_overrides(options.topic_defaults, entry.overrides);
  RETURN_IF_ERROR(config);
  if (entry.partition_count < 1 || !check_topic_name(entry.name)) {
    return fail_damaged(Damage::kCheckpointDoesNotDecode, "topic",
                        "its name or number of partitions is nonsense");
  }
  auto topic = std::make_unique<Topic>();
  topic->id = entry.id;
  topic->name = entry.name;
  topic->config = *config;
  topic->overrides = entry.overrides;
  add_partitions(*topic, entry.partition_count);
  return topic;
}

void LogState::add_partitions(Topic& topic, std::int32_t partition_count) {
  for (auto index = static_cast<std::int32_t>(topic.partitions.size()); index < partition_count;
       ++index) {
    const PartitionIndex partition(index);
    std::string directory =
        topics_directory() + "/" + partition_directory_name(topic.name, partition);
    auto added = std::unique_ptr<Partition>(new Partition(  // its constructor is private
        topic, partition, files, std::move(directory), options.on_damage));
    added->skips_unsynced_markers_ =
        environment.seeded_bug == SeededBug::kLastStablePastUnsyncedMarker;
    topic.partitions.push_back(std::move(added));
  }
}

void LogState::advance_when_durable(JournalPosition position, Partition& partition,
                                    Segment& segment) {
  pending_advances_.push_back(
      {position, &partition, &segment, partition.log_end_offset_, segment.size_bytes()});
}

void LogState::remove_when_durable(JournalPosition position, const TopicIdPartition& partition,
                                   std::unique_ptr<Segment> segment) {
  last_removal = position;
  removals_.push_back({position, partition, std::move(segment), {}});
}

void LogState::on_durable(JournalPosition position) {
  const auto due = std::ranges::upper_bound(removals_, removals_due_, {}, &Removal::position);
  if (due != removals_.end() && due->position <= position) {
    if (const Status synced = journal->sync(); !synced) {
      fail(synced.error());
      return;
    }
    removals_due_ = position;
    post_removals();
  }
  // advanced_ holds each partition once; its final high watermark is that of its last entry.
  while (!pending_advances_.empty() && pending_advances_.front().position <= position) {
    const PendingAdvance& advance = pending_advances_.front();
    advance.segment->set_durable(advance.segment_bytes);
    Partition& partition = *advance.partition;
    partition.durable_end_ = advance.end;
    if (!std::exchange(partition.in_advanced_, true)) {
      advanced_.push_back(&partition);
    }
    pending_advances_.pop_front();
  }
  for (Partition* partition : std::exchange(advanced_, {})) {
    partition->in_advanced_ = false;
    changes.note(*partition);
    if (partition->advance_high_watermark(partition->durable_end_) && partition_advanced) {
      partition_advanced(*partition);
    }
    flush_later(*partition);
  }
  if (files.tail_bytes() > kTailBytesMax) {
    if (const Status flushed = flush_all(1); !flushed) {
      fail(flushed.error());
      return;
    }
  }
  if (position - journal->released() >= options.checkpoint_every_bytes && !is_checkpointing) {
    environment.scheduler.post(guarded([this] { start_checkpoint(); }));
  }
}

// In a turn of its own, behind those who wait for what is durable: they need no segment.
void LogState::flush_later(Partition& partition) {
  if (to_flush_.empty()) {
    environment.scheduler.post(guarded([this] {
      for (Partition* waiting : std::exchange(to_flush_, {})) {
        waiting->in_to_flush_ = false;
        const Status flushed = waiting->segments_.flush(options.segment_flush_bytes);
        if (!flushed && !journal->has_failed()) {
          fail(flushed.error());
        }
      }
    }));
  }
  if (!std::exchange(partition.in_to_flush_, true)) {
    to_flush_.push_back(&partition);
  }
}

Status LogState::flush_all(std::uint64_t unwritten_bytes_min) {
  for (const auto& [name, topic] : topics.by_name()) {
    for (const auto& partition : topic->partitions) {
      RETURN_IF_ERROR(partition->segments_.flush(unwritten_bytes_min));
    }
  }
  return {};
}

void LogState::start_checkpoint() {
  if (!std::exchange(is_checkpointing, true)) {
    environment.scheduler.spawn(run_checkpoint(*this, alive));
  }
}

// --- Removing ---

void LogState::forget_topic(std::unique_ptr<Topic> topic, JournalPosition position) {
  std::erase_if(pending_advances_, [&](const PendingAdvance& advance) {
    return &advance.partition->topic_ == topic.get();
  });
  std::erase_if(to_flush_,
                [&](const Partition* partition) { return &partition->topic_ == topic.get(); });
  last_removal = position;
  for (const auto& partition : topic->partitions) {
    producer_state_count -= partition->producers_.size();
    if (partition->log_end_offset_ > Offset(0)) {  // else there is no folder, and many may be so
      removals_.push_back({position, partition->id(), nullptr, topic->name});
    }
  }
}

void LogState::post_removals() {
  if (std::exchange(removals_posted_, true)) {
    return;
  }
  environment.scheduler.post(guarded([this] {
    removals_posted_ = false;
    const io::TimeSlice slice(environment.scheduler, options.removal_slice);
    do {
      Removal removal = std::move(removals_.front());
      removals_.pop_front();
      if (const Status removed = remove(std::move(removal)); !removed) {
        removals_.clear();
        fail(removed.error());
      }
    } while (has_removals_before(removals_due_) && !slice.is_over());
    if (has_removals_before(removals_due_)) {
      post_removals();
    }
    remove_doomed();
    files_removed.notify_all();
  }));
}

// The topic, the partition, and another topic of that name may have come and gone meanwhile.
Status LogState::remove(Removal removal) {
  if (removal.segment != nullptr) {
    Partition* const owner = topics.find(removal.partition);
    // That of a partition that is gone goes with its folder.
    return owner == nullptr ? Status{} : owner->segments_.remove_files(std::move(removal.segment));
  }
  const Partition* const successor = topics.find(removal.topic_name, removal.partition.partition);
  if (successor != nullptr && successor->segments_.has_directory()) {
    return {};  // it has removed what was there
  }
  return doom_directory(
      topics_directory() + "/" +
          partition_directory_name(removal.topic_name, removal.partition.partition),
      removal.partition.topic_id);
}

Status LogState::doom_directory(const std::string& partition_directory, const TopicId& id) {
  const auto exists = environment.disk.exists(partition_directory);
  RETURN_IF_ERROR(exists);
  if (!*exists) {
    return {};
  }
  const std::string parent = io::parent_directory(partition_directory);
  const std::string name = partition_directory.substr(parent.size() + 1);
  const std::size_t dash = name.rfind('-');
  std::string doomed =
      fmt::format("{}/{}{}.{}{}", parent, name.substr(0, std::min(dash, kDoomedNameKeptMax)),
                  name.substr(dash), hexadecimal(id), kDeletedSuffix);
  RETURN_IF_ERROR(remove_directory(environment.disk, doomed));
  RETURN_IF_ERROR(environment.disk.rename(partition_directory, doomed));
  topics_directory_unsynced = true;
  doom(std::move(doomed));
  return {};
}

// One file a turn: removing a large one takes the file system milliseconds.
void LogState::remove_doomed() {
  if (doomed_.empty() || std::exchange(removing_, true)) {
    return;
  }
  environment.scheduler.post(guarded([this] {
    removing_ = false;
    const std::string& directory = doomed_.front();
    const auto entries = environment.disk.list(directory);
    // What cannot be removed now is tried again at the next start.
    Status removed = entries ? Status{} : std::unexpected(entries.error());
    const bool is_empty = removed && entries->empty();
    if (removed) {
      removed =
          environment.disk.remove(is_empty ? directory : directory + "/" + entries->back().name);
    }
    if (!removed || is_empty) {
      doomed_.pop_front();
    }
    remove_doomed();
  }));
}

// --- Producers ---

void LogState::count_producers() {
  producer_state_count = 0;
  for (const auto& [name, topic] : topics.by_name()) {
    for (const auto& partition : topic->partitions) {
      producer_state_count += partition->producers_.size();
    }
  }
}

Segment& LogState::apply_marker(Partition& partition,
                                const protocol::EndTransactionMarker& marker) {
  const std::size_t known = partition.producers_.size();
  Segment& segment = partition.apply_marker(marker, environment.scheduler.now(),
                                            producer_state_count < options.producer_states_max
                                                ? ProducerStates::Room::kSome
                                                : ProducerStates::Room::kNone);
  producer_state_count += partition.producers_.size() - known;
  return segment;
}

bool LogState::has_room_for_producer() {
  const MonotonicTime now = environment.scheduler.now();
  if (producer_state_count < options.producer_states_max) {
    return true;
  }
  if (now < next_idle_producer_) {
    return false;
  }
  std::vector<MonotonicTime> silent_since;
  for (const auto& [name, topic] : topics.by_name()) {
    for (const auto& partition : topic->partitions) {
      partition->producers_.add_idle_since(silent_since);
    }
  }
  const MonotonicTime oldest_kept = now - options.producer_state_idle_min;
  std::ranges::sort(silent_since);
  const auto too_young = std::ranges::lower_bound(silent_since, oldest_kept);
  if (too_young == silent_since.begin()) {
    next_idle_producer_ = silent_since.empty()
                              ? now + options.producer_state_idle_min
                              : silent_since.front() + options.producer_state_idle_min;
    return false;
  }
  const std::size_t beyond = producer_state_count - options.producer_states_max + 1;
  const std::size_t wanted =
      std::max(beyond, options.producer_states_max / kProducersForgottenShare);
  const auto last = std::min(too_young, silent_since.begin() + static_cast<std::ptrdiff_t>(std::min(
                                                                   wanted, silent_since.size()))) -
                    1;
  const MonotonicTime forgotten_before = *last + Duration(1);
  for (const auto& [name, topic] : topics.by_name()) {
    for (const auto& partition : topic->partitions) {
      producer_state_count -= partition->producers_.expire(forgotten_before);
    }
  }
  return producer_state_count < options.producer_states_max;
}

// --- Room ---

bool LogState::has_room() {
  const bool is_due =
      disk_is_full_ ? environment.scheduler.now() - room_checked_at_ >= seconds(1)
                    : journal->end() - room_checked_ >= kRoomCheckBytes || room_checked_.value == 0;
  if (is_due) {
    room_checked_ = journal->end();
    room_checked_at_ = environment.scheduler.now();
    const auto free_bytes = environment.disk.free_bytes(options.directory);
    if (!free_bytes) {
      return !disk_is_full_;
    }
    // What has been taken in already needs its room in the journal and in the segments.
    const std::uint64_t left_bytes =
        *free_bytes -
        std::min<std::uint64_t>(*free_bytes, journal->buffered_bytes() + files.tail_bytes());
    const bool was_full = disk_is_full_;
    disk_is_full_ = left_bytes < options.free_bytes_min;
    files.set_reserving(left_bytes >= kReservingFreeFactor * options.free_bytes_min);
    if (disk_is_full_ != was_full && options.on_damage) {
      options.on_damage(
          {ErrorCode::kDiskFull,
           disk_is_full_
               ? fmt::format(
                     "{}: {} bytes are left on this disk, less than the reserve of {} bytes "
                     "(log.free.bytes.min): no record is taken in until there is more room; "
                     "free some, shorten retention, or set a smaller reserve",
                     options.directory, left_bytes, options.free_bytes_min)
               : fmt::format(
                     "{}: {} bytes are left on this disk, more than the reserve of {} bytes "
                     "(log.free.bytes.min): there is room again",
                     options.directory, left_bytes, options.free_bytes_min),
           onceflow::Recovery::kRetriable});
    }
  }
  return !disk_is_full_;
}

}  // namespace onceflow::log
