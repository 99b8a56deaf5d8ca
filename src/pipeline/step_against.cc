#include "pipeline/step_against.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/json_text.h"
#include "base/utf8.h"
#include "pipeline/expression_text.h"
#include "pipeline/record_problem.h"

namespace onceflow::pipeline {
namespace {

bool is_plain(std::string_view text) {
  constexpr std::size_t kShownMax = 60;
  return text.size() <= kShownMax && find_invalid_utf8(text) == std::string_view::npos &&
         std::ranges::all_of(text,
                             [](char letter) { return static_cast<unsigned char>(letter) >= ' '; });
}

std::string hexadecimal(std::string_view bytes) {
  std::string digits;
  for (const char byte : bytes) {
    digits += fmt::format("{:02X}", static_cast<unsigned char>(byte));
  }
  return digits;
}

// True of every record but those with this value.
std::string condition_against(std::string_view expression, const Value& value) {
  if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    return fmt::format("{} is not {}", expression, *integer);
  }
  if (!std::holds_alternative<std::string_view>(value)) {
    std::string digits;
    append_json_value(digits, value);
    return fmt::format("cast({} as text) is not '{}'", expression, digits);
  }
  const auto text = std::get<std::string_view>(value);
  constexpr std::size_t kDigitsMax = 200;
  return is_plain(text) ? fmt::format("{} is not {}", expression, sql_literal(text))
         : text.size() <= kDigitsMax
             ? fmt::format("hex({}) is not '{}'", expression, hexadecimal(text))
             : fmt::format("length(hex({})) is not {}", expression, 2 * text.size());
}

}  // namespace

std::string step_against(std::string_view expression, const Value& value) {
  return step_before(condition_against(expression, value));
}

}  // namespace onceflow::pipeline
