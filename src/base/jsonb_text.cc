#include "base/jsonb_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/decimal.h"
#include "base/json_document.h"
#include "base/json_text.h"

namespace onceflow {
namespace {

using Kind = JsonDocument::Kind;

struct Member {
  std::string name;  ///< empty in a list
  std::uint32_t value = 0;
};

// A list or an object that is being written.
struct Open {
  bool is_object = false;
  std::vector<Member> members;
  std::size_t next = 0;
};

bool comes_before(const Member& left, const Member& right) {
  return left.name.size() != right.name.size() ? left.name.size() < right.name.size()
                                               : left.name < right.name;
}

class Writer {
 public:
  explicit Writer(const JsonDocument& document) : document_(document) {}

  std::expected<std::string, std::string> write() {
    if (auto problem = begin(JsonDocument::kRoot)) {
      return std::unexpected(std::move(*problem));
    }
    while (!open_.empty()) {
      Open& inner = open_.back();
      if (inner.next == inner.members.size()) {
        text_ += inner.is_object ? '}' : ']';
        open_.pop_back();
        continue;
      }
      const Member& member = inner.members[inner.next];
      text_ += inner.next > 0 ? "," : "";
      if (inner.is_object) {
        append_json_string(text_, member.name);
        text_ += ':';
      }
      ++inner.next;
      if (auto problem = begin(member.value)) {
        return std::unexpected(std::move(*problem));
      }
    }
    return std::move(text_);
  }

 private:
  using Problem = std::optional<std::string>;

  // Writes a scalar; opens a list or an object.
  Problem begin(std::uint32_t node) {
    switch (document_.node(node).kind) {
      case Kind::kString: {
        std::string text;
        Problem problem = read(node, text);
        append_json_string(text_, text);
        return problem;
      }
      case Kind::kNumber: {
        const std::string_view raw = document_.raw(node);
        const auto number = DecimalNumber::parse(raw);
        if (!number) {
          return fmt::format("the number {} is beyond {} digits or an exponent of {}",
                             raw.substr(0, 40), DecimalNumber::kDigitsMax,
                             DecimalNumber::kExponentMax);
        }
        text_ += number->to_string();
        return std::nullopt;
      }
      case Kind::kArray:
        text_ += '[';
        open_.emplace_back();
        document_.for_each_element(
            node, [&](std::uint32_t element) { open_.back().members.push_back({"", element}); });
        return std::nullopt;
      case Kind::kObject:
        text_ += '{';
        return open_object(node);
      case Kind::kNull:
      case Kind::kTrue:
      case Kind::kFalse:
        text_ += document_.raw(node);
        break;
    }
    return std::nullopt;
  }

  Problem open_object(std::uint32_t node) {
    Open object{.is_object = true};
    Problem problem;
    document_.for_each_member(node, [&](std::uint32_t name, std::uint32_t value) {
      Member member{.value = value};
      Problem found = read(name, member.name);
      problem = problem ? std::move(problem) : std::move(found);
      object.members.push_back(std::move(member));
    });
    std::ranges::sort(object.members, comes_before);
    const auto twice = std::ranges::adjacent_find(object.members, {}, &Member::name);
    if (!problem && twice != object.members.end()) {
      problem = fmt::format("it has two members \"{}\", and would keep one", twice->name);
    }
    open_.push_back(std::move(object));
    return problem;
  }

  Problem read(std::uint32_t node, std::string& text) const {
    const auto read = document_.string(node, text);
    if (!read) {
      return "it has half of a surrogate pair, which is no text";
    }
    if (read->data() != text.data()) {
      text = *read;
    }
    return text.contains('\0') ? Problem("it has U+0000, which jsonb cannot hold") : std::nullopt;
  }

  const JsonDocument& document_;
  std::string text_;
  std::vector<Open> open_;
};

}  // namespace

std::expected<std::string, std::string> canonical_jsonb(std::string_view json) {
  JsonDocument document;
  if (const auto problem = document.parse(json)) {
    return std::unexpected(
        fmt::format("malformed JSON at byte {}: {}", problem->offset, problem->what));
  }
  return Writer(document).write();
}

}  // namespace onceflow
