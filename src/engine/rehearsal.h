// Rehearsal: what a worker would decide if it began now. The worker and its stages make the checks
// that they make when they begin, in the same order and with the same words, and write nothing. For
// `onceflow plan`, which so says what `onceflow run` would do.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/task.h"
#include "engine/definition_change.h"
#include "engine/kept_position.h"

namespace onceflow::engine {

struct StageRehearsal {
  std::string stage;
  /// Partitions of which nothing is kept, each with where the stage would begin.
  std::vector<OpenedPosition> begins{};
  /// Positions from which it would go on.
  std::vector<KeptPosition> goes_on{};
  /// What it read last has lost records since, as the log itself says (onceflow salvage).
  bool has_lost_input = false;
  /// It stopped before it had looked at all of them.
  bool has_stopped = false;

  /// Of all that were read, those that are positions.
  void note_kept(std::span<const KeptPosition> positions);
};

/// What a changed file does to where a stage reads is what the stage has found: where its position
/// is kept, the change says so, and not that it begins; and nothing of it where the stage would not
/// get that far.
void say_what_is_kept(std::span<DefinitionChange> changes, std::span<const StageRehearsal> stages);

struct Rehearsal {
  KnownDefinition known;
  /// What the file changes, decided; a refusal among them is the only one.
  std::vector<DefinitionChange> changes;
  /// Each other reason that run would not start, in its words.
  std::vector<std::string> refusals;
  /// What could not be asked, so that nothing is known of what run would do.
  std::vector<std::string> unasked;
  std::vector<StageRehearsal> stages;

  /// Notes an error as what it would be to run; success is nothing.
  void add(const Status& status, const std::string& stage = {});
  bool has_ended() const { return !refusals.empty() || !unasked.empty(); }
};

/// Another keeper's positions, as they are; what would be opened is noted.
class RehearsedPositions final : public PositionKeeper {
 public:
  using Read = std::function<Task<Result<std::vector<KeptPosition>>>(std::vector<TopicPartition>)>;
  enum class Receipts { kKept, kNone };

  /// `read` reads positions again. Receipts::kNone: the topic that would hold them is not there.
  RehearsedPositions(PositionKeeper& kept, Read read, Receipts receipts, StageRehearsal& found)
      : kept_(kept), read_(std::move(read)), receipts_(receipts), found_(found) {}

  Task<Result<std::vector<KeptPosition>>> read(std::vector<TopicPartition> partitions) override;
  Task<Result<std::vector<KeptPosition>>> find_receipts(
      std::vector<KeptPosition> positions) override;
  Task<Result<std::vector<KeptPosition>>> recall(std::vector<KeptPosition> positions) override;
  Task<Result<std::vector<KeptPosition>>> find_inputs(std::vector<KeptPosition> positions) override;
  Task<Status> open(std::vector<OpenedPosition> positions) override;
  void note_lost(std::span<const protocol::Receipt::Input> inputs) override;

 private:
  PositionKeeper& kept_;
  Read read_;
  Receipts receipts_;
  StageRehearsal& found_;
};

}  // namespace onceflow::engine
