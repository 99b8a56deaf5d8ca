#include "pipeline/record_problem.h"

#include <fmt/format.h>

namespace onceflow::pipeline {

std::string step_before(std::string_view condition) {
  std::string scalar;
  for (const char letter : condition) {
    scalar.append(letter == '"' || letter == '\\' ? 1 : 0, '\\');
    scalar += letter;
  }
  return fmt::format(
      "keep such records out by a step before this one: `- {{ id: known, where: \"{}\" }}`",
      scalar);
}

}  // namespace onceflow::pipeline
