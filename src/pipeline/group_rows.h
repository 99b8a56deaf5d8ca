// That each group of an aggregate is a row of its own in a table behind it.
//
// Groups are told apart by the JSON of their keys: 7 and "7" are two of them. A table tells rows
// apart by the values of its key columns. So each part of the group's key must go into a key column
// as it is, and a column of a type takes parts of that type alone. The first is known from the
// file; the second is asked of each record where it enters, for behind the aggregate nobody can
// mend it. There, too, other columns are asked whether they take the part.
#pragma once

#include <cstddef>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/topology.h"
#include "pipeline/problem.h"
#include "pipeline/projected_column.h"
#include "pipeline/sink_columns.h"
#include "pipeline/spec.h"

namespace onceflow::pipeline {

/// A part of the group's key and the key column that it goes into.
struct GroupColumn {
  std::size_t part = 0;
  NamedExpression part_of_key;
  std::string column;
  ColumnType type = ColumnType::kText;
  bool is_key = false;  ///< the part is the only one that becomes its value in the column
  std::optional<ProjectedColumn> fitted{};  ///< the column, if there are texts that it refuses
  std::string sink;
};

/// Of a sink that upserts; `later` are the steps behind the aggregate. A problem: two groups could
/// share a row. Empty: the sink's key has the record's own key, which is the group's.
std::expected<std::vector<GroupColumn>, Problem> match_group_to_row(
    const SinkSpec& sink, const std::vector<ResolvedColumn>& columns, const AggregateShape& shape,
    std::span<const StepSpec> later);

/// The columns that a part of the group's key goes into as it is, and that may refuse it.
std::vector<GroupColumn> match_group_to_columns(const SinkSpec& sink,
                                                const std::vector<ResolvedColumn>& columns,
                                                const AggregateShape& shape,
                                                std::span<const StepSpec> later);

/// Refuses a record whose group would be no row of its own. The key is the one that make_key() has
/// made of `part_count` expressions.
engine::Factory<engine::Operator> make_group_check(std::string step, std::size_t part_count,
                                                   std::vector<GroupColumn> columns);

}  // namespace onceflow::pipeline
