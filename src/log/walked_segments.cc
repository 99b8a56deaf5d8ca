#include "log/walked_segments.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <vector>

#include "log/format.h"
#include "log/lost_offsets.h"
#include "protocol/control_batch.h"
#include "protocol/record_batch.h"

namespace onceflow::log {
namespace {

constexpr std::size_t kReadBytes = std::size_t{1} << 20;

/// What the batches of a partition say of those who wrote them.
class WrittenProducers {
 public:
  struct Written {
    WalkedBatch batch;
    std::string path;
    std::uint64_t position = 0;
  };

  void add(const protocol::RecordBatchView& batch, const std::string& path,
           std::uint64_t position) {
    const protocol::RecordBatchHeader& header = batch.header();
    if (header.is_control()) {
      add_marker(batch);
      return;
    }
    if (!header.has_producer_id()) {
      return;
    }
    newest_[header.producer_id] = {
        {header.base_sequence, header.last_sequence(), header.base_offset, header.last_offset()},
        path,
        position};
    if (header.is_transactional()) {
      open_.try_emplace(header.producer_id, header.base_offset);
    }
  }

  const std::map<ProducerId, Written>& newest() const { return newest_; }
  const std::map<ProducerId, Offset>& open() const { return open_; }
  const std::vector<WalkedAbort>& aborted() const { return aborted_; }

 private:
  void add_marker(const protocol::RecordBatchView& batch) {
    const auto marker = protocol::parse_end_transaction_marker(batch);
    if (!marker || !*marker) {
      return;
    }
    const auto open = open_.find((*marker)->producer.id);
    if (open != open_.end()) {
      if ((*marker)->type == protocol::ControlRecordType::kAbort) {
        aborted_.push_back({open->first, open->second, batch.header().base_offset});
      }
      open_.erase(open);
    }
  }

  std::map<ProducerId, Written> newest_;
  std::map<ProducerId, Offset> open_;
  std::vector<WalkedAbort> aborted_;
};

/// The entries of one index, each compared with the batch that it points to.
class IndexWalk {
 public:
  IndexWalk(std::string path, std::uint32_t seed, WalkReport& report)
      : path_(std::move(path)), seed_(seed), report_(report) {}

  Status load(io::Disk& disk) {
    const auto exists = disk.exists(path_);
    RETURN_IF_ERROR(exists);
    if (!*exists) {
      return {};  // it will be built again
    }
    auto bytes = io::read_file(disk, path_);
    RETURN_IF_ERROR(bytes);
    bytes_ = std::move(*bytes);
    read_entry();
    return {};
  }

  /// `max_timestamp` is of all batches before this one.
  void visit(std::uint64_t position, Offset base_offset, std::int64_t max_timestamp) {
    while (entry_ && entry_->position < position) {
      find(fmt::format("an entry points to byte {} of its segment, where no batch begins",
                       entry_->position));
      next_entry();
    }
    if (entry_ && entry_->position == position) {
      if (entry_->offset != base_offset || entry_->max_timestamp != max_timestamp) {
        find(fmt::format(
            "an entry for offset {} and greatest timestamp {}, where the segment has "
            "{} and {}",
            entry_->offset.value, entry_->max_timestamp, base_offset.value, max_timestamp));
      }
      ++report_.index_entry_count;
      next_entry();
    }
  }

 private:
  void next_entry() {
    at_ += kIndexEntryBytes;
    read_entry();
  }
  // An entry that is not whole ends the index: it is a hint, and never synced.
  void read_entry() {
    entry_.reset();
    if (at_ + kIndexEntryBytes <= bytes_.size()) {
      entry_ = decode_index_entry(ByteView(bytes_).subspan(at_, kIndexEntryBytes), seed_);
      if (!entry_) {
        report_.notes.push_back(fmt::format(
            "{} byte {}: this index entry is torn, damaged or of another segment; the index will "
            "be built again",
            path_, at_));
      }
    }
  }
  void find(std::string what) { report_.find(path_, at_, std::move(what)); }

  std::string path_;
  const std::uint32_t seed_;
  WalkReport& report_;
  Buffer bytes_;
  std::uint64_t at_ = 0;
  std::optional<IndexEntry> entry_;
};

/// One segment, up to the size that the checkpoint knows.
class SegmentWalk {
 public:
  SegmentWalk(const std::string& directory, const TopicIdPartition& id,
              const WalkedSegment& segment, Offset end, WrittenProducers& producers,
              WalkReport& report)
      : path_(directory + "/" + segment_file_name(segment.base_offset)),
        segment_(segment),
        end_(end),
        next_(segment.base_offset),
        producers_(producers),
        report_(report),
        index_(directory + "/" + segment_index_file_name(segment.base_offset),
               segment_seed(partition_seed(id), segment.base_offset), report) {}

