// KeptPosition: where a stage would go on in a partition, as it is kept: in the consumer group of a
// topic stage, or in the sink's table. The topic's id is kept with it, because a topic that was
// deleted and made again under the same name is another topic, whose offsets mean other records.
//
// In a group it stands in the metadata of the committed offset (docs/formats/positions.md).
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/task.h"
#include "protocol/receipt.h"

namespace onceflow::engine {

struct KeptPosition {
  TopicPartition source;
  Offset next_offset = kNoOffset;  ///< kNoOffset: there is none
  /// Of the topic that next_offset belongs to; empty: kept by a version that did not know of ids.
  std::string topic_id{};
  std::int64_t epoch = 0;  ///< of a sink's claim
  /// The newest receipt of the partition, where it was looked for.
  Offset receipt_offset = kNoOffset;
  std::string receipt_topic_id{};  ///< empty: unknown
  /// What the newest receipt says was read, where it is known.
  std::optional<protocol::Receipt::Input> receipt_input{};
  protocol::Receipt::Beginning receipt_beginning = protocol::Receipt::Beginning::kNone;
  /// It says that this pipeline has committed it; else receipts must account for it.
  bool is_signed = true;

  /// Its beginning is fixed, and by a version that says so.
  bool is_open() const { return next_offset != kNoOffset && !topic_id.empty() && is_signed; }
};

/// What is to be kept from now on.
struct OpenedPosition {
  KeptPosition before;
  Offset next_offset;
  TopicId topic_id{};
  /// kNone: only the topic's id is added to what is kept.
  protocol::Receipt::Beginning beginning = protocol::Receipt::Beginning::kNone;
};

class PositionKeeper {
 public:
  virtual ~PositionKeeper() = default;
  virtual Task<Result<std::vector<KeptPosition>>> read(std::vector<TopicPartition> partitions) = 0;
  /// The same positions, with what the newest receipts say of each.
  virtual Task<Result<std::vector<KeptPosition>>> find_receipts(
      std::vector<KeptPosition> positions) = 0;
  /// Before positions that are not kept are begun: what is known elsewhere of where they began, as
  /// the newest receipt of each. kRefused: they have begun, and must not begin anew like this.
  virtual Task<Result<std::vector<KeptPosition>>> recall(std::vector<KeptPosition> positions) {
    co_return positions;
  }
  /// The same positions with receipt_input, where a look at the last receipts tells.
  virtual Task<Result<std::vector<KeptPosition>>> find_inputs(
      std::vector<KeptPosition> positions) = 0;
  /// Before it is refused: what the newest receipts have read has lost records since, as the log
  /// itself says.
  virtual void note_lost(std::span<const protocol::Receipt::Input> /*inputs*/) {}
  /// Durable once it returns, all of them or none, with a receipt of each beginning. An error that
  /// is not final: the past is to be decided again, by recovery.
  virtual Task<Status> open(std::vector<OpenedPosition> positions) = 0;
};

/// "unknown" for zeros: a cluster without topic ids.
std::string topic_id_text(const TopicId& id);
/// Both are known, and differ.
bool is_another_topic(std::string_view kept, std::string_view now);

/// What stands in the metadata of a committed offset.
struct GroupPositionText {
  std::string topic_id;
  std::string changelog_id{};  ///< of the changelog that holds the state up to the offset; or empty
  std::string receipts_id{};   ///< of the topic that holds the receipts up to it; empty: unknown
  std::string pipeline{};      ///< that has committed it; empty: a version that did not say
};
std::string to_text(const GroupPositionText& position);
/// Empty fields for metadata that is not ours.
GroupPositionText parse_group_position(std::string_view metadata);

}  // namespace onceflow::engine
