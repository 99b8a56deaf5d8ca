#include "engine/accumulator.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>

#include "base/decimal.h"
#include "base/doubles.h"
#include "base/utf8.h"

namespace onceflow::engine {
namespace {

// SQL's order among kinds: numbers before text; integers and reals compare by value.
int compare(const Value& left, const Value& right) {
  const auto* left_text = std::get_if<std::string_view>(&left);
  const auto* right_text = std::get_if<std::string_view>(&right);
  if (left_text != nullptr || right_text != nullptr) {
    if (left_text == nullptr) {
      return -1;
    }
    return right_text == nullptr ? 1 : left_text->compare(*right_text);
  }
  return compare_numbers(left, right);
}

std::string shortened(const std::string& digits) {
  constexpr std::size_t kShown = 40;
  return digits.size() <= kShown ? digits : digits.substr(0, kShown) + "…";
}

// A sum of such numbers stays finite, however many there are: between 2^1023 and 2^1024 doubles are
// 2^971 apart, so what is less than half of that moves no sum beyond 2^1023.
constexpr double kSummedRealEnd = 0x1p970;

// Nor does one of numbers without a digit above 10^490 or below 10^-490 leave the limits of a
// DecimalNumber: 2^63 of them come to 19 digits more than the widest, which makes 1,000.
constexpr std::int64_t kSummedExponentMax =
    (static_cast<std::int64_t>(DecimalNumber::kDigitsMax) - 1 - 19) / 2;

bool can_be_summed(const DecimalNumber& number) {
  const std::int64_t first =
      number.exponent() + static_cast<std::int64_t>(number.digits().size()) - 1;
  return first <= kSummedExponentMax && number.exponent() >= -kSummedExponentMax;
}

Status check_addend(const AggregateColumn& column, const Value& value) {
  const auto* real = std::get_if<double>(&value);
  if (real != nullptr && !column.is_decimal && std::abs(*real) >= kSummedRealEnd) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("the value is {}, sum and avg take reals below 2^970 (about 1e292), so "
                            "that no sum leaves the range of a double; give the aggregate `type: "
                            "decimal`, or keep it out with `where`",
                            *real));
  }
  const auto* integer = std::get_if<std::int64_t>(&value);
  if (integer != nullptr && !column.is_decimal && column.function == AggregateFunction::kAvg &&
      !is_a_double(*integer)) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("the value is {}, avg computes with doubles, which hold integers to "
                            "2^53 and few beyond; it would be rounded; give the aggregate `type: "
                            "decimal`, or write avg(cast(... as real)) where rounding is right",
                            *integer));
  }
  if (!column.is_decimal) {
    return {};
  }
  // Plain digits, and too few to reach that far.
  const auto* decimal = std::get_if<Decimal>(&value);
  if (decimal != nullptr &&
      decimal->digits.size() <= static_cast<std::size_t>(kSummedExponentMax) &&
      !decimal->digits.contains('e')) {
    return {};
  }
  const auto number = DecimalNumber::of(value);
  if (!number || !can_be_summed(*number)) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("the value is {}, sum and avg of decimals take numbers without a digit "
                            "above 1e{} or below 1e-{}, so that no sum leaves 1,000 digits; round "
                            "it, or keep it out with `where`",
                            number ? shortened(number->to_string()) : "no number",
                            kSummedExponentMax, kSummedExponentMax));
  }
  return {};
}

// Of a fix that makes another aggregate: what goes with it, before the change is refused for it.
std::string ways_of_change(AggregateFunction function) {
  constexpr std::string_view kGoesOn =
      "; `type: decimal` goes on with the sum so far: after the change `onceflow reset FILE "
      "--keep-states --execute`";
  constexpr std::string_view kBeginsAnew =
      "; {} begins the state anew: after the change `onceflow reset FILE --to-earliest --execute` "
      "counts again all that the topics still have (beside a table with --delete-rows or "
      "--keep-rows), and `onceflow reset FILE --to-current --execute` counts from nothing, from "
      "the records on that have not been counted yet";
  const bool goes_on = function == AggregateFunction::kSum;
  return fmt::format("{}{}", goes_on ? kGoesOn : "",
                     fmt::format(kBeginsAnew, goes_on ? "another argument" : "each"));
}

// A sum says all that was added, be it by an integer that meets a real. A mean is a double near to
// what it stands for.
Status check_meeting(const Value& sum, const Value& value) {
  const auto is_rounded = [](const Value& one, const Value& other) {
    const auto* integer = std::get_if<std::int64_t>(&one);
    return integer != nullptr && std::holds_alternative<double>(other) && !is_a_double(*integer);
  };
  if (!is_rounded(sum, value) && !is_rounded(value, sum)) {
    return {};
  }
  const std::int64_t rounded = std::get<std::int64_t>(is_rounded(sum, value) ? sum : value);
  return fail(
      ErrorCode::kInvalidArgument,
      fmt::format("the sum has reals among its integers, and {} would be rounded, as doubles "
                  "hold integers to 2^53 and few beyond; give the aggregate `type: decimal`, "
                  "or write sum(cast(... as real)) where rounding is right{}",
                  rounded, ways_of_change(AggregateFunction::kSum)));
}

}  // namespace

