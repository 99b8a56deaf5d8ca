#include "engine/compaction.h"

#include <fmt/format.h>

#include <set>
#include <string>
#include <variant>

#include "client/admin.h"
#include "client/kafka_commands.h"
#include "protocol/definition.h"

namespace onceflow::engine {
namespace {

Task<bool> is_compacted(std::shared_ptr<client::Cluster> cluster, std::string topic,
                        MonotonicTime deadline) {
  if (!co_await cluster->existing_topic(topic, deadline)) {
    co_return false;
  }
  client::Admin admin(std::move(cluster));
  const auto policy = co_await admin.topic_config(std::move(topic), "cleanup.policy", deadline);
  co_return policy && policy->contains("compact");
}

std::string what_is_lost(const Stage& stage) {
  const auto* sink = std::get_if<SinkOutput>(&stage.output);
  if (sink == nullptr) {
    return "its results will lack them";
  }
  return sink->table.mode == connectors::SinkMode::kAppend
             ? fmt::format("table {} will lack their rows", sink->table.table)
             : fmt::format(
                   "table {} takes the last record of a key, and may keep a row whose "
                   "deletion was compacted away",
                   sink->table.table);
}

LogEvent warning(const client::ClientOptions& client, const Stage& stage,
                 const std::string& topic) {
  return {.level = LogLevel::kWarn,
          .stage = stage.id,
          .event = "compacted topic",
          .text = fmt::format(
              "{} has cleanup.policy=compact: records may be compacted away before the stage has "
              "read them, and {}; the fix: cleanup.policy=delete, or a min.compaction.lag.ms "
              "longer than the stage is ever away: {}",
              topic, what_is_lost(stage),
              client::settings_command(client, topic, "min.compaction.lag.ms=604800000"))};
}

}  // namespace

Task<Status> check_compaction(std::shared_ptr<client::Cluster> cluster, const Plan& plan,
                              MonotonicTime deadline, const TellEvent& tell) {
  std::set<std::string> own = {protocol::definitions_topic(plan.pipeline)};
  std::set<std::string> tables;
  for (const TopicSpec& spec : plan.topics) {
    if (!spec.is_users) {
      (spec.compacted ? tables : own).insert(spec.name);
    }
  }
  for (const std::string& topic : own) {
    if (co_await is_compacted(cluster, topic, deadline)) {
      co_return fail(
          ErrorCode::kRefused,
          fmt::format(
              "topic {} has cleanup.policy=compact; the rule: a topic of the pipeline's "
              "own keeps every record until it has been read, and compaction takes all but "
              "the last of each key; the fix: {}; then onceflow audit says whether "
              "something was lost",
              topic, client::settings_command(cluster->options(), topic, "cleanup.policy=delete")));
    }
  }
  for (const Stage& stage : plan.stages) {
    for (const std::string& topic : stage.source_topics) {
      if (!own.contains(topic) && !tables.contains(topic) &&
          co_await is_compacted(cluster, topic, deadline)) {
        tell(warning(cluster->options(), stage, topic));
      }
    }
  }
  co_return Status{};
}

}  // namespace onceflow::engine
