// Documents: what the feeder writes: JSON objects whose values, keys and spellings are drawn from
// the borders of docs/values.md, with the value that each field must have for a pipeline.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/sim_database.h"
#include "sim/world/sim_random.h"

namespace onceflow::sim {

/// One field: as JSON writes it (empty: it is not there) and as `$.field` must read it.
struct Field {
  std::string json;
  StoredValue value;
};

struct Document {
  std::int64_t number = 0;  ///< `$.n`: each has its own
  Field key;                ///< `$.key`; never null
  Field amount;             ///< `$.amount`: integers, null or missing
  Field size;               ///< `$."größe"`: numbers that a double holds exactly, null or missing
  Field text;               ///< `$.text`: text, null or missing
  std::string json;         ///< the record's value
  /// A record without a value: `key.json` is its key, and all its fields are null.
  bool is_tombstone = false;
  std::string doubt;  ///< what may be refused in it, for people; empty: nothing
  Field Document::* doubtful = nullptr;
};

/// The value of a field that no table can hold: where it belongs into a row, only a refusal is
/// right.
inline const StoredValue kNoValue = std::string("\x01 no value is right");
/// The value of a column that is not foretold.
inline const StoredValue kAnyValue = std::string("\x01 any value is right");

class DocumentSource {
 public:
  enum class Tombstones { kNone, kSome };
  /// A few keys, so that each comes often.
  DocumentSource(SimRandom& random, Tombstones tombstones);

  Document draw(std::int64_t number);
  /// One that may be refused by name, and else must be right: what no program can hold, or only
  /// some can.
  Document draw_doubtful(std::int64_t number);

 private:
  Document draw_with_value(std::int64_t number);
  std::string spell(const Document& document);
  void doubt(Document& document, std::string what, Field Document::* field, Field drawn);

  SimRandom& random_;
  const Tombstones tombstones_;
  std::vector<Field> keys_;
};

}  // namespace onceflow::sim
