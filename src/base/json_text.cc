#include "base/json_text.h"

#include <fmt/format.h>

namespace onceflow {

void append_json_string(std::string& json, std::string_view text) {
  json += '"';
  for (const char letter : text) {
    if (letter == '"' || letter == '\\') {
      json += '\\';
      json += letter;
    } else if (static_cast<unsigned char>(letter) < 0x20) {
      fmt::format_to(std::back_inserter(json), "\\u{:04x}", static_cast<unsigned>(letter));
    } else {
      json += letter;
    }
  }
  json += '"';
}

void append_json_value(std::string& json, const Value& value) {
  if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    fmt::format_to(std::back_inserter(json), "{}", *integer);
  } else if (const auto* real = std::get_if<double>(&value)) {
    const std::size_t start = json.size();
    fmt::format_to(std::back_inserter(json), "{}", *real);
    if (json.find_first_of(".en", start) == std::string::npos) {
      json += ".0";
    }
  } else if (const auto* text = std::get_if<std::string_view>(&value)) {
    append_json_string(json, *text);
  } else if (const auto* decimal = std::get_if<Decimal>(&value)) {
    json += decimal->digits;
  } else {
    json += "null";
  }
}

}  // namespace onceflow
