// A definition that tests of definitions begin with.
#pragma once

#include "protocol/definition.h"

namespace onceflow::engine {

/// in -> table, and nothing else.
inline protocol::PipelineDefinition rows() {
  protocol::PipelineDefinition definition;
  definition.pipeline = "p";
  definition.guarantee = "exactly_once";
  definition.stages = {{.id = "sqlite",
                        .group_id = "g",
                        .sources = {"in"},
                        .steps = "where $.x > 1\n",
                        .state = {},
                        .changelog_topic = {},
                        .database = "sqlite a.db",
                        .outputs = {"t"},
                        .columns = "mode append\ncolumn x integer = $.x\n"}};
  return definition;
}

}  // namespace onceflow::engine
