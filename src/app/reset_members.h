// Members of a pipeline's groups, as a reset meets them.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "client/group_admin.h"

namespace onceflow::app {

/// "p (127.0.0.1), …".
std::string names_of(const std::vector<client::GroupMemberDescription>& members);
/// Of those that have an instance id, which outlives them.
std::vector<std::string> instances_of(const std::vector<client::GroupMemberDescription>& members);
/// kRefused: nothing is reset while a worker lives.
Status members_live(const std::string& group, const std::string& names);

}  // namespace onceflow::app
