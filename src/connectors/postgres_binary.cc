#include "connectors/postgres_binary.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <limits>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "base/check.h"
#include "base/date_time.h"
#include "base/decimal.h"
#include "base/uuid_text.h"

namespace onceflow::connectors {
namespace {

template <typename Integer>
bool write_narrow(WireWriter& writer, std::int64_t number) {
  if (number < std::numeric_limits<Integer>::min() ||
      number > std::numeric_limits<Integer>::max()) {
    return false;
  }
  writer.write_int32(sizeof(Integer));
  writer.write_integer(static_cast<Integer>(number));
  return true;
}

template <typename To, typename From>
std::optional<To> by_digits(From number) {
  char digits[32];
  const char* end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  To read{};
  return std::from_chars(digits, end, read).ec == std::errc() ? std::optional(read) : std::nullopt;
}

// Four bytes hold the reals that they show by their own shortest digits: 0.1, not 0.123456789.
bool write_float4(WireWriter& writer, double real) {
  const auto narrow = by_digits<float>(real);
  if (!narrow || by_digits<double>(*narrow) != real) {
    return false;
  }
  writer.write_int32(sizeof(float));
  writer.write_uint32(std::bit_cast<std::uint32_t>(*narrow));
  return true;
}

// numeric_recv() in the server's source: count, weight of the first group, sign, digits after the
// point, then groups of four digits.
bool write_numeric(WireWriter& writer, const Value& value) {
  constexpr std::int64_t kGroup = 4;
  constexpr std::int16_t kNegative = 0x4000;
  const auto number = DecimalNumber::of(value);
  if (!number) {
    return false;
  }
  std::string digits(number->digits());
  std::int64_t exponent = number->exponent();
  const std::int64_t below = ((exponent % kGroup) + kGroup) % kGroup;
  digits.append(static_cast<std::size_t>(below), '0');
  exponent -= below;
  digits.insert(0, (kGroup - digits.size() % kGroup) % kGroup, '0');
  const auto count = static_cast<std::int64_t>(digits.size()) / kGroup;
  constexpr std::int64_t kHeadBytes = 8;
  writer.write_int32(static_cast<std::int32_t>(kHeadBytes + 2 * count));
  writer.write_int16(static_cast<std::int16_t>(count));
  writer.write_int16(static_cast<std::int16_t>(exponent / kGroup + count - 1));
  writer.write_int16(number->is_negative() ? kNegative : std::int16_t{0});
  writer.write_int16(static_cast<std::int16_t>(std::max<std::int64_t>(0, -number->exponent())));
  for (std::size_t index = 0; index < digits.size(); index += kGroup) {
    std::int16_t group = 0;
    std::from_chars(digits.data() + index, digits.data() + index + kGroup, group);
    writer.write_int16(group);
  }
  return true;
}

// Microseconds since 2000-01-01, or days since that day.
template <typename Integer>
void write_since_2000(WireWriter& writer, const DateTimeRead& since_1970, std::int64_t per_day) {
  constexpr std::int64_t kDaysTo2000 = 10'957;
  CHECK(since_1970.has_value());
  writer.write_int32(sizeof(Integer));
  writer.write_integer(static_cast<Integer>(*since_1970 - kDaysTo2000 * per_day));
}

void write_uuid(WireWriter& writer, std::string_view text) {
  const auto uuid = read_uuid(text);
  CHECK(uuid.has_value());
  writer.write_int32(sizeof *uuid);
  writer.write_bytes(*uuid);
}

void write_jsonb(WireWriter& writer, std::string_view text) {
  constexpr std::int8_t kVersion = 1;
  CHECK(text.size() < std::numeric_limits<std::int32_t>::max());
  writer.write_int32(static_cast<std::int32_t>(text.size() + sizeof kVersion));
  writer.write_int8(kVersion);
  writer.write_text(text);
}

PostgresType array_of(PostgresType element) {
  switch (element) {
    case PostgresType::kInt4:
      return PostgresType::kInt4Array;
    case PostgresType::kInt8:
      return PostgresType::kInt8Array;
    case PostgresType::kFloat8:
      return PostgresType::kFloat8Array;
    case PostgresType::kNumeric:
      return PostgresType::kNumericArray;
    case PostgresType::kBool:
      return PostgresType::kBoolArray;
    case PostgresType::kTimestamptz:
      return PostgresType::kTimestamptzArray;
    case PostgresType::kTimestamp:
      return PostgresType::kTimestampArray;
    case PostgresType::kDate:
      return PostgresType::kDateArray;
    case PostgresType::kUuid:
      return PostgresType::kUuidArray;
    case PostgresType::kJson:
      return PostgresType::kJsonArray;
    case PostgresType::kJsonb:
      return PostgresType::kJsonbArray;
    case PostgresType::kBytea:
      return PostgresType::kByteaArray;
    default:
      CHECK(element == PostgresType::kText);
      return PostgresType::kTextArray;
  }
}

// One dimension, a flag, the element type, the count, the first index; then the elements.
constexpr std::size_t kArrayFlagPosition = 4;
constexpr std::size_t kArrayCountPosition = 12;

}  // namespace

PostgresParameter text_parameter(std::string_view text) {
  return {PostgresType::kText, to_buffer(text)};
}

PostgresParameter bytea_parameter(ByteView bytes) {
  return {PostgresType::kBytea, to_buffer(bytes)};
}

PostgresParameter integer_parameter(std::int64_t number) {
  Buffer bytes;
  WireWriter(bytes).write_int64(number);
  return {PostgresType::kInt8, std::move(bytes)};
}

bool write_postgres_field(WireWriter& writer, PostgresType type, const Value& value) {
  if (is_null(value)) {
    writer.write_int32(-1);
    return true;
  }
  constexpr std::int64_t kMicrosPerDay = 86'400'000'000;
  switch (type) {
    case PostgresType::kTimestamptz:
      write_since_2000<std::int64_t>(writer, read_timestamptz(std::get<std::string_view>(value)),
                                     kMicrosPerDay);
      return true;
    case PostgresType::kTimestamp:
      write_since_2000<std::int64_t>(writer, read_timestamp(std::get<std::string_view>(value)),
                                     kMicrosPerDay);
      return true;
    case PostgresType::kDate:
      write_since_2000<std::int32_t>(writer, read_date(std::get<std::string_view>(value)), 1);
      return true;
    case PostgresType::kUuid:
      write_uuid(writer, std::get<std::string_view>(value));
      return true;
    case PostgresType::kJsonb:
      write_jsonb(writer, std::get<std::string_view>(value));
      return true;
    case PostgresType::kInt2:
      return write_narrow<std::int16_t>(writer, std::get<std::int64_t>(value));
    case PostgresType::kInt4:
      return write_narrow<std::int32_t>(writer, std::get<std::int64_t>(value));
    case PostgresType::kInt8:
      return write_narrow<std::int64_t>(writer, std::get<std::int64_t>(value));
    case PostgresType::kFloat8:
      writer.write_int32(sizeof(double));
      writer.write_float64(std::get<double>(value));
      return true;
    case PostgresType::kFloat4:
      return write_float4(writer, std::get<double>(value));
    case PostgresType::kNumeric:
      return write_numeric(writer, value);
    case PostgresType::kBool:
      writer.write_int32(1);
      writer.write_int8(static_cast<std::int8_t>(std::get<std::int64_t>(value)));
      return true;
    default: {
      const std::string_view text = std::get<std::string_view>(value);
      CHECK(text.size() <= std::numeric_limits<std::int32_t>::max());
      writer.write_int32(static_cast<std::int32_t>(text.size()));
      writer.write_text(text);
      return true;
    }
  }
}

PostgresArray::PostgresArray(PostgresType element_type) : element_type_(element_type) {
  WireWriter writer(bytes_);
  writer.write_int32(1);
  writer.write_int32(0);
  writer.write_uint32(static_cast<std::uint32_t>(element_type));
  writer.write_int32(0);
  writer.write_int32(1);
}

void PostgresArray::add(const Value& value) {
  WireWriter writer(bytes_);
  has_null_ = has_null_ || is_null(value);
  ++count_;
  CHECK(write_postgres_field(writer, element_type_, value));
}

PostgresParameter PostgresArray::finish() {
  WireWriter writer(bytes_);
  writer.patch_integer(kArrayFlagPosition, std::int32_t{has_null_ ? 1 : 0});
  writer.patch_integer(kArrayCountPosition, count_);
  return {array_of(element_type_), std::move(bytes_)};
}

void write_copy_header(WireWriter& writer) {
  constexpr std::string_view kSignature("PGCOPY\n\377\r\n\0", 11);
  writer.write_text(kSignature);
  writer.write_int32(0);  // flags
  writer.write_int32(0);  // no header extension
}

void write_copy_trailer(WireWriter& writer) { writer.write_int16(-1); }

}  // namespace onceflow::connectors
