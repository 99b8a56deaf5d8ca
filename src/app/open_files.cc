#include "app/open_files.h"

#include <fmt/format.h>

#include <algorithm>

namespace onceflow::app {
namespace {

// The journal, checkpoints, standard streams, the status port, the parts beside the log.
constexpr std::size_t kOthersCount = 128;
constexpr std::size_t kSegmentsMin = 16;
constexpr std::size_t kConnectionsMin = 8;

}  // namespace

std::optional<std::string> bound_open_files(broker::BrokerOptions& options,
                                            std::size_t open_file_count_max) {
  const std::size_t left = open_file_count_max - std::min(open_file_count_max, kOthersCount);
  const std::size_t segments_asked = options.log.open_files_max;
  options.log.open_files_max =
      std::clamp(left / 4, kSegmentsMin, std::max(kSegmentsMin, segments_asked));
  const std::size_t asked = options.server.connection_count_max;
  const std::size_t fitting =
      std::max(kConnectionsMin, left - std::min(left, options.log.open_files_max));
  if (asked <= fitting) {
    return std::nullopt;
  }
  options.server.connection_count_max = fitting;
  return fmt::format(
      "at most {} connections are accepted, not the {} of max.connections: this process may have "
      "{} files open. Raise the limit (ulimit -n {}, or LimitNOFILE= of its service), or set "
      "max.connections to {} or less.",
      fitting, asked, open_file_count_max, asked + segments_asked + kOthersCount, fitting);
}

}  // namespace onceflow::app
