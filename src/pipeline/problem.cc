#include "pipeline/problem.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace onceflow::pipeline {

std::vector<Problem> masked(std::vector<Problem> problems, const Secrets& secrets) {
  for (Problem& problem : problems) {
    problem.what = secrets.masked(problem.what);
    problem.rule = secrets.masked(problem.rule);
    problem.fix = secrets.masked(problem.fix);
  }
  return problems;
}

std::string describe(std::string_view file, const Problem& problem) {
  return fmt::format("{}:{}: {}; the rule: {}; the fix: {}", file, problem.line, problem.what,
                     problem.rule, problem.fix);
}

std::string describe(std::string_view file, const std::vector<Problem>& problems) {
  // By line, and among those of one line in the order in which they were found.
  std::vector<std::pair<int, std::size_t>> order;
  order.reserve(problems.size());
  for (std::size_t index = 0; index < problems.size(); ++index) {
    order.emplace_back(problems[index].line, index);
  }
  std::ranges::sort(order);
  std::string text;
  for (const auto& [line, index] : order) {
    text += describe(file, problems[index]);
    text += '\n';
  }
  return text;
}

}  // namespace onceflow::pipeline
