// The times of a consumer group in `source.kafka`: session.timeout.ms, heartbeat.interval.ms and
// max.poll.interval.ms, checked one by one and against each other. They hold for the groups of all
// stages of the pipeline. Stateless.
#pragma once

#include "pipeline/spec.h"
#include "pipeline/yaml_reader.h"

namespace onceflow::pipeline {

GroupTimes read_group_times(YamlReader& reader, const YAML::Node& kafka);

}  // namespace onceflow::pipeline
