// Segments: a partition's batches as files, and the sparse index over them
// (docs/formats/segment.md). Owned by a Partition, on the log's thread. The newest bytes are in
// memory until they are durable in the journal; only then are they written here, through the page
// cache, in larger pieces, and synced by checkpoints alone. So a segment never holds what the
// journal could lose.
//
// What was on disk before this process started is checked the first time it is read: each batch
// against its checksum, and each stretch between two index entries against the hash of its headers,
// which the checkpoint and the index keep, so that whole batches of another segment are not served.
// What this process wrote is trusted.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/seeded_bug.h"
#include "io/disk.h"
#include "log/format.h"
#include "log/segment_tail.h"
#include "protocol/record_batch.h"

namespace onceflow::log {

class Segment;

/// Shared by all segments of a log: the bounded set of open files, and the count of bytes in
/// memory.
class SegmentFiles {
 public:
  /// Batches of at least `held_bytes_min` are held where they are until they are written.
  SegmentFiles(io::Disk& disk, std::size_t open_files_max, std::size_t held_bytes_min,
               SeededBug seeded_bug)
      : disk_(disk),
        open_files_max_(open_files_max),
        held_bytes_min_(held_bytes_min),
        seeded_bug_(seeded_bug) {}

  io::Disk& disk() { return disk_; }
  /// Bytes of all tails in memory.
  std::size_t tail_bytes() const { return tail_bytes_; }
  std::size_t open_file_count() const { return open_.size(); }
  /// Whether segments that grow may set room aside: not where it is short.
  void set_reserving(bool is_reserving) { is_reserving_ = is_reserving; }

 private:
  friend class Segment;
  void touch(Segment& segment);
  void forget(Segment& segment);

  io::Disk& disk_;
  std::size_t open_files_max_;
  std::size_t held_bytes_min_;
  const SeededBug seeded_bug_;
  std::size_t tail_bytes_ = 0;
  bool is_reserving_ = true;
  std::list<Segment*> open_;  // the most recently used first
  Buffer scratch_;
};

/// What a checkpoint knows of a segment.
struct SegmentSummary {
  Offset base_offset;
  std::uint64_t size_bytes = 0;
  std::int64_t max_timestamp = -1;
  std::optional<std::uint32_t> headers_hash;  ///< a checkpoint of version 1 has none
};

class Segment {
 public:
  /// `next_offset` is that behind its last batch. A segment without bytes is new: its file is begun
  /// with the first flush.
  Segment(SegmentFiles& files, const std::string& directory, std::uint32_t partition_seed,
          const SegmentSummary& summary, Offset next_offset);
  ~Segment();
  Segment(const Segment&) = delete;
  Segment& operator=(const Segment&) = delete;

  Offset base_offset() const { return base_offset_; }
  Offset next_offset() const { return next_offset_; }
  std::uint64_t size_bytes() const { return size_bytes_; }
  std::int64_t max_timestamp() const { return max_timestamp_; }
  SegmentSummary summary() const {
    return {base_offset_, size_bytes_, max_timestamp_, headers_hash_};
  }
  std::string path() const { return directory_ + "/" + segment_file_name(base_offset_); }

  /// Into memory.
  void append(const OwnedBytes& batch, const protocol::RecordBatchHeader& header);
  /// Up to this size it is durable in the journal and may be written.
  void set_durable(std::uint64_t durable_bytes) { durable_bytes_ = durable_bytes; }
  std::uint64_t durable_bytes() const { return durable_bytes_; }
  std::uint64_t unwritten_durable_bytes() const { return durable_bytes_ - written_bytes_; }
  bool has_tail() const { return size_bytes_ > written_bytes_; }
  /// Writes what is durable to the page cache.
  Status flush();
  /// Room is set aside in the file for more batches.
  bool has_reserve() const { return reserved_bytes_ > 0; }
  void give_back_reserve();
  /// Written since the last begin_sync.
  bool is_unsynced() const { return unsynced_; }
  /// The open file, for the checkpoint to sync; also writes the index entries that are not on disk.
  Result<std::shared_ptr<io::File>> begin_sync();