Status Accumulator::check(const AggregateColumn& column, const Value& value) {
  if (column.function == AggregateFunction::kCount || is_null(value)) {
    return {};
  }
  if (const auto* real = std::get_if<double>(&value); real != nullptr && !std::isfinite(*real)) {
    return fail(ErrorCode::kInvalidArgument,
                "the value is infinite, which JSON cannot hold; keep it out with `where`");
  }
  const auto* text = std::get_if<std::string_view>(&value);
  if (column.function == AggregateFunction::kMin || column.function == AggregateFunction::kMax) {
    if (text != nullptr && !is_utf8(*text)) {
      return fail(ErrorCode::kInvalidArgument,
                  "the value is text that is not UTF-8, which JSON cannot hold; keep it out with "
                  "`where`, or mend the producer");
    }
    return {};
  }
  if (text != nullptr) {
    return fail(ErrorCode::kInvalidArgument,
                "the value is text, sum and avg take numbers; mend the producer, or give the "
                "aggregate `type: decimal`, which takes numbers written as text by their digits" +
                    ways_of_change(column.function));
  }
  if (const auto* decimal = std::get_if<Decimal>(&value);
      decimal != nullptr && !column.is_decimal) {
    return fail(ErrorCode::kInvalidArgument,
                "the value is " + std::string(decimal->digits) +
                    ", which neither 64 bits nor a double hold; give the aggregate `type: "
                    "decimal`, or round with cast(... as real)" +
                    ways_of_change(column.function));
  }
  return check_addend(column, value);
}

Status Accumulator::add(const AggregateColumn& column, const Value& value) {
  RETURN_IF_ERROR(check(column, value));
  if (column.function == AggregateFunction::kCount) {
    if (column.counts_all || !is_null(value)) {
      ++count_;
    }
    return {};
  }
  if (is_null(value)) {
    return {};
  }
  if (column.function == AggregateFunction::kSum && !column.is_decimal) {
    RETURN_IF_ERROR(check_meeting(kept(), value));
  }
  ++count_;
  if (column.function == AggregateFunction::kMin || column.function == AggregateFunction::kMax) {
    keep_extreme(column.function, value);
    return {};
  }
  return column.is_decimal ? add_decimal(value) : add_number(value);
}

void Accumulator::go_on_as(const AggregateColumn& column) {
  const bool is_number =
      std::holds_alternative<std::int64_t>(value_) || std::holds_alternative<double>(value_);
  const auto number = is_number ? DecimalNumber::of(kept()) : std::nullopt;
  if (column.is_decimal && column.function == AggregateFunction::kSum && number) {
    value_ = Digits{number->to_string()};
  }
}

Status Accumulator::add_decimal(const Value& value) {
  const auto before = DecimalNumber::of(kept());
  const auto sum = DecimalNumber::of(value)->plus(before.value_or(DecimalNumber()));
  if (!sum) {
    return fail(ErrorCode::kInvalidArgument,
                "the sum of decimals leaves 1,000 digits, as numbers were added before that are "
                "not taken any more; begin the step's state anew with `onceflow reset`");
  }
  value_ = Digits{sum->to_string()};
  return {};
}

Status Accumulator::add_number(const Value& value) {
  if (std::holds_alternative<std::monostate>(value_)) {
    value_ = std::int64_t{0};
  }
  auto* sum = std::get_if<std::int64_t>(&value_);
  const auto* integer = std::get_if<std::int64_t>(&value);
  if (sum != nullptr && integer != nullptr) {
    if (__builtin_add_overflow(*sum, *integer, sum)) {
      return fail(
          ErrorCode::kInvalidArgument,
          "the sum of integers leaves 64 bits; give the aggregate `type: decimal` to keep all "
          "digits, or write sum(cast(... as real)) to round" +
              ways_of_change(AggregateFunction::kSum));
    }
    return {};
  }
  const double before = sum != nullptr ? static_cast<double>(*sum) : std::get<double>(value_);
  const double added = integer != nullptr ? static_cast<double>(*integer) : std::get<double>(value);
  const double after = before + added;
  if (!std::isfinite(after)) {
    return fail(ErrorCode::kInvalidArgument,
                "the sum of reals leaves the range of a double, as numbers were added before that "
                "are not taken any more; begin the step's state anew with `onceflow reset`");
  }
  value_ = after;
  return {};
}

