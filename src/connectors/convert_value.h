// What a column takes: the one rule by which values become a table's values, shared by all sinks
// and by whoever hashes a row before it is written (receipts), so that the hash of what was meant
// equals the hash of what is stored.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/value.h"
#include "connectors/sink.h"

namespace onceflow::connectors {

/// As in pipeline files.
std::string_view to_string(SinkMode mode);

/// Of a value that is not null, for messages: "the text 'abc'".
std::string describe(const Value& value);

/// Null fits everywhere. An integer column takes integers; a real column takes reals and those
/// integers that a double holds exactly; a text column takes text; a decimal column takes
/// decimals; a boolean column takes the integers 0 and 1; the other types take texts in the form of
/// base/typed_text.h, which are not looked into here. NaN is null, as SQLite stores it.
/// Anything else is kRefused, naming the column, what it takes and what came.
Result<Value> convert_value(std::string_view column, ColumnType type, const Value& value);

}  // namespace onceflow::connectors
