// Accumulator: the running value of one aggregate function for one key. The functions are SQL's:
// nulls do not count, an empty sum, min, max or avg is null. Integers stay exact: a sum of integers
// that would leave 64 bits is an error, not a rounded number.
#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "base/result.h"
#include "base/value.h"
#include "base/wire.h"
#include "engine/topology.h"

namespace onceflow::engine {

class Accumulator {
 public:
  /// kInvalidArgument if the value's kind does not fit the function; the text says what does.
  Status add(const AggregateColumn& column, const Value& value);

  /// Text is a view into this accumulator.
  Value result(AggregateFunction function) const;

  void encode(WireWriter& writer) const;
  static Accumulator decode(WireReader& reader);

  friend bool operator==(const Accumulator&, const Accumulator&) = default;

 private:
  using Owned = std::variant<std::monostate, std::int64_t, double, std::string>;

  Status add_number(const Value& value);
  void keep_extreme(AggregateFunction function, const Value& value);

  std::int64_t count_ = 0;
  Owned value_;  ///< the sum (sum, avg) or the extreme (min, max) so far
};

}  // namespace onceflow::engine
