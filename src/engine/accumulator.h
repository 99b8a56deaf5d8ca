// Accumulator: the running value of one aggregate function for one key. The functions are SQL's:
// nulls do not count, an empty sum, min, max or avg is null. Integers stay exact: a sum of integers
// that would leave 64 bits is an error, not a rounded number. Columns of decimals are exact
// throughout; their mean has 20 digits after the point, or as many as the sum.
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
  /// kInvalidArgument if the function cannot take the value, whatever came before it; the text says
  /// what it takes. A stage before this one asks, so that such a record never comes this far. What
  /// is taken never leads a sum of decimals or reals out of its bounds, however much is added.
  static Status check(const AggregateColumn& column, const Value& value);
  /// As check(); and kInvalidArgument if a sum leaves 64 bits, or reals would round its integers.
  Status add(const AggregateColumn& column, const Value& value);

  /// Of a state that another definition has made: where the column is a sum of decimals, it goes on
  /// with the digits of one that was not.
  void go_on_as(const AggregateColumn& column);

  /// Text and digits are views into this accumulator, or into `storage`.
  Value result(AggregateFunction function, std::string& storage) const;
  /// Whether both say the same, to the last digit that is written.
  bool has_same_result(const Accumulator& other, AggregateFunction function) const;

  void encode(WireWriter& writer) const;
  static Accumulator decode(WireReader& reader);
  /// Whether the function of this column can have come to this value: what was read from outside is
  /// asked before anything else is done with it.
  bool fits(const AggregateColumn& column) const;

  friend bool operator==(const Accumulator&, const Accumulator&) = default;

 private:
  struct Digits {
    std::string text;  ///< canonical
    friend bool operator==(const Digits&, const Digits&) = default;
  };
  using Owned = std::variant<std::monostate, std::int64_t, double, std::string, Digits>;

  Status add_number(const Value& value);
  Status add_decimal(const Value& value);
  Value kept() const;
  void keep_extreme(AggregateFunction function, const Value& value);

  std::int64_t count_ = 0;
  Owned value_;  ///< the sum (sum, avg) or the extreme (min, max) so far
};

}  // namespace onceflow::engine
