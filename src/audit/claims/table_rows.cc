#include "audit/claims/table_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "audit/claims/kept_rows.h"
#include "audit/names.h"
#include "audit/row_shapes.h"
#include "audit/row_source.h"
#include "base/record_hash.h"
#include "protocol/kept_stage.h"

namespace onceflow::audit {
namespace {

/// Rows of a torn commit that are named in its finding.
constexpr std::size_t kNamedRowsMax = 5;

/// Rows that receipts of other pipelines list, each as often as they do.
class ListedRows {
 public:
  /// `writer` is what take() returns.
  void add(const RowSource& source, std::uint32_t writer) {
    rows_.push_back({source, writer});
    is_sorted_ = false;
  }

  /// Nothing if it is not listed, or was taken as often already.
  std::optional<std::uint32_t> take(const RowSource& source) {
    if (!is_sorted_) {
      is_sorted_ = true;
      std::ranges::sort(rows_, {}, &Row::source);
    }
    const auto same = std::ranges::equal_range(rows_, source, {}, &Row::source);
    const auto free = std::ranges::find(same, false, &Row::is_there);
    if (free == same.end()) {
      return std::nullopt;
    }
    free->is_there = true;
    return free->writer;
  }

 private:
  struct Row {
    RowSource source;
    std::uint32_t writer = 0;
    bool is_there = false;
  };
  std::vector<Row> rows_;
  bool is_sorted_ = false;
};

/// What both claims share: names, hashes, and how missing rows become findings.
class TableClaimBase : public TableClaim {
 public:
  TableClaimBase(const StageSubject& stage, const DefinitionRecords& definitions,
                 Strangers strangers, Findings& findings)
      : stage_(stage),
        table_(*stage.table),
        strangers_(strangers),
        findings_(findings),
        shapes_(stage, definitions) {}

  void add_receipt(std::size_t entry, const protocol::Receipt& receipt) final {
    add_beginnings(receipt);
    const RowShape& shape = shapes_.of(receipt.definition);
    shape_of_entry_.resize(std::max(shape_of_entry_.size(), entry + 1));
    shape_of_entry_[entry] = &shape;
    if (shape.is_kept_alike && (receipt.outputs.empty() || output_of(receipt) != nullptr)) {
      expect(entry, receipt);
    } else {
      set_aside(entry, receipt);
    }
  }

  std::int64_t verified_row_count() const final { return verified_; }

  void add_receipt_of_others(const protocol::Receipt& receipt) final {
    if (output_of(receipt) == nullptr) {
      return;
    }
    const auto same = std::ranges::find(others_, receipt.pipeline, &OtherPipeline::name);
    const auto writer = static_cast<std::uint32_t>(same - others_.begin());
    if (same == others_.end()) {
      others_.push_back({.name = receipt.pipeline});
    }
    for (const protocol::Receipt::Row& row : receipt.rows) {
      const std::uint32_t number = sources_.number_of(receipt.inputs[row.input_index].source);
      rows_of_others_.add({number, row.source_offset}, writer);
    }
  }

  void add_former_receipt(const protocol::Receipt& receipt) final {
    const protocol::Receipt::Output* const output = output_of(receipt);
    if (output == nullptr) {
      return;
    }
    kept_.add_receipt(receipt, *output,
                      receipt.stage == protocol::kept_stage(stage_.id) ? KeptRows::Of::kReset
                                                                       : KeptRows::Of::kFormerSink,
                      shapes_.of(receipt.definition), sources_);
  }

  void expect_deleted_receipts(const std::map<TopicPartition, Offset>& floors) final {
    for (const auto& [source, floor] : floors) {
      floors_[sources_.number_of(source)] = floor;
    }
  }

  void add_row_again(const StoredRow& row) final {
    if (!std::exchange(is_again_, true)) {
      kept_.put_all_back();
    }
    if (!is_of_this_stage(row) && !take_kept(row) && !is_of_former(row) && !is_of_others(row)) {
      add_stranger(row);
    }
  }

 protected:
  struct MissingRow {
    std::size_t entry = 0;
    RowSource source;
  };

  /// The rows of a receipt that kept the table as the file does.
  virtual void expect(std::size_t entry, const protocol::Receipt& receipt) = 0;
  /// The sources of all that is expected so far, which is forgotten.
  virtual std::vector<RowSource> take_expected() = 0;

