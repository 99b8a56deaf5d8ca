// Which columns a database sink writes, and which of them are its key.
#pragma once

#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "connectors/sink.h"
#include "pipeline/problem.h"
#include "pipeline/projected_column.h"
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

/// With the rule of the sink's database for texts.
ProjectedColumn projected(const SinkSpec& sink, const ResolvedColumn& column);

/// The member of the record's value that the expression is, as it is; nullopt if it is none.
std::optional<std::string> member_of(const Expression& expression);
/// Whether one of the steps may set the member to something else.
bool is_member_set(std::span<const StepSpec> steps, std::string_view member);

/// An expression for what stands in the place of a null in a key column: a value that every column
/// of the type takes, in the one form in which a group's key may have it.
std::string_view in_place_of_null(ColumnType type);

}  // namespace onceflow::pipeline
