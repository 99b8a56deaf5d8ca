#include "log/walked_folders.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>

#include "log/format.h"
#include "protocol/record_batch.h"

namespace onceflow::log {
namespace {

constexpr std::size_t kReadBytes = std::size_t{1} << 20;
constexpr std::uint64_t kBatchBytesMax = std::uint64_t{256} << 20;

/// The batches of one file from a place on, whatever lies between them.
class RestWalk {
 public:
  RestWalk(io::File& file, std::uint64_t size_bytes, std::uint64_t position, Offset expected)
      : file_(file), size_bytes_(size_bytes), position_(position), expected_(expected) {}

  struct Found {
    std::uint64_t position = 0;
    Offset base_offset;
    Offset next_offset;
  };
  Result<std::optional<Found>> next() {
    while (position_ + protocol::kBatchHeaderBytes <= size_bytes_) {
      const auto batch = batch_here();
      RETURN_IF_ERROR(batch);
      if (!*batch) {
        ++position_;
        continue;
      }
      const Found found{position_, (*batch)->header().base_offset,
                        (*batch)->header().next_offset()};
      position_ += (*batch)->bytes().size();
      expected_ = found.next_offset;
      return found;
    }
    return std::nullopt;
  }

 private:
  Result<std::optional<protocol::RecordBatchView>> batch_here() {
    namespace layout = protocol::batch_layout;
    RETURN_IF_ERROR(load(protocol::kBatchHeaderBytes));
    if (rest()[layout::kMagic] != std::byte{protocol::kMagicV2}) {
      return std::nullopt;
    }
    const auto header = protocol::RecordBatchHeader::parse(rest());
    if (!header || header->base_offset < expected_ || header->partition_leader_epoch != 0 ||
        header->last_offset_delta < 0 ||
        header->size_bytes() > std::min(size_bytes_ - position_, kBatchBytesMax)) {
      return std::nullopt;
    }
    RETURN_IF_ERROR(load(header->size_bytes()));
    const auto batch = protocol::RecordBatchView::parse(rest().first(header->size_bytes()));
    return batch && batch->crc_matches() ? std::optional(*batch) : std::nullopt;
  }

  ByteView rest() const {
    return ByteView(window_).subspan(static_cast<std::size_t>(position_ - window_begin_));
  }

  // So that rest() has as much.
  Status load(std::size_t count) {
    if (position_ >= window_begin_ && position_ + count <= window_begin_ + window_.size()) {
      return {};
    }
    window_begin_ = position_;
    window_.resize(static_cast<std::size_t>(
        std::min<std::uint64_t>(size_bytes_ - position_, std::max(count, kReadBytes))));
    const auto read_bytes = file_.read_at(position_, window_);
    RETURN_IF_ERROR(read_bytes);
    window_.resize(*read_bytes);
    return *read_bytes >= count ? Status{} : fail(ErrorCode::kIo, "the file has become shorter");
  }

  io::File& file_;
  const std::uint64_t size_bytes_;
  std::uint64_t position_;
  Offset expected_;
  Buffer window_;
  std::uint64_t window_begin_ = 0;
};

class FolderWalk {
 public:
  FolderWalk(io::Disk& disk, const std::string& path, const WalkedState& state, WalkReport& report)
      : disk_(disk), path_(path), state_(state), report_(report) {}

  Status run(const WalkedPartition& partition) {
    return for_each_segment([&](const std::string& path, Offset base_offset) -> Status {
      const auto known =
          std::ranges::find(partition.segments, base_offset, &WalkedSegment::base_offset);
      const bool is_known = known != partition.segments.end();
      if (!is_known && base_offset < partition.log_start_offset) {
        return {};  // deleted
      }
      const bool is_last = is_known && std::next(known) == partition.segments.end();
      const Offset end = !is_known ? base_offset
                         : is_last ? partition.log_end_offset
                                   : std::next(known)->base_offset;
      return walk_rest(path, is_known ? known->size_bytes : 0, end, partition.journal_end_offset);
    });
  }

