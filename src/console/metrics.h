// Metrics in Prometheus' text form. Values, stateless.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/histogram.h"

namespace onceflow::console {

using Labels = std::vector<std::pair<std::string, std::string>>;

enum class MetricType { kCounter, kGauge, kHistogram };

struct Sample {
  Labels labels;
  double value = 0;
  std::string suffix;  ///< of the family's name: "_bucket", "_sum", "_count"
};

/// All samples of one name. Names are in base units; those of counters end in _total.
struct MetricFamily {
  std::string name;
  std::string help;
  MetricType type = MetricType::kGauge;
  std::vector<Sample> samples;

  MetricFamily& add(Labels labels, double value) {
    samples.push_back({std::move(labels), value, {}});
    return *this;
  }
  /// In seconds, with cumulated buckets.
  MetricFamily& add(const Labels& labels, const Histogram& histogram);
};

/// Appends `value` as it stands between the quotes of a label: escaped, and made UTF-8 (as_utf8).
void append_label_value(std::string& text, std::string_view value);
/// The two lines before the samples of a family.
void append_family_head(std::string& text, std::string_view name, std::string_view help,
                        MetricType type);

/// The content type of to_prometheus().
inline constexpr std::string_view kPrometheusContentType =
    "text/plain; version=0.0.4; charset=utf-8";

/// Families without samples are left out.
std::string to_prometheus(std::span<const MetricFamily> families);

}  // namespace onceflow::console
