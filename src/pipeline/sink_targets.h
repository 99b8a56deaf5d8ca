// What a sink writes to, in one spelling, and the names that a database would take for one another.
// Stateless.
#pragma once

#include <string>
#include <vector>

#include "pipeline/problem.h"
#include "pipeline/sink_columns.h"
#include "pipeline/spec.h"

namespace onceflow::pipeline {

/// The same for two sinks that write one topic or one table, however its file, its database or its
/// name is spelled. It may hold a secret, so it is not for people.
std::string target_of(const SinkSpec& sink);

/// Columns that the database would not tell apart, or that are the sink's own.
std::vector<Problem> check_column_names(const SinkSpec& sink,
                                        const std::vector<ResolvedColumn>& columns);

}  // namespace onceflow::pipeline
