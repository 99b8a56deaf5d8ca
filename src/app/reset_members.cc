#include "app/reset_members.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace onceflow::app {

std::string names_of(const std::vector<client::GroupMemberDescription>& members) {
  std::vector<std::string> names;
  names.reserve(members.size());
  for (const client::GroupMemberDescription& member : members) {
    names.push_back(fmt::format("{} ({})", member.client_id, member.client_host));
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

std::vector<std::string> instances_of(const std::vector<client::GroupMemberDescription>& members) {
  std::vector<std::string> instances;
  for (const client::GroupMemberDescription& member : members) {
    if (!member.group_instance_id.empty()) {
      instances.push_back(member.group_instance_id);
    }
  }
  return instances;
}

Status members_live(const std::string& group, const std::string& names) {
  return fail(ErrorCode::kRefused,
              fmt::format("group {} has members: {}; the rule: nothing is reset while a worker "
                          "lives; the fix: stop it; one that was killed is gone when its session "
                          "has ended (10 s), or with --remove-members at once",
                          group, names));
}

}  // namespace onceflow::app
