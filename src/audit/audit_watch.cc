#include "audit/audit_watch.h"

#include <fmt/format.h>

#include <utility>

namespace onceflow::audit {

std::string to_string(AuditState state) {
  switch (state) {
    case AuditState::kNever:
      return "never";
    case AuditState::kRunning:
      return "running";
    case AuditState::kClean:
      return "clean";
    case AuditState::kPartly:
      return "partly";
    case AuditState::kFindings:
      return "findings";
    case AuditState::kFailed:
      return "failed";
  }
  return "unknown";
}

void AuditWatch::begin(MonotonicTime now) {
  running_since_ = now;
  progress_ = {.doing = "starting"};
  if (state_ == AuditState::kNever) {
    state_ = AuditState::kRunning;
  }
}

void AuditWatch::progress(AuditProgress progress) { progress_ = std::move(progress); }

std::vector<std::string> AuditWatch::end(Result<AuditReport> report, MonotonicTime now,
                                         WallTime wall_now) {
  const Duration took = now - running_since_.value_or(now);
  running_since_.reset();
  if (!report) {
    const bool is_news = state_ != AuditState::kFailed || reason_ != report.error().text;
    state_ = AuditState::kFailed;
    reason_ = std::move(report).error().text;
    ++counts_[static_cast<std::size_t>(state_)];
    return is_news ? std::vector{"cannot judge: " + reason_} : std::vector<std::string>{};
  }
  const AuditState before = std::exchange(state_, report->has_findings() ? AuditState::kFindings
                                                  : report->is_partly()  ? AuditState::kPartly
                                                                         : AuditState::kClean);
  ++counts_[static_cast<std::size_t>(state_)];
  reason_.clear();
  std::vector<std::string> news = judge(*report);
  if (!news.empty() || state_ != before) {
    news.push_back(audit::verdict(*report));
  }
  verdict_ = std::make_shared<const Verdict>(std::move(*report), wall_now, now, took);
  if (state_ != AuditState::kFindings) {
    last_clean_ = verdict_;
  }
  return news;
}

std::vector<std::string> AuditWatch::judge(const AuditReport& report) {
  std::vector<std::string> news;
  for (const Finding& finding : report.findings.kept()) {
    std::string text = fmt::format("{}: {}", to_string(finding.kind), finding.text);
    if (told_.size() >= kToldMax || !told_.insert(text).second) {
      continue;
    }
    news.push_back(std::move(text));
    if (told_.size() == kToldMax) {
      news.push_back(
          fmt::format("{} findings were named; further ones are counted only", kToldMax));
    }
  }
  return news;
}

}  // namespace onceflow::audit
