#include "engine/first_read.h"

#include <algorithm>
#include <set>

#include "client/fetcher.h"

namespace onceflow::engine {
namespace {

constexpr Duration kTimeMax = seconds(3);
constexpr Duration kPollInterval = milliseconds(50);
constexpr std::int32_t kPartitionBytesMax = 64 << 10;

std::vector<client::Fetcher::Position> positions_of(const StageRehearsal& stage) {
  std::vector<client::Fetcher::Position> positions;
  positions.reserve(stage.goes_on.size() + stage.begins.size());
  for (const KeptPosition& position : stage.goes_on) {
    positions.push_back({position.source, position.next_offset});
  }
  for (const OpenedPosition& position : stage.begins) {
    positions.push_back({position.before.source, position.next_offset});
  }
  return positions;
}

}  // namespace

Task<Status> try_first_read(std::shared_ptr<client::Cluster> cluster, client::FetchOptions fetch,
                            const StageRehearsal& stage) {
  std::vector<client::Fetcher::Position> positions = positions_of(stage);
  std::set<TopicPartition> unheard;
  for (const client::Fetcher::Position& position : positions) {
    unheard.insert(position.partition);
  }
  fetch.fetch_wait_max = kPollInterval;
  fetch.partition_bytes_max = std::min(fetch.partition_bytes_max, kPartitionBytesMax);
  client::Fetcher fetcher(cluster, fetch);
  fetcher.assign(std::move(positions));
  const MonotonicTime until = cluster->scheduler().now() + kTimeMax;
  while (!unheard.empty() && cluster->scheduler().now() < until) {
    const auto polled =
        co_await fetcher.poll(std::min(until, cluster->scheduler().now() + kPollInterval));
    CO_RETURN_IF_ERROR(polled);
    for (const client::OffsetOutOfRange& one : polled->out_of_range) {
      unheard.erase(one.partition);  // The stage has looked at the bounds.
    }
    std::erase_if(unheard, [&](const TopicPartition& partition) {
      const bool is_heard = fetcher.known_ends(partition).high_watermark != kNoOffset;
      if (is_heard) {
        fetcher.pause(partition);
      }
      return is_heard;
    });
  }
  const auto trouble = fetcher.trouble();
  fetcher.close();
  if (!unheard.empty() && trouble) {
    co_return fail(trouble->error.code, trouble->error.text, Recovery::kRetriable);
  }
  co_return Status{};
}

}  // namespace onceflow::engine
