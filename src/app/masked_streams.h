// MaskedStreams: while it lives, nothing that goes to std::cout or std::cerr shows a secret. For
// the commands that read a pipeline file. What goes past the streams (process_log.h) is masked by
// the functions below.
#pragma once

#include <memory>
#include <vector>

#include "base/log_event.h"
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

/// The same for what is told. `secrets` outlives the result.
TellEvent masked(TellEvent tell, const Secrets& secrets);

/// The same for the labels of metrics.
std::vector<console::MetricFamily> masked(std::vector<console::MetricFamily> families,
                                          const Secrets& secrets);

}  // namespace onceflow::app
