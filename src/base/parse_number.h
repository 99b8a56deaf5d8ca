// A number written by a person or another program, taken whole or not at all.
#pragma once

#include <charconv>
#include <concepts>
#include <optional>
#include <string_view>

namespace onceflow {

/// Decimal digits, with a sign before them where the type has one. nullopt: there is anything else,
/// nothing at all, or more than the type holds.
template <std::integral Integer>
std::optional<Integer> parse_number(std::string_view text) {
  Integer number = 0;
  const char* const past = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), past, number);
  return error == std::errc() && end == past ? std::optional(number) : std::nullopt;
}

}  // namespace onceflow
