// The way past the records of one value, for a message: where nothing but that value is wrong, and
// what it goes into cannot be given another type. Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/value.h"

namespace onceflow::pipeline {

/// As step_before(), with a condition that is false of those records alone of which the expression
/// yields this value. It is not null.
std::string step_against(std::string_view expression, const Value& value);

}  // namespace onceflow::pipeline
