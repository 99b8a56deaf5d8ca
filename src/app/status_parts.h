// What the status pages of worker and broker have in common. Stateless.
#pragma once

#include <string>
#include <vector>

#include "base/histogram.h"
#include "base/time.h"
#include "console/metrics.h"
#include "io/os/event_loop.h"

namespace onceflow::app {

inline double to_seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

/// For people.
double round_to(double number, int digits);
/// To the millisecond.
double round_to_ms(Duration duration);
/// "2026-11-21T09:53:44Z".
std::string to_iso8601(WallTime time);

/// The same JSON, laid out for people: what has no depth and fits is on one line.
std::string lay_out(const std::string& json);

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

/// The longest turns of a loop: that of the worker, or of the broker.
struct LoopTurns {
  Duration lately{};
  Duration ever{};
};
/// On the loop's thread.
LoopTurns turns_of(io::EventLoop& loop);
void add_loop(Families& families, const std::string& name, const LoopTurns& turns);
std::string loop_json(const LoopTurns& turns);

/// How old what is shown of `part` is: its thread answers no faster.
void add_status_age(Families& families, const std::string& part, Duration age);

}  // namespace onceflow::app