  Status run(io::Disk& disk) {
    const auto exists = disk.exists(path_);
    RETURN_IF_ERROR(exists);
    if (!*exists) {
      report_.find(path_, 0, "this segment is not there");
      return {};
    }
    RETURN_IF_ERROR(index_.load(disk));
    auto file = disk.open(path_, io::OpenMode::kRead);
    RETURN_IF_ERROR(file);
    const auto size_bytes = (*file)->size();
    RETURN_IF_ERROR(size_bytes);
    if (*size_bytes < segment_.size_bytes) {
      report_.find(path_, *size_bytes,
                   fmt::format("the segment ends here, at {} of {} bytes", *size_bytes,
                               segment_.size_bytes));
    }
    ++report_.segment_count;
    const std::uint64_t end = std::min(*size_bytes, segment_.size_bytes);
    RETURN_IF_ERROR(read_batches(**file, end));
    if (position_ == segment_.size_bytes) {
      judge_end();
    }
    return {};
  }

 private:
  // Stops at the first batch that is wrong, for nothing behind it can be told apart.
  Status read_batches(io::File& file, std::uint64_t end) {
    while (position_ < end) {
      RETURN_IF_ERROR(load(file, std::min<std::uint64_t>(end - position_, kReadBytes)));
      auto header = protocol::RecordBatchHeader::parse(window_);
      if (header && header->size_bytes() > window_.size() &&
          header->size_bytes() <= end - position_) {
        RETURN_IF_ERROR(load(file, header->size_bytes()));
      }
      protocol::RecordBatchReader reader(window_);
      const std::uint64_t begin = position_;
      while (true) {
        const auto batch = reader.next();
        if (!batch) {
          report_.find(path_, position_, batch.error().text);
          return {};
        }
        if (!*batch) {
          break;
        }
        if (const std::string wrong = take(**batch); !wrong.empty()) {
          report_.find(path_, position_, wrong);
          return {};
        }
        position_ = begin + reader.position();
      }
      if (position_ == begin) {
        report_.find(path_, position_, "the last batch is cut off");
        return {};
      }
    }
    return {};
  }

  Status load(io::File& file, std::uint64_t count) {
    window_.resize(static_cast<std::size_t>(count));
    const auto read_bytes = file.read_at(position_, window_);
    RETURN_IF_ERROR(read_bytes);
    window_.resize(*read_bytes);
    return {};
  }

  std::string take(const protocol::RecordBatchView& batch) {
    const protocol::RecordBatchHeader& header = batch.header();
    if (header.base_offset != next_) {
      return fmt::format("a batch with base offset {}, where {} comes next",
                         header.base_offset.value, next_.value);
    }
    if (!batch.crc_matches()) {
      return fmt::format("the checksum of the batch with offsets {}..{} is wrong",
                         header.base_offset.value, header.last_offset().value);
    }
    if (header.partition_leader_epoch != 0) {
      return fmt::format("the batch with base offset {} has leader epoch {} instead of 0",
                         header.base_offset.value, header.partition_leader_epoch);
    }
    if (holds_lost_offsets(header)) {
      note_lost_offsets(header);
    }
    const auto decoded = protocol::DecodedBatch::decode(batch);
    if (!decoded) {
      return decoded.error().text;
    }
    protocol::RecordReader records = decoded->records();
    for ([[maybe_unused]] const protocol::RecordView& record : records) {
    }
    if (!records.complete()) {
      return fmt::format("the records of the batch with base offset {} do not fill it",
                         header.base_offset.value);
    }
    index_.visit(position_, header.base_offset, max_timestamp_);
    headers_hash_ = add_to_headers_hash(headers_hash_, batch.bytes());
    producers_.add(batch, path_, position_);
    max_timestamp_ = std::max(max_timestamp_, header.max_timestamp);
    next_ = header.next_offset();
    ++report_.batch_count;
    report_.segment_bytes += batch.bytes().size();
    return {};
  }

  void note_lost_offsets(const protocol::RecordBatchHeader& header) {
    const std::int64_t count = header.next_offset() - header.base_offset;
    report_.lost_offset_count += static_cast<std::uint64_t>(count);
    report_.notes.push_back(fmt::format("{} byte {}: salvaged, {} offsets lost: {}..{}", path_,
                                        position_, count, header.base_offset.value,
                                        header.last_offset().value));
  }

  void judge_end() {
    if (next_ != end_) {
      report_.find(path_, position_,
                   fmt::format("the segment ends with offset {}, where the checkpoint says {}",
                               next_.value, end_.value));
    } else if (max_timestamp_ != segment_.max_timestamp) {
      report_.find(path_, 0,
                   fmt::format("its greatest timestamp is {}, where the checkpoint says {}",
                               max_timestamp_, segment_.max_timestamp));
    } else if (segment_.headers_hash && headers_hash_ != *segment_.headers_hash) {
      report_.find(path_, 0,
                   "its batches are whole, but they are not those that the checkpoint knows: it "
                   "was exchanged, or replaced by a copy of another time");
    }
  }

