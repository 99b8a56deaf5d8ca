// How large the answer to a request may get, before it is made: so that its memory is there first.
// Upper bounds, and cheap: nothing is made to find out. An API whose answer can be much longer than
// its request has its own; for the others it is a multiple of the request. Stateless; on the
// broker's thread.
#pragma once

#include <cstddef>

#include "broker/core.h"
#include "broker/request.h"
#include "protocol/messages/00_produce.h"
#include "protocol/messages/01_fetch.h"
#include "protocol/messages/03_metadata.h"
#include "protocol/messages/09_offset_fetch.h"
#include "protocol/messages/11_join_group.h"
#include "protocol/messages/14_sync_group.h"
#include "protocol/messages/15_describe_groups.h"
#include "protocol/messages/16_list_groups.h"
#include "protocol/messages/32_describe_configs.h"
#include "protocol/messages/35_describe_log_dirs.h"
#include "protocol/messages/65_describe_transactions.h"
#include "protocol/messages/66_list_transactions.h"

namespace onceflow::broker {

/// A name, an id or a number of the request comes back with a few numbers beside it.
template <typename Body>
std::size_t answer_bytes(const BrokerCore&, const Request& request, const Body&) {
  return 8 * request.body.size();
}

/// Its answer is short: an offset for each batch.
inline std::size_t answer_bytes(const BrokerCore&, const Request&,
                                const protocol::ProduceRequest&) {
  return 0;
}
/// Takes its memory itself.
inline std::size_t answer_bytes(const BrokerCore&, const Request&, const protocol::FetchRequest&) {
  return 0;
}
std::size_t answer_bytes(const BrokerCore& core, const Request& request,
                         const protocol::MetadataRequest& body);
std::size_t answer_bytes(const BrokerCore& core, const Request& request,
                         const protocol::OffsetFetchRequest& body);
std::size_t answer_bytes(const BrokerCore& core, const Request& request,
                         const protocol::JoinGroupRequest& body);
std::size_t answer_bytes(const BrokerCore& core, const Request& request,
                         const protocol::SyncGroupRequest& body);
std::size_t answer_bytes(const BrokerCore& core, const Request& request,
                         const protocol::DescribeGroupsRequest& body);
std::size_t answer_bytes(const BrokerCore& core, const Request& request,
                         const protocol::ListGroupsRequest& body);
std::size_t answer_bytes(const BrokerCore& core, const Request& request,
                         const protocol::DescribeConfigsRequest& body);
std::size_t answer_bytes(const BrokerCore& core, const Request& request,
                         const protocol::DescribeLogDirsRequest& body);
std::size_t answer_bytes(const BrokerCore& core, const Request& request,
                         const protocol::DescribeTransactionsRequest& body);
std::size_t answer_bytes(const BrokerCore& core, const Request& request,
                         const protocol::ListTransactionsRequest& body);

}  // namespace onceflow::broker
