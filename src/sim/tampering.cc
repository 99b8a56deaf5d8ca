#include "sim/tampering.h"

#include <fmt/format.h>

#include <iterator>

namespace onceflow::sim {

namespace {

std::string name_of(const std::string& table, const SentCommit::Row& row) {
  return fmt::format("the row of {}-{}@{} in table {}", row.source.topic,
                     row.source.partition.value, row.source_offset.value, table);
}

StoredValue altered(const StoredValue& value) {
  if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    return *integer ^ 1;
  }
  if (const auto* real = std::get_if<double>(&value)) {
    return *real == 0 ? 1.0 : -*real;
  }
  if (const auto* text = std::get_if<std::string>(&value)) {
    return *text + '?';
  }
  if (const auto* decimal = std::get_if<StoredDecimal>(&value)) {
    return StoredDecimal{decimal->digits + "1"};
  }
  return std::int64_t{0};
}

}  // namespace

Tampering tamper(SimDatabase::Image& image, SimRandom& random) {
  std::vector<std::pair<const std::string, SimDatabase::Table>*> candidates;
  for (auto& entry : image) {
    if (!entry.second.appended.empty() || !entry.second.by_key.empty()) {
      candidates.push_back(&entry);
    }
  }
  if (candidates.empty()) {
    return {};
  }
  auto& [name, table] = *candidates[random.below(candidates.size())];
  const bool is_append = !table.appended.empty();
  const std::size_t index = random.below(is_append ? table.appended.size() : table.by_key.size());
  const auto appended = table.appended.begin() + static_cast<std::ptrdiff_t>(is_append ? index : 0);
  const auto keyed =
      std::next(table.by_key.begin(), static_cast<std::ptrdiff_t>(is_append ? 0 : index));
  SentCommit::Row& row = is_append ? *appended : keyed->second;
  const std::string what = name_of(name, row);
  switch (random.below(3)) {
    case 0:
      if (is_append) {
        table.appended.erase(appended);
      } else {
        table.by_key.erase(keyed);
      }
      return {name, what + " is lost"};
    case 1:
      if (is_append) {
        table.appended.push_back(SentCommit::Row(row));
        return {name, what + " is doubled"};
      }
      [[fallthrough]];  // an upsert's key is there once
    default: {
      StoredValue& value = row.values[random.below(row.values.size())];
      value = altered(value);
      return {name, what + " is altered"};
    }
  }
}

}  // namespace onceflow::sim
