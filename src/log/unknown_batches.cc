#include "log/unknown_batches.h"

#include <fmt/format.h>

#include <algorithm>

#include "log/salvaged_segment.h"

namespace onceflow::log {

namespace {

constexpr std::size_t kNameKeptMax = 220;  // a file system takes 255

Result<std::uint64_t> file_bytes(io::Disk& disk, const std::string& path) {
  const auto file = disk.open(path, io::OpenMode::kRead);
  RETURN_IF_ERROR(file);
  return (*file)->size();
}

// The batches of the rest, over what is damaged in it.
Status read_rest(io::Disk& disk, Offset expected, Offset log_end, SegmentRest& rest) {
  auto file = SalvagedSegment::open(disk, rest.path);
  RETURN_IF_ERROR(file);
  file->skip_to(rest.position);
  while (true) {
    const auto batch = file->next(expected);
    RETURN_IF_ERROR(batch);
    rest.is_all_whole = rest.is_all_whole && !file->damaged_at();
    if (!*batch) {
      return {};
    }
    const protocol::RecordBatchHeader& header = (*batch)->header();
    expected = header.next_offset();
    if (expected > log_end) {
      rest.from = rest.has_unknown_batches() ? rest.from : header.base_offset;
      rest.next = expected;
    }
  }
}

}  // namespace

Result<std::vector<SegmentRest>> segment_rests(io::Disk& disk, const Segments& segments,
                                               Offset log_start, Offset log_end) {
  std::vector<SegmentRest> rests;
  const auto entries = disk.list(segments.directory());
  RETURN_IF_ERROR(entries);
  const auto base_of = [](const auto& segment) { return segment->base_offset(); };
  for (const io::DirectoryEntry& entry : *entries) {
    const auto base_offset = parse_segment_file_name(entry.name);
    if (!base_offset || entry.is_directory) {
      continue;
    }
    const auto found = std::ranges::lower_bound(segments.all(), *base_offset, {}, base_of);
    Segment* const segment =
        found != segments.all().end() && base_of(*found) == *base_offset ? found->get() : nullptr;
    SegmentRest rest{.path = segments.directory() + "/" + entry.name, .segment = segment};
    const auto size_bytes = file_bytes(disk, rest.path);
    RETURN_IF_ERROR(size_bytes);
    rest.position = segment != nullptr ? segment->size_bytes() : 0;
    if (*size_bytes <= rest.position) {
      continue;
    }
    rest.bytes = *size_bytes - rest.position;
    if (segment == nullptr && *base_offset < log_start) {
      rests.push_back(std::move(rest));  // deleted; a loss of power may have brought it back
      continue;
    }
    RETURN_IF_ERROR(
        read_rest(disk, segment != nullptr ? segment->next_offset() : *base_offset, log_end, rest));
    rests.push_back(std::move(rest));
  }
  return rests;
}

Result<bool> holds_segments(io::Disk& disk, const std::string& directory) {
  const auto entries = disk.list(directory);
  RETURN_IF_ERROR(entries);
  for (const io::DirectoryEntry& entry : *entries) {
    if (parse_segment_file_name(entry.name) && !entry.is_directory) {
      const auto size_bytes = file_bytes(disk, directory + "/" + entry.name);
      RETURN_IF_ERROR(size_bytes);
      if (*size_bytes > 0) {
        return true;
      }
    }
  }
  return false;
}

Result<std::string> move_aside(io::Disk& disk, const std::string& directory) {
  // The name of a folder of a topic, so that the next start names it as well.
  const std::string parent = io::parent_directory(directory);
  const std::string name = directory.substr(parent.size() + 1).substr(0, kNameKeptMax);
  for (int number = 0;; ++number) {
    std::string aside = fmt::format("{}/{}.unknown-{}", parent, name, number);
    const auto is_taken = disk.exists(aside);
    RETURN_IF_ERROR(is_taken);
    if (!*is_taken) {
      RETURN_IF_ERROR(disk.rename(directory, aside));
      // Else a loss of power could bring it back under what is written from now on.
      RETURN_IF_ERROR(disk.sync_directory(parent));
      return aside;
    }
  }
}

}  // namespace onceflow::log
