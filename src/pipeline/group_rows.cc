#include "pipeline/group_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <memory>
#include <utility>
#include <variant>

#include "base/check.h"
#include "base/decimal.h"
#include "base/json_document.h"
#include "base/json_text.h"
#include "base/typed_text.h"
#include "pipeline/operators.h"
#include "pipeline/record_problem.h"
#include "pipeline/step_against.h"
#include "pipeline/yaml_text.h"

namespace onceflow::pipeline {
namespace {

// ----------------------------------------------------------------------------------------------
// the file

// `cast(X as type)`: X; else the expression itself.
std::string without_cast(const std::string& text, ColumnType type) {
  std::string lower = text;
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return std::tolower(c); });
  const std::string end = fmt::format(" as {})", to_string(type));
  constexpr std::string_view kBegin = "cast(";
  return lower.starts_with(kBegin) && lower.ends_with(end)
             ? text.substr(kBegin.size(), text.size() - kBegin.size() - end.size())
             : text;
}

// The member of the aggregate's result that is the column, as it is or cast to the column's type.
std::optional<std::string> member_of(const ResolvedColumn& column) {
  const auto inner = check_expression(without_cast(column.expression.text, column.column.type));
  return inner ? pipeline::member_of(*inner) : std::nullopt;
}

bool is_record_key(const ResolvedColumn& column) {
  return column.expression.part == RecordPart::kKey && column.column.type == ColumnType::kText;
}

// A number is text in a key of one expression, which no column of numbers takes.
Problem needs_cast(const SinkSpec& sink, const ResolvedColumn& column) {
  const std::string_view type = to_string(column.column.type);
  return {sink.line,
          fmt::format("key column `{}` of sink {} is {}, but `{}` is text", column.column.name,
                      sink.id, type, column.expression.text),
          "a key of one expression is its value as text",
          fmt::format("write `{}: {{ value: {}, type: {} }}`", column.column.name,
                      as_yaml_scalar(fmt::format("cast({} as {})", column.expression.text, type)),
                      type)};
}

// ----------------------------------------------------------------------------------------------
// the records

// A part of a group's key.
struct Part {
  enum class Kind : std::uint8_t { kNull, kText, kNumber, kListOrObject };
  Kind kind = Kind::kText;
  std::string_view json;  ///< as it is written; of a key of one expression: the key
  std::string_view text;  ///< what a text means
};

Part::Kind kind_of(JsonDocument::Kind kind) {
  switch (kind) {
    case JsonDocument::Kind::kNull:
      return Part::Kind::kNull;
    case JsonDocument::Kind::kString:
      return Part::Kind::kText;
    case JsonDocument::Kind::kArray:
    case JsonDocument::Kind::kObject:
      return Part::Kind::kListOrObject;
    default:
      return Part::Kind::kNumber;
  }
}

// Whether the number is the only text of its type for its value.
bool is_number_of(ColumnType type, std::string_view json) {
  if (type == ColumnType::kDecimal) {
    const auto number = DecimalNumber::parse(json);
    return number && number->to_string() == json;
  }
  if (type == ColumnType::kBoolean) {
    return json == "0" || json == "1";  // true and false, as an expression has them
  }
  std::string digits;
  const auto number = read_number(json, digits);
  std::string written;
  if (number) {
    append_json_value(written, *number);
  }
  return number && written == json &&
         (type == ColumnType::kInteger ? std::holds_alternative<std::int64_t>(*number)
                                       : std::holds_alternative<double>(*number));
}

// Whether the part is the only one that becomes its value in a column of texts of one form.
bool is_text_of(ColumnType type, const Part& part, bool is_only) {
  if (type == ColumnType::kJsonb) {
    std::string json(part.json);
    if (is_only) {
      json.clear();
      append_json_string(json, part.text);
    }
    return typed_text(type, json) == json;
  }
  return part.kind == Part::Kind::kText && typed_text(type, part.text) == part.text;
}

// The part as the column's expression yields it from the aggregate's result.
Value value_of(const Part& part, ColumnType type, bool is_only, std::string& storage) {
  if (part.kind == Part::Kind::kNull) {
    return {};
  }
  if (is_json(type)) {
    storage.assign(part.json);
    if (is_only) {
      storage.clear();
      append_json_string(storage, part.text);
    }
    return std::string_view(storage);
  }
  if (part.kind == Part::Kind::kNumber) {
    return read_number(part.json, storage).value_or(Value(part.json));
  }
  return part.kind == Part::Kind::kText ? part.text : part.json;
}

RecordProblem null_part(const GroupColumn& column) {
  const std::string& expression = column.part_of_key.expression.text;
  return {fmt::format("`{}` of its key is null", column.part_of_key.name),
          fmt::format("sink {} makes each group a row, and its key column {} takes no null",
                      column.sink, column.column),
          fmt::format("write `{}: {}`, or keep such records out by a step before this one: `where: "
                      "{}`",
                      column.part_of_key.name,
                      as_yaml_scalar(fmt::format("coalesce({}, {})", expression,
                                                 in_place_of_null(column.type))),
                      as_yaml_scalar(fmt::format("{} is not null", expression)))};
}

