#include "pipeline/expression_numbers.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/decimal.h"
#include "base/doubles.h"
#include "base/json_text.h"
#include "pipeline/expression_arguments.h"
#include "pipeline/expression_text.h"

namespace onceflow::pipeline {
namespace {

constexpr double kTwoTo63 = 9223372036854775808.0;

// What SQLite computes with where a text stands for a number: the number at its beginning, or 0.
struct Operand {
  Value value;
  bool is_exact = true;  ///< false: more digits than a double gives back
};

Operand operand_of(sqlite3_value* argument) {
  const Value value = value_of(argument);
  const auto* text = std::get_if<std::string_view>(&value);
  if (text == nullptr) {
    return {value};
  }
  std::size_t begin = text->find_first_not_of(" \t\n\v\f\r");
  begin = std::min(begin, text->size());
  std::size_t end = begin;
  const auto skip_digits = [&] {
    const std::size_t first = end;
    while (end < text->size() && (*text)[end] >= '0' && (*text)[end] <= '9') {
      ++end;
    }
    return end - first;
  };
  end += end < text->size() && ((*text)[end] == '-' || (*text)[end] == '+') ? 1 : 0;
  std::size_t digit_count = skip_digits();
  if (end < text->size() && (*text)[end] == '.') {
    ++end;
    digit_count += skip_digits();
  }
  if (digit_count == 0) {
    return {std::int64_t{0}};
  }
  if (end < text->size() && ((*text)[end] == 'e' || (*text)[end] == 'E')) {
    const std::size_t mantissa_end = end++;
    end += end < text->size() && ((*text)[end] == '-' || (*text)[end] == '+') ? 1 : 0;
    if (skip_digits() == 0) {
      end = mantissa_end;
    }
  }
  std::string_view number = text->substr(begin, end - begin);
  number.remove_prefix(number.starts_with('+') ? 1 : 0);
  std::string digits;
  const auto read = read_number(number, digits);
  if (!read || std::holds_alternative<Decimal>(*read)) {
    return {std::monostate{}, false};
  }
  return {*read};
}

double real_of(const Value& value) {
  const auto* integer = std::get_if<std::int64_t>(&value);
  return integer != nullptr ? static_cast<double>(*integer) : std::get<double>(value);
}

// The result; monostate is null. nullopt: it leaves 64 bits.
std::optional<Value> compute(char sign, const Value& left, const Value& right) {
  if (is_null(left) || is_null(right)) {
    return Value();
  }
  const auto* first = std::get_if<std::int64_t>(&left);
  const auto* second = std::get_if<std::int64_t>(&right);
  if (first != nullptr && second != nullptr) {
    std::int64_t result = 0;
    if (sign == '/') {
      if (*second == 0) {
        return Value();
      }
      return *second == -1 && __builtin_sub_overflow(0, *first, &result)
                 ? std::nullopt
                 : std::optional<Value>(*second == -1 ? result : *first / *second);
    }
    const bool overflows = sign == '+'   ? __builtin_add_overflow(*first, *second, &result)
                           : sign == '-' ? __builtin_sub_overflow(*first, *second, &result)
                                         : __builtin_mul_overflow(*first, *second, &result);
    return overflows ? std::nullopt : std::optional<Value>(result);
  }
  const double x = real_of(left);
  const double y = real_of(right);
  if (sign == '/' && y == 0) {
    return Value();
  }
  const double result = sign == '+' ? x + y : sign == '-' ? x - y : sign == '*' ? x * y : x / y;
  return std::isnan(result) ? Value() : Value(result);
}

std::string describe(const Value& value) {
  std::string text;
  append_json_value(text, value);
  return text;
}

bool is_rounded_by_doubles(const Value& value) {
  const auto* integer = std::get_if<std::int64_t>(&value);
  return integer != nullptr && !is_a_double(*integer);
}

// Of a number and one that is a double already.
const Value* rounded_one_of(const Value& left, const Value& right) {
  return std::holds_alternative<double>(right) && is_rounded_by_doubles(left)   ? &left
         : std::holds_alternative<double>(left) && is_rounded_by_doubles(right) ? &right
                                                                                : nullptr;
}

// onceflow_arithmetic('+-', a, b, c) is a + b - c.
void arithmetic_function(sqlite3_context* call, int count, sqlite3_value** arguments) {
  const std::string_view signs = text_of(arguments[0]);
  Value result;
  for (int index = 1; index < count; ++index) {
    if (sqlite3_value_type(arguments[index]) == SQLITE_NULL) {
      return;
    }
    const Operand operand = operand_of(arguments[index]);
    if (!operand.is_exact) {
      refuse(call, beyond_computing("a text in arithmetic", text_of(arguments[index])));
      return;
    }
    if (index == 1) {
      result = operand.value;
      continue;
    }
    const char sign = signs[static_cast<std::size_t>(index) - 2];
    if (const Value* rounded = rounded_one_of(result, operand.value)) {
      refuse(call, {fmt::format("{} meets a double in {} {} {}", describe(*rounded),
                                describe(result), sign, describe(operand.value)),
                    "doubles hold integers to 2^53 and few beyond; it would be rounded",
                    "compute with integers alone, give the column or the aggregate `type: "
                    "decimal`, or write cast(… as real) where rounding is right"});
      return;
    }
    const auto next = compute(sign, result, operand.value);
    if (!next) {
      refuse(call, {fmt::format("{} {} {} leaves 64 bits", describe(result), sign,
                                describe(operand.value)),
                    "integers are exact to 64 bits, and are not rounded in silence",
                    "compute with reals where rounding is right: cast(… as real)"});
      return;
    }
    result = *next;
  }
  return_value(call, result);
}

// ---------------------------------------------------------------------------------------------
// by digits

void refuse_inexact(sqlite3_context* call, sqlite3_value* argument) {
  constexpr std::size_t kShownMax = 40;
  const std::string_view text = text_of(argument);
  const bool is_text = sqlite3_value_type(argument) == SQLITE_TEXT;
  refuse(call, {is_text ? fmt::format("the text '{}' stands where a number belongs",
                                      text.substr(0, std::min(text.size(), kShownMax)))
                        : "the value is infinite",
                "`type: decimal` computes with numbers, and texts that are one, by their digits",
                "mend the producer, or keep such records out by a step before this one"});
}

// The operand by its digits; nullopt: it is not a number, and refused.
std::optional<DecimalNumber> exact_operand(sqlite3_context* call, sqlite3_value* argument) {
  const Value value = value_of(argument);
  const auto* text = std::get_if<std::string_view>(&value);
  auto number = text != nullptr ? DecimalNumber::parse(*text) : DecimalNumber::of(value);
  if (!number) {
    refuse_inexact(call, argument);
  }
  return number;
}

std::optional<DecimalNumber> compute_exactly(char sign, const DecimalNumber& left,
                                             const DecimalNumber& right) {
  return sign == '*' ? left.times(right) : left.plus(sign == '-' ? right.negated() : right);
}

// A number of DecimalNumber's as a value: what 64 bits or a double stand for is not a Decimal.
void return_exact(sqlite3_context* call, const DecimalNumber& number, bool by_digits) {
  std::string digits;
  const auto value = read_number(number.to_string(), digits);
  if (const auto* decimal = std::get_if<Decimal>(&*value); decimal != nullptr && !by_digits) {
    refuse(call, beyond_computing("a result", decimal->digits));
    return;
  }
  return_value(call, *value);
}

// onceflow_exact('+-', a, b, c) is a + b - c by digits, onceflow_exact('round', a, b) is round(a,
// b).
void exact(sqlite3_context* call, int count, sqlite3_value** arguments, bool by_digits) {
  for (int index = 1; index < count; ++index) {
    if (sqlite3_value_type(arguments[index]) == SQLITE_NULL) {
      return;
    }
  }
  const std::string_view signs = text_of(arguments[0]);
  auto result = exact_operand(call, arguments[1]);
  if (result && signs == "round") {
    constexpr std::int64_t kPlacesMax = 30;  // as SQLite's round() has
    const std::int64_t places = sqlite3_value_int64(arguments[2]);
    return_exact(call, result->rounded(std::clamp<std::int64_t>(places, 0, kPlacesMax)), by_digits);
    return;
  }
  for (int index = 2; result && index < count; ++index) {
    const auto operand = exact_operand(call, arguments[index]);
    if (!operand) {
      return;
    }
    result = compute_exactly(signs[static_cast<std::size_t>(index) - 2], *result, *operand);
    if (!result) {
      refuse(call, {"a result has more than 1,000 digits",
                    fmt::format("a number has at most {} digits and an exponent of at most {}",
                                DecimalNumber::kDigitsMax, DecimalNumber::kExponentMax),
                    "keep such records out by a step before this one"});
      return;
    }
  }
  if (result) {
    return_exact(call, *result, by_digits);
  }
}

void exact_function(sqlite3_context* call, int count, sqlite3_value** arguments) {
  exact(call, count, arguments, false);
}

void exact_digits_function(sqlite3_context* call, int count, sqlite3_value** arguments) {
  exact(call, count, arguments, true);
}

// ---------------------------------------------------------------------------------------------
// integers

// SQLite takes what stands before the point, and the nearest of 64 bits.
std::optional<std::int64_t> whole_number(sqlite3_value* argument) {
  const Operand operand = operand_of(argument);
  if (const auto* integer = std::get_if<std::int64_t>(&operand.value)) {
    return *integer;
  }
  const auto* real = std::get_if<double>(&operand.value);
  if (operand.is_exact && real != nullptr && *real == std::trunc(*real) && *real < kTwoTo63 &&
      *real >= -kTwoTo63) {
    return static_cast<std::int64_t>(*real);
  }
  return std::nullopt;
}

// Of a function that takes an integer there: printf('%d', …), substr(…, 1, …), round(…, 2).
void return_integer(sqlite3_context* call, sqlite3_value* argument, std::string_view user) {
  if (sqlite3_value_type(argument) == SQLITE_NULL) {
    return;
  }
  const auto integer = whole_number(argument);
  if (!integer) {
    refuse(call, {fmt::format("{} comes to {}() where it takes an integer, and is not one of 64 "
                              "bits",
                              text_of(argument), user),
                  "what lies after the point is not cut in silence, nor what 64 bits do not hold",
                  "write cast(… as integer) to cut it, or %.0f to print it whole"});
    return;
  }
  constexpr std::int64_t kCodePointMax = 0x10FFFF;
  const bool is_surrogate = *integer >= 0xD800 && *integer <= 0xDFFF;
  if (user == "char" && (*integer < 0 || *integer > kCodePointMax || is_surrogate)) {
    refuse(call, {fmt::format("char({}) is no character", *integer),
                  "characters have the numbers 0 to 1114111 without those of surrogates, 55296 to "
                  "57343",
                  "keep such records out by a step before this one"});
    return;
  }
  sqlite3_result_int64(call, *integer);
}

void integer_function(sqlite3_context* call, int, sqlite3_value** arguments) {
  return_integer(call, arguments[0], text_of(arguments[1]));
}

// Of a function that computes with doubles, which SQLite makes of integers, and of texts.
void return_double(sqlite3_context* call, sqlite3_value* argument, std::string_view user) {
  const Operand operand = operand_of(argument);
  const bool is_exact_integer =
      user == "abs" && sqlite3_value_type(argument) == SQLITE_INTEGER;  // it stays one
  if (!operand.is_exact || (!is_exact_integer && is_rounded_by_doubles(operand.value))) {
    refuse(call, {fmt::format("{} comes to {}", text_of(argument), user),
                  fmt::format("{} computes with doubles, which hold integers to 2^53 and few "
                              "beyond; it would be rounded",
                              user),
                  "write cast(… as real) where rounding is right"});
    return;
  }
  sqlite3_result_value(call, argument);
}

void double_function(sqlite3_context* call, int, sqlite3_value** arguments) {
  return_double(call, arguments[0], text_of(arguments[1]));
}

// The same of an argument of printf() whose format a record brings.
void printed_function(sqlite3_context* call, int, sqlite3_value** arguments) {
  const std::string conversions = conversions_of(text_of(arguments[0]));
  const auto place = static_cast<std::size_t>(sqlite3_value_int64(arguments[1])) - 1;
  const char conversion = place < conversions.size() ? conversions[place] : 's';
  if (conversion == kIntegerConversion) {
    return_integer(call, arguments[2], text_of(arguments[3]));
  } else if (kDoubleConversions.contains(conversion)) {
    return_double(call, arguments[2], text_of(arguments[3]));
  } else {
    sqlite3_result_value(call, arguments[2]);
  }
}

std::optional<std::int64_t> integer_operand(sqlite3_context* call, std::string_view sign,
                                            sqlite3_value* argument) {
  if (const auto integer = whole_number(argument)) {
    return integer;
  }
  refuse(call, {fmt::format("{} comes to `{}`, and is not an integer of 64 bits", text_of(argument),
                            sign),
                "`%`, `&`, `|`, `<<`, `>>` and `~` compute with integers",
                sign == "%" ? "write mod(…, 2), or cast(… as integer) to cut it"
                            : "write cast(… as integer) to cut it"});
  return std::nullopt;
}

// nullopt: it leaves 64 bits.
std::optional<std::int64_t> shift_left(std::int64_t value, std::int64_t places) {
  constexpr std::int64_t kBits = 64;
  if (value == 0) {
    return 0;
  }
  std::int64_t shifted = 0;
  if (places >= kBits || __builtin_mul_overflow(static_cast<__int128>(value),
                                                static_cast<__int128>(1) << places, &shifted)) {
    return std::nullopt;
  }
  return shifted;
}

std::int64_t shift_right(std::int64_t value, std::int64_t places) {
  constexpr std::int64_t kPlacesMax = 63;  // beyond it nothing but the sign is left
  return value >> std::min(places, kPlacesMax);
}

void bits_function(sqlite3_context* call, int, sqlite3_value** arguments) {
  const std::string_view sign = text_of(arguments[0]);
  if (sqlite3_value_type(arguments[1]) == SQLITE_NULL ||
      sqlite3_value_type(arguments[2]) == SQLITE_NULL) {
    return;
  }
  const auto left = integer_operand(call, sign, arguments[1]);
  const auto right = left ? integer_operand(call, sign, arguments[2]) : std::nullopt;
  if (!right) {
    return;
  }
  if (sign == "~" || sign == "&" || sign == "|") {
    sqlite3_result_int64(call, sign == "~"   ? ~*left
                               : sign == "&" ? *left & *right
                                             : *left | *right);
    return;
  }
  // A shift by less than zero is one the other way.
  const bool is_left = (sign == "<<") == (*right >= 0);
  const auto magnitude = *right >= 0 ? *right : -std::max(*right, -std::int64_t{64});
  const auto shifted =
      is_left ? shift_left(*left, magnitude) : std::optional(shift_right(*left, magnitude));
  if (!shifted) {
    refuse(call, {fmt::format("{} {} {} leaves 64 bits", *left, sign, *right),
                  "integers are exact to 64 bits, and no bit is lost in silence",
                  "take the bits that are meant first: (… & 255) << 8"});
    return;
  }
  sqlite3_result_int64(call, *shifted);
}

void remainder_function(sqlite3_context* call, int, sqlite3_value** arguments) {
  if (sqlite3_value_type(arguments[1]) == SQLITE_NULL ||
      sqlite3_value_type(arguments[2]) == SQLITE_NULL) {
    return;
  }
  const auto left = integer_operand(call, "%", arguments[1]);
  const auto right = left ? integer_operand(call, "%", arguments[2]) : std::nullopt;
  if (!right || *right == 0) {
    return;
  }
  const std::int64_t rest = *right == -1 ? 0 : *left % *right;
  const auto is_real = [](sqlite3_value* argument) {
    return std::holds_alternative<double>(operand_of(argument).value);
  };
  if (is_real(arguments[1]) || is_real(arguments[2])) {
    if (is_rounded_by_doubles(rest)) {
      refuse(call, {fmt::format("{} % {} is {}, which meets a double", *left, *right, rest),
                    "doubles hold integers to 2^53 and few beyond; it would be rounded",
                    "take integers on both sides: cast(… as integer)"});
      return;
    }
    sqlite3_result_double(call, static_cast<double>(rest));
  } else {
    sqlite3_result_int64(call, rest);
  }
}

// ---------------------------------------------------------------------------------------------
// order

// SQL's order: numbers before text.
int order_of(const Value& left, const Value& right) {
  const auto* left_text = std::get_if<std::string_view>(&left);
  const auto* right_text = std::get_if<std::string_view>(&right);
  if (left_text != nullptr && right_text != nullptr) {
    return left_text->compare(*right_text);
  }
  if (left_text != nullptr || right_text != nullptr) {
    return left_text != nullptr ? 1 : -1;
  }
  return compare_numbers(left, right);
}

void compare_function(sqlite3_context* call, int, sqlite3_value** arguments) {
  const std::string_view sign = text_of(arguments[0]);
  const Value left = value_of(arguments[1]);
  const Value right = value_of(arguments[2]);
  const bool is_identity = sign.starts_with("is");
  if (is_null(left) || is_null(right)) {
    if (is_identity) {
      sqlite3_result_int(call, (is_null(left) == is_null(right)) == (sign == "is") ? 1 : 0);
    }
    return;
  }
  const int order = order_of(left, right);
  const bool holds = sign == "<"                                        ? order < 0
                     : sign == "<="                                     ? order <= 0
                     : sign == ">"                                      ? order > 0
                     : sign == ">="                                     ? order >= 0
                     : sign == "<>" || sign == "!=" || sign == "is not" ? order != 0
                                                                        : order == 0;
  sqlite3_result_int(call, holds ? 1 : 0);
}

void within_64_bits_function(sqlite3_context* call, int, sqlite3_value** arguments) {
  const Operand operand = operand_of(arguments[0]);
  const auto* real = std::get_if<double>(&operand.value);
  if (!operand.is_exact || (real != nullptr && (*real >= kTwoTo63 || *real < -kTwoTo63))) {
    refuse(call, {fmt::format("cast of {} as integer leaves 64 bits", text_of(arguments[0])),
                  "an integer has 64 bits, and is not cut in silence",
                  "take the digits as text with cast(… as text), or keep such records out by a "
                  "step before this one"});
    return;
  }
  sqlite3_result_value(call, arguments[0]);
}

}  // namespace

bool register_number_functions(sqlite3* database, EvaluationContext& context) {
  static constexpr SqlFunction kFunctions[] = {
      {"onceflow_arithmetic", -1, arithmetic_function},
      {"onceflow_exact", -1, exact_function},
      {"onceflow_exact_digits", -1, exact_digits_function},
      {"onceflow_bits", 3, bits_function},
      {"onceflow_remainder", 3, remainder_function},
      {"onceflow_double", 2, double_function},
      {"onceflow_compare", 3, compare_function},
      {"onceflow_integer", 2, integer_function},
      {"onceflow_printed", 4, printed_function},
      {"onceflow_within_64_bits", 1, within_64_bits_function},
  };
  return register_all(database, context, kFunctions);
}

}  // namespace onceflow::pipeline
