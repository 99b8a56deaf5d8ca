#include "pipeline/deletions.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/check.h"
#include "pipeline/deletion_condition.h"
#include "pipeline/deletion_key.h"
#include "pipeline/expression_text.h"
#include "pipeline/expression_tree.h"
#include "pipeline/sink_columns.h"

namespace onceflow::pipeline {
namespace {

std::vector<Token> tokens_of(std::string_view expression) {
  auto translated = translate_expression(expression);
  CHECK(translated.has_value());  // SQLite has accepted it
  return std::move(translated->tokens);
}

// With the key in the place of the record's; null: as it is.
NodePtr with_key(NodePtr node, const Node* key) {
  if (key != nullptr && node->kind == NodeKind::kPart && node->text == "key") {
    return copy_of(*key);
  }
  for (NodePtr& child : node->children) {
    child = with_key(std::move(child), key);
  }
  return node;
}

// As a key has it.
NodePtr in_text(NodePtr part) {
  auto cast = std::make_unique<Node>();
  cast->kind = NodeKind::kCast;
  cast->text = "text";
  cast->children.push_back(std::move(part));
  return cast;
}

bool is_word(const Token& token, std::string_view word) {
  return token.kind == TokenKind::kWord && lower(token.text) == word;
}

bool may_be_told(const std::vector<Expression>& key) {
  const auto prepared = DeletionKey::prepare(key, DeletionCondition::Unknown::kOtherParts);
  CHECK(prepared.has_value());  // SQLite has accepted it
  return prepared->judge({}, {}).may_be_told;
}

bool upserts(const SinkSpec& sink) {
  return sink.kind != SinkKind::kKafka && sink.mode == connectors::SinkMode::kUpsert;
}

bool keys_by_the_record(const SinkSpec& sink, const PipelineSpec& spec) {
  const auto columns = resolve_columns(sink, std::nullopt, spec);
  std::vector<Expression> key;
  for (const ResolvedColumn& column : columns ? *columns : std::vector<ResolvedColumn>()) {
    if (column.column.is_key) {
      key.push_back(column.expression);
    }
  }
  return !key.empty() && may_be_told(key);
}

}  // namespace

bool reads_value(std::string_view expression) {
  return std::ranges::any_of(tokens_of(expression), [](const Token& token) {
    return token.kind == TokenKind::kPath || is_word(token, "value");
  });
}

bool reads_key(std::string_view expression) {
  return std::ranges::any_of(tokens_of(expression),
                             [](const Token& token) { return is_word(token, "key"); });
}

std::vector<Expression> expressions_of(const KeySpec& key) {
  std::vector<Expression> parts;
  parts.reserve(key.columns.size());
  for (const NamedExpression& part : key.columns) {
    parts.push_back(part.expression);
  }
  return parts;
}

std::vector<std::string> tables_that_upsert(const PipelineSpec& spec) {
  std::vector<std::string> tables;
  if (std::ranges::none_of(spec.steps, [](const StepSpec& step) { return !!step.aggregate; })) {
    for (const SinkSpec& sink : spec.sinks) {
      if (upserts(sink)) {
        tables.push_back(sink.table);
      }
    }
  }
  return tables;
}

bool has_tables_with_deletions(const PipelineSpec& spec) {
  const bool changes_keys = std::ranges::any_of(spec.steps, [](const StepSpec& step) {
    return step.aggregate || (step.key && !may_be_told(expressions_of(*step.key)));
  });
  return !changes_keys && std::ranges::any_of(spec.sinks, [&](const SinkSpec& sink) {
    return upserts(sink) && keys_by_the_record(sink, spec);
  });
}

bool passes_deletions(std::string_view condition) {
  const std::vector<Token> tokens = tokens_of(condition);
  return std::ranges::any_of(tokens,
                             [](const Token& token) { return token.kind == TokenKind::kPath; }) &&
         std::ranges::none_of(tokens, [](const Token& token) { return is_word(token, "value"); });
}

DeletionsAtWhere deletions_at_where(const PipelineSpec& spec, const StepSpec& step) {
  if (passes_deletions(step.where->text) && has_tables_with_deletions(spec)) {
    return DeletionsAtWhere::kPassUnlessOut;
  }
  NodePtr key;  // null: the record's own, or a list
  for (const StepSpec* before = spec.steps.data(); before != &step; ++before) {
    if (before->key) {
      key =
          before->key->columns.size() == 1
              ? in_text(with_key(tree_of(before->key->columns.front().expression.text), key.get()))
              : nullptr;
    }
  }
  auto judged = DeletionCondition::prepare(with_key(tree_of(step.where->text), key.get()),
                                           DeletionCondition::Unknown::kOtherParts);
  CHECK(judged.has_value());  // SQLite has accepted it
  const auto [may_be_true, may_be_else] = (*judged)->judge({}, {});
  if (!may_be_true) {
    return DeletionsAtWhere::kKeptOut;
  }
  return may_be_else ? DeletionsAtWhere::kAsked : DeletionsAtWhere::kPass;
}

}  // namespace onceflow::pipeline
