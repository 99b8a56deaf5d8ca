#include "audit/claims/added_partitions.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string>
#include <string_view>

namespace onceflow::audit {
namespace {

constexpr std::string_view kOutputs = " outputs=";

// Of one output, "TOPIC@ID:2/4": the same topic may stand in many positions.
std::string describe(std::string_view output) {
  const std::string_view counts = output.substr(output.find(':') + 1);
  return fmt::format("topic {} had {} and has {} partitions", output.substr(0, output.find('@')),
                     counts.substr(0, counts.find('/')), counts.substr(counts.rfind('/') + 1));
}

}  // namespace

void tell_added_partitions(const StageSubject& stage, std::span<const GroupPosition> positions,
                           Findings& findings) {
  std::set<std::string> told;
  for (const GroupPosition& position : positions) {
    std::string_view text = position.metadata;
    const std::size_t place = text.find(kOutputs);
    if (place == std::string_view::npos) {
      continue;
    }
    text = text.substr(place + kOutputs.size());
    text = text.substr(0, text.find(' '));
    while (!text.empty()) {
      const std::string_view output = text.substr(0, text.find(','));
      text.remove_prefix(std::min(text.size(), output.size() + 1));
      if (output.contains(':') && output.contains('/') && told.insert(std::string(output)).second) {
        findings.not_covered(fmt::format(
            "{} while stage {} wrote to it: whether a key's records lie in one partition, as a "
            "reader needs it who takes the last of each for the key's",
            describe(output), stage.id));
      }
    }
  }
}

}  // namespace onceflow::audit
