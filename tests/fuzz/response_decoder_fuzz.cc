// Fuzzes what a client reads: any response or data structure, chosen by the first bytes. Whatever
// decodes must encode, and decode again to the same.
#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "base/check.h"
#include "base/wire.h"
#include "protocol/header.h"
#include "protocol/messages/index.h"

namespace onceflow::protocol {
namespace {

template <typename Message>
void decode(WireReader reader, std::uint8_t version_choice) {
  constexpr int kVersions = Message::kVersionMax - Message::kVersionMin + 1;
  const auto version = static_cast<std::int16_t>(Message::kVersionMin + version_choice % kVersions);
  const auto message = Message::decode(reader, version);
  if (!message) {
    return;
  }
  Buffer bytes;
  WireWriter writer(bytes);
  message->encode(writer, version);
  WireReader again(bytes);
  const auto decoded = Message::decode(again, version);
  CHECK(decoded.has_value() && again.remaining() == 0);
  CHECK(*decoded == *message);
}

template <typename... Messages>
struct Dispatch {
  static void run(std::size_t choice, std::uint8_t version_choice, const WireReader& reader) {
    std::size_t index = 0;
    ((index++ == choice % sizeof...(Messages) ? decode<Messages>(reader, version_choice) : void()),
     ...);
  }
};

}  // namespace
}  // namespace onceflow::protocol

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace onceflow;
  if (size < 2) {
    return 0;
  }
  WireReader reader(std::as_bytes(std::span(data + 2, size - 2)));
  for (const std::int16_t header_version : {0, 1}) {
    WireReader ahead = reader;
    static_cast<void>(protocol::ResponseHeader::decode(ahead, header_version));
  }
  protocol::ForAllMessages<protocol::Dispatch>::run(data[0], data[1], reader);
  return 0;
}
