// The table of APIs, from the constants of the generated requests.
#include "protocol/api_table.h"

#include <algorithm>
#include <array>

#include "protocol/messages/index.h"

namespace onceflow::protocol {
namespace {

template <typename... Requests>
struct Table {
  static constexpr std::array kApis = {
      ApiInfo{Requests::kApiKey, Requests::kName.substr(0, Requests::kName.size() - 7),
              Requests::kVersionMin, Requests::kVersionMax, Requests::kFlexibleFrom}...};
};
constexpr auto& kApis = ForAllRequests<Table>::kApis;

static_assert(std::ranges::is_sorted(kApis, {}, &ApiInfo::key));

}  // namespace

std::span<const ApiInfo> api_table() { return kApis; }

const ApiInfo* find_api(ApiKey key) {
  const auto found = std::ranges::lower_bound(kApis, key, {}, &ApiInfo::key);
  return found != kApis.end() && found->key == key ? &*found : nullptr;
}

std::string_view to_string(ApiKey key) {
  const ApiInfo* api = find_api(key);
  return api ? api->name : "Unknown";
}

}  // namespace onceflow::protocol
