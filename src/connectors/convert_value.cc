#include "connectors/convert_value.h"

#include <fmt/format.h>

#include <cmath>

#include "base/json_text.h"

namespace onceflow::connectors {

std::string describe(const Value& value) {
  if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    return fmt::format("the integer {}", *integer);
  }
  if (const auto* real = std::get_if<double>(&value)) {
    std::string digits;
    append_json_value(digits, *real);
    return fmt::format("the real {}", digits);
  }
  if (const auto* decimal = std::get_if<Decimal>(&value)) {
    return fmt::format("the number {}", decimal->digits);
  }
  const std::string_view text = std::get<std::string_view>(value);
  constexpr std::size_t kShownBytes = 40;
  return fmt::format("the text '{}{}'", text.substr(0, kShownBytes),
                     text.size() > kShownBytes ? "…" : "");
}

std::string_view to_string(SinkMode mode) {
  return mode == SinkMode::kAppend ? "append" : "upsert";
}

Result<Value> convert_value(std::string_view column, ColumnType type, const Value& value) {
  if (is_null(value)) {
    return value;
  }
  const auto* integer = std::get_if<std::int64_t>(&value);
  const auto* real = std::get_if<double>(&value);
  switch (type) {
    case ColumnType::kInteger:
      if (integer != nullptr) {
        return value;
      }
      break;
    case ColumnType::kReal:
      if (real != nullptr) {
        return std::isnan(*real) ? Value() : value;
      }
      // Beyond 2^53 the conversion may round, and a rounded value is an altered one.
      if (integer != nullptr && std::abs(*integer) <= (std::int64_t{1} << 53)) {
        return static_cast<double>(*integer);
      }
      break;
    case ColumnType::kDecimal:
      // Whoever computes the columns writes integers and reals as decimals before (canonical text).
      if (std::holds_alternative<Decimal>(value)) {
        return value;
      }
      break;
    case ColumnType::kText:
    case ColumnType::kTimestamptz:
    case ColumnType::kTimestamp:
    case ColumnType::kDate:
    case ColumnType::kUuid:
    case ColumnType::kJson:
    case ColumnType::kJsonb:
    case ColumnType::kBytea:
      // Whoever computes the columns has brought texts into their one form (base/typed_text.h).
      if (std::holds_alternative<std::string_view>(value)) {
        return value;
      }
      break;
    case ColumnType::kBoolean:
      if (integer != nullptr && (*integer == 0 || *integer == 1)) {
        return value;
      }
      break;
  }
  return fail(ErrorCode::kRefused,
              fmt::format("column {} is {} but got {}", column, to_string(type), describe(value)));
}

}  // namespace onceflow::connectors