  Status run_unknown() {
    std::uint64_t bytes = 0;
    const auto add = [&](const std::string& path, Offset) -> Status {
      const auto file = disk_.open(path, io::OpenMode::kRead);
      RETURN_IF_ERROR(file);
      const auto size_bytes = (*file)->size();
      RETURN_IF_ERROR(size_bytes);
      bytes += *size_bytes;
      return {};
    };
    RETURN_IF_ERROR(for_each_segment(add));
    if (bytes > 0) {
      tell(path_, 0,
           fmt::format("this folder holds records of no topic that is known, {} bytes", bytes));
    }
    return {};
  }

 private:
  template <typename Function>
  Status for_each_segment(Function function) {
    const auto entries = disk_.list(path_);
    RETURN_IF_ERROR(entries);
    for (const io::DirectoryEntry& entry : *entries) {
      if (entry.is_directory) {
        report_.find(path_ + "/" + entry.name, 0, "a folder among the files of a partition");
      } else if (const auto base_offset = parse_segment_file_name(entry.name)) {
        RETURN_IF_ERROR(function(path_ + "/" + entry.name, *base_offset));
      }
    }
    return {};
  }

  // Of whole batches alone: what a crash has torn is written again from the journal.
  Status walk_rest(const std::string& path, std::uint64_t position, Offset expected,
                   Offset log_end) {
    const auto file = disk_.open(path, io::OpenMode::kRead);
    RETURN_IF_ERROR(file);
    const auto size_bytes = (*file)->size();
    RETURN_IF_ERROR(size_bytes);
    RestWalk walk(**file, *size_bytes, position, expected);
    std::optional<RestWalk::Found> first;
    Offset next = expected;
    while (true) {
      const auto batch = walk.next();
      RETURN_IF_ERROR(batch);
      if (!*batch) {
        break;
      }
      if ((*batch)->next_offset > log_end) {
        first = first ? first : **batch;
        next = (*batch)->next_offset;
      }
    }
    if (first) {
      tell(path, first->position,
           fmt::format(
               "batches with offsets {}..{}, of which neither the checkpoint nor the journal tells",
               first->base_offset.value, next.value - 1));
    }
    return {};
  }

  void tell(const std::string& path, std::uint64_t position, std::string what) {
    if (state_.journal_has_all) {
      report_.find(path, position, std::move(what));
    } else {
      report_.notes.push_back(
          fmt::format("{} byte {}: {}; after a loss of power with log.flush=os this may be", path,
                      position, what));
    }
  }

  io::Disk& disk_;
  const std::string path_;
  const WalkedState& state_;
  WalkReport& report_;
};

}  // namespace

Status walk_folders(io::Disk& disk, const std::string& topics_directory, const WalkedState& state,
                    WalkReport& report) {
  std::map<std::string_view, const WalkedTopic*> topics;
  for (const auto& [id, topic] : state.topics) {
    topics[topic.name] = &topic;
  }
  const auto exists = disk.exists(topics_directory);
  RETURN_IF_ERROR(exists);
  if (!*exists) {
    return {};
  }
  const auto entries = disk.list(topics_directory);
  RETURN_IF_ERROR(entries);
  for (const io::DirectoryEntry& entry : *entries) {
    const auto folder = parse_partition_directory_name(entry.name);
    // The folder of a topic that was deleted may be there yet, under one that was made since.
    if (!folder || !entry.is_directory || state.deleted_topics.contains(folder->topic)) {
      continue;
    }
    FolderWalk walk(disk, topics_directory + "/" + entry.name, state, report);
    const auto topic = topics.find(folder->topic);
    const auto index = static_cast<std::size_t>(folder->partition.value);
    if (topic != topics.end() && index < topic->second->partitions.size()) {
      RETURN_IF_ERROR(walk.run(topic->second->partitions[index]));
    } else {
      RETURN_IF_ERROR(walk.run_unknown());
    }
  }
  return {};
}

}  // namespace onceflow::log
