// Times that are texts, and the order of their bytes. It is the order of the times only where all
// are written in one form: `12:00:00.5Z` is less than `12:00:00Z` by its bytes, and so is an hour
// of another zone. Pure functions, used while a file is checked.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/value.h"
#include "pipeline/expression.h"

namespace onceflow::pipeline {

/// Whether all texts that the expression yields are times in one form: of strftime(), datetime()
/// and date(), which also begin with the year.
bool has_one_form(const Expression& expression);

/// The argument of min() or max() in a form that a column of the type takes; nullopt: times of the
/// type are ordered by their bytes as they are.
std::optional<std::string> in_one_form(ColumnType type, std::string_view argument);

/// It computes a time out of something else, perhaps a number.
bool computes_time(const Expression& expression);

}  // namespace onceflow::pipeline
