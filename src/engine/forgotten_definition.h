// ForgottenDefinition: what the receipts of a pipeline say of its definition where the topic
// <pipeline>-definitions does not. Receipts are where the commits are, in the receipts topic and in
// the databases of sinks, so they outlive the topic. Pure; for a worker and `onceflow plan`.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/result.h"
#include "protocol/definition.h"

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

/// `newest`: by stage, the definition that its newest receipt names; 0: none. kRefused if one is
/// not that of `planned`; `file` is the pipeline file as a command names it.
Result<ForgottenDefinition> judge_receipts(const std::map<std::string, std::uint64_t>& newest,
                                           const protocol::PipelineDefinition& planned,
                                           std::string_view file);

}  // namespace onceflow::engine
