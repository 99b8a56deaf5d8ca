#include "audit/record_search.h"

#include <fmt/format.h>

#include <unordered_map>
#include <vector>

#include "audit/names.h"
#include "base/record_hash.h"
#include "protocol/record_batch.h"

namespace onceflow::audit {
namespace {

/// A place with more records than these is not searched.
constexpr std::size_t kRecordsMax = 1'000'000;
constexpr std::int64_t kSurplusMax = 2;

struct Candidate {
  std::uint64_t hash = 0;
  Offset offset;
  std::string name;
};

std::uint64_t hash_of(const Surplus& surplus, Offset offset, const protocol::RecordView& record) {
  return surplus.is_input
             ? input_record_hash(surplus.partition.partition, offset, record.key, record.value)
             : output_record_hash(surplus.partition.partition, record.key, record.value);
}

/// Adds the records of `bytes` that lie in the place. Returns where reading goes on.
Result<Offset> add_candidates(const Surplus& surplus, ByteView bytes, Offset position,
                              std::vector<Candidate>& candidates) {
  protocol::RecordBatchReader batches(bytes);
  while (true) {
    const auto batch = batches.next();
    RETURN_IF_ERROR(batch);
    if (!*batch) {
      return position;
    }
    const protocol::RecordBatchHeader& header = (*batch)->header();
    position = std::max(position, header.next_offset());
    if (header.is_control() || (!surplus.is_input && header.producer() != surplus.producer)) {
      continue;
    }
    const auto decoded = protocol::DecodedBatch::decode(**batch);
    RETURN_IF_ERROR(decoded);
    for (const protocol::RecordView& record : decoded->records()) {
      const Offset offset = header.offset_of(record);
      if (offset >= surplus.from && offset < surplus.next) {
        candidates.push_back({hash_of(surplus, offset, record), offset, name_key(record.key)});
      }
    }
  }
}

std::string name_of(const Candidate& candidate) {
  return fmt::format("offset {} ({})", candidate.offset.value, candidate.name);
}

// A copy has the hash of its original: which of them is too many cannot be told, nor need it be.
std::string name_one(const std::vector<Candidate>& candidates, std::uint64_t hash) {
  std::string names;
  for (const Candidate& candidate : candidates) {
    if (candidate.hash == hash) {
      names += (names.empty() ? "" : ", a copy of ") + name_of(candidate);
    }
  }
  return names;
}

std::string name_two(const std::vector<Candidate>& candidates, std::uint64_t hash_sum) {
  std::unordered_map<std::uint64_t, const Candidate*> earlier;
  for (const Candidate& candidate : candidates) {
    if (const auto other = earlier.find(hash_sum - candidate.hash); other != earlier.end()) {
      return name_of(*other->second) + " and " + name_of(candidate);
    }
    earlier.emplace(candidate.hash, &candidate);
  }
  return {};
}

}  // namespace

Task<Result<std::string>> name_surplus(LogReader& reader, Surplus surplus) {
  if (surplus.record_count > kSurplusMax) {
    co_return std::string();
  }
  std::vector<Candidate> candidates;
  for (Offset position = surplus.from; position < surplus.next;) {
    const auto fetched =
        co_await reader.fetch(surplus.partition, position, Isolation::kReadUncommitted);
    CO_RETURN_IF_ERROR(fetched);
    const auto next = add_candidates(surplus, fetched->bytes, position, candidates);
    CO_RETURN_IF_ERROR(next);
    if (*next == position || candidates.size() > kRecordsMax) {
      co_return std::string();
    }
    position = *next;
  }
  co_return surplus.record_count == 1 ? name_one(candidates, surplus.hash_sum)
                                      : name_two(candidates, surplus.hash_sum);
}

}  // namespace onceflow::audit