  enum class FirstBatch { kAlways, kIfItFits };
  /// See Partition::read. Sets `end` to the offset behind the last batch read.
  Result<std::size_t> read(Offset from, std::size_t bytes_max, Offset upper, FirstBatch first,
                           Buffer& destination, Offset& end);

  /// The size of the batch that holds `from`; 0 if there is none.
  Result<std::size_t> batch_bytes(Offset from);

  struct Place {
    Offset offset;  ///< of the batch that begins at `position`
    std::uint64_t position = 0;
  };
  /// The first batch whose greatest timestamp is at least `timestamp`, among those before `upper`;
  /// appended to `destination`. False if there is none.
  Result<bool> read_by_timestamp(std::int64_t timestamp, Offset upper, Buffer& destination);
  /// Greatest timestamp of the batches before `upper`; -1 if there are none.
  Result<std::int64_t> max_timestamp_before(Offset upper);
  /// Bytes from the batch that holds `from` to the end, within one index step.
  std::uint64_t bytes_from(Offset from) const;

  /// Recovery: changes nothing. kCorrupt if the file is missing or shorter than size_bytes(), or is
  /// longer and not this segment's; only the last one of the checkpoint may have been written to.
  Status look_at_file(bool is_last);
  /// Recovery: as look_at_file; what is behind is cut off (true).
  Result<bool> adopt_file();
  /// Recovery: a segment that is not written any more has all its bytes in its file, and no more
  /// but what an earlier recovery has cut off.
  Status check_file();
  bool is_adopted() const { return adopted_bytes_ > 0; }
  /// Lets go of what only saves time; for the bound on open files.
  void unload();

 private:
  friend class SegmentFiles;
  Result<io::File*> open_file();
  void reserve_ahead(io::File& file);
  Result<std::size_t> load(std::uint64_t position, std::size_t count, Buffer& destination);
  Status load_index();
  Status read_index();
  Result<std::uint32_t> scan_index(IndexEntry from);
  Result<std::uint64_t> check_stretch(std::uint64_t position);
  /// By all its headers, whatever follows them.
  bool holds_what_was_written();
  /// Whether batches with this hash are those that were written here.
  Result<bool> cut_file();
  bool fits(std::uint32_t headers_hash, std::uint32_t expected) const;
  void note_for_index(const IndexEntry& entry);
  Status write_index();
  Place index_place(Offset from) const;
  Result<Place> find(Offset from);
  Result<protocol::RecordBatchHeader> checked_header(ByteView bytes, Place expected) const;
  /// Calls visitor(header, place, bytes) for each batch from `from` on until it returns false;
  /// gives the place of that batch, or the end.
  template <typename Visitor>
  Result<Place> walk(Place from, Visitor visitor);
  std::unexpected<Error> damage(std::uint64_t position, std::string_view what) const;
  std::unexpected<Error> foreign(std::uint64_t position) const;

  SegmentFiles& files_;
  const std::string& directory_;  // of the Segments that own us
  const std::uint32_t seed_;      // of our index entries
  Offset base_offset_;
  Offset next_offset_;
  std::uint64_t size_bytes_;
  std::int64_t max_timestamp_;
  std::optional<std::uint32_t> headers_hash_;  // of all batches, those in memory too

  // written_ <= durable_ <= size_; [written_, size_) is tail_.
  std::uint64_t written_bytes_;
  std::uint64_t durable_bytes_;
  SegmentTail tail_;
  std::uint64_t reserved_bytes_ = 0;  // room set aside in the file, up to there; 0: none
  bool unsynced_ = false;

  std::shared_ptr<io::File> file_;  // shared with a sync that is under way
  std::list<Segment*>::iterator place_in_open_;

