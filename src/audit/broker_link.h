// BrokerLink: one connection to one broker, a request at a time. The auditor's own: nothing in it
// is shared with the client that it may have to judge. Owned by KafkaLogReader, runs on its
// scheduler.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "base/task.h"
#include "base/time.h"
#include "io/environment.h"
#include "protocol/api_key.h"
#include "protocol/header.h"

namespace onceflow::audit {

/// A decoded response and the bytes it views.
template <typename Response>
struct Answer {
  Buffer bytes;
  Response response;
};

class BrokerLink {
 public:
  /// Connects and asks which versions the broker speaks.
  static Task<Result<std::unique_ptr<BrokerLink>>> connect(io::Environment environment,
                                                           io::Endpoint endpoint, Duration timeout);

  /// In the highest version that both sides speak, at most `version_max`. After any error the link
  /// is of no more use.
  template <typename Request>
  Task<Result<Answer<typename Request::Response>>> call(Request request, std::int16_t version_max) {
    using Response = typename Request::Response;
    const auto version = common_version(Request::kApiKey, Request::kVersionMin,
                                        std::min(version_max, Request::kVersionMax));
    CO_RETURN_IF_ERROR(version);
    Buffer frame;
    protocol::encode_request_frame(frame, request, *version, ++correlation_id_, kClientId);
    auto bytes = co_await exchange(std::move(frame));
    CO_RETURN_IF_ERROR(bytes);
    Answer<Response> answer{std::move(*bytes), {}};
    WireReader reader(answer.bytes);
    const auto header = protocol::ResponseHeader::decode(
        reader, protocol::response_header_version(Request::kApiKey, *version));
    CO_RETURN_IF_ERROR(header);
    if (header->correlation_id != correlation_id_) {
      co_return fail(ErrorCode::kCorrupt, describe() + " answers another request");
    }
    auto response = Response::decode(reader, *version);
    CO_RETURN_IF_ERROR(response);
    answer.response = std::move(*response);
    co_return answer;
  }

  /// kUnsupported if there is none.
  Result<std::int16_t> common_version(protocol::ApiKey key, std::int16_t version_min,
                                      std::int16_t version_max) const;

 private:
  static constexpr const char* kClientId = "onceflow-audit";

  BrokerLink(io::Environment environment, io::Endpoint endpoint, Duration timeout)
      : environment_(environment), endpoint_(std::move(endpoint)), timeout_(timeout) {}

  /// Writes a frame and reads one, without its size.
  Task<Result<Buffer>> exchange(Buffer frame);
  Task<Result<Buffer>> exchange_untimed(Buffer frame);
  std::string describe() const { return "broker " + io::to_string(endpoint_); }

  io::Environment environment_;
  io::Endpoint endpoint_;
  Duration timeout_;
  std::unique_ptr<io::Connection> connection_;
  std::map<protocol::ApiKey, std::pair<std::int16_t, std::int16_t>> versions_;
  std::int32_t correlation_id_ = 0;
};

}  // namespace onceflow::audit
