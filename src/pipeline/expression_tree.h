// The tree of an expression: what its tokens mean by SQL's precedence.
//
// Pure functions, used while a file is checked.
#pragma once

#include <cstddef>
#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/expression.h"
#include "pipeline/expression_text.h"

namespace onceflow::pipeline {

enum class NodeKind {
  kLiteral,  // as it is written
  kPath,     // a field
  kPart,     // of the record
  kUnary,    // `text` is the sign
  kBinary,   // `text` is the operator, in lower case
  kAnd,      // of two or more
  kOr,       // of two or more
  kNot,
  kIsNull,   // `text` is "is null" or "is not null"
  kIn,       // the first is looked for among the others; `text` is "in" or "not in"
  kBetween,  // three; `text` as above
  kLike,     // two, or three with `escape`; `text` as above, or of glob
  kCase,     // [base] when then … [else]: `text` says which of them, as "b", "wt", "e"
  kCast,     // `text` is the type
  kCall,     // `text` is the function
  kCollate,  // `text` is the collation
};

struct Node {
  NodeKind kind = NodeKind::kLiteral;
  std::string text;
  std::size_t begin = 0;  ///< in the text of the expression
  std::vector<std::unique_ptr<Node>> children;
};
using NodePtr = std::unique_ptr<Node>;

/// `tokens` are those of an expression that SQLite has accepted.
std::expected<NodePtr, ExpressionError> parse_tree(const std::vector<Token>& tokens);

/// The expression is one that check_expression() has accepted.
NodePtr tree_of(std::string_view expression);
NodePtr copy_of(const Node& node);

/// It comes to true, false or null: a comparison, a test, or what joins them.
bool is_condition(const Node& node);
/// `coalesce` and `ifnull`.
bool is_choice_of_first(const Node& node);
/// `case` and `iif`.
bool is_choice_by_condition(const Node& node);
/// What each child of such a choice is, as a letter of `text` of kCase.
std::string_view roles_of(const Node& node);

}  // namespace onceflow::pipeline
