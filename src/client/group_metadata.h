// GroupMetadata: who commits offsets, and in which generation; the fence of consumer groups
// (KIP-447).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/ids.h"

namespace onceflow::client {

struct GroupMetadata {
  std::string group_id;
  GenerationId generation{-1};  ///< -1 with an empty member id: no member, as admin tools commit
  std::string member_id;
  std::optional<std::string> group_instance_id;
};

/// `offset` is the next to read. Transactional output needs the fence: always pass the metadata of
/// the live member.
struct OffsetToCommit {
  TopicPartition partition;
  Offset offset;
  std::string metadata;
};

struct CommittedOffset {
  TopicPartition partition;
  Offset offset = kNoOffset;  ///< kNoOffset: nothing was ever committed
  std::string metadata;
};

}  // namespace onceflow::client
