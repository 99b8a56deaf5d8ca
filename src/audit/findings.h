// Findings: what an audit has found, each by name. Of each kind the first few are kept whole and
// all are counted, so a broken history of millions does not fill the memory. Owned by one audit.
#pragma once

#include <array>
#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"

namespace onceflow::audit {

enum class FindingKind {
  kMissing,  ///< should be there and is not
  kDoubled,  ///< is there more than once
  kAltered,  ///< is there, and is not what was written
  kTorn,     ///< a part of one commit is there and another part is not
  kForeign,  ///< is there, and no receipt accounts for it
};
inline constexpr FindingKind kFindingKinds[] = {FindingKind::kMissing, FindingKind::kDoubled,
                                                FindingKind::kAltered, FindingKind::kTorn,
                                                FindingKind::kForeign};
inline constexpr std::size_t kFindingKindCount = std::size(kFindingKinds);

/// "missing", "doubled", ...
std::string to_string(FindingKind kind);

/// Records that a place holds and no receipt accounts for, by the sum of their hashes.
struct Surplus {
  TopicPartition partition;
  Offset from;
  Offset next;
  /// The sum is of input_record_hash; else of output_record_hash, of this producer's records.
  bool is_input = false;
  ProducerIdentity producer;
  std::int64_t record_count = 0;
  std::uint64_t hash_sum = 0;
};

struct Finding {
  FindingKind kind = FindingKind::kMissing;
  std::string stage;              ///< empty: of a topic, not of a stage
  std::string text;               ///< names place and records
  std::int64_t record_count = 0;  ///< how many records or rows it concerns
  std::optional<Surplus> surplus;
};

/// A record in a topic of ours that is not what the topic holds: another program's, or altered.
struct OddRecord {
  FindingKind kind = FindingKind::kForeign;
  std::string text;  ///< names place and what it is
};

class Findings {
 public:
  explicit Findings(std::size_t kept_max) : kept_max_(kept_max) {}

  void add(FindingKind kind, const std::string& stage, std::int64_t record_count, std::string text,
           std::optional<Surplus> surplus = std::nullopt);
  /// For people: what is allowed but worth knowing. Not a finding.
  void note(std::string text);
  /// A note of a part that could not be judged: the verdict says that there is such a part.
  void not_covered(std::string text);
  /// A note of offsets that an operator skipped on purpose: the verdict says so.
  void skipped(std::int64_t offset_count, std::string text);

  /// The first `kept_max` of each kind, in the order of their kinds.
  std::vector<Finding> kept() const;
  /// Those of them whose records can be looked for; valid until the next add().
  std::vector<Finding*> with_surplus();
  const std::vector<std::string>& notes() const { return notes_; }
  std::int64_t not_covered_count() const { return not_covered_count_; }
  std::int64_t skipped_offset_count() const { return skipped_offset_count_; }
  std::int64_t count(FindingKind kind) const { return totals_[index(kind)].findings; }
  std::int64_t record_count(FindingKind kind) const { return totals_[index(kind)].records; }
  std::int64_t count() const;
  std::int64_t count_of_stage(const std::string& stage) const;

 private:
  struct Totals {
    std::int64_t findings = 0;
    std::int64_t records = 0;
  };
  static std::size_t index(FindingKind kind) { return static_cast<std::size_t>(kind); }

  std::size_t kept_max_;
  std::array<std::vector<Finding>, kFindingKindCount> kept_;
  std::array<Totals, kFindingKindCount> totals_;
  std::map<std::string, std::int64_t> of_stage_;
  std::vector<std::string> notes_;
  std::int64_t not_covered_count_ = 0;
  std::int64_t skipped_offset_count_ = 0;
};

}  // namespace onceflow::audit
