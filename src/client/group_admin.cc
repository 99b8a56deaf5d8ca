#include "client/group_admin.h"

#include "client/broker_error.h"
#include "client/committed_offsets.h"
#include "protocol/messages/13_leave_group.h"

namespace onceflow::client {
namespace {

Status judge(const protocol::LeaveGroupResponse& reply, const std::string& group_id) {
  if (reply.error_code != protocol::ErrorCode::kNone) {
    return std::unexpected(broker_error(reply.error_code, "LeaveGroup of '" + group_id + "'"));
  }
  for (const auto& member : reply.members) {
    if (member.error_code != protocol::ErrorCode::kNone &&
        member.error_code != protocol::ErrorCode::kUnknownMemberId) {
      return std::unexpected(broker_error(member.error_code, "LeaveGroup of '" + group_id + "'"));
    }
  }
  return {};
}

}  // namespace

Task<Status> remove_members(std::shared_ptr<Cluster> cluster, std::string group_id,
                            std::vector<std::string> group_instance_ids, MonotonicTime deadline) {
  const Channel channel = cluster->new_channel();
  Backoff backoff(cluster->options(), cluster->environment().random);
  while (true) {
    const auto node = co_await cluster->coordinator(CoordinatorType::kGroup, group_id, deadline);
    CO_RETURN_IF_ERROR(node);
    const auto connection = co_await cluster->connection(channel, *node, deadline);
    CO_RETURN_IF_ERROR(connection);
    protocol::LeaveGroupRequest request;
    request.group_id = group_id;
    for (const std::string& instance : group_instance_ids) {
      request.members.push_back({"", instance, "removed by an administrator"});
    }
    const auto reply =
        co_await (*connection)->send(std::move(request), cluster->request_deadline(deadline));
    const Status left = reply ? judge(reply->body, group_id) : std::unexpected(reply.error());
    if (left || left.error().recovery != Recovery::kRetriable) {
      co_return left;
    }
    cluster->forget_coordinator(CoordinatorType::kGroup, group_id);
    CO_RETURN_IF_ERROR(co_await cluster->pause(backoff.next(), deadline));
  }
}

Task<Status> move_offsets(std::shared_ptr<Cluster> cluster, std::string group_id,
                          std::vector<OffsetToCommit> offsets, MonotonicTime deadline) {
  const Channel channel = cluster->new_channel();
  return commit_offsets(std::move(cluster), channel, GroupMetadata{.group_id = std::move(group_id)},
                        std::move(offsets), deadline);
}

}  // namespace onceflow::client
