#include "pipeline/steps_section.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <span>
#include <utility>
#include <variant>

#include "base/json_document.h"
#include "pipeline/expression_text.h"
#include "pipeline/nearest.h"
#include "pipeline/record_members.h"
#include "pipeline/record_problem.h"
#include "pipeline/sink_section.h"

namespace onceflow::pipeline {
namespace {

using engine::AggregateFunction;

constexpr std::size_t kIdBytesMax = 60;

constexpr std::array<std::string_view, 5> kFunctionNames = {"count", "sum", "min", "max", "avg"};

std::string_view trim(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t\n\r");
  return begin == std::string_view::npos
             ? std::string_view()
             : text.substr(begin, text.find_last_not_of(" \t\n\r") - begin + 1);
}

// Whether one path leads to the place of the other, or to one within it.
bool is_within(const JsonPath& inner, const JsonPath& outer) {
  const auto same = [](const JsonStep& left, const JsonStep& right) {
    const auto* name = std::get_if<std::string>(&left);
    const auto* position = std::get_if<JsonPosition>(&left);
    const auto* other_name = std::get_if<std::string>(&right);
    const auto* other_position = std::get_if<JsonPosition>(&right);
    return name != nullptr
               ? other_name != nullptr && *name == *other_name
               : other_position != nullptr && position->index == other_position->index &&
                     position->is_from_end == other_position->is_from_end;
  };
  return inner.size() >= outer.size() &&
         std::ranges::equal(outer, std::span(inner).first(outer.size()), same);
}

// What `set` cannot do at a path, whatever the record.
std::optional<ExpressionError> problem_of_place(YamlReader& reader, const StepSpec& step,
                                                const std::string& path) {
  const JsonPath steps = *parse_json_path(path);
  if (!std::holds_alternative<std::string>(steps.front())) {
    return ExpressionError{1, fmt::format("`{}` is an element of a list", path),
                           "`set` sets fields of an object", "begin with a name: $.list[0]"};
  }
  for (const Assignment& before : step.set) {
    const JsonPath other = *parse_json_path(before.path);
    if (before.path != path && (is_within(steps, other) || is_within(other, steps))) {
      return ExpressionError{1, fmt::format("`{}` and `{}` set the same place", before.path, path),
                             "what is set twice in one step is lost once",
                             "set one of them, or make two steps of it"};
    }
  }
  return reader.members() ? reader.members()->check_set(path) : std::nullopt;
}

void read_set(YamlReader& reader, const YAML::Node& node, StepSpec& step) {
  if (!reader.check_map(node, "`set`", {})) {
    return;
  }
  for (const auto& [path, value] : YamlReader::entries(node)) {
    const auto checked = check_json_path(path);
    if (!checked) {
      reader.report_expression(value, path, checked.error());
      continue;
    }
    if (const auto problem = problem_of_place(reader, step, path)) {
      reader.report_expression(value, path, *problem);
      continue;
    }
    if (auto expression = reader.expression(value, path)) {
      step.set.push_back({path, std::move(*expression)});
    }
  }
  if (node.size() == 0) {
    reader.report(node, "`set` sets nothing", "it maps fields to expressions",
                  "write `$.field: expression` below it");
  }
  for (const auto& [path, value] : YamlReader::entries(node)) {
    if (reader.members()) {
      reader.members()->set(path);
    }
  }
}

void read_where(YamlReader& reader, const YAML::Node& node, StepSpec& step) {
  step.where = reader.expression(node, "where");
  if (step.where && step.where->type == ColumnType::kText) {
    reader.report(
        node, fmt::format("`where: {}` is a text", step.where->text),
        "a condition is true, false or null, and a number is true unless it is 0; a text "
        "is neither",
        fmt::format("compare it: `where: {}`",
                    step.where->part ? step.where->text + " = 'true'" : "… = " + step.where->text));
  }
}

void read_key(YamlReader& reader, const YAML::Node& node, StepSpec& step) {
  KeySpec key;
  key.line = YamlReader::line_of(node);
  if (node.IsMap()) {
    if (!reader.check_map(node, "`key`", {})) {
      return;
    }
    for (const auto& [name, value] : YamlReader::entries(node)) {
      if (auto expression = reader.expression(value, fmt::format("key.{}", name))) {
        key.columns.push_back({name, std::move(*expression)});
      }
    }
  } else if (auto expression = reader.expression(node, "key")) {
    // `key: $.region` names its column after the field.
    std::string name = expression->field_name.value_or("key");
    key.columns.push_back({std::move(name), std::move(*expression)});
  }
  if (key.columns.empty()) {
    if (!reader.has_problems()) {
      reader.report(node, "`key` names nothing",
                    "a key is an expression, or a map of names to some",
                    "write for example `key: $.region`");
    }
    return;
  }
  step.key = std::move(key);
}

// `sum($.amount)` in its parts; the argument is a view into the text.
struct Call {
  std::string function;  ///< in lower case, as SQL takes it
  std::string_view argument;
};

std::optional<Call> split_call(std::string_view text) {
  text = trim(text);
  const std::size_t open = text.find('(');
  if (open == std::string_view::npos || !text.ends_with(')')) {
    return std::nullopt;
  }
  return Call{lower(trim(text.substr(0, open))),
              trim(text.substr(open + 1, text.size() - open - 2))};
}

std::optional<ColumnType> read_type(YamlReader& reader, const YAML::Node& map) {
  const auto node = reader.find(map, "type");
  if (!node) {
    return std::nullopt;
  }
  const auto index = reader.choice(*node, "type", {"integer", "real", "text", "decimal"});
  return index ? std::optional(static_cast<ColumnType>(*index + 1)) : std::nullopt;
}

std::optional<AggregateColumnSpec> parse_aggregate(YamlReader& reader, const YAML::Node& node,
                                                   const std::string& name, const std::string& text,
                                                   std::optional<ColumnType> type) {
  const std::string place = fmt::format("aggregate.{}", name);
  const std::optional<Call> call = split_call(text);
  const std::string rule =
      "an aggregate is count(*), count(x), sum(x), min(x), max(x) or avg(x), x an expression";
  if (!call) {
    reader.report(node, fmt::format("`{}: {}` is no aggregate", place, text), rule,
                  fmt::format("write for example `{}: count(*)`", name));
    return std::nullopt;
  }
  const auto found = std::ranges::find(kFunctionNames, call->function);
  if (found == kFunctionNames.end()) {
    const std::string_view meant = nearest(call->function, kFunctionNames);
    reader.report(
        node, fmt::format("`{}`: unknown aggregate {}()", place, call->function), rule,
        meant.empty() ? std::string("take one of them") : fmt::format("did you mean `{}`?", meant));
    return std::nullopt;
  }
  AggregateColumnSpec column;
  column.column.name = name;
  column.column.function = static_cast<AggregateFunction>(found - kFunctionNames.begin());
  const bool counts = column.column.function == AggregateFunction::kCount;
  column.type = type.value_or(counts ? ColumnType::kInteger : ColumnType::kReal);
  column.column.is_decimal = type == ColumnType::kDecimal && !counts;
  if (call->argument == "*") {
    if (!counts) {
      reader.report(node, fmt::format("`{}`: {}(*)", place, call->function), rule,
                    "only count takes `*`; name a field");
      return std::nullopt;
    }
    column.column.counts_all = true;
    return column;
  }
  if (call->argument.empty()) {
    reader.report(node, fmt::format("`{}`: {}() of nothing", place, call->function), rule,
                  counts ? std::string("write `count(*)` for all records, or name a field")
                         : fmt::format("name a field: {}(…)", call->function));
    return std::nullopt;
  }
  auto checked =
      check_expression(call->argument, column.column.is_decimal ? Numbers::kExact : Numbers::kSql);
  if (!checked) {
    // The column counts in the text as it is written, function and all.
    checked.error().column += static_cast<std::size_t>(call->argument.data() - text.data());
    reader.report_expression(node, place, checked.error());
    return std::nullopt;
  }
  column.argument = std::move(*checked);
  return column;
}

void read_aggregate(YamlReader& reader, const YAML::Node& node, StepSpec& step) {
  if (!reader.check_map(node, "`aggregate`", {})) {
    return;
  }
  AggregateStepSpec aggregate;
  aggregate.line = YamlReader::line_of(node);
  for (const auto& [name, value] : YamlReader::entries(node)) {
    std::optional<ColumnType> type;
    YAML::Node call = value;
    if (value.IsMap()) {
      if (!reader.check_map(value, fmt::format("aggregate.{}", name), {"value", "type"})) {
        continue;
      }
      type = read_type(reader, value);
      const auto inner =
          reader.require(value, "value", fmt::format("aggregate.{}", name), "add `value: sum(…)`");
      if (!inner) {
        continue;
      }
      call = *inner;
    }
    const auto text = reader.scalar(call, fmt::format("aggregate.{}", name));
    auto column = text ? parse_aggregate(reader, call, name, *text, type) : std::nullopt;
    if (column) {
      aggregate.columns.push_back(std::move(*column));
    }
  }
  if (node.size() == 0) {
    reader.report(node, "`aggregate` computes nothing", "it maps names to aggregates",
                  "write for example `orders: count(*)` below it");
  }
  step.aggregate = std::move(aggregate);
}

// What the format has words for and this version has no machinery for is refused by name.
void refuse_unsupported(YamlReader& reader, const YAML::Node& node) {
  if (const auto window = reader.find(node, "window")) {
    reader.report(*window, "`window` is not supported yet",
                  "this version aggregates by key over all time",
                  "put the time into the key, for example "
                  "`key: { region: $.region, day: \"date($.at)\" }`");
  }
  if (const auto on_error = reader.find(node, "on_error")) {
    reader.report(*on_error, "`on_error` is not supported yet",
                  "a record that cannot be processed stops the pipeline; none is skipped",
                  step_before("value is null or json_valid(value)"));
  }
}

void check_actions(YamlReader& reader, const YAML::Node& node, const std::string& place) {
  std::vector<std::string_view> actions;
  for (const std::string_view action : {"where", "set", "key", "aggregate"}) {
    if (reader.find(node, action)) {
      actions.push_back(action);
    }
  }
  const bool key_and_aggregate = actions == std::vector<std::string_view>{"key", "aggregate"};
  if (actions.size() == 1 || key_and_aggregate) {
    return;
  }
  reader.report(node,
                actions.empty() ? fmt::format("{} does nothing", place)
                                : fmt::format("{} has {}", place, fmt::join(actions, " and ")),
                "a step does one thing: where, set, key or aggregate; key may stand beside "
                "aggregate",
                actions.empty() ? "give it one of them" : "make two steps of it");
}

void check_aggregate_columns(YamlReader& reader, const StepSpec& step) {
  if (!step.aggregate || !step.key) {
    return;
  }
  for (const AggregateColumnSpec& column : step.aggregate->columns) {
    for (const NamedExpression& key : step.key->columns) {
      if (key.name == column.column.name) {
        reader.report(step.aggregate->line,
                      fmt::format("`{}` is a key column and an aggregate", key.name),
                      "columns of one record have different names", "rename one of them");
      }
    }
  }
}

void read_step(YamlReader& reader, const YAML::Node& node, std::size_t number, PipelineSpec& spec) {
  const std::string unnamed = fmt::format("step {}", number);
  const std::size_t problems_before = reader.problem_count();
  if (!reader.check_map(node, unnamed,
                        {"id", "where", "set", "key", "aggregate", "window", "on_error"})) {
    return;
  }
  refuse_unsupported(reader, node);
  const bool is_answered = reader.problem_count() > problems_before;
  StepSpec step;
  step.line = YamlReader::line_of(node);
  if (const auto id = reader.require(node, "id", unnamed, "add `id: …`, a name of your own")) {
    step.id = read_id(reader, *id);
  }
  const std::string place = step.id.empty() ? unnamed : fmt::format("step {}", step.id);
  if (!is_answered) {
    check_actions(reader, node, place);
  }
  if (const auto where = reader.find(node, "where")) {
    read_where(reader, *where, step);
  }
  if (const auto set = reader.find(node, "set")) {
    read_set(reader, *set, step);
  }
  if (const auto key = reader.find(node, "key")) {
    read_key(reader, *key, step);
  }
  if (const auto aggregate = reader.find(node, "aggregate")) {
    read_aggregate(reader, *aggregate, step);
  }
  check_aggregate_columns(reader, step);
  spec.steps.push_back(std::move(step));
}

// What records have after the step; nothing is known of them where its aggregate is wrong.
void follow_members(YamlReader& reader, const StepSpec& step, const std::optional<KeySpec>& key,
                    bool is_right) {
  if (step.aggregate) {
    reader.set_members(is_right && key
                           ? std::optional(RecordMembers(step.id, *key, *step.aggregate))
                           : std::nullopt);
  }
}

}  // namespace

std::string read_id(YamlReader& reader, const YAML::Node& node) {
  std::string id = reader.scalar(node, "id").value_or("");
  if (!id.empty() && !is_topic_name(id, kIdBytesMax)) {
    reader.report(node, fmt::format("`id: {}`", id),
                  fmt::format("an id is part of topics' names: letters, digits, `.`, `_`, `-`, at "
                              "most {}",
                              kIdBytesMax),
                  "choose such an id");
  }
  return id;
}

void read_steps(YamlReader& reader, const YAML::Node& root, PipelineSpec& spec) {
  const auto steps = reader.find(root, "steps");
  if (!steps) {
    return;  // A pipeline may move records as they are.
  }
  if (!steps->IsSequence()) {
    reader.report(*steps, "`steps` is not a list", "steps are a list, in the order of the work",
                  "begin each step with `- id: …`");
    return;
  }
  bool has_key = false;
  std::optional<KeySpec> key;
  std::size_t number = 0;
  for (const YAML::Node& node : *steps) {
    const std::size_t problems_before = reader.problem_count();
    read_step(reader, node, ++number, spec);
    if (spec.steps.size() < number) {
      return;  // Not a map; what follows would only repeat it.
    }
    const StepSpec& step = spec.steps.back();
    key = step.key ? step.key : std::move(key);
    follow_members(reader, step, key, reader.problem_count() == problems_before);
    has_key = has_key || reader.find(node, "key").has_value();
    if (step.aggregate && !has_key) {
      reader.report(step.aggregate->line, fmt::format("step {} has no key to group by", step.id),
                    "an aggregate groups by the key that a `key` beside or before it sets",
                    "add `key: …` to the step; `key: key` takes the record's own");
    }
  }
}

}  // namespace onceflow::pipeline