  /// The row that a receipt of `entry` wrote with this hash is there.
  void judge_values(const StoredRow& row, std::uint64_t expected_hash, std::size_t entry) {
    const RowShape& shape = *shape_of_entry_[entry];
    if (shape.known == RowShape::Columns::kOthers) {
      ++uncompared_count_;
    } else if (row_hash(row, shape) == expected_hash) {
      ++verified_;
    } else if (shape.known == RowShape::Columns::kUnsaid) {
      ++unsaid_count_;
    } else {
      add(FindingKind::kAltered, 1, name_row(row) + " is not what was written");
    }
  }
  std::uint64_t row_hash(const StoredRow& row, const RowShape& shape) const {
    RowHash hash;
    for (const std::size_t index : shape.columns) {
      hash.add(table_.columns[index].name, row.values[index]);
    }
    return hash.finish();
  }
  std::uint64_t key_hash(const StoredRow& row) const {
    RowHash hash;
    for (std::size_t index = 0; index < table_.columns.size(); ++index) {
      if (table_.columns[index].is_key) {
        hash.add(table_.columns[index].name, row.values[index]);
      }
    }
    return hash.finish();
  }

  void add(FindingKind kind, std::int64_t row_count, const std::string& text) {
    findings_.add(kind, stage_.id, row_count, fmt::format("table {}: {}", table_.name(), text));
  }

  void tell_not_covered(const std::string& text) {
    findings_.not_covered(fmt::format("table {}: {}", table_.name(), text));
  }

  std::string name_row(const StoredRow& row) const {
    return fmt::format("row of {} ({})", row.source.value_or("no source"),
                       name_columns(table_.columns, row.values));
  }

  /// Whether a receipt of the stage speaks of it.
  virtual bool is_of_this_stage(const StoredRow& row) = 0;
  /// What has become of a row that a reset has kept, and that is not there; 0: a hash is not known.
  virtual KeptRows::Fate fate_of_kept(const RowSource& source, std::uint64_t row_hash,
                                      std::uint64_t key_hash) = 0;
  virtual std::string_view unclear_fate() const = 0;

  /// Whether it is of the time when the table was kept by another mode or key, and if so, counted.
  bool add_former(const StoredRow& row) {
    const bool is_former = is_of_former(row);
    former_count_ += is_former ? 1 : 0;
    return is_former;
  }

  /// Whether the pipeline has left it there. One that had been taken for it then is a stranger,
  /// which is found when all rows are looked at once more.
  bool take_kept(const StoredRow& row) {
    if (kept_.empty()) {
      return false;
    }
    const auto source = source_of(row);
    if (!source) {
      return kept_.take_without_source();
    }
    const KeptRows::Taken taken = take_as_listed(row, *source);
    return taken == KeptRows::Taken::kTaken ||
           (taken == KeptRows::Taken::kNone && kept_.take_any(*source));
  }
  KeptRows::Taken take_as_listed(const StoredRow& row, const RowSource& source) {
    return kept_.take_as_listed(source,
                                [&](const RowShape& shape) { return row_hash(row, shape); });
  }

  /// What it says of this table; null: it is of another one.
  const protocol::Receipt::Output* output_of(const protocol::Receipt& receipt) const {
    const auto output =
        std::ranges::find(receipt.outputs, table_.table, &protocol::Receipt::Output::name);
    return output == receipt.outputs.end() ? nullptr : &*output;
  }

  /// What lies before a reset that began the stage anew is of no receipt that is kept.
  void add_beginnings(const protocol::Receipt& receipt) {
    for (const protocol::Receipt::Input& input : receipt.inputs) {
      const bool is_reset = input.beginning == protocol::Receipt::Beginning::kReset;
      begun_by_reset_at_.try_emplace(sources_.number_of(input.source),
                                     is_reset ? input.from_offset : Offset(0));
    }
  }

  void add_stranger(const StoredRow& row) {
    if (is_before_reset(row)) {
      ++before_reset_count_;
    } else if (is_of_deleted_receipt(row)) {
      of_deleted_receipts_.add(source_of(row));
    } else if (strangers_ == Strangers::kAllowed) {
      ++stranger_count_;
    } else {
      add(FindingKind::kForeign, 1, name_row(row) + " belongs to no receipt");
    }
  }

