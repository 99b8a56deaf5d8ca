// Segments: what a start finds on disk, and makes agree with the checkpoint.
#include <fmt/format.h>

#include "log/damage.h"
#include "log/segments.h"

namespace onceflow::log {

Status Segment::look_at_file(bool is_last) {
  auto file = files_.disk_.open(path(), io::OpenMode::kRead);
  if (!file && file.error().code == ErrorCode::kNotFound) {
    return fail_damaged(Damage::kSegmentMissing, path());
  }
  RETURN_IF_ERROR(file);
  const auto file_bytes = (*file)->size();
  RETURN_IF_ERROR(file_bytes);
  if (*file_bytes == written_bytes_) {
    return {};
  }
  const bool is_too_long = *file_bytes > written_bytes_;
  if (is_too_long && is_last) {
    // Another's may be longer, too, and what would be cut off its own. One that is damaged is
    // served around that.
    Status held = load_index();
    return is_foreign_ || (!held && held.error().code != ErrorCode::kCorrupt) ? std::move(held)
                                                                              : Status{};
  }
  if (is_too_long && holds_what_was_written()) {
    return {};
  }
  return fail_damaged(
      is_too_long ? Damage::kSegmentLong : Damage::kSegmentShort, path(),
      fmt::format("it has {} bytes, the checkpoint knows of {}", *file_bytes, written_bytes_));
}

Result<bool> Segment::cut_file() {
  auto file = files_.disk_.open(path(), io::OpenMode::kReadWrite);
  RETURN_IF_ERROR(file);
  const auto file_bytes = (*file)->size();
  RETURN_IF_ERROR(file_bytes);
  if (*file_bytes == written_bytes_) {
    return false;
  }
  RETURN_IF_ERROR((*file)->truncate(written_bytes_));
  unsynced_ = true;
  return true;
}

Result<bool> Segment::adopt_file() {
  RETURN_IF_ERROR(look_at_file(true));
  return cut_file();
}

Status Segment::check_file() {
  RETURN_IF_ERROR(look_at_file(false));
  // A recovery may have cut it, was killed before a checkpoint synced that, and a loss of power has
  // brought back what was cut off.
  RETURN_IF_ERROR(cut_file());
  return {};
}

bool Segment::holds_what_was_written() {
  const auto end_hash = scan_index({.offset = base_offset_});
  index_.clear();
  last_index_position_ = 0;
  return end_hash && fits(*end_hash, headers_hash_.value_or(*end_hash));
}

// --- Of a partition ---

void Segments::adopt(const std::vector<SegmentSummary>& summaries, Offset log_end_offset) {
  for (std::size_t index = 0; index < summaries.size(); ++index) {
    const Offset next =
        index + 1 < summaries.size() ? summaries[index + 1].base_offset : log_end_offset;
    segments_.push_back(
        std::make_unique<Segment>(files_, directory_, partition_seed_, summaries[index], next));
    size_bytes_ += summaries[index].size_bytes;
  }
  has_directory_ = !summaries.empty();
  files_adopted_ = !has_directory_;
  adopted_active_ = summaries.empty() ? kNoOffset : summaries.back().base_offset;
}

Status Segments::adopt_files() {
  if (std::exchange(files_adopted_, true)) {
    return {};
  }
  const auto cut = active().adopt_file();
  if (!cut && cut.error().code == ErrorCode::kCorrupt) {
    damage_ = cut.error();
    damaged_base_offset_ = active().base_offset();
    return {};
  }
  RETURN_IF_ERROR(cut);
  if (!*cut) {
    return {};
  }
  // It was being written when the process ended: there may be segments behind it too.
  const auto entries = files_.disk().list(directory_);
  RETURN_IF_ERROR(entries);
  for (const io::DirectoryEntry& entry : *entries) {
    const auto base_offset = parse_segment_file_name(entry.name);
    if (base_offset && *base_offset > active().base_offset()) {
      RETURN_IF_ERROR(files_.disk().remove(directory_ + "/" + entry.name));
      directory_unsynced_ = true;
    }
  }
  return {};
}

Status Segments::look_at_files(Offset log_start) const {
  for (const auto& segment : segments_) {
    if (segment->is_adopted() && segment->next_offset() > log_start) {
      RETURN_IF_ERROR(segment->look_at_file(segment->base_offset() == adopted_active_));
    }
  }
  return {};
}

Status Segments::check_files() const {
  if (damage_) {
    return std::unexpected(*damage_);
  }
  for (const auto& segment : segments_) {
    // Only the last one of the checkpoint has been written to since; adopt_files has looked at it.
    if (segment->is_adopted() && segment->base_offset() != adopted_active_) {
      RETURN_IF_ERROR(segment->check_file());
    }
  }
  return {};
}

}  // namespace onceflow::log
