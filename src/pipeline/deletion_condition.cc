#include "pipeline/deletion_condition.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/check.h"
#include "pipeline/expression.h"
#include "pipeline/expression_sql.h"
#include "pipeline/expression_text.h"
#include "pipeline/expression_tree.h"

namespace onceflow::pipeline {
namespace {

// Whatever a node may come to. A text is true or false, for it is not null.
struct Results {
  bool is_true = false;
  bool is_false = false;
  bool is_null = false;
};
constexpr Results kAnything = {true, true, true};

Results operator|(Results left, Results right) {
  return {left.is_true || right.is_true, left.is_false || right.is_false,
          left.is_null || right.is_null};
}
Results operator!(Results each) { return {each.is_false, each.is_true, each.is_null}; }
Results operator&(Results left, Results right) {
  return {left.is_true && right.is_true, left.is_false || right.is_false,
          (left.is_null && (right.is_null || right.is_true)) || (right.is_null && left.is_true)};
}
bool is_no_null(Results each) { return each.is_true || each.is_false; }

// `true`, 1, `false` or 0.
std::optional<bool> truth_literal(const Node& node) {
  if (node.kind != NodeKind::kLiteral) {
    return std::nullopt;
  }
  if (node.text == "true" || node.text == "1") {
    return true;
  }
  return node.text == "false" || node.text == "0" ? std::optional(false) : std::nullopt;
}

// `$.a > 1 is not false` and its like: a condition and a truth that it is compared with.
struct Compared {
  const Node* condition = nullptr;
  bool with = true;
  bool is_negated = false;
  bool sees_null = false;  ///< `is`, for which null is false of either
};

std::optional<Compared> compared_with_truth(const Node& node) {
  if (node.kind != NodeKind::kBinary) {
    return std::nullopt;
  }
  const bool is_is = node.text == "is" || node.text == "is not";
  const bool is_equal = node.text == "=" || node.text == "==";
  const bool is_unequal = node.text == "<>" || node.text == "!=";
  if (!is_is && !is_equal && !is_unequal) {
    return std::nullopt;
  }
  for (const auto& [condition, literal] :
       {std::pair{node.children[0].get(), node.children[1].get()},
        std::pair{node.children[1].get(), node.children[0].get()}}) {
    const std::optional<bool> with = truth_literal(*literal);
    // `x is true` asks whether x is true, whatever x is.
    const bool asks = is_is && (literal->text == "true" || literal->text == "false") &&
                      literal == node.children[1].get();
    if (with && (asks || is_condition(*condition))) {
      return Compared{condition, *with, is_unequal || node.text == "is not", is_is};
    }
  }
  return std::nullopt;
}

Results results_of(const Value& value) {
  if (is_null(value)) {
    return {.is_null = true};
  }
  if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    return {.is_true = *integer != 0, .is_false = *integer == 0};
  }
  if (const auto* real = std::get_if<double>(&value)) {
    return {.is_true = *real != 0, .is_false = *real == 0};
  }
  return {.is_true = true, .is_false = true};
}

}  // namespace

struct DeletionCondition::State {
  NodePtr root;
  Unknown unknown = Unknown::kFields;
  /// Of what is known: whole nodes, and `base = when` by the node of the `when`.
  std::unordered_map<const Node*, std::unique_ptr<Program>> programs;
  const TopicPartition* source = nullptr;  ///< of the record that is judged
  const engine::Record* record = nullptr;

  bool is_unknown(const Node& node) const {
    const bool is_part = node.kind == NodeKind::kPart;
    switch (unknown) {
      case Unknown::kFields:
        return node.kind == NodeKind::kPath;
      case Unknown::kOtherParts:
        return is_part && node.text != "value";
      case Unknown::kRecord:
        return is_part || node.kind == NodeKind::kPath;
      case Unknown::kNothing:
        break;
    }
    return false;
  }

  bool is_known(const Node& node) const {
    return !is_unknown(node) && std::ranges::all_of(node.children, [this](const NodePtr& child) {
      return is_known(*child);
    });
  }

  Status add(const Node& node, std::string thorough, std::string fast) {
    auto program =
        Program::prepare({{Expression{.sql = std::move(thorough), .fast_sql = std::move(fast)},
                           ColumnForm::kValue}});
    RETURN_IF_ERROR(program);
    programs.emplace(&node, std::move(*program));
    return {};
  }

  Status prepare(const Node& node) {
    if (is_known(node)) {
      EmittedSql sql = emit_sql(node, Numbers::kSql);
      return add(node, std::move(sql.thorough), std::move(sql.fast));
    }
    for (std::size_t index = 0; index < node.children.size(); ++index) {
      const Node& child = *node.children[index];
      const bool is_compared = node.kind == NodeKind::kCase && node.text.front() == 'b' &&
                               (node.text[index] == 'b' || node.text[index] == 'w');
      if (is_compared) {
        const Node& base = *node.children.front();
        if (index > 0 && is_known(base) && is_known(child)) {
          const EmittedSql left = emit_sql(base, Numbers::kSql);
          const EmittedSql right = emit_sql(child, Numbers::kSql);
          RETURN_IF_ERROR(add(child, fmt::format("({} = {})", left.thorough, right.thorough),
                              fmt::format("({} = {})", left.fast, right.fast)));
        }
      } else {
        RETURN_IF_ERROR(prepare(child));
      }
    }
    return {};
  }

