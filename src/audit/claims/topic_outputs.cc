#include "audit/claims/topic_outputs.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <map>
#include <optional>

#include "audit/claims/definitions.h"
#include "audit/names.h"
#include "base/log_line.h"

namespace onceflow::audit {
namespace {

/// How far ahead the two sides of an alignment are searched for one another.
constexpr std::size_t kLookAheadMax = 64;

/// What a receipt says its transaction left in one partition.
struct Expected {
  const StageHistory* history = nullptr;
  std::size_t entry = 0;
  RecordTotals totals;
};

/// What became of it. Of kCut the first records were deleted, with all before them.
enum class Fate { kThere, kAbsent, kDiffers, kNotEnded, kAborted, kDeleted, kCut };
struct Outcome {
  Fate fate = Fate::kAbsent;
  TopicPartition partition;
  RecordTotals expected;
  std::optional<PartitionTransaction> found;
};

/// Commits of which nothing is there, and that lie before what is: DeleteRecords or retention.
struct DeletedCommits {
  std::int64_t commit_count = 0;
  std::int64_t record_count = 0;
  const StageHistory* history = nullptr;  ///< and the entry: of the newest of them
  std::size_t entry = 0;
};

using EntryKey = std::pair<const StageHistory*, std::size_t>;
using ByProducer = std::map<ProducerIdentity, std::vector<Expected>>;

std::string place_of(const PartitionScan& scan, const PartitionTransaction& transaction) {
  return fmt::format("{} {}", name_of(scan.partition()),
                     name_offsets(transaction.first_offset, transaction.last_offset + 1));
}

/// One output partition: receipts of each producer laid beside its transactions.
class PartitionOutputs {
 public:
  PartitionOutputs(const PartitionScan& scan, const ByProducer& expected)
      : scan_(scan), expected_(expected) {
    for (const PartitionTransaction& transaction : scan.transactions()) {
      if (transaction.state == PartitionTransaction::State::kCommitted) {
        committed_[transaction.producer].push_back(transaction);
      } else {
        uncommitted_.push_back(transaction);
      }
    }
  }

  void align(std::map<EntryKey, std::vector<Outcome>>& outcomes) {
    for (const auto& [producer, expected] : expected_) {
      align_producer(expected, committed_[producer], outcomes);
    }
    settle_absent(outcomes);
    for (const auto& [producer, found] : committed_) {
      if (!expected_.contains(producer)) {
        strangers_.insert(strangers_.end(), found.begin(), found.end());
      }
    }
    std::ranges::sort(strangers_, {}, &PartitionTransaction::first_offset);
  }

  const std::vector<PartitionTransaction>& strangers() const { return strangers_; }
  Offset first_known_offset() const { return first_known_offset_; }
  const DeletedCommits& deleted() const { return deleted_; }
  /// Of a commit that is there in part.
  std::int64_t cut_record_count() const { return cut_record_count_; }
  bool has_any_commit() const { return !first_matched_.empty(); }

 private:
  static bool match(const Expected& expected, const PartitionTransaction& found) {
    return expected.totals == found.totals;
  }

  void align_producer(const std::vector<Expected>& expected,
                      const std::vector<PartitionTransaction>& found,
                      std::map<EntryKey, std::vector<Outcome>>& outcomes) {
    std::size_t e = 0;
    std::size_t f = 0;
    if (const auto cut = find_cut(expected, found)) {
      absent_.insert(absent_.end(), expected.begin(),
                     expected.begin() + static_cast<std::ptrdiff_t>(*cut));
      settle(expected[*cut], Fate::kCut, found.front(), outcomes);
      cut_record_count_ += expected[*cut].totals.count - found.front().totals.count;
      e = *cut + 1;
      f = 1;
    }
    while (e < expected.size() && f < found.size()) {
      if (match(expected[e], found[f])) {
        settle(expected[e++], Fate::kThere, found[f++], outcomes);
        continue;
      }
      const std::size_t absent =
          distance(expected, e, [&](const Expected& other) { return match(other, found[f]); });
      const std::size_t strange = distance(
          found, f, [&](const PartitionTransaction& other) { return match(expected[e], other); });
      if (absent == 0 && strange == 0) {
        settle(expected[e++], Fate::kDiffers, found[f++], outcomes);
      } else if (strange == 0 || (absent != 0 && absent <= strange)) {
        for (const std::size_t end = e + absent; e < end; ++e) {
          absent_.push_back(expected[e]);
        }
      } else {
        for (const std::size_t end = f + strange; f < end; ++f) {
          strangers_.push_back(found[f]);
        }
      }
    }
    for (; e < expected.size(); ++e) {
      absent_.push_back(expected[e]);
    }
    for (; f < found.size(); ++f) {
      strangers_.push_back(found[f]);
    }
  }

