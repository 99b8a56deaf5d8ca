#include "pipeline/exact_inputs.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <string_view>
#include <utility>
#include <variant>

#include "base/json_document.h"
#include "pipeline/expression_checks.h"
#include "pipeline/expression_text.h"

namespace onceflow::pipeline {
namespace {

// A member of the record's value that holds what was computed with doubles.
struct Rounded {
  std::string member;
  std::string by;   ///< "`$.rev`, set by step price,"
  std::string fix;  ///< "give the aggregate `type: decimal`"
};

std::optional<std::string> first_member(std::string_view path) {
  const auto steps = parse_json_path(path);
  const auto* name = steps && !steps->empty() ? std::get_if<std::string>(&steps->front()) : nullptr;
  return name != nullptr ? std::optional(*name) : std::nullopt;
}

class Inputs {
 public:
  void follow(const StepSpec& step) {
    if (!step.set.empty()) {
      set(step);
    }
    if (step.aggregate) {
      aggregate(step);
    }
  }

  void take(const Expression& expression, const std::string& by) {
    if (const Rounded* rounded = find(expression)) {
      lines_.push_back(
          fmt::format("{} is of integers, or may be rounded as doubles are, before {} with `type: "
                      "decimal` takes it; to have it exact, {}",
                      rounded->by, by, rounded->fix));
    }
  }

  std::vector<std::string> lines() && { return std::move(lines_); }

 private:
  const Rounded* find(const Expression& expression) const {
    for (const FieldUse& field : expression.fields) {
      const auto name = first_member(field.path);
      const auto found =
          std::ranges::find_if(rounded_, [&](const Rounded& each) { return name == each.member; });
      if (found != rounded_.end()) {
        return &*found;
      }
    }
    return nullptr;
  }

  // All expressions of a step see the record as it came to it.
  void set(const StepSpec& step) {
    std::vector<Rounded> after;
    std::vector<std::string> replaced;
    for (const Assignment& assignment : step.set) {
      const auto member = first_member(assignment.path);
      if (!member) {
        continue;
      }
      if (may_round(assignment.expression.text)) {
        after.push_back({*member,
                         fmt::format("`{}`, which step {} sets,", assignment.path, step.id),
                         "write the computation there"});
      } else if (const Rounded* before = find(assignment.expression)) {
        after.push_back({*member, before->by, before->fix});
      } else if (assignment.path == path_of_name(*member)) {
        replaced.push_back(*member);
      }
    }
    std::erase_if(rounded_, [&](const Rounded& each) {
      return std::ranges::find(replaced, each.member) != replaced.end();
    });
    std::ranges::move(after, std::back_inserter(rounded_));
  }

  void aggregate(const StepSpec& step) {
    using engine::AggregateFunction;
    std::vector<Rounded> after;
    for (const AggregateColumnSpec& column : step.aggregate->columns) {
      const AggregateFunction function = column.column.function;
      const bool adds = function == AggregateFunction::kSum || function == AggregateFunction::kAvg;
      if (column.argument && column.column.is_decimal) {
        take(*column.argument, fmt::format("`{}` of step {}", column.column.name, step.id));
      } else if (column.argument && function != AggregateFunction::kCount &&
                 (adds || may_round(column.argument->text) || find(*column.argument) != nullptr)) {
        after.push_back(
            {column.column.name,
             fmt::format("`{}`, which step {} aggregates,", column.column.name, step.id),
             "give the aggregate `type: decimal`"});
      }
    }
    rounded_ = std::move(after);
  }

  std::vector<Rounded> rounded_;
  std::vector<std::string> lines_;
};

}  // namespace

std::vector<std::string> assumptions_of_exact_inputs(const PipelineSpec& spec) {
  Inputs inputs;
  for (const StepSpec& step : spec.steps) {
    inputs.follow(step);
  }
  for (const SinkSpec& sink : spec.sinks) {
    for (const SinkColumnSpec& column : sink.columns) {
      if (column.type == ColumnType::kDecimal) {
        inputs.take(column.expression, fmt::format("column `{}` of sink {}", column.name, sink.id));
      }
    }
  }
  return std::move(inputs).lines();
}

}  // namespace onceflow::pipeline