  Results evaluate(const Node& node) {
    const auto found = programs.find(&node);
    if (found == programs.end()) {
      return follow(node);
    }
    if (!found->second->run(*source, *record)) {
      return kAnything;
    }
    const auto value = found->second->column(0);
    return value ? results_of(*value) : kAnything;
  }

  Results follow(const Node& node) {
    switch (node.kind) {
      case NodeKind::kAnd:
      case NodeKind::kOr:
        return junction(node);
      case NodeKind::kNot:
        return !evaluate(*node.children[0]);
      case NodeKind::kIsNull: {
        const Results tried = evaluate(*node.children[0]);
        const Results is_null = {.is_true = tried.is_null, .is_false = is_no_null(tried)};
        return node.text == "is null" ? is_null : !is_null;
      }
      default:
        break;
    }
    if (const auto compared = compared_with_truth(node)) {
      return comparison(*compared);
    }
    return is_choice_of_first(node)       ? first_of(node)
           : is_choice_by_condition(node) ? chosen(node)
                                          : by_nulls(node);
  }

  bool is_null_only(const Node& node) {
    const Results tried = evaluate(node);
    return tried.is_null && !is_no_null(tried);
  }

  // `$.a = null` and its like, which people write for `is null`.
  Results by_nulls(const Node& node) {
    constexpr Results kNull = {.is_null = true};
    constexpr Results kNotTrue = {.is_false = true, .is_null = true};
    const auto any_is_null = [&](std::size_t from) {
      return std::any_of(node.children.begin() + static_cast<std::ptrdiff_t>(from),
                         node.children.end(),
                         [&](const NodePtr& child) { return is_null_only(*child); });
    };
    switch (node.kind) {
      case NodeKind::kBinary: {
        const bool takes_null = node.text == "is" || node.text == "is not";
        return !takes_null && any_is_null(0) ? kNull : kAnything;
      }
      case NodeKind::kLike:
      case NodeKind::kUnary:
        return any_is_null(0) ? kNull : kAnything;
      case NodeKind::kIn:
        if (node.children.size() > 1 && is_null_only(*node.children[0])) {
          return kNull;
        }
        return node.text == "not in" && any_is_null(1) ? kNotTrue : kAnything;
      case NodeKind::kBetween:
        return node.text == "between" && any_is_null(0) ? kNotTrue : kAnything;
      default:
        return kAnything;
    }
  }

  Results junction(const Node& node) {
    const bool is_and = node.kind == NodeKind::kAnd;
    Results all = {.is_true = is_and, .is_false = !is_and};
    for (const NodePtr& child : node.children) {
      const Results next = evaluate(*child);
      all = is_and ? all & next : !(!all & !next);
    }
    return all;
  }

  Results comparison(const Compared& compared) {
    const Results tried = evaluate(*compared.condition);
    Results same = compared.with ? tried : !tried;
    if (compared.sees_null && same.is_null) {
      same = {.is_true = same.is_true, .is_false = true};
    }
    return compared.is_negated ? !same : same;
  }

  Results first_of(const Node& node) {
    Results all;
    for (const NodePtr& child : node.children) {
      Results next = evaluate(*child);
      const bool goes_on = std::exchange(next.is_null, false);
      all = all | next;
      if (!goes_on) {
        return all;
      }
    }
    return all | Results{.is_null = true};
  }

  Results chosen(const Node& node) {
    const std::string_view roles = roles_of(node);
    Results all;
    for (std::size_t index = 0; index < roles.size(); ++index) {
      if (roles[index] == 'e') {
        return all | evaluate(*node.children[index]);
      }
      if (roles[index] != 'w') {
        continue;
      }
      // With a base, what follows `when` is a truth only as it was prepared.
      const Node& when = *node.children[index];
      const bool is_prepared = roles.front() != 'b' || programs.contains(&when);
      const Results met = is_prepared ? evaluate(when) : kAnything;
      all = met.is_true ? all | evaluate(*node.children[index + 1]) : all;
      if (!met.is_false && !met.is_null) {
        return all;
      }
    }
    return all | Results{.is_null = true};
  }
};

DeletionCondition::DeletionCondition(std::unique_ptr<State> state) : state_(std::move(state)) {}
DeletionCondition::~DeletionCondition() = default;

Result<std::unique_ptr<DeletionCondition>> DeletionCondition::prepare(std::string_view condition,
                                                                      Unknown unknown) {
  return prepare(tree_of(condition), unknown);
}

Result<std::unique_ptr<DeletionCondition>> DeletionCondition::prepare(NodePtr condition,
                                                                      Unknown unknown) {
  auto state = std::make_unique<State>();
  state->root = std::move(condition);
  state->unknown = unknown;
  RETURN_IF_ERROR(state->prepare(*state->root));
  return std::unique_ptr<DeletionCondition>(new DeletionCondition(std::move(state)));
}

DeletionCondition::Outcomes DeletionCondition::judge(const TopicPartition& source,
                                                     const engine::Record& record) {
  state_->source = &source;
  state_->record = &record;
  const Results results = state_->evaluate(*state_->root);
  return {.may_be_true = results.is_true, .may_be_else = results.is_false || results.is_null};
}

}  // namespace onceflow::pipeline
