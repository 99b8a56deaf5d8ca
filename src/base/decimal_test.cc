// Exact decimals: their one written form, their arithmetic, and which numbers need them.
#include "base/decimal.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <vector>

#include "base/json_text.h"

namespace onceflow {
namespace {

std::string canonical(std::string_view text) {
  const auto number = DecimalNumber::parse(text);
  return number ? number->to_string() : "none";
}

std::string sum(std::string_view left, std::string_view right) {
  const auto result = DecimalNumber::parse(left)->plus(*DecimalNumber::parse(right));
  return result ? result->to_string() : "none";
}

std::string kind_of(std::string_view text) {
  std::string digits;
  const auto value = read_number(text, digits);
  return !value ? "none"
                : std::vector<std::string>{"null", "integer", "real", "text",
                                           "decimal"}[value->index()];
}

TEST(Decimal, one_number_has_one_text) {
  EXPECT_EQ(canonical("18446744073709551615"), "18446744073709551615");
  EXPECT_EQ(canonical("18446744073709551615.000"), "18446744073709551615");
  EXPECT_EQ(canonical("-0.0500"), "-0.05");
  EXPECT_EQ(canonical("5e-2"), "0.05");
  EXPECT_EQ(canonical("-0e7"), "0");
  EXPECT_EQ(canonical("1E400"), "1e+400");
  EXPECT_EQ(canonical("25e-31"), "2.5e-30");
  EXPECT_EQ(canonical("1" + std::string(99, '0')), "1" + std::string(99, '0'));
  EXPECT_EQ(canonical("1" + std::string(100, '0')), "1e+100");
  EXPECT_EQ(canonical("12.5"), "12.5");
}

TEST(Decimal, what_is_no_number_or_beyond_the_limits_is_none) {
  for (const std::string& text :
       {std::string(""), std::string("-"), std::string("."), std::string("1x"), std::string("1e"),
        std::string("1.2.3"), std::string("1e1001"), std::string("1e-1001"),
        std::string("1e99999999999999999999"), std::string("1e-99999999999999999999"),
        std::string(1001, '9')}) {
    EXPECT_EQ(canonical(text), "none") << text;
  }
}

TEST(Decimal, sums_are_exact) {
  EXPECT_EQ(sum("0.1", "0.2"), "0.3");
  EXPECT_EQ(sum("-5", "2.5"), "-2.5");
  EXPECT_EQ(sum("2.5", "-5"), "-2.5");
  EXPECT_EQ(sum("99.99", "0.01"), "100");
  EXPECT_EQ(sum("7", "-7"), "0");
  EXPECT_EQ(sum("1e400", "-1e-400").size(), 1u + 400 + 400 + std::string(".e+399").size() - 1);
  EXPECT_EQ(sum("9e1000", "9e1000"), "none");
  EXPECT_EQ(sum("18446744073709551615", "1"), "18446744073709551616");
}

TEST(Decimal, products_are_exact) {
  const auto product = [](std::string_view left, std::string_view right) {
    const auto result = DecimalNumber::parse(left)->times(*DecimalNumber::parse(right));
    return result ? result->to_string() : "none";
  };
  EXPECT_EQ(product("0.1", "3"), "0.3");
  EXPECT_EQ(product("-1.5", "1.5"), "-2.25");
  EXPECT_EQ(product("-20", "-0.05"), "1");
  EXPECT_EQ(product("0", "-7"), "0");
  EXPECT_EQ(product("18446744073709551615", "18446744073709551615"),
            "340282366920938463426481119284349108225");
  EXPECT_EQ(product("1e500", "1e-500"), "1");
  EXPECT_EQ(product("1e600", "1e600"), "none");
  EXPECT_EQ(product(std::string(999, '9'), "99"), "none");
  EXPECT_EQ(product(std::string(500, '9'), std::string(500, '9')).front(), '9');
}

TEST(Decimal, roundings_are_half_away_from_zero) {
  const auto round = [](std::string_view text, std::int64_t places) {
    return DecimalNumber::parse(text)->rounded(places).to_string();
  };
  EXPECT_EQ(round("1.005", 2), "1.01");
  EXPECT_EQ(round("2.5", 0), "3");
  EXPECT_EQ(round("-2.5", 0), "-3");
  EXPECT_EQ(round("0.5", 0), "1");
  EXPECT_EQ(round("0.05", 0), "0");
  EXPECT_EQ(round("99.999", 2), "100");
  EXPECT_EQ(round("1e400", 2), "1e+400");
  EXPECT_EQ(round("1e-400", 2), "0");
  EXPECT_EQ(round("12.34", 5), "12.34");
  EXPECT_EQ(DecimalNumber::parse("-2.5")->negated().to_string(), "2.5");
  EXPECT_EQ(DecimalNumber::parse("0")->negated().to_string(), "0");
}

TEST(Decimal, quotients_round_half_to_even) {
  const auto divide = [](std::string_view text, std::int64_t divisor, std::int64_t places) {
    return DecimalNumber::parse(text)->divided_by(divisor, places).to_string();
  };
  EXPECT_EQ(divide("31.23", 10, 20), "3.123");
  EXPECT_EQ(divide("1", 3, 5), "0.33333");
  EXPECT_EQ(divide("2", 3, 5), "0.66667");
  EXPECT_EQ(divide("-2", 3, 5), "-0.66667");
  EXPECT_EQ(divide("5", 2, 0), "2");
  EXPECT_EQ(divide("7", 2, 0), "4");
  EXPECT_EQ(divide("0", 7, 3), "0");
}

TEST(Decimal, order_is_that_of_numbers) {
  const std::vector<std::string_view> ascending = {
      "-1e400", "-10", "-9.5", "-0.1", "0",    "1e-400", "0.1", "0.10000000000000000555",
      "0.2",    "9.5", "10",   "99",   "1e400"};
  for (std::size_t left = 0; left < ascending.size(); ++left) {
    for (std::size_t right = 0; right < ascending.size(); ++right) {
      const int order =
          DecimalNumber::parse(ascending[left])->compare(*DecimalNumber::parse(ascending[right]));
      EXPECT_EQ(order < 0, left < right) << ascending[left] << " " << ascending[right];
      EXPECT_EQ(order == 0, left == right) << ascending[left] << " " << ascending[right];
    }
  }
}

TEST(Decimal, a_number_is_a_double_only_where_its_digits_come_back) {
  EXPECT_EQ(kind_of("9223372036854775807"), "integer");
  EXPECT_EQ(kind_of("-9223372036854775808"), "integer");
  EXPECT_EQ(kind_of("9223372036854775808"), "decimal");
  EXPECT_EQ(kind_of("-0"), "integer");
  EXPECT_EQ(kind_of("0.1"), "real");
  EXPECT_EQ(kind_of("0.30000000000000004"), "real");
  EXPECT_EQ(kind_of("0.1000000000000000055511151231257827"), "decimal");
  EXPECT_EQ(kind_of("1e23"), "real");
  EXPECT_EQ(kind_of("1.7976931348623157e308"), "real");
  EXPECT_EQ(kind_of("1e400"), "decimal");
  EXPECT_EQ(kind_of("1e-400"), "decimal");
  EXPECT_EQ(kind_of("9007199254740993.0"), "decimal");
  EXPECT_EQ(kind_of("1e2000"), "none");
  std::string digits;
  EXPECT_EQ(std::signbit(std::get<double>(*read_number("-0.0", digits))), false);
}

// What JSON's writer makes of a double is read as the same double again.
void expect_read_back(double real) {
  std::string json;
  append_json_value(json, real);
  std::string digits;
  const auto value = read_number(json, digits);
  ASSERT_TRUE(value && std::holds_alternative<double>(*value)) << json;
  EXPECT_EQ(std::get<double>(*value), real) << json;
}

TEST(Decimal, every_double_that_is_written_is_read_as_itself) {
  constexpr int kPerBinade = 200;
  constexpr std::uint64_t kStep = 0x9e3779b97f4a7c15;  // its multiples are spread evenly
  std::uint64_t drawn = 0;
  for (int exponent = -1074; exponent <= 1023; ++exponent) {
    const double power = std::ldexp(1.0, exponent);
    expect_read_back(power);
    expect_read_back(-std::nextafter(power, 0.0));
    expect_read_back(std::nextafter(power, 2 * power));
    const bool is_large_integer = exponent >= 50 && exponent <= 80;
    for (int index = 0; index < (is_large_integer ? kPerBinade : 2); ++index) {
      drawn += kStep;
      expect_read_back(power * (1 + std::ldexp(static_cast<double>(drawn >> 12), -52)));
    }
  }
}

TEST(Decimal, digits_count_and_not_their_notation) {
  EXPECT_EQ(kind_of("4.053239664633446e+16"), "real");
  EXPECT_EQ(kind_of("4.053239664633446E16"), "real");
  EXPECT_EQ(kind_of("40532396646334460.0"), "real");
  EXPECT_EQ(kind_of("405323966463344.60e2"), "real");
  EXPECT_EQ(kind_of("40532396646334460"), "integer");
  EXPECT_EQ(kind_of("1.1805916207174113e+21"), "real");
  EXPECT_EQ(kind_of("1180591620717411300000"), "decimal");  // without point or exponent
  // All the digits of a double are more than its shortest, and are kept.
  EXPECT_EQ(kind_of("40532396646334464.0"), "decimal");
  EXPECT_EQ(kind_of("4.0532396646334464e+16"), "decimal");
  EXPECT_EQ(DecimalNumber::of_real(4.053239664633446e+16).to_string(), "40532396646334460");
}

TEST(Decimal, the_order_is_one_for_integers_reals_and_decimals) {
  // The real is 40532396646334464, which 40532396646334460 stands for.
  const std::vector<Value> ascending = {
      -INFINITY,
      Decimal{"-1e+400"},
      Decimal{"-1180591620717411300001"},
      -0x1p70,
      std::int64_t{40532396646334460},
      Decimal{"40532396646334460.5"},
      std::int64_t{40532396646334462},
      4.053239664633446e+16,
      Decimal{"40532396646334464.5"},
      std::int64_t{40532396646334465},
      std::int64_t{9223372036854775807},
      0x1p63,
      Decimal{"9223372036854776001"},
      Decimal{"1e+400"},
      INFINITY,
  };
  for (std::size_t left = 0; left < ascending.size(); ++left) {
    for (std::size_t right = 0; right < ascending.size(); ++right) {
      const int order = compare_numbers(ascending[left], ascending[right]);
      EXPECT_EQ(order < 0, left < right) << left << " " << right;
      EXPECT_EQ(order == 0, left == right) << left << " " << right;
    }
  }
}

}  // namespace
}  // namespace onceflow
