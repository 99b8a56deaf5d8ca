// The part of a checkpoint that takes long: every segment that was written since the last one is
// synced, and its folder if it is new.
//
// A few are synced one after another, so that the journal's writes find their way between. Of many,
// several are under way at a time: the file system makes one commit of the syncs that come
// together, and each of ten thousand partitions with a first record would wait for its own.
#include <vector>

#include "io/event.h"
#include "log/log_state.h"

namespace onceflow::log {

namespace {

constexpr std::size_t kOneByOneMax = 64;
constexpr std::size_t kAtOnce = 16;

// What has to be synced: found again by identity at each step, for topics may go meanwhile.
std::vector<TopicIdPartition> unsynced_partitions(const LogState& state) {
  std::vector<TopicIdPartition> partitions;
  for (const auto& [name, topic] : state.topics.by_name()) {
    for (const auto& partition : topic->partitions) {
      if (LogState::is_unsynced(*partition)) {
        partitions.push_back(partition->id());
      }
    }
  }
  return partitions;
}

}  // namespace

bool LogState::is_unsynced(const Partition& partition) { return partition.segments_.is_unsynced(); }

// Makes durable what the partition's segments held when this began.
Task<Status> LogState::sync_partition(LogState& state, std::shared_ptr<bool> alive,
                                      TopicIdPartition id) {
  Partition* partition = state.topics.find(id);
  if (partition == nullptr) {
    co_return Status{};
  }
  CO_RETURN_IF_ERROR(partition->segments_.flush(1));
  std::vector<Offset> unsynced;
  for (const auto& segment : partition->segments_.all()) {
    if (segment->is_unsynced()) {
      unsynced.push_back(segment->base_offset());
    }
  }
  for (const Offset base_offset : unsynced) {
    Segment* segment = partition->segments_.find(base_offset);
    if (segment == nullptr || !segment->is_unsynced()) {
      continue;  // retention has taken it
    }
    const auto opened = segment->begin_sync();
    CO_RETURN_IF_ERROR(opened);
    CO_RETURN_IF_ERROR(unless_closed(alive, co_await (*opened)->sync_later()));
    partition = state.topics.find(id);
    if (partition == nullptr) {
      co_return Status{};
    }
  }
  // Last, for syncing a new file has often done the work of syncing its folder.
  state.topics_directory_unsynced =
      partition->segments_.take_directory_new() || state.topics_directory_unsynced;
  const bool skips_names = state.environment.seeded_bug == SeededBug::kCheckpointBeforeNames;
  if (partition->segments_.take_directory_unsynced() && !skips_names) {
    Status synced = unless_closed(alive, co_await state.environment.disk.sync_directory_later(
                                             partition->segments_.directory()));
    if (*alive && state.topics.find(id) == nullptr) {
      co_return Status{};  // deleted meanwhile, and its folder renamed
    }
    CO_RETURN_IF_ERROR(synced);
  }
  co_return Status{};
}

// Shared by the tasks that do the work and the checkpoint that waits for them.
struct LogState::SyncWork {
  SyncWork(io::Scheduler& scheduler, std::vector<TopicIdPartition> of_partitions)
      : partitions(std::move(of_partitions)), done(scheduler) {}

  const std::vector<TopicIdPartition> partitions;
  std::size_t next = 0;
  std::size_t task_count = 0;
  Status status;  // the first failure
  io::Event done;
};

Task<void> LogState::do_sync_work(LogState& state, std::shared_ptr<bool> alive,
                                  std::shared_ptr<SyncWork> work) {
  while (*alive && work->status && work->next < work->partitions.size()) {
    const TopicIdPartition id = work->partitions[work->next++];
    Status synced = co_await sync_partition(state, alive, id);
    if (!synced && work->status) {
      work->status = std::move(synced);
    }
  }
  if (--work->task_count == 0) {
    work->done.notify_all();
  }
}

Task<Status> LogState::sync_partitions(LogState& state, std::shared_ptr<bool> alive) {
  const auto work =
      std::make_shared<SyncWork>(state.environment.scheduler, unsynced_partitions(state));
  work->task_count = work->partitions.size() <= kOneByOneMax ? 1 : kAtOnce;
  io::Scheduler& scheduler = state.environment.scheduler;
  for (std::size_t left = work->task_count; left > 0; --left) {
    scheduler.spawn(do_sync_work(state, alive, work));
  }
  while (work->task_count > 0) {
    co_await work->done.wait();
  }
  co_return unless_closed(alive, std::move(work->status));
}

}  // namespace onceflow::log
