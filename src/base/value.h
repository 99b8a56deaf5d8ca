// Value: what an expression yields and a table's column takes: null, integer, real, text, or an
// exact number that the other two cannot hold. What each means at every step, key, aggregate and
// sink is in docs/values.md.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <variant>

namespace onceflow {

/// A number by its digits, in the canonical form of base/decimal.h: an integer beyond 64 bits, a
/// real that no double stands for, or any value of a column of decimals.
struct Decimal {
  std::string_view digits;
  friend bool operator==(const Decimal&, const Decimal&) = default;
};

/// Text and digits are views; their owner is named where a Value is handed over.
using Value = std::variant<std::monostate, std::int64_t, double, std::string_view, Decimal>;

/// Values of the types from kTimestamptz on are texts in the one form of base/typed_text.h; those
/// of kBytea are any bytes.
enum class ColumnType : std::uint8_t {
  kInteger = 1,
  kReal = 2,
  kText = 3,
  kDecimal = 4,
  kBoolean = 5,
  kTimestamptz = 6,
  kTimestamp = 7,
  kDate = 8,
  kUuid = 9,
  kJson = 10,
  kJsonb = 11,
  kBytea = 12,
};

/// As in pipeline files, in the order of ColumnType.
inline constexpr std::array<std::string_view, 12> kColumnTypeNames = {
    "integer",   "real", "text", "decimal", "boolean", "timestamptz",
    "timestamp", "date", "uuid", "json",    "jsonb",   "bytea"};

constexpr std::string_view to_string(ColumnType type) {
  return kColumnTypeNames[static_cast<std::size_t>(type) - 1];
}

inline bool is_null(const Value& value) { return std::holds_alternative<std::monostate>(value); }

}  // namespace onceflow
