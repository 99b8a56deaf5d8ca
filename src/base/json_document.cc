#include "base/json_document.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <utility>

#include "base/json_text.h"
#include "base/utf8.h"

namespace onceflow {
namespace {

bool is_space(char letter) {
  return letter == ' ' || letter == '\n' || letter == '\r' || letter == '\t';
}
bool is_digit(char letter) { return letter >= '0' && letter <= '9'; }

// Four hexadecimal digits at `begin`.
std::optional<std::uint32_t> read_unit(std::string_view text, std::size_t begin) {
  if (begin + 4 > text.size()) {
    return std::nullopt;
  }
  std::uint32_t unit = 0;
  const char* first = text.data() + begin;
  const auto [end, error] = std::from_chars(first, first + 4, unit, 16);
  return error == std::errc() && end == first + 4 ? std::optional(unit) : std::nullopt;
}

constexpr std::string_view kEscapes = "\"\\/bfnrt";
constexpr std::string_view kEscaped = "\"\\/\b\f\n\r\t";

// What stands between the quotes of a string whose escapes are well formed; false: half of a
// surrogate pair.
bool decode_string(std::string_view inner, std::string& decoded) {
  decoded.clear();
  for (std::size_t index = 0; index < inner.size();) {
    if (inner[index] != '\\') {
      const std::size_t escape = std::min(inner.find('\\', index), inner.size());
      decoded += inner.substr(index, escape - index);
      index = escape;
      continue;
    }
    if (inner[index + 1] != 'u') {
      decoded += kEscaped[kEscapes.find(inner[index + 1])];
      index += 2;
      continue;
    }
    std::uint32_t code_point = *read_unit(inner, index + 2);
    index += 6;
    if (code_point >= 0xd800 && code_point <= 0xdfff) {
      const auto low = code_point < 0xdc00 && inner.substr(index, 2) == "\\u"
                           ? read_unit(inner, index + 2)
                           : std::nullopt;
      if (!low || *low < 0xdc00 || *low > 0xdfff) {
        return false;
      }
      code_point = 0x10000 + ((code_point - 0xd800) << 10) + (*low - 0xdc00);
      index += 6;
    }
    append_utf8(decoded, code_point);
  }
  return true;
}

// Where the string that begins at `begin` (its quote) ends, one past its closing quote; the place
// of what is wrong with it otherwise.
struct StringEnd {
  std::size_t end = 0;
  bool has_escape = false;
  std::string_view wrong;  ///< empty: it is whole
};

StringEnd scan_string(std::string_view text, std::size_t begin) {
  StringEnd result;
  std::size_t index = begin + 1;
  for (; index < text.size(); ++index) {
    const char letter = text[index];
    if (letter == '"') {
      result.end = index + 1;
      return result;
    }
    if (static_cast<unsigned char>(letter) < 0x20) {
      result.end = index;
      result.wrong = "a control character in a string";
      return result;
    }
    if (letter != '\\') {
      continue;
    }
    result.has_escape = true;
    ++index;
    if (index < text.size() && text[index] == 'u' && read_unit(text, index + 1)) {
      index += 4;
    } else if (index >= text.size() || !kEscapes.contains(text[index])) {
      result.end = index - 1;
      result.wrong = "an escape that JSON does not have";
      return result;
    }
  }
  result.end = index;
  result.wrong = "a string without its closing quote";
  return result;
}

// Where the number that begins at `begin` ends; `begin` if none does.
std::size_t end_of_number(std::string_view text, std::size_t begin) {
  std::size_t index = begin + (text[begin] == '-' ? 1 : 0);
  const auto skip_digits = [&] {
    const std::size_t first = index;
    while (index < text.size() && is_digit(text[index])) {
      ++index;
    }
    return index > first;
  };
  const bool is_zero = index < text.size() && text[index] == '0';
  index += is_zero ? 1 : 0;
  if (!is_zero && !skip_digits()) {
    return begin;
  }
  if (index < text.size() && text[index] == '.') {
    ++index;
    if (!skip_digits()) {
      return begin;
    }
  }
  if (index < text.size() && (text[index] == 'e' || text[index] == 'E')) {
    ++index;
    index += index < text.size() && (text[index] == '+' || text[index] == '-') ? 1 : 0;
    if (!skip_digits()) {
      return begin;
    }
  }
  return index;
}

}  // namespace

// One pass over a text; `open_` holds the arrays and objects that are not closed yet.
class JsonParser {
 public:
  JsonParser(JsonDocument& document, std::string_view text)
      : text_(text), nodes_(document.nodes_), open_(document.open_) {}

