// ListPartitionReassignments: on one node nothing is ever moved. Stateless; on the broker's thread.
#include "broker/handlers/handlers.h"

namespace onceflow::broker {

protocol::ListPartitionReassignmentsResponse handle_list_partition_reassignments(
    BrokerCore&, const Request&, const protocol::ListPartitionReassignmentsRequest&) {
  return {};
}

}  // namespace onceflow::broker
