// Expressions: what they yield, and how wrong ones are refused.
#include "pipeline/expression.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "base/json_text.h"

namespace onceflow::pipeline {
namespace {

const TopicPartition kSource{"orders", PartitionIndex(3)};
constexpr std::string_view kOrder =
    R"({"id":9007199254740993,"status":"paid","amount":250,"price":1.5,"tags":["a","b"],)"
    R"("at":{"city":"Köln"},"odd name":7,"none":null,"yes":true})";

// The value as text, so that golden results read well: 'text', 12, 1.5, null.
std::string evaluate_with(Program& program, std::optional<std::string_view> value) {
  engine::Record record{.offset = Offset(17), .timestamp_ms = 1700000000000};
  record.key = as_bytes("k1");
  if (value) {
    record.value = as_bytes(*value);
  }
  if (const auto ran = program.run(kSource, record); !ran) {
    return "error: " + ran.error().what;
  }
  const auto result = program.column(0);
  if (!result) {
    return "error: " + result.error().what;
  }
  if (is_null(*result)) {
    return "null";
  }
  engine::Arena arena;
  const bool is_text = std::holds_alternative<std::string_view>(*result);
  return is_text ? "'" + std::string(render_text(*result, arena)) + "'"
                 : std::string(render_text(*result, arena));
}

// Computed with and without the fast reader of JSON, which must not be told apart.
std::string evaluate(std::string_view text, std::optional<std::string_view> value = kOrder) {
  const auto expression = check_expression(text);
  if (!expression) {
    return "wrong: " + expression.error().what;
  }
  auto thorough = Program::prepare({{*expression}}, Evaluator::kThoroughOnly);
  EXPECT_TRUE(thorough.has_value());
  const std::string result = evaluate_with(**thorough, value);
  auto fast = Program::prepare({{*expression}});
  EXPECT_TRUE(fast.has_value());
  EXPECT_EQ(evaluate_with(**fast, value), result) << text << " of " << value.value_or("null");
  return result;
}

TEST(Expression, fields_are_read_by_path) {
  EXPECT_EQ(evaluate("$.status"), "'paid'");
  EXPECT_EQ(evaluate("$.at.city"), "'Köln'");
  EXPECT_EQ(evaluate("$.tags[1]"), "'b'");
  EXPECT_EQ(evaluate("$.tags[#-1]"), "'b'");
  EXPECT_EQ(evaluate("$.\"odd name\""), "7");
  EXPECT_EQ(evaluate("$.tags"), R"('["a","b"]')");
  EXPECT_EQ(evaluate("$.none"), "null");
  EXPECT_EQ(evaluate("$.missing.deep[3]"), "null");
  EXPECT_EQ(evaluate("$.yes"), "1");
}

TEST(Expression, names_stand_for_the_record) {
  EXPECT_EQ(evaluate("key || '/' || topic || '/' || partition || '/' || offset"),
            "'k1/orders/3/17'");
  EXPECT_EQ(evaluate("timestamp"), "1700000000000");
  EXPECT_EQ(evaluate("length(value)", "abc"), "3");
  EXPECT_EQ(evaluate("OFFSET + 1"), "18");
}

TEST(Expression, integers_of_64_bits_are_exact) {
  EXPECT_EQ(evaluate("$.id"), "9007199254740993");
  EXPECT_EQ(evaluate("$.id + 1"), "9007199254740994");
  EXPECT_EQ(evaluate("$.big", R"({"big":9223372036854775807})"), "9223372036854775807");
  EXPECT_EQ(evaluate("$.big", R"({"big":-9223372036854775808})"), "-9223372036854775808");
}

TEST(Expression, conditions_are_sql) {
  EXPECT_EQ(evaluate("$.status = 'paid' and $.amount > 100"), "1");
  EXPECT_EQ(evaluate("$.amount between 1 and 9 or $.status in ('paid','sent')"), "1");
  EXPECT_EQ(evaluate("$.missing > 100"), "null");
  EXPECT_EQ(evaluate("case when $.amount>=250 then 'big' else 'small' end"), "'big'");
  EXPECT_EQ(evaluate("cast($.amount as text)||upper('x')"), "'250X'");
  EXPECT_EQ(evaluate("$.status like 'p%' and not $.none is not null"), "1");
  EXPECT_EQ(evaluate("value->>'$.at.city'"), "'Köln'");
  EXPECT_EQ(evaluate("date('2024-03-01', '-1 day')"), "'2024-02-29'");
}

TEST(Expression, a_null_value_yields_null) {
  EXPECT_EQ(evaluate("$.status", std::nullopt), "null");
}

TEST(Expression, a_value_that_is_not_json_is_an_error) {
  EXPECT_EQ(evaluate("$.status", "not json"),
            "error: malformed JSON at byte 0: no value where one belongs");
  EXPECT_EQ(evaluate("json_valid(value)", "not json"), "0");
}

TEST(Expression, there_is_no_clock_even_where_the_record_asks_for_one) {
  EXPECT_EQ(evaluate("datetime($.when)", R"({"when":"now"})"), "null");
  for (const std::string_view text :
       {"unixepoch()", "datetime()", "date()", "time()", "julianday()", "strftime('%s')",
        "datetime('subsec')", "1 + unixepoch('SUBSECOND')"}) {
    EXPECT_THAT(evaluate(text), testing::HasSubstr("without a time asks for the clock")) << text;
  }
  EXPECT_THAT(evaluate("date('2024-01-01', $.zone)", R"({"zone":"LocalTime"})"),
              testing::HasSubstr("the text 'LocalTime' comes to date"));
}

TEST(Expression, a_record_without_a_timestamp_has_none) {
  const engine::Record record{.offset = Offset(17), .timestamp_ms = -1, .value = as_bytes(kOrder)};
  for (const std::string_view text :
       {"timestamp", "timestamp < 1577836800000", "date(timestamp / 1000, 'unixepoch')",
        "$.amount + timestamp"}) {
    for (const Evaluator evaluator : {Evaluator::kFastWhereSure, Evaluator::kThoroughOnly}) {
      auto program = Program::prepare({{*check_expression(text)}}, evaluator);
      ASSERT_TRUE(program.has_value());
      ASSERT_TRUE((*program)->run(kSource, record).has_value());
      EXPECT_TRUE(is_null(*(*program)->column(0))) << text;
    }
  }
}

TEST(Expression, a_literal_time_may_be_in_any_form_that_sqlite_reads) {
  for (const std::string_view time :
       {"2024-02-29T12:30:00", "2024-02-29T12:30:00Z", "2024-02-29T13:30:00+01:00",
        "2024-02-29 12:30", "2024-02-29T12:30:00.000Z"}) {
    EXPECT_EQ(evaluate("datetime('" + std::string(time) + "')"), "'2024-02-29 12:30:00'") << time;
  }
  EXPECT_EQ(evaluate("datetime('1709209800', 'UnixEpoch')"), "'2024-02-29 12:30:00'");
}

TEST(Expression, a_call_that_is_null_for_every_record_is_refused) {
  for (const std::string_view text :
       {"date($.at, '-1 dya')", "datetime($.at, 'start of moth')", "strftime('%Q', $.at)",
        "date('2024-13-01')", "unixepoch('yesterday')", "date('2023-02-30')", "date('2024')",
        "datetime('2024-01-01T24:00')", "date('2023-02-30', $.modifier)"}) {
    EXPECT_THAT(evaluate(text), testing::StartsWith("wrong: '")) << text;
  }
  constexpr std::string_view kTimes = R"({"at":"2024-03-01","s":86400})";
  EXPECT_EQ(evaluate("date($.at, '-1 day')", kTimes), "'2024-02-29'");
  EXPECT_EQ(evaluate("date($.s, 'unixepoch', 'start of month')", kTimes), "'1970-01-01'");
  EXPECT_EQ(evaluate("date($.at, 'weekday 0')", kTimes), "'2024-03-03'");
  EXPECT_EQ(evaluate("strftime('%Y-%m', $.at)", kTimes), "'2024-03'");
  EXPECT_EQ(evaluate("date($.at, 'utc')", kTimes), "wrong: 'utc' is not allowed");
}

TEST(Expression, integers_that_leave_64_bits_or_lose_a_fraction_are_refused) {
  constexpr std::string_view kNumbers =
      R"({"one":1,"r":1.5,"min":-9223372036854775808,"big":9007199254740993,"t":"7kg"})";
  const auto refused = [&](std::string_view text, std::string_view what) {
    EXPECT_THAT(evaluate(text, kNumbers), testing::HasSubstr(what)) << text;
  };
  refused("$.one << 64", "1 << 64 leaves 64 bits");
  refused("$.one << 63", "1 << 63 leaves 64 bits");
  refused("$.one >> -63", "1 >> -63 leaves 64 bits");
  refused("-3 << 63", "-3 << 63 leaves 64 bits");
  refused("~$.r", "1.5 comes to `~`, and is not an integer");
  refused("$.r & 1", "1.5 comes to `&`, and is not an integer");
  refused("1 | $.r", "1.5 comes to `|`, and is not an integer");
  refused("$.r % 2", "1.5 comes to `%`, and is not an integer");
  refused("1e300 % 2", "comes to `%`, and is not an integer");
  refused("abs($.min)", "integer overflow");
  refused("-$.min", "leaves 64 bits");
  refused("round($.big)", "9007199254740993 comes to round");
  refused("mod($.big, 10)", "9007199254740993 comes to mod");
  EXPECT_EQ(evaluate("$.one << 62", kNumbers), "4611686018427387904");
  EXPECT_EQ(evaluate("-$.one << 63", kNumbers), "-9223372036854775808");
  EXPECT_EQ(evaluate("$.min >> 63", kNumbers), "-1");
  EXPECT_EQ(evaluate("$.one >> 64", kNumbers), "0");
  EXPECT_EQ(evaluate("0 << 100"), "0");
  EXPECT_EQ(evaluate("8 >> 1 | 1 & 3"), "1");
  EXPECT_EQ(evaluate("~$.one", kNumbers), "-2");
  EXPECT_EQ(evaluate("$.min % -1", kNumbers), "0");
  EXPECT_EQ(evaluate("-7 % 3"), "-1");
  EXPECT_EQ(evaluate("7.0 % 2"), "1.0");
  EXPECT_EQ(evaluate("$.t % 4", kNumbers), "3");
  EXPECT_EQ(evaluate("$.one % 0", kNumbers), "null");
  EXPECT_EQ(evaluate("$.none << 1"), "null");
  EXPECT_EQ(evaluate("round($.r)", kNumbers), "2.0");
  EXPECT_EQ(evaluate("mod($.r, 1)", kNumbers), "0.5");
}

TEST(Expression, functions_read_all_digits_of_a_real) {
  constexpr std::string_view kReal = R"({"x":0.30000000000000004})";
  EXPECT_EQ(evaluate("upper($.x)", kReal), "'0.30000000000000004'");
  EXPECT_EQ(evaluate("length($.x)", kReal), "19");
  EXPECT_EQ(evaluate("substr($.x, 3)", kReal), "'30000000000000004'");
  EXPECT_EQ(evaluate("replace($.x, '4', '5')", kReal), "'0.30000000000000005'");
  EXPECT_EQ(evaluate("trim($.x)", kReal), "'0.30000000000000004'");
  EXPECT_EQ(evaluate("printf('%s', $.x)", kReal), "'0.30000000000000004'");
  EXPECT_EQ(evaluate("printf('%.2f', $.x)", kReal), "'0.30'");
  EXPECT_EQ(evaluate("instr($.x, '4')", kReal), "19");
  EXPECT_EQ(evaluate("$.x like '%4'", kReal), "1");
}

struct Wrong {
  std::string_view text;
  std::size_t column;
  std::string_view what;
};

TEST(Expression, wrong_ones_are_refused_with_their_place) {
  const std::vector<Wrong> wrong = {
      {"", 1, "the expression is empty"},
      {"status = 'paid'", 1, "unknown name `status`"},
      {"$.a = \"x\"", 7, "`\"` cannot stand here"},
      {"$.a = 'x", 7, "the text's closing quote is missing"},
      {"$.a +", 5, "the expression ends too early"},
      {"$.a > > 1", 7, "SQLite says: near \">\": syntax error"},
      {"random() > 1", 1, "function random() is not allowed"},
      {"$.a > datetime('now')", 16, "'now' is not allowed"},
      {"current_timestamp", 1, "`current_timestamp` is not a word of expressions"},
      {"load_extension('x')", 1, "function load_extension() is not allowed"},
      {"(select 1)", 2, "`select`"},
      {"$.a in (select x from y)", 9, "`select`"},
      {"$.a, $.b", 4, "a comma between two expressions"},
      {"1) + (2", 2, "a `)` without its `(`"},
      {"(1", 2, "a `)` is missing"},
      {"$a", 1, "`$` is not followed by a dot"},
      {"$.a[99999999999999999999999]", 1, "a position in a list has too many digits"},
      {R"($."a\x")", 3, R"("a\x" is not a JSON string)"},
      {"18446744073709551615", 1, "the number 18446744073709551615 is not exact here"},
      {"$.a > 0.1000000000000000055511", 7,
       "the number 0.1000000000000000055511 is not exact here"},
      {"$.a[x]", 4, "the brackets do not hold a number"},
      {"$.", 2, "no field name after the dot"},
      {"1 -- one", 3, "a comment"},
      {"1; drop table x", 2, "`;` cannot stand here"},
      {"?1", 1, "`?` cannot stand here"},
      {"$.a && $.b", 5, "`&&`"},
      {"substr($.a)", 1, "SQLite says: wrong number of arguments to function substr()"},
      {"sum($.a)", 1, "function sum() is not allowed"},
      {"count(*)", 1, "function count() is not allowed"},
      {"$.a collate nonsense", 1, "unknown name `nonsense`"},
  };
  for (const Wrong& expected : wrong) {
    const auto expression = check_expression(expected.text);
    ASSERT_FALSE(expression.has_value()) << expected.text;
    EXPECT_EQ(expression.error().what, expected.what) << expected.text;
    if (expected.text != "$.a collate nonsense") {
      EXPECT_EQ(expression.error().column, expected.column) << expected.text;
    }
    EXPECT_FALSE(expression.error().rule.empty());
    EXPECT_FALSE(expression.error().fix.empty());
  }
}

// The tokenizer words the refusals; this is the guard behind it.
TEST(Expression, the_authorizer_denies_what_no_translation_lets_through) {
  for (const char* sql :
       {"random()", "(SELECT name FROM sqlite_master)", "load_extension('x')", "sqlite_version()",
        "randomblob(4)", "last_insert_rowid()", "current_timestamp"}) {
    EXPECT_FALSE(
        Program::prepare({{Expression{.text = sql, .sql = sql, .fast_sql = sql}}}).has_value())
        << sql;
  }
}

TEST(Expression, the_fast_reader_reads_as_the_thorough_one) {
  const std::vector<std::string_view> documents = {
      R"({"a":1,"b":"x"})",
      R"({"a":"\u0041\n","b":null})",
      R"({"a":[1,2,{"c":3}],"b":{"c":4}})",
      R"({"a":18446744073709551615,"b":9223372036854775807})",
      R"({"a":1e2,"b":-0})",
      R"({"a":1,"a":2,"b":true})",
      R"({"a":123456789012345678901234567890})",
      R"("a")",
      "12",
      "[]",
      "[[1,2],[3]]",
      "{}",
      "",
      " ",
      "{",
      "nul",
      "null",
      R"({"a":1}x)",
      R"({"a":01})",
      R"({"a":.5})",
      R"({"a":"tab	in"})",
      "{\"a\":\"\xff\"}",
      R"({"\u0061":5})",
      R"({"a":""})",
      R"( { "a" : 1.5 , "b" : "ü" } )",
      R"({"a":{"c":""},"b":[]})",
      R"({'a':1})",
      R"({"a":1,})",
      "\xef\xbb\xbf{\"a\":1}",
      R"({"b":5,"":7})",
      R"({"a":0.1,"b":1.7976931348623157e308})"};
  for (const std::string_view expression :
       {"$.a", "$.b", "$.a || '/' || $.b", "$.a > $.b", "$.b.c", "$.a[2].c", "$.a[#-1]", "$[0]",
        "$[0][1]", "$[#-1][0]", "$", "typeof($.a)", "$.a is null and value is not null",
        "key || offset || $.a || partition"}) {
    for (const std::string_view document : documents) {
      evaluate(expression, document);
    }
  }
}

// Documents with a few bytes changed, taken out or doubled, most of them no JSON any more.
TEST(Expression, the_fast_reader_reads_broken_documents_as_the_thorough_one) {
  std::uint64_t state = 20240229;
  const auto next = [&](std::size_t bound) {
    state = state * 6364136223846793005 + 1442695040888963407;
    return static_cast<std::size_t>(state >> 33) % bound;
  };
  constexpr std::string_view kBytes = "{}[]\",:.-+eE0123456789truefalsn \\\t\xc3";
  for (int round = 0; round < 1500; ++round) {
    std::string document(kOrder);
    for (std::size_t change = 0; change <= next(3); ++change) {
      const std::size_t place = next(document.size());
      switch (next(3)) {
        case 0:
          document[place] = kBytes[next(kBytes.size())];
          break;
        case 1:
          document.erase(place, 1 + next(3));
          break;
        default:
          document.insert(place, 1, kBytes[next(kBytes.size())]);
      }
    }
    evaluate("$.status", document);
    evaluate("$.amount + $.price", document);
    evaluate("$.at.city || $.tags[1]", document);
  }
}

TEST(Expression, types_are_told_where_the_text_tells_them) {
  const auto type = [](std::string_view text) { return check_expression(text)->type; };
  EXPECT_EQ(type("offset"), ColumnType::kInteger);
  EXPECT_EQ(type("key"), ColumnType::kText);
  EXPECT_EQ(type("cast($.a as real)"), ColumnType::kReal);
  EXPECT_EQ(type("cast($.a as integer)"), ColumnType::kInteger);
  EXPECT_EQ(type("cast($.a as integer) + cast($.b as real)"), std::nullopt);
  EXPECT_EQ(type("$.a"), std::nullopt);
  EXPECT_EQ(check_expression("$.a.\"b c\"")->field_name, "b c");
  EXPECT_EQ(check_expression("$.a.b")->field_name, "b");
  EXPECT_EQ(check_expression("$.a[0]")->field_name, std::nullopt);
}

TEST(Expression, reals_are_rendered_so_that_they_read_back) {
  engine::Arena arena;
  EXPECT_EQ(render_text(0.1 + 0.2, arena), "0.30000000000000004");
  EXPECT_EQ(render_text(3.0, arena), "3.0");
  EXPECT_EQ(render_text(1e300, arena), "1e+300");
  EXPECT_EQ(render_text(9007199254740994.0, arena), "9007199254740994.0");
  EXPECT_EQ(render_text(4.053239664633446e+16, arena), "4.053239664633446e+16");
  EXPECT_EQ(render_text(-0x1p70, arena), "-1.1805916207174113e+21");
  EXPECT_EQ(render_text(std::int64_t{-5}, arena), "-5");
}

// In a key, in a column of text, in JSON and as a cast.
TEST(Expression, a_real_has_one_text_everywhere) {
  engine::Arena arena;
  EXPECT_EQ(render_text(100000.0, arena), "100000.0");
  EXPECT_EQ(render_text(0.0001, arena), "0.0001");
  for (int exponent = -320; exponent <= 305; ++exponent) {
    for (const char* digits : {"1", "2.5", "1.7976931348623157", "-9.007199254740993"}) {
      const double real = std::strtod(fmt::format("{}e{}", digits, exponent).c_str(), nullptr);
      std::string json;
      append_json_value(json, real);
      const std::string record = fmt::format(R"({{"x":{}}})", json);
      EXPECT_EQ(render_text(real, arena), json);
      EXPECT_EQ(evaluate("cast($.x as text)", record), fmt::format("'{}'", json));
      EXPECT_EQ(evaluate("json_array($.x)", record), fmt::format("'[{}]'", json));
    }
  }
}

TEST(Expression, large_reals_are_the_same_in_records_literals_and_texts) {
  constexpr std::uint64_t kStep = 0x9e3779b97f4a7c15;  // its multiples are spread evenly
  std::uint64_t drawn = 0;
  for (int exponent = 50; exponent <= 80; ++exponent) {
    for (int index = 0; index < 4; ++index) {
      drawn += kStep;
      const double real =
          std::ldexp(1 + std::ldexp(static_cast<double>(drawn >> 12), -52), exponent);
      std::string digits;
      append_json_value(digits, real);
      const std::string record = fmt::format(R"({{"x":{},"t":"{}"}})", digits, digits);
      EXPECT_EQ(evaluate("typeof($.x)", record), "'real'") << digits;
      EXPECT_EQ(evaluate("cast($.x as text)", record), fmt::format("'{}'", digits));
      EXPECT_EQ(evaluate("$.x = " + digits, record), "1") << digits;
      EXPECT_EQ(evaluate("$.x = $.t + 0", record), "1") << digits;
    }
  }
}

TEST(Expression, a_condition_is_never_a_text) {
  EXPECT_THAT(evaluate("not $.a", R"({"a":"true"})"),
              testing::HasSubstr("the text 'true' stands where"));
  EXPECT_THAT(evaluate("$.a or 1", R"({"a":"1x"})"),
              testing::HasSubstr("the text '1x' stands where"));
  EXPECT_THAT(evaluate("case when $.a then 1 end", R"({"a":{"b":1}})"),
              testing::HasSubstr("stands where"));
  EXPECT_EQ(evaluate("case $.a when 'x' then 1 end", R"({"a":"x"})"), "1");
  EXPECT_EQ(evaluate("not coalesce($.a, 0)", R"({"b":1})"), "1");
  EXPECT_THAT(evaluate("not +$.a", R"({"a":"x"})"), testing::HasSubstr("stands where"));
}

// Of `type: decimal`: by digits throughout, with both readers.
std::string exactly(std::string_view text, std::string_view value) {
  const auto expression = check_expression(text, Numbers::kExact);
  if (!expression) {
    return "wrong: " + expression.error().what + "; " + expression.error().fix;
  }
  auto thorough = Program::prepare({{*expression}}, Evaluator::kThoroughOnly);
  auto fast = Program::prepare({{*expression}});
  const std::string result = evaluate_with(**thorough, value);
  EXPECT_EQ(evaluate_with(**fast, value), result) << text << " of " << value;
  return result;
}

TEST(Expression, exact_numbers_are_computed_by_their_digits) {
  constexpr std::string_view kSale =
      R"({"p":0.1,"q":3,"t":"12.34","big":18446744073709551615,"e":1e400,"w":"7 kg","b":true})";
  EXPECT_EQ(exactly("$.p * $.q", kSale), "0.3");
  EXPECT_EQ(exactly("$.p + 0.2", kSale), "0.3");
  EXPECT_EQ(exactly("$.q - $.p - $.p", kSale), "2.8");
  EXPECT_EQ(exactly("$.q - ($.p - $.p)", kSale), "3");
  EXPECT_EQ(exactly("-$.p * $.q", kSale), "-0.3");
  EXPECT_EQ(exactly("-($.p * ($.q + 0.2))", kSale), "-0.32");
  EXPECT_EQ(exactly("$.t * 100", kSale), "1234");
  EXPECT_EQ(exactly("0.29 * 100", kSale), "29");
  EXPECT_EQ(exactly("$.big * $.big", kSale), "'340282366920938463426481119284349108225'");
  EXPECT_EQ(exactly("$.big + 1 - $.big", kSale), "1");
  EXPECT_EQ(exactly("9223372036854775807 * 10", kSale), "'92233720368547758070'");
  EXPECT_EQ(exactly("coalesce($.p * $.none, $.q * 1.1)", kSale), "3.3");
  EXPECT_EQ(exactly("case when $.p * $.q = 0.3 then $.big * 2 else 0 end", kSale),
            "'36893488147419103230'");
  EXPECT_EQ(exactly("iif($.p * 3 between 0.3 and 0.3, 1, 0)", kSale), "1");
  EXPECT_EQ(exactly("coalesce($.big * 10, 0) + 1", kSale), "'184467440737095516151'");
  EXPECT_EQ(exactly("printf('%.20f', $.p * 3)", kSale),
            "wrong: printf() is not exact; write round(…, 20), which rounds by digits");
  EXPECT_EQ(exactly("round($.p * 3, 20)", kSale), "0.3");
  EXPECT_EQ(exactly("cast(printf('%.2f', $.p) as real) * 3", kSale), "0.3");
  EXPECT_EQ(exactly("round(1.005 * $.q / 1, 2)", kSale).substr(0, 21), "wrong: `/` is not exa");
  EXPECT_EQ(exactly("round($.p * 10.05, 2)", kSale), "1.01");
  EXPECT_EQ(exactly("$.b * $.p", kSale), "0.1");
  EXPECT_EQ(exactly("cast($.q / 2.0 as real) * $.p", kSale), "0.15");
  EXPECT_EQ(exactly("$.p * $.none", kSale), "null");
}

TEST(Expression, what_is_not_exact_is_refused_where_exact_numbers_are_asked_for) {
  constexpr std::string_view kSale =
      R"({"p":0.1,"q":3,"big":18446744073709551615,"e":1e999,"w":"7 kg"})";
  const auto refused = [&](std::string_view text, std::string_view what) {
    EXPECT_THAT(exactly(text, kSale), testing::HasSubstr(what)) << text;
  };
  refused("$.q / 100", "write `* 0.01` instead of `/ 100`");
  refused("$.q / 8", "write `* 0.125`");
  refused("$.q / 3", "divide after the aggregate, or write cast(… as real)");
  refused("$.q / $.p", "divide after the aggregate");
  refused("sqrt($.p)", "sqrt() is not exact");
  refused("1 + pow($.p, 2)", "pow() is not exact");
  refused("mod($.p, 2)", "mod() is not exact");
  refused("$.w * 2", "the text '7 kg' stands where a number belongs");
  refused("$.e * 100", "more than 1,000 digits");
  refused("max($.big * 2, 1)", "neither 64 bits nor a double hold");
  refused("abs($.big * 2)", "neither 64 bits nor a double hold");
}

// SQLite's own reader takes U+FFFE and U+FFFF for U+FFFD.
TEST(Expression, noncharacters_in_a_literal_are_matched_as_they_are) {
  constexpr std::string_view kTexts = R"({"x":"a\ufffd","y":"a\uffff","z":"\udbff\udfff"})";
  EXPECT_EQ(evaluate("$.x like '%\uffff'", kTexts), "0");
  EXPECT_EQ(evaluate("$.y like 'A\uffff'", kTexts), "1");
  EXPECT_EQ(evaluate("$.y like '%\ufffe'", kTexts), "0");
  EXPECT_EQ(evaluate("$.y like 'a\ufffe\uffff' escape '\ufffe'", kTexts), "1");
  EXPECT_EQ(evaluate("glob('a[\ufffe]', $.y)", kTexts), "0");
  EXPECT_EQ(evaluate("like('%\uffff', $.x)", kTexts), "0");
  EXPECT_EQ(evaluate("$.z glob '[\uffff-\U0010ffff]'", kTexts), "1");
  EXPECT_EQ(evaluate("$.z glob '[\uffff-\U0010fffe]'", kTexts), "0");
  EXPECT_EQ(evaluate("unicode('\uffff')"), "65535");
  EXPECT_EQ(evaluate("unicode($.z)", kTexts), "1114111");
  EXPECT_EQ(evaluate("unicode('')"), "null");
}

TEST(Expression, a_collation_belongs_to_a_comparison) {
  for (const std::string_view text :
       {"$.a collate nocase", "upper($.a collate nocase)", "$.a || $.b collate nocase",
        "coalesce($.a collate nocase, 'x')", "case when 1 then $.a collate nocase end",
        "$.a collate nocase like 'x'"}) {
    EXPECT_THAT(evaluate(text), testing::HasSubstr("stands outside of a comparison")) << text;
  }
  EXPECT_EQ(evaluate("$.status collate nocase in ('PAID')"), "1");
  EXPECT_EQ(evaluate("case $.status collate nocase when 'PAID' then 1 end"), "1");
  EXPECT_EQ(evaluate("max($.status collate nocase, 'OPEN')"), "'paid'");
}

// The values for which the words differ that people bring and that are written here.
TEST(Expression, what_is_written_for_a_word_from_elsewhere_means_what_that_word_means) {
  struct Written {
    std::string_view word;
    std::string_view instead;
    std::string_view x;
    std::string_view result;
  };
  constexpr std::string_view kTruth = "case $.a when 'true' then true when 'false' then false end";
  constexpr std::string_view kPart = "substr($.text, 1, instr($.text || '-', '-') - 1)";
  constexpr std::string_view kBegin = "substr($.text, 1, 5) = 'begin'";
  constexpr std::string_view kEnd = "substr($.text, -3) = 'end'";
  constexpr std::string_view kNumber =
      "iif(cast(cast($.a as integer) as text) = $.a, cast($.a as integer), null)";
  constexpr std::string_view kYear = "cast(strftime('%Y', $.at) as integer)";
  for (const Written& each : {Written{"bool", kTruth, R"({"a":"true"})", "1"},
                              {"bool", kTruth, R"({"a":"yes"})", "null"},
                              {"split_part", kPart, R"({"text":"abc"})", "'abc'"},
                              {"split_part", kPart, R"({"text":"a-b-c"})", "'a'"},
                              {"startswith", kBegin, R"({"text":"beginning"})", "1"},
                              {"startswith", kBegin, R"({"text":"Beginning"})", "0"},
                              {"endswith", kEnd, R"({"text":"the END"})", "0"},
                              {"try_cast", kNumber, R"({"a":"12"})", "12"},
                              {"try_cast", kNumber, R"({"a":"n/a"})", "null"},
                              {"try_cast", kNumber, R"({"a":"1.200"})", "null"},
                              {"extract", kYear, R"({"at":"2026-03-01"})", "2026"}}) {
    const auto wrong = check_expression(std::string(each.word) + "($.a)");
    ASSERT_FALSE(wrong.has_value()) << each.word;
    EXPECT_NE(wrong.error().fix.find(each.instead), std::string::npos) << wrong.error().fix;
    EXPECT_EQ(evaluate(each.instead, each.x), each.result) << each.word;
  }
}

}  // namespace
}  // namespace onceflow::pipeline