  std::optional<JsonDocument::Problem> run() {
    if (text_.size() > std::numeric_limits<std::uint32_t>::max()) {
      return JsonDocument::Problem{0, "a text of more than 4 GiB"};
    }
    if (const std::size_t invalid = find_invalid_utf8(text_); invalid != std::string_view::npos) {
      return JsonDocument::Problem{invalid, "a byte that is not UTF-8"};
    }
    while (wrong_.empty()) {
      while (index_ < text_.size() && is_space(text_[index_])) {
        ++index_;
      }
      if (expected_ == Expected::kEnd) {
        return index_ == text_.size() ? std::nullopt : problem("something after the value");
      }
      if (index_ == text_.size()) {
        return problem("it ends too early");
      }
      step();
    }
    return problem(wrong_);
  }

 private:
  using Kind = JsonDocument::Kind;
  enum class Expected { kValue, kFirstElement, kName, kFirstName, kCommaOrEnd, kEnd };

  std::optional<JsonDocument::Problem> problem(std::string_view what) const {
    return JsonDocument::Problem{index_, what};
  }

  void step() {
    switch (expected_) {
      case Expected::kFirstElement:
        if (text_[index_] == ']') {
          close();
          break;
        }
        [[fallthrough]];
      case Expected::kValue:
        value();
        break;
      case Expected::kFirstName:
        if (text_[index_] == '}') {
          close();
          break;
        }
        [[fallthrough]];
      case Expected::kName:
        name();
        break;
      default:
        comma_or_end();
    }
  }

  void comma_or_end() {
    const bool is_object = nodes_[open_.back()].kind == Kind::kObject;
    if (text_[index_] == ',') {
      ++index_;
      expected_ = is_object ? Expected::kName : Expected::kValue;
    } else if (text_[index_] == (is_object ? '}' : ']')) {
      close();
    } else {
      wrong_ = is_object ? "no comma or } after a member" : "no comma or ] after an element";
    }
  }

  void value() {
    switch (text_[index_]) {
      case '{':
        begin(Kind::kObject, Expected::kFirstName);
        break;
      case '[':
        begin(Kind::kArray, Expected::kFirstElement);
        break;
      case '"':
        string();
        ended();
        break;
      case 't':
        word("true", Kind::kTrue);
        break;
      case 'f':
        word("false", Kind::kFalse);
        break;
      case 'n':
        word("null", Kind::kNull);
        break;
      default:
        number();
    }
  }

  void begin(Kind kind, Expected expected) {
    if (open_.size() == JsonDocument::kDepthMax) {
      wrong_ = "nesting deeper than 2,000";
      return;
    }
    open_.push_back(static_cast<std::uint32_t>(nodes_.size()));
    add(kind, index_ + 1, false);
    expected_ = expected;
  }

  void close() {
    JsonDocument::Node& node = nodes_[open_.back()];
    open_.pop_back();
    ++index_;
    node.end = static_cast<std::uint32_t>(index_);
    node.next = static_cast<std::uint32_t>(nodes_.size());
    ended();
  }

  // A value is whole.
  void ended() { expected_ = open_.empty() ? Expected::kEnd : Expected::kCommaOrEnd; }

