#include "audit/claims/kept_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "audit/names.h"
#include "base/log_line.h"

namespace onceflow::audit {
namespace {

constexpr std::int64_t kNamedRowsMax = 5;

/// The records of some rows: "in/0/4, in/0/7, …".
class RowNames {
 public:
  explicit RowNames(const RowSources& sources) : sources_(sources) {}

  void add(const RowSource& source) {
    if (count_ < kNamedRowsMax) {
      names_ += (count_ == 0 ? "" : ", ") + sources_.name_of(source);
    }
    ++count_;
  }
  /// "; gone: in/0/4"; nothing where there are none.
  std::string after(std::string_view what) const {
    return count_ == 0
               ? std::string()
               : fmt::format("; {}: {}{}", what, names_, count_ > kNamedRowsMax ? ", …" : "");
  }

 private:
  const RowSources& sources_;
  std::string names_;
  std::int64_t count_ = 0;
};

}  // namespace

void KeptRows::add_receipt(const protocol::Receipt& receipt,
                           const protocol::Receipt::Output& output, Of of, const RowShape& shape,
                           RowSources& sources) {
  for (const protocol::Receipt::Row& row : receipt.rows) {
    if (!row.is_delete) {
      rows_.push_back(
          {.source = {sources.number_of(receipt.inputs[row.input_index].source), row.source_offset},
           .row_hash = row.row_hash,
           .key_hash = row.key_hash,
           .shape = &shape,
           .of = of});
    }
  }
  is_sorted_ = false;
  if (of == Of::kReset) {
    has_list_ = true;
    without_source_count_ += output.record_count - static_cast<std::int64_t>(receipt.rows.size());
    without_source_left_ = without_source_count_;
    kept_at_ms_ = std::max(kept_at_ms_, receipt.committed_at_ms);
  }
}

std::vector<KeptRows::Row>::iterator KeptRows::find_first(const RowSource& source) {
  if (!std::exchange(is_sorted_, true)) {
    std::ranges::sort(rows_, {}, &Row::source);
  }
  return std::ranges::lower_bound(rows_, source, {}, &Row::source);
}

void KeptRows::put(Row& row, State state) {
  row.now = state;
  if (!is_again_) {
    row.first = state;
  }
}

KeptRows::Taken KeptRows::take_as_listed(const RowSource& source, const HashOf& hash_of) {
  Row* other = nullptr;
  for (auto row = find_first(source); row != rows_.end() && row->source == source; ++row) {
    const bool is_open = row->now == State::kFree || row->now == State::kOther;
    if (!is_open || row->row_hash == 0 || hash_of(*row->shape) != row->row_hash) {
      continue;
    }
    if (row->now == State::kFree) {
      put(*row, State::kAsListed);
      return Taken::kTaken;
    }
    other = &*row;
  }
  if (other == nullptr) {
    return Taken::kNone;
  }
  put(*other, State::kAsListed);
  return Taken::kInPlaceOfOther;
}

bool KeptRows::take_any(const RowSource& source) {
  Row* other = nullptr;
  for (auto row = find_first(source); row != rows_.end() && row->source == source; ++row) {
    const bool is_open = row->now == State::kFree && (!is_again_ || row->first != State::kAsListed);
    if (is_open && !row->is_comparable()) {
      put(*row, State::kUnknown);
      return true;
    }
    other = is_open ? &*row : other;
  }
  if (other != nullptr) {
    put(*other, State::kOther);
  }
  return other != nullptr;
}

bool KeptRows::take_without_source() {
  if (without_source_left_ == 0) {
    return false;
  }
  --without_source_left_;
  without_source_there_ += is_again_ ? 0 : 1;
  return true;
}

void KeptRows::put_all_back() {
  is_again_ = true;
  without_source_left_ = without_source_count_;
  for (Row& row : rows_) {
    row.now = State::kFree;
  }
}

void KeptRows::tell(const std::string& table, const RowSources& sources, const FateOf& fate_of,
                    std::string_view unclear, Findings& findings) const {
  RowRanges there;
  RowRanges of_former_sinks;
  RowNames gone(sources);
  RowNames unclear_names(sources);
  RowNames other(sources);
  RowNames other_of_former_sinks(sources);
  std::int64_t listed_count = without_source_count_;
  std::int64_t listed_there = without_source_there_;
  for (const Row& row : rows_) {
    const Fate fate = row.first == State::kFree
                          ? fate_of(row.source, row.is_comparable() ? row.row_hash : 0,
                                    row.shape->is_kept_alike ? row.key_hash : 0)
                          : Fate::kGone;
    if (row.first != State::kFree) {
      (row.of == Of::kReset ? there : of_former_sinks).add(row.source);
      if (row.first == State::kOther) {
        (row.of == Of::kReset ? other : other_of_former_sinks).add(row.source);
      }
    }
    if (row.of != Of::kReset || fate == Fate::kReplaced) {
      continue;
    }
    ++listed_count;
    if (row.first != State::kFree) {
      ++listed_there;
    } else {
      (fate == Fate::kGone ? gone : unclear_names).add(row.source);
    }
  }
  for (std::int64_t row = 0; row < without_source_there_; ++row) {
    there.add(std::nullopt);
  }
  const std::string at = to_iso8601_ms(WallTime(kept_at_ms_));
  const std::string which =
      gone.after("gone") + unclear_names.after(unclear) + other.after("not as their receipts said");
  if (of_former_sinks.row_count() > 0) {
    findings.not_covered(fmt::format(
        "table {}: {}, of which onceflow_receipts speaks under a stage that the file does not "
        "have{}",
        table, of_former_sinks.describe(sources), other_of_former_sinks.after("not as those say")));
  }
  const bool is_any_listed_there = listed_there > 0 || listed_count == 0;
  if (there.row_count() > 0) {
    findings.not_covered(
        fmt::format("table {}: {}, kept from before the stage was begun anew (at {}){}{}", table,
                    there.describe(sources), at,
                    is_any_listed_there && listed_there < listed_count
                        ? fmt::format(", of {} that were kept", listed_count)
                        : std::string(),
                    is_any_listed_there ? which : std::string()));
  }
  if (!is_any_listed_there) {
    findings.not_covered(fmt::format(
        "table {}: 0 of {} are left that were kept when the stage was begun anew (at {}){}", table,
        count_of(listed_count, "row"), at, which));
  }
}

}  // namespace onceflow::audit
