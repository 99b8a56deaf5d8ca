#include "base/log_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

namespace onceflow {
namespace {

std::string_view to_text(LogLevel level) {
  switch (level) {
    case LogLevel::kInfo:
      return "INFO";
    case LogLevel::kWarn:
      return "WARN";
    case LogLevel::kError:
      return "ERROR";
  }
  return "?";
}

std::string_view to_json(LogLevel level) {
  switch (level) {
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarn:
      return "warn";
    case LogLevel::kError:
      return "error";
  }
  return "?";
}

// Bytes of the UTF-8 sequence that begins here; 0: none does.
std::size_t sequence_bytes(std::string_view text) {
  const auto byte = [&](std::size_t index) {
    return index < text.size() ? static_cast<unsigned char>(text[index]) : 0U;
  };
  const auto continues = [&](std::size_t index) { return (byte(index) & 0xC0U) == 0x80U; };
  const unsigned first = byte(0);
  if (first < 0x80) {
    return 1;
  }
  if (first >= 0xC2 && first < 0xE0) {
    return continues(1) ? 2 : 0;
  }
  if (first >= 0xE0 && first < 0xF0) {
    const bool is_short = first == 0xE0 && byte(1) < 0xA0;
    const bool is_surrogate = first == 0xED && byte(1) >= 0xA0;
    return continues(1) && continues(2) && !is_short && !is_surrogate ? 3 : 0;
  }
  if (first >= 0xF0 && first < 0xF5) {
    const bool is_short = first == 0xF0 && byte(1) < 0x90;
    const bool is_beyond = first == 0xF4 && byte(1) >= 0x90;
    return continues(1) && continues(2) && continues(3) && !is_short && !is_beyond ? 4 : 0;
  }
  return 0;
}

// Of a sequence of two or three bytes.
char32_t code_point(std::string_view sequence) {
  char32_t point = static_cast<unsigned char>(sequence[0]) & (sequence.size() == 2 ? 0x1FU : 0x0FU);
  for (const char letter : sequence.substr(1)) {
    point = point << 6U | (static_cast<unsigned char>(letter) & 0x3FU);
  }
  return point;
}

// Commands of terminals, ends of lines to some readers, and what turns the direction of writing:
// with them a record's text would pass for a line of ours.
bool acts_on_a_reader(char32_t point) {
  return (point >= 0x80 && point <= 0x9F) || point == 0x61C || point == 0x200E || point == 0x200F ||
         (point >= 0x2028 && point <= 0x202E) || (point >= 0x2066 && point <= 0x2069);
}

// What would break the line, or is not text, in a form that can be read and sent on.
void append_clean(std::string& line, std::string_view text, bool is_json) {
  while (!text.empty()) {
    const std::size_t size = sequence_bytes(text);
    const auto letter = static_cast<unsigned char>(text.front());
    if (size == 0) {
      line += "\xEF\xBF\xBD";  // the replacement character
    } else if (!is_json && letter == '\n') {
      text.remove_prefix(std::min(text.find_first_not_of(" \n"), text.size()));
      if (!text.empty()) {
        line += line.ends_with(':') || line.ends_with(';') ? " " : "; ";
      }
      continue;
    } else if (!is_json && (letter == '\r' || letter == '\t')) {
      line += ' ';
    } else if (letter < 0x20 || letter == 0x7F) {
      line += is_json ? fmt::format("\\u{:04x}", letter) : fmt::format("\\x{:02x}", letter);
    } else if ((size == 2 || size == 3) && acts_on_a_reader(code_point(text.substr(0, size)))) {
      line += fmt::format("\\u{:04x}", static_cast<unsigned>(code_point(text.substr(0, size))));
    } else if (is_json && (letter == '"' || letter == '\\')) {
      line += '\\';
      line += text.front();
    } else {
      line += text.substr(0, size);
    }
    text.remove_prefix(size == 0 ? 1 : size);
  }
}

void append_field(std::string& line, std::string_view name, std::string_view value) {
  line += fmt::format(",\"{}\":\"", name);
  append_clean(line, value, true);
  line += '"';
}

}  // namespace

std::string to_iso8601_ms(WallTime time) {
  using std::chrono::days;
  const std::chrono::sys_time<milliseconds> since{milliseconds(time.ms)};
  const auto day = std::chrono::floor<days>(since);
  const std::chrono::year_month_day date{day};
  const std::chrono::hh_mm_ss clock{since - day};
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     clock.hours().count(), clock.minutes().count(), clock.seconds().count(),
                     clock.subseconds().count());
}

std::string to_log_line(const LogEvent& event, WallTime time, LogFormat format,
                        std::string_view component) {
  std::string line;
  if (format == LogFormat::kJson) {
    line = fmt::format("{{\"time\":\"{}\",\"level\":\"{}\"", to_iso8601_ms(time),
                       to_json(event.level));
    append_field(line, "component", component);
    if (!event.stage.empty()) {
      append_field(line, "stage", event.stage);
    }
    append_field(line, "event", event.event);
    append_field(line, "message", event.text);
    return line + "}\n";
  }
  line = fmt::format("{} {:<5} {}", to_iso8601_ms(time), to_text(event.level), component);
  if (!event.stage.empty()) {
    line += " stage=";
    append_clean(line, event.stage, false);
  }
  line += " event=\"";
  append_clean(line, event.event, false);
  line += "\": ";
  append_clean(line, event.text, false);
  return line + "\n";
}

}  // namespace onceflow
