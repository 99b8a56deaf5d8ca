// Problem: what is wrong with a pipeline file, for the person who wrote it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/secrets.h"

namespace onceflow::pipeline {

struct Problem {
  int line = 1;  ///< 1-based
  std::string what;
  std::string rule;
  std::string fix;
};

/// The same, without secrets.
std::vector<Problem> masked(std::vector<Problem> problems, const Secrets& secrets);

/// One line: `file:line: what; the rule: …; the fix: …`
std::string describe(std::string_view file, const Problem& problem);
/// All of them, by line, one a line.
std::string describe(std::string_view file, const std::vector<Problem>& problems);

}  // namespace onceflow::pipeline
