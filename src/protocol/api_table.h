// The table of APIs: which versions our codecs speak. Made from the message definitions; constant.
//
// What a broker advertises is its own matter: it may claim a lower minimum (Produce, for old
// librdkafka) or leave an API out.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "protocol/api_key.h"

namespace onceflow::protocol {

struct ApiInfo {
  ApiKey key;
  std::string_view name;
  std::int16_t version_min;
  std::int16_t version_max;
  std::int16_t flexible_from;

  bool supports(std::int16_t version) const {
    return version >= version_min && version <= version_max;
  }
  bool is_flexible(std::int16_t version) const { return version >= flexible_from; }
};

/// In order of the key.
std::span<const ApiInfo> api_table();

/// Null for an API we do not speak.
const ApiInfo* find_api(ApiKey key);

}  // namespace onceflow::protocol
