#include "broker/meta_properties.h"

#include <fmt/format.h>

#include "base/topic_id_text.h"
#include "broker/properties_file.h"

namespace onceflow::broker {

Result<std::string> read_or_make_cluster_id(io::Disk& disk, io::Random& random,
                                            const std::string& directory, std::int32_t node_id) {
  const std::string path = directory + "/meta.properties";
  const auto exists = disk.exists(path);
  RETURN_IF_ERROR(exists);
  if (!*exists) {
    std::string cluster_id = to_text(random.uuid());
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
