// FieldInfo: what for_each_field of a generated message tells its visitor about a field.
#pragma once

#include <string_view>

namespace onceflow::protocol {

struct FieldInfo {
  std::string_view name;
  bool may_be_null = false;  ///< in the version at hand
};

}  // namespace onceflow::protocol
