// FindCoordinator: it is always this broker. Stateless; on the broker's thread.
#include "broker/handlers/handlers.h"

namespace onceflow::broker {
namespace {

constexpr std::int8_t kGroup = 0;
constexpr std::int8_t kTransaction = 1;
constexpr std::int16_t kFirstVersionWithManyKeys = 4;

}  // namespace

protocol::FindCoordinatorResponse handle_find_coordinator(
    BrokerCore& core, const Request& request, const protocol::FindCoordinatorRequest& body) {
  const bool is_known = body.key_type == kGroup || body.key_type == kTransaction;
  const io::Endpoint advertised = core.advertised();
  const auto fill = [&](auto& answer) {
    if (is_known) {
      answer.node_id = core.options.node_id;
      answer.host = advertised.host;
      answer.port = advertised.port;
    } else {
      answer.error_code = protocol::ErrorCode::kInvalidRequest;
      answer.error_message = "a coordinator is for groups (0) or transactions (1)";
      answer.node_id = -1;
      answer.port = -1;
    }
  };
  protocol::FindCoordinatorResponse response;
  if (request.header.api_version < kFirstVersionWithManyKeys) {
    fill(response);
    return response;
  }
  for (const std::string& key : body.coordinator_keys) {
    auto& answer = response.coordinators.emplace_back();
    answer.key = key;
    fill(answer);
  }
  return response;
}

}  // namespace onceflow::broker
