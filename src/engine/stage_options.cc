#include "engine/stage_options.h"

#include <fmt/format.h>

namespace onceflow::engine {
namespace {

// What is longer has to be longer for the sake of what is shorter.
struct TimeRule {
  std::string_view longer_name;
  Duration longer;
  std::string_view shorter_name;
  Duration shorter;
  std::string_view why;
};

}  // namespace

Duration StageOptions::transaction_timeout() const {
  return seeded_bug == SeededBug::kTimeoutApartFromInterval
             ? transaction_wait_max
             : commit_interval + transaction_wait_max;
}

Status check_times(const StageOptions& options) {
  const TimeRule rules[] = {
      {"session.timeout.ms", options.group.session_timeout, "heartbeat.interval.ms",
       2 * options.group.heartbeat_interval, "one lost heartbeat must not end the membership"},
      {"max.poll.interval.ms", options.group.rebalance_timeout, "the waits of a commit",
       options.transaction_wait_max, "a rebalance waits for the open commit"},
      {"delivery.timeout.ms", options.producer.delivery_timeout, "linger.ms",
       options.producer.linger, "a batch must be sent before it is given up"},
      {"the time-out of calls", options.call_timeout, "fetch.max.wait.ms",
       options.fetch.fetch_wait_max, "a fetch that waits for data is not a lost call"},
  };
  for (const TimeRule& rule : rules) {
    if (rule.longer <= rule.shorter) {
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("{} is {} ms and must be longer than {} ms ({}): {}; make it longer",
                              rule.longer_name, to_ms(rule.longer), to_ms(rule.shorter),
                              rule.shorter_name, rule.why));
    }
  }
  return {};
}

}  // namespace onceflow::engine
