#include "broker/meta_properties.h"

#include <fmt/format.h>

#include <string_view>

#include "broker/properties_file.h"

namespace onceflow::broker {
namespace {

constexpr std::string_view kDigits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

// 22 characters, as Kafka's ids.
std::string to_base64(const TopicId& uuid) {
  std::string text;
  std::uint32_t bits = 0;
  int bit_count = 0;
  for (const std::uint8_t octet : uuid.bytes) {
    bits = bits << 8 | octet;
    bit_count += 8;
    while (bit_count >= 6) {
      bit_count -= 6;
      text += kDigits[bits >> bit_count & 63];
    }
  }
  text += kDigits[bits << (6 - bit_count) & 63];
  return text;
}

}  // namespace

Result<std::string> read_or_make_cluster_id(io::Disk& disk, io::Random& random,
                                            const std::string& directory, std::int32_t node_id) {
  const std::string path = directory + "/meta.properties";
  const auto exists = disk.exists(path);
  RETURN_IF_ERROR(exists);
  if (!*exists) {
    std::string cluster_id = to_base64(random.uuid());
    RETURN_IF_ERROR(io::replace_file(
        disk, path,
        as_bytes(fmt::format("version=1\ncluster.id={}\nnode.id={}\n", cluster_id, node_id))));
    return cluster_id;
  }
  const auto bytes = io::read_file(disk, path);
  RETURN_IF_ERROR(bytes);
  std::string cluster_id;
  for (const Property& property : parse_properties(as_text(*bytes))) {
    if (property.key == "cluster.id") {
      cluster_id = property.value;
    }
    if (property.key == "node.id" && property.value != std::to_string(node_id)) {
      return fail(onceflow::ErrorCode::kInvalidArgument,
                  fmt::format("{}:{}: this directory belongs to node {}, and node.id is {}; set "
                              "node.id={} or use another directory",
                              path, property.line, property.value, node_id, property.value));
    }
  }
  if (cluster_id.empty()) {
    return fail(onceflow::ErrorCode::kCorrupt,
                fmt::format("{}: there is no cluster.id in it; remove the file and the broker "
                            "makes a new one",
                            path));
  }
  return cluster_id;
}

}  // namespace onceflow::broker
