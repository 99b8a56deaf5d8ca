// What an administrator does to groups: look at their members, end the membership of those that are
// gone, and move the positions of a group without members. Asked again, with back-off, on what is
// retriable until the deadline.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/task.h"
#include "client/admin.h"
#include "client/cluster.h"
#include "client/group_metadata.h"

namespace onceflow::client {

/// By id, those of the groups that exist.
Task<Result<std::map<std::string, GroupDescription>>> describe_groups(
    std::shared_ptr<Cluster> cluster, std::set<std::string> group_ids, MonotonicTime deadline);

/// Ends the membership of static members that are gone and would stay until their session ends. One
/// that is alive after all is fenced. Members that are not there are no error.
Task<Status> remove_members(std::shared_ptr<Cluster> cluster, std::string group_id,
                            std::vector<std::string> group_instance_ids, MonotonicTime deadline);

/// Of a group without members.
Task<Status> move_offsets(std::shared_ptr<Cluster> cluster, std::string group_id,
                          std::vector<OffsetToCommit> offsets, MonotonicTime deadline);

}  // namespace onceflow::client