  /// Of which commit the producer's first transaction is what DeleteRecords or retention has left;
  /// the next transaction is that of the next commit.
  std::optional<std::size_t> find_cut(const std::vector<Expected>& expected,
                                      const std::vector<PartitionTransaction>& found) const {
    if (scan_.start() == Offset(0) || scan_.is_compacted() || expected.empty() || found.empty() ||
        std::ranges::any_of(expected,
                            [&](const Expected& one) { return match(one, found.front()); })) {
      return std::nullopt;
    }
    std::size_t cut = expected.size() - 1;
    if (found.size() > 1) {
      const auto next = std::find_if(expected.begin() + 1, expected.end(),
                                     [&](const Expected& one) { return match(one, found[1]); });
      if (next == expected.end()) {
        return std::nullopt;
      }
      cut = static_cast<std::size_t>(next - expected.begin()) - 1;
    }
    return expected[cut].totals.count > found.front().totals.count ? std::optional(cut)
                                                                   : std::nullopt;
  }

  /// How many elements to pass until one is accepted; 0: none is near.
  template <typename T, typename Accept>
  static std::size_t distance(const std::vector<T>& all, std::size_t from, Accept accept) {
    const std::size_t end = std::min(all.size(), from + kLookAheadMax);
    for (std::size_t index = from + 1; index < end; ++index) {
      if (accept(all[index])) {
        return index - from;
      }
    }
    return 0;
  }

  void settle(const Expected& expected, Fate fate, std::optional<PartitionTransaction> found,
              std::map<EntryKey, std::vector<Outcome>>& outcomes) {
    if (fate == Fate::kThere || fate == Fate::kCut) {
      first_known_offset_ = std::min(first_known_offset_, found->first_offset);
      const auto [first, is_new] = first_matched_.try_emplace(expected.history, expected.entry);
      first->second = std::min(first->second, expected.entry);
    }
    if (fate == Fate::kDiffers && is_told(expected, *found)) {
      fate = Fate::kThere;
    }
    outcomes[{expected.history, expected.entry}].push_back(
        {fate, scan_.partition(), expected.totals, std::move(found)});
  }

  void settle_absent(std::map<EntryKey, std::vector<Outcome>>& outcomes) {
    for (const Expected& expected : absent_) {
      settle_absent(expected, outcomes);
    }
  }

  void settle_absent(const Expected& expected, std::map<EntryKey, std::vector<Outcome>>& outcomes) {
    const ProducerIdentity producer = expected.history->receipts[expected.entry].producer;
    for (const PartitionTransaction& other : uncommitted_) {
      if (other.producer == producer && match(expected, other)) {
        settle(expected,
               other.state == PartitionTransaction::State::kOpen ? Fate::kNotEnded : Fate::kAborted,
               other, outcomes);
        return;
      }
    }
    // Retention deletes from the beginning, whoever wrote it; compaction anywhere.
    const auto first = first_matched_.find(expected.history);
    const bool may_be_deleted =
        scan_.is_compacted() || (scan_.start() > Offset(0) &&
                                 (first == first_matched_.end() || expected.entry < first->second));
    settle(expected, may_be_deleted ? Fate::kDeleted : Fate::kAbsent, std::nullopt, outcomes);
    const ReceiptEntry& receipt = expected.history->receipts[expected.entry];
    if (may_be_deleted && receipt.is_settled && expected.totals.count > 0) {
      ++deleted_.commit_count;
      deleted_.record_count += expected.totals.count;
      deleted_.history = expected.history;
      deleted_.entry = expected.entry;
    }
  }

