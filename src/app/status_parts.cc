#include "app/status_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iterator>
#include <nlohmann/json.hpp>

#include "io/os/line_writer.h"
#include "io/os/process.h"

namespace onceflow::app {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kLineBytesMax = 120;

std::string on_one_line(const Json& json) {
  if (!json.is_structured()) {
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  std::string text;
  for (const auto& [key, value] : json.items()) {
    text += (text.empty() ? "" : ", ");
    text += (json.is_object() ? Json(key).dump() + ": " : "") + on_one_line(value);
  }
  return json.is_object() ? "{" + text + "}" : "[" + text + "]";
}

// Our own status is a few levels deep.
void lay_out(const Json& json, std::size_t indent, std::string& text) {
  const bool is_flat = std::ranges::none_of(
      json, [](const Json& value) { return value.is_structured() && !value.empty(); });
  if (std::string line = on_one_line(json);
      !json.is_structured() || (is_flat && line.size() + indent <= kLineBytesMax)) {
    text += line;
    return;
  }
  text += json.is_object() ? "{" : "[";
  const char* separator = "";
  for (const auto& [key, value] : json.items()) {
    text += separator;
    text += "\n" + std::string(indent + 2, ' ');
    text += json.is_object() ? Json(key).dump() + ": " : "";
    lay_out(value, indent + 2, text);
    separator = ",";
  }
  text += "\n" + std::string(indent, ' ');
  text += json.is_object() ? "}" : "]";
}

}  // namespace

double round_to(double number, int digits) {
  const double scale = std::pow(10, digits);
  return std::round(number * scale) / scale;
}

double round_to_ms(Duration duration) { return round_to(to_seconds(duration), 3); }

std::string to_iso8601(WallTime time) {
  const std::chrono::sys_seconds at(std::chrono::floor<seconds>(milliseconds(time.ms)));
  const auto day = std::chrono::floor<std::chrono::days>(at);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(at - day);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     clock.hours().count(), clock.minutes().count(), clock.seconds().count());
}

std::string lay_out(const std::string& json) {
  std::string text;
  lay_out(Json::parse(json), 0, text);
  return text + '\n';
}

console::MetricFamily& Families::find(const std::string& name, const std::string& help,
                                      console::MetricType type) {
  const auto place = std::ranges::find(families_, name, &console::MetricFamily::name);
  if (place != families_.end()) {
    return *place;
  }
  return families_.emplace_back(console::MetricFamily{name, help, type, {}});
}

void Families::add_process() {
  const io::ProcessUsage usage = io::process_usage();
  gauge("process_resident_memory_bytes", "Resident memory of this process")
      .add({}, static_cast<double>(usage.resident_bytes));
  counter("process_cpu_seconds_total", "Processor time of this process, user and system")
      .add({}, to_seconds(usage.cpu_time));
  gauge("process_open_fds", "Open file descriptors")
      .add({}, static_cast<double>(usage.open_file_count));
  gauge("process_max_fds", "File descriptors that may be open")
      .add({}, static_cast<double>(usage.open_file_count_max));
  counter("onceflow_log_lines_lost_total", "Lines that standard streams did not take")
      .add({}, static_cast<double>(io::lost_line_count()));
}

LoopTurns turns_of(io::EventLoop& loop) {
  return {.lately = loop.longest_turns().lately(loop.now()), .ever = loop.longest_turns().ever()};
}

void add_loop(Families& families, const std::string& name, const LoopTurns& turns) {
  families.gauge("onceflow_loop_stall_seconds", "The longest turn of the loop within a minute")
      .add({{"loop", name}}, to_seconds(turns.lately));
  families.gauge("onceflow_loop_stall_max_seconds", "The longest turn since the start")
      .add({{"loop", name}}, to_seconds(turns.ever));
}

std::string loop_json(const LoopTurns& turns) {
  const auto milliseconds_of = [](Duration duration) {
    return round_to(to_seconds(duration) * 1e3, 3);
  };
  return Json{{"stall_ms", milliseconds_of(turns.lately)},
              {"stall_max_ms", milliseconds_of(turns.ever)}}
      .dump();
}

void add_status_age(Families& families, const std::string& part, Duration age) {
  families.gauge("onceflow_status_age_seconds", "How old the values of this part are")
      .add({{"part", part}}, to_seconds(age));
}

}  // namespace onceflow::app
