#include "engine/definition_fence.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "base/log_line.h"

namespace onceflow::engine {
namespace {

using Kind = protocol::PipelineDefinition::Kind;

std::string named(const std::string& file) { return file.empty() ? "FILE" : file; }

Status reset_since(const DefinitionFence::Look& look) {
  const ResetMark& reset = *look.known.newest_reset();
  return fail(
      ErrorCode::kRefused,
      fmt::format(
          "pipeline '{}' was reset while this worker was away ({} at {}); the rule: a worker goes "
          "on only with what it began with, and a reset has changed that; what it had open is "
          "undone; the fix: start it again{}: onceflow run {}",
          look.own.pipeline, reset.kind == Kind::kResetBegun ? "begun" : "ended",
          to_iso8601_ms(WallTime(reset.written_at_ms)),
          reset.kind == Kind::kResetBegun ? " when the reset has ended" : "", named(look.file)));
}

Status overtaken(const DefinitionFence::Look& look, Recovery recovery) {
  const bool are_seen = !look.others.empty();
  return fail(
      ErrorCode::kRefused,
      fmt::format("pipeline '{}' has another definition by now: {}; the rule: all its workers go "
                  "by one, or what becomes of a record depends on its partition; the fix: {}; "
                  "onceflow plan {} shows what differs",
                  look.own.pipeline,
                  are_seen
                      ? describe({look.others.begin(), look.others.end()})
                      : fmt::format("one of {}, while this worker was away",
                                    to_iso8601_ms(WallTime(look.known.current().written_at_ms))),
                  are_seen ? "start this one with the file that the others have, or stop them first"
                           : "start this one with the file that the pipeline has now",
                  named(look.file)),
      recovery);
}

}  // namespace

void DefinitionFence::begin(const KnownDefinition& known) {
  reset_at_start_ = known.newest_reset();
}

Status DefinitionFence::check(const Look& look, MonotonicTime now) {
  if (look.known.newest_reset() && look.known.newest_reset() != reset_at_start_) {
    return reset_since(look);
  }
  if (!look.known.is_known() || look.known.current().is_same_pipeline(look.own)) {
    overtaken_since_.reset();  // Where the topic is gone, the next start says so.
    return {};
  }
  const std::uint64_t current = protocol::definition_hash(look.known.current().text());
  if (!look.others.empty() && is_rolling_change(look.rolling, look.others)) {
    goes_beside_ = current;
  }
  if (goes_beside_ == current) {
    overtaken_since_.reset();
    return {};
  }
  if (!overtaken_since_) {
    overtaken_since_ = now;
  }
  const bool may_be_joining = look.others.empty() && now - *overtaken_since_ < kOthersAwaited;
  return overtaken(look, may_be_joining ? Recovery::kRetriable : Recovery::kFatal);
}

}  // namespace onceflow::engine
