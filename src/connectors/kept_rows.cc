#include "connectors/kept_rows.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "connectors/positions.h"
#include "protocol/kept_stage.h"

namespace onceflow::connectors {
namespace {

constexpr std::int64_t kRowsOfReceipt = 10'000;

}  // namespace

void KeptRows::add_receipt(const protocol::Receipt& receipt) {
  const bool is_list = protocol::is_kept_stage(receipt.stage);
  for (const protocol::Receipt::Row& row : receipt.rows) {
    if (row.is_delete || row.input_index >= receipt.inputs.size()) {
      continue;
    }
    const TopicPartition& source = receipt.inputs[row.input_index].source;
    const std::uint32_t number =
        numbers_.try_emplace(source, static_cast<std::uint32_t>(numbers_.size())).first->second;
    known_.push_back({.partition_number = number,
                      .offset = row.source_offset,
                      .row_hash = row.row_hash,
                      .key_hash = row.key_hash,
                      .definition = receipt.definition,
                      .is_listed = is_list});
  }
}

Status KeptRows::add_row(const std::string& source) {
  if (source != pending_) {
    RETURN_IF_ERROR(list_pending());
    pending_ = source;
  }
  ++pending_count_;
  return {};
}

Status KeptRows::finish() {
  RETURN_IF_ERROR(list_pending());
  if (pages_.empty() && !is_written_) {
    pages_.try_emplace(0);
  }
  for (auto& [definition, page] : pages_) {
    if (page.row_count > 0 || !is_written_) {
      RETURN_IF_ERROR(write(page, definition));
    }
  }
  return {};
}

// One commit writes a record's row once; each list of a reset speaks of a row of its own.
void KeptRows::sort() {
  if (std::exchange(is_sorted_, true)) {
    return;
  }
  const auto all = [](const Known& row) {
    return std::tuple(row.partition_number, row.offset, row.row_hash, row.key_hash, row.definition,
                      row.is_listed);
  };
  std::ranges::sort(known_, {}, all);
  const auto rest = std::ranges::unique(known_, [&](const Known& one, const Known& other) {
    return !one.is_listed && all(one) == all(other);
  });
  known_.erase(rest.begin(), rest.end());
}

std::span<const KeptRows::Known> KeptRows::known_of(const TopicPartition& source,
                                                    Offset offset) const {
  const auto number = numbers_.find(source);
  if (number == numbers_.end()) {
    return {};
  }
  const auto found = std::ranges::equal_range(
      known_, std::pair(number->second, offset), {},
      [](const Known& row) { return std::pair(row.partition_number, row.offset); });
  return {found.begin(), found.end()};
}

// Where fewer rows are there than receipts speak of, nothing says which of them are gone.
Status KeptRows::list_pending() {
  sort();
  const std::size_t row_count = std::exchange(pending_count_, 0);
  const auto source = parse_source(pending_);
  if (!source) {
    for (std::size_t row = 0; row < row_count; ++row) {
      RETURN_IF_ERROR(count(pages_[0], 0));
    }
    return {};
  }
  const std::span<const Known> known = known_of(source->first, source->second);
  const auto is_as_first = [&](const Known& row) {
    return std::tie(row.row_hash, row.key_hash, row.definition) ==
           std::tie(known.front().row_hash, known.front().key_hash, known.front().definition);
  };
  const bool is_said = row_count >= known.size() || std::ranges::all_of(known, is_as_first);
  for (std::size_t row = 0; row < row_count; ++row) {
    const Known what = is_said && row < known.size() ? known[row] : Known{};
    RETURN_IF_ERROR(add(
        what.definition, source->first,
        {.source_offset = source->second, .row_hash = what.row_hash, .key_hash = what.key_hash}));
  }
  return {};
}

Status KeptRows::add(std::uint64_t definition, const TopicPartition& source,
                     const protocol::Receipt::Row& row) {
  Page& page = pages_[definition];
  page.rows[source].push_back(row);
  return count(page, definition);
}

Status KeptRows::count(Page& page, std::uint64_t definition) {
  return ++page.row_count < kRowsOfReceipt ? Status{} : write(page, definition);
}

Status KeptRows::write(Page& page, std::uint64_t definition) {
  protocol::Receipt receipt{.pipeline = table_.pipeline,
                            .stage = protocol::kept_stage(table_.stage),
                            .worker = "onceflow reset",
                            .committed_at_ms = now_ms_,
                            .definition = definition};
  for (auto& [source, rows] : page.rows) {
    const Offset first =
        std::ranges::min_element(rows, {}, &protocol::Receipt::Row::source_offset)->source_offset;
    for (protocol::Receipt::Row& row : rows) {
      row.input_index = static_cast<std::uint32_t>(receipt.inputs.size());
      receipt.rows.push_back(row);
    }
    receipt.inputs.push_back({.source = source, .from_offset = first, .next_offset = first});
  }
  receipt.outputs.push_back({.name = table_.table, .record_count = page.row_count});
  page = {};
  is_written_ = true;
  return write_(receipt);
}

}  // namespace onceflow::connectors
