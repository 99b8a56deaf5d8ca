#include "engine/other_workers.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "client/admin.h"
#include "engine/stage_news.h"

namespace onceflow::engine {
namespace {

constexpr Duration kAskTimeout = seconds(3);
constexpr Duration kAskInterval = milliseconds(300);
/// Beyond the session, for the coordinator to notice.
constexpr Duration kGrace = seconds(1);
constexpr std::string_view kDatabase = " database=";
constexpr std::size_t kPathBytesMax = 300;
constexpr std::string_view kPipeline = " pipeline=";
constexpr std::string_view kHash = " definition=";
constexpr std::string_view kRolling = " rolling-change";
constexpr int kHexadecimal = 16;

bool is_no_worker(const OtherWorker& other) { return other.kind == OtherWorker::Kind::kNoWorker; }

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

// A note's words have no spaces in them, nor has a part of one a '|'.
std::string one_word(std::string_view path) {
  std::string word;
  for (const char letter : path.substr(path.size() - std::min(path.size(), kPathBytesMax))) {
    const auto byte = static_cast<unsigned char>(letter);
    word += byte <= ' ' || letter == '|' || letter == '%' ? fmt::format("%{:02X}", byte)
                                                          : std::string(1, letter);
  }
  return word;
}

// Of the sinks that both have, the first whose file is another one; empty: there is none.
std::string other_database(std::span<const DatabaseFile> theirs,
                           std::span<const DatabaseFile> own) {
  for (const DatabaseFile& file : own) {
    const auto same_sink = std::ranges::find(theirs, file.sink, &DatabaseFile::sink);
    if (same_sink != theirs.end() && same_sink->place != file.place) {
      return fmt::format("sink {} writes {} there, and {} here", file.sink, same_sink->path,
                         one_word(file.path));
    }
  }
  return {};
}

}  // namespace

std::string with_databases(std::string note, std::span<const DatabaseFile> files) {
  for (const DatabaseFile& file : files) {
    note += fmt::format("{}{}|{:016x}|{}", kDatabase, file.sink, file.place, one_word(file.path));
  }
  return note;
}

std::vector<DatabaseFile> parse_databases(std::string_view note) {
  std::vector<DatabaseFile> files;
  for (std::size_t place = note.find(kDatabase); place != std::string_view::npos;
       place = note.find(kDatabase, place + 1)) {
    std::string_view word = note.substr(place + kDatabase.size());
    word = word.substr(0, word.find(' '));
    const std::size_t first = word.find('|');
    const std::size_t second = first == std::string_view::npos ? first : word.find('|', first + 1);
    if (second == std::string_view::npos) {
      continue;
    }
    DatabaseFile file{.sink = std::string(word.substr(0, first)),
                      .path = std::string(word.substr(second + 1))};
    const auto [end, error] =
        std::from_chars(word.data() + first + 1, word.data() + second, file.place, kHexadecimal);
    if (error == std::errc() && end == word.data() + second) {
      files.push_back(std::move(file));
    }
  }
  return files;
}

std::string with_definition(std::string note, const protocol::PipelineDefinition& definition,
                            Rolling rolling) {
  note += fmt::format("{}{}{}{:016x}", kPipeline, definition.pipeline, kHash,
                      protocol::definition_hash(definition.text()));
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
  const std::string_view before = note.substr(0, place);
  if (const std::size_t name = before.rfind(kPipeline); name != std::string_view::npos) {
    result.pipeline = before.substr(name + kPipeline.size());
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

bool is_rolling_change(Rolling own, std::span<const OtherWorker> others) {
  return own == Rolling::kYes || std::ranges::all_of(others, [](const OtherWorker& other) {
           return other.rolling == Rolling::kYes;
         });
}

std::string describe(const std::vector<OtherWorker>& others) {
  std::vector<std::string> parts;
  parts.reserve(others.size());
  for (const OtherWorker& other : others) {
    const bool is_none = other.kind == OtherWorker::Kind::kNoWorker;
    parts.push_back(
        fmt::format("{} '{}'{}: {} (group '{}')", is_none ? "client" : "worker", other.worker,
                    other.pipeline.empty() ? "" : fmt::format(" of pipeline '{}'", other.pipeline),
                    other.where, other.group_id));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

Status check_one_pipeline(const std::vector<OtherWorker>& others, std::string_view pipeline) {
  const auto is_of_another = [](const OtherWorker& other) {
    return other.kind == OtherWorker::Kind::kOfAnotherPipeline;
  };
  const auto found = std::ranges::find_if(others, is_of_another);
  if (found == others.end()) {
    return {};
  }
  return fail(ErrorCode::kRefused,
              fmt::format("group '{}' of pipeline '{}' has members of another pipeline: {}; the "
                          "rule: a group has the workers of one pipeline, since its partitions are "
                          "divided among all members and what others get is passed over; the fix: "
                          "a `group.id` of its own in source.kafka; where the group is named after "
                          "a step (PIPELINE-STEP), another `name` or another `id` of the step",
                          found->group_id, pipeline, describe({*found})));
}

Status check_one_database(const std::vector<OtherWorker>& others, std::string_view pipeline) {
  const auto found =
      std::ranges::find(others, OtherWorker::Kind::kWithAnotherDatabase, &OtherWorker::kind);
  if (found == others.end()) {
    return {};
  }
  return fail(ErrorCode::kRefused,
              fmt::format("pipeline '{}' has a worker with another database: {}: {}; the rule: all "
                          "workers of a pipeline write to one database, or each has a part of the "
                          "rows; a relative `file` is looked for where the process was started; "
                          "the fix: start this worker in the directory where that one was started, "
                          "or write an absolute path as `file`, with the file on a volume that "
                          "both have; or stop that one first",
                          pipeline, describe({*found}), found->database));
}

Status check_one_definition(const std::vector<OtherWorker>& others, const OthersQuestion& question,
                            const std::string& difference, const std::string& file) {
  std::vector<OtherWorker> workers = others;
  std::erase_if(workers, is_no_worker);
  return workers.empty() ? Status{}
                         : std::unexpected(refusal_of(workers, question, difference, file));
}

namespace {

// Whom a member of a stable group is to this worker; nothing: itself, dead, or of one mind.
std::optional<OtherWorker> judge_member(const client::GroupMemberDescription& member,
                                        const std::string& group_id, const PlaceOptions& options,
                                        const OthersQuestion& question) {
  const std::string prefix = question.pipeline + "-";
  const std::string& instance = member.group_instance_id;
  const DefinitionNote note = parse_definition_note(member.note);
  OtherWorker other{.kind = OtherWorker::Kind::kWorker,
                    .pipeline = {},
                    .worker = {},
                    .group_id = group_id,
                    .where = "address " + member.client_host,
                    .life = options.judge ? options.judge(member.note) : MemberLife::kUnknown,
                    .rolling = note.rolling,
                    .is_told = note.hash.has_value()};
  if (note.pipeline.empty() ? !instance.starts_with(prefix) : note.pipeline != question.pipeline) {
    other.kind = note.pipeline.empty() ? OtherWorker::Kind::kNoWorker
                                       : OtherWorker::Kind::kOfAnotherPipeline;
    other.pipeline = note.pipeline;
  } else if (!instance.empty() && instance == question.group_instance_id) {
    return std::nullopt;  // Without an instance a member is known by its note alone.
  } else if (other.database = other_database(parse_databases(member.note), question.databases);
             !other.database.empty()) {
    other.kind = OtherWorker::Kind::kWithAnotherDatabase;
  } else if ((note.hash ? *note.hash == question.definition : question.is_known)) {
    return std::nullopt;
  }
  if (other.life == MemberLife::kDead) {
    return std::nullopt;
  }
  const std::string own_prefix = other.pipeline.empty() ? prefix : other.pipeline + "-";
  const bool has_instance = !instance.empty() && other.kind != OtherWorker::Kind::kNoWorker;
  other.worker = !has_instance                      ? member.client_id
                 : instance.starts_with(own_prefix) ? instance.substr(own_prefix.size())
                                                    : instance;
  if (!member.note.empty() && options.describe) {
    other.where = fmt::format("{}, {}", options.describe(member.note), other.where);
  }
  return other;
}

}  // namespace

Task<std::vector<OtherWorker>> find_others(std::shared_ptr<client::Cluster> cluster,
                                           const PlaceOptions& options, OthersQuestion question) {
  client::Admin admin(cluster);
  std::vector<OtherWorker> others;
  const auto is_same = [](const OtherWorker& left, const OtherWorker& right) {
    return left.kind == right.kind && left.pipeline == right.pipeline &&
           left.worker == right.worker;
  };
  for (const std::string& group_id : question.group_ids) {
    const auto group =
        co_await admin.describe_group(group_id, cluster->scheduler().now() + kAskTimeout);
    if (!group) {
      continue;
    }
    for (const client::GroupMemberDescription& member : group->members) {
      std::optional<OtherWorker> other = judge_member(member, group_id, options, question);
      // Nobody's note is shown while a group rebalances.
      if (!other || (other->kind == OtherWorker::Kind::kNoWorker && group->state != "Stable") ||
          std::ranges::any_of(others,
                              [&](const OtherWorker& known) { return is_same(known, *other); })) {
        continue;
      }
      others.push_back(*std::move(other));
    }
  }
  co_return others;
}

Task<Status> wait_for_others(std::shared_ptr<client::Cluster> cluster, PlaceOptions options,
                             OthersQuestion question, Rolling rolling, std::string difference,
                             std::string file, Duration session_timeout,
                             std::function<bool()> must_stop,
                             std::function<void(StageCause)> waits) {
  io::Scheduler& scheduler = cluster->scheduler();
  const MonotonicTime until = scheduler.now() + session_timeout + kGrace;
  while (!must_stop()) {
    std::vector<OtherWorker> others = co_await find_others(cluster, options, question);
    CO_RETURN_IF_ERROR(check_one_pipeline(others, question.pipeline));
    // Who is no worker is told of once partitions are divided.
    std::erase_if(others, is_no_worker);
    const Status one_database = check_one_database(others, question.pipeline);
    if (rolling == Rolling::kYes && one_database) {
      co_return Status{};
    }
    Status agreed =
        one_database ? check_one_definition(others, question, difference, file) : one_database;
    if (agreed) {
      co_return agreed;
    }
    const bool one_lives = std::ranges::any_of(
        others, [](const OtherWorker& other) { return other.life == MemberLife::kAlive; });
    if (one_lives || scheduler.now() >= until) {
      co_return agreed;
    }
    waits({fmt::format("{}: {}; whether that process lives cannot be seen from here",
                       one_database ? "another definition than this file's is gone by"
                                    : "to another database than this worker writes",
                       describe(others)),
           fmt::format("if it is dead, it is out of the group within {} (session.timeout.ms){}",
                       to_text(session_timeout),
                       one_database ? "; --rolling-change does not wait" : "")});
    co_await scheduler.sleep_for(kAskInterval);
  }
  co_return fail(ErrorCode::kCancelled, "stopped");
}

}  // namespace onceflow::engine
