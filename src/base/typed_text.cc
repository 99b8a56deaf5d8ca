#include "base/typed_text.h"

#include <fmt/format.h>

#include "base/check.h"
#include "base/date_time.h"
#include "base/json_document.h"
#include "base/jsonb_text.h"
#include "base/uuid_text.h"

namespace onceflow {
namespace {

std::expected<std::string, std::string> written(const DateTimeRead& read,
                                                std::string (*write)(std::int64_t)) {
  return read ? std::expected<std::string, std::string>(write(*read))
              : std::unexpected(std::string(read.error()));
}

}  // namespace

std::expected<std::string, std::string> typed_text(ColumnType type, std::string_view text) {
  switch (type) {
    case ColumnType::kTimestamptz:
      return written(read_timestamptz(text), timestamptz_text);
    case ColumnType::kTimestamp:
      return written(read_timestamp(text), timestamp_text);
    case ColumnType::kDate:
      return written(read_date(text), date_text);
    case ColumnType::kUuid: {
      const auto uuid = read_uuid(text);
      return uuid ? std::expected<std::string, std::string>(uuid_text(*uuid))
                  : std::unexpected("a uuid is 32 hexadecimal digits");
    }
    case ColumnType::kJsonb:
      return canonical_jsonb(text);
    case ColumnType::kJson: {
      JsonDocument document;
      if (const auto problem = document.parse(text)) {
        return std::unexpected(
            fmt::format("malformed JSON at byte {}: {}", problem->offset, problem->what));
      }
      return std::string(text);
    }
    case ColumnType::kBytea:
      return std::string(text);
    case ColumnType::kInteger:
    case ColumnType::kReal:
    case ColumnType::kText:
    case ColumnType::kDecimal:
    case ColumnType::kBoolean:
      break;
  }
  CHECK(false);
}

}  // namespace onceflow
