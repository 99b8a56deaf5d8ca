#include "audit/claims/definitions.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "audit/names.h"
#include "base/log_line.h"
#include "base/time.h"

namespace onceflow::audit {
namespace {

using Kind = protocol::PipelineDefinition::Kind;
using Place = DefinitionRecords::Place;

constexpr std::size_t kNamedPartitionsMax = 8;
constexpr std::size_t kNamedPartsMax = 4;

/// Those of `lines` that are not among `others`, each once, in their order.
std::vector<std::string> lines_only_in(const std::vector<std::string>& lines,
                                       const std::vector<std::string>& others) {
  std::vector<std::string> found;
  for (const std::string& line : lines) {
    std::string quoted = "`" + line + "`";
    if (std::ranges::find(others, line) == others.end() &&
        std::ranges::find(found, quoted) == found.end()) {
      found.push_back(std::move(quoted));
    }
  }
  return found;
}

/// How a definition came to the state of the one before it.
enum class WayOfState : std::uint8_t { kUnsaid, kKept, kBegunAnew };

/// Which states a stage has had, by the records that count (docs/formats/definition.md). Each
/// generation begins empty; a later record says nothing of what an earlier one did.
class StateGenerations {
 public:
  StateGenerations(const std::vector<protocol::PipelineDefinition>& records,
                   const std::string& stage) {
    std::optional<std::string> begun;  // what the reset was told
    const protocol::PipelineDefinition::Stage* begins = nullptr;
    for (const protocol::PipelineDefinition& record : records) {
      if (record.kind == Kind::kResetBegun) {
        begun = begun.value_or(record.flags);
        begins = record.find(stage);
      } else if (record.kind != Kind::kRun) {
        add(record, record.find(stage), starts_over(std::exchange(begun, {}).value_or("")));
      } else if (!begun && goes_on(record.find(stage))) {
        add(record, record.find(stage), false);
      }
    }
    if (begun) {
      is_ending_ = starts_over(*begun) || begins == nullptr || begins->state != state_;
    }
  }

  /// Which of them a definition has made.
  StateOf of(std::uint64_t definition) const {
    bool is_now = false;
    bool is_before = false;
    for (const Step& step : steps_) {
      if (step.definition == definition) {
        (step.generation == generation_ && !is_ending_ ? is_now : is_before) = true;
      }
    }
    return is_now && is_before ? StateOf::kBoth
           : is_now            ? StateOf::kNow
           : is_before         ? StateOf::kBefore
                               : StateOf::kUnknown;
  }

  /// The worst of the ways there are: a receipt names a definition, and not which of its records.
  WayOfState way(std::uint64_t former, std::uint64_t later) const {
    WayOfState found = WayOfState::kUnsaid;
    for (auto from = steps_.begin(); from != steps_.end(); ++from) {
      for (auto to = from; from->definition == former && to != steps_.end(); ++to) {
        if (to->definition == later) {
          if (to->generation == from->generation) {
            return WayOfState::kKept;
          }
          found = WayOfState::kBegunAnew;
        }
      }
    }
    return found;
  }

 private:
  struct Step {
    std::uint64_t definition = 0;
    std::int64_t generation = 0;
  };

  /// Whatever the file has changed. Where a version did not keep what it was told, nobody knows.
  static bool starts_over(std::string_view flags) {
    return !flags.empty() && !flags.starts_with("--to-current");
  }

  /// A worker changes no state; another one's file does not count.
  bool goes_on(const protocol::PipelineDefinition::Stage* stage) const {
    return !is_known_ || (stage != nullptr && stage->state == state_);
  }

  void add(const protocol::PipelineDefinition& record,
           const protocol::PipelineDefinition::Stage* stage, bool is_anew) {
    const std::string state = stage == nullptr ? std::string() : stage->state;
    const bool is_kept = state == state_ || (record.kind == Kind::kStatesKept && !state_.empty());
    generation_ += is_anew || !is_kept ? 1 : 0;
    state_ = state;
    is_known_ = true;
    if (stage != nullptr) {
      steps_.push_back({protocol::definition_hash(stage->text()), generation_});
    }
  }

  std::vector<Step> steps_;
  std::string state_;
  std::int64_t generation_ = 0;
  bool is_known_ = false;
  bool is_ending_ = false;  ///< a reset that begins it anew has begun, and has not ended
};

class DefinitionCheck {
 public:
  DefinitionCheck(const StageHistory& history, const DefinitionRecords& known, Findings& findings)
      : history_(history),
        known_(known),
        stage_(history.subject->id),
        generations_(known.all(), stage_),
        findings_(findings) {}

  std::size_t run() {
    gather();
    if (!first_entries_.empty() && !known_.exists()) {
      findings_.not_covered(fmt::format(
          "stage {}: its receipts name the definitions that judged its records, but topic {}, "
          "which held them, does not exist",
          stage_, known_.topic()));
      return first_entries_.size();
    }
    tell_unknown();
    tell_unnamed();
    check_states();
    if (order_.size() > 1) {
      tell_parts();
    }
    return first_entries_.size();
  }

