// CreateAcls: there is no authorizer. Stateless; on the broker's thread.
#include "broker/handlers/handlers.h"
#include "broker/handlers/no_authorizer.h"

namespace onceflow::broker {

protocol::CreateAclsResponse handle_create_acls(BrokerCore&, const Request&,
                                                const protocol::CreateAclsRequest& body) {
  protocol::CreateAclsResponse response;
  response.results.resize(body.creations.size());
  for (auto& result : response.results) {
    result.error_code = protocol::ErrorCode::kSecurityDisabled;
    result.error_message = kNoAuthorizer;
  }
  return response;
}

}  // namespace onceflow::broker