  void name() {
    if (text_[index_] != '"') {
      wrong_ = "no name in quotes where a member begins";
      return;
    }
    string();
    while (index_ < text_.size() && is_space(text_[index_])) {
      ++index_;
    }
    if (wrong_.empty() && (index_ == text_.size() || text_[index_] != ':')) {
      wrong_ = "no colon after a name";
    }
    ++index_;
    index_ -= wrong_.empty() ? 0 : 1;
    expected_ = Expected::kValue;
  }

  void string() {
    const StringEnd found = scan_string(text_, index_);
    if (!found.wrong.empty()) {
      wrong_ = found.wrong;
      index_ = found.end;
      return;
    }
    add(Kind::kString, found.end, found.has_escape);
  }

  void number() {
    const std::size_t end = end_of_number(text_, index_);
    if (end == index_) {
      wrong_ = "no value where one belongs";
      return;
    }
    add(Kind::kNumber, end, false);
    ended();
  }

  void word(std::string_view word, Kind kind) {
    if (!text_.substr(index_).starts_with(word)) {
      wrong_ = "no value where one belongs";
      return;
    }
    add(kind, index_ + word.size(), false);
    ended();
  }

  void add(Kind kind, std::size_t end, bool has_escape) {
    nodes_.push_back({.kind = kind,
                      .has_escape = has_escape,
                      .begin = static_cast<std::uint32_t>(index_),
                      .end = static_cast<std::uint32_t>(end),
                      .next = static_cast<std::uint32_t>(nodes_.size() + 1)});
    index_ = end;
  }