 private:
  struct Part {
    std::uint64_t definition = 0;
    Offset from;
    Offset next;
  };

  void gather() {
    for (std::size_t index = 0; index < history_.receipts.size(); ++index) {
      const ReceiptEntry& entry = history_.receipts[index];
      const std::uint64_t hash = entry.receipt.definition;
      if (!entry.is_settled) {
        continue;
      }
      if (hash == 0) {
        unnamed_count_ += has_moved(entry) ? 1 : 0;
        last_unnamed_ = has_moved(entry) ? index : last_unnamed_;
        continue;
      }
      ++commit_counts_[hash];
      if (!first_entries_.emplace(hash, index).second) {
        continue;
      }
      if (const Place place = known_.find(stage_, hash); place.stage != nullptr) {
        places_.emplace(hash, place);
        order_.push_back(hash);
      }
    }
  }

  void tell_unknown() {
    for (const auto& [hash, index] : first_entries_) {
      if (!places_.contains(hash)) {
        findings_.add(
            FindingKind::kAltered, stage_, 0,
            fmt::format("{} and {} after it name a definition of stage {} (hash {:016x}) that "
                        "topic {} does not hold: how their records were judged is not known",
                        name_of(history_.receipts[index]),
                        count_of(commit_counts_.at(hash) - 1, "commit"), stage_, hash,
                        known_.topic()));
      }
    }
  }

  // A version that kept no definitions, and then one that does: whether the file was changed
  // between the two, nobody can say.
  void tell_unnamed() {
    if (unnamed_count_ > 0 && !first_entries_.empty()) {
      findings_.not_covered(fmt::format(
          "stage {}: {} up to {} were made by an earlier version and name no definition: how their "
          "records were judged is not known, and the first definition that is known was taken to "
          "continue their state",
          stage_, count_of(unnamed_count_, "commit"), name_of(history_.receipts[last_unnamed_])));
    }
  }

  static bool has_moved(const ReceiptEntry& entry) {
    return std::ranges::any_of(entry.receipt.inputs, [](const protocol::Receipt::Input& input) {
      return input.next_offset != input.from_offset;
    });
  }

  std::string name_of_definition(std::uint64_t hash) const {
    const auto place = places_.find(hash);
    return place == places_.end()
               ? fmt::format("the unknown definition {:016x}", hash)
               : fmt::format(
                     "the definition of {}",
                     to_iso8601_ms(WallTime(known_.all()[place->second.index].written_at_ms)));
  }

  // From commit to commit; each change is told once.
  void check_states() {
    std::set<std::pair<std::uint64_t, std::uint64_t>> told;
    std::uint64_t before = 0;
    for (const ReceiptEntry& entry : history_.receipts) {
      const std::uint64_t hash = entry.receipt.definition;
      if (!entry.is_settled || !places_.contains(hash)) {
        continue;
      }
      if (before != 0 && before != hash && told.emplace(before, hash).second) {
        check_state(before, hash, entry);
        check_key(before, hash, entry);
      }
      before = hash;
    }
  }

  void check_state(std::uint64_t before, std::uint64_t after, const ReceiptEntry& entry) {
    const Place& former = places_.at(before);
    if (former.stage->state.empty() || former.stage->state == places_.at(after).stage->state) {
      return;
    }
    const std::string names = fmt::format("{} continues the state of {}", name_of_definition(after),
                                          name_of_definition(before));
    const std::string since = name_of(entry);
    switch (generations_.way(before, after)) {
      case WayOfState::kKept:
        findings_.not_covered(fmt::format(
            "stage {}: from {} on {}, as a reset has allowed (--keep-states): what the state holds "
            "of earlier records was computed by the former definition",
            stage_, since, names));
        break;
      case WayOfState::kBegunAnew:
        findings_.note(fmt::format("stage {}: from {} on it has a new state", stage_, since));
        break;
      case WayOfState::kUnsaid:
        findings_.add(FindingKind::kAltered, stage_, 0,
                      fmt::format("stage {}: from {} on {} without a reset: values of both are "
                                  "mixed in the state",
                                  stage_, since, names));
    }
  }

  // Rows of before are found by no later record, whatever a reset has said.
  void check_key(std::uint64_t before, std::uint64_t after, const ReceiptEntry& entry) {
    const std::vector<std::string> former = places_.at(before).stage->kept_by();
    const std::vector<std::string> later = places_.at(after).stage->kept_by();
    if (former != later) {
      findings_.not_covered(fmt::format(
          "stage {}: from {} on its rows are kept by {}, until then by {}: the earlier rows stay, "
          "and no later record updates or deletes them",
          stage_, name_of(entry), name_lines(lines_only_in(later, former)),
          name_lines(lines_only_in(former, later))));
    }
  }

