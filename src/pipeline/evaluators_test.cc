// The fast and the thorough way of a Program, over documents and expressions drawn by seed from the
// borders that docs/values.md names: the same value of the same kind, or the same refusal.
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/json_text.h"
#include "pipeline/expression.h"

namespace onceflow::pipeline {
namespace {

class Draw {
 public:
  explicit Draw(std::uint64_t seed) : state_(seed) {}

  std::size_t below(std::size_t bound) {
    state_ = state_ * 6364136223846793005 + 1442695040888963407;
    return static_cast<std::size_t>(state_ >> 33) % bound;
  }
  template <typename Choices>
  std::string one_of(const Choices& choices) {
    return std::string(choices[below(choices.size())]);
  }

  std::string scalar() {
    using namespace std::literals;
    static constexpr std::array kScalars = {"0"sv,
                                            "1"sv,
                                            "-1"sv,
                                            "7"sv,
                                            "250"sv,
                                            "-0"sv,
                                            "-0.0"sv,
                                            "0.1"sv,
                                            "1e2"sv,
                                            "1.50"sv,
                                            "9007199254740993"sv,
                                            "9223372036854775807"sv,
                                            "-9223372036854775808"sv,
                                            "9223372036854775808"sv,
                                            "18446744073709551615"sv,
                                            "1e400"sv,
                                            "-1e400"sv,
                                            "1e-400"sv,
                                            "1e1001"sv,
                                            "0.30000000000000004"sv,
                                            "0.1000000000000000055511151231257827"sv,
                                            "9007199254740993.0"sv,
                                            "1234567890123456e5"sv,
                                            "1.7976931348623157e308"sv,
                                            "5e-324"sv,
                                            "true"sv,
                                            "false"sv,
                                            "null"sv,
                                            R"("")"sv,
                                            R"("paid")"sv,
                                            R"("7")"sv,
                                            R"("7.5kg")"sv,
                                            R"("ab\u0000cd")"sv,
                                            R"("ab\u0000")"sv,
                                            R"("\u0000")"sv,
                                            R"("ab")"sv,
                                            R"("AB")"sv,
                                            R"("\ud83d\ude00")"sv,
                                            R"("\ud83d")"sv,
                                            R"("\udc00x")"sv,
                                            R"("gr\u00f6\u00dfe")"sv,
                                            R"("größe")"sv,
                                            R"("a\"b\\c\/d\n")"sv,
                                            R"("18446744073709551616")"sv,
                                            R"("2024-02-30")"sv,
                                            R"("[1,2]")"sv,
                                            R"("1e400")"sv,
                                            R"("%_")"sv};
    return one_of(kScalars);
  }

  std::string value(int depth) {
    const std::size_t kind = depth == 0 ? 9 : below(10);
    if (kind == 0) {
      std::string list = "[";
      for (std::size_t count = below(3), index = 0; index < count; ++index) {
        list += (index > 0 ? "," : "") + value(depth - 1);
      }
      return list + "]";
    }
    return kind == 1 ? object(depth - 1) : scalar();
  }

  std::string object(int depth) {
    static constexpr std::array<std::string_view, 9> kNames = {
        "x", "y", "x", "y", R"(\u0078)", R"(gr\u00f6\u00dfe)", "größe", R"(a\"b)", R"(\ud83d)"};
    std::string text = "{";
    for (std::size_t count = below(4), index = 0; index < count; ++index) {
      text += index > 0 ? (below(4) == 0 ? " , " : ",") : "";
      text += "\"" + one_of(kNames) + "\":" + value(depth);
    }
    return text + "}";
  }

  std::string document() {
    static constexpr std::array<std::string_view, 7> kBroken = {
        "", "{", "not json", R"({"x":1}{})", "{\"x\":\"\xff\"}", R"({"x":01})", R"({"x":"\x"})"};
    return below(12) == 0 ? one_of(kBroken) : below(15) == 0 ? value(2) : object(2);
  }

  std::string operand() {
    static constexpr std::array<std::string_view, 18> kOperands = {
        "$.x", "$.y", "$.x",  "$.y",  "$.größe", R"($."a\"b")", "$.x[0]", "$.y.x",   "$.x[#-1]",
        "1",   "2.5", "'ab'", "null", "key",     "value",       "offset", "char(0)", "'7'"};
    return one_of(kOperands);
  }

