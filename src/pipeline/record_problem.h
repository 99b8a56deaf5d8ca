// RecordProblem: why a step refuses a record: what is wrong with it, the rule, and the fix. Who
// knows the step and the record's place says it with them.
#pragma once

#include <string>
#include <string_view>

namespace onceflow::pipeline {

struct RecordProblem {
  std::string what;
  std::string rule;
  std::string fix;
};

/// The way past a record: a step, ready to be typed. The condition must let records without a value
/// pass: they delete.
std::string step_before(std::string_view condition);

}  // namespace onceflow::pipeline
