// Fuzzes what a broker reads first: a request frame without its size. Whatever decodes must encode,
// and decode again to the same.
#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "base/check.h"
#include "base/wire.h"
#include "protocol/header.h"
#include "protocol/message_text.h"
#include "protocol/messages/index.h"

namespace onceflow::protocol {
namespace {

template <typename Request>
void decode(WireReader reader, std::int16_t version) {
  const auto request = Request::decode(reader, version);
  if (!request) {
    return;
  }
  Buffer bytes;
  WireWriter writer(bytes);
  request->encode(writer, version);
  WireReader again(bytes);
  const auto decoded = Request::decode(again, version);
  CHECK(decoded.has_value() && again.remaining() == 0);
  CHECK(*decoded == *request);
  CHECK(!message_text(*decoded, version).empty());
}

template <typename... Requests>
struct Dispatch {
  static void run(const RequestHeader& header, const WireReader& reader) {
    ((header.api_key == Requests::kApiKey ? decode<Requests>(reader, header.api_version) : void()),
     ...);
  }
};

}  // namespace
}  // namespace onceflow::protocol

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace onceflow;
  WireReader reader(std::as_bytes(std::span(data, size)));
  if (const auto header = protocol::RequestHeader::decode(reader)) {
    protocol::ForAllRequests<protocol::Dispatch>::run(*header, reader);
  }
  return 0;
}
