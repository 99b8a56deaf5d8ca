// JSON in the one form that stands for all texts of the same value, as PostgreSQL's jsonb tells
// values apart: no spaces, members ordered by the length of their names and then by bytes, numbers
// in the canonical form of base/decimal.h, strings with as few escapes as they can have.
#pragma once

#include <expected>
#include <string>
#include <string_view>

namespace onceflow {

/// Else what of it jsonb cannot hold: what is not JSON, U+0000, half of a surrogate pair, a number
/// beyond DecimalNumber, two members of one name (of which jsonb would drop one).
std::expected<std::string, std::string> canonical_jsonb(std::string_view json);

}  // namespace onceflow
