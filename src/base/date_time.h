// Points in time and days as text: read from what people write (RFC 3339, and ISO 8601 as near to
// it as Java and PostgreSQL write it), written in one form. Years 0001 to 9999 of the Gregorian
// calendar; nothing is rounded.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace onceflow {

/// Microseconds since 1970-01-01T00:00:00 (in UTC, where there is a zone), or days since that day.
/// Else what is wrong with the text.
using DateTimeRead = std::expected<std::int64_t, std::string_view>;

/// `2024-02-29T12:30:00.5+01:00`: a `T` or a space between, seconds and their fraction may be left
/// out, at the end `Z` or an offset: `+01:00`, `+0100`, `+01`.
DateTimeRead read_timestamptz(std::string_view text);
/// The same without a zone.
DateTimeRead read_timestamp(std::string_view text);
/// `2024-02-29`.
DateTimeRead read_date(std::string_view text);

/// `2024-02-29T11:30:00.5Z`: as few digits after the point as it takes.
std::string timestamptz_text(std::int64_t micros);
/// The same without the `Z`.
std::string timestamp_text(std::int64_t micros);
std::string date_text(std::int64_t days);

}  // namespace onceflow
