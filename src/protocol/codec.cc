// Errors of the message decoders.
#include "protocol/codec.h"

#include <fmt/format.h>

namespace onceflow::protocol::codec {

std::unexpected<Error> unsupported_version(std::string_view message, std::int16_t version) {
  return fail(onceflow::ErrorCode::kUnsupported,
              fmt::format("{} version {} is not supported", message, version));
}

std::unexpected<Error> malformed(std::string_view message, std::int16_t version) {
  return fail(
      onceflow::ErrorCode::kCorrupt,
      fmt::format("{} version {} does not decode: it is cut short, a length reaches past its "
                  "end, a null stands where none may, or a text is not UTF-8",
                  message, version));
}

}  // namespace onceflow::protocol::codec
