#include "client/group_admin.h"

#include "client/ask_coordinator.h"
#include "client/broker_error.h"
#include "client/committed_offsets.h"
#include "protocol/messages/13_leave_group.h"

namespace onceflow::client {
namespace {

CoordinatorAnswer<void> judge(const protocol::LeaveGroupResponse& reply,
                              const std::string& group_id) {
  protocol::ErrorCode code = reply.error_code;
  for (const auto& member : reply.members) {
    if (code == protocol::ErrorCode::kNone &&
        member.error_code != protocol::ErrorCode::kUnknownMemberId) {
      code = member.error_code;
    }
  }
  if (code == protocol::ErrorCode::kNone) {
    return {};
  }
  return {code, std::unexpected(broker_error(code, "LeaveGroup of '" + group_id + "'"))};
}

}  // namespace

Task<Result<std::map<std::string, GroupDescription>>> describe_groups(
    std::shared_ptr<Cluster> cluster, std::set<std::string> group_ids, MonotonicTime deadline) {
  Admin admin(std::move(cluster));
  std::map<std::string, GroupDescription> groups;
  for (const std::string& group_id : group_ids) {
    auto described = co_await admin.describe_group(group_id, deadline);
    if (!described && described.error().code == ErrorCode::kNotFound) {
      continue;
    }
    CO_RETURN_IF_ERROR(described);
    groups.emplace(group_id, std::move(*described));
  }
  co_return groups;
}

Task<Status> remove_members(std::shared_ptr<Cluster> cluster, std::string group_id,
                            std::vector<std::string> group_instance_ids, MonotonicTime deadline) {
  const Channel channel = cluster->new_channel();
  protocol::LeaveGroupRequest request;
  request.group_id = group_id;
  request.members.reserve(group_instance_ids.size());
  for (const std::string& instance : group_instance_ids) {
    request.members.push_back({"", instance, "removed by an administrator"});
  }
  const auto judge_answer = [group_id](const Reply<protocol::LeaveGroupResponse>& reply) {
    return judge(reply.body, group_id);
  };
  return ask_coordinator<void>(std::move(cluster), channel, group_id, std::move(request),
                               judge_answer, deadline);
}

Task<Status> move_offsets(std::shared_ptr<Cluster> cluster, std::string group_id,
                          std::vector<OffsetToCommit> offsets, MonotonicTime deadline) {
  const Channel channel = cluster->new_channel();
  return commit_offsets(std::move(cluster), channel, GroupMetadata{.group_id = std::move(group_id)},
                        std::move(offsets), deadline);
}

}  // namespace onceflow::client