  std::vector<Part> parts_of(const std::vector<InputRange>& ranges) const {
    std::vector<Part> parts;
    for (const InputRange& range : ranges) {
      const std::uint64_t hash = history_.receipts[range.entry].receipt.definition;
      if (parts.empty() || parts.back().definition != hash) {
        parts.push_back({hash, range.from, range.next});
      } else {
        parts.back().next = std::max(parts.back().next, range.next);
      }
    }
    return parts;
  }

  std::string describe(const TopicPartition& source, const std::vector<Part>& parts) const {
    std::vector<std::string> words;
    for (std::size_t index = 0; index < std::min(parts.size(), kNamedPartsMax); ++index) {
      const Part& part = parts[index];
      words.push_back(fmt::format("{} by {}", name_offsets(part.from, part.next),
                                  part.definition == 0 ? "a version that names no definition"
                                                       : name_of_definition(part.definition)));
    }
    if (parts.size() > kNamedPartsMax) {
      words.push_back(fmt::format("and so on, {} changes in all", parts.size() - 1));
    }
    return fmt::format("{} {}", name_of(source), fmt::join(words, ", "));
  }

  void tell_parts() {
    std::vector<std::string> sources;
    for (const auto& [source, ranges] : history_.ranges) {
      const std::vector<Part> parts = parts_of(ranges);
      if (!parts.empty() && sources.size() < kNamedPartitionsMax) {
        sources.push_back(describe(source, parts));
      }
    }
    std::vector<std::string> changes;
    for (std::size_t index = 1; index < order_.size(); ++index) {
      const auto before = protocol::definition_lines(places_.at(order_[index - 1]).stage->text());
      const auto after = protocol::definition_lines(places_.at(order_[index]).stage->text());
      changes.push_back(name_change(lines_only_in(before, after), lines_only_in(after, before)));
    }
    findings_.note(fmt::format("stage {}: its records were judged by {} definitions: {}; {}",
                               stage_, order_.size(), fmt::join(sources, "; "),
                               fmt::join(changes, "; ")));
  }

  static std::string name_change(const std::vector<std::string>& removed,
                                 const std::vector<std::string>& added) {
    const auto were = [](const std::vector<std::string>& lines, std::string_view what) {
      return fmt::format("{} {} {}", name_lines(lines), lines.size() == 1 ? "was" : "were", what);
    };
    if (removed.empty() && added.empty()) {
      return "the order of their lines changed";
    }
    if (added.empty()) {
      return were(removed, "removed");
    }
    return removed.empty() ? were(added, "added")
                           : fmt::format("{} became {}", name_lines(removed), name_lines(added));
  }

  static std::string name_lines(const std::vector<std::string>& lines) {
    return lines.empty() ? std::string("nothing") : fmt::format("{}", fmt::join(lines, ", "));
  }

  const StageHistory& history_;
  const DefinitionRecords& known_;
  const std::string& stage_;
  const StateGenerations generations_;
  Findings& findings_;
  std::map<std::uint64_t, std::size_t> first_entries_;  ///< of the receipts that name one
  std::map<std::uint64_t, std::int64_t> commit_counts_;
  std::map<std::uint64_t, Place> places_;  ///< of the known ones
  std::vector<std::uint64_t> order_;       ///< of their first receipts
  std::int64_t unnamed_count_ = 0;         ///< commits of a version that names none
  std::size_t last_unnamed_ = 0;
};

}  // namespace

std::size_t check_definitions(const StageHistory& history, const DefinitionRecords& known,
                              Findings& findings) {
  return DefinitionCheck(history, known, findings).run();
}

StateOf state_of(const DefinitionRecords& known, const std::string& stage,
                 std::uint64_t definition) {
  return StateGenerations(known.all(), stage).of(definition);
}

namespace {

const protocol::PipelineDefinition* unended_reset(const DefinitionRecords& known) {
  const protocol::PipelineDefinition* begun = nullptr;
  for (const protocol::PipelineDefinition& record : known.all()) {
    if (record.kind == Kind::kResetBegun) {
      begun = begun == nullptr ? &record : begun;
    } else if (record.kind != Kind::kRun) {
      begun = nullptr;
    }
  }
  return begun;
}

}  // namespace

std::string command_that_ends_reset(const DefinitionRecords& known) {
  const protocol::PipelineDefinition* begun = unended_reset(known);
  return begun == nullptr ? std::string()
                          : fmt::format("onceflow reset FILE {} --execute",
                                        begun->flags.empty() ? "--to-…" : begun->flags);
}

bool check_reset_has_ended(const DefinitionRecords& known, Findings& findings) {
  const protocol::PipelineDefinition* begun = unended_reset(known);
  if (begun == nullptr) {
    return false;
  }
  findings.not_covered(
      fmt::format("a reset was begun ({}) and has not ended: what it takes away is there in part, "
                  "and no worker starts; run the same command again: {}",
                  to_iso8601_ms(WallTime(begun->written_at_ms)), command_that_ends_reset(known)));
  return true;
}

}  // namespace onceflow::audit
