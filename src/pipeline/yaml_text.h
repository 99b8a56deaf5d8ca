// YamlText: what a YAML library would pass over in silence. Whatever stands in a pipeline file is
// read or refused: a second document, an anchor, a tag, a byte that ends the parser's input.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "pipeline/problem.h"

namespace onceflow::pipeline {

/// What of the text YAML::Load would not look at, or would change, by line. Empty also where it is
/// not YAML at all: YAML::Load says so better.
std::vector<Problem> problems_of_yaml_text(std::string_view text);

/// The expression as a person types it into a pipeline file, also between braces: in quotes where a
/// comma, a bracket or a colon would end it.
std::string as_yaml_scalar(std::string_view expression);

}  // namespace onceflow::pipeline
