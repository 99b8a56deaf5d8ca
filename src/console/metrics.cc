#include "console/metrics.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <iterator>

#include "base/utf8.h"

namespace onceflow::console {
namespace {

double to_seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

std::string_view to_string(MetricType type) {
  switch (type) {
    case MetricType::kCounter:
      return "counter";
    case MetricType::kGauge:
      return "gauge";
    case MetricType::kHistogram:
      return "histogram";
  }
  return "untyped";
}

void append_escaped(std::string& text, std::string_view raw, bool quotes_too) {
  for (const char letter : raw) {
    if (letter == '\n') {
      text += "\\n";
    } else if (letter == '\\' || (quotes_too && letter == '"')) {
      text += '\\';
      text += letter;
    } else {
      text += letter;
    }
  }
}

void append_number(std::string& text, double value) {
  constexpr double kExactMax = 9007199254740992.0;  // 2^53
  if (std::isnan(value)) {
    text += "NaN";
  } else if (std::isinf(value)) {
    text += value > 0 ? "+Inf" : "-Inf";
  } else if (value == std::floor(value) && std::abs(value) <= kExactMax) {
    fmt::format_to(std::back_inserter(text), "{}", static_cast<long long>(value));
  } else {
    fmt::format_to(std::back_inserter(text), "{}", value);
  }
}

void append_sample(std::string& text, const MetricFamily& family, const Sample& sample) {
  text += family.name;
  text += sample.suffix;
  if (!sample.labels.empty()) {
    char before = '{';
    for (const auto& [name, value] : sample.labels) {
      text += before;
      text += name;
      text += "=\"";
      append_label_value(text, value);
      text += '"';
      before = ',';
    }
    text += '}';
  }
  text += ' ';
  append_number(text, sample.value);
  text += '\n';
}

}  // namespace

void append_label_value(std::string& text, std::string_view value) {
  if (is_utf8(value)) {
    append_escaped(text, value, true);
  } else {
    append_escaped(text, as_utf8(value), true);
  }
}

void append_family_head(std::string& text, std::string_view name, std::string_view help,
                        MetricType type) {
  text += fmt::format("# HELP {} ", name);
  append_escaped(text, as_utf8(help), false);
  text += fmt::format("\n# TYPE {} {}\n", name, to_string(type));
}

MetricFamily& MetricFamily::add(const Labels& labels, const Histogram& histogram) {
  std::uint64_t cumulated = 0;
  for (std::size_t bucket = 0; bucket < Histogram::kBucketCount; ++bucket) {
    cumulated += histogram.counts()[bucket];
    // The last bucket also holds what lies above it.
    const bool is_last = bucket + 1 == Histogram::kBucketCount;
    Labels with_bound = labels;
    with_bound.emplace_back(
        "le", is_last ? "+Inf" : fmt::format("{}", to_seconds(Histogram::upper_bound(bucket))));
    samples.push_back({std::move(with_bound), static_cast<double>(cumulated), "_bucket"});
  }
  samples.push_back({labels, to_seconds(histogram.sum()), "_sum"});
  samples.push_back({labels, static_cast<double>(histogram.count()), "_count"});
  return *this;
}

std::string to_prometheus(std::span<const MetricFamily> families) {
  std::string text;
  for (const MetricFamily& family : families) {
    if (family.samples.empty()) {
      continue;
    }
    append_family_head(text, family.name, family.help, family.type);
    for (const Sample& sample : family.samples) {
      append_sample(text, family, sample);
    }
  }
  return text;
}

}  // namespace onceflow::console
