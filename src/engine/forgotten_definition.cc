#include "engine/forgotten_definition.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace onceflow::engine {
namespace {

std::string_view rows_flag(const protocol::PipelineDefinition& planned) {
  return std::ranges::any_of(planned.stages, &protocol::PipelineDefinition::Stage::is_database)
             ? " (--delete-rows | --keep-rows)"
             : "";
}

std::unexpected<Error> refused(const protocol::PipelineDefinition& planned, std::string_view what,
                               std::string_view file) {
  return fail(ErrorCode::kRefused,
              fmt::format("topic {} is gone, and {}; the rule: nothing goes on with what another "
                          "definition has made; the fix: change the file back to what it was, or "
                          "restore the topic, or begin anew on purpose: onceflow reset {} "
                          "--to-earliest{} --execute",
                          planned.topic(), what, file, rows_flag(planned)));
}

bool is_in_topic(const protocol::PipelineDefinition& planned, const std::string& stage) {
  const auto* found = planned.find(stage);
  return found != nullptr && !found->is_database();
}

bool has_receipts_in_topic(const protocol::ReceiptsByStage& receipts,
                           const protocol::PipelineDefinition& planned) {
  return std::ranges::any_of(receipts,
                             [&](const auto& each) { return is_in_topic(planned, each.first); });
}

}  // namespace

// A start-over makes the receipts topic anew: where a stage has receipts in it, they tell. Those in
// a database may have been deleted once they were audited; then the first one says nothing.
bool may_have_been_reset(const protocol::ReceiptsByStage& receipts,
                         const protocol::PipelineDefinition& planned) {
  using Beginning = protocol::Receipt::Beginning;
  const bool topic_tells = has_receipts_in_topic(receipts, planned);
  return std::ranges::any_of(receipts, [&](const auto& each) {
    const auto& [stage, found] = each;
    return found.newest_definition != 0 &&
           (found.begins == Beginning::kReset ||
            (found.begins == Beginning::kNone && (!topic_tells || is_in_topic(planned, stage))));
  });
}

Result<ForgottenDefinition> judge_receipts(const protocol::ReceiptsByStage& receipts,
                                           const protocol::PipelineDefinition& planned,
                                           std::string_view file) {
  using Found = ForgottenDefinition::Found;
  bool is_named = false;
  for (const auto& [id, found] : receipts) {
    const std::uint64_t hash = found.newest_definition;
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
  if (is_named && !has_receipts_in_topic(receipts, planned) &&
      !std::ranges::all_of(planned.stages, &protocol::PipelineDefinition::Stage::is_database)) {
    return refused(
        planned,
        fmt::format("the databases have receipts, and the stages that write topics have "
                    "none (in {}-receipts), as after a reset that has not ended, or in an "
                    "older copy of the log",
                    planned.pipeline),
        file);
  }
  if (is_named) {
    return ForgottenDefinition{
        Found::kSame,
        fmt::format(
            "topic {} was gone: it is made anew; the newest receipts are of this file's "
            "definition{}",
            planned.topic(),
            may_have_been_reset(receipts, planned)
                ? fmt::format("; the pipeline was reset before, and where that has put its stages "
                              "stood in the topic alone: what is there goes on, but a sink whose "
                              "database is lost, or that is new, is refused until onceflow reset "
                              "{} --to-earliest{} --execute",
                              file, rows_flag(planned))
                : std::string())};
  }
  if (receipts.empty()) {
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
