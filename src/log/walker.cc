#include "log/walker.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/crc32c.h"
#include "log/format.h"
#include "log/walked_journal.h"
#include "log/walked_segments.h"
#include "log/walked_state.h"

namespace onceflow::log {
namespace {

Result<bool> holds_checkpoint(io::Disk& disk, const std::string& directory) {
  for (std::uint64_t slot = 0; slot < 2; ++slot) {
    const auto exists = disk.exists(directory + "/" + checkpoint_file_name(slot));
    RETURN_IF_ERROR(exists);
    if (*exists) {
      return true;
    }
  }
  return false;
}

/// The newest checkpoint that is whole; nullopt, and a finding, if there is none.
Result<std::optional<WalkedState>> walk_checkpoints(io::Disk& disk, const std::string& directory,
                                                    WalkReport& report) {
  std::optional<WalkedState> newest;
  std::uint64_t newest_sequence = 0;
  std::vector<std::string> damaged;
  for (std::uint64_t slot = 0; slot < 2; ++slot) {
    const std::string path = directory + "/" + checkpoint_file_name(slot);
    const auto exists = disk.exists(path);
    RETURN_IF_ERROR(exists);
    if (!*exists) {
      continue;
    }
    const auto bytes = io::read_file(disk, path);
    RETURN_IF_ERROR(bytes);
    const auto header = decode_checkpoint_header(*bytes);
    const ByteView body = ByteView(*bytes).subspan(std::min(bytes->size(), kCheckpointHeaderBytes));
    if (!header || header->body_bytes != body.size() || header->body_checksum != crc32c(body)) {
      damaged.push_back(path);
      continue;
    }
    auto state = decode_walked_state(header->version, body);
    if (!state) {
      report.find(path, kCheckpointHeaderBytes,
                  "its checksum is right, but its contents do not decode");
    } else if (!newest || header->sequence > newest_sequence) {
      newest = std::move(state);
      newest->path = path;
      newest_sequence = header->sequence;
    }
  }
  for (const std::string& path : damaged) {
    if (newest) {
      report.notes.push_back(fmt::format(
          "{}: this checkpoint is torn or damaged; the one before it and the journal count", path));
    } else {
      report.find(path, 0, "this checkpoint is damaged, and there is no other");
    }
  }
  return newest;
}

std::optional<std::string> property_of(std::string_view text, std::string_view key) {
  const std::string lines = "\n" + std::string(text) + "\n";
  const std::string begin = "\n" + std::string(key) + "=";
  const std::size_t at = lines.rfind(begin);
  if (at == std::string::npos) {
    return std::nullopt;
  }
  return lines.substr(at + begin.size(), lines.find('\n', at + 1) - at - begin.size());
}

// meta.properties and the checkpoint tell the same cluster id, and a node's id is a number.
Status walk_identity(io::Disk& disk, const std::string& directory, const WalkedState& state,
                     WalkReport& report) {
  const std::string path = directory + "/meta.properties";
  const auto exists = disk.exists(path);
  RETURN_IF_ERROR(exists);
  if (state.cluster_id.empty()) {
    return {};
  }
  if (!*exists) {
    report.notes.push_back(fmt::format(
        "{} is missing; the next start makes it again with the cluster id of before, {}", path,
        state.cluster_id));
    return {};
  }
  const auto bytes = io::read_file(disk, path);
  RETURN_IF_ERROR(bytes);
  const std::string found = property_of(as_text(*bytes), "cluster.id").value_or("none");
  if (found != state.cluster_id) {
    report.find(
        path, 0,
        fmt::format("its cluster.id is {}, where the checkpoint says {}", found, state.cluster_id));
  }
  const auto is_digit = [](char letter) { return letter >= '0' && letter <= '9'; };
  if (const auto node = property_of(as_text(*bytes), "node.id");
      node && (node->empty() || !std::ranges::all_of(*node, is_digit))) {
    report.find(path, 0, "its node.id is no number");
  }
  return {};
}

}  // namespace

void WalkReport::find(std::string path, std::uint64_t position, std::string what) {
  ++finding_count;
  if (findings.size() < kFindingsKeptMax) {
    findings.push_back({std::move(path), position, std::move(what)});
  }
}

Result<WalkReport> walk_log_directory(io::Disk& disk, const std::string& directory,
                                      std::uint64_t boot_id) {
  const auto exists = disk.exists(directory);
  RETURN_IF_ERROR(exists);
  if (!*exists) {
    return fail(ErrorCode::kNotFound, fmt::format("{} is not there", directory));
  }
  // Before the lock, which is a file: of what is no log nothing is changed.
  const auto holds = holds_checkpoint(disk, directory);
  RETURN_IF_ERROR(holds);
  if (!*holds) {
    return fail(ErrorCode::kNotFound, fmt::format("{} holds no log: no checkpoint", directory));
  }
  const auto lock = disk.lock_directory(directory);
  RETURN_IF_ERROR(lock);
  WalkReport report;
  auto state = walk_checkpoints(disk, directory, report);
  RETURN_IF_ERROR(state);
  if (!*state) {
    return report;
  }
  RETURN_IF_ERROR(walk_identity(disk, directory, **state, report));
  // First, for it says what has been deleted since the checkpoint.
  RETURN_IF_ERROR(walk_journal(disk, directory + "/journal", boot_id, **state, report));
  for (const auto& [id, topic] : (*state)->topics) {
    ++report.topic_count;
    for (std::size_t index = 0; index < topic.partitions.size(); ++index) {
      const PartitionIndex number(static_cast<std::int32_t>(index));
      RETURN_IF_ERROR(
          walk_segments(disk, directory + "/topics/" + partition_directory_name(topic.name, number),
                        {id, number}, (*state)->path, topic.partitions[index], report));
    }
  }
  return report;
}

}  // namespace onceflow::log
