// meta.properties: the identity of a data directory, as Kafka keeps it there. Read and written at
// start. The log's checkpoint keeps the cluster id too, so that it outlives the file.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "io/disk.h"

namespace onceflow::broker {

std::string meta_properties_path(const std::string& directory);

/// The cluster id that the file tells; nullopt if there is no file. kInvalidArgument if the
/// directory belongs to another node id, kCorrupt if it tells none.
Result<std::optional<std::string>> read_cluster_id(io::Disk& disk, const std::string& directory,
                                                   std::int32_t node_id);

/// Makes the file, durable.
Status write_meta_properties(io::Disk& disk, const std::string& directory,
                             const std::string& cluster_id, std::int32_t node_id);

}  // namespace onceflow::broker
