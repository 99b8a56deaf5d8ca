#include "base/decimal.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <vector>

#include "base/check.h"

namespace onceflow {
namespace {

constexpr std::int64_t kPlainDigitsMax = 100;
constexpr std::int64_t kPlainZerosMax = 20;
// Beyond any that fits the limits; keeps the sums of exponents below from overflowing.
constexpr std::int64_t kExponentBound = 1'000'000'000;
// As many digits as every double of ordinary size gives back as they were written.
constexpr std::size_t kSafeDigits = 15;

bool is_digit(char letter) { return letter >= '0' && letter <= '9'; }

// Sum of two runs of digits, units last.
std::string add_digits(std::string left, std::string_view right) {
  if (left.size() < right.size()) {
    left.insert(0, right.size() - left.size(), '0');
  }
  int carry = 0;
  for (std::size_t index = 0; index < left.size(); ++index) {
    char& place = left[left.size() - 1 - index];
    const int sum =
        (place - '0') + carry + (index < right.size() ? right[right.size() - 1 - index] - '0' : 0);
    place = static_cast<char>('0' + sum % 10);
    carry = sum / 10;
  }
  return carry == 0 ? left : "1" + left;
}

// `left` is not below `right`.
std::string subtract_digits(std::string left, std::string_view right) {
  int borrow = 0;
  for (std::size_t index = 0; index < left.size(); ++index) {
    char& place = left[left.size() - 1 - index];
    int difference =
        (place - '0') - borrow - (index < right.size() ? right[right.size() - 1 - index] - '0' : 0);
    borrow = difference < 0 ? 1 : 0;
    difference += 10 * borrow;
    place = static_cast<char>('0' + difference);
  }
  return left;
}

}  // namespace

DecimalNumber::DecimalNumber(bool is_negative, std::string digits, std::int64_t exponent)
    : is_negative_(is_negative), digits_(std::move(digits)), exponent_(exponent) {
  digits_.erase(0, std::min(digits_.find_first_not_of('0'), digits_.size()));
  const std::size_t last = digits_.find_last_not_of('0');
  const std::size_t kept = last == std::string::npos ? 0 : last + 1;
  exponent_ += static_cast<std::int64_t>(digits_.size() - kept);
  digits_.resize(kept);
  if (digits_.empty()) {
    is_negative_ = false;
    exponent_ = 0;
  }
}

DecimalNumber::DecimalNumber(std::int64_t integer) {
  std::string text = fmt::format("{}", integer);
  const bool is_negative = text.front() == '-';
  *this = DecimalNumber(is_negative, text.substr(is_negative ? 1 : 0), 0);
}

std::optional<DecimalNumber> DecimalNumber::parse(std::string_view text) {
  std::size_t index = 0;
  const bool is_negative = text.starts_with('-');
  index += is_negative || text.starts_with('+') ? 1 : 0;
  std::string digits;
  std::int64_t exponent = 0;
  bool has_digit = false;
  bool has_point = false;
  for (; index < text.size() && (is_digit(text[index]) || (text[index] == '.' && !has_point));
       ++index) {
    if (text[index] == '.') {
      has_point = true;
      continue;
    }
    has_digit = true;
    exponent -= has_point ? 1 : 0;
    if (text[index] != '0' || !digits.empty()) {
      digits += text[index];
    }
  }
  if (!has_digit) {
    return std::nullopt;
  }
  if (index < text.size() && (text[index] == 'e' || text[index] == 'E')) {
    ++index;
    index += index < text.size() && text[index] == '+' ? 1 : 0;
    std::int64_t power = 0;
    const auto [end, error] =
        std::from_chars(text.data() + index, text.data() + text.size(), power);
    if (error == std::errc::invalid_argument) {
      return std::nullopt;
    }
    if (error == std::errc::result_out_of_range) {
      power = text[index] == '-' ? -kExponentBound : kExponentBound;
    }
    exponent += std::clamp(power, -kExponentBound, kExponentBound);
    index = static_cast<std::size_t>(end - text.data());
  }
  if (index != text.size()) {
    return std::nullopt;
  }
  DecimalNumber number(is_negative, std::move(digits), exponent);
  return number.is_within_limits() ? std::optional(std::move(number)) : std::nullopt;
}

DecimalNumber DecimalNumber::of_real(double real) {
  CHECK(std::isfinite(real));
  char digits[32];
  // Plain notation would give all the digits of a large double, which are not its shortest.
  const char* end =
      std::to_chars(digits, digits + sizeof digits, real, std::chars_format::scientific).ptr;
  auto number = parse({digits, static_cast<std::size_t>(end - digits)});
  CHECK(number.has_value());
  return std::move(*number);
}

std::optional<DecimalNumber> DecimalNumber::of(const Value& value) {
  if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    return DecimalNumber(*integer);
  }
  if (const auto* real = std::get_if<double>(&value)) {
    return std::isfinite(*real) ? std::optional(of_real(*real)) : std::nullopt;
  }
  if (const auto* decimal = std::get_if<Decimal>(&value)) {
    return parse(decimal->digits);
  }
  return std::nullopt;
}

