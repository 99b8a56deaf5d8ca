#include "pipeline/sink_columns.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string>

#include "base/check.h"
#include "base/json_document.h"
#include "base/json_text.h"

namespace onceflow::pipeline {
namespace {

Expression known(std::string_view text) {
  auto expression = check_expression(text);
  CHECK(expression.has_value());
  return std::move(*expression);
}

ResolvedColumn column_of(const std::string& name, ColumnType type, std::string_view expression) {
  return {{name, type, false}, known(expression)};
}

std::vector<ResolvedColumn> columns_of(const AggregateShape& shape) {
  std::vector<ResolvedColumn> columns;
  const auto field = [](const std::string& name) {
    std::string path = "$.";
    append_json_string(path, name);
    return path;
  };
  columns.reserve(shape.key.columns.size() + shape.aggregate.columns.size());
  for (const NamedExpression& column : shape.key.columns) {
    columns.push_back(column_of(column.name, ColumnType::kText, field(column.name)));
  }
  for (const AggregateColumnSpec& column : shape.aggregate.columns) {
    columns.push_back(column_of(column.column.name, column.type, field(column.column.name)));
  }
  return columns;
}

}  // namespace

std::expected<std::vector<ResolvedColumn>, Problem> resolve_columns(
    const SinkSpec& sink, const std::optional<AggregateShape>& shape, const PipelineSpec& spec) {
  std::vector<ResolvedColumn> columns;
  if (!sink.columns.empty()) {
    for (const SinkColumnSpec& column : sink.columns) {
      columns.push_back({{column.name, column.type, false}, column.expression});
    }
  } else if (shape) {
    columns = columns_of(*shape);
  } else {
    columns = {column_of("record_key", ColumnType::kText, "key"),
               column_of("record_value", ColumnType::kText, "value")};
  }
  if (sink.mode == connectors::SinkMode::kAppend) {
    return columns;
  }

  std::vector<std::string> key = sink.key;
  int line = sink.key_line;
  if (key.empty()) {
    line = sink.mode_line;
    for (const NamedExpression& column :
         shape ? shape->key.columns : decltype(shape->key.columns){}) {
      key.push_back(column.name);
    }
  }
  const auto names = [&] {
    std::vector<std::string> all;
    all.reserve(columns.size());
    for (const ResolvedColumn& column : columns) {
      all.push_back(column.column.name);
    }
    return all;
  }();
  if (key.empty()) {
    return std::unexpected(Problem{
        line, fmt::format("sink {} asks for `mode: upsert` without a key", sink.id),
        fmt::format("an upsert keeps one row a key; without one, {} cannot hold",
                    spec.guarantee == engine::Guarantee::kExactlyOnce ? "exactly_once" : "it"),
        fmt::format("add `key: [{}]`, or write `mode: append`", names.front())});
  }
  for (const std::string& name : key) {
    const auto found = std::ranges::find(names, name);
    if (found == names.end()) {
      return std::unexpected(Problem{
          line, fmt::format("key column `{}` of sink {} is not one of its columns", name, sink.id),
          fmt::format("the key is made of columns; they are {}", fmt::join(names, ", ")),
          "name columns in `key`, or add the column"});
    }
    connectors::SinkColumn& column =
        columns[static_cast<std::size_t>(found - names.begin())].column;
    if (column.type == ColumnType::kJson) {
      return std::unexpected(
          Problem{line, fmt::format("key column `{}` of sink {} is json", name, sink.id),
                  "json keeps a document as it is written, so that none equals another",
                  "give the column `type: jsonb`, or text"});
    }
    column.is_key = true;
  }
  return columns;
}

ProjectedColumn projected(const SinkSpec& sink, const ResolvedColumn& column) {
  return {
      .name = column.column.name,
      .expression = column.expression,
      .type = column.column.type,
      .text_rule = sink.kind == SinkKind::kPostgres ? TextRule::kUtf8WithoutZero : TextRule::kUtf8,
      .is_key = column.column.is_key};
}

std::optional<std::string> member_of(const Expression& expression) {
  const auto path = expression.path ? parse_json_path(*expression.path) : std::nullopt;
  const auto* name = path && path->size() == 1 ? std::get_if<std::string>(&path->front()) : nullptr;
  return name != nullptr ? std::optional(*name) : std::nullopt;
}

bool is_member_set(std::span<const StepSpec> steps, std::string_view member) {
  const auto sets = [&](const Assignment& assignment) {
    const auto path = parse_json_path(assignment.path);
    const auto* first = path && !path->empty() ? std::get_if<std::string>(&path->front()) : nullptr;
    return first == nullptr || *first == member;
  };
  return std::ranges::any_of(
      steps, [&](const StepSpec& step) { return std::ranges::any_of(step.set, sets); });
}

std::string_view in_place_of_null(ColumnType type) {
  switch (type) {
    case ColumnType::kInteger:
    case ColumnType::kDecimal:
    case ColumnType::kBoolean:
      return "0";
    case ColumnType::kReal:
      return "0.0";
    case ColumnType::kTimestamptz:
      return "'1970-01-01T00:00:00Z'";
    case ColumnType::kTimestamp:
      return "'1970-01-01T00:00:00'";
    case ColumnType::kDate:
      return "'1970-01-01'";
    case ColumnType::kUuid:
      return "'00000000-0000-0000-0000-000000000000'";
    case ColumnType::kText:
    case ColumnType::kJson:
    case ColumnType::kJsonb:
    case ColumnType::kBytea:
      return "'none'";
  }
  return "'none'";
}

}  // namespace onceflow::pipeline