  struct KeptEntry : IndexEntry {
    bool is_checked = false;  // the stretch that begins here, while it is not the last
  };
  std::vector<KeptEntry> index_;
  bool index_loaded_;
  bool is_first_stretch_checked_ = false;
  bool is_foreign_ = false;                // the hash of all does not fit: nothing of it is served
  std::size_t index_written_ = 0;          // entries that are in the file
  std::uint64_t last_index_position_ = 0;  // of the last entry, or 0

  std::uint64_t adopted_bytes_;      // on disk before this start: checked when first read
  std::uint64_t checked_bytes_ = 0;  // of these, checked from the beginning
  std::array<Place, 4> ends_{};      // where reads ended, for the next one to begin
  std::size_t next_end_ = 0;
};

class Segments {
 public:
  /// `partition_seed` names the partition (format.h).
  Segments(SegmentFiles& files, std::string directory, std::uint32_t partition_seed)
      : files_(files), directory_(std::move(directory)), partition_seed_(partition_seed) {}

  const std::string& directory() const { return directory_; }
  std::uint64_t size_bytes() const { return size_bytes_; }
  const std::vector<std::unique_ptr<Segment>>& all() const { return segments_; }
  bool empty() const { return segments_.empty(); }
  Segment& active() { return *segments_.back(); }

  /// Appends to the active segment, after beginning a new one if this batch would make it larger
  /// than `segment_bytes`. Deterministic: replay rolls where the first run rolled.
  Segment& append(const OwnedBytes& batch, const protocol::RecordBatchHeader& header,
                  std::uint64_t segment_bytes);
  /// The one that holds `offset`; nullptr if none does.
  Segment* find(Offset offset) const;
  /// Takes out all segments that end at or before `offset`. Their files are still there.
  std::vector<std::unique_ptr<Segment>> take_before(Offset offset);
  /// Recovery: as a checkpoint tells it.
  void adopt(const std::vector<SegmentSummary>& summaries, Offset log_end_offset);
  /// Recovery: makes the files agree with what is known: cuts off what is behind, removes segments
  /// that should not be there yet. If bytes are missing, the journal may still say that they were
  /// removed on purpose: until then nothing is written here, and damage() has the error.
  Status adopt_files();
  const std::optional<Error>& damage() const { return damage_; }
  /// Recovery, before anything is changed: the files that are behind `log_start`.
  Status look_at_files(Offset log_start) const;
  /// Recovery, after the replay: every segment that the checkpoint knows, and that nothing has
  /// removed since, has its file. kCorrupt otherwise.
  Status check_files() const;
  /// Writes what is durable to the page cache, where it is at least `unwritten_bytes_min`.
  Status flush(std::uint64_t unwritten_bytes_min);
  /// A checkpoint has something to do here: bytes in memory, files or a folder to sync.
  bool is_unsynced() const;
  /// Removes the files of a segment that take_before gave.
  Status remove_files(std::unique_ptr<Segment> segment);
  /// Its folder is there, and what is in it is of this partition.
  bool has_directory() const { return has_directory_; }
  /// The folder has changed since this was last asked: a checkpoint syncs it.
  bool take_directory_unsynced() { return std::exchange(directory_unsynced_, false); }
  /// The folder itself is new: the folder that holds it needs a sync too.
  bool take_directory_new() { return std::exchange(directory_new_, false); }

 private:
  Status make_directory();

  SegmentFiles& files_;
  std::string directory_;
  const std::uint32_t partition_seed_;
  std::vector<std::unique_ptr<Segment>> segments_;  // by base offset
  std::uint64_t size_bytes_ = 0;
  bool has_directory_ = false;  // and what is in it is ours
  bool files_adopted_ = true;
  std::optional<Error> damage_;  // of the segment that was active in the checkpoint
  Offset damaged_base_offset_;
  Offset adopted_active_ = kNoOffset;  // the last segment of the checkpoint
  bool directory_unsynced_ = false;
  bool directory_new_ = false;
};

/// Removes a folder and the files in it; no error if it is not there.
Status remove_directory(io::Disk& disk, const std::string& path);

}  // namespace onceflow::log