bool DecimalNumber::is_within_limits() const {
  const std::int64_t first = exponent_ + static_cast<std::int64_t>(digits_.size()) - 1;
  return digits_.size() <= kDigitsMax && first <= kExponentMax && first >= -kExponentMax;
}

std::string DecimalNumber::to_string() const {
  if (digits_.empty()) {
    return "0";
  }
  const std::string sign = is_negative_ ? "-" : "";
  const auto count = static_cast<std::int64_t>(digits_.size());
  const std::int64_t whole = count + exponent_;  // digits before the point
  if (exponent_ >= 0 && whole <= kPlainDigitsMax) {
    return sign + digits_ + std::string(static_cast<std::size_t>(exponent_), '0');
  }
  if (whole > 0 && whole < count && whole <= kPlainDigitsMax) {
    const auto point = static_cast<std::size_t>(whole);
    return sign + digits_.substr(0, point) + "." + digits_.substr(point);
  }
  if (whole <= 0 && -whole <= kPlainZerosMax) {
    return sign + "0." + std::string(static_cast<std::size_t>(-whole), '0') + digits_;
  }
  const std::string fraction = count > 1 ? "." + digits_.substr(1) : "";
  return fmt::format("{}{}{}e{:+03}", sign, digits_[0], fraction, whole - 1);
}

std::string DecimalNumber::digits_at(std::int64_t exponent) const {
  return digits_.empty()
             ? std::string()
             : digits_ + std::string(static_cast<std::size_t>(exponent_ - exponent), '0');
}

int DecimalNumber::compare_magnitude(const DecimalNumber& other) const {
  if (digits_.empty() || other.digits_.empty()) {
    return static_cast<int>(!digits_.empty()) - static_cast<int>(!other.digits_.empty());
  }
  const std::int64_t first = exponent_ + static_cast<std::int64_t>(digits_.size());
  const std::int64_t other_first =
      other.exponent_ + static_cast<std::int64_t>(other.digits_.size());
  if (first != other_first) {
    return first < other_first ? -1 : 1;
  }
  // The same place of the first digit: what is written first differs first.
  return digits_.compare(other.digits_);
}

int DecimalNumber::compare(const DecimalNumber& other) const {
  if (is_negative_ != other.is_negative_) {
    return is_negative_ ? -1 : 1;
  }
  return is_negative_ ? other.compare_magnitude(*this) : compare_magnitude(other);
}

std::optional<DecimalNumber> DecimalNumber::plus(const DecimalNumber& other) const {
  if (digits_.empty() || other.digits_.empty()) {
    return digits_.empty() ? other : *this;
  }
  const std::int64_t exponent = std::min(exponent_, other.exponent_);
  std::string left = digits_at(exponent);
  std::string right = other.digits_at(exponent);
  bool is_negative = is_negative_;
  if (is_negative_ == other.is_negative_) {
    left = add_digits(std::move(left), right);
  } else if (compare_magnitude(other) >= 0) {
    left = subtract_digits(std::move(left), right);
  } else {
    left = subtract_digits(std::move(right), left);
    is_negative = other.is_negative_;
  }
  DecimalNumber sum(is_negative, std::move(left), exponent);
  return sum.is_within_limits() ? std::optional(std::move(sum)) : std::nullopt;
}

std::optional<DecimalNumber> DecimalNumber::times(const DecimalNumber& other) const {
  // Of each place the sum of its products, which is at most 1,000 times 81; units first.
  std::vector<unsigned> places(digits_.size() + other.digits_.size());
  for (std::size_t left = 0; left < digits_.size(); ++left) {
    const auto digit = static_cast<unsigned>(digits_[digits_.size() - 1 - left] - '0');
    for (std::size_t right = 0; right < other.digits_.size(); ++right) {
      places[left + right] +=
          digit * static_cast<unsigned>(other.digits_[other.digits_.size() - 1 - right] - '0');
    }
  }
  std::string digits(places.size(), '0');
  unsigned carry = 0;
  for (std::size_t place = 0; place < places.size(); ++place) {
    carry += places[place];
    digits[digits.size() - 1 - place] = static_cast<char>('0' + carry % 10);
    carry /= 10;
  }
  DecimalNumber product(is_negative_ != other.is_negative_, std::move(digits),
                        exponent_ + other.exponent_);
  return product.is_within_limits() ? std::optional(std::move(product)) : std::nullopt;
}