  /// One row of a commit missing is a missing row; several, while others are there, a torn commit.
  void tell_missing(std::vector<MissingRow> missing, const std::vector<std::size_t>& rows_of_entry,
                    const std::vector<ReceiptEntry>& receipts) {
    std::ranges::sort(missing, {},
                      [](const MissingRow& row) { return std::pair(row.entry, row.source); });
    for (std::size_t begin = 0; begin < missing.size();) {
      const std::size_t entry = missing[begin].entry;
      std::size_t end = begin;
      while (end < missing.size() && missing[end].entry == entry) {
        ++end;
      }
      const bool is_torn = end - begin > 1 && end - begin < rows_of_entry[entry];
      if (is_torn) {
        tell_torn({missing.begin() + static_cast<std::ptrdiff_t>(begin), end - begin},
                  rows_of_entry[entry], receipts[entry]);
      } else {
        for (std::size_t index = begin; index < end; ++index) {
          add(FindingKind::kMissing, 1,
              fmt::format("the row of {} is not there (written in {})",
                          sources_.name_of(missing[index].source), name_of(receipts[entry])));
        }
      }
      begin = end;
    }
    for (const OtherPipeline& other : others_) {
      if (other.row_count > 0) {
        findings_.note(fmt::format("table {}: {} of pipeline {}", table_.name(),
                                   count_of(other.row_count, "row"), other.name));
      }
    }
    tell_left();
    tell_former(receipts);
    if (before_reset_count_ > 0) {
      tell_not_covered(fmt::format("{} of records before the reset with which the stage began",
                                   count_of(before_reset_count_, "row")));
    }
    if (stranger_count_ > 0) {
      findings_.note(fmt::format("table {}: {} of other writers", table_.name(),
                                 count_of(stranger_count_, "row")));
    }
  }

  // Others may write "in/00/7", which is no row of ours.
  std::optional<RowSource> source_of(const StoredRow& row) const {
    const auto source = row.source ? sources_.parse(*row.source) : std::nullopt;
    return source && sources_.name_of(*source) == *row.source ? source : std::nullopt;
  }
  const RowShape& shape_of(std::size_t entry) const { return *shape_of_entry_[entry]; }

  RowSources sources_;
  KeptRows kept_;
  std::int64_t verified_ = 0;

 private:
  struct OtherPipeline {
    std::string name;
    std::int64_t row_count = 0;
  };

  // As often as their receipts speak of it.
  bool is_of_others(const StoredRow& row) {
    const auto source = row.source ? sources_.parse(*row.source) : std::nullopt;
    const auto writer = source ? rows_of_others_.take(*source) : std::nullopt;
    if (!writer) {
      return false;
    }
    ++others_[*writer].row_count;
    return true;
  }

  void tell_left() {
    kept_.tell(
        table_.table, sources_,
        [&](const RowSource& source, std::uint64_t row_hash, std::uint64_t key_hash) {
          return fate_of_kept(source, row_hash, key_hash);
        },
        fmt::format("gone, or {}", unclear_fate()), findings_);
    if (of_deleted_receipts_.row_count() > 0) {
      tell_not_covered(fmt::format("{}, whose receipts were deleted from onceflow_receipts",
                                   of_deleted_receipts_.describe(sources_)));
    }
  }

  /// With everything before it: what comes after such a receipt found its rows in the table.
  void set_aside(std::size_t entry, const protocol::Receipt& receipt) {
    const std::vector<RowSource> before = take_expected();
    former_.insert(former_.end(), before.begin(), before.end());
    for (const protocol::Receipt::Row& row : receipt.rows) {
      former_.push_back(
          {sources_.number_of(receipt.inputs[row.input_index].source), row.source_offset});
    }
    if (!receipt.rows.empty()) {
      last_former_entry_ = entry;
    }
  }

  bool is_of_former(const StoredRow& row) {
    if (!is_former_sorted_) {
      is_former_sorted_ = true;
      std::ranges::sort(former_);
    }
    const auto source = row.source ? sources_.parse(*row.source) : std::nullopt;
    return source && std::ranges::binary_search(former_, *source);
  }

