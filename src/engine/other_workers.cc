#include "engine/other_workers.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

#include "client/admin.h"
#include "engine/stage_news.h"

namespace onceflow::engine {
namespace {

constexpr Duration kAskTimeout = seconds(3);
constexpr Duration kAskInterval = milliseconds(300);
/// Beyond the session, for the coordinator to notice.
constexpr Duration kGrace = seconds(1);
constexpr std::string_view kHash = " definition=";
constexpr std::string_view kRolling = " rolling-change";
constexpr int kHexadecimal = 16;

Error refusal_of(const std::vector<OtherWorker>& others, const OthersQuestion& question,
                 const std::string& difference, const std::string& file) {
  return {ErrorCode::kRefused,
          fmt::format("pipeline '{}' is run by another definition than this file: {}{}{}; the "
                      "rule: all its workers go by one, or what becomes of a record depends on its "
                      "partition; the fix: stop {}, then start with this file; or change the file "
                      "back; onceflow run {} --rolling-change goes on beside {} while a change is "
                      "rolled out, and the audit says which records were judged by which",
                      question.pipeline, describe(others), difference.empty() ? "" : "; here: ",
                      difference, others.size() == 1 ? "it" : "them", file.empty() ? "FILE" : file,
                      others.size() == 1 ? "it" : "them"),
          Recovery::kFatal};
}

}  // namespace

std::string with_definition(std::string note, const protocol::PipelineDefinition& definition,
                            Rolling rolling) {
  note += fmt::format("{}{:016x}", kHash, protocol::definition_hash(definition.text()));
  if (rolling == Rolling::kYes) {
    note += kRolling;
  }
  return note;
}

DefinitionNote parse_definition_note(std::string_view note) {
  DefinitionNote result;
  const std::size_t place = note.find(kHash);
  if (place == std::string_view::npos) {
    return result;
  }
  std::string_view rest = note.substr(place + kHash.size());
  std::uint64_t hash = 0;
  const auto [end, error] =
      std::from_chars(rest.data(), rest.data() + rest.size(), hash, kHexadecimal);
  if (error == std::errc()) {
    result.hash = hash;
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
  }
  if (rest == kRolling) {
    result.rolling = Rolling::kYes;
  }
  return result;
}

std::string describe(const std::vector<OtherWorker>& others) {
  std::vector<std::string> parts;
  parts.reserve(others.size());
  for (const OtherWorker& other : others) {
    parts.push_back(
        fmt::format("worker '{}': {} (group '{}')", other.worker, other.where, other.group_id));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

Task<std::vector<OtherWorker>> find_others(std::shared_ptr<client::Cluster> cluster,
                                           const PlaceOptions& options, OthersQuestion question) {
  client::Admin admin(cluster);
  const std::string prefix = question.pipeline + "-";
  std::vector<OtherWorker> others;
  for (const std::string& group_id : question.group_ids) {
    const auto group =
        co_await admin.describe_group(group_id, cluster->scheduler().now() + kAskTimeout);
    if (!group) {
      continue;
    }
    for (const client::GroupMemberDescription& member : group->members) {
      const std::string& instance = member.group_instance_id;
      if (!instance.starts_with(prefix) || instance == question.group_instance_id) {
        continue;
      }
      const DefinitionNote note = parse_definition_note(member.note);
      if (note.hash ? *note.hash == question.definition : question.is_known) {
        continue;
      }
      const MemberLife life = options.judge ? options.judge(member.note) : MemberLife::kUnknown;
      const std::string worker = instance.substr(prefix.size());
      if (life == MemberLife::kDead ||
          std::ranges::find(others, worker, &OtherWorker::worker) != others.end()) {
        continue;
      }
      std::string where = "address " + member.client_host;
      if (!member.note.empty() && options.describe) {
        where = fmt::format("{}, {}", options.describe(member.note), where);
      }
      others.push_back({.worker = worker,
                        .group_id = group_id,
                        .where = std::move(where),
                        .life = life,
                        .rolling = note.rolling,
                        .is_told = note.hash.has_value()});
    }
  }
  co_return others;
}

Task<Status> wait_for_others(std::shared_ptr<client::Cluster> cluster, PlaceOptions options,
                             OthersQuestion question, std::string difference, std::string file,
                             Duration session_timeout, std::function<bool()> must_stop,
                             std::function<void(StageCause)> waits) {
  io::Scheduler& scheduler = cluster->scheduler();
  const MonotonicTime until = scheduler.now() + session_timeout + kGrace;
  while (!must_stop()) {
    const std::vector<OtherWorker> others = co_await find_others(cluster, options, question);
    if (others.empty()) {
      co_return Status{};
    }
    const bool one_lives = std::ranges::any_of(
        others, [](const OtherWorker& other) { return other.life == MemberLife::kAlive; });
    if (one_lives || scheduler.now() >= until) {
      co_return std::unexpected(refusal_of(others, question, difference, file));
    }
    waits({fmt::format("another definition than this file's is gone by: {}; whether that process "
                       "lives cannot be seen from here",
                       describe(others)),
           fmt::format("if it is dead, it is out of the group within {} (session.timeout.ms); "
                       "--rolling-change does not wait",
                       to_text(session_timeout))});
    co_await scheduler.sleep_for(kAskInterval);
  }
  co_return fail(ErrorCode::kCancelled, "stopped");
}

}  // namespace onceflow::engine
