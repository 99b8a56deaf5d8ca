// JSON text, written: strings with their escapes, and numbers that read back as they were.
#pragma once

#include <string>
#include <string_view>

#include "base/value.h"

namespace onceflow {

/// Appends `text` in quotes. Bytes that are not UTF-8 go through as they are.
void append_json_string(std::string& json, std::string_view text);

/// Null, an integer, a real (always with a point or an exponent, in the shortest digits that read
/// back as the same double), a decimal by all its digits, or a string.
void append_json_value(std::string& json, const Value& value);

}  // namespace onceflow
