// The `sinks` of a pipeline file, and the rules for names that other sections share.
#pragma once

#include <string>
#include <string_view>

#include "pipeline/spec.h"
#include "pipeline/yaml_reader.h"

namespace onceflow::pipeline {

/// Kafka's rule for topics: letters, digits, `.`, `_` and `-`; not `.` or `..`.
bool is_topic_name(std::string_view name, std::size_t bytes_max);
/// Reports a topic that may not be named so.
void check_topic(YamlReader& reader, const YAML::Node& node, const std::string& topic);

void read_sinks(YamlReader& reader, const YAML::Node& root, PipelineSpec& spec);

}  // namespace onceflow::pipeline