  const std::string path_;
  const WalkedSegment& segment_;
  const Offset end_;
  Offset next_;
  std::uint64_t position_ = 0;
  std::int64_t max_timestamp_ = -1;
  std::uint32_t headers_hash_ = 0;
  Buffer window_;
  WrittenProducers& producers_;
  WalkReport& report_;
  IndexWalk index_;
};

/// The checkpoint's producer states and aborted transactions against the batches.
class StateWalk {
 public:
  StateWalk(const std::string& path, const std::string& directory, const WalkedPartition& partition,
            Offset start, const WrittenProducers& written, WalkReport& report)
      : path_(path),
        directory_(directory),
        partition_(partition),
        start_(start),
        written_(written),
        report_(report) {}

  void run() {
    for (const auto& [id, producer] : partition_.producers) {
      ++report_.producer_count;
      check_newest(id, producer);
      check_open(id, producer.transaction_first_offset);
    }
    for (const auto& [id, first_offset] : written_.open()) {
      if (!partition_.producers.contains(id)) {
        find(fmt::format("producer {} has a transaction open from offset {}, and no state",
                         id.value, first_offset.value));
      }
    }
    check_aborted();
  }

 private:
  // A producer that began a new epoch has no batches kept; nor has one that expired any state.
  void check_newest(ProducerId id, const WalkedProducer& producer) {
    const auto written = written_.newest().find(id);
    if (producer.batches.empty() || producer.batches.back().first_offset < start_) {
      return;
    }
    const WalkedBatch& newest = producer.batches.back();
    if (written == written_.newest().end()) {
      find(fmt::format("producer {}: its last batch, at offset {}, is not there", id.value,
                       newest.first_offset.value));
    } else if (written->second.batch != newest) {
      const WalkedBatch& batch = written->second.batch;
      report_.find(written->second.path, written->second.position,
                   fmt::format("the last batch of producer {} has offsets {}..{} and sequences "
                               "{}..{}; its state in {} says {}..{} and {}..{}",
                               id.value, batch.first_offset.value, batch.last_offset.value,
                               batch.first_sequence.value, batch.last_sequence.value, path_,
                               newest.first_offset.value, newest.last_offset.value,
                               newest.first_sequence.value, newest.last_sequence.value));
    }
  }

  void check_open(ProducerId id, Offset first_offset) {
    const auto open = written_.open().find(id);
    const Offset written = open == written_.open().end() ? kNoOffset : open->second;
    if (written != first_offset && (first_offset == kNoOffset || first_offset >= start_)) {
      find(
          fmt::format("producer {}: its open transaction begins at offset {}, by the batches at {}",
                      id.value, first_offset.value, written.value));
    }
  }

  // Of a transaction whose beginning was deleted only the rest can be compared.
  void check_aborted() {
    std::map<std::pair<ProducerId, Offset>, Offset> kept;
    for (const WalkedAbort& aborted : partition_.aborted) {
      kept[{aborted.producer, aborted.last_offset}] = aborted.first_offset;
    }
    for (const WalkedAbort& aborted : written_.aborted()) {
      const auto place = kept.find({aborted.producer, aborted.last_offset});
      const bool is_listed =
          place != kept.end() && (place->second == aborted.first_offset || place->second < start_);
      if (!is_listed && aborted.last_offset >= partition_.log_start_offset) {
        find(fmt::format(
            "the transaction of producer {} at offsets {}..{} was aborted, and is not "
            "listed so",
            aborted.producer.value, aborted.first_offset.value, aborted.last_offset.value));
      }
      if (place != kept.end()) {
        kept.erase(place);
      }
    }
    for (const auto& [end, first_offset] : kept) {
      if (first_offset >= start_) {
        find(
            fmt::format("the transaction of producer {} at offsets {}..{} is listed as aborted, "
                        "and is not by the batches",
                        end.first.value, first_offset.value, end.second.value));
      }
    }
  }

  void find(const std::string& what) {
    report_.find(path_, 0, fmt::format("{}: {}", directory_, what));
  }

  const std::string& path_;
  const std::string& directory_;
  const WalkedPartition& partition_;
  const Offset start_;
  const WrittenProducers& written_;
  WalkReport& report_;
};

}  // namespace

Status walk_segments(io::Disk& disk, const std::string& directory, const TopicIdPartition& id,
                     const std::string& checkpoint_path, const WalkedPartition& partition,
                     WalkReport& report) {
  ++report.partition_count;
  WrittenProducers producers;
  const std::uint64_t finding_count = report.finding_count;
  Offset start = partition.log_end_offset;
  for (std::size_t index = 0; index < partition.segments.size(); ++index) {
    const WalkedSegment& segment = partition.segments[index];
    const bool is_last = index + 1 == partition.segments.size();
    const Offset end =
        is_last ? partition.log_end_offset : partition.segments[index + 1].base_offset;
    if (end <= partition.log_start_offset) {
      continue;  // retention may have removed it
    }
    start = std::min(start, segment.base_offset);
    RETURN_IF_ERROR(SegmentWalk(directory, id, segment, end, producers, report).run(disk));
  }
  // Behind a batch that cannot be read nothing is known of producers.
  if (report.finding_count == finding_count) {
    StateWalk(checkpoint_path, directory, partition, start, producers, report).run();
  }
  return {};
}

}  // namespace onceflow::log
