// TransactionHistory: what transactional and plain producers were told by a broker, and whether its
// readers see just that: transactions whole or not at all (TXN-1), their group offsets with them
// (TXN-2), no retry twice (PRD-1), nothing lost (LOG-1) or changed (LOG-3), nothing of a fenced
// producer (PRD-2).
//
// Owned by the workload; outlives every process of the run.
//
// What makes it judge: transactions of one transactional id are numbered as they begin. A producer
// begins one only after its init_transactions(), which fences all others with that id; so they
// commit in the order of their numbers, and a committed group offset, which is the number of its
// transaction, only grows.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "sim/checkers/findings.h"

namespace onceflow::sim {

struct HistoricTransaction {
  enum class Outcome : std::uint8_t {
    kOpen,        ///< nobody has asked for its commit, and perhaps nobody will
    kCommitting,  ///< asked for; not known what became of it
    kCommitted,
    kAborted,
  };
  std::int64_t number = 0;
  std::string transactional_id;
  std::vector<int> record_counts;  ///< by partition
  std::vector<bool> moves_offset;  ///< by input partition
  Outcome outcome = Outcome::kOpen;
  std::vector<int> committed_seen;  ///< by partition: records that a read_committed reader saw

  bool may_be_visible() const {
    return outcome == Outcome::kCommitting || outcome == Outcome::kCommitted;
  }
};

enum class ReaderKind : std::uint8_t { kReadCommitted, kReadUncommitted };

class TransactionHistory {
 public:
  TransactionHistory(std::size_t partition_count, std::size_t input_count, Findings& findings);

  // What producers do and are told.
  HistoricTransaction& begin(std::string transactional_id, std::vector<int> record_counts,
                             std::vector<bool> moves_offset);
  void ask_commit(HistoricTransaction& transaction);
  /// As the producer was told, or as can be concluded.
  void resolve(HistoricTransaction& transaction, bool committed);
  static std::string value_of(const HistoricTransaction& transaction, std::size_t partition,
                              int index);
  std::string new_plain_value();
  void acknowledge_plain(const std::string& value, std::size_t partition, Offset offset);

  /// The number that the next transaction will have.
  std::int64_t next_number() const { return static_cast<std::int64_t>(transactions_.size()); }
  /// Highest known committed number, by input partition; -1: none. Before asking for the offsets.
  std::vector<std::int64_t> offset_floor(const std::string& transactional_id) const;
  /// What the group of a transactional id was said to have committed, with require_stable.
  /// `decided_below`: every transaction of the id with a lower number has been ended, by an
  /// init_transactions() that began after it; 0: not known.
  void see_offsets(const std::string& transactional_id, const std::vector<std::int64_t>& offsets,
                   const std::vector<std::int64_t>& floor, std::int64_t decided_below);

  void see_record(ReaderKind reader, std::size_t partition, Offset offset, std::string_view value);

  /// Both readers have read everything, and every transaction has ended; `offsets` by transactional
  /// id are as a last reader was told them.
  void check_end(const std::map<std::string, std::vector<std::int64_t>>& offsets);

  std::size_t committed_count() const { return committed_count_; }
  std::size_t acknowledged_plain_count() const { return acknowledged_plain_count_; }

 private:
  struct Place {
    std::size_t partition = 0;
    Offset offset;
    friend auto operator<=>(const Place&, const Place&) = default;
  };
  struct Log {
    std::map<Offset, std::string> seen;               // by either reader
    std::map<Offset, std::string> seen_committed;     // by the read_committed one
    std::map<std::string, std::int64_t> last_number;  // visible, by transactional id
  };

  void see_transactional(ReaderKind reader, Place place, std::string_view value, bool is_new);
  void check_transaction(const HistoricTransaction& transaction);
  void check_offsets(const std::string& transactional_id, const std::vector<std::int64_t>& offsets);

  std::size_t input_count_;
  Findings& findings_;
  std::vector<Log> logs_;                                           // by partition
  std::vector<std::unique_ptr<HistoricTransaction>> transactions_;  // by number
  std::map<std::string, Place, std::less<>> place_of_value_;
  std::map<std::string, Place> acknowledged_plain_;
  std::int64_t plain_count_ = 0;
  std::size_t committed_count_ = 0;
  std::size_t acknowledged_plain_count_ = 0;
};

}  // namespace onceflow::sim
