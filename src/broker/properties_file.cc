#include "broker/properties_file.h"

#include <charconv>
#include <cstdint>

namespace onceflow::broker {
namespace {

bool is_space(char character) { return character == ' ' || character == '\t' || character == '\f'; }

std::string_view without_leading_space(std::string_view text) {
  while (!text.empty() && is_space(text.front())) {
    text.remove_prefix(1);
  }
  return text;
}

struct LogicalLine {
  std::string text;
  int line = 0;
};

// An odd number of backslashes at its end joins a line with the next.
bool goes_on(std::string_view line) {
  std::size_t backslashes = 0;
  while (backslashes < line.size() && line[line.size() - 1 - backslashes] == '\\') {
    ++backslashes;
  }
  return backslashes % 2 == 1;
}

std::vector<LogicalLine> logical_lines(std::string_view text) {
  std::vector<LogicalLine> lines;
  bool joins = false;
  int number = 0;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    ++number;
    if (line.ends_with('\r')) {
      line.remove_suffix(1);
    }
    line = without_leading_space(line);
    if (!joins) {
      if (line.empty() || line.front() == '#' || line.front() == '!') {
        continue;
      }
      lines.push_back({.text = "", .line = number});
    }
    joins = goes_on(line);
    lines.back().text += joins ? line.substr(0, line.size() - 1) : line;
  }
  return lines;
}

void append_utf8(std::string& text, std::uint32_t code_point) {
  if (code_point < 0x80) {
    text += static_cast<char>(code_point);
  } else if (code_point < 0x800) {
    text += static_cast<char>(0xc0 | code_point >> 6);
    text += static_cast<char>(0x80 | (code_point & 0x3f));
  } else {
    text += static_cast<char>(0xe0 | code_point >> 12);
    text += static_cast<char>(0x80 | (code_point >> 6 & 0x3f));
    text += static_cast<char>(0x80 | (code_point & 0x3f));
  }
}

std::string unescaped(std::string_view text) {
  std::string result;
  for (std::size_t place = 0; place < text.size(); ++place) {
    if (text[place] != '\\' || place + 1 == text.size()) {
      result += text[place];
      continue;
    }
    const char escape = text[++place];
    switch (escape) {
      case 't':
        result += '\t';
        break;
      case 'n':
        result += '\n';
        break;
      case 'r':
        result += '\r';
        break;
      case 'f':
        result += '\f';
        break;
      case 'u': {
        const std::string_view digits = text.substr(place + 1, 4);
        std::uint32_t code_point = 0;
        const auto [end, error] =
            std::from_chars(digits.data(), digits.data() + digits.size(), code_point, 16);
        if (error == std::errc() && end == digits.data() + 4) {
          append_utf8(result, code_point);
          place += 4;
        } else {
          result += escape;
        }
        break;
      }
      default:
        result += escape;
    }
  }
  return result;
}

Property to_property(const LogicalLine& line) {
  const std::string_view text = line.text;
  std::size_t key_end = 0;
  while (key_end < text.size() && text[key_end] != '=' && text[key_end] != ':' &&
         !is_space(text[key_end])) {
    key_end += text[key_end] == '\\' && key_end + 1 < text.size() ? 2 : 1;
  }
  std::string_view rest = without_leading_space(text.substr(key_end));
  if (!rest.empty() && (rest.front() == '=' || rest.front() == ':')) {
    rest = without_leading_space(rest.substr(1));
  }
  while (!rest.empty() && is_space(rest.back())) {
    // Java keeps it; nobody means it.
    rest.remove_suffix(1);
  }
  return {unescaped(text.substr(0, key_end)), unescaped(rest), line.line};
}

}  // namespace

std::vector<Property> parse_properties(std::string_view text) {
  std::vector<Property> properties;
  for (const LogicalLine& line : logical_lines(text)) {
    properties.push_back(to_property(line));
  }
  return properties;
}

}  // namespace onceflow::broker
