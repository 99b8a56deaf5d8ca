// What the status pages of worker and broker have in common. Stateless.
#pragma once

#include <string>
#include <vector>

#include "base/histogram.h"
#include "base/time.h"
#include "console/metrics.h"

namespace onceflow::app {

inline double to_seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

/// Families in the order in which they are first named.
class Families {
 public:
  console::MetricFamily& counter(const std::string& name, const std::string& help) {
    return find(name, help, console::MetricType::kCounter);
  }
  console::MetricFamily& gauge(const std::string& name, const std::string& help) {
    return find(name, help, console::MetricType::kGauge);
  }
  console::MetricFamily& histogram(const std::string& name, const std::string& help) {
    return find(name, help, console::MetricType::kHistogram);
  }
  /// Memory, processor time and open files, under Prometheus' own names.
  void add_process();

  std::vector<console::MetricFamily> take() { return std::move(families_); }

 private:
  console::MetricFamily& find(const std::string& name, const std::string& help,
                              console::MetricType type);
  std::vector<console::MetricFamily> families_;
};

}  // namespace onceflow::app
