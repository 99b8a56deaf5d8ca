#include "pipeline/group_times.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>

#include "engine/stage_options.h"

namespace onceflow::pipeline {
namespace {

constexpr std::int64_t kSessionMsMin = 1'000;
constexpr std::int64_t kSessionMsMax = 1'800'000;
constexpr std::int64_t kHeartbeatMsMin = 50;
constexpr std::int64_t kPollMsMax = 86'400'000;
/// A rebalance waits for the commit that is open: check_times() of the engine has the same rule.
const std::int64_t kPollMsMin = to_ms(engine::StageOptions().transaction_wait_max) + 1;
/// Two heartbeats may be lost within a session.
constexpr std::int64_t kHeartbeatsPerSession = 3;

struct Setting {
  std::int64_t ms = 0;
  int line = 1;
  bool is_set = false;
};

Setting read_ms(YamlReader& reader, const YAML::Node& kafka, const std::string& key,
                std::int64_t fallback, std::int64_t min, std::int64_t max) {
  Setting setting{.ms = fallback};
  const auto node = reader.find(kafka, key);
  if (!node) {
    return setting;
  }
  setting.line = YamlReader::line_of(*node);
  const std::string text = reader.setting(*node, key).value_or("");
  std::int64_t ms = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), ms);
  if (error != std::errc{} || end != text.data() + text.size() || ms < min || ms > max) {
    reader.report(*node, fmt::format("`{}: {}`", key, text),
                  fmt::format("it is a whole number of milliseconds, from {} to {}", min, max),
                  fmt::format("write for example `{}: {}`", key, fallback));
    return setting;
  }
  setting.ms = ms;
  setting.is_set = true;
  return setting;
}

}  // namespace

GroupTimes read_group_times(YamlReader& reader, const YAML::Node& kafka) {
  const GroupTimes defaults;
  const Setting session = read_ms(reader, kafka, "session.timeout.ms",
                                  defaults.session_timeout.count(), kSessionMsMin, kSessionMsMax);
  const std::int64_t heartbeat_ms_max = session.ms / kHeartbeatsPerSession;
  const Setting heartbeat =
      read_ms(reader, kafka, "heartbeat.interval.ms",
              std::min<std::int64_t>(defaults.heartbeat_interval.count(), heartbeat_ms_max),
              kHeartbeatMsMin, kSessionMsMax);
  const Setting poll =
      read_ms(reader, kafka, "max.poll.interval.ms",
              std::max<std::int64_t>(defaults.max_poll_interval.count(), session.ms), kSessionMsMin,
              kPollMsMax);
  if (heartbeat.ms > heartbeat_ms_max) {
    reader.report(heartbeat.line,
                  fmt::format("`heartbeat.interval.ms: {}` with a session.timeout.ms of {}",
                              heartbeat.ms, session.ms),
                  "a third of session.timeout.ms at most, so that one lost heartbeat does not "
                  "end a session",
                  fmt::format("write `heartbeat.interval.ms: {}`, or less", heartbeat_ms_max));
  }
  if (poll.ms < kPollMsMin) {
    reader.report(
        poll.line, fmt::format("`max.poll.interval.ms: {}`", poll.ms),
        fmt::format("longer than {} ms: a rebalance waits for the commit that is open, "
                    "and a commit may wait that long",
                    kPollMsMin - 1),
        fmt::format("write `max.poll.interval.ms: {}`, or more", std::max(kPollMsMin, session.ms)));
  } else if (poll.ms < session.ms) {
    reader.report(poll.line,
                  fmt::format("`max.poll.interval.ms: {}` with a session.timeout.ms of {}", poll.ms,
                              session.ms),
                  "session.timeout.ms at least: in a rebalance a worker that lives has no less "
                  "time than one that may be dead",
                  fmt::format("write `max.poll.interval.ms: {}`, or more", session.ms));
  }
  return {.session_timeout = milliseconds(session.ms),
          .heartbeat_interval = milliseconds(heartbeat.ms),
          .max_poll_interval = milliseconds(poll.ms)};
}

}  // namespace onceflow::pipeline