  std::string_view text_;
  std::vector<JsonDocument::Node>& nodes_;
  std::vector<std::uint32_t>& open_;
  std::size_t index_ = 0;
  Expected expected_ = Expected::kValue;
  std::string_view wrong_;
};

std::optional<JsonDocument::Problem> JsonDocument::parse(std::string_view text) {
  text_ = text;
  nodes_.clear();
  open_.clear();
  return JsonParser(*this, text).run();
}

std::optional<std::string_view> JsonDocument::string(std::uint32_t index,
                                                     std::string& decoded) const {
  const std::string_view quoted = raw(index);
  const std::string_view inner = quoted.substr(1, quoted.size() - 2);
  if (!nodes_[index].has_escape) {
    return inner;
  }
  return decode_string(inner, decoded) ? std::optional<std::string_view>(decoded) : std::nullopt;
}

std::optional<std::uint32_t> JsonDocument::member(std::uint32_t object,
                                                  std::string_view name) const {
  if (nodes_[object].kind != Kind::kObject) {
    return std::nullopt;
  }
  std::string decoded;
  for (std::uint32_t index = object + 1; index < nodes_[object].next;
       index = nodes_[index + 1].next) {
    if (string(index, decoded) == name) {
      return index + 1;
    }
  }
  return std::nullopt;
}

std::size_t JsonDocument::element_count(std::uint32_t array) const {
  std::size_t count = 0;
  for_each_element(array, [&](std::uint32_t) { ++count; });
  return count;
}

namespace {

std::optional<std::uint32_t> element_at(const JsonDocument& document, std::uint32_t array,
                                        const JsonPosition& position) {
  if (document.node(array).kind != JsonDocument::Kind::kArray) {
    return std::nullopt;
  }
  const std::size_t count = document.element_count(array);
  if (position.is_from_end ? position.index == 0 || position.index > count
                           : position.index >= count) {
    return std::nullopt;
  }
  std::size_t left = position.is_from_end ? count - position.index : position.index;
  std::uint32_t index = array + 1;
  for (; left > 0; --left) {
    index = document.node(index).next;
  }
  return index;
}

std::optional<std::uint32_t> step_into(const JsonDocument& document, std::uint32_t from,
                                       const JsonStep& step) {
  const auto* name = std::get_if<std::string>(&step);
  return name != nullptr ? document.member(from, *name)
                         : element_at(document, from, std::get<JsonPosition>(step));
}

}  // namespace

std::optional<std::uint32_t> JsonDocument::find(const JsonPath& path) const {
  std::optional<std::uint32_t> place = kRoot;
  for (const JsonStep& step : path) {
    place = step_into(*this, *place, step);
    if (!place) {
      return std::nullopt;
    }
  }
  return place;
}

void append_minified(std::string& minified, std::string_view json) {
  std::size_t kept = 0;  // all before it is written
  for (std::size_t index = 0; index < json.size();) {
    if (json[index] == '"') {
      index = scan_string(json, index).end;
    } else if (is_space(json[index])) {
      minified += json.substr(kept, index - kept);
      kept = ++index;
    } else {
      ++index;
    }
  }
  minified += json.substr(kept);
}

// ---------------------------------------------------------------------------------------------
// paths

namespace {

// `[3]`, `[#-1]` or `[#]` at the front of the text, which is taken off.
std::optional<JsonPosition> take_position(std::string_view& text) {
  JsonPosition position;
  std::size_t index = 1;
  bool needs_digits = true;
  if (text.substr(index).starts_with('#')) {
    position.is_from_end = true;
    ++index;
    needs_digits = text.substr(index).starts_with('-');
    index += needs_digits ? 1 : 0;
  }
  if (needs_digits) {
    const auto [end, error] =
        std::from_chars(text.data() + index, text.data() + text.size(), position.index);
    if (error != std::errc()) {
      return std::nullopt;
    }
    index = static_cast<std::size_t>(end - text.data());
  }
  if (index >= text.size() || text[index] != ']') {
    return std::nullopt;
  }
  text.remove_prefix(index + 1);
  return position;
}

// `.name` or `."name"` at the front of the text, which is taken off.
std::optional<std::string> take_name(std::string_view& text) {
  if (text.substr(1).starts_with('"')) {
    const StringEnd found = scan_string(text, 1);
    std::string name;
    if (!found.wrong.empty() || !decode_string(text.substr(2, found.end - 3), name)) {
      return std::nullopt;
    }
    text.remove_prefix(found.end);
    return name;
  }
  const std::size_t end = std::min(text.find_first_of(".[", 1), text.size());
  if (end == 1) {
    return std::nullopt;
  }
  std::string name(text.substr(1, end - 1));
  text.remove_prefix(end);
  return name;
}

}  // namespace

std::optional<JsonPath> parse_json_path(std::string_view text) {
  if (!text.starts_with('$')) {
    return std::nullopt;
  }
  text.remove_prefix(1);
  JsonPath path;
  while (!text.empty()) {
    if (text.front() == '[') {
      const auto position = take_position(text);
      if (!position) {
        return std::nullopt;
      }
      path.emplace_back(*position);
    } else if (text.front() == '.') {
      auto name = take_name(text);
      if (!name) {
        return std::nullopt;
      }
      path.emplace_back(std::move(*name));
    } else {
      return std::nullopt;
    }
  }
  return path;
}

// ---------------------------------------------------------------------------------------------
// edits

namespace {

struct Splice {
  std::size_t begin = 0;
  std::size_t end = 0;
  std::string text;
};

std::string splice(std::string_view text, std::vector<Splice>& splices) {
  std::ranges::sort(splices, {}, &Splice::begin);
  std::string result;
  std::size_t kept = 0;
  for (const Splice& change : splices) {
    result += text.substr(kept, change.begin - kept);
    result += change.text;
    kept = change.end;
  }
  result += text.substr(kept);
  return result;
}

// Members of that name after its first one.
void drop_later_members(const JsonDocument& document, std::uint32_t object, std::string_view name,
                        std::vector<Splice>& splices) {
  std::string decoded;
  bool is_first = true;
  std::size_t previous_end = 0;
  document.for_each_member(object, [&](std::uint32_t name_node, std::uint32_t value_node) {
    if (document.string(name_node, decoded) == name) {
      if (!is_first) {
        splices.push_back({previous_end, document.node(value_node).end, ""});
      }
      is_first = false;
    }
    previous_end = document.node(value_node).end;
  });
}

// The value within the objects and lists that the steps after `from` ask for.
std::optional<std::string> nest(const JsonPath& path, std::size_t from, std::string_view value) {
  std::string json(value);
  for (std::size_t index = path.size(); index > from; --index) {
    if (const auto* name = std::get_if<std::string>(&path[index - 1])) {
      std::string object = "{";
      append_json_string(object, *name);
      object.append(":").append(json).append("}");
      json = std::move(object);
    } else if (std::get<JsonPosition>(path[index - 1]).index == 0) {
      json.insert(0, "[").append("]");
    } else {
      return std::nullopt;
    }
  }
  return json;
}

// Adds what the path's step `index` names to the node it would be in.
std::optional<Splice> add_at(const JsonDocument& document, std::uint32_t parent,
                             const JsonPath& path, std::size_t index, std::string_view value) {
  const JsonDocument::Node& node = document.node(parent);
  std::string text = node.next > parent + 1 ? "," : "";
  if (const auto* name = std::get_if<std::string>(&path[index])) {
    if (node.kind != JsonDocument::Kind::kObject) {
      return std::nullopt;
    }
    append_json_string(text, *name);
    text += ':';
  } else {
    const auto& position = std::get<JsonPosition>(path[index]);
    if (node.kind != JsonDocument::Kind::kArray ||
        position.index != (position.is_from_end ? 0 : document.element_count(parent))) {
      return std::nullopt;
    }
  }
  const auto nested = nest(path, index + 1, value);
  if (!nested) {
    return std::nullopt;
  }
  return Splice{node.end - std::size_t{1}, node.end - std::size_t{1}, text + *nested};
}

}  // namespace

std::optional<std::string> edit_json(const JsonDocument& document, const JsonPath& path,
                                     std::string_view value, JsonEdit edit) {
  std::vector<Splice> splices;
  std::uint32_t place = JsonDocument::kRoot;
  for (std::size_t index = 0; index < path.size(); ++index) {
    const auto next = step_into(document, place, path[index]);
    if (!next) {
      const auto added =
          edit == JsonEdit::kReplace ? std::nullopt : add_at(document, place, path, index, value);
      if (!added) {
        return std::nullopt;
      }
      splices.push_back(*added);
      return splice(document.text(), splices);
    }
    if (const auto* name = std::get_if<std::string>(&path[index])) {
      drop_later_members(document, place, *name, splices);
    }
    place = *next;
  }
  if (edit == JsonEdit::kInsert) {
    return std::nullopt;
  }
  const JsonDocument::Node& node = document.node(place);
  splices.push_back({node.begin, node.end, std::string(value)});
  return splice(document.text(), splices);
}

std::string remove_json(const JsonDocument& document, const JsonPath& path) {
  if (path.empty() || !document.find(path)) {
    return path.empty() ? "null" : std::string(document.text());
  }
  const auto parent = *document.find(JsonPath(path.begin(), path.end() - 1));
  const auto removed = *document.find(path);
  const auto* name = std::get_if<std::string>(&path.back());
  std::string rebuilt;
  const auto keep = [&](std::uint32_t first, std::uint32_t last) {
    rebuilt += rebuilt.empty() ? "" : ",";
    rebuilt += document.text().substr(document.node(first).begin,
                                      document.node(last).end - document.node(first).begin);
  };
  std::string decoded;
  if (name != nullptr) {
    document.for_each_member(parent, [&](std::uint32_t name_node, std::uint32_t value_node) {
      if (document.string(name_node, decoded) != *name) {
        keep(name_node, value_node);
      }
    });
    rebuilt = "{" + rebuilt + "}";
  } else {
    document.for_each_element(parent, [&](std::uint32_t element) {
      if (element != removed) {
        keep(element, element);
      }
    });
    rebuilt = "[" + rebuilt + "]";
  }
  std::vector<Splice> splices = {{document.node(parent).begin, document.node(parent).end, rebuilt}};
  return splice(document.text(), splices);
}

}  // namespace onceflow