  /// The difference is a hole in the log, told by offset, or what compaction has removed.
  bool is_told(const Expected& expected, const PartitionTransaction& found) const {
    const std::int64_t lost = expected.totals.count - found.totals.count;
    return lost > 0 && (scan_.is_compacted() ||
                        lost == scan_.lost_between(found.first_offset, found.last_offset + 1));
  }

  const PartitionScan& scan_;
  const ByProducer& expected_;
  std::map<ProducerIdentity, std::vector<PartitionTransaction>> committed_;
  std::vector<PartitionTransaction> uncommitted_;
  std::vector<PartitionTransaction> strangers_;
  Offset first_known_offset_{std::numeric_limits<std::int64_t>::max()};
  std::vector<Expected> absent_;
  DeletedCommits deleted_;
  std::int64_t cut_record_count_ = 0;
  /// The first receipt of each that has its records there.
  std::map<const StageHistory*, std::size_t> first_matched_;
};

class TopicOutputs {
 public:
  TopicOutputs(const std::vector<StageHistory>& histories, const std::vector<StageHistory>& former,
               const Scans& scans, const DefinitionRecords& definitions, Strangers strangers,
               Findings& findings)
      : histories_(histories),
        former_(former),
        scans_(scans),
        definitions_(definitions),
        strangers_(strangers),
        findings_(findings),
        reset_(reset_that_began(histories, former)) {}

  void check() {
    gather();
    for (const auto& [partition, scan] : scans_) {
      const auto topic = topics_.find(partition.topic);
      if (topic == topics_.end() && !expected_.contains(partition)) {
        continue;
      }
      PartitionOutputs outputs(scan, expected_[partition]);
      outputs.align(outcomes_);
      check_deleted(scan, outputs);
      if (topic != topics_.end()) {
        check_strangers(topic->second, scan, outputs);
      }
    }
    for (const auto& [key, outcomes] : outcomes_) {
      const ReceiptEntry& entry = key.first->receipts[key.second];
      if (entry.is_settled) {
        judge(*key.first, entry, outcomes);
      }
    }
    for (const auto& [history, lost] : lost_states_) {
      findings_.not_covered(fmt::format(
          "topic {} was deleted by a reset, for its state begins empty: {} that stage {} wrote "
          "there before in {}",
          history->subject->aggregate->changelog_topic, count_of(lost.records, "record"),
          history->subject->id, count_of(lost.commits, "commit")));
    }
  }

 private:
  struct Topic {
    const StageHistory* history = nullptr;
    bool is_internal = false;
  };
  struct LostState {
    std::int64_t records = 0;
    std::int64_t commits = 0;
    std::optional<std::size_t> last_entry;
  };

  void gather() {
    for (const StageHistory& history : histories_) {
      if (history.subject->table) {
        continue;
      }
      const bool is_exactly_once = history.subject->is_exactly_once;
      for (const OutputTopicSubject& topic : history.subject->output_topics) {
        if (is_exactly_once) {
          topics_[topic.name] = {&history, topic.is_internal};
        }
      }
      for (std::size_t entry = 0; entry < history.receipts.size(); ++entry) {
        // A commit is judged by what it was, also when the file asks for less now.
        if (is_exactly_once || history.receipts[entry].is_transactional) {
          gather(history, entry);
        }
      }
    }
    for (const StageHistory& history : former_) {
      for (std::size_t entry = 0; entry < history.receipts.size(); ++entry) {
        if (history.receipts[entry].is_transactional) {
          gather(history, entry);
        }
      }
    }
  }

  /// A topic that the file has left, and that somebody has deleted since.
  bool is_left(const StageHistory& history, const std::string& topic) const {
    const auto& topics = history.subject->output_topics;
    return std::ranges::find(topics, topic, &OutputTopicSubject::name) == topics.end() &&
           scans_.lower_bound({topic, PartitionIndex(0)}) ==
               scans_.lower_bound({topic + std::string(1, '\0'), PartitionIndex(0)});
  }

