#include "pipeline/deletion_key.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

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
bool is_truth(const Node& node, bool is_true) {
  return node.kind == NodeKind::kLiteral && node.text == (is_true ? "1" : "0");
}

// Conditions that are true where all of them are, or one.
NodePtr junction(NodeKind kind, std::vector<NodePtr> conditions) {
  const bool is_and = kind == NodeKind::kAnd;
  NodePtr all = make(kind, "");
  for (NodePtr& condition : conditions) {
    if (is_truth(*condition, !is_and)) {
      return std::move(condition);
    }
    if (!is_truth(*condition, is_and)) {
      all->children.push_back(std::move(condition));
    }
  }
  if (all->children.size() > 1) {
    return all;
  }
  return all->children.empty() ? truth(is_and) : std::move(all->children.front());
}

bool reads(const Node& node, std::string_view part) {
  return (node.kind == NodeKind::kPart && node.text == part) ||
         (node.kind == NodeKind::kPath && part == "value") ||
         std::ranges::any_of(node.children,
                             [part](const NodePtr& child) { return reads(*child, part); });
}
bool reads_value(const Node& node) { return reads(node, "value"); }
// Of what is another in each record.
bool reads_place(const Node& node) { return reads(node, "timestamp") || reads(node, "offset"); }

bool is_result(char role) { return role == 't' || role == 'e'; }

bool may_come_to_key(const Node& node) {
  if (node.kind == NodeKind::kPart) {
    return node.text == "key";
  }
  if (is_condition(node)) {
    return false;  // it asks for the key, and only comes to a truth
  }
  const bool is_by_condition = is_choice_by_condition(node);
  for (std::size_t index = 0; index < node.children.size(); ++index) {
    if ((!is_by_condition || is_result(roles_of(node)[index])) &&
        may_come_to_key(*node.children[index])) {
      return true;
    }
  }
  return false;
}

// What a node is to come to. Fields are the same only as the record's key is.
enum class To {
  kSame,      // the same for all records that make a row
  kKey,       // that, and made of the record's key
  kWholeKey,  // the record's key and nothing else
};

NodePtr comes(const Node& node, To to);

// The condition of what is chosen; where nothing is, it is null.
NodePtr choice_of(std::string roles, std::vector<NodePtr> children) {
  bool is_true = roles.ends_with('e');
  bool is_false = true;
  for (std::size_t index = 0; index < roles.size(); ++index) {
    is_true = is_true && (!is_result(roles[index]) || is_truth(*children[index], true));
    is_false = is_false && (!is_result(roles[index]) || is_truth(*children[index], false));
  }
  if (is_true || is_false) {
    return truth(is_true);
  }
  NodePtr choice = make(NodeKind::kCase, roles);
  choice->children = std::move(children);
  return choice;
}

NodePtr first_comes(const Node& node, To to) {
  std::string roles;
  std::vector<NodePtr> children;
  for (const NodePtr& child : node.children) {
    if (reads_value(*child) && reads_place(*child)) {
      return truth(false);
    }
    if (child == node.children.back()) {
      roles += 'e';
    } else {
      roles += "wt";
      children.push_back(make(NodeKind::kIsNull, "is not null"));
      children.back()->children.push_back(copy_of(*child));
    }
    children.push_back(comes(*child, to));
    // What stands in for a null key is one, too.
    to = to == To::kKey && !reads_value(node) && may_come_to_key(*child) ? To::kSame : to;
  }
  return choice_of(std::move(roles), std::move(children));
}

NodePtr chosen_comes(const Node& node, To to) {
  const std::string roles(roles_of(node));
  bool asks_value = false;
  bool asks_key = false;
  for (std::size_t index = 0; index < roles.size(); ++index) {
    if (!is_result(roles[index])) {
      asks_value = asks_value || reads_value(*node.children[index]);
      asks_key = asks_key || reads(*node.children[index], "key");
      if (reads_place(*node.children[index])) {
        return truth(false);
      }
    }
  }
  if (asks_value && reads_place(node)) {
    return truth(false);
  }
  // What the key is exchanged for is told by it.
  to = to == To::kKey && asks_key && !reads_value(node) && may_come_to_key(node) ? To::kSame : to;
  std::vector<NodePtr> children;
  for (std::size_t index = 0; index < roles.size(); ++index) {
    const Node& child = *node.children[index];
    children.push_back(is_result(roles[index]) ? comes(child, to) : copy_of(child));
  }
  return choice_of(roles, std::move(children));
}

NodePtr made_of_children_comes(const Node& node, To to) {
  if (to == To::kWholeKey) {
    const bool is_whole =
        node.kind == NodeKind::kBinary && node.text == "->>" && node.children[1]->text == "'$'";
    return is_whole ? comes(*node.children[0], to) : truth(false);
  }
  std::vector<NodePtr> same;
  std::vector<NodePtr> keys;
  for (const NodePtr& child : node.children) {
    if (reads_value(*child) || reads_place(*child)) {
      same.push_back(comes(*child, To::kSame));
    }
    if (reads_value(*child)) {
      keys.push_back(truth(true));  // it is the same only as the key is
    } else if (to == To::kKey) {
      keys.push_back(comes(*child, To::kKey));
    }
  }
  if (to == To::kKey) {
    same.push_back(is_condition(node) ? truth(false) : junction(NodeKind::kOr, std::move(keys)));
  }
  return junction(NodeKind::kAnd, std::move(same));
}

