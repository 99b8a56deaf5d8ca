#include "pipeline/time_order.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/check.h"
#include "pipeline/expression_text.h"
#include "pipeline/expression_tree.h"

namespace onceflow::pipeline {
namespace {

bool is_text_literal(const Node& node) {
  return node.kind == NodeKind::kLiteral && node.text.starts_with('\'');
}

// Takes the first of the words that the text begins with.
template <typename Words>
bool take(std::string_view& text, const Words& words) {
  const auto found =
      std::ranges::find_if(words, [&](std::string_view word) { return text.starts_with(word); });
  if (found == words.end()) {
    return false;
  }
  text.remove_prefix(std::string_view(*found).size());
  return true;
}

// From the year downwards, each part in as many digits as always.
bool is_ordered(std::string_view format) {
  constexpr std::array<std::string_view, 1> kDates = {"%Y-%m-%d"};
  constexpr std::array<std::string_view, 2> kBetween = {"T", " "};
  constexpr std::array<std::string_view, 3> kTimes = {"%H:%M:%S", "%H:%M:%f", "%H:%M"};
  return take(format, kDates) &&
         (!format.contains('%') ||
          (take(format, kBetween) && take(format, kTimes) && !format.contains('%')));
}

}  // namespace

bool has_one_form(const Expression& expression) {
  const auto translated = translate_expression(expression.text);
  CHECK(translated.has_value());  // SQLite has accepted it
  const auto tree = parse_tree(translated->tokens);
  CHECK(tree.has_value());
  const Node* node = tree->get();
  while (node->kind == NodeKind::kBinary && node->text == "||" &&
         is_text_literal(*node->children[1])) {
    node = node->children[0].get();
  }
  if (node->kind != NodeKind::kCall || node->children.empty()) {
    return false;
  }
  if (node->text == "datetime") {
    // A modifier from the record may ask for fractions of some times alone.
    return std::all_of(node->children.begin() + 1, node->children.end(),
                       [](const NodePtr& modifier) { return is_text_literal(*modifier); });
  }
  return node->text == "date" || (node->text == "strftime" && is_text_literal(*node->children[0]) &&
                                  is_ordered(unquoted(node->children[0]->text)));
}

std::optional<std::string> in_one_form(ColumnType type, std::string_view argument) {
  if (type != ColumnType::kTimestamptz && type != ColumnType::kTimestamp) {
    return std::nullopt;
  }
  return fmt::format("strftime('%Y-%m-%dT%H:%M:%f{}', {})",
                     type == ColumnType::kTimestamptz ? "Z" : "", argument);
}

bool computes_time(const Expression& expression) {
  const auto translated = translate_expression(expression.text);
  CHECK(translated.has_value());
  return std::ranges::any_of(translated->tokens, [](const Token& token) {
    return token.kind == TokenKind::kWord && is_date_function(lower(token.text));
  });
}

}  // namespace onceflow::pipeline
