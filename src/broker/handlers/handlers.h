// The handlers, one file per API key. Each gets a decoded request and answers it in the same step;
// what it answers leaves when everything appended until then is durable (see api_table.cc for those
// that need not wait). On the broker's thread; they keep nothing.
#pragma once

#include <new>
#include <optional>
#include <utility>

#include <optional>
#include <string_view>

#include "broker/core.h"
#include "broker/request.h"
#include "coordinator/effects.h"
#include "protocol/messages/index.h"

namespace onceflow::broker {

// What a handler returns: a response; or nullopt, to close the connection; or, where there are more
// ways to end, a Disposition.

Disposition handle_produce(BrokerCore& core, const Request& request, protocol::ProduceRequest& body,
                           Reply& reply);
Disposition handle_fetch(BrokerCore& core, const Request& request, protocol::FetchRequest& body,
                         Reply& reply);
Disposition handle_list_offsets(BrokerCore& core, const Request& request,
                                protocol::ListOffsetsRequest& body, Reply& reply);
protocol::MetadataResponse handle_metadata(BrokerCore& core, const Request& request,
                                           const protocol::MetadataRequest& body);
protocol::OffsetCommitResponse handle_offset_commit(BrokerCore& core, const Request& request,
                                                    const protocol::OffsetCommitRequest& body);
protocol::OffsetFetchResponse handle_offset_fetch(BrokerCore& core, const Request& request,
                                                  const protocol::OffsetFetchRequest& body);
protocol::FindCoordinatorResponse handle_find_coordinator(
    BrokerCore& core, const Request& request, const protocol::FindCoordinatorRequest& body);
Disposition handle_join_group(BrokerCore& core, const Request& request,
                              const protocol::JoinGroupRequest& body, Reply& reply);
protocol::HeartbeatResponse handle_heartbeat(BrokerCore& core, const Request& request,
                                             const protocol::HeartbeatRequest& body);
protocol::LeaveGroupResponse handle_leave_group(BrokerCore& core, const Request& request,
                                                const protocol::LeaveGroupRequest& body);
Disposition handle_sync_group(BrokerCore& core, const Request& request,
                              const protocol::SyncGroupRequest& body, Reply& reply);
Disposition handle_describe_groups(BrokerCore& core, const Request& request,
                                   const protocol::DescribeGroupsRequest& body, Reply& reply);
protocol::ListGroupsResponse handle_list_groups(BrokerCore& core, const Request& request,
                                                const protocol::ListGroupsRequest& body);
protocol::ApiVersionsResponse handle_api_versions(BrokerCore& core, const Request& request,
                                                  const protocol::ApiVersionsRequest& body);
protocol::CreateTopicsResponse handle_create_topics(BrokerCore& core, const Request& request,
                                                    const protocol::CreateTopicsRequest& body);
protocol::DeleteTopicsResponse handle_delete_topics(BrokerCore& core, const Request& request,
                                                    const protocol::DeleteTopicsRequest& body);
protocol::DeleteRecordsResponse handle_delete_records(BrokerCore& core, const Request& request,
                                                      const protocol::DeleteRecordsRequest& body);
std::optional<protocol::InitProducerIdResponse> handle_init_producer_id(
    BrokerCore& core, const Request& request, const protocol::InitProducerIdRequest& body);
protocol::OffsetForLeaderEpochResponse handle_offset_for_leader_epoch(
    BrokerCore& core, const Request& request, const protocol::OffsetForLeaderEpochRequest& body);
std::optional<protocol::AddPartitionsToTxnResponse> handle_add_partitions_to_txn(
    BrokerCore& core, const Request& request, const protocol::AddPartitionsToTxnRequest& body);
std::optional<protocol::AddOffsetsToTxnResponse> handle_add_offsets_to_txn(
    BrokerCore& core, const Request& request, const protocol::AddOffsetsToTxnRequest& body);
Disposition handle_end_txn(BrokerCore& core, const Request& request,
                           const protocol::EndTxnRequest& body, Reply& reply);
protocol::TxnOffsetCommitResponse handle_txn_offset_commit(
    BrokerCore& core, const Request& request, const protocol::TxnOffsetCommitRequest& body);
protocol::DescribeAclsResponse handle_describe_acls(BrokerCore& core, const Request& request,
                                                    const protocol::DescribeAclsRequest& body);
protocol::CreateAclsResponse handle_create_acls(BrokerCore& core, const Request& request,
                                                const protocol::CreateAclsRequest& body);
protocol::DeleteAclsResponse handle_delete_acls(BrokerCore& core, const Request& request,
                                                const protocol::DeleteAclsRequest& body);
protocol::DescribeConfigsResponse handle_describe_configs(
    BrokerCore& core, const Request& request, const protocol::DescribeConfigsRequest& body);
protocol::AlterConfigsResponse handle_alter_configs(BrokerCore& core, const Request& request,
                                                    const protocol::AlterConfigsRequest& body);
protocol::DescribeLogDirsResponse handle_describe_log_dirs(
    BrokerCore& core, const Request& request, const protocol::DescribeLogDirsRequest& body);
protocol::CreatePartitionsResponse handle_create_partitions(
    BrokerCore& core, const Request& request, const protocol::CreatePartitionsRequest& body);
protocol::DeleteGroupsResponse handle_delete_groups(BrokerCore& core, const Request& request,
                                                    const protocol::DeleteGroupsRequest& body);
protocol::IncrementalAlterConfigsResponse handle_incremental_alter_configs(
    BrokerCore& core, const Request& request, const protocol::IncrementalAlterConfigsRequest& body);
protocol::ListPartitionReassignmentsResponse handle_list_partition_reassignments(
    BrokerCore& core, const Request& request,
    const protocol::ListPartitionReassignmentsRequest& body);
protocol::OffsetDeleteResponse handle_offset_delete(BrokerCore& core, const Request& request,
                                                    const protocol::OffsetDeleteRequest& body);
protocol::DescribeClusterResponse handle_describe_cluster(
    BrokerCore& core, const Request& request, const protocol::DescribeClusterRequest& body);
protocol::DescribeProducersResponse handle_describe_producers(
    BrokerCore& core, const Request& request, const protocol::DescribeProducersRequest& body);
protocol::DescribeTransactionsResponse handle_describe_transactions(
    BrokerCore& core, const Request& request, const protocol::DescribeTransactionsRequest& body);
protocol::ListTransactionsResponse handle_list_transactions(
    BrokerCore& core, const Request& request, const protocol::ListTransactionsRequest& body);
protocol::ListConfigResourcesResponse handle_list_config_resources(
    BrokerCore& core, const Request& request, const protocol::ListConfigResourcesRequest& body);

/// What clients read of something with `is_repeated`: INVALID_REQUEST, as Kafka.
inline constexpr std::string_view kGivenTwice =
    "it is given twice in the request, which does not say which of the two counts; give it once";

/// The answer to a version of ApiVersions that we lack: error 35 in the oldest form (KIP-511).
void answer_unsupported_api_versions(const Request& request, Reply& reply);

/// Answers a fetch that was parked, with what there is now. False if there is no memory for that.
bool answer_parked_fetch(BrokerCore& core, ParkedFetch& fetch);

void encode_group_reply(const coordinator::JoinGroupReply& group_reply,
                        const ParkedGroupRequest& parked, Reply& reply);
void encode_group_reply(const coordinator::SyncGroupReply& group_reply,
                        const ParkedGroupRequest& parked, Reply& reply);

template <typename Response>
void encode_reply(const Response& response, std::int16_t api_version, std::int32_t correlation_id,
                  Reply& reply) {
  protocol::encode_response_frame(reply.bytes, response, api_version, correlation_id);
}

/// As encode_reply, of an answer that tells of very much: written, and given back, on the worker's
/// thread. Nullopt: there is no memory for it.
template <typename Response>
Task<std::optional<Reply>> encode_reply_off_loop(BrokerCore& core, Response response,
                                                 std::int16_t api_version,
                                                 std::int32_t correlation_id) {
  co_return co_await core.worker.run(
      [told = std::move(response), api_version, correlation_id]() mutable -> std::optional<Reply> {
        const Response answer = std::move(told);  // it goes here, too
        try {
          Reply reply;
          if constexpr (requires { answer.error_code; }) {
            reply.error = answer.error_code;
          }
          encode_reply(answer, api_version, correlation_id, reply);
          return reply;
        } catch (const std::bad_alloc&) {
          return std::nullopt;
        }
      });
}

}  // namespace onceflow::broker