  /// The reset deletes the changelog, and the next worker makes it: between them there is none.
  bool was_deleted_by_reset(const StageHistory& history, std::size_t index,
                            const std::string& topic) {
    const auto& aggregate = history.subject->aggregate;
    if (!aggregate || aggregate->changelog_topic != topic) {
      return false;
    }
    const ReceiptEntry& entry = history.receipts[index];
    const auto [state, is_new] =
        states_.try_emplace({&history, entry.receipt.definition}, StateOf::kUnknown);
    if (is_new) {
      state->second = state_of(definitions_, history.subject->id, entry.receipt.definition);
    }
    switch (state->second) {
      case StateOf::kBefore:
        return true;
      case StateOf::kBoth:
        return std::ranges::any_of(history.beginnings, [&](const auto& each) {
          const InputBeginning* reset = history.last_reset(each.first);
          return reset != nullptr && reset->entry > index;
        });
      default:
        return false;
    }
  }

  void gather(const StageHistory& history, std::size_t index) {
    const ReceiptEntry& entry = history.receipts[index];
    for (const protocol::Receipt::Output& output : entry.receipt.outputs) {
      const TopicPartition partition{output.name, output.partition};
      const RecordTotals totals{output.record_count, output.record_hash_sum};
      if (scans_.contains(partition)) {
        expected_[partition][entry.producer].push_back({&history, index, totals});
      } else if (was_deleted_by_reset(history, index, output.name)) {
        outcomes_[{&history, index}].push_back({Fate::kDeleted, partition, totals, std::nullopt});
        LostState& lost = lost_states_[&history];
        lost.records += output.record_count;
        lost.commits += lost.last_entry == index ? 0 : 1;
        lost.last_entry = index;
      } else if (!is_left(history, output.name)) {
        outcomes_[{&history, index}].push_back({Fate::kAbsent, partition, totals, std::nullopt});
      }
    }
  }

  // What was deleted had an offset each, before those that are there. A topic of this name that
  // others have made anew begins where they have cut it.
  void check_deleted(const PartitionScan& scan, const PartitionOutputs& outputs) {
    const DeletedCommits& deleted = outputs.deleted();
    if (deleted.record_count == 0 || scan.is_compacted()) {
      return;
    }
    const std::string& stage = deleted.history->subject->id;
    const std::string what = fmt::format(
        "{}: none of the {} is there that stage {} wrote in {}{}, and the topic begins at offset "
        "{}",
        name_of(scan.partition()), count_of(deleted.record_count, "record"), stage,
        deleted.commit_count == 1
            ? std::string()
            : fmt::format("{}, up to ", count_of(deleted.commit_count, "commit")),
        name_of(deleted.history->receipts[deleted.entry]), scan.start().value);
    const std::int64_t gone = deleted.record_count + outputs.cut_record_count();
    const std::int64_t more = gone - scan.start().value;
    if (more > 0) {
      findings_.add(FindingKind::kMissing, stage, more,
                    what + fmt::format(", so at least {} not deleted from its beginning: it is "
                                       "another topic of this name than the one that had them, or "
                                       "has lost them",
                                       more == 1 ? "1 was" : fmt::format("{} were", more)));
    } else if (!outputs.has_any_commit() || was_another(scan.partition())) {
      findings_.not_covered(what +
                            ": they were deleted since, or it is another topic of this name "
                            "than the one that had them");
    }
  }

  // As the receipts of those say that read it.
  bool was_another(const TopicPartition& partition) const {
    return std::ranges::any_of(histories_, [&](const StageHistory& history) {
      return history.former.contains(partition);
    });
  }

