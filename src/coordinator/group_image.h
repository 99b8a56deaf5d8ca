// GroupImage: what a restart finds of a group's membership. A value; its bytes are drawn in
// docs/formats/coordinator_records.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/time.h"
#include "base/wire.h"

namespace onceflow::coordinator {

enum class GroupState : std::int8_t {
  kEmpty = 0,
  kPreparingRebalance = 1,
  kCompletingRebalance = 2,
  kStable = 3,
};
/// Kafka's word for it.
std::string_view to_string(GroupState state);

struct GroupProtocol {
  std::string name;
  Buffer metadata;
  friend bool operator==(const GroupProtocol&, const GroupProtocol&) = default;
};
/// Of their names and metadata.
std::size_t bytes_of(const std::vector<GroupProtocol>& protocols);

struct GroupMember {
  std::string id;
  std::optional<std::string> instance_id;
  std::string client_id;
  std::string client_host;
  Duration session_timeout{};
  Duration rebalance_timeout{};
  std::vector<GroupProtocol> protocols;
  Buffer assignment;

  bool supports(std::string_view protocol) const;
  /// Empty if it does not support it.
  Buffer metadata_for(std::string_view protocol) const;
};

struct GroupImage {
  GroupState state = GroupState::kEmpty;
  GenerationId generation{0};  ///< 0: never had one
  std::string protocol_type;
  std::string protocol_name;
  std::string leader;
  std::vector<GroupMember> members;

  /// A restart finds the group about to rebalance, or empty. Nothing if there is no such member.
  void remove_member(std::string_view member_id);
  bool has_member(std::string_view member_id) const;

  void encode(WireWriter& writer) const;
  static GroupImage decode(WireReader& reader);
};

}  // namespace onceflow::coordinator
