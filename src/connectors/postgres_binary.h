// PostgreSQL's binary forms: parameters, arrays for unnest, and rows of COPY BINARY. Formats: the
// documentation of COPY ("Binary Format") and array_recv() in the server's source.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/value.h"
#include "base/wire.h"

namespace onceflow::connectors {

/// Types by their fixed object ids (pg_type.dat).
enum class PostgresType : std::uint32_t {
  kBool = 16,
  kBytea = 17,
  kInt8 = 20,
  kInt2 = 21,
  kInt4 = 23,
  kText = 25,
  kJson = 114,
  kJsonArray = 199,
  kFloat4 = 700,
  kFloat8 = 701,
  kBoolArray = 1000,
  kByteaArray = 1001,
  kInt4Array = 1007,
  kTextArray = 1009,
  kInt8Array = 1016,
  kFloat8Array = 1022,
  kVarchar = 1043,
  kDate = 1082,
  kTimestamp = 1114,
  kTimestampArray = 1115,
  kDateArray = 1182,
  kTimestamptz = 1184,
  kTimestamptzArray = 1185,
  kNumericArray = 1231,
  kNumeric = 1700,
  kUuid = 2950,
  kUuidArray = 2951,
  kJsonb = 3802,
  kJsonbArray = 3807,
};

/// A parameter of a statement, in binary form; nullopt is null.
struct PostgresParameter {
  PostgresType type = PostgresType::kText;
  std::optional<Buffer> bytes;
};

PostgresParameter text_parameter(std::string_view text);
PostgresParameter bytea_parameter(ByteView bytes);
PostgresParameter integer_parameter(std::int64_t number);

/// Builds one array parameter, element by element.
class PostgresArray {
 public:
  explicit PostgresArray(PostgresType element_type);

  /// A value that fits the element type, or null.
  void add(const Value& value);
  PostgresParameter finish();

 private:
  PostgresType element_type_;
  Buffer bytes_;
  std::int32_t count_ = 0;
  bool has_null_ = false;
};

/// Appends a length and a value in the form of `type`, texts of a type being in the form of
/// base/typed_text.h; false if it does not fit it, and nothing is
/// appended. Digits beyond a column's scale are the caller's to look for.
bool write_postgres_field(WireWriter& writer, PostgresType type, const Value& value);

/// The first bytes of a COPY BINARY stream, and its last.
void write_copy_header(WireWriter& writer);
void write_copy_trailer(WireWriter& writer);

}  // namespace onceflow::connectors
