// Value: what an expression yields and a table's column takes: null, integer, real or text.
#pragma once

#include <cstdint>
#include <string_view>
#include <variant>

namespace onceflow {

/// Text is a view; its owner is named where a Value is handed over.
using Value = std::variant<std::monostate, std::int64_t, double, std::string_view>;

enum class ColumnType : std::uint8_t { kInteger = 1, kReal = 2, kText = 3 };

inline bool is_null(const Value& value) { return std::holds_alternative<std::monostate>(value); }

}  // namespace onceflow
