#include "pipeline/deletion_key.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "pipeline/expression_text.h"
#include "pipeline/expression_tree.h"

namespace onceflow::pipeline {
namespace {

NodePtr make(NodeKind kind, std::string_view text) {
  auto node = std::make_unique<Node>();
  node->kind = kind;
  node->text = text;
  return node;
}

NodePtr truth(bool is_true) { return make(NodeKind::kLiteral, is_true ? "1" : "0"); }

NodePtr copy_of(const Node& node) {
  NodePtr copy = make(node.kind, node.text);
  copy->begin = node.begin;
  for (const NodePtr& child : node.children) {
    copy->children.push_back(copy_of(*child));
  }
  return copy;
}

bool reads(const Node& node, std::string_view part) {
  return (node.kind == NodeKind::kPart && node.text == part) ||
         (node.kind == NodeKind::kPath && part == "value") ||
         std::ranges::any_of(node.children,
                             [part](const NodePtr& child) { return reads(*child, part); });
}

NodePtr told(const Node& node);

// Of what a choice comes to: all else is the same for rows of different keys.
NodePtr told_by_choice(const Node& node) {
  return reads(node, "value") ? told(node) : truth(reads(node, "key"));
}

NodePtr told_by_first(const Node& node) {
  NodePtr choice = make(NodeKind::kCase, "");
  for (const NodePtr& child : node.children) {
    if (child == node.children.back()) {
      choice->text += 'e';
    } else {
      choice->text += "wt";
      choice->children.push_back(make(NodeKind::kIsNull, "is not null"));
      choice->children.back()->children.push_back(copy_of(*child));
    }
    choice->children.push_back(told_by_choice(*child));
  }
  return choice;
}

NodePtr told_by_condition(const Node& node) {
  NodePtr choice = make(NodeKind::kCase, node.kind == NodeKind::kCase ? node.text
                                         : node.children.size() == 2  ? "wt"
                                                                      : "wte");
  for (std::size_t index = 0; index < node.children.size(); ++index) {
    const Node& child = *node.children[index];
    const char role = choice->text[index];
    choice->children.push_back(role == 't' || role == 'e' ? told_by_choice(child) : copy_of(child));
  }
  return choice;
}

// A condition that is true where the node, which reads the value, tells of a record without one.
NodePtr told(const Node& node) {
  if (node.kind == NodeKind::kCall && (node.text == "coalesce" || node.text == "ifnull")) {
    return told_by_first(node);
  }
  if (node.kind == NodeKind::kCase ||
      (node.kind == NodeKind::kCall && node.text == "iif" && node.children.size() <= 3)) {
    return told_by_condition(node);
  }
  NodePtr all = make(NodeKind::kAnd, "");
  for (const NodePtr& child : node.children) {
    if (reads(*child, "value")) {
      all->children.push_back(told(*child));
    }
  }
  if (all->children.size() > 1) {
    return all;
  }
  return all->children.empty() ? truth(false) : std::move(all->children.front());
}

NodePtr tree_of(std::string_view expression) {
  const auto translated = translate_expression(expression);
  CHECK(translated.has_value());  // SQLite has accepted it
  auto tree = parse_tree(translated->tokens);
  CHECK(tree.has_value());
  return std::move(*tree);
}

}  // namespace

Result<std::unique_ptr<DeletionCondition>> prepare_told_by_key(std::string_view part,
                                                               DeletionCondition::Unknown unknown) {
  const NodePtr tree = tree_of(part);
  if (!reads(*tree, "value")) {
    return std::unique_ptr<DeletionCondition>();
  }
  return DeletionCondition::prepare(told(*tree), unknown);
}

std::string told_by_key(std::string_view part, ColumnType type) {
  // A number is one in its digits, as a key of JSON has them.
  const bool is_number = type == ColumnType::kInteger || type == ColumnType::kReal ||
                         type == ColumnType::kBoolean || type == ColumnType::kDecimal;
  const std::string_view key = is_number ? "key ->> '$'" : "key";
  return tree_of(part)->kind == NodeKind::kPath
             ? fmt::format("coalesce({}, {})", part, key)
             : fmt::format("case when value is null then {} else {} end", key, part);
}

}  // namespace onceflow::pipeline
