#include "connectors/postgres_column.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/decimal.h"

namespace onceflow::connectors {
namespace {

/// What the server adds to each modifier, so that 0 is one, too (VARHDRSZ).
constexpr std::int32_t kModifierBase = 4;

std::unexpected<Error> not_kept(std::string_view name, const PostgresColumn& column,
                                std::string_view what, std::string_view fix) {
  return fail(ErrorCode::kRefused,
              fmt::format("column {} is {} but got {}; the rule: a column keeps values as they are "
                          "written, none is rounded or cut; the fix: {}",
                          name, column.declaration, what, fix));
}

// In NUMERIC(precision, scale); the scale may be below zero.
std::int64_t scale_of(std::int32_t modifier) {
  constexpr std::uint32_t kScaleMask = 0x7ff;
  constexpr std::int64_t kScaleSign = 0x400;
  const std::int64_t raw = static_cast<std::uint32_t>(modifier - kModifierBase) & kScaleMask;
  return (raw ^ kScaleSign) - kScaleSign;
}

Status check_numeric(std::string_view name, const PostgresColumn& column, const Value& value) {
  const auto number = column.modifier < 0 ? std::nullopt : DecimalNumber::of(value);
  if (!number || number->digits().empty() || number->exponent() >= -scale_of(column.modifier)) {
    return {};
  }
  return not_kept(name, column, fmt::format("the number {}", number->to_string()),
                  fmt::format("ALTER COLUMN {} TYPE numeric, which keeps every digit", name));
}

// The server refuses what is too long itself, but cuts what is so by spaces alone.
Status check_varchar(std::string_view name, const PostgresColumn& column, std::string_view text) {
  // Every byte but those inside a character.
  const auto length = std::ranges::count_if(
      text, [](char letter) { return (static_cast<unsigned char>(letter) & 0xc0U) != 0x80U; });
  if (column.modifier < 0 || !text.ends_with(' ') || length <= column.modifier - kModifierBase) {
    return {};
  }
  return not_kept(name, column, fmt::format("a text of {} characters", length),
                  fmt::format("ALTER COLUMN {} TYPE text", name));
}

// Of a timestamp(3), which the server would round to; no zeros end the text's fraction.
Status check_fraction(std::string_view name, const PostgresColumn& column, std::string_view text) {
  const std::size_t point = text.find('.');
  const std::size_t end = text.find_last_not_of('Z');
  if (column.modifier < 0 || point == std::string_view::npos ||
      static_cast<std::int64_t>(end - point) <= column.modifier) {
    return {};
  }
  return not_kept(
      name, column, text,
      fmt::format("ALTER COLUMN {} TYPE {}", name,
                  column.type == PostgresType::kTimestamp ? "timestamp" : "timestamptz"));
}

}  // namespace

Status check_kept(std::string_view name, const PostgresColumn& column, const Value& value) {
  if (is_null(value)) {
    return {};
  }
  Buffer unused;
  WireWriter writer(unused);
  switch (column.type) {
    case PostgresType::kInt2:
    case PostgresType::kInt4:
      return write_postgres_field(writer, column.type, value)
                 ? Status()
                 : not_kept(
                       name, column,
                       fmt::format("{}, which is out of its range", std::get<std::int64_t>(value)),
                       fmt::format("ALTER COLUMN {} TYPE bigint", name));
    case PostgresType::kFloat4:
      return write_postgres_field(writer, column.type, value)
                 ? Status()
                 : not_kept(name, column, fmt::format("{}", std::get<double>(value)),
                            fmt::format("ALTER COLUMN {} TYPE double precision", name));
    case PostgresType::kNumeric:
      return check_numeric(name, column, value);
    case PostgresType::kTimestamptz:
    case PostgresType::kTimestamp:
      return check_fraction(name, column, std::get<std::string_view>(value));
    case PostgresType::kVarchar:
      return check_varchar(name, column, std::get<std::string_view>(value));
    default:
      return {};
  }
}

}  // namespace onceflow::connectors
