// The syntax of Java's .properties files. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace onceflow::broker {

struct Property {
  std::string key;
  std::string value;
  int line = 0;  ///< where it begins, from 1
};

/// Every text is a properties file: comments by '#' or '!', key and value apart by '=', ':' or
/// white space, lines that go on behind a backslash, escapes \t \n \r \f \uXXXX.
std::vector<Property> parse_properties(std::string_view text);

}  // namespace onceflow::broker
