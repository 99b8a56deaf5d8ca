// The subcommands for pipelines that change; see commands.h.
#pragma once

#include "app/commands.h"

namespace onceflow::app {

int run_plan(const Arguments& arguments);
int run_reset(const Arguments& arguments);

}  // namespace onceflow::app
