// Callback: what is called once, later, on the thread that asked.
#pragma once

#include <functional>

namespace onceflow {

template <typename Signature>
using Callback = std::move_only_function<Signature>;

}  // namespace onceflow
