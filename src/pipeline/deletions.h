// Records without a value on their way to tables that they delete rows from. A condition on fields
// is null or false for them whatever it asks, so a `where` would drop every deletion, and rows
// would stay for ever. Stateless.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "pipeline/spec.h"

namespace onceflow::pipeline {

/// The expression computes from the record's value or its fields.
bool reads_value(std::string_view expression);
/// The expression computes from the record's key.
bool reads_key(std::string_view expression);

/// The parts of a step's key.
std::vector<Expression> expressions_of(const KeySpec& key);

/// The tables with `mode: upsert`, whose rows records without a value may delete; none behind an
/// aggregate, whose results all have a value.
std::vector<std::string> tables_that_upsert(const PipelineSpec& spec);

/// Whether records reach one of them under the key that they came with, so that one without a value
/// may delete its row there (deletion_key.h).
bool has_tables_with_deletions(const PipelineSpec& spec);

/// Whether a `where` with this condition passes records without a value unasked, those apart that
/// it is not true of whatever their fields (deletion_condition.h): it reads fields, and does not
/// name `value`. One that names it is obeyed as it is written.
bool passes_deletions(std::string_view condition);

/// What a `where` in front of tables_that_upsert() makes of records without a value.
enum class DeletionsAtWhere {
  kPass,           ///< all of them
  kPassUnlessOut,  ///< but those that it is not true of whatever their fields
  kAsked,          ///< as any other record
  kKeptOut,        ///< none of them passes
};
/// `step` is one of the spec's, with a `where`. The key that it asks is what the steps before have
/// made of it.
DeletionsAtWhere deletions_at_where(const PipelineSpec& spec, const StepSpec& step);

}  // namespace onceflow::pipeline
