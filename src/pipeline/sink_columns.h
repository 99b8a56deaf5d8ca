// Which columns a database sink writes, and which of them are its key.
#pragma once

#include <expected>
#include <optional>
#include <vector>

#include "connectors/sink.h"
#include "pipeline/problem.h"
#include "pipeline/spec.h"

namespace onceflow::pipeline {

/// What records look like after an aggregate.
struct AggregateShape {
  KeySpec key;
  AggregateStepSpec aggregate;
};

struct ResolvedColumn {
  connectors::SinkColumn column;
  Expression expression;
};

/// The sink's own columns, else the aggregate's, else record_key and record_value. The error names
/// what an upsert lacks.
std::expected<std::vector<ResolvedColumn>, Problem> resolve_columns(
    const SinkSpec& sink, const std::optional<AggregateShape>& shape, const PipelineSpec& spec);

}  // namespace onceflow::pipeline