// A condition that is true where the node comes to it for a record without a value.
NodePtr comes(const Node& node, To to) {
  const bool has_value = reads_value(node);
  if (to == To::kSame && !has_value && !reads_place(node)) {
    return truth(true);
  }
  to = to == To::kSame && has_value ? To::kKey : to;
  if (node.children.empty()) {
    return truth(node.kind == NodeKind::kPart && node.text == "key");
  }
  return is_choice_of_first(node)       ? first_comes(node, to)
         : is_choice_by_condition(node) ? chosen_comes(node, to)
                                        : made_of_children_comes(node, to);
}

// Null where it is true of all.
Result<std::unique_ptr<DeletionCondition>> prepare_unless_true(NodePtr condition,
                                                               DeletionCondition::Unknown unknown) {
  if (is_truth(*condition, true)) {
    return std::unique_ptr<DeletionCondition>();
  }
  return DeletionCondition::prepare(std::move(condition), unknown);
}

DeletionCondition::Outcomes judge(const std::unique_ptr<DeletionCondition>& condition,
                                  const TopicPartition& source, const engine::Record& record) {
  return condition ? condition->judge(source, record)
                   : DeletionCondition::Outcomes{.may_be_true = true, .may_be_else = false};
}

}  // namespace

Result<DeletionKey> DeletionKey::prepare(const std::vector<Expression>& parts,
                                         DeletionCondition::Unknown unknown) {
  DeletionKey made;
  std::vector<NodePtr> trees;
  std::vector<NodePtr> keys;
  for (const Expression& part : parts) {
    trees.push_back(tree_of(part.text));
    auto told = prepare_unless_true(comes(*trees.back(), To::kSame), unknown);
    RETURN_IF_ERROR(told);
    made.told_.push_back(std::move(*told));
    keys.push_back(comes(*trees.back(), To::kKey));
  }
  auto has_key = prepare_unless_true(junction(NodeKind::kOr, std::move(keys)), unknown);
  RETURN_IF_ERROR(has_key);
  made.has_key_ = std::move(*has_key);
  for (std::size_t part = 0; part < parts.size(); ++part) {
    for (std::size_t other = 0; reads_value(*trees[part]) && other < parts.size(); ++other) {
      if (parts[other].text == parts[part].text) {
        continue;
      }
      std::vector<NodePtr> both;
      both.push_back(comes(*trees[part], To::kWholeKey));
      both.push_back(comes(*trees[other], To::kWholeKey));
      NodePtr same = junction(NodeKind::kAnd, std::move(both));
      if (!is_truth(*same, false)) {
        auto condition = DeletionCondition::prepare(std::move(same), unknown);
        RETURN_IF_ERROR(condition);
        made.same_parts_.push_back({part, std::move(*condition)});
      }
    }
  }
  return made;
}

DeletionKey::Outcomes DeletionKey::judge(const TopicPartition& source,
                                         const engine::Record& record) const {
  Outcomes outcomes = {.may_be_told = true, .may_be_lost = std::nullopt};
  const auto add = [&](bool may_be_told, bool may_be_lost, Lost lost) {
    outcomes.may_be_told = outcomes.may_be_told && may_be_told;
    if (may_be_lost && !outcomes.may_be_lost) {
      outcomes.may_be_lost = lost;
    }
  };
  for (std::size_t part = 0; part < told_.size(); ++part) {
    const auto [is, is_else] = pipeline::judge(told_[part], source, record);
    add(is, is_else, {Why::kPart, part});
  }
  const auto [is, is_else] = pipeline::judge(has_key_, source, record);
  add(is, is_else, {Why::kNoPart, 0});
  for (const SamePart& same : same_parts_) {
    const auto [is_same, is_other] = same.condition->judge(source, record);
    add(is_other, is_same, {Why::kSamePart, same.part});
  }
  return outcomes;
}

std::string told_by_key(std::string_view part, ColumnType type) {
  // A number is one in its digits, as a key of JSON has them.
  const bool is_number = type == ColumnType::kInteger || type == ColumnType::kReal ||
                         type == ColumnType::kBoolean || type == ColumnType::kDecimal;
  const std::string_view key = is_number ? "key ->> '$'" : "key";
  const NodePtr tree = tree_of(part);
  if (!reads_value(*tree) || reads(*tree, "key") || reads_place(*tree)) {
    return std::string(key);  // what is made of more than fields is never the key alone
  }
  return tree->kind == NodeKind::kPath
             ? fmt::format("coalesce({}, {})", part, key)
             : fmt::format("case when value is null then {} else {} end", key, part);
}

std::optional<std::string> told_by_member_of_key(std::string_view part) {
  const NodePtr tree = tree_of(part);
  const Node& first = is_choice_of_first(*tree) ? *tree->children.front() : *tree;
  if (first.kind != NodeKind::kPath) {
    return std::nullopt;
  }
  std::string quoted;
  for (const char letter : first.text) {
    quoted.append(letter == '\'' ? 2 : 1, letter);
  }
  return fmt::format("coalesce({}, key ->> '{}')", first.text, quoted);
}

}  // namespace onceflow::pipeline
