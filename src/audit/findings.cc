#include "audit/findings.h"

#include <utility>

namespace onceflow::audit {

std::string to_string(FindingKind kind) {
  switch (kind) {
    case FindingKind::kMissing:
      return "missing";
    case FindingKind::kDoubled:
      return "doubled";
    case FindingKind::kAltered:
      return "altered";
    case FindingKind::kTorn:
      return "torn";
    case FindingKind::kForeign:
      return "foreign";
  }
  return "unknown";
}

void Findings::add(FindingKind kind, const std::string& stage, std::int64_t record_count,
                   std::string text, std::optional<Surplus> surplus) {
  Totals& totals = totals_[index(kind)];
  ++totals.findings;
  totals.records += record_count;
  ++of_stage_[stage];
  std::vector<Finding>& kept = kept_[index(kind)];
  if (kept.size() < kept_max_) {
    kept.push_back({kind, stage, std::move(text), record_count, std::move(surplus)});
  }
}

void Findings::note(std::string text) {
  if (notes_.size() < kept_max_) {
    notes_.push_back(std::move(text));
  }
}

void Findings::not_covered(std::string text) {
  ++not_covered_count_;
  note("not covered: " + std::move(text));
}

void Findings::skipped(std::int64_t offset_count, std::string text) {
  skipped_offset_count_ += offset_count;
  note("skipped by operator: " + std::move(text));
}

std::vector<Finding> Findings::kept() const {
  std::vector<Finding> all;
  for (const std::vector<Finding>& kept : kept_) {
    all.insert(all.end(), kept.begin(), kept.end());
  }
  return all;
}

std::vector<Finding*> Findings::with_surplus() {
  std::vector<Finding*> found;
  for (std::vector<Finding>& kept : kept_) {
    for (Finding& finding : kept) {
      if (finding.surplus) {
        found.push_back(&finding);
      }
    }
  }
  return found;
}

std::int64_t Findings::count() const {
  std::int64_t count = 0;
  for (const Totals& totals : totals_) {
    count += totals.findings;
  }
  return count;
}

std::int64_t Findings::count_of_stage(const std::string& stage) const {
  const auto place = of_stage_.find(stage);
  return place == of_stage_.end() ? 0 : place->second;
}

}  // namespace onceflow::audit