// The way past such a record alone. A key of one expression is text, whatever its value was.
std::string step_against_part(const Expression& expression, const Part& part, bool is_only) {
  if (is_only) {
    return step_against(fmt::format("cast({} as text)", expression.text), part.text);
  }
  std::string storage;
  return step_against(expression.text, value_of(part, ColumnType::kText, is_only, storage));
}

RecordProblem unlike_part(const GroupColumn& column, const Part& part, bool is_only) {
  const auto& [name, expression] = column.part_of_key;
  constexpr std::string_view kNames[] = {"null", "text", "a number", "a list or an object"};
  const std::string type(to_string(column.type));
  const auto cast_of = [&](std::string_view to) {
    return fmt::format("cast({} as {})", expression.text, to);
  };
  const bool is_shown = is_only || part.kind == Part::Kind::kNumber ||
                        (part.kind == Part::Kind::kText && column.type >= ColumnType::kTimestamptz);
  std::string fix = is_only ? fmt::format("give the column `type: text` and the value `$.{}`", name)
                            : fmt::format("write `{}: {}` in the step's key", name,
                                          as_yaml_scalar(cast_of("text")));
  if (!is_only && part.kind == Part::Kind::kNumber && column.type == ColumnType::kText) {
    fix += fmt::format(
        ", or give column {} of the sink another type: `{}: {{ value: $.{}, type: "
        "{} }}`",
        column.column, column.column, name,
        is_number_of(ColumnType::kInteger, part.json) ? "integer" : "real");
  } else if (!is_only && column.type != ColumnType::kText) {
    fix += part.kind == Part::Kind::kNumber && column.type == ColumnType::kReal
               ? fmt::format(" and `type: text` in column {}, or `{}: {}`", column.column, name,
                             as_yaml_scalar(cast_of("real")))
               : fmt::format(" and `type: text` in column {}", column.column);
  }
  fix = fmt::format("{}, or begin anew (onceflow reset) and {}",
                    step_against_part(expression, part, is_only), fix);
  return {
      fmt::format("`{}` of its key is {}{}{}, and key column {} of sink {} is {}", name,
                  kNames[static_cast<std::size_t>(part.kind)], is_shown ? ": " : "",
                  is_shown ? part.json.substr(0, 40) : "", column.column, column.sink, type),
      fmt::format("groups are told apart by the JSON of their keys, 7 from \"7\", and each is a "
                  "row of its own: a key column of {} takes {} alone, each written in one way",
                  type, type),
      std::move(fix)};
}

class GroupCheck : public engine::Operator {
 public:
  GroupCheck(std::string step, std::size_t part_count, std::vector<GroupColumn> columns)
      : step_(std::move(step)), part_count_(part_count), columns_(std::move(columns)) {}

  Status process(engine::Chunk& chunk) override {
    for (const engine::Record& record : chunk.records) {
      read_parts(as_text(*record.key));
      for (const GroupColumn& column : columns_) {
        if (auto problem = problem_of(column, parts_[column.part])) [[unlikely]] {
          return refuse_record(step_, chunk, record, *problem);
        }
      }
    }
    return {};
  }

 private:
  void read_parts(std::string_view key) {
    parts_.clear();
    if (part_count_ == 1) {
      parts_.push_back({Part::Kind::kText, key, key});
      return;
    }
    CHECK(!document_.parse(key));  // the key step has made it
    decoded_.resize(part_count_);
    document_.for_each_element(JsonDocument::kRoot, [&](std::uint32_t element) {
      Part part{kind_of(document_.node(element).kind), document_.raw(element), {}};
      if (part.kind == Part::Kind::kText) {
        part.text = document_.string(element, decoded_[parts_.size()]).value_or("");
      }
      parts_.push_back(part);
    });
    CHECK(parts_.size() == part_count_);
  }

  std::optional<RecordProblem> problem_of(const GroupColumn& column, const Part& part) {
    if (column.is_key && part.kind == Part::Kind::kNull) {
      return null_part(column);
    }
    if (column.is_key && !takes(column.type, part)) {
      return unlike_part(column, part, part_count_ == 1);
    }
    if (!column.fitted) {
      return std::nullopt;
    }
    scratch_.clear();
    const auto fitted = fit_column(
        *column.fitted, value_of(part, column.type, part_count_ == 1, storage_), scratch_);
    if (fitted) {
      return std::nullopt;
    }
    RecordProblem problem = fitted.error();
    problem.what = fmt::format("`{}` of its key, for sink {}: {}", column.part_of_key.name,
                               column.sink, problem.what);
    return problem;
  }

  bool takes(ColumnType type, const Part& part) const {
    if (type == ColumnType::kText) {
      return part.kind == Part::Kind::kText;
    }
    if (type >= ColumnType::kTimestamptz) {
      return is_text_of(type, part, part_count_ == 1);
    }
    return (part.kind == Part::Kind::kNumber || part_count_ == 1) && is_number_of(type, part.json);
  }

