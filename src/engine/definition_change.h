// DefinitionChange: a pipeline file compared with what the pipeline was so far. A change that its
// results would not show (a state goes on with another's values, a table stays without its old
// rows, records are counted again) is refused; a change that begins with the next record is noted.
// Pure functions; docs/changing-a-pipeline.md has the rules, a row each.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/start_over.h"
#include "protocol/definition.h"

namespace onceflow::engine {

struct DefinitionChange {
  enum class Weight { kNote, kRefused };
  /// Whether the pipeline may go on with the state as it is: the new definition must make states of
  /// the same shape. Advised where the keys are made as before, so that only records are kept out
  /// or changed.
  enum class KeepingState { kRefused, kAllowed, kAdvised };
  Weight weight = Weight::kNote;
  std::string stage;
  std::string what;    ///< what has changed, with both texts
  std::string effect;  ///< what comes of it
  /// Of a new table: the topic that fills it from the beginning, if the topic still has it.
  /// Where it has not, the change is to be refused.
  std::optional<std::string> filled_from = std::nullopt;
  /// Topics of which the effect says where the stage begins in them: so where it keeps no position.
  std::vector<std::string> begins_in{};
  /// Of a state that would be mixed or left behind, or of rows: where it is, and what lies before
  /// it. Where all of them are empty, there is none yet, and the change is a note.
  std::vector<std::string> state_topics{};
  KeepingState keeping_state = KeepingState::kRefused;
  /// Topics that are read no more, and the group that knows how far they were read.
  std::vector<std::string> left_topics{};
  std::string left_group{};
  /// They lie between stages: what is unread in them would belong to no stage. A refusal if
  /// something is, and else no change.
  bool must_be_read = false;
};

/// A record of a reset that counts: that it began, that it has ended, or that states are kept.
struct ResetMark {
  protocol::PipelineDefinition::Kind kind = protocol::PipelineDefinition::Kind::kResetBegun;
  std::int64_t written_at_ms = 0;
  friend bool operator==(const ResetMark&, const ResetMark&) = default;
};

/// What is known of a pipeline from its definitions topic.
class KnownDefinition {
 public:
  /// One record of the topic, in order. What a worker wrote that the ones before it rule out does
  /// not count: of two workers that begin at once with different files, the first is right.
  void add(const protocol::PipelineDefinition& record);

  bool is_known() const { return is_known_; }
  /// A reset was begun and has not ended.
  bool is_being_reset() const { return begun_.has_value(); }
  /// That reset: what it was told, and the pipeline as its file was. Only while is_being_reset().
  const protocol::PipelineDefinition& begun() const { return *begun_; }
  const protocol::PipelineDefinition& current() const { return current_; }
  /// A stage of it, or a sink that it had; null: there was none of that id.
  const protocol::PipelineDefinition::Stage* find(const std::string& stage) const;
  /// The newest; none: it was never reset. One that begins beside another reset does not count;
  /// where the same is begun again, the later one does.
  const std::optional<ResetMark>& newest_reset() const { return newest_reset_; }
  /// The newest that has ended; none: the topic tells of none.
  const std::optional<StartOver>& newest_start_over() const { return newest_start_over_; }
  /// Records outside of transactions may be its own.
  bool was_at_least_once() const { return was_at_least_once_; }
  /// Everything that differs; empty if nothing was known.
  std::vector<DefinitionChange> compare(const protocol::PipelineDefinition& planned) const;
  /// Topics between stages that the plan leaves; whether something is unread there, the log tells.
  std::vector<DefinitionChange> left_topics(const protocol::PipelineDefinition& planned) const;
  /// The hashes of former definitions whose states the stage goes on with, besides its own.
  std::vector<std::uint64_t> accepted_states(const std::string& stage) const;

 private:
  void accept_states(const protocol::PipelineDefinition& record);

  bool is_known_ = false;
  bool was_at_least_once_ = false;
  protocol::PipelineDefinition current_;
  std::optional<protocol::PipelineDefinition> begun_;  ///< the first, where it was repeated
  std::optional<ResetMark> newest_reset_;
  std::optional<StartOver> newest_start_over_;
  /// Tables that the pipeline no longer writes; their positions are still there.
  std::vector<protocol::PipelineDefinition::Stage> retired_;
  std::map<std::string, std::vector<std::uint64_t>> accepted_states_;  ///< by stage
};

bool has_refusal(std::span<const DefinitionChange> changes);
/// All that is refused is a change of states that may be kept.
bool may_keep_states(std::span<const DefinitionChange> changes);
/// Something is unread that no stage of the plan would read.
bool leaves_unread(std::span<const DefinitionChange> changes);
/// What can be done about the refusals, a line each; `file` is the file of `planned` as a command
/// names it, `end` the last word of each command.
std::string ways_on(std::span<const DefinitionChange> changes,
                    const protocol::PipelineDefinition& planned, std::string_view file,
                    std::string_view end);
/// That a reset has not ended, which it was, and the command that ends it; while is_being_reset().
/// `file` as in ways_on().
std::string unended_reset(const KnownDefinition& known, const protocol::PipelineDefinition& planned,
                          std::string_view file);
/// A line each: "stage: what: effect".
std::string describe(std::span<const DefinitionChange> changes, DefinitionChange::Weight weight);

}  // namespace onceflow::engine
