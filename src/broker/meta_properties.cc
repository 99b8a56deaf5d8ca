#include "broker/meta_properties.h"

#include <fmt/format.h>

#include <charconv>

#include "base/utf8.h"
#include "broker/properties_file.h"
#include "log/damage.h"

namespace onceflow::broker {

std::string meta_properties_path(const std::string& directory) {
  return directory + "/meta.properties";
}

Result<std::optional<std::string>> read_cluster_id(io::Disk& disk, const std::string& directory,
                                                   std::int32_t node_id) {
  const std::string path = meta_properties_path(directory);
  const auto exists = disk.exists(path);
  RETURN_IF_ERROR(exists);
  if (!*exists) {
    return std::nullopt;
  }
  const auto bytes = io::read_file(disk, path);
  RETURN_IF_ERROR(bytes);
  std::string cluster_id;
  for (const Property& property : parse_properties(as_text(*bytes))) {
    if (property.key == "cluster.id") {
      cluster_id = property.value;
    }
    if (property.key == "node.id" && property.value != std::to_string(node_id)) {
      std::int32_t number = 0;
      const char* const end = property.value.data() + property.value.size();
      const auto read = std::from_chars(property.value.data(), end, number);
      if (read.ec != std::errc() || read.ptr != end || number < 0) {
        return log::fail_damaged(log::Damage::kNodeIdLost,
                                 fmt::format("{}:{}", path, property.line),
                                 printable(property.value));
      }
      return fail(onceflow::ErrorCode::kInvalidArgument,
                  fmt::format("{}:{}: this directory belongs to node {}, and node.id is {}; set "
                              "node.id={} or use another directory",
                              path, property.line, number, node_id, number));
    }
  }
  if (cluster_id.empty()) {
    return log::fail_damaged(log::Damage::kClusterIdLost, path);
  }
  return cluster_id;
}

Status write_meta_properties(io::Disk& disk, const std::string& directory,
                             const std::string& cluster_id, std::int32_t node_id) {
  return io::replace_file(
      disk, meta_properties_path(directory),
      as_bytes(fmt::format("version=1\ncluster.id={}\nnode.id={}\n", cluster_id, node_id)));
}

}  // namespace onceflow::broker
