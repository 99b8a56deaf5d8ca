#include "coordinator/records.h"

#include <fmt/format.h>

#include "base/crc32c.h"
#include "base/utf8.h"

namespace onceflow::coordinator {

std::string read_client_text(WireReader& reader) {
  constexpr std::size_t kBytesMax = 32'000;  // and what is added stays within the protocol's limit
  const ByteView bytes = reader.read_sized_bytes();
  std::string text = as_utf8(as_text(bytes));
  if (text.size() > bytes.size() && text.size() > kBytesMax) {
    text.resize(kBytesMax);
    if (const std::size_t half = find_invalid_utf8(text); half != std::string::npos) {
      text.resize(half);
    }
    text += fmt::format("...{:08x}", crc32c(bytes));
  }
  return text;
}

}  // namespace onceflow::coordinator
