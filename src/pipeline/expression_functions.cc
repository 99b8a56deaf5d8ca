#include "pipeline/expression_functions.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <cmath>

#include "base/bytes.h"
#include "base/decimal.h"
#include "base/json_text.h"
#include "base/utf8.h"
#include "pipeline/expression_arguments.h"
#include "pipeline/expression_json.h"
#include "pipeline/expression_numbers.h"
#include "pipeline/expression_text.h"
#include "pipeline/expression_times.h"

namespace onceflow::pipeline {

const JsonDocument* EvaluationContext::read_document() {
  if (!is_read) {
    problem_of_document = document.parse(as_text(*record->value));
    is_read = true;
  }
  if (problem_of_document) {
    problem = malformed(*problem_of_document);
    return nullptr;
  }
  return &document;
}

bool register_all(sqlite3* database, EvaluationContext& context,
                  std::span<const SqlFunction> functions) {
  return std::ranges::all_of(functions, [&](const SqlFunction& function) {
    return sqlite3_create_function_v2(database, function.name, function.argument_count, SQLITE_UTF8,
                                      &context, function.call, nullptr, nullptr,
                                      nullptr) == SQLITE_OK;
  });
}

EvaluationContext& context_of(sqlite3_context* call) {
  return *static_cast<EvaluationContext*>(sqlite3_user_data(call));
}

void refuse(sqlite3_context* call, RecordProblem problem) {
  sqlite3_result_error(call, problem.what.c_str(), static_cast<int>(problem.what.size()));
  context_of(call).problem = std::move(problem);
}

std::string_view text_of(sqlite3_value* value) {
  const auto* text = reinterpret_cast<const char*>(sqlite3_value_text(value));
  return text == nullptr
             ? std::string_view()
             : std::string_view(text, static_cast<std::size_t>(sqlite3_value_bytes(value)));
}

Value value_of(sqlite3_value* value) {
  switch (sqlite3_value_type(value)) {
    case SQLITE_INTEGER:
      return static_cast<std::int64_t>(sqlite3_value_int64(value));
    case SQLITE_FLOAT:
      return sqlite3_value_double(value);
    case SQLITE_TEXT:
      if (sqlite3_value_subtype(value) == kDigitsMark) {
        return Decimal{text_of(value)};
      }
      return text_of(value);
    default:
      return std::monostate{};
  }
}

void return_value(sqlite3_context* call, const Value& value, bool is_json) {
  const auto return_text = [&](std::string_view text) {
    sqlite3_result_text64(call, text.empty() ? "" : text.data(), text.size(), SQLITE_TRANSIENT,
                          SQLITE_UTF8);
  };
  if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    sqlite3_result_int64(call, *integer);
  } else if (const auto* real = std::get_if<double>(&value)) {
    sqlite3_result_double(call, *real);
  } else if (const auto* text = std::get_if<std::string_view>(&value)) {
    return_text(*text);
    if (is_json) {
      sqlite3_result_subtype(call, kJsonMark);
    }
  } else if (const auto* decimal = std::get_if<Decimal>(&value)) {
    return_text(decimal->digits);
    sqlite3_result_subtype(call, kDigitsMark);
  } else {
    sqlite3_result_null(call);
  }
}

bool append_json(sqlite3_context* call, std::string& json, sqlite3_value* value) {
  if (sqlite3_value_type(value) == SQLITE_BLOB) {
    refuse(call, {"a blob, which JSON cannot hold", "JSON holds text, numbers, lists and objects",
                  "use hex() or cast(… as text)"});
    return false;
  }
  const Value plain = value_of(value);
  if (const auto* real = std::get_if<double>(&plain); real != nullptr && !std::isfinite(*real)) {
    refuse(call, {"a field would be infinite", "JSON has no infinity",
                  "keep such records out by a step before this one, or bound the value with "
                  "min(…, 1e308)"});
    return false;
  }
  if (const auto* text = std::get_if<std::string_view>(&plain)) {
    if (!is_utf8(*text)) {
      refuse(call, {"a text is not UTF-8", "JSON is UTF-8",
                    "mend the producer, or take the bytes in digits with hex(…)"});
      return false;
    }
    if (sqlite3_value_subtype(value) == kJsonMark) {
      append_minified(json, *text);
      return true;
    }
  }
  append_json_value(json, plain);
  return true;
}

