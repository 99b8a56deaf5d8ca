// JSON by RFC 8259: what is malformed and where, names and texts by what they mean, and edits.
#include "base/json_document.h"

#include <gtest/gtest.h>

#include "base/utf8.h"

namespace onceflow {
namespace {

std::string wrong_with(std::string_view text) {
  JsonDocument document;
  const auto problem = document.parse(text);
  return problem ? std::to_string(problem->offset) + ": " + std::string(problem->what) : "";
}

TEST(JsonDocument, takes_json_and_nothing_else) {
  for (const std::string_view text :
       {R"({"a":[1,-0.5e+3,true,false,null,"\u00e4\ud83d\ude00"],"":{}})", "[]", " 12 ", "\"x\"",
        R"({"a":1,"a":2})", R"("\ud800")", "[[[]]]", "\"\x7f\""}) {
    EXPECT_EQ(wrong_with(text), "") << text;
  }
  using namespace std::literals;
  EXPECT_EQ(wrong_with(""), "0: it ends too early");
  EXPECT_EQ(wrong_with(R"({"a":01})"), "6: no comma or } after a member");
  EXPECT_EQ(wrong_with("{\"a\":1}x"), "7: something after the value");
  EXPECT_EQ(wrong_with("{\"a\":1}\0{}"sv), "7: something after the value");
  EXPECT_EQ(wrong_with("[1,]"), "3: no value where one belongs");
  EXPECT_EQ(wrong_with("{\"a\":1,}"), "7: no name in quotes where a member begins");
  EXPECT_EQ(wrong_with("{\"a\" 1}"), "5: no colon after a name");
  EXPECT_EQ(wrong_with("[1 2]"), "3: no comma or ] after an element");
  EXPECT_EQ(wrong_with("[1}"), "2: no comma or ] after an element");
  EXPECT_EQ(wrong_with("\"a\0b\""sv), "2: a control character in a string");
  EXPECT_EQ(wrong_with("\"a\xff\""), "2: a byte that is not UTF-8");
  EXPECT_EQ(wrong_with("\"\\x\""), "1: an escape that JSON does not have");
  EXPECT_EQ(wrong_with("\"\\u12g4\""), "1: an escape that JSON does not have");
  EXPECT_EQ(wrong_with("\"abc"), "4: a string without its closing quote");
  EXPECT_EQ(wrong_with("\"abc\\"), "4: an escape that JSON does not have");
  for (const std::string_view text :
       {"-", ".5", "1.", "1e", "+1", "nul", "tru", "NaN", "'a'", "{"}) {
    EXPECT_NE(wrong_with(text), "") << text;
  }
  EXPECT_EQ(wrong_with(std::string(2000, '[') + std::string(2000, ']')), "");
  EXPECT_EQ(wrong_with(std::string(2001, '[')), "2000: nesting deeper than 2,000");
}

std::string at(std::string_view text, std::string_view path) {
  JsonDocument document;
  EXPECT_FALSE(document.parse(text).has_value());
  const auto steps = parse_json_path(path);
  const auto found = steps ? document.find(*steps) : std::nullopt;
  return found ? std::string(document.raw(*found)) : "nothing";
}

TEST(JsonDocument, names_are_json_strings) {
  EXPECT_EQ(at(R"({"gr\u00f6\u00dfe":3})", "$.größe"), "3");
  EXPECT_EQ(at(R"({"größe":3})", R"($."gr\u00f6\u00dfe")"), "3");
  EXPECT_EQ(at(R"({"\ud83d\ude00":3})", "$.😀"), "3");
  EXPECT_EQ(at(R"({"a\/b":1})", R"($."a/b")"), "1");
  EXPECT_EQ(at(R"({"a\"b":1})", R"($."a\"b")"), "1");
  EXPECT_EQ(at(R"({"\ud800":1,"b":2})", "$.b"), "2");
  EXPECT_EQ(at(R"({"a":1,"\u0061":2})", "$.a"), "1");
  EXPECT_EQ(at(R"({"a":[1,2,[3]]})", "$.a[#-1][0]"), "3");
  EXPECT_EQ(at(R"({"a":[1]})", "$.a[1]"), "nothing");
  EXPECT_EQ(at(R"({"a":[1]})", "$.a.b"), "nothing");
  EXPECT_FALSE(parse_json_path("$.").has_value());
  EXPECT_FALSE(parse_json_path("$[x]").has_value());
  EXPECT_FALSE(parse_json_path(R"($."\ud800")").has_value());
}

TEST(JsonDocument, half_a_surrogate_pair_is_no_text) {
  std::string decoded;
  JsonDocument document;
  for (const std::string_view text :
       {R"("\ud800")", R"("\udc00")", R"("\ud800\ud800")", R"("\ud800x")", R"("\ud83d\u0041")"}) {
    ASSERT_FALSE(document.parse(text).has_value());
    EXPECT_FALSE(document.string(0, decoded).has_value()) << text;
  }
  ASSERT_FALSE(document.parse(R"("a\u0000b\n\ud83d\ude00")").has_value());
  EXPECT_EQ(document.string(0, decoded), std::string_view("a\0b\n😀", 8));
}

std::string edited(std::string_view text, std::string_view path, JsonEdit edit = JsonEdit::kSet) {
  JsonDocument document;
  EXPECT_FALSE(document.parse(text).has_value());
  return edit_json(document, *parse_json_path(path), "9", edit).value_or("nothing");
}

TEST(JsonDocument, edits_touch_their_place_alone) {
  EXPECT_EQ(edited(R"({ "a" : 1.50, "b" : [ ] })", "$.b"), R"({ "a" : 1.50, "b" : 9 })");
  EXPECT_EQ(edited(R"({"\u0061":1})", "$.a"), R"({"\u0061":9})");
  EXPECT_EQ(edited(R"({"a":1,"b":2,"a":3,"\u0061":4})", "$.a"), R"({"a":9,"b":2})");
  EXPECT_EQ(edited("{}", "$.a.b[0]"), R"({"a":{"b":[9]}})");
  EXPECT_EQ(edited(R"({"l":[1]})", "$.l[1]"), R"({"l":[1,9]})");
  EXPECT_EQ(edited(R"({"l":[1]})", "$.l[#]"), R"({"l":[1,9]})");
  EXPECT_EQ(edited(R"({"l":[1]})", "$.l[3]"), "nothing");
  EXPECT_EQ(edited(R"({"a":1})", "$.a.b"), "nothing");
  EXPECT_EQ(edited(R"({"a":1})", "$.b", JsonEdit::kReplace), "nothing");
  EXPECT_EQ(edited(R"({"a":1})", "$.a", JsonEdit::kInsert), "nothing");
  EXPECT_EQ(edited("[]", R"($[#]."ä\"")"), R"([{"ä\"":9}])");
}

TEST(JsonDocument, removal_takes_every_member_of_the_name) {
  JsonDocument document;
  ASSERT_FALSE(document.parse(R"({"x":{"a":1,"b":[1,2,3],"a":2}})").has_value());
  EXPECT_EQ(remove_json(document, *parse_json_path("$.x.a")), R"({"x":{"b":[1,2,3]}})");
  EXPECT_EQ(remove_json(document, *parse_json_path("$.x.b[1]")),
            R"({"x":{"a":1,"b":[1,3],"a":2}})");
  EXPECT_EQ(remove_json(document, *parse_json_path("$.y")), document.text());
}

TEST(JsonDocument, minified_json_keeps_what_is_in_strings) {
  std::string minified;
  append_minified(minified, " { \"a b\" : [ 1 , \"\\\" \" ] }\n");
  EXPECT_EQ(minified, R"({"a b":[1,"\" "]})");
}

TEST(Utf8, only_shortest_whole_sequences_of_scalars_are_it) {
  for (const std::string_view good :
       {"", "abcdefghijk", "Köln", "€", "😀", "\xed\x9f\xbf", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_TRUE(is_utf8(good)) << good;
  }
  for (const std::string_view bad :
       {"\x80", "\xc0\x80", "\xc3", "\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80",
        "\xf4\x90\x80\x80", "\xff", "\xe2\x82", "abcdefghi\xc3(", "\xf0\x9f\x98"}) {
    EXPECT_FALSE(is_utf8(bad));
  }
  EXPECT_EQ(find_invalid_utf8("abcdefghä\xff"), 10u);
}

TEST(Utf8, a_message_shows_every_byte) {
  using namespace std::literals;
  EXPECT_EQ(printable("ä\0b\n\xff\xc3("sv), R"(ä\x00b\x0a\xff\xc3()");
}

}  // namespace
}  // namespace onceflow
