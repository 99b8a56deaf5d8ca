// FieldInfo: what for_each_field of a generated message tells its visitor about a field.
#pragma once

#include <cstdint>
#include <string_view>

namespace onceflow::protocol {

/// What elements of an array mean that name the same thing again; see tools/generate_protocol.py.
enum class Repeats : std::int8_t { kNotSaid, kRefused, kMerged, kKept };

struct FieldInfo {
  std::string_view name;
  bool may_be_null = false;  ///< in the version at hand
  Repeats repeats = Repeats::kNotSaid;
};

}  // namespace onceflow::protocol
