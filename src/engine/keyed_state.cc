#include "engine/keyed_state.h"

#include <algorithm>

namespace onceflow::engine {
namespace {

client::FetchOptions changelog_options(const StageOptions& options) {
  client::FetchOptions fetch = options.fetch;
  fetch.isolation_level = client::IsolationLevel::kReadCommitted;
  return fetch;
}

}  // namespace

KeyedState::KeyedState(std::shared_ptr<client::Cluster> cluster, const AggregateSpec& spec,
                       const StageOptions& options)
    : cluster_(std::move(cluster)),
      spec_(spec),
      admin_(cluster_),
      fetcher_(cluster_, changelog_options(options)) {}

Task<Status> KeyedState::restore(std::span<const TopicPartition> partitions, OnProgress on_progress,
                                 MonotonicTime deadline) {
  drop_pending();
  std::erase_if(tables_, [&](const auto& entry) {
    return std::ranges::none_of(partitions, [&](const TopicPartition& partition) {
      return partition.partition == entry.first;
    });
  });
  std::vector<TopicPartition> cold;
  for (const TopicPartition& source : partitions) {
    Partition& partition =
        tables_.try_emplace(source.partition, Partition{AggregateTable(spec_)}).first->second;
    if (partition.changelog_position == kNoOffset) {
      cold.push_back({spec_.changelog_topic, source.partition});
    }
  }
  if (!cold.empty()) {
    const auto earliest = co_await admin_.list_offsets(
        cold, client::Admin::kEarliest, client::IsolationLevel::kReadUncommitted, deadline);
    CO_RETURN_IF_ERROR(earliest);
    for (const client::ListedOffset& listed : *earliest) {
      tables_.at(listed.partition.partition).changelog_position = listed.offset;
    }
  }
  const Status read = co_await read_changelog(on_progress, deadline);
  fetcher_.assign({});
  co_return read;
}

Task<Status> KeyedState::read_changelog(const OnProgress& on_progress, MonotonicTime deadline) {
  std::vector<TopicPartition> changelogs;
  std::vector<client::Fetcher::Position> positions;
  for (const auto& [index, partition] : tables_) {
    changelogs.push_back({spec_.changelog_topic, index});
    positions.push_back({changelogs.back(), partition.changelog_position});
  }
  // The end as uncommitted readers see it: the last stable offset may lie before records that were
  // committed behind another transaction's open ones.
  const auto ends = co_await admin_.list_offsets(
      changelogs, client::Admin::kLatest, client::IsolationLevel::kReadUncommitted, deadline);
  CO_RETURN_IF_ERROR(ends);
  fetcher_.assign(std::move(positions));
  const auto is_behind = [&](const client::ListedOffset& end) {
    return tables_.at(end.partition.partition).changelog_position < end.offset;
  };
  while (std::ranges::any_of(*ends, is_behind)) {
    const auto polled = co_await fetcher_.poll(deadline);
    CO_RETURN_IF_ERROR(polled);
    if (!polled->out_of_range.empty()) {
      co_return fail(ErrorCode::kCorrupt, "changelog '" + spec_.changelog_topic +
                                              "': records were deleted from it, so the state "
                                              "cannot be rebuilt; it must keep everything "
                                              "(retention.ms=-1, retention.bytes=-1)");
    }
    for (const client::FetchedRun& run : polled->runs) {
      const auto count = read_run(run);
      CO_RETURN_IF_ERROR(count);
      on_progress(*count);
    }
    if (cluster_->scheduler().now() >= deadline) {
      co_return fail(ErrorCode::kTimedOut,
                     "changelog '" + spec_.changelog_topic + "': its end was not reached in time",
                     Recovery::kRetriable);
    }
  }
  co_return Status{};
}

Result<std::uint64_t> KeyedState::read_run(const client::FetchedRun& run) {
  Partition& partition = tables_.at(run.partition.partition);
  Status restored;
  std::uint64_t count = 0;
  RETURN_IF_ERROR(
      run.for_each([&](const protocol::RecordBatchHeader&, const protocol::RecordView& record) {
        ++count;
        if (restored && record.key) {
          restored = partition.table.restore(*record.key, record.value);
        }
      }));
  RETURN_IF_ERROR(restored);
  partition.changelog_position = run.next_offset;
  return count;
}

Status KeyedState::write_changes(TopicWriter& changelog) {
  Status written;
  for (auto& [index, partition] : tables_) {
    partition.table.for_each_pending([&](const AggregateTable::Change& change) {
      if (written) {
        written = changelog.append_to(index, {.key = change.key, .value = change.state});
      }
    });
  }
  return written;
}

void KeyedState::apply(const TopicWriter& changelog, const RecordOutput& output) {
  for (auto& [index, partition] : tables_) {
    partition.table.apply_pending();
    // The producer may have written here in an earlier assignment, long before what was restored.
    if (changelog.has_written_to(index)) {
      const Offset end = output.acknowledged_end(changelog.slot(index));
      // What was applied is never read again, and never passed over.
      CHECK_INVARIANT("STG-2", end > partition.changelog_position);
      partition.changelog_position = end;
    }
  }
}

void KeyedState::drop_pending() {
  for (auto& [index, partition] : tables_) {
    partition.table.drop_pending();
  }
}

std::map<PartitionIndex, AggregateTable*> KeyedState::tables() {
  std::map<PartitionIndex, AggregateTable*> tables;
  for (auto& [index, partition] : tables_) {
    tables.emplace(index, &partition.table);
  }
  return tables;
}

std::uint64_t KeyedState::key_count() const {
  std::uint64_t count = 0;
  for (const auto& [index, partition] : tables_) {
    count += partition.table.key_count();
  }
  return count;
}

}  // namespace onceflow::engine