  void tell_former(const std::vector<ReceiptEntry>& receipts) {
    if (last_former_entry_) {
      tell_not_covered(fmt::format(
          "until {} its rows were kept by another mode or key than the file's, or in another "
          "table: {} of that time remain, and are not judged",
          name_of(receipts[*last_former_entry_]), count_of(former_count_, "row")));
    }
    if (uncompared_count_ > 0) {
      tell_not_covered(
          fmt::format("{} of a definition with columns that the file does not name: that the rows "
                      "are there was checked, their values were not",
                      count_of(uncompared_count_, "row")));
    }
    if (unsaid_count_ > 0) {
      tell_not_covered(
          fmt::format("{} of receipts that name no definition, or an unknown one: the rows are "
                      "there, but do not hold what the file's columns would have made; whether "
                      "another file made them or they were altered is not known",
                      count_of(unsaid_count_, "row")));
    }
  }

  // Where the reset has listed what it kept, that is all that there may be.
  bool is_before_reset(const StoredRow& row) const {
    if (kept_.has_list()) {
      return false;
    }
    const auto source = row.source ? sources_.parse(*row.source) : std::nullopt;
    const auto begun =
        source ? begun_by_reset_at_.find(source->partition_number) : begun_by_reset_at_.end();
    return begun != begun_by_reset_at_.end() && source->offset < begun->second;
  }

  bool is_of_deleted_receipt(const StoredRow& row) {
    const auto source = source_of(row);
    const auto floor = source ? floors_.find(source->partition_number) : floors_.end();
    return floor != floors_.end() && source->offset < floor->second &&
           (table_.is_upsert || sources_below_floors_.insert(*source).second);
  }

  void tell_torn(std::span<const MissingRow> missing, std::size_t row_count,
                 const ReceiptEntry& receipt) {
    std::string rows;
    for (std::size_t index = 0; index < std::min(missing.size(), kNamedRowsMax); ++index) {
      rows += (index == 0 ? "" : ", ") + sources_.name_of(missing[index].source);
    }
    add(FindingKind::kTorn, static_cast<std::int64_t>(missing.size()),
        fmt::format("of {} of {}, {} are not there: {}{}",
                    count_of(static_cast<std::int64_t>(row_count), "row"), name_of(receipt),
                    missing.size(), rows, missing.size() > kNamedRowsMax ? ", …" : ""));
  }

  const StageSubject& stage_;
  const TableSubject& table_;
  const Strangers strangers_;
  Findings& findings_;
  RowShapes shapes_;
  std::vector<const RowShape*> shape_of_entry_;
  /// Of rows that were kept by another mode or key; sorted when the first is looked for.
  std::vector<RowSource> former_;
  bool is_former_sorted_ = false;
  std::optional<std::size_t> last_former_entry_;
  std::int64_t former_count_ = 0;
  std::int64_t uncompared_count_ = 0;
  std::int64_t unsaid_count_ = 0;
  std::int64_t stranger_count_ = 0;
  std::int64_t before_reset_count_ = 0;
  /// By partition number, of the first receipt that speaks of it.
  std::map<std::uint32_t, Offset> begun_by_reset_at_;
  std::vector<OtherPipeline> others_;
  ListedRows rows_of_others_;
  bool is_again_ = false;  ///< all rows are looked at once more
  /// By partition number: where the receipts begin of which older ones were deleted.
  std::map<std::uint32_t, Offset> floors_;
  std::set<RowSource> sources_below_floors_;  ///< append: a second row of one is nobody's
  RowRanges of_deleted_receipts_;
};

class AppendClaim final : public TableClaimBase {
 public:
  using TableClaimBase::TableClaimBase;

  void expect_equal_keys(std::string) override {}

  void expect(std::size_t entry, const protocol::Receipt& receipt) override {
    for (const protocol::Receipt::Row& row : receipt.rows) {
      const std::uint32_t number = sources_.number_of(receipt.inputs[row.input_index].source);
      expected_.push_back({.source = {number, row.source_offset},
                           .row_hash = row.row_hash,
                           .entry = static_cast<std::uint32_t>(entry)});
    }
    rows_of_entry_.resize(std::max(rows_of_entry_.size(), entry + 1));
    rows_of_entry_[entry] += receipt.rows.size();
  }