const JsonPath* path_argument(sqlite3_context* call, sqlite3_value* value) {
  constexpr std::size_t kPathsMax = 256;  // those of a file; records may bring others
  auto& paths = context_of(call).paths;
  const std::string_view text = text_of(value);
  if (const auto found = paths.find(text); found != paths.end()) {
    return &found->second;
  }
  auto path = parse_json_path(text);
  if (!path) {
    refuse(call, {fmt::format("`{}` is not a path", text),
                  "a path is $, $.name, $.a.b, $.list[0] or $.\"odd name\"", "mend the path"});
    return nullptr;
  }
  if (paths.size() == kPathsMax) {
    paths.clear();
  }
  return &paths.emplace(text, std::move(*path)).first->second;
}

RecordProblem beyond_computing(std::string_view name, std::string_view digits) {
  return {fmt::format("{} is {}, which neither 64 bits nor a double hold", name, digits),
          "such a number is compared, and kept by its digits in keys, columns, aggregates and "
          "fields that are set; nothing is computed with it",
          "take its digits as text with cast(… as text), or round it with cast(… as "
          "real)"};
}

namespace {

// ---------------------------------------------------------------------------------------------
// fields of the record

// Null for a record without a value, and after a refusal.
const JsonDocument* document_of(sqlite3_context* call) {
  EvaluationContext& context = context_of(call);
  if (!context.record->value) {
    sqlite3_result_null(call);
    return nullptr;
  }
  const JsonDocument* document = context.read_document();
  if (document == nullptr) {
    refuse(call, *context.problem);
  }
  return document;
}

void return_field(sqlite3_context* call, sqlite3_value* path_text, bool by_digits) {
  const JsonDocument* document = document_of(call);
  const JsonPath* path = document == nullptr ? nullptr : path_argument(call, path_text);
  if (path == nullptr) {
    return;
  }
  std::string storage;
  auto field = read_field(*document, *path, text_of(path_text), storage);
  if (!field) {
    refuse(call, std::move(field).error());
  } else if (const auto* decimal = std::get_if<Decimal>(&field->value);
             decimal != nullptr && !by_digits) {
    refuse(call, beyond_computing(text_of(path_text), decimal->digits));
  } else {
    return_value(call, field->value, field->is_json);
  }
}

void field_function(sqlite3_context* call, int, sqlite3_value** arguments) {
  return_field(call, arguments[0], false);
}

void digits_function(sqlite3_context* call, int, sqlite3_value** arguments) {
  return_field(call, arguments[0], true);
}

void has_function(sqlite3_context* call, int, sqlite3_value** arguments) {
  const JsonDocument* document = document_of(call);
  const JsonPath* path = document == nullptr ? nullptr : path_argument(call, arguments[0]);
  if (path != nullptr && has_field(*document, *path)) {
    sqlite3_result_int(call, 1);
  }
}

void json_function(sqlite3_context* call, int, sqlite3_value** arguments) {
  std::string json;
  if (append_json(call, json, arguments[0])) {
    return_value(call, std::string_view(json));
  }
}

// ---------------------------------------------------------------------------------------------
// text

struct Character {
  std::uint32_t code_point = 0;
  std::size_t byte_count = 0;
};

// The first one of a text that is UTF-8 and not empty.
Character first_character(std::string_view text) {
  const auto byte_at = [&](std::size_t index) {
    return static_cast<std::uint32_t>(static_cast<unsigned char>(text[index]));
  };
  const std::uint32_t lead = byte_at(0);
  Character character{.code_point = lead, .byte_count = 1};
  if (lead >= 0xc0) {
    const std::size_t byte_count = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    character.code_point = lead & (0x7fU >> byte_count);
    for (; character.byte_count < std::min(byte_count, text.size()); ++character.byte_count) {
      character.code_point = character.code_point << 6 | (byte_at(character.byte_count) & 0x3f);
    }
  }
  return character;
}

// SQLite's reader of characters, which `like` and `glob` match by, takes U+FFFE and U+FFFF for
// U+FFFD. With all from U+FFFE on two places further the same texts match the same patterns: it
// reads those as they are, to the last, and their order, which `glob` asks for, is the same.
std::string with_room_for_noncharacters(std::string_view text) {
  constexpr std::uint32_t kFirstMoved = 0xfffe;
  std::string moved;
  while (!text.empty()) {
    const Character character = first_character(text);
    if (character.code_point < kFirstMoved) {
      moved += text.substr(0, character.byte_count);
    } else {
      const std::uint32_t code_point = character.code_point + 2;
      for (const std::uint32_t bits :
           {0xf0U | code_point >> 18, 0x80U | (code_point >> 12 & 0x3f),
            0x80U | (code_point >> 6 & 0x3f), 0x80U | (code_point & 0x3f)}) {
        moved += static_cast<char>(bits);
      }
    }
    text.remove_prefix(character.byte_count);
  }
  return moved;
}

void whole_function(sqlite3_context* call, int, sqlite3_value** arguments) {
  const std::string_view user = text_of(arguments[1]);
  if (sqlite3_value_type(arguments[0]) == SQLITE_TEXT) {
    const std::string_view text = text_of(arguments[0]);
    if (text.contains('\0')) {
      refuse(call, {fmt::format("a text with U+0000 comes to {}", user),
                    fmt::format("{} would end it there", user),
                    "take U+0000 out with replace(…, char(0), ''), or " +
                        step_before("coalesce(instr(…, char(0)), 0) = 0")});
      return;
    }
    if (!is_utf8(text)) {
      refuse(call, {fmt::format("a text that is not UTF-8 comes to {}", user),
                    fmt::format("{} reads characters", user),
                    "mend the producer, or take the bytes in digits with hex(…)"});
      return;
    }
    if (matches_characters(user) && may_have_noncharacters(text)) {
      return_value(call, std::string_view(with_room_for_noncharacters(text)));
      return;
    }
  }
  sqlite3_result_value(call, arguments[0]);
}

// SQLite's own takes U+FFFE and U+FFFF for U+FFFD.
void unicode_function(sqlite3_context* call, int, sqlite3_value** arguments) {
  const std::string_view text = text_of(arguments[0]);
  if (!text.empty()) {
    sqlite3_result_int64(call, first_character(text).code_point);
  }
}

// SQLite reads a text in the place of a condition as the number that it begins with, else as 0.
void truth_function(sqlite3_context* call, int, sqlite3_value** arguments) {
  if (sqlite3_value_type(arguments[0]) == SQLITE_TEXT) {
    constexpr std::size_t kShownMax = 40;
    const std::string_view text = text_of(arguments[0]);
    refuse(call, {fmt::format("the text '{}' stands where true or false belongs",
                              text.substr(0, std::min(text.size(), kShownMax))),
                  "a condition is true, false or null, and a number is true unless it is 0; a text "
                  "is neither",
                  "compare it: … = 'true'"});
    return;
  }
  sqlite3_result_value(call, arguments[0]);
}

// A text that a date function would read as a wish for the machine's clock or time zone.
void time_function(sqlite3_context* call, int count, sqlite3_value** arguments) {
  const std::string_view text = text_of(arguments[0]);
  if (sqlite3_value_type(arguments[0]) == SQLITE_TEXT && asks_for_time_zone(text)) {
    refuse(call, {fmt::format("the text '{}' comes to {}", text, text_of(arguments[1])),
                  "an expression must yield the same on every machine, so there is no time zone",
                  "keep such records out by a step before this one"});
    return;
  }
  whole_function(call, count, arguments);
}

// The time itself: null where the text is none.
void moment_function(sqlite3_context* call, int count, sqlite3_value** arguments) {
  const bool is_text = sqlite3_value_type(arguments[0]) == SQLITE_TEXT;
  const std::string_view text = is_text ? text_of(arguments[0]) : std::string_view();
  // What is refused as a text is refused here, too.
  if (!is_text || text.contains('\0') || !is_utf8(text) || asks_for_time_zone(text) ||
      may_be_time(text, sqlite3_value_int(arguments[2]) != 0)) {
    time_function(call, count, arguments);
  }
}

void text_function(sqlite3_context* call, int, sqlite3_value** arguments) {
  const Value value = value_of(arguments[0]);
  if (const auto* real = std::get_if<double>(&value); real != nullptr && std::isfinite(*real)) {
    std::string text;
    append_json_value(text, value);
    return_value(call, std::string_view(text));
  } else if (sqlite3_value_type(arguments[0]) == SQLITE_TEXT) {
    return_value(call, text_of(arguments[0]));  // without a mark
  } else {
    sqlite3_result_value(call, arguments[0]);
  }
}

// SQLite's own takes a pattern that begins with U+0000 for an empty one.
void replace_function(sqlite3_context* call, int, sqlite3_value** arguments) {
  for (int index = 0; index < 3; ++index) {
    if (sqlite3_value_type(arguments[index]) == SQLITE_NULL) {
      return;
    }
  }
  const std::string_view text = text_of(arguments[0]);
  const std::string_view pattern = text_of(arguments[1]);
  const std::string_view replacement = text_of(arguments[2]);
  std::string replaced;
  std::size_t kept = 0;
  for (std::size_t place = pattern.empty() ? std::string_view::npos : text.find(pattern);
       place != std::string_view::npos; place = text.find(pattern, kept)) {
    replaced += text.substr(kept, place - kept);
    replaced += replacement;
    kept = place + pattern.size();
  }
  replaced += text.substr(kept);
  return_value(call, std::string_view(replaced));
}

// ---------------------------------------------------------------------------------------------
// and, or: CASE 0 WHEN first(slot, a) THEN 0 WHEN next(slot, b) THEN 0 ELSE last(slot, 1) END

void note_operand(sqlite3_context* call, sqlite3_value** arguments, bool is_first) {
  std::vector<bool>& saw_null = context_of(call).saw_null;
  const auto slot = static_cast<std::size_t>(sqlite3_value_int(arguments[0]));
  if (slot >= saw_null.size()) {
    saw_null.resize(slot + 1);
  }
  const bool is_null_now = sqlite3_value_type(arguments[1]) == SQLITE_NULL;
  saw_null[slot] = (!is_first && saw_null[slot]) || is_null_now;
  if (is_null_now) {
    return;
  }
  const bool is_true = sqlite3_value_type(arguments[1]) == SQLITE_INTEGER
                           ? sqlite3_value_int64(arguments[1]) != 0
                           : sqlite3_value_double(arguments[1]) != 0;
  sqlite3_result_int(call, is_true ? 1 : 0);
}

void first_function(sqlite3_context* call, int, sqlite3_value** arguments) {
  note_operand(call, arguments, true);
}

void next_function(sqlite3_context* call, int, sqlite3_value** arguments) {
  note_operand(call, arguments, false);
}

void last_function(sqlite3_context* call, int, sqlite3_value** arguments) {
  const auto slot = static_cast<std::size_t>(sqlite3_value_int(arguments[0]));
  if (!context_of(call).saw_null[slot]) {
    sqlite3_result_value(call, arguments[1]);
  }
}

}  // namespace

bool register_functions(sqlite3* database, EvaluationContext& context) {
  static constexpr SqlFunction kFunctions[] = {
      {"onceflow_field", 1, field_function}, {"onceflow_digits", 1, digits_function},
      {"onceflow_has", 1, has_function},     {"onceflow_json", 1, json_function},
      {"onceflow_text", 1, text_function},   {"onceflow_truth", 1, truth_function},
      {"onceflow_whole", 2, whole_function}, {"onceflow_time", 2, time_function},
      {"onceflow_first", 2, first_function}, {"onceflow_next", 2, next_function},
      {"onceflow_last", 2, last_function},   {"onceflow_moment", 3, moment_function},
      {"replace", 3, replace_function},      {"unicode", 1, unicode_function},
  };
  return register_all(database, context, kFunctions) &&
         register_number_functions(database, context) && register_json_functions(database, context);
}

}  // namespace onceflow::pipeline
