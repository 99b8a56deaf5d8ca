// DeleteAcls: there is no authorizer. Stateless; on the broker's thread.
#include "broker/handlers/handlers.h"
#include "broker/handlers/no_authorizer.h"

namespace onceflow::broker {

protocol::DeleteAclsResponse handle_delete_acls(BrokerCore&, const Request&,
                                                const protocol::DeleteAclsRequest& body) {
  protocol::DeleteAclsResponse response;
  response.filter_results.resize(body.filters.size());
  for (auto& result : response.filter_results) {
    result.error_code = protocol::ErrorCode::kSecurityDisabled;
    result.error_message = kNoAuthorizer;
  }
  return response;
}

}  // namespace onceflow::broker
