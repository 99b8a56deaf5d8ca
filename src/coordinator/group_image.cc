#include "coordinator/group_image.h"

#include <algorithm>

#include "coordinator/records.h"

namespace onceflow::coordinator {
namespace {

constexpr std::size_t kEncodedMemberBytesMin = 1 + 1 + 1 + 1 + 4 + 4 + 1 + 1;

void encode_member(WireWriter& writer, const GroupMember& member) {
  writer.write_sized_string(member.id);
  writer.write_bool(member.instance_id.has_value());
  if (member.instance_id) {
    writer.write_sized_string(*member.instance_id);
  }
  writer.write_sized_string(member.client_id);
  writer.write_sized_string(member.client_host);
  writer.write_int32(static_cast<std::int32_t>(to_ms(member.session_timeout)));
  writer.write_int32(static_cast<std::int32_t>(to_ms(member.rebalance_timeout)));
  writer.write_unsigned_varint(member.protocols.size());
  for (const GroupProtocol& protocol : member.protocols) {
    writer.write_sized_string(protocol.name);
    writer.write_sized_bytes(protocol.metadata);
  }
  writer.write_sized_bytes(member.assignment);
}

GroupMember decode_member(WireReader& reader) {
  GroupMember member;
  member.id = read_client_text(reader);
  if (reader.read_bool()) {
    member.instance_id = read_client_text(reader);
  }
  member.client_id = read_client_text(reader);
  member.client_host = read_client_text(reader);
  member.session_timeout = milliseconds(reader.read_int32());
  member.rebalance_timeout = milliseconds(reader.read_int32());
  for (std::size_t left = read_count(reader, 2); left > 0; --left) {
    GroupProtocol protocol{.name = read_client_text(reader)};
    protocol.metadata = to_buffer(reader.read_sized_bytes());
    member.protocols.push_back(std::move(protocol));
  }
  member.assignment = to_buffer(reader.read_sized_bytes());
  return member;
}

}  // namespace

std::string_view to_string(GroupState state) {
  switch (state) {
    case GroupState::kEmpty:
      return "Empty";
    case GroupState::kPreparingRebalance:
      return "PreparingRebalance";
    case GroupState::kCompletingRebalance:
      return "CompletingRebalance";
    case GroupState::kStable:
      return "Stable";
  }
  return "Dead";
}

std::size_t bytes_of(const std::vector<GroupProtocol>& protocols) {
  std::size_t bytes = 0;
  for (const GroupProtocol& protocol : protocols) {
    bytes += protocol.name.size() + protocol.metadata.size();
  }
  return bytes;
}

bool GroupMember::supports(std::string_view protocol) const {
  return std::ranges::any_of(protocols,
                             [&](const GroupProtocol& own) { return own.name == protocol; });
}

Buffer GroupMember::metadata_for(std::string_view protocol) const {
  const auto place = std::ranges::find(protocols, protocol, &GroupProtocol::name);
  return place == protocols.end() ? Buffer{} : place->metadata;
}

bool GroupImage::has_member(std::string_view member_id) const {
  return std::ranges::find(members, member_id, &GroupMember::id) != members.end();
}

void GroupImage::remove_member(std::string_view member_id) {
  if (std::erase_if(members, [&](const GroupMember& member) { return member.id == member_id; }) >
      0) {
    state = members.empty() ? GroupState::kEmpty : GroupState::kPreparingRebalance;
  }
}

void GroupImage::encode(WireWriter& writer) const {
  writer.write_int8(static_cast<std::int8_t>(state));
  writer.write_int32(generation.value);
  writer.write_sized_string(protocol_type);
  writer.write_sized_string(protocol_name);
  writer.write_sized_string(leader);
  writer.write_unsigned_varint(members.size());
  for (const GroupMember& member : members) {
    encode_member(writer, member);
  }
}

GroupImage GroupImage::decode(WireReader& reader) {
  GroupImage image;
  const std::int8_t state = reader.read_int8();
  if (state < static_cast<std::int8_t>(GroupState::kEmpty) ||
      state > static_cast<std::int8_t>(GroupState::kStable)) {
    reader.fail();
  }
  image.state = static_cast<GroupState>(state);
  image.generation = GenerationId(reader.read_int32());
  image.protocol_type = read_client_text(reader);
  image.protocol_name = read_client_text(reader);
  image.leader = read_client_text(reader);
  for (std::size_t left = read_count(reader, kEncodedMemberBytesMin); left > 0; --left) {
    image.members.push_back(decode_member(reader));
  }
  return image;
}

}  // namespace onceflow::coordinator
