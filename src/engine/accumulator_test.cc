#include "engine/accumulator.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/decimal.h"

namespace onceflow::engine {
namespace {

constexpr double kGreatestReal = 0x1.fffffffffffffp969;  // the last one below 2^970

AggregateColumn column(AggregateFunction function, bool is_decimal) {
  return {.name = "c", .function = function, .is_decimal = is_decimal};
}

// As a changelog gives it back: a sum of so many numbers.
template <typename Write>
Accumulator restored(std::int64_t count, std::int8_t kind, Write write) {
  Buffer bytes;
  WireWriter writer(bytes);
  writer.write_varlong(count);
  writer.write_int8(kind);
  write(writer);
  WireReader reader(bytes);
  return Accumulator::decode(reader);
}

Accumulator sum_of_reals(double sum) {
  return restored(1, 2, [&](WireWriter& writer) { writer.write_float64(sum); });
}

double real_of(const Accumulator& sum) {
  std::string storage;
  return std::get<double>(sum.result(AggregateFunction::kSum, storage));
}

TEST(Accumulator, a_sum_of_reals_that_are_taken_stays_finite) {
  const AggregateColumn sum = column(AggregateFunction::kSum, false);
  for (const double sign : {1.0, -1.0}) {
    EXPECT_TRUE(Accumulator::check(sum, sign * kGreatestReal));
    EXPECT_FALSE(Accumulator::check(sum, sign * 0x1p970));
    EXPECT_TRUE(Accumulator::check(column(AggregateFunction::kMax, false), sign * 1e308));
    // Beyond 2^1023 nothing that is taken moves it any more.
    for (const double start : {0x1p1023, std::nextafter(0x1p1023, 0.0)}) {
      Accumulator state = sum_of_reals(sign * start);
      for (int time = 0; time < 1000; ++time) {
        ASSERT_TRUE(state.add(sum, sign * kGreatestReal));
      }
      EXPECT_EQ(std::abs(real_of(state)), 0x1p1023);
    }
  }
  // The bound is the tightest power of two: with it, a sum at the border goes on.
  EXPECT_GT(0x1.0000000000001p1023 + 0x1p970, 0x1.0000000000001p1023);
}

TEST(Accumulator, no_integer_is_rounded_among_reals) {
  constexpr std::int64_t kNoDouble = 9007199254740993;
  const AggregateColumn sum = column(AggregateFunction::kSum, false);
  for (const std::int64_t sign : {1, -1}) {
    for (const std::vector<Value>& values :
         {std::vector<Value>{sign * kNoDouble, 0.0}, std::vector<Value>{0.5, sign * kNoDouble},
          std::vector<Value>{sign * (kNoDouble - 1), sign, 0.5},
          std::vector<Value>{0.5, INT64_MAX}}) {
      Accumulator state;
      for (std::size_t index = 0; index + 1 < values.size(); ++index) {
        ASSERT_TRUE(state.add(sum, values[index]));
      }
      const Accumulator before = state;
      EXPECT_FALSE(state.add(sum, values.back()));
      EXPECT_TRUE(state.has_same_result(before, AggregateFunction::kSum));
    }
    Accumulator exact;
    ASSERT_TRUE(exact.add(sum, sign * (kNoDouble + 1)));
    ASSERT_TRUE(exact.add(sum, 0.0));
    EXPECT_EQ(real_of(exact), static_cast<double>(sign * (kNoDouble + 1)));
    EXPECT_FALSE(Accumulator::check(column(AggregateFunction::kAvg, false), sign * kNoDouble));
    EXPECT_TRUE(Accumulator::check(column(AggregateFunction::kAvg, true), sign * kNoDouble));
  }
}

TEST(Accumulator, a_sum_of_decimals_that_are_taken_stays_within_its_digits) {
  const AggregateColumn sum = column(AggregateFunction::kSum, true);
  const std::string most = std::string(491, '9') + "." + std::string(490, '9');
  for (const std::string& sign : {std::string(), std::string("-")}) {
    const std::string digits = sign + most;
    EXPECT_TRUE(Accumulator::check(sum, Decimal{digits}));
    // 2^63 of the greatest, and one more: what a count of 64 bits can say.
    const auto all =
        DecimalNumber::parse(digits)->times(*DecimalNumber::parse("9223372036854775807"));
    ASSERT_TRUE(all.has_value());
    Accumulator state =
        restored(std::numeric_limits<std::int64_t>::max() - 1, 4,
                 [&](WireWriter& writer) { writer.write_sized_string(all->to_string()); });
    EXPECT_TRUE(state.add(sum, Decimal{digits}));
    EXPECT_TRUE(state.add(sum, Decimal{"1e-490"}));
  }
}

TEST(Accumulator, a_sum_of_decimals_takes_what_has_no_digit_too_far_away) {
  for (const AggregateFunction function : {AggregateFunction::kSum, AggregateFunction::kAvg}) {
    const AggregateColumn sum = column(function, true);
    for (const std::string_view taken :
         {"0", "1e+490", "-9.99e+490", "1e-490", "1.5e-489", "18446744073709551615.5"}) {
      EXPECT_TRUE(Accumulator::check(sum, Decimal{taken})) << taken;
    }
    const std::string fine = "0." + std::string(490, '3') + "1";
    const std::string wide = "1." + std::string(600, '3');
    for (const std::string_view refused :
         {std::string_view("1e+491"), std::string_view("9e+999"), std::string_view("1e-491"),
          std::string_view("1.5e-490"), std::string_view(fine), std::string_view(wide)}) {
      EXPECT_FALSE(Accumulator::check(sum, Decimal{refused})) << refused;
    }
  }
  EXPECT_TRUE(Accumulator::check(column(AggregateFunction::kMax, true), Decimal{"9e+999"}));
  EXPECT_TRUE(Accumulator::check(column(AggregateFunction::kSum, true), std::int64_t{5}));
}

}  // namespace
}  // namespace onceflow::engine
