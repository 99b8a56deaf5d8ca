// What a text is as a value of a column's type: the one form in which the value is written, hashed
// and compared, so that pipelines, sinks and the audit agree on it.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "base/value.h"

namespace onceflow {

/// timestamptz, timestamp, date (base/date_time.h), uuid (base/uuid_text.h), jsonb
/// (base/jsonb_text.h); json is its text, whole; bytes are themselves. Else what is wrong with the
/// text. Other types are not texts.
std::expected<std::string, std::string> typed_text(ColumnType type, std::string_view text);

}  // namespace onceflow
