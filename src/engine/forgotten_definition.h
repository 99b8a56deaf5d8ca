// ForgottenDefinition: what the receipts of a pipeline say of its definition where the topic
// <pipeline>-definitions does not. Receipts are where the commits are, in the receipts topic and in
// the databases of sinks, so they outlive the topic. Pure; for a worker and `onceflow plan`.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "protocol/definition.h"
#include "protocol/stage_receipts.h"

namespace onceflow::engine {

struct ForgottenDefinition {
  enum class Found : std::uint8_t {
    kNothing,         ///< no receipts: the pipeline begins
    kEarlierVersion,  ///< of a version that wrote no definitions
    kSame,            ///< of this one: its topic was deleted
  };
  Found found = Found::kNothing;
  std::string warning;  ///< for people; empty: kNothing
};

/// `receipts` are all that there are. kRefused if the newest of a stage is not of the definition of
/// `planned`, or if databases have receipts and the topic has none; `file` is the pipeline file as
/// a command names it.
Result<ForgottenDefinition> judge_receipts(const protocol::ReceiptsByStage& receipts,
                                           const protocol::PipelineDefinition& planned,
                                           std::string_view file);
/// Whether a reset has put stages somewhere, or may have: what it has decided for databases that
/// hold no position stood in the topic alone (start_over.h).
bool may_have_been_reset(const protocol::ReceiptsByStage& receipts,
                         const protocol::PipelineDefinition& planned);

}  // namespace onceflow::engine
