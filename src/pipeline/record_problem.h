// RecordProblem: why a step refuses a record: what is wrong with it, the rule, and the fix. Who
// knows the step and the record's place says it with them.
#pragma once

#include <string>

namespace onceflow::pipeline {

struct RecordProblem {
  std::string what;
  std::string rule;
  std::string fix;
};

}  // namespace onceflow::pipeline
