#include "engine/stage_news.h"

#include <fmt/format.h>

namespace onceflow::engine {
namespace {

constexpr std::int64_t kLinesAtOnce = 12;
constexpr Duration kLineInterval = seconds(10);
/// What is in the way shows itself as several errors, one after the other; the first is told at
/// once, and another one if it lasts.
constexpr Duration kFirstCauseStands = seconds(30);

LogLevel level_of(StageState state) {
  switch (state) {
    case StageState::kFailed:
      return LogLevel::kError;
    case StageState::kWaitingForTopic:
    case StageState::kHeldBack:
    case StageState::kStalled:
    case StageState::kRetrying:
      return LogLevel::kWarn;
    default:
      return LogLevel::kInfo;
  }
}

}  // namespace

std::string to_text(Duration duration) {
  const auto whole = std::chrono::duration_cast<seconds>(duration).count();
  constexpr std::int64_t kMinute = 60;
  constexpr std::int64_t kHour = 60 * kMinute;
  constexpr std::int64_t kDay = 24 * kHour;
  if (whole < kMinute) {
    return fmt::format("{:.1f} s", std::chrono::duration<double>(duration).count());
  }
  if (whole < kHour) {
    return fmt::format("{} min {} s", whole / kMinute, whole % kMinute);
  }
  if (whole < kDay) {
    return fmt::format("{} h {} min", whole / kHour, whole % kHour / kMinute);
  }
  return fmt::format("{} d {} h", whole / kDay, whole % kDay / kHour);
}

StageNews::StageNews(StageStatus& status, const io::Clock& clock, TellEvent tell)
    : status_(status),
      clock_(clock),
      tell_(std::move(tell)),
      limiter_(kLinesAtOnce, kLineInterval),
      told_since_(clock.now()) {}

void StageNews::on(StageEvent event, StageCause cause, Aloud aloud) {
  if (status_.life.on(event, std::move(cause), clock_.now()) && aloud == Aloud::kYes) {
    has_untold_ = true;
    tell_if_due();
  }
}

void StageNews::doing(std::string what) {
  status_.doing = std::move(what);
  status_.doing_since = clock_.now();
}

void StageNews::note(LogLevel level, std::string event, std::string text) {
  if (limiter_.allow(clock_.now())) {
    tell_({.level = level,
           .stage = status_.stage,
           .event = std::move(event),
           .text = std::move(text)});
  }
}

void StageNews::tick() {
  if (has_untold_ && limiter_.is_open(clock_.now())) {
    tell_if_due();
  }
}

void StageNews::tell_if_due() {
  const bool is_another_cause =
      status_.state() == StageState::kRetrying && told_state_ == StageState::kRetrying;
  if (is_another_cause && clock_.now() - told_since_ < kFirstCauseStands) {
    return;
  }
  has_untold_ = !limiter_.allow(clock_.now());
  if (!has_untold_) {
    tell_state();
  }
}

void StageNews::tell_state() {
  const StageLife& life = status_.life;
  const StageState state = life.state();
  const MonotonicTime now = clock_.now();
  std::string text = life.cause().what;
  const auto add = [&](const std::string& more) {
    if (!more.empty()) {
      text += (text.empty() ? "" : "; ") + more;
    }
  };
  add(life.cause().remedy);
  if (state != told_state_) {
    add(fmt::format("was {} for {}", to_string(told_state_), to_text(now - told_since_)));
    told_state_ = state;
    told_since_ = now;
  }
  // Lines of a flood that were left out are part of what happened.
  if (const std::uint64_t left_out = limiter_.take_held_back_count(); left_out > 0) {
    add(fmt::format("{} lines before this one were left out", left_out));
  }
  tell_(
      {.level = level_of(state), .stage = status_.stage, .event = to_string(state), .text = text});
}

}  // namespace onceflow::engine
