#include "engine/unread_records.h"

#include <fmt/format.h>

#include <algorithm>

#include "client/admin.h"
#include "client/fetcher.h"
#include "engine/hold_inquiry.h"

namespace onceflow::engine {
namespace {

/// More are not read only to be counted.
constexpr std::int64_t kCountedMax = 100'000;

std::string committed_text(const UnreadRecords& unread) {
  return fmt::format("{}..{} ({}{} record{})", unread.first.value, unread.last.value,
                     unread.is_counted ? "" : "at most ", unread.count,
                     unread.count == 1 ? "" : "s");
}

// From the position on and before `until`, what lies past the last stable offset.
Task<Result<std::optional<UnreadRecords::HeldBack>>> held_back(
    std::shared_ptr<client::Cluster> cluster, client::CommittedOffset position, Offset stable_end,
    std::optional<Offset> until, MonotonicTime deadline) {
  client::Admin admin(cluster);
  const auto latest =
      co_await admin.list_offsets({position.partition}, client::Admin::kLatest,
                                  client::IsolationLevel::kReadUncommitted, deadline);
  CO_RETURN_IF_ERROR(latest);
  const Offset first = std::max(position.offset, stable_end);
  const Offset end = std::min(latest->front().offset, until.value_or(latest->front().offset));
  if (first >= end) {
    co_return std::nullopt;
  }
  const auto holder =
      co_await find_holder(cluster, cluster->new_channel(), position.partition, first);
  co_return UnreadRecords::HeldBack{
      .first = first,
      .last = Offset(end.value - 1),
      .holder = holder ? describe_holder(*holder)
                       : std::string("a transaction that has ended in this moment")};
}

}  // namespace

Task<Result<std::optional<UnreadRecords>>> unread_records(std::shared_ptr<client::Cluster> cluster,
                                                          client::CommittedOffset position,
                                                          std::optional<Offset> until,
                                                          MonotonicTime deadline) {
  client::Admin admin(cluster);
  const auto level = client::IsolationLevel::kReadCommitted;
  const auto begin =
      co_await admin.list_offsets({position.partition}, client::Admin::kEarliest, level, deadline);
  CO_RETURN_IF_ERROR(begin);
  const auto latest =
      co_await admin.list_offsets({position.partition}, client::Admin::kLatest, level, deadline);
  CO_RETURN_IF_ERROR(latest);
  const Offset end = std::min(latest->front().offset, until.value_or(latest->front().offset));
  Offset next = std::max(position.offset, begin->front().offset);
  const Offset from = next;
  client::FetchOptions options;
  options.isolation_level = level;
  client::Fetcher fetcher(cluster, options);
  fetcher.assign({{position.partition, next}});
  UnreadRecords unread;
  while (next < end && unread.count <= kCountedMax) {
    const auto polled = co_await fetcher.poll(deadline);
    CO_RETURN_IF_ERROR(polled);
    for (const client::FetchedRun& run : polled->runs) {
      CO_RETURN_IF_ERROR(run.for_each(
          [&](const protocol::RecordBatchHeader& header, const protocol::RecordView& record) {
            const Offset offset = header.offset_of(record);
            if (offset < from || offset >= end) {
              return;
            }
            unread.first = unread.count == 0 ? offset : unread.first;
            unread.last = offset;
            ++unread.count;
          }));
      next = run.next_offset;
    }
    if (next < end && cluster->scheduler().now() >= deadline) {
      co_return fail(ErrorCode::kTimedOut,
                     position.partition.topic + ": its end was not reached in time",
                     Recovery::kRetriable);
    }
  }
  const auto held = co_await held_back(cluster, position, latest->front().offset, until, deadline);
  CO_RETURN_IF_ERROR(held);
  unread.held_back = *held;
  if (unread.count == 0 && !unread.held_back) {
    co_return std::nullopt;
  }
  if (next < end) {
    unread.is_counted = false;
    unread.last = Offset(end.value - 1);
    unread.count = end - unread.first;
  }
  co_return unread;
}

std::string describe(const TopicPartition& partition, const UnreadRecords& unread) {
  std::string text = fmt::format("{}-{} offsets {}", partition.topic, partition.partition.value,
                                 unread.count > 0 ? committed_text(unread) : std::string());
  if (unread.held_back) {
    text += fmt::format("{}{}..{} (held back by {})", unread.count > 0 ? " and " : "",
                        unread.held_back->first.value, unread.held_back->last.value,
                        unread.held_back->holder);
  }
  return text;
}

}  // namespace onceflow::engine