  bool add_row(const StoredRow& row) override {
    const auto place = find(row);
    if (place == expected_.end()) {
      return take_kept(row) || add_former(row);
    }
    if (!kept_.empty() && is_kept_beside(row, *place)) {
      return true;
    }
    ++place->seen_count;
    if (place->seen_count > 1) {
      add(FindingKind::kDoubled, 1,
          fmt::format("{} is there {} times", name_row(row), place->seen_count));
    } else {
      judge_values(row, place->row_hash, place->entry);
    }
    return true;
  }

  void judge(const std::vector<ReceiptEntry>& receipts) override {
    sort();
    judge_displaced();
    std::vector<MissingRow> missing;
    for (const Expected& expected : expected_) {
      if (expected.seen_count == 0) {
        missing.push_back({expected.entry, expected.source});
      }
    }
    tell_missing(std::move(missing), rows_of_entry_, receipts);
  }

 private:
  struct Expected {
    RowSource source;
    std::uint64_t row_hash = 0;
    std::uint32_t entry = 0;
    std::uint32_t seen_count = 0;
  };

  bool is_of_this_stage(const StoredRow& row) override { return find(row) != expected_.end(); }

  /// Whether the row is one that a reset has kept, where the same record was written once more.
  bool is_kept_beside(const StoredRow& row, const Expected& expected) {
    const RowShape& shape = shape_of(expected.entry);
    const bool is_wanted = expected.seen_count == 0;
    if (is_wanted && row_hash(row, shape) == expected.row_hash) {
      return false;
    }
    const KeptRows::Taken taken = take_as_listed(row, expected.source);
    if (taken == KeptRows::Taken::kInPlaceOfOther) {
      ++displaced_[expected.source];
    }
    if (taken != KeptRows::Taken::kNone) {
      return true;
    }
    const bool may_be_wanted = is_wanted && shape.known == RowShape::Columns::kOthers;
    return !may_be_wanted && kept_.take_any(expected.source);
  }

  /// Rows that were taken for a kept one, before that came.
  void judge_displaced() {
    for (auto [source, count] : displaced_) {
      const auto place = std::ranges::lower_bound(expected_, source, {}, &Expected::source);
      const std::string name = "row of " + sources_.name_of(source);
      if (count > 0 && place->seen_count == 0) {
        ++place->seen_count;
        --count;
        add(FindingKind::kAltered, 1,
            name + " is neither what was written nor what a reset has kept");
      }
      if (count > 0) {
        add(FindingKind::kDoubled, count,
            fmt::format("{} is there {} times, beside what a reset has kept", name,
                        place->seen_count + count));
      }
    }
  }

  // Two rows of one record that hold the same are not told apart.
  KeptRows::Fate fate_of_kept(const RowSource& source, std::uint64_t row_hash,
                              std::uint64_t) override {
    const auto place = find(source);
    const bool is_same = place != expected_.end() && place->seen_count > 0 &&
                         (row_hash == 0 || row_hash == place->row_hash);
    return is_same ? KeptRows::Fate::kUnclear : KeptRows::Fate::kGone;
  }
  std::string_view unclear_fate() const override {
    return "the new row of that record is, which holds the same";
  }

  std::vector<Expected>::iterator find(const StoredRow& row) {
    const auto source = row.source ? sources_.parse(*row.source) : std::nullopt;
    return source ? find(*source) : expected_.end();
  }
  std::vector<Expected>::iterator find(const RowSource& source) {
    sort();
    const auto place = std::ranges::lower_bound(expected_, source, {}, &Expected::source);
    return place != expected_.end() && place->source == source ? place : expected_.end();
  }

  // A source that two receipts claim is told by the claim of tiling; here it is one row.
  void sort() {
    if (!is_sorted_) {
      is_sorted_ = true;
      std::ranges::sort(expected_, {},
                        [](const Expected& row) { return std::pair(row.source, row.entry); });
      const auto rest = std::ranges::unique(expected_, {}, &Expected::source);
      expected_.erase(rest.begin(), rest.end());
    }
  }

  std::vector<RowSource> take_expected() override {
    std::vector<RowSource> sources;
    sources.reserve(expected_.size());
    for (const Expected& expected : expected_) {
      sources.push_back(expected.source);
    }
    expected_.clear();
    return sources;
  }

