#include "sim/pipelines/documents.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <string_view>
#include <utility>

#include "base/check.h"

namespace onceflow::sim {

namespace {

constexpr std::size_t kKeysPerRun = 5;

using namespace std::string_view_literals;

constexpr std::string_view kTexts[] = {
    "ab\0cd"sv, "ab\0ef"sv, "",     "ab",       "a'b", "a\"b\\c", "größe",     "\U0001F600", "null",
    "Inf",      "1e5",      "0x10", "\n\t\x01", "[1]", "a,b",     "{\"a\":1}", " ",          "true",
};

constexpr std::int64_t kAmounts[] = {
    0,
    1,
    -1,
    7,
    2147483647,
    -2147483648,
    9007199254740993,  // 2^53 + 1: no double holds it
    -9007199254740993,
};

struct Number {
  std::string_view json;
  double value;
};
constexpr Number kSizes[] = {
    {"0", 0},      {"1", 1},           {"3", 3},
    {"0.5", 0.5},  {"-2.25", -2.25},   {"2.5E+0", 2.5},
    {"1e3", 1000}, {"-0.125", -0.125}, {"2251799813685248.5", 2251799813685248.5}};

/// Beyond 64 bits; no double tells the first two apart.
constexpr std::string_view kLongKeys[] = {"18446744073709551615", "18446744073709551614",
                                          "-9223372036854775809"};

constexpr std::int64_t kIntegerKeys[] = {7, -1, 9223372036854775807,
                                         std::int64_t{-9223372036854775807} - 1};

/// How many bytes the UTF-8 letter that begins with this one has.
std::size_t letter_bytes(char first) {
  const auto byte = static_cast<unsigned char>(first);
  return byte < 0x80 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
}

std::uint32_t code_point(std::string_view letter) {
  constexpr std::uint32_t kFirstBits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
  std::uint32_t point = static_cast<unsigned char>(letter[0]) & kFirstBits[letter.size()];
  for (const char byte : letter.substr(1)) {
    point = (point << 6) | (static_cast<unsigned char>(byte) & 0x3f);
  }
  return point;
}

std::string escape(std::uint32_t point) {
  if (point < 0x10000) {
    return fmt::format("\\u{:04x}", point);
  }
  return fmt::format("\\u{:04X}\\u{:04x}", 0xd800 + ((point - 0x10000) >> 10),
                     0xdc00 + ((point - 0x10000) & 0x3ff));
}

/// A JSON string, any of its letters escaped by chance, those that must be always.
std::string spell_string(std::string_view text, SimRandom& random) {
  std::string json = "\"";
  const bool escapes = random.below(3) == 0;
  for (std::size_t index = 0; index < text.size();) {
    const std::string_view letter = text.substr(index, letter_bytes(text[index]));
    index += letter.size();
    const bool must = letter == "\"" || letter == "\\" || letter[0] == '\x7f' ||
                      (static_cast<unsigned char>(letter[0]) < 0x20);
    json += must || (escapes && random.coin()) ? escape(code_point(letter)) : std::string(letter);
  }
  return json + '"';
}

std::string spell_name(std::string_view name, SimRandom& random) {
  return spell_string(name, random);
}

Field text_field(std::string_view text, SimRandom& random) {
  return {spell_string(text, random), std::string(text)};
}

Field integer_field(std::int64_t integer) { return {fmt::format("{}", integer), integer}; }

// Missing, null, or there.
template <typename Draw>
Field perhaps(SimRandom& random, const Draw& draw) {
  switch (random.below(8)) {
    case 0:
      return {};
    case 1:
      return {"null", {}};
    default:
      return draw();
  }
}

template <typename T, std::size_t kCount>
const T& one_of(const T (&all)[kCount], SimRandom& random) {
  return all[random.below(kCount)];
}

}  // namespace

DocumentSource::DocumentSource(SimRandom& random, Tombstones tombstones)
    : random_(random), tombstones_(tombstones) {
  std::vector<Field> all = {{"true", std::int64_t{1}}, {"0.5", 0.5}};
  for (const std::string_view text : kTexts) {
    all.push_back(text_field(text, random));
  }
  for (const std::int64_t integer : kIntegerKeys) {
    all.push_back(integer_field(integer));
  }
  for (const std::string_view digits : kLongKeys) {
    all.push_back({std::string(digits), std::string(digits)});
  }
  for (const std::string_view text : {"k0", "k1", "k2"}) {
    all.push_back(text_field(text, random));
  }
  while (keys_.size() < kKeysPerRun) {
    const auto drawn = all.begin() + static_cast<std::ptrdiff_t>(random.below(all.size()));
    keys_.push_back(std::move(*drawn));
    all.erase(drawn);
  }
}

Document DocumentSource::draw(std::int64_t number) {
  if (tombstones_ == Tombstones::kNone || random_.below(8) != 0) {
    return draw_with_value(number);
  }
  return {.number = number, .key = keys_[random_.below(keys_.size())], .is_tombstone = true};
}

Document DocumentSource::draw_with_value(std::int64_t number) {
  Document document{.number = number, .key = keys_[random_.below(keys_.size())]};
  document.amount = perhaps(random_, [&] { return integer_field(one_of(kAmounts, random_)); });
  document.size = perhaps(random_, [&] {
    const Number& drawn = one_of(kSizes, random_);
    return Field{std::string(drawn.json), drawn.value};
  });
  document.text = perhaps(random_, [&] { return text_field(one_of(kTexts, random_), random_); });
  document.json = spell(document);
  return document;
}

void DocumentSource::doubt(Document& document, std::string what, Field Document::* field,
                           Field drawn) {
  document.*field = std::move(drawn);
  document.doubt = std::move(what);
  document.doubtful = field;
  document.json = spell(document);
}

Document DocumentSource::draw_doubtful(std::int64_t number) {
  using namespace std::string_literals;
  struct Doubt {
    const char* what;
    Field Document::* field;
    Field drawn;
  };
  const Doubt doubts[] = {
      {"U+0000 in a text", &Document::text, {R"("ab\u0000cd")", "ab\0cd"s}},
      {"U+0000 in a key", &Document::key, {R"("k0\u0000")", "k0\0"s}},
      {"half of a surrogate pair", &Document::text, {R"("a\ud83dz")", kNoValue}},
      {"a byte that is not UTF-8", &Document::text, {"\"a\xffz\"", "a\xffz"s}},
      {"an integer beyond 64 bits", &Document::amount, {"18446744073709551615", kNoValue}},
      {"a number beyond doubles", &Document::amount, {"1e400", kNoValue}},
      {"a number beyond doubles", &Document::size, {"-1e400", kNoValue}},
      {"half an integer", &Document::amount, {"1.5", kNoValue}},
      {"text for a number", &Document::amount, {"\"7\"", kNoValue}},
      {"a key beyond 64 bits", &Document::key, {"18446744073709551615", "18446744073709551615"s}},
      {"a key beyond 64 bits", &Document::key, {"-9223372036854775809", "-9223372036854775809"s}},
      {"a list for a key", &Document::key, {R"(["a",{"b":[1]}])", R"(["a",{"b":[1]}])"s}},
      {"an object for a key", &Document::key, {R"({"a":"]","b":","})", R"({"a":"]","b":","})"s}},
  };
  Document document = draw_with_value(number);
  const Doubt& drawn = one_of(doubts, random_);
  doubt(document, drawn.what, drawn.field, drawn.drawn);
  if (random_.below(8) == 0) {
    document.json.pop_back();
    document.doubt = "JSON without an end";
    for (Field Document::* field :
         {&Document::key, &Document::amount, &Document::size, &Document::text}) {
      (document.*field).value = kNoValue;
    }
  }
  return document;
}

