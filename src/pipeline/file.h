// The pipeline file: YAML to a checked PipelineSpec. All that is wrong is reported, not only the
// first. The format is docs/pipeline-file.md.
#pragma once

#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/problem.h"
#include "pipeline/spec.h"

namespace onceflow::pipeline {

/// The value of a variable of the environment, for `${env:NAME}`.
using Variables = std::function<std::optional<std::string>(const std::string& name)>;
/// The variables of this process.
Variables process_variables();

inline constexpr std::size_t kFileBytesMax = 1024 * 1024;

/// `file` is the name for messages; `text` is what it holds.
std::expected<PipelineSpec, std::vector<Problem>> parse_pipeline(const std::string& file,
                                                                 std::string_view text,
                                                                 const Variables& variables);

}  // namespace onceflow::pipeline
