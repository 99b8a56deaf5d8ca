// The stage under whose name onceflow_receipts lists the rows that a reset has kept of a sink
// (docs/formats/receipt.md). Pure functions.
#pragma once

#include <string>
#include <string_view>

namespace onceflow::protocol {

/// "lite (kept)": no stage has such an id, because it holds a space.
std::string kept_stage(std::string_view stage);
bool is_kept_stage(std::string_view stage);

}  // namespace onceflow::protocol
