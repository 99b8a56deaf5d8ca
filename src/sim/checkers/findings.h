// Findings: promises that a simulated run saw broken, by the invariant's id (INVARIANTS.md). Owned
// by the run.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace onceflow::sim {

struct Finding {
  std::string invariant;
  std::string text;
};

class Findings {
 public:
  /// After the first few, only the fact counts.
  void report(std::string_view invariant, std::string text) {
    if (on_finding_) {
      on_finding_(std::string(invariant) + " is broken: " + text);
    }
    if (findings_.size() < kKept) {
      findings_.push_back({std::string(invariant), std::move(text)});
    }
  }
  bool empty() const { return findings_.empty(); }
  const std::vector<Finding>& all() const { return findings_; }
  /// For the run's log.
  void on_finding(std::function<void(std::string)> listener) { on_finding_ = std::move(listener); }

 private:
  static constexpr std::size_t kKept = 20;
  std::vector<Finding> findings_;
  std::function<void(std::string)> on_finding_;
};

}  // namespace onceflow::sim
