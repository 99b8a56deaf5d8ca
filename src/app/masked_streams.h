// MaskedStreams: while it lives, nothing that goes to std::cout or std::cerr shows a secret. For
// the commands that read a pipeline file, which write through these two alone.
#pragma once

#include <memory>
#include <vector>

#include "base/secrets.h"
#include "console/metrics.h"

namespace onceflow::app {

class MaskedStreams {
 public:
  /// `secrets` outlives it.
  explicit MaskedStreams(const Secrets& secrets);
  ~MaskedStreams();
  MaskedStreams(const MaskedStreams&) = delete;
  MaskedStreams& operator=(const MaskedStreams&) = delete;

 private:
  class Filter;
  std::unique_ptr<Filter> out_;
  std::unique_ptr<Filter> err_;
};

/// The same for the labels of metrics.
std::vector<console::MetricFamily> masked(std::vector<console::MetricFamily> families,
                                          const Secrets& secrets);

}  // namespace onceflow::app