  std::vector<Expected> expected_;
  std::vector<std::size_t> rows_of_entry_;
  std::map<RowSource, std::int64_t> displaced_;
  bool is_sorted_ = false;
};

class UpsertClaim final : public TableClaimBase {
 public:
  using TableClaimBase::TableClaimBase;

  void expect_equal_keys(std::string reason) override { equal_keys_ = std::move(reason); }

  void expect(std::size_t entry, const protocol::Receipt& receipt) override {
    for (const protocol::Receipt::Row& row : receipt.rows) {
      const std::uint32_t number = sources_.number_of(receipt.inputs[row.input_index].source);
      last_[row.key_hash] = {.source = {number, row.source_offset},
                             .row_hash = row.row_hash,
                             .entry = static_cast<std::uint32_t>(entry),
                             .is_delete = row.is_delete};
    }
    entry_count_ = std::max(entry_count_, entry + 1);
  }

  bool add_row(const StoredRow& row) override {
    const auto place = last_.find(key_hash(row));
    if (place == last_.end()) {
      return take_kept(row) || add_former(row);
    }
    Last& last = place->second;
    const std::string wanted = sources_.name_of(last.source);
    if (last.seen) {
      add(FindingKind::kDoubled, 1, name_row(row) + " shares its key with another row");
    } else if (last.is_delete) {
      add(FindingKind::kMissing, 1,
          fmt::format("{} is still there: its deletion by {} is missing", name_row(row), wanted));
    } else if (row.source == wanted) {
      judge_values(row, last.row_hash, last.entry);
    } else if (!equal_keys_.empty()) {
      ++unclear_count_;  // written by an equal key's record, by a version that left the key as it
                         // was
    } else {
      add(FindingKind::kMissing, 1,
          fmt::format("{} should be the row of {}", name_row(row), wanted));
    }
    last.seen = true;
    return true;
  }

  void judge(const std::vector<ReceiptEntry>& receipts) override {
    std::vector<MissingRow> missing;
    std::vector<std::size_t> rows_of_entry(entry_count_);
    for (const auto& [key_hash, last] : last_) {
      if (!last.is_delete) {
        ++rows_of_entry[last.entry];
        if (!last.seen && equal_keys_.empty()) {
          missing.push_back({last.entry, last.source});
        }
        unclear_count_ += !last.seen && !equal_keys_.empty() ? 1 : 0;
      }
    }
    if (unclear_count_ > 0) {
      tell_not_covered(fmt::format(
          "{} without a row of its own: keys that differ may be one row ({}), and a receipt does "
          "not say which; every row that is there was compared with its record",
          count_of(unclear_count_, "key"), equal_keys_));
    }
    tell_missing(std::move(missing), rows_of_entry, receipts);
  }

 private:
  struct Last {
    RowSource source;
    std::uint64_t row_hash = 0;
    std::uint32_t entry = 0;
    bool is_delete = false;
    bool seen = false;
  };

  bool is_of_this_stage(const StoredRow& row) override { return last_.contains(key_hash(row)); }

  KeptRows::Fate fate_of_kept(const RowSource&, std::uint64_t, std::uint64_t key_hash) override {
    if (key_hash == 0) {
      return last_.empty() ? KeptRows::Fate::kGone : KeptRows::Fate::kUnclear;
    }
    return last_.contains(key_hash) ? KeptRows::Fate::kReplaced : KeptRows::Fate::kGone;
  }
  std::string_view unclear_fate() const override { return "replaced by a new row of its key"; }

  std::vector<RowSource> take_expected() override {
    std::vector<RowSource> sources;
    sources.reserve(last_.size());
    for (const auto& [key_hash, last] : last_) {
      sources.push_back(last.source);
    }
    last_.clear();
    return sources;
  }

  std::unordered_map<std::uint64_t, Last> last_;
  std::size_t entry_count_ = 0;
  std::string equal_keys_;
  std::int64_t unclear_count_ = 0;
};

}  // namespace

std::unique_ptr<TableClaim> make_table_claim(const StageSubject& stage,
                                             const DefinitionRecords& definitions,
                                             Strangers strangers, Findings& findings) {
  if (stage.table->is_upsert) {
    return std::make_unique<UpsertClaim>(stage, definitions, strangers, findings);
  }
  return std::make_unique<AppendClaim>(stage, definitions, strangers, findings);
}

}  // namespace onceflow::audit
