#include "audit/broker_link.h"

#include <fmt/format.h>

#include "protocol/messages/18_api_versions.h"

namespace onceflow::audit {
namespace {

constexpr std::int32_t kResponseBytesMax = 512 << 20;

}  // namespace

Task<Result<std::unique_ptr<BrokerLink>>> BrokerLink::connect(io::Environment environment,
                                                              io::Endpoint endpoint,
                                                              Duration timeout) {
  auto link = std::unique_ptr<BrokerLink>(new BrokerLink(environment, endpoint, timeout));
  auto connection =
      co_await environment.network.connect(endpoint, environment.scheduler.now() + timeout);
  CO_RETURN_IF_ERROR(connection);
  link->connection_ = std::move(*connection);
  // Version 0 is what every broker answers.
  link->versions_[protocol::ApiKey::kApiVersions] = {0, 0};
  const auto answer = co_await link->call(protocol::ApiVersionsRequest{}, 0);
  CO_RETURN_IF_ERROR(answer);
  for (const auto& api : answer->response.api_keys) {
    link->versions_[static_cast<protocol::ApiKey>(api.api_key)] = {api.min_version,
                                                                   api.max_version};
  }
  co_return link;
}

Result<std::int16_t> BrokerLink::common_version(protocol::ApiKey key, std::int16_t version_min,
                                                std::int16_t version_max) const {
  const auto place = versions_.find(key);
  if (place != versions_.end()) {
    const std::int16_t version = std::min(version_max, place->second.second);
    if (version >= std::max(version_min, place->second.first)) {
      return version;
    }
  }
  return fail(ErrorCode::kUnsupported,
              fmt::format("{} does not speak {} in a version from {} to {}", describe(),
                          protocol::to_string(key), version_min, version_max));
}

Task<Result<Buffer>> BrokerLink::exchange(Buffer frame) {
  bool timed_out = false;
  const io::TimerId timer = environment_.scheduler.schedule_after(timeout_, [this, &timed_out] {
    timed_out = true;
    connection_->close();
  });
  auto answer = co_await exchange_untimed(std::move(frame));
  environment_.scheduler.cancel(timer);
  if (!answer && timed_out) {
    co_return fail(ErrorCode::kTimedOut,
                   fmt::format("{} did not answer within {} ms", describe(), to_ms(timeout_)),
                   Recovery::kRetriable);
  }
  co_return answer;
}

Task<Result<Buffer>> BrokerLink::exchange_untimed(Buffer frame) {
  CO_RETURN_IF_ERROR(co_await connection_->write(frame));
  std::byte size_bytes[protocol::kFrameSizeBytes];
  CO_RETURN_IF_ERROR(co_await connection_->read_fully(size_bytes));
  const auto size = wire::load_big_endian<std::int32_t>(size_bytes);
  if (size < 0 || size > kResponseBytesMax) {
    co_return fail(ErrorCode::kCorrupt,
                   fmt::format("{} announces an answer of {} bytes", describe(), size));
  }
  Buffer bytes(static_cast<std::size_t>(size));
  CO_RETURN_IF_ERROR(co_await connection_->read_fully(bytes));
  co_return bytes;
}

}  // namespace onceflow::audit
