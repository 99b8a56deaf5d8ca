#include "log/salvaged_segment.h"

#include "base/wire.h"

namespace onceflow::log {

using protocol::kBatchHeaderBytes;
using protocol::RecordBatchHeader;
using protocol::RecordBatchView;
namespace layout = protocol::batch_layout;

namespace {
constexpr std::size_t kScanBytes = 1u << 20;
// Of what a batch claims about its length: none is larger, and rotten bits claim anything.
constexpr std::uint64_t kBatchBytesMax = 256u << 20;
constexpr Offset kOffsetMax{std::int64_t{1} << 62};
}  // namespace

SalvagedSegment::SalvagedSegment(std::unique_ptr<io::File> file, std::uint64_t size_bytes)
    : file_(std::move(file)), window_(*file_), size_bytes_(size_bytes) {}

Result<SalvagedSegment> SalvagedSegment::open(io::Disk& disk, const std::string& path) {
  auto file = disk.open(path, io::OpenMode::kRead);
  RETURN_IF_ERROR(file);
  const auto size_bytes = (*file)->size();
  RETURN_IF_ERROR(size_bytes);
  return SalvagedSegment(*std::move(file), *size_bytes);
}

SalvagedSegment::Found SalvagedSegment::whole_batch_at(std::uint64_t position, Offset expected) {
  if (position + kBatchHeaderBytes > size_bytes_) {
    return std::nullopt;
  }
  const auto head = window_.view(position, kBatchHeaderBytes);
  RETURN_IF_ERROR(head);
  const auto header = RecordBatchHeader::parse(*head);
  if (!header || header->base_offset < expected || header->base_offset > kOffsetMax ||
      header->last_offset_delta < 0 || header->partition_leader_epoch != 0 ||
      header->size_bytes() > size_bytes_ - position || header->size_bytes() > kBatchBytesMax) {
    return std::nullopt;
  }
  const auto bytes = window_.view(position, header->size_bytes());
  RETURN_IF_ERROR(bytes);
  const auto batch = RecordBatchView::parse(*bytes);
  if (!batch || !batch->crc_matches()) {
    return std::nullopt;
  }
  return *batch;
}

// Not a batch that somebody has put into a record: what follows it goes on where it ends.
Result<bool> SalvagedSegment::leads_on(const RecordBatchHeader& header, std::uint64_t end) {
  if (end + kBatchHeaderBytes > size_bytes_) {
    return end == size_bytes_;
  }
  const auto head = window_.view(end, kBatchHeaderBytes);
  RETURN_IF_ERROR(head);
  const auto next = RecordBatchHeader::parse(*head);
  return next && next->base_offset >= header.next_offset() && next->partition_leader_epoch == 0;
}

// Where the next whole batch begins behind the damage at `position`; the end if there is none.
Result<std::uint64_t> SalvagedSegment::find_next(std::uint64_t position, Offset expected) {
  if (position + kBatchHeaderBytes <= size_bytes_) {
    const auto head = window_.view(position, kBatchHeaderBytes);
    RETURN_IF_ERROR(head);
    // Most often the length is right and something else is not.
    const auto header = RecordBatchHeader::parse(*head);
    if (header && header->size_bytes() <= size_bytes_ - position) {
      const auto batch = whole_batch_at(position + header->size_bytes(), expected);
      RETURN_IF_ERROR(batch);
      if (*batch) {
        return position + header->size_bytes();
      }
    }
  }
  for (std::uint64_t at = position + 1; at + kBatchHeaderBytes <= size_bytes_;) {
    const auto bytes = window_.view(at, kScanBytes);
    RETURN_IF_ERROR(bytes);
    std::vector<std::uint64_t> candidates;
    const std::size_t last = bytes->size() - kBatchHeaderBytes;
    for (std::size_t index = 0; index <= last; ++index) {
      const std::byte* place = bytes->data() + index;
      if (place[layout::kMagic] == std::byte{protocol::kMagicV2} &&
          wire::load_big_endian<std::uint32_t>(place + layout::kPartitionLeaderEpoch) == 0 &&
          wire::load_big_endian<std::int64_t>(place) >= expected.value) {
        candidates.push_back(at + index);
      }
    }
    for (const std::uint64_t candidate : candidates) {
      const auto batch = whole_batch_at(candidate, expected);
      RETURN_IF_ERROR(batch);
      if (*batch) {
        const RecordBatchHeader header = (*batch)->header();
        const auto follows = leads_on(header, candidate + header.size_bytes());
        RETURN_IF_ERROR(follows);
        if (*follows) {
          return candidate;
        }
      }
    }
    at += last + 1;
  }
  return size_bytes_;
}

Result<std::optional<Offset>> SalvagedSegment::begin() {
  const auto batch = whole_batch_at(0, Offset(0));
  RETURN_IF_ERROR(batch);
  return *batch ? std::optional((*batch)->header().base_offset) : std::nullopt;
}

SalvagedSegment::Found SalvagedSegment::next(Offset expected) {
  damaged_at_.reset();
  auto batch = whole_batch_at(position_, expected);
  RETURN_IF_ERROR(batch);
  if (!*batch && position_ < size_bytes_) {
    damaged_at_ = position_;
    const auto found = find_next(position_, expected);
    RETURN_IF_ERROR(found);
    position_ = *found;
    batch = whole_batch_at(position_, expected);
    RETURN_IF_ERROR(batch);
  }
  if (*batch) {
    position_ += (*batch)->bytes().size();
  }
  return batch;
}

Result<SalvagedSegment::Verdict> SalvagedSegment::judge(const SegmentSummary& summary,
                                                        Offset next_offset) {
  if (!summary.headers_hash) {
    return Verdict::kUnknown;
  }
  std::uint32_t headers_hash = 0;
  std::uint64_t position = 0;
  Offset offset = summary.base_offset;
  while (position < summary.size_bytes) {
    const auto batch = whole_batch_at(position, Offset(0));
    RETURN_IF_ERROR(batch);
    if (!*batch) {
      return Verdict::kDamaged;
    }
    if ((*batch)->header().base_offset != offset ||
        position + (*batch)->bytes().size() > summary.size_bytes) {
      return Verdict::kForeign;
    }
    headers_hash = add_to_headers_hash(headers_hash, (*batch)->bytes());
    offset = (*batch)->header().next_offset();
    position += (*batch)->bytes().size();
  }
  return headers_hash == *summary.headers_hash && offset == next_offset ? Verdict::kWhole
                                                                        : Verdict::kForeign;
}

}  // namespace onceflow::log
