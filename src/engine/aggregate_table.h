// AggregateTable: the keyed state of one partition of an aggregating stage. Owned by the stage's
// task.
//
// Invariant STG-2: the table equals the fold of the inputs before the committed position. So
// changes of the open transaction wait in an overlay; apply_pending() moves them into the table
// once EndTxn has answered, drop_pending() forgets them when the transaction was rolled back. The
// changelog topic is the truth; this is its copy.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "engine/accumulator.h"
#include "engine/topology.h"

namespace onceflow::engine {

class AggregateTable {
 public:
  /// `definition` is what makes a state here, a line each (docs/formats/definition.md). Its hash is
  /// kept with every state; those of `accepted` are taken as well. All outlive the table.
  AggregateTable(const AggregateSpec& spec, std::string_view definition,
                 std::span<const std::uint64_t> accepted = {});

  /// Adds one record's arguments (one value per column) to its key's pending state. `offset` is for
  /// pending_records().
  Status update(ByteView key, std::span<const Value> arguments, Offset offset = kNoOffset);

  /// What a changed key writes at the commit; the views are valid during the call only.
  struct Change {
    ByteView key;
    ByteView state;                  ///< for the changelog
    std::optional<ByteView> output;  ///< JSON object: the key columns, then the aggregates; none:
                                     ///< the results are as they were
    Offset last_record = kNoOffset;  ///< the last one that changed it
  };
  /// Of the keys touched since the last apply or drop, in the order in which they were first
  /// touched: `count_max` of them from the `first` on. A key that is new has changed.
  void for_each_pending(std::size_t first, std::size_t count_max,
                        const std::function<void(const Change&)>& visit);
  std::size_t pending_count() const { return pending_order_.size(); }
  /// The first record of the key whose last one this is, of those that wait for the commit.
  Offset first_pending_record(Offset last_record) const;

  /// Takes over that many at most; true once nothing is pending.
  bool apply_pending(std::size_t count_max);
  void drop_pending();

  /// One changelog record; a null state is a deletion. kInvalidArgument if a definition has made
  /// it that is not accepted, kCorrupt if it does not decode or holds what its functions cannot
  /// come to.
  Status restore(ByteView key, std::optional<ByteView> state);
  /// Forgets everything, to begin a restore.
  void clear();

  std::size_t key_count() const { return table_.size(); }

 private:
  using State = std::vector<Accumulator>;
  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>{}(text);
    }
  };
  template <typename Of>
  using ByKey = std::unordered_map<std::string, Of, TextHash, std::equal_to<>>;
  struct Pending {
    State state;
    Offset first_record;
    Offset last_record;
  };

  Pending& pending_state(std::string_view key, Offset offset);
  Status check_key(std::string_view key) const;
  /// Null if the key is new.
  const State* committed_state(std::string_view key) const;
  bool has_same_results(const State& left, const State& right) const;
  std::string name_state(ByteView key) const;
  Status check_definition(ByteView key, std::uint64_t hash) const;
  Status check_values(ByteView key, const State& state) const;

  const AggregateSpec& spec_;
  const std::string_view definition_;
  const std::uint64_t definition_hash_;
  const std::span<const std::uint64_t> accepted_;
  ByKey<State> table_;
  ByKey<Pending> pending_;
  std::vector<const std::string*> pending_order_;  ///< keys of pending_, whose nodes do not move
  std::size_t applied_count_ = 0;                  ///< of those, while they are taken over
};

/// The value of an output record. `key` is the record key: the text of the single key column, or a
/// JSON array of several.
std::string render_aggregate(const AggregateSpec& spec, std::string_view key,
                             std::span<const Accumulator> state);

}  // namespace onceflow::engine
