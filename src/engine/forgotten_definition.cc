#include "engine/forgotten_definition.h"

#include <fmt/format.h>

#include <algorithm>

namespace onceflow::engine {
namespace {

std::unexpected<Error> refused(const protocol::PipelineDefinition& planned, std::string_view what,
                               std::string_view file) {
  return fail(ErrorCode::kRefused,
              fmt::format("topic {} is gone, and {}; the rule: nothing goes on with what another "
                          "definition has made; the fix: change the file back to what it was, or "
                          "restore the topic, or begin anew on purpose: onceflow reset {} "
                          "--to-earliest{} --execute",
                          planned.topic(), what, file,
                          std::ranges::any_of(planned.stages,
                                              &protocol::PipelineDefinition::Stage::is_database)
                              ? " (--delete-rows | --keep-rows)"
                              : ""));
}

}  // namespace

Result<ForgottenDefinition> judge_receipts(const std::map<std::string, std::uint64_t>& newest,
                                           const protocol::PipelineDefinition& planned,
                                           std::string_view file) {
  using Found = ForgottenDefinition::Found;
  bool is_named = false;
  for (const auto& [id, hash] : newest) {
    if (hash == 0) {
      continue;
    }
    is_named = true;
    const auto* stage = planned.find(id);
    if (stage == nullptr) {
      return refused(
          planned, fmt::format("there are receipts of stage {}, which this file does not have", id),
          file);
    }
    if (protocol::definition_hash(stage->text()) != hash) {
      return refused(
          planned,
          fmt::format("stage {} has gone by another definition than this file's until now", id),
          file);
    }
  }
  if (is_named) {
    return ForgottenDefinition{
        Found::kSame, fmt::format("topic {} was gone: it is made anew; the newest receipts are of "
                                  "this file's definition",
                                  planned.topic())};
  }
  if (newest.empty()) {
    return ForgottenDefinition{};
  }
  return ForgottenDefinition{
      Found::kEarlierVersion,
      fmt::format("pipeline '{}' was run by an earlier version, which kept no definition: this "
                  "file is taken for the one that has made its states and rows; if it was changed "
                  "since, stop now, change it back, and start once with it before you change it",
                  planned.pipeline)};
}

}  // namespace onceflow::engine
