// Records without a value on their way to tables that they delete rows from. A condition on fields
// is null or false for them whatever it asks, so a `where` would drop every deletion, and rows
// would stay for ever. Stateless.
#pragma once

#include <string_view>

#include "pipeline/spec.h"

namespace onceflow::pipeline {

/// The expression computes from the record's value or its fields.
bool reads_value(std::string_view expression);

/// Whether each record reaches a table with `mode: upsert` under the key that it came with, so that
/// one without a value deletes its row there.
bool has_tables_with_deletions(const PipelineSpec& spec);

/// Whether a `where` with this condition passes records without a value unasked: it reads their
/// value, and does not say what is to become of them (`value is null`, `value is not null`).
bool passes_deletions(std::string_view condition);

}  // namespace onceflow::pipeline
