#include "log/segments.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/check.h"
#include "log/damage.h"

namespace onceflow::log {

using protocol::RecordBatchHeader;

namespace {
constexpr std::uint64_t kIndexStepBytes = 64u << 10;
constexpr std::size_t kWalkBytes = 64u << 10;
constexpr std::size_t kIndexEntriesKept = 256;
// A segment that has grown to this much has room set aside for as much again, up to the maximum: so
// small ones take no more than they are, and files that grow fast lie in few pieces.
constexpr std::uint64_t kReservingBytesMin = 1u << 20;
constexpr std::uint64_t kReservedBytesMax = 16u << 20;
}  // namespace

// --- SegmentFiles ---

void SegmentFiles::touch(Segment& segment) {
  open_.splice(open_.begin(), open_, segment.place_in_open_);
  while (open_.size() > open_files_max_) {
    open_.back()->unload();
  }
}

void SegmentFiles::forget(Segment& segment) { open_.erase(segment.place_in_open_); }

// --- Segment: appending and writing ---

Segment::Segment(SegmentFiles& files, const std::string& directory, std::uint32_t partition_seed,
                 const SegmentSummary& summary, Offset next_offset)
    : files_(files),
      directory_(directory),
      seed_(segment_seed(partition_seed, summary.base_offset)),
      base_offset_(summary.base_offset),
      next_offset_(next_offset),
      size_bytes_(summary.size_bytes),
      max_timestamp_(summary.max_timestamp),
      headers_hash_(summary.size_bytes == 0 ? std::optional<std::uint32_t>(0)
                                            : summary.headers_hash),
      written_bytes_(summary.size_bytes),
      durable_bytes_(summary.size_bytes),
      index_loaded_(summary.size_bytes == 0),
      adopted_bytes_(summary.size_bytes) {}

Segment::~Segment() {
  if (file_) {
    files_.forget(*this);
  }
  files_.tail_bytes_ -= tail_.size_bytes();
}

void Segment::append(const OwnedBytes& batch, const RecordBatchHeader& header) {
  CHECK_INVARIANT("LOG-2", header.base_offset == next_offset_);
  if (index_loaded_) {
    note_for_index({.offset = header.base_offset,
                    .position = static_cast<std::uint32_t>(size_bytes_),
                    .headers_hash = headers_hash_.value_or(0),
                    .max_timestamp = max_timestamp_});
  }
  if (headers_hash_) {
    headers_hash_ = add_to_headers_hash(*headers_hash_, batch.bytes);
  }
  tail_.append(batch, files_.held_bytes_min_);
  files_.tail_bytes_ += batch.bytes.size();
  size_bytes_ += batch.bytes.size();
  next_offset_ = header.next_offset();
  max_timestamp_ = std::max(max_timestamp_, header.max_timestamp);
}

Result<io::File*> Segment::open_file() {
  if (!file_) {
    auto file = files_.disk_.open(path(), io::OpenMode::kCreate);
    RETURN_IF_ERROR(file);
    file_ = std::move(*file);
    files_.open_.push_front(this);
    place_in_open_ = files_.open_.begin();
  }
  files_.touch(*this);
  return file_.get();
}

Status Segment::flush() {
  if (durable_bytes_ == written_bytes_) {
    return {};
  }
  const bool is_new = written_bytes_ == 0;
  const auto file = open_file();
  RETURN_IF_ERROR(file);
  if (is_new) {
    // What a crash left under these names is not ours.
    RETURN_IF_ERROR((*file)->truncate(0));
    static_cast<void>(
        files_.disk_.remove(directory_ + "/" + segment_index_file_name(base_offset_)));
  } else if (!index_loaded_) {
    // While the file is open anyway; if it is damaged, whoever reads it is told.
    static_cast<void>(load_index());
  }
  unsynced_ = true;
  reserve_ahead(**file);
  while (written_bytes_ < durable_bytes_) {
    const ByteView bytes = tail_.front(static_cast<std::size_t>(durable_bytes_ - written_bytes_));
    CHECK(!bytes.empty());
    RETURN_IF_ERROR((*file)->write_at(written_bytes_, bytes));
    written_bytes_ += bytes.size();
    files_.tail_bytes_ -= bytes.size();
    tail_.drop_front(bytes.size());
  }
  return {};
}

void Segment::reserve_ahead(io::File& file) {
  if (files_.is_reserving_ && written_bytes_ >= kReservingBytesMin &&
      durable_bytes_ > reserved_bytes_) {
    reserved_bytes_ = durable_bytes_ + std::min(written_bytes_, kReservedBytesMax);
    file.reserve(reserved_bytes_);
  }
}

// Saves room alone, so what fails here is nobody's loss.
void Segment::give_back_reserve() {
  reserved_bytes_ = 0;
  if (file_ || open_file()) {
    static_cast<void>(file_->truncate(written_bytes_));
  }
}

Result<std::shared_ptr<io::File>> Segment::begin_sync() {
  RETURN_IF_ERROR(open_file());
  RETURN_IF_ERROR(write_index());
  tail_.shrink();
  unsynced_ = false;
  return file_;
}

void Segment::unload() {
  if (!file_) {
    return;
  }
  // The index is not the truth: what cannot be written now is found again by reading.
  static_cast<void>(write_index());
  if (has_reserve()) {
    give_back_reserve();
  }
  files_.forget(*this);
  file_.reset();
  // A small one is kept: it costs less than finding it again.
  if (index_.size() > kIndexEntriesKept && index_.size() == index_written_) {
    std::vector<KeptEntry>().swap(index_);
    index_loaded_ = false;
  }
}

std::unexpected<Error> Segment::damage(std::uint64_t position, std::string_view what) const {
  return fail_damaged(Damage::kBatchDamaged, fmt::format("{}: byte {}", path(), position), what);
}

std::unexpected<Error> Segment::foreign(std::uint64_t position) const {
  return fail_damaged(Damage::kSegmentForeign, fmt::format("{}: byte {}", path(), position));
}

// --- Segment: reading ---

Result<std::size_t> Segment::load(std::uint64_t position, std::size_t count, Buffer& destination) {
  count = static_cast<std::size_t>(std::min<std::uint64_t>(count, size_bytes_ - position));
  const std::size_t start = destination.size();
  destination.resize(start + count);
  MutableByteView place = MutableByteView(destination).subspan(start);
  if (position < written_bytes_) {
    const auto from_file =
        static_cast<std::size_t>(std::min<std::uint64_t>(count, written_bytes_ - position));
    const auto file = open_file();
    RETURN_IF_ERROR(file);
    const auto read_bytes = (*file)->read_at(position, place.first(from_file));
    RETURN_IF_ERROR(read_bytes);
    if (*read_bytes < from_file) {
      return damage(position + *read_bytes, "the file ends before its last batch");
    }
    place = place.subspan(from_file);
    position += from_file;
  }
  if (!place.empty()) {
    tail_.copy(static_cast<std::size_t>(position - written_bytes_), place);
  }
  return count;
}

Result<RecordBatchHeader> Segment::checked_header(ByteView bytes, Place expected) const {
  const auto header = RecordBatchHeader::parse(bytes);
  if (!header) {
    return damage(expected.position, header.error().text);
  }
  if (header->base_offset != expected.offset || header->partition_leader_epoch != 0 ||
      header->last_offset_delta < 0 || header->size_bytes() > size_bytes_ - expected.position) {
    return damage(expected.position,
                  fmt::format("there is no batch with base offset {} here", expected.offset.value));
  }
  return *header;
}

template <typename Visitor>
Result<Segment::Place> Segment::walk(Place from, Visitor visitor) {
  Buffer& window = files_.scratch_;
  std::uint64_t window_start = 0;
  window.clear();
  while (from.position < size_bytes_) {
    if (from.position < window_start ||
        from.position + protocol::kBatchHeaderBytes > window_start + window.size()) {
      window.clear();
      window_start = from.position;
      RETURN_IF_ERROR(load(from.position, kWalkBytes, window));
    }
    const auto bytes =
        ByteView(window).subspan(static_cast<std::size_t>(from.position - window_start));
    const auto header = checked_header(bytes, from);
    RETURN_IF_ERROR(header);
    if (!visitor(*header, from, bytes)) {
      return from;
    }
    from = {header->next_offset(), from.position + header->size_bytes()};
  }
  if (from.offset != next_offset_) {
    return damage(from.position, fmt::format("the last batch ends at offset {} instead of {}",
                                             from.offset.value, next_offset_.value));
  }
  return from;
}

Result<Segment::Place> Segment::find(Offset from) {
  for (const Place& end : ends_) {
    if (end.offset == from && end.position > 0) {
      return end;
    }
  }
  RETURN_IF_ERROR(load_index());
  return walk(index_place(from), [&](const RecordBatchHeader& header, Place, ByteView) {
    return header.next_offset() <= from;
  });
}

Result<std::size_t> Segment::batch_bytes(Offset from) {
  const auto found = find(from);
  RETURN_IF_ERROR(found);
  if (found->position >= size_bytes_) {
    return std::size_t{0};
  }
  Buffer start;
  RETURN_IF_ERROR(load(found->position, protocol::kBatchHeaderBytes, start));
  const auto header = checked_header(start, *found);
  RETURN_IF_ERROR(header);
  return header->size_bytes();
}

Result<std::size_t> Segment::read(Offset from, std::size_t bytes_max, Offset upper,
                                  FirstBatch first, Buffer& destination, Offset& end) {
  end = from;
  if (is_foreign_) {
    return foreign(0);
  }
  const auto found = find(from);
  RETURN_IF_ERROR(found);
  Place place = *found;
  if (place.position >= size_bytes_) {
    return std::size_t{0};
  }
  const std::size_t start = destination.size();
  const auto give_back = [&](std::size_t kept) { destination.resize(start + kept); };
  auto loaded = load(place.position, std::max(bytes_max, protocol::kBatchHeaderBytes), destination);
  if (!loaded) {
    give_back(0);
    return std::unexpected(std::move(loaded).error());
  }
  std::size_t taken = 0;
  std::uint64_t stretch_end = 0;
  while (place.position < size_bytes_ && place.offset < upper) {
    ByteView rest = ByteView(destination).subspan(start + taken);
    if (rest.size() < protocol::kBatchHeaderBytes) {
      break;
    }
    const auto header = checked_header(rest, place);
    if (!header) {
      give_back(taken);
      return taken > 0 ? Result<std::size_t>(taken) : std::unexpected(header.error());
    }
    const std::size_t batch_bytes = header->size_bytes();
    if (taken + batch_bytes > bytes_max && (taken > 0 || first == FirstBatch::kIfItFits)) {
      break;
    }
    if (batch_bytes > rest.size()) {
      give_back(taken);
      loaded = load(place.position, batch_bytes, destination);
      if (!loaded) {
        give_back(taken);
        return std::unexpected(std::move(loaded).error());
      }
      rest = ByteView(destination).subspan(start + taken);
    }
    if (place.position < adopted_bytes_ && place.position >= checked_bytes_) {
      if (place.position >= stretch_end) {
        const auto checked = check_stretch(place.position);
        if (!checked) {
          give_back(taken);
          return taken > 0 ? Result<std::size_t>(taken) : std::unexpected(checked.error());
        }
        stretch_end = *checked;
      }
      const auto batch = protocol::RecordBatchView::parse(rest);
      if (!batch || !batch->crc_matches()) {
        give_back(taken);
        return taken > 0 ? Result<std::size_t>(taken)
                         : damage(place.position, "the checksum of this batch is wrong");
      }
      if (place.position == checked_bytes_) {
        checked_bytes_ += batch_bytes;
      }
    }
    taken += batch_bytes;
    place = {header->next_offset(), place.position + batch_bytes};
    end = place.offset;
  }
  give_back(taken);
  ends_[next_end_++ % ends_.size()] = place;
  return taken;
}

Result<bool> Segment::read_by_timestamp(std::int64_t timestamp, Offset upper, Buffer& destination) {
  RETURN_IF_ERROR(load_index());
  // Entry i speaks of all batches before it: the first that reaches `timestamp` is behind the
  // batch.
  const auto behind = std::ranges::lower_bound(index_, timestamp, {}, &IndexEntry::max_timestamp);
  Place begin{base_offset_, 0};
  if (behind != index_.begin()) {
    begin = {std::prev(behind)->offset, std::prev(behind)->position};
  }
  RETURN_IF_ERROR(check_stretch(begin.position));
  bool is_found = false;
  const auto place = walk(begin, [&](const RecordBatchHeader& header, Place at, ByteView) {
    is_found = at.offset < upper && header.max_timestamp >= timestamp;
    return at.offset < upper && !is_found;
  });
  RETURN_IF_ERROR(place);
  if (!is_found) {
    return false;
  }
  Offset end;
  const auto count = read(place->offset, 0, upper, FirstBatch::kAlways, destination, end);
  RETURN_IF_ERROR(count);
  return *count > 0;
}

Result<std::int64_t> Segment::max_timestamp_before(Offset upper) {
  if (next_offset_ <= upper) {
    return max_timestamp_;
  }
  RETURN_IF_ERROR(load_index());
  const auto behind = std::ranges::upper_bound(index_, upper, {}, &IndexEntry::offset);
  Place begin{base_offset_, 0};
  std::int64_t result = -1;
  if (behind != index_.begin()) {
    const IndexEntry& entry = *std::prev(behind);
    begin = {entry.offset, entry.position};
    result = entry.max_timestamp;
  }
  RETURN_IF_ERROR(check_stretch(begin.position));
  const auto place = walk(begin, [&](const RecordBatchHeader& header, Place at, ByteView) {
    if (at.offset < upper) {
      result = std::max(result, header.max_timestamp);
    }
    return at.offset < upper;
  });
  RETURN_IF_ERROR(place);
  return result;
}

std::uint64_t Segment::bytes_from(Offset from) const {
  if (from >= next_offset_) {
    return 0;
  }
  for (const Place& end : ends_) {
    if (end.offset == from && end.position > 0) {
      return size_bytes_ - end.position;
    }
  }
  return size_bytes_ - index_place(from).position;
}

// --- Segment: index ---

void Segment::note_for_index(const IndexEntry& entry) {
  if (entry.position >= last_index_position_ + kIndexStepBytes) {
    index_.push_back({entry});
    last_index_position_ = entry.position;
  }
}

Segment::Place Segment::index_place(Offset from) const {
  const auto behind = std::ranges::upper_bound(index_, from, {}, &IndexEntry::offset);
  if (behind == index_.begin()) {
    return {base_offset_, 0};
  }
  return {std::prev(behind)->offset, std::prev(behind)->position};
}

Status Segment::load_index() {
  if (index_loaded_) {
    return {};
  }
  if (is_foreign_) {
    return foreign(0);
  }
  RETURN_IF_ERROR(read_index());
  std::vector<KeptEntry> found;
  if (!index_.empty()) {
    const std::size_t last = index_.size() - 1;
    const auto end_hash = scan_index(index_.back());
    if (end_hash && fits(*end_hash, headers_hash_.value_or(*end_hash))) {
      headers_hash_ = *end_hash;
      for (std::size_t entry = last; entry < index_.size(); ++entry) {
        index_[entry].is_checked = true;
      }
      index_loaded_ = true;
      return {};
    }
    index_.resize(last + 1);
    found = std::exchange(index_, {});  // it does not fit the segment, or the segment has changed
    index_written_ = 0;
  }
  const auto end_hash = scan_index({.offset = base_offset_});
  if (!end_hash && end_hash.error().code == ErrorCode::kCorrupt && !found.empty() &&
      headers_hash_) {
    // The index tells by its hashes which stretches of the segment are whole.
    index_ = std::move(found);
    index_written_ = index_.size();
    last_index_position_ = index_.back().position;
    index_loaded_ = true;
    return {};
  }
  RETURN_IF_ERROR(end_hash);
  if (headers_hash_ && !fits(*end_hash, *headers_hash_)) {
    is_foreign_ = true;
    index_.clear();
    return foreign(0);
  }
  headers_hash_ = *end_hash;
  is_first_stretch_checked_ = true;
  for (KeptEntry& entry : index_) {
    entry.is_checked = true;
  }
  index_loaded_ = true;
  return {};
}

// The entries on disk that are of this segment, and rise.
Status Segment::read_index() {
  index_.clear();
  index_written_ = 0;
  last_index_position_ = 0;
  const std::string index_path = directory_ + "/" + segment_index_file_name(base_offset_);
  const auto exists = files_.disk_.exists(index_path);
  RETURN_IF_ERROR(exists);
  if (!*exists) {
    return {};
  }
  const auto bytes = io::read_file(files_.disk_, index_path);
  RETURN_IF_ERROR(bytes);
  for (ByteView rest = *bytes; rest.size() >= kIndexEntryBytes;
       rest = rest.subspan(kIndexEntryBytes)) {
    const auto entry = decode_index_entry(rest, seed_);
    const bool rises =
        entry && (index_.empty() ? entry->position > 0 && entry->offset > base_offset_
                                 : entry->position > index_.back().position &&
                                       entry->offset > index_.back().offset);
    if (!rises || entry->position >= size_bytes_ || entry->offset >= next_offset_) {
      break;
    }
    index_.push_back({*entry});
  }
  index_written_ = index_.size();
  if (!index_.empty()) {
    last_index_position_ = index_.back().position;
  }
  if (bytes->size() != index_written_ * kIndexEntryBytes) {
    auto file = files_.disk_.open(index_path, io::OpenMode::kReadWrite);
    RETURN_IF_ERROR(file);
    RETURN_IF_ERROR((*file)->truncate(index_written_ * kIndexEntryBytes));
  }
  return {};
}

// Adds what is missing after `from`; the hash of all headers.
Result<std::uint32_t> Segment::scan_index(IndexEntry from) {
  last_index_position_ = from.position;
  const auto end = walk(Place{from.offset, from.position},
                        [&](const RecordBatchHeader& header, Place at, ByteView bytes) {
                          from.offset = at.offset;
                          from.position = static_cast<std::uint32_t>(at.position);
                          note_for_index(from);
                          from.headers_hash = add_to_headers_hash(from.headers_hash, bytes);
                          from.max_timestamp = std::max(from.max_timestamp, header.max_timestamp);
                          return true;
                        });
  RETURN_IF_ERROR(end);
  return from.headers_hash;
}

// The batches around `position`, from one index entry to the next, are those that were written
// there. Gives the end of the stretch.
Result<std::uint64_t> Segment::check_stretch(std::uint64_t position) {
  RETURN_IF_ERROR(load_index());
  const auto next = std::ranges::upper_bound(index_, position, {}, &IndexEntry::position);
  const bool is_first = next == index_.begin();
  const IndexEntry begin =
      is_first ? IndexEntry{.offset = base_offset_} : IndexEntry(*std::prev(next));
  const std::uint64_t end = next == index_.end() ? size_bytes_ : next->position;
  bool& is_checked = is_first ? is_first_stretch_checked_ : std::prev(next)->is_checked;
  if (is_checked) {
    return end;
  }
  std::uint32_t headers_hash = begin.headers_hash;
  const auto place =
      walk({begin.offset, begin.position}, [&](const RecordBatchHeader&, Place at, ByteView bytes) {
        if (at.position < end) {
          headers_hash = add_to_headers_hash(headers_hash, bytes);
        }
        return at.position < end;
      });
  RETURN_IF_ERROR(place);
  const std::uint32_t expected =
      next == index_.end() ? headers_hash_.value_or(headers_hash) : next->headers_hash;
  if (place->position != end || !fits(headers_hash, expected)) {
    return foreign(begin.position);
  }
  is_checked = true;
  return end;
}

bool Segment::fits(std::uint32_t headers_hash, std::uint32_t expected) const {
  return headers_hash == expected || files_.seeded_bug_ == SeededBug::kSegmentOfAnotherTopicServed;
}

// Entries for bytes that are not in the file yet stay behind.
Status Segment::write_index() {
  std::size_t end = index_written_;
  while (end < index_.size() && index_[end].position < written_bytes_) {
    ++end;
  }
  if (end == index_written_) {
    return {};
  }
  Buffer bytes((end - index_written_) * kIndexEntryBytes);
  for (std::size_t entry = index_written_; entry < end; ++entry) {
    encode_index_entry(index_[entry], seed_,
                       bytes.data() + (entry - index_written_) * kIndexEntryBytes);
  }
  auto file = files_.disk_.open(directory_ + "/" + segment_index_file_name(base_offset_),
                                io::OpenMode::kCreate);
  RETURN_IF_ERROR(file);
  RETURN_IF_ERROR((*file)->write_at(index_written_ * kIndexEntryBytes, bytes));
  index_written_ = end;
  return {};
}

// --- Segments ---

Segment& Segments::append(const OwnedBytes& batch, const RecordBatchHeader& header,
                          std::uint64_t segment_bytes) {
  const bool is_full = !segments_.empty() && active().size_bytes() > 0 &&
                       active().size_bytes() + batch.bytes.size() > segment_bytes;
  if (segments_.empty() || is_full) {
    segments_.push_back(std::make_unique<Segment>(files_, directory_, partition_seed_,
                                                  SegmentSummary{.base_offset = header.base_offset},
                                                  header.base_offset));
  }
  active().append(batch, header);
  size_bytes_ += batch.bytes.size();
  return active();
}

Segment* Segments::find(Offset offset) const {
  auto behind = std::ranges::upper_bound(segments_, offset, {},
                                         [](const auto& s) { return s->base_offset(); });
  if (behind == segments_.begin()) {
    return nullptr;
  }
  Segment* segment = std::prev(behind)->get();
  return offset < segment->next_offset() ? segment : nullptr;
}

std::vector<std::unique_ptr<Segment>> Segments::take_before(Offset offset) {
  std::vector<std::unique_ptr<Segment>> taken;
  auto place = segments_.begin();
  for (; place != segments_.end() && (*place)->next_offset() <= offset; ++place) {
    size_bytes_ -= (*place)->size_bytes();
    if (damage_ && (*place)->base_offset() == damaged_base_offset_) {
      damage_.reset();  // and with it all that was on disk: the folder may be gone too
      has_directory_ = false;
    }
    taken.push_back(std::move(*place));
  }
  segments_.erase(segments_.begin(), place);
  return taken;
}

Status Segments::make_directory() {
  if (has_directory_) {
    return {};
  }
  RETURN_IF_ERROR(remove_directory(files_.disk(), directory_));
  RETURN_IF_ERROR(files_.disk().make_directory(directory_));
  has_directory_ = true;
  directory_unsynced_ = true;
  directory_new_ = true;
  return {};
}

Status Segments::flush(std::uint64_t unwritten_bytes_min) {
  if (damage_) {
    return {};
  }
  // Only the last segments can have bytes that are in memory alone, or room for more.
  auto begin = segments_.end();
  while (begin != segments_.begin() &&
         ((*std::prev(begin))->has_tail() || (*std::prev(begin))->has_reserve())) {
    --begin;
  }
  for (auto place = begin; place != segments_.end(); ++place) {
    Segment& segment = **place;
    const std::uint64_t least =
        &segment == &active() ? std::max<std::uint64_t>(1, unwritten_bytes_min) : 1;
    if (segment.unwritten_durable_bytes() >= least) {
      RETURN_IF_ERROR(make_directory());
      directory_unsynced_ =
          directory_unsynced_ || segment.durable_bytes() == segment.unwritten_durable_bytes();
      RETURN_IF_ERROR(segment.flush());
    }
    if (&segment != &active() && segment.has_reserve() && !segment.has_tail()) {
      segment.give_back_reserve();
    }
  }
  return {};
}

bool Segments::is_unsynced() const {
  return directory_unsynced_ || directory_new_ ||
         std::ranges::any_of(segments_, [](const std::unique_ptr<Segment>& segment) {
           return segment->has_tail() || segment->is_unsynced();
         });
}

Status Segments::remove_files(std::unique_ptr<Segment> segment) {
  const std::string log_path = segment->path();
  const std::string index_path = directory_ + "/" + segment_index_file_name(segment->base_offset());
  segment.reset();
  for (const std::string& path : {log_path, index_path}) {
    Status removed = files_.disk().remove(path);
    if (!removed && removed.error().code != ErrorCode::kNotFound) {
      return removed;
    }
    // What was never written has no file, and perhaps no folder either.
    directory_unsynced_ = directory_unsynced_ || removed.has_value();
  }
  return {};
}

Status remove_directory(io::Disk& disk, const std::string& path) {
  const auto exists = disk.exists(path);
  RETURN_IF_ERROR(exists);
  if (!*exists) {
    return {};
  }
  const auto entries = disk.list(path);
  RETURN_IF_ERROR(entries);
  for (const io::DirectoryEntry& entry : *entries) {
    RETURN_IF_ERROR(disk.remove(path + "/" + entry.name));
  }
  return disk.remove(path);
}

}  // namespace onceflow::log
