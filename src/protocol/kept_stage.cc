#include "protocol/kept_stage.h"

namespace onceflow::protocol {
namespace {

constexpr std::string_view kKept = " (kept)";

}  // namespace

std::string kept_stage(std::string_view stage) { return std::string(stage).append(kKept); }
bool is_kept_stage(std::string_view stage) { return stage.ends_with(kKept); }

}  // namespace onceflow::protocol
