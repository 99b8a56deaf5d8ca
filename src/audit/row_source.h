// RowSource: the place of the record that wrote a row, as the column onceflow_source holds it
// ("topic/partition/offset"), with topic-partitions numbered to keep it small. Owned by one claim.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"

namespace onceflow::audit {

struct RowSource {
  std::uint32_t partition_number = 0;
  Offset offset;
  friend auto operator<=>(const RowSource&, const RowSource&) = default;
};

class RowSources {
 public:
  std::uint32_t number_of(const TopicPartition& partition);
  /// Nullopt for a text that is no source, or names a partition that was never numbered.
  std::optional<RowSource> parse(std::string_view text) const;
  /// "orders/3/117".
  std::string name_of(const RowSource& source) const;

 private:
  std::map<TopicPartition, std::uint32_t> numbers_;
  std::vector<TopicPartition> partitions_;
};

/// How many rows of which records, by partition.
class RowRanges {
 public:
  /// Nothing: it names no record.
  void add(const std::optional<RowSource>& source);
  std::int64_t row_count() const { return row_count_; }
  /// "27 rows, of in/0/0 to in/0/26"
  std::string describe(const RowSources& sources) const;

 private:
  struct Range {
    Offset first;
    Offset last;
  };
  std::map<std::uint32_t, Range> ranges_;
  std::int64_t row_count_ = 0;
};

}  // namespace onceflow::audit
