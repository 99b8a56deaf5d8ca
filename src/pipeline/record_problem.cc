#include "pipeline/record_problem.h"

#include <fmt/format.h>

namespace onceflow::pipeline {

std::string step_before(std::string_view condition) {
  return fmt::format(
      "keep such records out by a step before this one: `- {{ id: known, where: \"{}\" }}`",
      condition);
}

}  // namespace onceflow::pipeline
