#include "engine/receipt_search.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "client/admin.h"
#include "client/fetcher.h"
#include "engine/foreign_records.h"
#include "engine/hold_inquiry.h"

namespace onceflow::engine {
namespace {

using NewestInputs = std::map<TopicPartition, protocol::Receipt::Input>;
using VisitReceipt = std::function<void(const protocol::Receipt&)>;

/// Committed receipts of one pipeline, as they are read.
class ReceiptVisit {
 public:
  ReceiptVisit(const StageOptions& options, VisitReceipt visit)
      : options_(options), visit_(std::move(visit)) {}

  Status visit(const client::FetchedRun& run) {
    return run.for_each(
        [&](const protocol::RecordBatchHeader& header, const protocol::RecordView& record) {
          const auto receipt = protocol::decode_receipt(record.value.value_or(ByteView{}));
          if (receipt && receipt->pipeline == options_.pipeline) {
            visit_(*receipt);
          } else if (strange_count_++ == 0) {
            first_ = fmt::format(
                "{}-0@{}: {}", options_.receipts_topic, header.offset_of(record).value,
                receipt ? "a receipt of pipeline " + receipt->pipeline : receipt.error().text);
          }
        });
  }

  /// What others have written there, or was altered, says nothing of the stage; the audit names
  /// each.
  void tell() const {
    if (strange_count_ > 0) {
      options_.tell(foreign_records(first_, strange_count_));
    }
  }

 private:
  const StageOptions& options_;
  const VisitReceipt visit_;
  std::string first_;
  std::size_t strange_count_ = 0;
};

/// Receipts and markers that are looked at where only the newest are wanted.
constexpr std::int64_t kTailOffsets = 500;

/// So long nothing came before it is asked, and told, who holds it back.
constexpr Duration kSilenceMax = seconds(5);

enum class Part : std::uint8_t { kAll, kTail };

Task<Status> visit_receipts(std::shared_ptr<client::Cluster> cluster, const StageOptions& options,
                            Part part, VisitReceipt visit) {
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
  // Past transactions of others that are open now: ours may have committed behind them. A look at
  // the tail waits for nobody.
  const auto end =
      co_await admin.list_offsets(std::move(partitions), client::Admin::kLatest,
                                  part == Part::kAll ? client::IsolationLevel::kReadUncommitted
                                                     : client::IsolationLevel::kReadCommitted,
                                  deadline());
  CO_RETURN_IF_ERROR(end);
  Offset position = start->front().offset;
  if (part == Part::kTail) {
    position = std::max(position, Offset(end->front().offset.value - kTailOffsets));
  }
  if (position >= end->front().offset) {
    co_return Status{};
  }
  fetcher.assign({{receipts, position}});
  const auto patience_end = [&] {
    return cluster->scheduler().now() + options.decision_wait_max();
  };
  MonotonicTime until = patience_end();
  MonotonicTime ask_at = cluster->scheduler().now() + kSilenceMax;
  std::string why;
  ReceiptVisit receipts_seen(options, std::move(visit));
  while (position < end->front().offset) {
    const auto polled = co_await fetcher.poll(why.empty() ? std::min(until, ask_at) : until);
    CO_RETURN_IF_ERROR(polled);
    for (const client::FetchedRun& run : polled->runs) {
      CO_RETURN_IF_ERROR(receipts_seen.visit(run));
      position = run.next_offset;
      until = patience_end();
    }
    if (!polled->out_of_range.empty() || cluster->scheduler().now() >= until) {
      co_return fail(ErrorCode::kTimedOut,
                     fmt::format("topic '{}': its end was not reached in time{}{}",
                                 options.receipts_topic, why.empty() ? "" : ": ", why),
                     Recovery::kRetriable);
    }
    if (why.empty() && cluster->scheduler().now() >= ask_at) {
      ask_at += kSilenceMax;
      why = co_await why_no_end(cluster, receipts, position);
      if (!why.empty()) {
        options.tell({.level = LogLevel::kWarn, .stage = {}, .event = "held back", .text = why});
      }
    }
  }
  receipts_seen.tell();
  co_return Status{};
}

Task<Result<NewestInputs>> find_inputs(std::shared_ptr<client::Cluster> cluster,
                                       const StageOptions& options, std::string stage, Part part) {
  NewestInputs newest;
  const auto add = [&](const protocol::Receipt& receipt) {
    if (receipt.stage == stage) {
      for (const protocol::Receipt::Input& input : receipt.inputs) {
        newest[input.source] = input;
      }
    }
  };
  CO_RETURN_IF_ERROR(co_await visit_receipts(std::move(cluster), options, part, add));
  co_return newest;
}

}  // namespace

Task<Result<NewestInputs>> find_newest_inputs(std::shared_ptr<client::Cluster> cluster,
                                              const StageOptions& options, std::string stage) {
  return find_inputs(std::move(cluster), options, std::move(stage), Part::kAll);
}

Task<Result<NewestInputs>> find_last_inputs(std::shared_ptr<client::Cluster> cluster,
                                            const StageOptions& options, std::string stage) {
  return find_inputs(std::move(cluster), options, std::move(stage), Part::kTail);
}

Task<Result<protocol::ReceiptsByStage>> find_receipts_by_stage(
    std::shared_ptr<client::Cluster> cluster, const StageOptions& options) {
  protocol::ReceiptsByStage receipts;
  const auto topic = co_await cluster->existing_topic(
      options.receipts_topic, cluster->scheduler().now() + options.call_timeout);
  if (!topic && topic.error().code == ErrorCode::kNotFound) {
    co_return receipts;
  }
  CO_RETURN_IF_ERROR(topic);
  const auto add = [&](const protocol::Receipt& receipt) {
    protocol::add_receipt(receipts, receipt);
  };
  CO_RETURN_IF_ERROR(co_await visit_receipts(std::move(cluster), options, Part::kAll, add));
  co_return receipts;
}

}  // namespace onceflow::engine
