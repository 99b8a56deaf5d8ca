#include "protocol/definition_lines.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/json_text.h"
#include "protocol/definition.h"

namespace onceflow::protocol {
namespace {

constexpr std::string_view kAlso = "also ";
constexpr std::string_view kThen = "then ";
constexpr std::string_view kIs = " = ";
// Kinds of lines with a name, the longer one first.
constexpr std::array<std::string_view, 4> kNamed = {"key column ", "column ", "key ", "aggregate "};

bool is_control(char letter) { return static_cast<unsigned char>(letter) < 0x20; }

std::string_view kind_of(std::string_view line) {
  const std::string_view rest = without_border(line);
  return rest.substr(0, rest.find(' '));
}

std::string_view last_line(std::string_view text) {
  text.remove_suffix(text.ends_with('\n') ? 1 : 0);
  const std::size_t end = text.rfind('\n');
  return end == std::string_view::npos ? text : text.substr(end + 1);
}

// Of a line that has a name: where that begins; npos: it has none.
std::size_t begin_of_name(std::string_view line) {
  const std::size_t border = border_of(line).size();
  for (const std::string_view kind : kNamed) {
    if (line.substr(border).starts_with(kind)) {
      return border + kind.size();
    }
  }
  return std::string_view::npos;
}

// Behind the quote that closes what begins here; npos: it is not closed.
std::size_t end_of_quoted(std::string_view line, std::size_t begin) {
  const char quote = line[begin];
  for (std::size_t place = begin + 1; place < line.size(); ++place) {
    if (line[place] == '\\' && quote == '"') {
      ++place;
    } else if (line[place] == quote) {
      return place + 1;
    }
  }
  return std::string_view::npos;
}

// Behind a name that is a JSON string; `begin`: it is none.
std::size_t end_of_json_name(std::string_view line, std::size_t begin) {
  if (begin >= line.size() || line[begin] != '"') {
    return begin;
  }
  const std::size_t end = end_of_quoted(line, begin);
  return end == std::string_view::npos || end >= line.size() || line[end] != ' ' ? begin : end;
}

int digit_of(char letter) {
  return letter >= '0' && letter <= '9'   ? letter - '0'
         : letter >= 'a' && letter <= 'f' ? letter - 'a' + 10
                                          : 0;
}

// Behind the literal or the quoted name that begins here, else behind this letter.
std::size_t end_of_part(std::string_view line, std::size_t begin) {
  if (line[begin] != '\'' && line[begin] != '"') {
    return begin + 1;
  }
  std::size_t end = end_of_quoted(line, begin);
  while (line[begin] == '\'' && end < line.size() && line[end] == '\'') {
    end = end_of_quoted(line, end);  // a quote in a literal is written twice
  }
  return std::min(end, line.size());
}

// The `e` of a literal with escapes: no word of an expression, nor the end of one.
bool ends_with_mark(std::string_view text) {
  const auto is_of_word = [](char letter) {
    return letter == '_' || letter == '.' || (letter >= '0' && letter <= '9') ||
           (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z');
  };
  return text.ends_with('e') && (text.size() < 2 || !is_of_word(text[text.size() - 2]));
}

// Escapes are `\` and the letter, or `mark` and `digits` hexadecimal digits behind it.
std::string unescaped(std::string_view text, char mark, std::size_t digits) {
  std::string plain;
  for (std::size_t place = 0; place < text.size(); ++place) {
    if (text[place] != '\\' || place + 1 == text.size()) {
      plain += text[place];
      continue;
    }
    ++place;
    if (text[place] != mark || place + digits >= text.size()) {
      plain += text[place];
      continue;
    }
    int code = 0;
    for (std::size_t index = 0; index < digits; ++index) {
      code = code * 16 + digit_of(text[++place]);
    }
    plain += static_cast<char>(code);
  }
  return plain;
}

// What earlier versions wrote for a line of this one.
std::string line_in_earlier_form(std::string_view line) {
  line = without_border(line);
  const std::size_t begin = begin_of_name(line);
  const std::size_t end = begin == std::string_view::npos ? begin : end_of_json_name(line, begin);
  if (end == begin) {
    return with_plain_literals(line);
  }
  return std::string(line.substr(0, begin))
      .append(unescaped(line.substr(begin + 1, end - begin - 2), 'u', 4))
      .append(with_plain_literals(line.substr(end)));
}

// A name that this version would have written as a JSON string.
bool has_raw_name(std::string_view line) {
  const std::size_t begin = begin_of_name(line);
  if (begin == std::string_view::npos || end_of_json_name(line, begin) != begin) {
    return false;
  }
  const bool is_column = line.starts_with("column ") || line.starts_with("key column ");
  std::string_view name = line.substr(begin, line.find(kIs, begin) - begin);
  name = name.substr(0, is_column ? name.rfind(' ') : name.size());  // without the type
  return name_in_line(name) != name;
}

}  // namespace

std::string_view border_of(std::string_view line) {
  return line.starts_with(kAlso) ? kAlso : line.starts_with(kThen) ? kThen : "";
}

std::string_view without_border(std::string_view line) {
  return line.substr(border_of(line).size());
}

void append_step(std::string& text, std::span<const std::string> lines) {
  for (std::size_t index = 0; index < lines.size(); ++index) {
    const bool follows = !text.empty() && kind_of(last_line(text)) == kind_of(lines[index]);
    const std::string_view border = index > 0 ? kAlso : follows ? kThen : "";
    text.append(border).append(lines[index]).append("\n");
  }
}

std::string name_in_line(std::string_view name) {
  const bool is_plain = !name.empty() && std::ranges::none_of(name, [](char letter) {
    return is_control(letter) || letter == ' ' || letter == '"' || letter == '\'' || letter == '=';
  });
  if (is_plain) {
    return std::string(name);
  }
  std::string text;
  append_json_string(text, name);
  return text;
}

std::size_t begin_of_expression(std::string_view line) {
  const std::size_t begin = begin_of_name(line);
  const std::size_t place =
      begin == std::string_view::npos ? begin : line.find(kIs, end_of_json_name(line, begin));
  return place == std::string_view::npos ? place : place + kIs.size();
}

std::string literal_in_line(std::string_view literal) {
  if (std::ranges::none_of(literal, is_control)) {
    return std::string(literal);
  }
  std::string text = "e";
  for (const char letter : literal) {
    if (is_control(letter)) {
      text += fmt::format("\\x{:02x}", static_cast<unsigned>(letter));
    } else {
      text.append(letter == '\\' ? 1 : 0, '\\').append(1, letter);
    }
  }
  return text;
}

std::string with_plain_literals(std::string_view expression) {
  std::string text;
  for (std::size_t place = 0; place < expression.size();) {
    const std::size_t end = end_of_part(expression, place);
    const std::string_view part = expression.substr(place, end - place);
    if (part.front() == '\'' && ends_with_mark(text)) {
      text.pop_back();
      text += unescaped(part, 'x', 2);
    } else {
      text += part;
    }
    place = end;
  }
  return text;
}

bool has_closed_quotes(std::string_view line) {
  for (std::size_t place = 0; place < line.size();) {
    const bool is_quote = line[place] == '\'' || line[place] == '"';
    place = is_quote ? end_of_quoted(line, place) : place + 1;
    if (place == std::string_view::npos) {
      return false;
    }
  }
  return true;
}

bool is_of_earlier_form(const std::string& text) {
  std::string before;
  for (const std::string& line : definition_lines(text)) {
    const std::string_view kind = kind_of(line);
    const bool is_bordered = kind == "set" || (kind == "key" && !line.starts_with("key column "));
    if (!has_closed_quotes(line) || has_raw_name(line) ||
        (is_bordered && kind == before && border_of(line).empty())) {
      return true;
    }
    before = kind;
  }
  return false;
}

std::string in_earlier_form(const std::string& text) {
  std::string earlier;
  for (const std::string& line : definition_lines(text)) {
    earlier += line_in_earlier_form(line) + "\n";
  }
  return earlier;
}

std::string in_form_of(const std::string& recorded, const std::string& text) {
  return is_of_earlier_form(recorded) ? in_earlier_form(text) : text;
}

}  // namespace onceflow::protocol
