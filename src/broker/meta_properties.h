// meta.properties: the identity of a data directory, as Kafka keeps it there. Read and written at
// start.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "io/disk.h"
#include "io/random.h"

namespace onceflow::broker {

/// The cluster id of the directory; made, and durable, if it has none. kInvalidArgument if the
/// directory belongs to another node id.
Result<std::string> read_or_make_cluster_id(io::Disk& disk, io::Random& random,
                                            const std::string& directory, std::int32_t node_id);

}  // namespace onceflow::broker
