#include "engine/keyed_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "base/utf8.h"
#include "engine/hold_inquiry.h"

namespace onceflow::engine {
namespace {

/// What is done before the loop may do other work.
constexpr std::size_t kRecordsPerStep = 256;
constexpr Duration kLeaveCheck = milliseconds(200);

// The pipeline writes the state of a key, whole, and its producers have ids. What another one has
// put in the place of a state must not be counted on from, nor can it be left out: the topic is
// compacted, and the state that was there may be gone.
Status restore_record(AggregateTable& table, const protocol::RecordBatchHeader& header,
                      const protocol::RecordView& record) {
  std::string problem;
  if (!record.key || !record.value) {
    problem = record.key ? "it has no value" : "it has no key";
  } else {
    Status restored = table.restore(*record.key, record.value);
    if (restored || header.has_producer_id()) {
      return restored;
    }
    problem = fmt::format("its producer has no id ({})", restored.error().text);
  }
  return fail(ErrorCode::kCorrupt,
              fmt::format("this record is not one of the pipeline's: {}; the rule: nobody else "
                          "writes a changelog, and the count of key '{}' would begin at nothing; "
                          "the fix: restore the topic as it was before, or count anew: onceflow "
                          "reset FILE --to-earliest --execute",
                          problem, record.key ? printable(as_text(*record.key)) : "none"));
}

client::FetchOptions changelog_options(const StageOptions& options) {
  client::FetchOptions fetch = options.fetch;
  fetch.isolation_level = client::IsolationLevel::kReadCommitted;
  return fetch;
}

}  // namespace

KeyedState::KeyedState(std::shared_ptr<client::Cluster> cluster, const AggregateSpec& spec,
                       std::string definition, const StageOptions& options)
    : cluster_(std::move(cluster)),
      spec_(spec),
      definition_(std::move(definition)),
      admin_(cluster_),
      fetcher_(cluster_, changelog_options(options)),
      call_timeout_(options.call_timeout),
      patience_(options.decision_wait_max()),
      slice_(cluster_->scheduler(), options.slice_length) {}

Task<Status> KeyedState::restore(std::span<const TopicPartition> partitions, OnProgress on_progress,
                                 std::function<bool()> must_leave) {
  drop_pending();
  std::erase_if(tables_, [&](const auto& entry) {
    return std::ranges::none_of(partitions, [&](const TopicPartition& partition) {
      return partition.partition == entry.first;
    });
  });
  std::vector<TopicPartition> cold;
  for (const TopicPartition& source : partitions) {
    Partition& partition =
        tables_
            .try_emplace(source.partition,
                         Partition{AggregateTable(spec_, definition_, accepted_definitions_)})
            .first->second;
    if (partition.changelog_position == kNoOffset) {
      cold.push_back({spec_.changelog_topic, source.partition});
    }
  }
  if (!cold.empty()) {
    const auto earliest = co_await admin_.list_offsets(cold, client::Admin::kEarliest,
                                                       client::IsolationLevel::kReadUncommitted,
                                                       cluster_->scheduler().now() + call_timeout_);
    CO_RETURN_IF_ERROR(earliest);
    for (const client::ListedOffset& listed : *earliest) {
      if (listed.offset > Offset(0)) {
        co_return records_are_gone(listed.partition);
      }
      tables_.at(listed.partition.partition).changelog_position = listed.offset;
    }
  }
  const Status read = co_await read_changelog(on_progress, must_leave);
  fetcher_.assign({});
  co_return read;
}

Task<Status> KeyedState::read_changelog(const OnProgress& on_progress,
                                        const std::function<bool()>& must_leave) {
  std::vector<TopicPartition> changelogs;
  std::vector<client::Fetcher::Position> positions;
  for (const auto& [index, partition] : tables_) {
    changelogs.push_back({spec_.changelog_topic, index});
    positions.push_back({changelogs.back(), partition.changelog_position});
  }
  // The end as uncommitted readers see it: the last stable offset may lie before records that were
  // committed behind another transaction's open ones.
  const auto ends = co_await admin_.list_offsets(changelogs, client::Admin::kLatest,
                                                 client::IsolationLevel::kReadUncommitted,
                                                 cluster_->scheduler().now() + call_timeout_);
  CO_RETURN_IF_ERROR(ends);
  fetcher_.assign(std::move(positions));
  const auto is_behind = [&](const client::ListedOffset& end) {
    return tables_.at(end.partition.partition).changelog_position < end.offset;
  };
  MonotonicTime give_up_at = cluster_->scheduler().now() + patience_;
  while (std::ranges::any_of(*ends, is_behind) && !must_leave()) {
    auto polled = co_await fetcher_.poll(cluster_->scheduler().now() + kLeaveCheck);
    CO_RETURN_IF_ERROR(polled);
    if (!polled->out_of_range.empty()) {
      co_return records_are_gone(polled->out_of_range.front().partition);
    }
    for (client::FetchedRun& run : polled->runs) {
      CO_RETURN_IF_ERROR(co_await read_run(std::move(run), on_progress));
      give_up_at = cluster_->scheduler().now() + patience_;
    }
    if (cluster_->scheduler().now() >= give_up_at) {
      const TopicPartition held = std::ranges::find_if(*ends, is_behind)->partition;
      const auto trouble = fetcher_.trouble();
      const std::string why =
          trouble
              ? trouble->error.text
              : co_await why_no_end(cluster_, held, tables_.at(held.partition).changelog_position);
      co_return fail(ErrorCode::kTimedOut,
                     fmt::format("changelog '{}': its end was not reached in time{}{}",
                                 spec_.changelog_topic, why.empty() ? "" : ": ", why),
                     Recovery::kRetriable);
    }
  }
  co_return Status{};
}

// A log begins at 0 until something is deleted from it; compaction leaves its start where it is.
Status KeyedState::records_are_gone(const TopicPartition& changelog) {
  return fail(ErrorCode::kCorrupt,
              fmt::format("changelog {}-{}: its first records were deleted, so the state cannot be "
                          "rebuilt, and counting on would begin at nothing; a changelog keeps "
                          "everything (cleanup.policy=compact, retention.ms=-1, "
                          "retention.bytes=-1); restore it, or count anew: onceflow reset FILE "
                          "--to-earliest --execute",
                          changelog.topic, changelog.partition.value));
}

// Compaction leaves nothing of the kind: it keeps the newest state of each key.
Status KeyedState::records_are_lost(const TopicPartition& changelog,
                                    const client::LostRange& lost) {
  return fail(ErrorCode::kCorrupt,
              fmt::format("changelog {}-{} offsets {}..{} are lost: onceflow salvage found nothing "
                          "there that could be read, so a key may have an older state than the "
                          "position, or none, and counting on would go on from that; the fix: a "
                          "copy of the log that has them, or count anew: onceflow reset FILE "
                          "--to-earliest --execute",
                          changelog.topic, changelog.partition.value, lost.from.value,
                          lost.next.value - 1));
}

Task<Status> KeyedState::read_run(client::FetchedRun run, const OnProgress& on_progress) {
  if (!run.lost.empty()) {
    co_return records_are_lost(run.partition, run.lost.front());
  }
  Partition& partition = tables_.at(run.partition.partition);
  const TopicPartition partition_name = run.partition;
  client::RunReader reader(std::move(run));
  while (!reader.is_done()) {
    std::size_t count = 0;
    Status restored;
    CO_RETURN_IF_ERROR(reader.read(
        [&](const protocol::RecordBatchHeader& header, const protocol::RecordView& record) {
          if (!restored || count == kRecordsPerStep) {
            return false;
          }
          ++count;
          restored = restore_record(partition.table, header, record);
          if (!restored) {
            restored.error().text =
                fmt::format("{}-{}@{}: {}", partition_name.topic, partition_name.partition.value,
                            header.offset_of(record).value, restored.error().text);
          }
          return true;
        }));
    CO_RETURN_IF_ERROR(restored);
    on_progress(count);
    co_await slice_.rest();
  }
  partition.changelog_position = reader.run().next_offset;
  co_return Status{};
}

Task<Status> KeyedState::apply(const TopicWriter& changelog, const RecordOutput& output) {
  for (auto& [index, partition] : tables_) {
    while (!partition.table.apply_pending(kRecordsPerStep)) {
      co_await slice_.rest();
    }
    // The producer may have written here in an earlier assignment, long before what was restored.
    if (changelog.has_written_to(index)) {
      const Offset end = output.acknowledged_end(changelog.slot(index));
      // A log does not give an offset twice: this one was made anew under the stage.
      if (end <= partition.changelog_position) {
        co_return fail(
            ErrorCode::kCorrupt,
            fmt::format(
                "changelog {}-{}: another topic of that name: it ended at offset {}, and "
                "the commit that it has just taken ends at {}; the states before are in the "
                "topic that was deleted; to count anew: onceflow reset FILE --to-earliest "
                "--execute",
                spec_.changelog_topic, index.value, partition.changelog_position.value, end.value));
      }
      partition.changelog_position = end;
    }
    CHECK_INVARIANT("STG-2", partition.table.pending_count() == 0);
  }
  co_return Status{};
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
