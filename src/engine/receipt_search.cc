#include "engine/receipt_search.h"

#include <algorithm>

#include "client/admin.h"
#include "client/fetcher.h"

namespace onceflow::engine {
namespace {

using NewestInputs = std::map<TopicPartition, protocol::Receipt::Input>;

Status add(const client::FetchedRun& run, const std::string& stage, NewestInputs& newest) {
  return run.for_each([&](const protocol::RecordBatchHeader&, const protocol::RecordView& record) {
    const auto receipt = protocol::decode_receipt(record.value.value_or(ByteView{}));
    if (!receipt || receipt->stage != stage) {
      return;  // One that does not decode is the audit's to name.
    }
    for (const protocol::Receipt::Input& input : receipt->inputs) {
      newest[input.source] = input;
    }
  });
}

}  // namespace

Task<Result<NewestInputs>> find_newest_inputs(std::shared_ptr<client::Cluster> cluster,
                                              const StageOptions& options, std::string stage) {
  client::FetchOptions fetch = options.fetch;
  fetch.isolation_level = client::IsolationLevel::kReadCommitted;
  client::Admin admin(cluster);
  client::Fetcher fetcher(cluster, fetch);
  const auto deadline = [&] { return cluster->scheduler().now() + options.call_timeout; };
  const TopicPartition receipts{options.receipts_topic, PartitionIndex(0)};
  std::vector<TopicPartition> partitions{receipts};
  const auto start = co_await admin.list_offsets(
      partitions, client::Admin::kEarliest, client::IsolationLevel::kReadUncommitted, deadline());
  CO_RETURN_IF_ERROR(start);
  // Past transactions of others that are open now: ours may have committed behind them.
  const auto end =
      co_await admin.list_offsets(std::move(partitions), client::Admin::kLatest,
                                  client::IsolationLevel::kReadUncommitted, deadline());
  CO_RETURN_IF_ERROR(end);
  NewestInputs newest;
  Offset position = start->front().offset;
  if (position >= end->front().offset) {
    co_return newest;
  }
  fetcher.assign({{receipts, position}});
  const auto patience_end = [&] {
    return cluster->scheduler().now() + options.decision_wait_max();
  };
  MonotonicTime until = patience_end();
  while (position < end->front().offset) {
    const auto polled = co_await fetcher.poll(until);
    CO_RETURN_IF_ERROR(polled);
    for (const client::FetchedRun& run : polled->runs) {
      CO_RETURN_IF_ERROR(add(run, stage, newest));
      position = run.next_offset;
      until = patience_end();
    }
    if (!polled->out_of_range.empty() || cluster->scheduler().now() >= until) {
      co_return fail(ErrorCode::kTimedOut,
                     "topic '" + options.receipts_topic + "': its end was not reached in time",
                     Recovery::kRetriable);
    }
  }
  co_return newest;
}

}  // namespace onceflow::engine
