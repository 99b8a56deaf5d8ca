// What an aggregate comes to, and the columns of tables that take it. Results are written to a
// topic, from which nothing can be taken out; so what a column would refuse of them is refused
// where the record enters, as far as the record alone tells it.
#pragma once

#include <cstddef>
#include <expected>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "pipeline/problem.h"
#include "pipeline/projected_column.h"
#include "pipeline/sink_columns.h"
#include "pipeline/spec.h"

namespace onceflow::pipeline {

/// An aggregate and a column that its result goes into as it is.
struct ResultColumn {
  std::size_t aggregate = 0;
  ProjectedColumn column;
  std::string sink;
  bool is_default = false;  ///< the aggregate's `type:` is the column's
  /// min or max of what is not brought to decimals: of texts it is that of their bytes.
  bool compares_bytes = false;
};

/// `later` are the steps behind the aggregate. A problem: the column takes no result of its
/// aggregate.
std::expected<std::vector<ResultColumn>, Problem> match_results_to_columns(
    const SinkSpec& sink, const std::vector<ResolvedColumn>& columns,
    const AggregateStepSpec& aggregate, std::span<const StepSpec> later);

/// Whether the column takes what the aggregate makes of this argument alone: min and max may come
/// to it, and a sum of what the column does not take is no better. kRefused, with the fix.
Status check_argument(const ResultColumn& column, const Value& argument, engine::Arena& arena);

}  // namespace onceflow::pipeline