  void check_strangers(const Topic& topic, const PartitionScan& scan,
                       const PartitionOutputs& outputs) {
    std::int64_t allowed = 0;
    std::int64_t before_reset = 0;
    for (const PartitionTransaction& stranger : outputs.strangers()) {
      // Where receipts or records were deleted from the beginning, the first ones have lost their
      // other half.
      if (topic.history->is_cut && stranger.first_offset < outputs.first_known_offset()) {
        continue;
      }
      // Its receipts have gone with the reset; a topic between stages has gone, too.
      if (reset_ && !topic.is_internal && stranger.first_offset < outputs.first_known_offset()) {
        before_reset += stranger.totals.count;
        continue;
      }
      const PartitionTransaction* twin = find_twin(scan, stranger);
      if (twin == nullptr && !topic.is_internal && strangers_ == Strangers::kAllowed) {
        allowed += stranger.totals.count;
        continue;
      }
      if (twin != nullptr) {
        findings_.add(
            FindingKind::kDoubled, topic.history->subject->id, stranger.totals.count,
            fmt::format("{} hold the same {} as {}, and no receipt accounts for the second",
                        place_of(scan, stranger), count_of(stranger.totals.count, "record"),
                        place_of(scan, *twin)));
      } else {
        findings_.add(FindingKind::kForeign, topic.history->subject->id, stranger.totals.count,
                      fmt::format("{}: {} of producer {} epoch {} that belong to no receipt",
                                  place_of(scan, stranger),
                                  count_of(stranger.totals.count, "committed record"),
                                  stranger.producer.id.value, stranger.producer.epoch.value));
      }
    }
    if (before_reset > 0) {
      findings_.not_covered(fmt::format(
          "{}: {} that no receipt accounts for, before the first that stage {} wrote after the "
          "reset of {}",
          name_of(scan.partition()), count_of(before_reset, "record"), topic.history->subject->id,
          to_iso8601_ms(*reset_)));
    }
    if (allowed > 0) {
      findings_.note(fmt::format("{}: {} of other writers", name_of(scan.partition()),
                                 count_of(allowed, "record")));
    }
  }

  /// Another committed transaction with the same records, which a receipt accounts for.
  const PartitionTransaction* find_twin(const PartitionScan& scan,
                                        const PartitionTransaction& stranger) {
    auto [twins, is_new] = twins_.try_emplace(scan.partition());
    if (is_new) {
      for (const auto& [key, outcomes] : outcomes_) {
        for (const Outcome& outcome : outcomes) {
          if (outcome.partition == scan.partition() && outcome.fate == Fate::kThere) {
            twins->second.emplace(std::pair(outcome.expected.count, outcome.expected.hash_sum),
                                  *outcome.found);
          }
        }
      }
    }
    const auto place = twins->second.find({stranger.totals.count, stranger.totals.hash_sum});
    return place == twins->second.end() ? nullptr : &place->second;
  }

  void judge(const StageHistory& history, const ReceiptEntry& entry,
             const std::vector<Outcome>& outcomes) {
    const auto is_there = [](const Outcome& outcome) {
      return outcome.fate == Fate::kThere || outcome.fate == Fate::kDeleted ||
             outcome.fate == Fate::kCut;
    };
    const bool some_there = std::ranges::any_of(outcomes, is_there);
    for (const Outcome& outcome : outcomes) {
      if (outcome.fate == Fate::kCut) {
        tell_cut(history, entry, outcome);
      }
      if (outcome.expected.count == 0 || is_there(outcome)) {
        continue;
      }
      const std::string wrote = fmt::format("stage {} wrote {} to {} in {}", history.subject->id,
                                            count_of(outcome.expected.count, "record"),
                                            name_of(outcome.partition), name_of(entry));
      std::string text = wrote + describe(outcome);
      FindingKind kind = kind_of(outcome);
      if (outcome.fate == Fate::kAbsent && some_there) {
        kind = FindingKind::kTorn;
        text += ", while the rest of that commit is";
      }
      const std::int64_t there = outcome.fate == Fate::kDiffers ? outcome.found->totals.count : 0;
      const std::int64_t difference = std::abs(outcome.expected.count - there);
      findings_.add(kind, history.subject->id, std::max<std::int64_t>(1, difference),
                    std::move(text), surplus_of(outcome));
    }
  }