void Accumulator::keep_extreme(AggregateFunction function, const Value& value) {
  if (count_ > 1) {
    const int order = compare(value, kept());
    if (function == AggregateFunction::kMin ? order >= 0 : order <= 0) {
      return;
    }
  }
  if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    value_ = *integer;
  } else if (const auto* real = std::get_if<double>(&value)) {
    value_ = *real;
  } else if (const auto* decimal = std::get_if<Decimal>(&value)) {
    value_ = Digits{std::string(decimal->digits)};
  } else {
    value_ = std::string(std::get<std::string_view>(value));
  }
}

Value Accumulator::kept() const {
  if (const auto* integer = std::get_if<std::int64_t>(&value_)) {
    return *integer;
  }
  if (const auto* real = std::get_if<double>(&value_)) {
    return *real;
  }
  if (const auto* text = std::get_if<std::string>(&value_)) {
    return std::string_view(*text);
  }
  if (const auto* digits = std::get_if<Digits>(&value_)) {
    return Decimal{digits->text};
  }
  return std::monostate{};
}

Value Accumulator::result(AggregateFunction function, std::string& storage) const {
  constexpr std::int64_t kMeanPlaces = 20;
  if (function == AggregateFunction::kCount) {
    return count_;
  }
  if (count_ == 0) {
    return std::monostate{};
  }
  if (function != AggregateFunction::kAvg) {
    return kept();
  }
  if (const auto* integer = std::get_if<std::int64_t>(&value_)) {
    return static_cast<double>(*integer) / static_cast<double>(count_);
  }
  if (const auto* real = std::get_if<double>(&value_)) {
    return *real / static_cast<double>(count_);
  }
  const auto sum = DecimalNumber::of(kept());
  if (!sum || count_ < 0) {
    return std::monostate{};
  }
  storage = sum->divided_by(count_, kMeanPlaces).to_string();
  return Decimal{storage};
}

bool Accumulator::has_same_result(const Accumulator& other, AggregateFunction function) const {
  std::string left_storage;
  std::string right_storage;
  const Value left = result(function, left_storage);
  const Value right = other.result(function, right_storage);
  const auto* left_real = std::get_if<double>(&left);
  const auto* right_real = std::get_if<double>(&right);
  if (left_real != nullptr && right_real != nullptr) {
    // By their bits: 0.0 and -0.0 are written differently.
    return std::bit_cast<std::uint64_t>(*left_real) == std::bit_cast<std::uint64_t>(*right_real);
  }
  return left == right;
}

bool Accumulator::fits(const AggregateColumn& column) const {
  if (count_ < 0) {
    return false;
  }
  const bool is_empty = std::holds_alternative<std::monostate>(value_);
  if (column.function == AggregateFunction::kCount || count_ == 0) {
    return is_empty;
  }
  const auto* real = std::get_if<double>(&value_);
  if (real != nullptr && !std::isfinite(*real)) {
    return false;
  }
  if (const auto* digits = std::get_if<Digits>(&value_)) {
    const auto number = DecimalNumber::of(kept());
    if (!number || number->to_string() != digits->text) {
      return false;
    }
  }
  const bool is_extreme =
      column.function == AggregateFunction::kMin || column.function == AggregateFunction::kMax;
  if (is_extreme) {
    return !is_empty;
  }
  const bool is_exact = std::holds_alternative<Digits>(value_);
  return column.is_decimal ? is_exact
                           : real != nullptr || std::holds_alternative<std::int64_t>(value_);
}

void Accumulator::encode(WireWriter& writer) const {
  writer.write_varlong(count_);
  writer.write_int8(static_cast<std::int8_t>(value_.index()));
  if (const auto* integer = std::get_if<std::int64_t>(&value_)) {
    writer.write_varlong(*integer);
  } else if (const auto* real = std::get_if<double>(&value_)) {
    writer.write_float64(*real);
  } else if (const auto* text = std::get_if<std::string>(&value_)) {
    writer.write_sized_string(*text);
  } else if (const auto* digits = std::get_if<Digits>(&value_)) {
    writer.write_sized_string(digits->text);
  }
}

Accumulator Accumulator::decode(WireReader& reader) {
  Accumulator accumulator;
  accumulator.count_ = reader.read_varlong();
  switch (reader.read_int8()) {
    case 0:
      break;
    case 1:
      accumulator.value_ = reader.read_varlong();
      break;
    case 2:
      accumulator.value_ = reader.read_float64();
      break;
    case 3:
      accumulator.value_ = reader.read_sized_string();
      break;
    case 4:
      accumulator.value_ = Digits{reader.read_sized_string()};
      if (!DecimalNumber::parse(std::get<Digits>(accumulator.value_).text)) {
        reader.fail();
      }
      break;
    default:
      reader.fail();
  }
  return accumulator;
}

}  // namespace onceflow::engine
