// AuditWatch: what is known from audits that are made again and again beside a running pipeline:
// the verdict of the last one, how far the last clean one came, and which findings have been told
// already. Pure: whoever makes the audits tells it when one begins and how it ended, and says in
// the log what it answers. One thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "audit/auditor.h"
#include "audit/report.h"
#include "base/result.h"
#include "base/time.h"

namespace onceflow::audit {

/// What is known of a pipeline. An audit that is under way changes it only if it is the first: a
/// verdict stands until the next one.
enum class AuditState {
  kNever,     ///< no audit has begun
  kRunning,   ///< the first has begun
  kClean,     ///< the last one accounted for everything
  kPartly,    ///< nothing is wrong, but a part was skipped by the operator or is not covered
  kFindings,  ///< the last one did not
  kFailed,    ///< the last one could not judge
};
inline constexpr AuditState kAuditStates[] = {AuditState::kNever,    AuditState::kRunning,
                                              AuditState::kClean,    AuditState::kPartly,
                                              AuditState::kFindings, AuditState::kFailed};

/// "never", "running", ...
std::string to_string(AuditState state);

/// The last audit that reached a verdict.
struct Verdict {
  AuditReport report;
  WallTime ended_at;
  MonotonicTime ended;
  Duration took{};
};

class AuditWatch {
 public:
  /// How many different findings are told by name; what comes after them is counted only.
  static constexpr std::size_t kToldMax = 1000;

  void begin(MonotonicTime now);
  void progress(AuditProgress progress);
  /// What is to be said: each new finding by name, and each change of the state. Nothing while all
  /// is as it was.
  std::vector<std::string> end(Result<AuditReport> report, MonotonicTime now, WallTime wall_now);

  AuditState state() const { return state_; }
  /// Of kFailed.
  const std::string& reason() const { return reason_; }
  /// Null if there is none yet. Shared with copies of this object: a report may be large, and those
  /// who show it are on another thread.
  const std::shared_ptr<const Verdict>& verdict() const { return verdict_; }
  /// The last verdict without a finding: up to its offsets all is accounted for.
  const std::shared_ptr<const Verdict>& last_clean() const { return last_clean_; }
  /// Of the audit that is under way; nullopt between two.
  std::optional<MonotonicTime> running_since() const { return running_since_; }
  const AuditProgress& latest_progress() const { return progress_; }
  /// Audits that ended in this state.
  std::uint64_t count(AuditState state) const { return counts_[static_cast<std::size_t>(state)]; }

 private:
  std::vector<std::string> judge(const AuditReport& report);

  AuditState state_ = AuditState::kNever;
  std::string reason_;
  std::shared_ptr<const Verdict> verdict_;
  std::shared_ptr<const Verdict> last_clean_;
  std::optional<MonotonicTime> running_since_;
  AuditProgress progress_;
  std::uint64_t counts_[std::size(kAuditStates)] = {};
  std::set<std::string> told_;
};

}  // namespace onceflow::audit
