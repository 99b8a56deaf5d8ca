// DescribeAcls: there is no authorizer, and Kafka has an answer for that. Stateless; on the
// broker's thread.
#include "broker/handlers/handlers.h"
#include "broker/handlers/no_authorizer.h"

namespace onceflow::broker {

protocol::DescribeAclsResponse handle_describe_acls(BrokerCore&, const Request&,
                                                    const protocol::DescribeAclsRequest&) {
  protocol::DescribeAclsResponse response;
  response.error_code = protocol::ErrorCode::kSecurityDisabled;
  response.error_message = kNoAuthorizer;
  return response;
}

}  // namespace onceflow::broker
