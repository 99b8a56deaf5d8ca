#include "pipeline/deletions.h"

#include <algorithm>
#include <vector>

#include "base/check.h"
#include "pipeline/expression_text.h"
#include "pipeline/sink_columns.h"

namespace onceflow::pipeline {
namespace {

std::vector<Token> tokens_of(std::string_view expression) {
  auto translated = translate_expression(expression);
  CHECK(translated.has_value());  // SQLite has accepted it
  return std::move(translated->tokens);
}

bool is_word(const Token& token, std::string_view word) {
  return token.kind == TokenKind::kWord && lower(token.text) == word;
}

bool keys_by_the_record(const SinkSpec& sink, const PipelineSpec& spec) {
  const auto columns = resolve_columns(sink, std::nullopt, spec);
  return columns && std::ranges::none_of(*columns, [](const ResolvedColumn& column) {
           return column.column.is_key && reads_value(column.expression.text);
         });
}

}  // namespace

bool reads_value(std::string_view expression) {
  return std::ranges::any_of(tokens_of(expression), [](const Token& token) {
    return token.kind == TokenKind::kPath || is_word(token, "value");
  });
}

bool has_tables_with_deletions(const PipelineSpec& spec) {
  const bool changes_keys = std::ranges::any_of(spec.steps, [](const StepSpec& step) {
    return step.aggregate ||
           (step.key && std::ranges::any_of(step.key->columns, [](const NamedExpression& part) {
              return reads_value(part.expression.text);
            }));
  });
  return !changes_keys && std::ranges::any_of(spec.sinks, [&](const SinkSpec& sink) {
    return sink.kind != SinkKind::kKafka && sink.mode == connectors::SinkMode::kUpsert &&
           keys_by_the_record(sink, spec);
  });
}

bool passes_deletions(std::string_view condition) {
  const std::vector<Token> tokens = tokens_of(condition);
  for (std::size_t index = 0; index + 1 < tokens.size(); ++index) {
    if (!is_word(tokens[index], "value")) {
      continue;
    }
    const Token& next = tokens[index + 1];
    const bool is_null =
        index + 2 < tokens.size() && is_word(next, "is") && is_word(tokens[index + 2], "null");
    const bool is_not_null = index + 3 < tokens.size() && is_word(next, "is") &&
                             is_word(tokens[index + 2], "not") &&
                             is_word(tokens[index + 3], "null");
    if (is_null || is_not_null || is_word(next, "isnull") || is_word(next, "notnull")) {
      return false;
    }
  }
  return reads_value(condition);
}

}  // namespace onceflow::pipeline
