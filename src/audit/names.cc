#include "audit/names.h"

#include <fmt/format.h>

namespace onceflow::audit {
namespace {

constexpr std::size_t kShownTextBytes = 40;

std::string quote(std::string_view text) {
  return fmt::format("'{}{}'", text.substr(0, kShownTextBytes),
                     text.size() > kShownTextBytes ? "…" : "");
}

std::string name_value(const Value& value) {
  if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    return fmt::format("{}", *integer);
  }
  if (const auto* real = std::get_if<double>(&value)) {
    return fmt::format("{}", *real);
  }
  if (const auto* text = std::get_if<std::string_view>(&value)) {
    return quote(*text);
  }
  if (const auto* decimal = std::get_if<Decimal>(&value)) {
    return std::string(decimal->digits);
  }
  return "null";
}

}  // namespace

std::string name_of(const TopicPartition& partition) {
  return fmt::format("{}-{}", partition.topic, partition.partition.value);
}

std::string name_offsets(Offset from, Offset next) {
  return next - from == 1 ? fmt::format("offset {}", from.value)
                          : fmt::format("offsets {}..{}", from.value, next.value - 1);
}

std::string count_of(std::int64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

std::string name_key(const std::optional<ByteView>& key) {
  return key ? "key " + quote(as_text(*key)) : "no key";
}

std::string name_columns(std::span<const ColumnSubject> columns, std::span<const Value> values) {
  std::string text;
  for (std::size_t index = 0; index < columns.size() && index < values.size(); ++index) {
    text += fmt::format("{}{}={}", index == 0 ? "" : ", ", columns[index].name,
                        name_value(values[index]));
  }
  return text;
}

FindingKind kind_of_odd(const Error& error) {
  return error.code == ErrorCode::kUnsupported ? FindingKind::kForeign : FindingKind::kAltered;
}

}  // namespace onceflow::audit