  std::string expression(int depth) {
    if (depth == 0) {
      return operand();
    }
    const std::string a = expression(depth - 1);
    const std::string b = operand();
    static constexpr std::array<std::string_view, 40> kShapes = {"A and B",
                                                                 "A or B",
                                                                 "not A",
                                                                 "A is null",
                                                                 "A is not null",
                                                                 "A = B",
                                                                 "A <> B",
                                                                 "A < B",
                                                                 "A >= B",
                                                                 "A is B",
                                                                 "A is not B",
                                                                 "A + B",
                                                                 "A - B",
                                                                 "A * B",
                                                                 "A / B",
                                                                 "A % B",
                                                                 "A || B",
                                                                 "coalesce(A, B)",
                                                                 "iif(A, B, 3)",
                                                                 "case when A then B else 'c' end",
                                                                 "A between B and 9",
                                                                 "A in (B, 1, 'ab')",
                                                                 "cast(A as text)",
                                                                 "cast(A as real)",
                                                                 "cast(A as integer)",
                                                                 "length(A)",
                                                                 "upper(A)",
                                                                 "A like B",
                                                                 "json_array(A, B)",
                                                                 "json_object('k', A)",
                                                                 "typeof(A)",
                                                                 "replace(A, B, '-')",
                                                                 "A collate nocase = B",
                                                                 "round(A, 2)",
                                                                 "A << B",
                                                                 "A >> 3",
                                                                 "A & B",
                                                                 "~ A",
                                                                 "mod(A, B)",
                                                                 "trim(A)"};
    std::string text;
    for (const char letter : kShapes[below(kShapes.size())]) {
      text += letter == 'A' ? "(" + a + ")" : letter == 'B' ? b : std::string(1, letter);
    }
    return below(8) == 0 ? "json_valid(value) and (" + text + ")" : text;
  }

 private:
  std::uint64_t state_;
};

std::string outcome(Program& program, std::string_view document) {
  engine::Record record{.offset = Offset(17), .timestamp_ms = 1700000000000};
  record.key = as_bytes("k1");
  record.value = as_bytes(document);
  const TopicPartition source{"orders", PartitionIndex(3)};
  if (const auto ran = program.run(source, record); !ran) {
    return "refused: " + ran.error().what + "; " + ran.error().rule + "; " + ran.error().fix;
  }
  std::string text;
  for (std::size_t column = 0; column < 2; ++column) {
    const auto value = program.column(column);
    if (!value) {
      return "refused: " + value.error().what;
    }
    text += std::to_string(value->index()) + ":";
    append_json_value(text, *value);
    text += ' ';
  }
  return text + (program.is_true(2) ? "true" : "not true");
}

TEST(Evaluators, agree_on_every_document_and_expression) {
  constexpr std::uint64_t kSeeds = 1000;
  constexpr int kDocuments = 12;
  int refused = 0;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    Draw draw(seed);
    const std::string text = draw.expression(static_cast<int>(draw.below(4)));
    // One in three as a column of decimals has it, unless its division is refused there.
    auto expression = check_expression(text, seed % 3 == 0 ? Numbers::kExact : Numbers::kSql);
    if (!expression && seed % 3 == 0) {
      expression = check_expression(text);
    }
    ASSERT_TRUE(expression.has_value()) << text << ": " << expression.error().what;
    const std::vector<ProgramColumn> columns = {{*expression, ColumnForm::kValue},
                                                {*expression, ColumnForm::kJson},
                                                {*expression, ColumnForm::kTruth}};
    auto fast = Program::prepare(columns);
    auto thorough = Program::prepare(columns, Evaluator::kThoroughOnly);
    ASSERT_TRUE(fast.has_value() && thorough.has_value()) << text;
    for (int round = 0; round < kDocuments; ++round) {
      const std::string document = draw.document();
      const std::string expected = outcome(**thorough, document);
      refused += expected.starts_with("refused") ? 1 : 0;
      EXPECT_EQ(outcome(**fast, document), expected)
          << "seed " << seed << ": " << text << " of " << document;
    }
  }
  // Both ways of ending must be met often, or nothing was compared.
  EXPECT_GT(refused, 500);
  EXPECT_LT(refused, static_cast<int>(kSeeds) * kDocuments - 500);
}

}  // namespace
}  // namespace onceflow::pipeline
