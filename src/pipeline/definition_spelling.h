// One spelling for what means the same in a definition: a file that is written otherwise is no
// other pipeline. Pure functions.
#pragma once

#include <string>
#include <string_view>

#include "engine/definition_change.h"
#include "protocol/definition.h"

namespace onceflow::pipeline {

/// The expression in one spelling: blanks, words in lower case, names in quotes only where they
/// need them, numbers in their shortest digits, `=` and `<>` for `==` and `!=`. What differs in
/// anything else stays different, brackets and the order of operands among it. Only for what
/// check_expression has taken.
std::string canonical_text(std::string_view expression);
/// Likewise of a field.
std::string canonical_path(std::string_view path);

/// `planned` with each line that means the recorded one spelled as that was: hashes of the recorded
/// definition stand in states, receipts and notes, and spellings of other versions stay theirs.
protocol::PipelineDefinition spelled_as(protocol::PipelineDefinition planned,
                                        const engine::KnownDefinition& known);

}  // namespace onceflow::pipeline
