#include "engine/receipt_search.h"

#include <functional>
#include <utility>

#include "client/admin.h"
#include "client/fetcher.h"

namespace onceflow::engine {
namespace {

using NewestInputs = std::map<TopicPartition, protocol::Receipt::Input>;
using VisitReceipt = std::function<void(const protocol::Receipt&)>;

// One that does not decode is the audit's to name.
Status visit_run(const client::FetchedRun& run, const VisitReceipt& visit) {
  return run.for_each([&](const protocol::RecordBatchHeader&, const protocol::RecordView& record) {
    if (const auto receipt = protocol::decode_receipt(record.value.value_or(ByteView{}))) {
      visit(*receipt);
    }
  });
}

Task<Status> visit_receipts(std::shared_ptr<client::Cluster> cluster, const StageOptions& options,
                            VisitReceipt visit) {
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
  Offset position = start->front().offset;
  if (position >= end->front().offset) {
    co_return Status{};
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
      CO_RETURN_IF_ERROR(visit_run(run, visit));
      position = run.next_offset;
      until = patience_end();
    }
    if (!polled->out_of_range.empty() || cluster->scheduler().now() >= until) {
      co_return fail(ErrorCode::kTimedOut,
                     "topic '" + options.receipts_topic + "': its end was not reached in time",
                     Recovery::kRetriable);
    }
  }
  co_return Status{};
}

}  // namespace

Task<Result<NewestInputs>> find_newest_inputs(std::shared_ptr<client::Cluster> cluster,
                                              const StageOptions& options, std::string stage) {
  NewestInputs newest;
  const auto add = [&](const protocol::Receipt& receipt) {
    if (receipt.stage == stage) {
      for (const protocol::Receipt::Input& input : receipt.inputs) {
        newest[input.source] = input;
      }
    }
  };
  CO_RETURN_IF_ERROR(co_await visit_receipts(std::move(cluster), options, add));
  co_return newest;
}

Task<Result<std::map<std::string, std::uint64_t>>> find_newest_definitions(
    std::shared_ptr<client::Cluster> cluster, const StageOptions& options) {
  std::map<std::string, std::uint64_t> newest;
  const auto topic = co_await cluster->existing_topic(
      options.receipts_topic, cluster->scheduler().now() + options.call_timeout);
  if (!topic && topic.error().code == ErrorCode::kNotFound) {
    co_return newest;
  }
  CO_RETURN_IF_ERROR(topic);
  const auto add = [&](const protocol::Receipt& receipt) {
    newest[receipt.stage] = receipt.definition;
  };
  CO_RETURN_IF_ERROR(co_await visit_receipts(std::move(cluster), options, add));
  co_return newest;
}

}  // namespace onceflow::engine