DecimalNumber DecimalNumber::negated() const { return {!is_negative_, digits_, exponent_}; }

DecimalNumber DecimalNumber::rounded(std::int64_t places) const {
  if (exponent_ >= -places) {
    return *this;
  }
  // How many digits lie beyond the last place; more than there are where all do.
  const auto dropped = static_cast<std::size_t>(-places - exponent_);
  if (dropped > digits_.size()) {
    return {};
  }
  const std::size_t kept = digits_.size() - dropped;
  std::string digits = "0" + digits_.substr(0, kept);
  if (digits_[kept] >= '5') {
    digits = add_digits(std::move(digits), "1");
  }
  return {is_negative_, std::move(digits), -places};
}

DecimalNumber DecimalNumber::divided_by(std::int64_t divisor, std::int64_t places) const {
  CHECK(divisor > 0);
  const std::int64_t exponent = std::min(-places, exponent_);
  const std::string dividend = digits_at(exponent);
  const auto wide_divisor = static_cast<unsigned __int128>(divisor);
  std::string quotient;
  unsigned __int128 rest = 0;
  for (const char digit : dividend) {
    rest = rest * 10 + static_cast<unsigned>(digit - '0');
    quotient += static_cast<char>('0' + static_cast<int>(rest / wide_divisor));
    rest %= wide_divisor;
  }
  const bool is_odd = !quotient.empty() && (quotient.back() - '0') % 2 != 0;
  if (2 * rest > wide_divisor || (2 * rest == wide_divisor && is_odd)) {
    quotient = add_digits(std::move(quotient), "1");
  }
  return {is_negative_, std::move(quotient), exponent};
}

namespace {

// The place of a number among decimals; nullopt: infinite. A double that lies among integers of 64
// bits, not all of which are doubles, is the integer that it is beside them; so it must be here.
std::optional<DecimalNumber> place_of(const Value& value) {
  const auto* real = std::get_if<double>(&value);
  if (real != nullptr && std::abs(*real) >= 0x1p53 && std::abs(*real) < 0x1p63) {
    return DecimalNumber(static_cast<std::int64_t>(*real));
  }
  return DecimalNumber::of(value);
}

// Holds every double and every integer of 64 bits.
long double widened(const Value& value) {
  const auto* integer = std::get_if<std::int64_t>(&value);
  return integer != nullptr ? static_cast<long double>(*integer)
                            : static_cast<long double>(std::get<double>(value));
}

}  // namespace

int compare_numbers(const Value& left, const Value& right) {
  const auto* left_integer = std::get_if<std::int64_t>(&left);
  const auto* right_integer = std::get_if<std::int64_t>(&right);
  if (left_integer != nullptr && right_integer != nullptr) {
    return *left_integer < *right_integer ? -1 : *left_integer > *right_integer ? 1 : 0;
  }
  if (std::holds_alternative<Decimal>(left) || std::holds_alternative<Decimal>(right)) {
    const auto sign = [](const Value& infinity) { return std::get<double>(infinity) < 0 ? -1 : 1; };
    const auto first = place_of(left);
    const auto second = place_of(right);
    return !first ? sign(left) : !second ? -sign(right) : first->compare(*second);
  }
  const long double first = widened(left);
  const long double second = widened(right);
  return first < second ? -1 : first > second ? 1 : 0;
}

std::optional<Value> read_number(std::string_view text, std::string& digits) {
  if (text.find_first_of(".eE") == std::string_view::npos) {
    std::int64_t integer = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), integer);
    if (error == std::errc() && end == text.data() + text.size()) {
      return integer;
    }
  } else {
    double real = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), real);
    if (error == std::errc() && end == text.data() + text.size() && std::isfinite(real)) {
      const auto digit_count = static_cast<std::size_t>(std::ranges::count_if(text, is_digit));
      const bool is_plain = text.find_first_of("eE") == std::string_view::npos;
      if (is_plain && digit_count <= kSafeDigits) {
        return real == 0 ? 0.0 : real;
      }
      const auto written = DecimalNumber::parse(text);
      if (written && *written == DecimalNumber::of_real(real)) {
        return real == 0 ? 0.0 : real;
      }
    }
  }
  const auto number = DecimalNumber::parse(text);
  if (!number) {
    return std::nullopt;
  }
  digits = number->to_string();
  return Decimal{digits};
}

}  // namespace onceflow