  std::string step_;
  std::size_t part_count_;
  std::vector<GroupColumn> columns_;
  JsonDocument document_;
  std::vector<std::string> decoded_;
  std::vector<Part> parts_;
  std::string storage_;
  engine::Arena scratch_;
};

// Texts that every table of SQLite takes need no look at each record.
// `part`: what makes its value where the record enters.
std::optional<ProjectedColumn> fitted(const SinkSpec& sink, const ResolvedColumn& column,
                                      const NamedExpression& part) {
  ProjectedColumn result = projected(sink, column);
  result.expression = part.expression;
  return result.type == ColumnType::kText && result.text_rule == TextRule::kUtf8
             ? std::nullopt
             : std::optional(std::move(result));
}

}  // namespace

std::expected<std::vector<GroupColumn>, Problem> match_group_to_row(
    const SinkSpec& sink, const std::vector<ResolvedColumn>& columns, const AggregateShape& shape,
    std::span<const StepSpec> later) {
  const auto is_key = [](const ResolvedColumn& column) { return column.column.is_key; };
  const bool is_key_kept =
      std::ranges::none_of(later, [](const StepSpec& step) { return step.key.has_value(); });
  if (is_key_kept && std::ranges::any_of(columns, [&](const ResolvedColumn& column) {
        return is_key(column) && is_record_key(column);
      })) {
    return {};
  }
  const std::vector<NamedExpression>& parts = shape.key.columns;
  std::vector<GroupColumn> matched;
  for (std::size_t index = 0; index < parts.size(); ++index) {
    const std::string& name = parts[index].name;
    const bool is_kept = !is_member_set(later, name);
    const auto found = std::ranges::find_if(columns, [&](const ResolvedColumn& column) {
      return is_key(column) && member_of(column) == name;
    });
    if (!is_kept || found == columns.end()) {
      return std::unexpected(Problem{
          sink.key.empty() ? sink.mode_line : sink.key_line,
          is_kept ? fmt::format("the key of sink {} lacks `{}`, by which the aggregate groups",
                                sink.id, name)
                  : fmt::format("`{}` is set after the aggregate, and is in the key of sink {}",
                                name, sink.id),
          "each group is a row of its own; of two that shared one, the row of the first would be "
          "lost",
          is_kept ? fmt::format("add a column `{}: $.{}` to the table and to its key; what is "
                                "computed from a key belongs into the aggregate's own `key`",
                                name, name)
                  : "write the expression in the aggregate's own `key`"});
    }
    if (parts.size() == 1 && found->expression.path &&
        (found->column.type == ColumnType::kInteger || found->column.type == ColumnType::kReal)) {
      return std::unexpected(needs_cast(sink, *found));
    }
    matched.push_back({.part = index,
                       .part_of_key = parts[index],
                       .column = found->column.name,
                       .type = found->column.type,
                       .is_key = true,
                       // A cast takes every text to its type.
                       .fitted = pipeline::member_of(found->expression)
                                     ? fitted(sink, *found, parts[index])
                                     : std::nullopt,
                       .sink = sink.id});
  }
  return matched;
}

std::vector<GroupColumn> match_group_to_columns(const SinkSpec& sink,
                                                const std::vector<ResolvedColumn>& columns,
                                                const AggregateShape& shape,
                                                std::span<const StepSpec> later) {
  const bool is_key_kept =
      std::ranges::none_of(later, [](const StepSpec& step) { return step.key.has_value(); });
  const std::vector<NamedExpression>& parts = shape.key.columns;
  std::vector<GroupColumn> matched;
  for (const ResolvedColumn& column : columns) {
    const auto name = pipeline::member_of(column.expression);
    const bool is_record_key =
        column.expression.part == RecordPart::kKey && is_key_kept && parts.size() == 1;
    const auto part = is_record_key ? parts.begin()
                                    : std::ranges::find_if(parts, [&](const NamedExpression& each) {
                                        return name == each.name;
                                      });
    if (part == parts.end() || (!is_record_key && is_member_set(later, part->name))) {
      continue;
    }
    if (auto fits = fitted(sink, column, *part)) {
      matched.push_back({.part = static_cast<std::size_t>(part - parts.begin()),
                         .part_of_key = *part,
                         .column = column.column.name,
                         .type = column.column.type,
                         .fitted = std::move(fits),
                         .sink = sink.id});
    }
  }
  return matched;
}

engine::Factory<engine::Operator> make_group_check(std::string step, std::size_t part_count,
                                                   std::vector<GroupColumn> columns) {
  return [step = std::move(step), part_count,
          columns = std::move(columns)]() -> Result<std::unique_ptr<engine::Operator>> {
    return std::make_unique<GroupCheck>(step, part_count, columns);
  };
}

}  // namespace onceflow::pipeline
