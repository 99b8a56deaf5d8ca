// CHECK: for what cannot happen. On in release too; a failed one is our bug, so the process stops.
//
// CHECK_INVARIANT names the promise of INVARIANTS.md that would be broken by going on.
#pragma once

#include <string_view>

namespace onceflow {

/// Prints one line (place, expression, what was promised) and aborts. Never returns.
[[noreturn]] void check_failed(const char* file, int line, const char* expression,
                               std::string_view promise) noexcept;

}  // namespace onceflow

#define CHECK(condition)                                            \
  do {                                                              \
    if (!(condition)) [[unlikely]] {                                \
      ::onceflow::check_failed(__FILE__, __LINE__, #condition, {}); \
    }                                                               \
  } while (false)

#define CHECK_INVARIANT(invariant_id, condition)                              \
  do {                                                                        \
    if (!(condition)) [[unlikely]] {                                          \
      ::onceflow::check_failed(__FILE__, __LINE__, #condition, invariant_id); \
    }                                                                         \
  } while (false)
