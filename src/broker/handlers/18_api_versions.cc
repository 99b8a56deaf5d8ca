// ApiVersions: what we speak, and that transactions v2 are on. Stateless; on the broker's thread.
#include <algorithm>

#include "broker/api_table.h"
#include "broker/handlers/handlers.h"

namespace onceflow::broker {
namespace {

using protocol::ErrorCode;

constexpr std::string_view kTransactionVersion = "transaction.version";
constexpr std::int16_t kTransactionVersionMax = 2;
// Requests of one connection take effect in order, and a transaction in which one of them failed
// can only abort: so a client that knows this may write a whole transaction at once (design
// decision D2a).
constexpr std::string_view kPipelinedTransactions = "onceflow.pipelined.transactions";
// Clients believe the largest they have seen. What we finalize never changes, so neither does this.
constexpr std::int64_t kFinalizedFeaturesEpoch = 1;
// KAFKA-17011: before this version a feature whose minimum is 0 cannot be read by Java clients.
constexpr std::int16_t kFirstVersionWithMinimumZero = 4;

bool is_letter_or_digit(char character) {
  return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') ||
         (character >= '0' && character <= '9');
}

// KIP-511: [a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?
bool is_software_name(std::string_view name) {
  return !name.empty() && is_letter_or_digit(name.front()) && is_letter_or_digit(name.back()) &&
         std::ranges::all_of(name, [](char character) {
           return is_letter_or_digit(character) || character == '-' || character == '.';
         });
}

}  // namespace

protocol::ApiVersionsResponse handle_api_versions(BrokerCore&, const Request& request,
                                                  const protocol::ApiVersionsRequest& body) {
  const std::int16_t version = request.header.api_version;
  protocol::ApiVersionsResponse response;
  if (version >= 3 && (!is_software_name(body.client_software_name) ||
                       !is_software_name(body.client_software_version))) {
    response.error_code = ErrorCode::kInvalidRequest;
    return response;
  }
  for (const Api& api : api_table()) {
    response.api_keys.push_back({.api_key = static_cast<std::int16_t>(api.key),
                                 .min_version = api.advertised_min,
                                 .max_version = api.version_max});
  }
  if (version >= kFirstVersionWithMinimumZero) {
    response.supported_features.push_back({.name = std::string(kTransactionVersion),
                                           .min_version = 0,
                                           .max_version = kTransactionVersionMax});
  }
  response.supported_features.push_back(
      {.name = std::string(kPipelinedTransactions), .min_version = 1, .max_version = 1});
  response.finalized_features_epoch = kFinalizedFeaturesEpoch;
  response.finalized_features.push_back({.name = std::string(kTransactionVersion),
                                         .max_version_level = kTransactionVersionMax,
                                         .min_version_level = kTransactionVersionMax});
  return response;
}

void answer_unsupported_api_versions(const Request& request, Reply& reply) {
  const Api& own = *find_api(protocol::ApiKey::kApiVersions);
  protocol::ApiVersionsResponse response;
  response.error_code = ErrorCode::kUnsupportedVersion;
  response.api_keys.push_back({.api_key = static_cast<std::int16_t>(own.key),
                               .min_version = own.advertised_min,
                               .max_version = own.version_max});
  reply.error = response.error_code;
  encode_reply(response, 0, request.header.correlation_id, reply);
}

}  // namespace onceflow::broker
