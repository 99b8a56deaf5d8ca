// DescribeCluster: this broker is the cluster. Stateless; on the broker's thread.
#include "broker/handlers/handlers.h"
#include "broker/handlers/no_authorizer.h"

namespace onceflow::broker {
namespace {

constexpr std::int8_t kBrokers = 1;

}  // namespace

protocol::DescribeClusterResponse handle_describe_cluster(
    BrokerCore& core, const Request&, const protocol::DescribeClusterRequest& body) {
  protocol::DescribeClusterResponse response;
  response.endpoint_type = body.endpoint_type;
  if (body.endpoint_type != kBrokers) {
    response.error_code = protocol::ErrorCode::kMismatchedEndpointType;
    response.error_message = "this is a broker's endpoint; there are no controllers apart";
    return response;
  }
  const io::Endpoint advertised = core.advertised();
  response.cluster_id = core.cluster_id;
  response.controller_id = core.options.node_id;
  if (body.include_cluster_authorized_operations) {
    response.cluster_authorized_operations = kClusterOperations;
  }
  auto& broker = response.brokers.emplace_back();
  broker.broker_id = core.options.node_id;
  broker.host = advertised.host;
  broker.port = advertised.port;
  return response;
}

}  // namespace onceflow::broker