  // Whether what is left is what it was, nobody can say: its receipt has one sum for all of it.
  void tell_cut(const StageHistory& history, const ReceiptEntry& entry, const Outcome& outcome) {
    const std::int64_t deleted = outcome.expected.count - outcome.found->totals.count;
    findings_.not_covered(fmt::format(
        "{}: {} of the {} that stage {} wrote there in {} were deleted since (the topic begins at "
        "offset {}); the others, {}, cannot be compared with the receipt",
        name_of(outcome.partition), deleted, count_of(outcome.expected.count, "record"),
        history.subject->id, name_of(entry), scans_.at(outcome.partition).start().value,
        name_offsets(outcome.found->first_offset, outcome.found->last_offset + 1)));
  }

  static std::optional<Surplus> surplus_of(const Outcome& outcome) {
    if (outcome.fate != Fate::kDiffers || outcome.found->totals.count <= outcome.expected.count) {
      return std::nullopt;
    }
    return Surplus{.partition = outcome.partition,
                   .from = outcome.found->first_offset,
                   .next = outcome.found->last_offset + 1,
                   .producer = outcome.found->producer,
                   .record_count = outcome.found->totals.count - outcome.expected.count,
                   .hash_sum = outcome.found->totals.hash_sum - outcome.expected.hash_sum};
  }

  static FindingKind kind_of(const Outcome& outcome) {
    switch (outcome.fate) {
      case Fate::kNotEnded:
      case Fate::kAborted:
        return FindingKind::kTorn;
      case Fate::kDiffers:
        return outcome.found->totals.count < outcome.expected.count   ? FindingKind::kMissing
               : outcome.found->totals.count > outcome.expected.count ? FindingKind::kDoubled
                                                                      : FindingKind::kAltered;
      default:
        return FindingKind::kMissing;
    }
  }

  static std::string describe(const Outcome& outcome) {
    if (!outcome.found) {
      return "; none are there";
    }
    const std::string offsets =
        name_offsets(outcome.found->first_offset, outcome.found->last_offset + 1);
    switch (outcome.fate) {
      case Fate::kNotEnded:
        return fmt::format("; at {} they are in a transaction that was never ended", offsets);
      case Fate::kAborted:
        return fmt::format("; at {} they are in a transaction that was aborted", offsets);
      default:
        break;
    }
    if (outcome.found->totals.count == outcome.expected.count) {
      return fmt::format("; {} hold as many, but not the same", offsets);
    }
    return fmt::format("; {} hold {}", offsets, count_of(outcome.found->totals.count, "record"));
  }

  const std::vector<StageHistory>& histories_;
  const std::vector<StageHistory>& former_;
  const Scans& scans_;
  const DefinitionRecords& definitions_;
  const Strangers strangers_;
  Findings& findings_;
  const std::optional<WallTime> reset_;
  std::map<std::string, Topic> topics_;
  std::map<std::pair<const StageHistory*, std::uint64_t>, StateOf> states_;  ///< by definition
  std::map<const StageHistory*, LostState> lost_states_;
  std::map<TopicPartition, ByProducer> expected_;
  std::map<EntryKey, std::vector<Outcome>> outcomes_;
  std::map<TopicPartition, std::map<std::pair<std::int64_t, std::uint64_t>, PartitionTransaction>>
      twins_;
};

}  // namespace

void check_topic_outputs(const std::vector<StageHistory>& histories,
                         const std::vector<StageHistory>& former, const Scans& scans,
                         const DefinitionRecords& definitions, Strangers strangers,
                         Findings& findings) {
  TopicOutputs(histories, former, scans, definitions, strangers, findings).check();
}

bool waits_for_markers(const std::vector<StageHistory>& histories, const Scans& scans) {
  for (const StageHistory& history : histories) {
    for (const ReceiptEntry& entry : history.receipts) {
      for (const protocol::Receipt::Output& output : entry.receipt.outputs) {
        const auto scan = scans.find({output.name, output.partition});
        if (entry.is_settled && scan != scans.end() && scan->second.is_open(entry.producer)) {
          return true;
        }
      }
    }
  }
  return false;
}

}  // namespace onceflow::audit