// Members in any order, with what is none of ours between them. Of two with the same name the first
// one counts.
std::string DocumentSource::spell(const Document& document) {
  std::vector<std::string> members;
  const auto add = [&](std::string_view name, const std::string& json) {
    if (!json.empty()) {
      members.push_back(fmt::format("{}{}{}{}", spell_name(name, random_),
                                    random_.below(4) == 0 ? " " : "", ":", json));
    }
  };
  add("n", fmt::format("{}", document.number));
  add("key", document.key.json);
  add("amount", document.amount.json);
  add("größe", document.size.json);
  add("text", document.text.json);
  if (random_.below(4) == 0) {
    add("other", R"({"n":-1,"amount":[5,{"key":"no"}],"größe":1e3})");
  }
  for (std::size_t left = members.size(); left > 1; --left) {
    std::swap(members[left - 1], members[random_.below(left)]);
  }
  if (random_.below(6) == 0) {
    constexpr std::string_view kNames[] = {"n", "key", "amount", "größe", "text"};
    constexpr std::string_view kSeconds[] = {"-5", "\"second\"", "null", "[\"n\",1]", "1e400"};
    const std::string_view name = one_of(kNames, random_);
    const bool is_there = (name != "amount" || !document.amount.json.empty()) &&
                          (name != "größe" || !document.size.json.empty()) &&
                          (name != "text" || !document.text.json.empty());
    if (is_there) {
      add(name, std::string(one_of(kSeconds, random_)));
    }
  }
  std::string json = "{";
  for (const std::string& member : members) {
    json += json.size() > 1 ? "," : "";
    json += member;
  }
  return json + '}';
}

}  // namespace onceflow::sim
