// PipelineDefinition: what a pipeline is, as text, kept in the log beside its positions and states.
// The format is docs/formats/definition.md; a worker and `onceflow reset` write it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace onceflow::protocol {

struct PipelineDefinition {
  enum class Kind : std::uint8_t {
    kRun = 1,         ///< a worker begins with it
    kAccepted = 2,    ///< a reset has made positions and states fit it
    kResetBegun = 3,  ///< a reset is under way: nothing runs before it has ended
    kStatesKept = 4,  ///< a reset has said that it goes on with the states of the one before
  };
  struct Stage {
    std::string id;
    std::string group_id;
    std::vector<std::string> sources;
    std::string steps;                 ///< a line for each thing that it does to a record
    std::string state;                 ///< a line for each thing that makes its state; empty: none
    std::string changelog_topic;       ///< empty: no state
    std::string database;              ///< "sqlite FILE" or "postgres"; empty: topics
    std::vector<std::string> outputs;  ///< topics, or the one table
    std::string columns;               ///< of a table: mode and a line for each column
    friend bool operator==(const Stage&, const Stage&) = default;

    bool is_database() const { return !database.empty(); }
    /// All that decides what a record becomes here; its hash stands in the stage's receipts.
    std::string text() const;
    /// What a table's rows are kept by: its mode, and each column of its key with what makes it, as
    /// sorted lines. A text column takes text alone, so `cast(… as text)` makes the same keys.
    std::vector<std::string> kept_by() const;
  };

  Kind kind = Kind::kRun;
  std::int64_t written_at_ms = 0;
  std::string pipeline;
  std::string guarantee;  ///< as in the file
  std::vector<Stage> stages;
  /// Of kResetBegun: what the reset was told, as the flags are typed again. Else what of the file
  /// decides only about what is new: "auto.offset.reset: latest". Empty: a version that kept none.
  std::string flags{};

  /// The same pipeline, whenever and by whom it was written.
  bool is_same_pipeline(const PipelineDefinition& other) const {
    return pipeline == other.pipeline && guarantee == other.guarantee && stages == other.stages;
  }
  const Stage* find(const std::string& id) const;
  /// All that makes it the same pipeline; its hash stands in a worker's note in the group.
  std::string text() const;
  /// Where it is kept.
  std::string topic() const;
};

/// The topic that says what a pipeline is and has been.
inline std::string definitions_topic(const std::string& pipeline) {
  return pipeline + "-definitions";
}
inline std::string PipelineDefinition::topic() const { return definitions_topic(pipeline); }

/// The lines of one of a definition's texts.
std::vector<std::string> definition_lines(const std::string& text);

/// Of a definition's text: what is kept with each state, and stands in receipts and in notes.
std::uint64_t definition_hash(std::string_view text);

/// Version, fields, and a CRC-32C over all of it.
Buffer encode_definition(const PipelineDefinition& definition);
/// kCorrupt, naming what does not hold.
Result<PipelineDefinition> decode_definition(ByteView bytes);

}  // namespace onceflow::protocol
