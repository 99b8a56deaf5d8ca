// What a part of a key comes to for a record without a value, which deletes a row. No field is
// there to tell it which: a part that reads fields tells the row only where it comes to the
// record's own key, as `coalesce($.id, key)` does. `coalesce`, `ifnull`, `case` and `iif` are
// followed to what they choose; whatever else is made of fields tells nothing.
//
// Pure functions.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/value.h"
#include "pipeline/deletion_condition.h"

namespace onceflow::pipeline {

/// Judges whether the part of a key tells which row a record without a value deletes; null where it
/// does not read the value, and so tells the same of all records. The part is an expression that
/// check_expression() has accepted.
Result<std::unique_ptr<DeletionCondition>> prepare_told_by_key(std::string_view part,
                                                               DeletionCondition::Unknown unknown);

/// The part for tables in which the record's own key is its value: ready to be typed in its place.
std::string told_by_key(std::string_view part, ColumnType type);

}  // namespace onceflow::pipeline
