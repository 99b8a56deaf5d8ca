// The fast and the thorough way of a Program, over documents and expressions drawn by seed from the
// borders that docs/values.md names: the same value of the same kind, or the same refusal.
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/json_document.h"
#include "base/json_text.h"
#include "pipeline/definition_spelling.h"
#include "pipeline/expression.h"
#include "pipeline/expression_text.h"

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
                                            R"("%_")"sv,
                                            R"("\uffff")"sv,
                                            R"("a\ufffe\ufffd")"sv};
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
    static constexpr std::array<std::string_view, 42> kShapes = {"A and B",
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
                                                                 "trim(A)",
                                                                 "A glob B",
                                                                 "unicode(A)"};
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

// Of a token, one of the ways in which it may be written.
std::string respelled(Draw& draw, const Token& token) {
  std::string text;
  const JsonPath path = parse_json_path(token.text).value_or(JsonPath());
  switch (token.kind) {
    case TokenKind::kPath:
      text = "$";
      for (const JsonStep& step : path) {
        if (const auto* position = std::get_if<JsonPosition>(&step)) {
          text += std::string(position->is_from_end ? "[#-" : "[") +
                  (draw.below(2) == 0 ? "0" : "") + std::to_string(position->index) + "]";
          continue;
        }
        const auto& name = std::get<std::string>(step);
        if (name == "x" && draw.below(3) == 0) {
          text += ".\"\\u0078\"";
        } else if (draw.below(2) == 0) {
          text += path_of_name(name).substr(1);
        } else {
          text += '.';
          append_json_string(text, name);
        }
      }
      return text;
    case TokenKind::kWord:
      for (const char letter : token.text) {
        text += draw.below(2) == 0 && letter >= 'a' && letter <= 'z'
                    ? static_cast<char>(letter - 'a' + 'A')
                    : letter;
      }
      return text;
    case TokenKind::kNumber:
      return token.text == "2.5" && draw.below(2) == 0
                 ? draw.one_of(std::array<std::string_view, 3>{"2.50", "25e-1", "0.25E1"})
                 : std::string(token.text);
    default:
      return token.text == "=" && draw.below(2) == 0    ? "=="
             : token.text == "<>" && draw.below(2) == 0 ? "!="
                                                        : std::string(token.text);
  }
}

std::string respelled(Draw& draw, std::string_view expression) {
  std::string text;
  for (const Token& token : translate_expression(expression)->tokens) {
    text += draw.one_of(std::array<std::string_view, 4>{" ", "  ", "\n", "\t "});
    text += respelled(draw, token);
  }
  return text;
}

// Another token in the place of one: another meaning, so another text.
std::string changed(Draw& draw, std::string_view expression) {
  const std::vector<Token> tokens = translate_expression(expression)->tokens;
  const std::size_t place = draw.below(tokens.size());
  std::string text;
  for (std::size_t index = 0; index < tokens.size(); ++index) {
    std::string token(tokens[index].text);
    if (index == place) {
      token = tokens[index].kind == TokenKind::kPath     ? token + ".z"
              : tokens[index].kind == TokenKind::kText   ? "'Z" + token.substr(1)
              : tokens[index].kind == TokenKind::kNumber ? "4" + token
                                                         : token + " " + token;
    }
    text += token + " ";
  }
  return text;
}

std::string meaning(std::string_view text, std::string_view document) {
  const auto expression = check_expression(text);
  EXPECT_TRUE(expression.has_value()) << text << ": " << expression.error().what;
  const std::vector<ProgramColumn> columns = {{*expression, ColumnForm::kValue},
                                              {*expression, ColumnForm::kJson},
                                              {*expression, ColumnForm::kTruth}};
  std::string outcomes;
  for (const Evaluator evaluator : {Evaluator::kFastWhereSure, Evaluator::kThoroughOnly}) {
    auto program = Program::prepare(columns, evaluator);
    EXPECT_TRUE(program.has_value()) << text;
    const std::string found = outcome(**program, document);
    outcomes += found.starts_with("refused") ? "refused" : found;
  }
  return outcomes;
}

TEST(Evaluators, a_spelling_has_no_meaning_of_its_own) {
  int respelled_count = 0;
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    Draw draw(seed);
    const std::string text = draw.expression(static_cast<int>(draw.below(4)));
    const std::string other = respelled(draw, text);
    const std::string canonical = canonical_text(text);
    EXPECT_EQ(canonical_text(other), canonical) << other;
    EXPECT_EQ(canonical_text(canonical), canonical);
    EXPECT_NE(canonical_text(changed(draw, text)), canonical) << text;
    respelled_count += other != canonical ? 1 : 0;
    for (int round = 0; round < 4; ++round) {
      const std::string document = draw.document();
      const std::string expected = meaning(text, document);
      EXPECT_EQ(meaning(other, document), expected) << other << " of " << document;
      EXPECT_EQ(meaning(canonical, document), expected) << canonical << " of " << document;
    }
  }
  EXPECT_GT(respelled_count, 300);
}

}  // namespace
}  // namespace onceflow::pipeline
