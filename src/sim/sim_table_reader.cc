#include "sim/sim_table_reader.h"

#include <fmt/format.h>

#include "protocol/position_topics.h"

namespace onceflow::sim {

namespace {

Value view_of(const StoredValue& value) {
  if (const auto* decimal = std::get_if<StoredDecimal>(&value)) {
    return Decimal{decimal->digits};
  }
  if (const auto* text = std::get_if<std::string>(&value)) {
    return std::string_view(*text);
  }
  if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    return *integer;
  }
  const auto* real = std::get_if<double>(&value);
  return real != nullptr ? Value(*real) : Value();
}

Status show(const SentCommit::Row& row, const audit::TableReader::VisitRow& visit) {
  const std::string source = fmt::format("{}/{}/{}", row.source.topic, row.source.partition.value,
                                         row.source_offset.value);
  std::vector<Value> values;
  values.reserve(row.values.size());
  for (const StoredValue& value : row.values) {
    values.push_back(view_of(value));
  }
  return visit({.source = source, .values = values});
}

}  // namespace

Result<bool> SimTableReader::begin_snapshot() {
  const auto place = image_.find(subject_.table);
  table_ = place == image_.end() ? std::nullopt : std::optional(place->second);
  return table_.has_value();
}

Result<std::vector<audit::StoredPosition>> SimTableReader::positions(const std::string&,
                                                                     const std::string&) {
  std::vector<audit::StoredPosition> positions;
  positions.reserve(table_->positions.size());
  for (const auto& [source, position] : table_->positions) {
    positions.push_back({source, position.next_offset,
                         protocol::parse_position_topics(position.topic_id).receipts_id});
  }
  return positions;
}

Status SimTableReader::for_each_receipt(const std::string&, const std::string&,
                                        const VisitReceipt& visit) {
  std::int64_t receipt_id = 0;
  for (const std::string& receipt : table_->receipts) {
    RETURN_IF_ERROR(visit(++receipt_id, as_bytes(receipt)));
  }
  return {};
}

Status SimTableReader::for_each_row(const VisitRow& visit) {
  for (const SentCommit::Row& row : table_->appended) {
    RETURN_IF_ERROR(show(row, visit));
  }
  for (const auto& [key, row] : table_->by_key) {
    RETURN_IF_ERROR(show(row, visit));
  }
  return {};
}

}  // namespace onceflow::sim
