// The `steps` of a pipeline file.
#pragma once

#include "pipeline/spec.h"
#include "pipeline/yaml_reader.h"

namespace onceflow::pipeline {

void read_steps(YamlReader& reader, const YAML::Node& root, PipelineSpec& spec);

/// Reads an `id:`: short, and fit to be part of a topic's name. Empty if it is not.
std::string read_id(YamlReader& reader, const YAML::Node& node);

}  // namespace onceflow::pipeline
