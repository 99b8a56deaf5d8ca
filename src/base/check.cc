#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace onceflow {

void check_failed(const char* file, int line, const char* expression,
                  std::string_view promise) noexcept {
  std::fprintf(stderr, "onceflow: stopped at %s:%d: CHECK(%s) failed%s%.*s\n", file, line,
               expression, promise.empty() ? "" : "; invariant ", static_cast<int>(promise.size()),
               promise.data());
  std::fflush(stderr);
  std::abort();
}

}  // namespace onceflow
