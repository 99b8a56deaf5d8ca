// JsonDocument: a JSON text, read as RFC 8259 says and nothing else: names and texts by what they
// mean (escapes included), numbers by their digits. And JsonPath, which names a place in it.
//
// A text is read into nodes in the order of the text, each with the place where it begins and ends,
// so nothing is copied and nothing recurses. Malformed is: what is not JSON, bytes that are not
// UTF-8, control characters in a string, anything after the value, nesting deeper than 2,000. Of
// members with the same name the first one counts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace onceflow {

/// A step from a value into it: a member's name, or an element's position, from the beginning or,
/// as in [#-1], from the end. [#] is the place after the last element.
struct JsonPosition {
  std::size_t index = 0;
  bool is_from_end = false;
};
using JsonStep = std::variant<std::string, JsonPosition>;
using JsonPath = std::vector<JsonStep>;

/// `$`, `$.name`, `$.a.b[0]`, `$.list[#-1]`, `$."odd \"name\""`: what stands in quotes is a JSON
/// string. nullopt: it is not a path.
std::optional<JsonPath> parse_json_path(std::string_view text);

class JsonDocument {
 public:
  enum class Kind : std::uint8_t { kNull, kTrue, kFalse, kNumber, kString, kArray, kObject };
  static constexpr std::size_t kDepthMax = 2000;

  struct Problem {
    std::size_t offset = 0;  ///< of the first byte that does not belong there
    std::string_view what;
  };
  struct Node {
    Kind kind = Kind::kNull;
    bool has_escape = false;  ///< a string with a backslash
    std::uint32_t begin = 0;  ///< in the text
    std::uint32_t end = 0;
    std::uint32_t next = 0;  ///< the node after this one and all within it
  };

  /// Reads the text, of which views are kept until the next call. nullopt: it is JSON.
  std::optional<Problem> parse(std::string_view text);

  std::string_view text() const { return text_; }
  const Node& node(std::uint32_t index) const { return nodes_[index]; }
  static constexpr std::uint32_t kRoot = 0;

  /// The node at the path; nullopt if there is none.
  std::optional<std::uint32_t> find(const JsonPath& path) const;
  /// The first member of that name; nullopt if there is none or it is not an object.
  std::optional<std::uint32_t> member(std::uint32_t object, std::string_view name) const;
  /// Calls visit(name node, value node) for each member of an object, and visit(value node) for
  /// each element of an array.
  template <typename Visit>
  void for_each_member(std::uint32_t object, Visit visit) const {
    for (std::uint32_t name = object + 1; name < nodes_[object].next;
         name = nodes_[name + 1].next) {
      visit(name, name + 1);
    }
  }
  template <typename Visit>
  void for_each_element(std::uint32_t array, Visit visit) const {
    for (std::uint32_t element = array + 1; element < nodes_[array].next;
         element = nodes_[element].next) {
      visit(element);
    }
  }
  std::size_t element_count(std::uint32_t array) const;

  /// As it is written.
  std::string_view raw(std::uint32_t index) const {
    return text_.substr(nodes_[index].begin, nodes_[index].end - nodes_[index].begin);
  }
  /// What a string means: a view of the text, or of `decoded` where there are escapes. nullopt: it
  /// has half of a surrogate pair, which no text has.
  std::optional<std::string_view> string(std::uint32_t index, std::string& decoded) const;

 private:
  friend class JsonParser;

  std::string_view text_;
  std::vector<Node> nodes_;
  std::vector<std::uint32_t> open_;  ///< arrays and objects that the parser is in
};

/// JSON without the spaces between its parts; `json` is valid.
void append_minified(std::string& minified, std::string_view json);

enum class JsonEdit {
  kSet,      ///< replaces what is there, or adds it
  kInsert,   ///< adds what is not there
  kReplace,  ///< replaces what is there
};
/// The document with `value` (JSON) at the path. What it does not touch stays as it is written;
/// later members of a name on the path are dropped, so that every reader finds the same one.
/// nullopt if there is no such place: a step into what is not an object or a list, a gap in a list,
/// or what the edit does not do.
std::optional<std::string> edit_json(const JsonDocument& document, const JsonPath& path,
                                     std::string_view value, JsonEdit edit);
/// The document without what is at the path; later members of that name go with it.
std::string remove_json(const JsonDocument& document, const JsonPath& path);

}  // namespace onceflow
