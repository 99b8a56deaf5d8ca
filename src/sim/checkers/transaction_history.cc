#include "sim/checkers/transaction_history.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <numeric>
#include <optional>

namespace onceflow::sim {

namespace {

using Outcome = HistoricTransaction::Outcome;

// A transactional record is "t<transaction>:<partition>:<index>", a plain one "p<number>".
struct ParsedValue {
  std::int64_t number = -1;
  std::size_t partition = 0;
  int index = -1;
};

std::optional<ParsedValue> parse_transactional(std::string_view value) {
  ParsedValue parsed;
  const char* const end = value.data() + value.size();
  const auto number = std::from_chars(value.data() + 1, end, parsed.number);
  if (number.ptr == end || *number.ptr != ':') {
    return std::nullopt;
  }
  const auto partition = std::from_chars(number.ptr + 1, end, parsed.partition);
  if (partition.ptr == end || *partition.ptr != ':') {
    return std::nullopt;
  }
  const auto index = std::from_chars(partition.ptr + 1, end, parsed.index);
  return index.ptr == end ? std::optional(parsed) : std::nullopt;
}

std::string name_of(const HistoricTransaction& transaction) {
  constexpr const char* kOutcomes[] = {"open", "committing", "committed", "aborted"};
  return fmt::format("transaction {} of '{}' ({})", transaction.number,
                     transaction.transactional_id,
                     kOutcomes[static_cast<std::size_t>(transaction.outcome)]);
}

}  // namespace

TransactionHistory::TransactionHistory(std::size_t partition_count, std::size_t input_count,
                                       Findings& findings)
    : input_count_(input_count), findings_(findings), logs_(partition_count) {}

HistoricTransaction& TransactionHistory::begin(std::string transactional_id,
                                               std::vector<int> record_counts,
                                               std::vector<bool> moves_offset) {
  auto transaction = std::make_unique<HistoricTransaction>();
  transaction->number = next_number();
  transaction->transactional_id = std::move(transactional_id);
  transaction->record_counts = std::move(record_counts);
  transaction->moves_offset = std::move(moves_offset);
  transaction->committed_seen.resize(logs_.size());
  return *transactions_.emplace_back(std::move(transaction));
}

void TransactionHistory::ask_commit(HistoricTransaction& transaction) {
  transaction.outcome = Outcome::kCommitting;
}

void TransactionHistory::resolve(HistoricTransaction& transaction, bool committed) {
  const Outcome outcome = committed ? Outcome::kCommitted : Outcome::kAborted;
  if (transaction.outcome == outcome) {
    return;
  }
  if (transaction.outcome == Outcome::kCommitted || transaction.outcome == Outcome::kAborted) {
    findings_.report("TXN-1", fmt::format("{} is now said to be {}", name_of(transaction),
                                          committed ? "committed" : "aborted"));
    return;
  }
  transaction.outcome = outcome;
  committed_count_ += committed ? 1 : 0;
  const bool was_seen =
      std::ranges::any_of(transaction.committed_seen, [](int count) { return count > 0; });
  if (!committed && was_seen) {
    findings_.report("TXN-1", fmt::format("{} was visible before", name_of(transaction)));
  }
}

std::string TransactionHistory::value_of(const HistoricTransaction& transaction,
                                         std::size_t partition, int index) {
  return fmt::format("t{}:{}:{}", transaction.number, partition, index);
}

std::string TransactionHistory::new_plain_value() { return fmt::format("p{}", plain_count_++); }

void TransactionHistory::acknowledge_plain(const std::string& value, std::size_t partition,
                                           Offset offset) {
  acknowledged_plain_[value] = {partition, offset};
  ++acknowledged_plain_count_;
}

// ----------------------------------------------------------------------------------------------
// Group offsets

std::vector<std::int64_t> TransactionHistory::offset_floor(
    const std::string& transactional_id) const {
  std::vector<std::int64_t> floor(input_count_, -1);
  for (const auto& transaction : transactions_) {
    for (std::size_t input = 0; input < input_count_; ++input) {
      if (transaction->transactional_id == transactional_id && transaction->moves_offset[input] &&
          transaction->outcome == Outcome::kCommitted) {
        floor[input] = transaction->number;
      }
    }
  }
  return floor;
}

void TransactionHistory::see_offsets(const std::string& transactional_id,
                                     const std::vector<std::int64_t>& offsets,
                                     const std::vector<std::int64_t>& floor,
                                     std::int64_t decided_below) {
  for (std::size_t input = 0; input < input_count_; ++input) {
    const std::int64_t offset = offsets[input];
    if (offset < floor[input]) {
      findings_.report("TXN-2", fmt::format("the offset of '{}' on input {} is {}, and {} was "
                                            "committed before it was asked for",
                                            transactional_id, input, offset, floor[input]));
      return;
    }
    if (offset < 0) {
      continue;
    }
    const bool is_known = offset < next_number();
    HistoricTransaction* const writer =
        is_known ? transactions_[static_cast<std::size_t>(offset)].get() : nullptr;
    if (writer == nullptr || writer->transactional_id != transactional_id ||
        !writer->moves_offset[input] || !writer->may_be_visible()) {
      findings_.report(
          "TXN-2", fmt::format("the offset of '{}' on input {} is {}: {}", transactional_id, input,
                               offset, writer != nullptr ? name_of(*writer) : "nobody's"));
      return;
    }
    resolve(*writer, true);
  }
  // What was ended, and would have left a higher offset, was aborted.
  for (std::int64_t number = 0; number < decided_below; ++number) {
    HistoricTransaction& transaction = *transactions_[static_cast<std::size_t>(number)];
    if (transaction.transactional_id != transactional_id ||
        transaction.outcome != Outcome::kCommitting) {
      continue;
    }
    for (std::size_t input = 0; input < input_count_; ++input) {
      if (transaction.moves_offset[input] && offsets[input] < number) {
        resolve(transaction, false);
        break;
      }
    }
  }
}

// ----------------------------------------------------------------------------------------------
// Records

void TransactionHistory::see_record(ReaderKind reader, std::size_t partition, Offset offset,
                                    std::string_view value) {
  Log& log = logs_[partition];
  const Place place{partition, offset};
  const auto [seen, is_new_to_all] = log.seen.emplace(offset, value);
  if (seen->second != value) {
    findings_.report("LOG-3", fmt::format("offset {} of partition {} was {} and is {}",
                                          offset.value, partition, seen->second, value));
    return;
  }
  const auto [known, is_new_value] = place_of_value_.emplace(value, place);
  if (!is_new_value && known->second != place) {
    findings_.report("PRD-1", fmt::format("record {} is at offset {} of partition {} and at offset "
                                          "{} of partition {}",
                                          value, known->second.offset.value,
                                          known->second.partition, offset.value, partition));
    return;
  }
  const bool is_new = reader == ReaderKind::kReadCommitted
                          ? log.seen_committed.emplace(offset, value).second
                          : is_new_to_all;
  if (value.starts_with('t')) {
    see_transactional(reader, place, value, is_new);
  }
}

void TransactionHistory::see_transactional(ReaderKind reader, Place place, std::string_view value,
                                           bool is_new) {
  const auto parsed = parse_transactional(value);
  if (!parsed || parsed->number < 0 || parsed->number >= next_number() ||
      parsed->partition != place.partition) {
    findings_.report(
        "LOG-1", fmt::format("record {} was never sent to partition {}", value, place.partition));
    return;
  }
  if (reader != ReaderKind::kReadCommitted || !is_new) {
    return;
  }
  HistoricTransaction& transaction = *transactions_[static_cast<std::size_t>(parsed->number)];
  if (!transaction.may_be_visible()) {
    findings_.report("TXN-1",
                     fmt::format("record {} at offset {} of partition {} is visible: {}", value,
                                 place.offset.value, place.partition, name_of(transaction)));
    return;
  }
  int& seen_count = transaction.committed_seen[place.partition];
  if (parsed->index != seen_count) {
    findings_.report("TXN-1",
                     fmt::format("{}: record {} on partition {} where {} should be",
                                 name_of(transaction), parsed->index, place.partition, seen_count));
  }
  ++seen_count;
  std::int64_t& last = logs_[place.partition].last_number[transaction.transactional_id];
  if (transaction.number < last) {
    findings_.report("PRD-2", fmt::format("{} is visible after {} of the same id, which began "
                                          "when the first was fenced",
                                          name_of(transaction), last));
  }
  last = transaction.number;
}

// ----------------------------------------------------------------------------------------------
// The end

void TransactionHistory::check_transaction(const HistoricTransaction& transaction) {
  const int seen_count =
      std::accumulate(transaction.committed_seen.begin(), transaction.committed_seen.end(), 0);
  const bool is_whole = transaction.committed_seen == transaction.record_counts;
  if (transaction.outcome == Outcome::kCommitted ? !is_whole : seen_count != 0 && !is_whole) {
    findings_.report("TXN-1",
                     fmt::format("of {} a reader sees {} of {} records", name_of(transaction),
                                 fmt::join(transaction.committed_seen, "+"),
                                 fmt::join(transaction.record_counts, "+")));
  }
}

void TransactionHistory::check_offsets(const std::string& transactional_id,
                                       const std::vector<std::int64_t>& offsets) {
  // By the records alone: the last one whose records are visible.
  std::vector<std::int64_t> expected(input_count_, -1);
  for (const auto& transaction : transactions_) {
    for (std::size_t input = 0; input < input_count_; ++input) {
      if (transaction->transactional_id == transactional_id && transaction->moves_offset[input] &&
          transaction->committed_seen == transaction->record_counts) {
        expected[input] = transaction->number;
      }
    }
  }
  for (std::size_t input = 0; input < input_count_; ++input) {
    if (offsets[input] != expected[input]) {
      findings_.report("TXN-2",
                       fmt::format("the last visible transaction of '{}' that moved input "
                                   "{} is {}, its committed offset is {}",
                                   transactional_id, input, expected[input], offsets[input]));
    }
  }
}

void TransactionHistory::check_end(
    const std::map<std::string, std::vector<std::int64_t>>& offsets) {
  for (const auto& transaction : transactions_) {
    check_transaction(*transaction);
  }
  for (const auto& [transactional_id, committed] : offsets) {
    check_offsets(transactional_id, committed);
  }
  for (const auto& [value, place] : acknowledged_plain_) {
    const Log& log = logs_[place.partition];
    const auto seen = log.seen_committed.find(place.offset);
    if (seen == log.seen_committed.end() || seen->second != value) {
      findings_.report("LOG-1",
                       fmt::format("record {} was acknowledged at offset {} of partition "
                                   "{}, where {} is",
                                   value, place.offset.value, place.partition,
                                   seen == log.seen_committed.end() ? "nothing" : seen->second));
    }
  }
}

}  // namespace onceflow::sim
