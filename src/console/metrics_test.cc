#include "console/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace onceflow::console {
namespace {

using ::testing::HasSubstr;

TEST(Metrics, families_are_written_as_prometheus_reads_them) {
  std::vector<MetricFamily> families{
      {"onceflow_records_total", "records\nread", MetricType::kCounter, {}},
      {"onceflow_nothing", "no samples", MetricType::kGauge, {}}};
  families[0].add({{"stage", "a\"b\\c"}}, 12345678901).add({}, 0.5);
  EXPECT_EQ(to_prometheus(families),
            "# HELP onceflow_records_total records\\nread\n"
            "# TYPE onceflow_records_total counter\n"
            "onceflow_records_total{stage=\"a\\\"b\\\\c\"} 12345678901\n"
            "onceflow_records_total 0.5\n");
}

TEST(Metrics, a_histogram_is_cumulated_and_ends_at_infinity) {
  Histogram histogram;
  histogram.add(microseconds(3));
  histogram.add(microseconds(100));
  histogram.add(seconds(1000));
  std::vector<MetricFamily> families{{"latency_seconds", "", MetricType::kHistogram, {}}};
  families[0].add({{"a", "b"}}, histogram);
  const std::string text = to_prometheus(families);
  EXPECT_THAT(text, HasSubstr("latency_seconds_bucket{a=\"b\",le=\"2e-06\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("latency_seconds_bucket{a=\"b\",le=\"4e-06\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("latency_seconds_bucket{a=\"b\",le=\"0.000128\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("latency_seconds_bucket{a=\"b\",le=\"+Inf\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("latency_seconds_sum{a=\"b\"} 1000.000103\n"));
  EXPECT_THAT(text, HasSubstr("latency_seconds_count{a=\"b\"} 3\n"));
}

}  // namespace
}  // namespace onceflow::console
