#include "connectors/postgres_column.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "base/decimal.h"
#include "connectors/postgres_table.h"

namespace onceflow::connectors {
namespace {

/// What the server adds to each modifier, so that 0 is one, too (VARHDRSZ).
constexpr std::int32_t kModifierBase = 4;

/// A column of the sink's table.
struct Written {
  const SinkTable& table;
  std::string_view name;
  const PostgresColumn& column;
};

std::unexpected<Error> not_kept(const Written& written, std::string_view what,
                                std::string_view type) {
  return fail(ErrorCode::kRefused,
              fmt::format("column {} is {} but got {}; the rule: a column keeps values as they are "
                          "written, none is rounded or cut; the fix: {} TYPE {}",
                          written.name, written.column.declaration, what,
                          postgres_alter_column(written.table, written.name), type));
}

// In NUMERIC(precision, scale); the scale may be below zero.
std::int64_t scale_of(std::int32_t modifier) {
  constexpr std::uint32_t kScaleMask = 0x7ff;
  constexpr std::int64_t kScaleSign = 0x400;
  const std::int64_t raw = static_cast<std::uint32_t>(modifier - kModifierBase) & kScaleMask;
  return (raw ^ kScaleSign) - kScaleSign;
}

Status check_numeric(const Written& written, const Value& value) {
  const PostgresColumn& column = written.column;
  const auto number = column.modifier < 0 ? std::nullopt : DecimalNumber::of(value);
  if (!number || number->digits().empty() || number->exponent() >= -scale_of(column.modifier)) {
    return {};
  }
  return not_kept(written, fmt::format("the number {}", number->to_string()),
                  "numeric, which keeps every digit");
}

// The server would cut what is too long by spaces alone.
Status check_varchar(const Written& written, std::string_view text) {
  const std::int32_t modifier = written.column.modifier;
  if (modifier < 0 || std::ssize(text) <= modifier - kModifierBase) {
    return {};
  }
  // Every byte but those inside a character.
  const auto length = std::ranges::count_if(
      text, [](char letter) { return (static_cast<unsigned char>(letter) & 0xc0U) != 0x80U; });
  return length <= modifier - kModifierBase
             ? Status()
             : not_kept(written, fmt::format("a text of {} characters", length), "text");
}

// Of a timestamp(3), which the server would round to; no zeros end the text's fraction.
Status check_fraction(const Written& written, std::string_view text) {
  const PostgresColumn& column = written.column;
  const std::size_t point = text.find('.');
  const std::size_t end = text.find_last_not_of('Z');
  if (column.modifier < 0 || point == std::string_view::npos ||
      static_cast<std::int64_t>(end - point) <= column.modifier) {
    return {};
  }
  return not_kept(written, text,
                  column.type == PostgresType::kTimestamp ? "timestamp" : "timestamptz");
}

}  // namespace

Status check_kept(const SinkTable& table, std::string_view name, const PostgresColumn& column,
                  const Value& value) {
  if (is_null(value)) {
    return {};
  }
  const Written written{table, name, column};
  Buffer unused;
  WireWriter writer(unused);
  switch (column.type) {
    case PostgresType::kInt2:
    case PostgresType::kInt4:
      return write_postgres_field(writer, column.type, value)
                 ? Status()
                 : not_kept(
                       written,
                       fmt::format("{}, which is out of its range", std::get<std::int64_t>(value)),
                       "bigint");
    case PostgresType::kFloat4:
      return write_postgres_field(writer, column.type, value)
                 ? Status()
                 : not_kept(written, fmt::format("{}", std::get<double>(value)),
                            "double precision");
    case PostgresType::kNumeric:
      return check_numeric(written, value);
    case PostgresType::kTimestamptz:
    case PostgresType::kTimestamp:
      return check_fraction(written, std::get<std::string_view>(value));
    case PostgresType::kVarchar:
      return check_varchar(written, std::get<std::string_view>(value));
    default:
      return {};
  }
}

}  // namespace onceflow::connectors
