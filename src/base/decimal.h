// DecimalNumber: exact decimal arithmetic, and the one canonical way to write such a number.
//
// Canonical form: no leading and no trailing zeros, `-` in front of what is below zero, `0` for
// zero. Plain digits with a point (`18446744073709551615`, `-0.05`) where that takes no more than
// 100 digits before the point and no more than 20 zeros after it; else one digit before the point
// and an exponent (`1e+400`, `2.5e-30`). Two numbers are equal exactly if their canonical texts
// are; the text is also how JSON writes the number.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/value.h"

namespace onceflow {

class DecimalNumber {
 public:
  static constexpr std::size_t kDigitsMax = 1000;     ///< without leading and trailing zeros
  static constexpr std::int64_t kExponentMax = 1000;  ///< of the first digit, both ways

  DecimalNumber() = default;  ///< zero
  /// A number as JSON and SQL write it: sign, digits with or without a point, exponent. nullopt: it
  /// is not one, or beyond the limits above.
  static std::optional<DecimalNumber> parse(std::string_view text);
  explicit DecimalNumber(std::int64_t integer);
  /// By its shortest digits that read back as the same double, which are the digits that were
  /// written where read_number() made the double. Finite.
  static DecimalNumber of_real(double real);
  /// An integer, a real or a decimal; nullopt for anything else, infinities included.
  static std::optional<DecimalNumber> of(const Value& value);

  std::string to_string() const;

  // The number is digits() times 10^exponent(); no digits: zero. No zeros at either end.
  bool is_negative() const { return is_negative_; }
  std::string_view digits() const { return digits_; }
  std::int64_t exponent() const { return exponent_; }

  /// Exact; nullopt if the result is beyond the limits.
  std::optional<DecimalNumber> plus(const DecimalNumber& other) const;
  std::optional<DecimalNumber> times(const DecimalNumber& other) const;
  DecimalNumber negated() const;
  /// To `places` digits after the point, half away from zero, as SQL's round() does.
  DecimalNumber rounded(std::int64_t places) const;
  /// Rounded half to even, after `places` digits behind the point or as many as this number has,
  /// whichever is more. `divisor` is above zero.
  DecimalNumber divided_by(std::int64_t divisor, std::int64_t places) const;
  /// Below, equal to or above: negative, 0, positive.
  int compare(const DecimalNumber& other) const;

  friend bool operator==(const DecimalNumber&, const DecimalNumber&) = default;

 private:
  DecimalNumber(bool is_negative, std::string digits, std::int64_t exponent);
  bool is_within_limits() const;
  int compare_magnitude(const DecimalNumber& other) const;
  /// The digits of the magnitude in units of 10^exponent, which is not above exponent_.
  std::string digits_at(std::int64_t exponent) const;

  bool is_negative_ = false;
  std::string digits_;
  std::int64_t exponent_ = 0;
};

/// The order of two numbers, each an integer, a real or a Decimal: negative, 0, positive. Integers
/// and reals compare by value. A real has its place among Decimals by its shortest digits, except
/// where integers of 64 bits are that are not doubles: there by value as well, so that the order is
/// one for all three.
int compare_numbers(const Value& left, const Value& right);

/// What a number written in JSON is: an integer if it is written as one and fits 64 bits; a real if
/// the double nearest to it has the same shortest digits, in whatever notation; else a Decimal,
/// whose digits are put into `digits`. Zero has no sign. nullopt: beyond the limits of
/// DecimalNumber, or not a number.
std::optional<Value> read_number(std::string_view text, std::string& digits);

}  // namespace onceflow
