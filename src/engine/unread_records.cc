#include "engine/unread_records.h"

#include <algorithm>

#include "client/admin.h"
#include "client/fetcher.h"

namespace onceflow::engine {

Task<Result<std::optional<Offset>>> first_unread(std::shared_ptr<client::Cluster> cluster,
                                                 client::CommittedOffset position,
                                                 MonotonicTime deadline) {
  client::Admin admin(cluster);
  const auto level = client::IsolationLevel::kReadCommitted;
  const auto begin =
      co_await admin.list_offsets({position.partition}, client::Admin::kEarliest, level, deadline);
  CO_RETURN_IF_ERROR(begin);
  const auto end =
      co_await admin.list_offsets({position.partition}, client::Admin::kLatest, level, deadline);
  CO_RETURN_IF_ERROR(end);
  Offset next = std::max(position.offset, begin->front().offset);
  client::FetchOptions options;
  options.isolation_level = level;
  client::Fetcher fetcher(cluster, options);
  fetcher.assign({{position.partition, next}});
  std::optional<Offset> found;
  while (!found && next < end->front().offset) {
    const auto polled = co_await fetcher.poll(deadline);
    CO_RETURN_IF_ERROR(polled);
    for (const client::FetchedRun& run : polled->runs) {
      CO_RETURN_IF_ERROR(run.for_each(
          [&](const protocol::RecordBatchHeader& header, const protocol::RecordView& record) {
            const Offset offset = header.offset_of(record);
            if (!found && offset >= position.offset) {
              found = offset;
            }
          }));
      next = run.next_offset;
    }
    if (!found && next < end->front().offset && cluster->scheduler().now() >= deadline) {
      co_return fail(ErrorCode::kTimedOut,
                     position.partition.topic + ": its end was not reached in time",
                     Recovery::kRetriable);
    }
  }
  co_return found;
}

}  // namespace onceflow::engine
