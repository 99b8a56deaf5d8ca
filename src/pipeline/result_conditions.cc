#include "pipeline/result_conditions.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

#include "base/check.h"
#include "base/json_document.h"
#include "pipeline/expression_text.h"
#include "pipeline/sink_columns.h"

namespace onceflow::pipeline {
namespace {

// The steps behind the aggregate, and the key that it groups by.
struct Results {
  const StepSpec* aggregate = nullptr;
  const KeySpec* key = nullptr;
  std::span<const StepSpec> later;
};

std::optional<Results> results_of(const PipelineSpec& spec) {
  Results results;
  for (std::size_t index = 0; index < spec.steps.size(); ++index) {
    const StepSpec& step = spec.steps[index];
    if (step.key) {
      results.key = &*step.key;
    }
    if (step.aggregate) {
      results.aggregate = &step;
      results.later = std::span(spec.steps).subspan(index + 1);
      return results.key != nullptr ? std::optional(results) : std::nullopt;
    }
  }
  return std::nullopt;
}

bool is_part_of_key(const KeySpec& key, std::string_view path,
                    std::span<const StepSpec> steps_between) {
  const auto steps = parse_json_path(path);
  const auto* name = steps && !steps->empty() ? std::get_if<std::string>(&steps->front()) : nullptr;
  return name != nullptr &&
         std::ranges::find(key.columns, *name, &NamedExpression::name) != key.columns.end() &&
         !is_member_set(steps_between, *name);
}

// A part of the record that may be another in the next result of the same group.
bool may_change(const Token& token, std::span<const StepSpec> steps_between) {
  constexpr std::array<std::string_view, 4> kParts = {"value", "partition", "offset", "timestamp"};
  if (token.kind != TokenKind::kWord) {
    return false;
  }
  const std::string word = lower(token.text);
  return std::ranges::find(kParts, word) != kParts.end() ||
         (word == "key" && std::ranges::any_of(steps_between, [](const StepSpec& step) {
            return step.key.has_value();
          }));
}

// All results of a group meet the condition, or none does.
bool decides_by_group(const Results& results, const StepSpec& step) {
  const auto steps_between =
      results.later.first(static_cast<std::size_t>(&step - results.later.data()));
  const auto translated = translate_expression(step.where->text);
  CHECK(translated.has_value());  // SQLite has accepted it
  return std::ranges::all_of(translated->tokens, [&](const Token& token) {
    return token.kind == TokenKind::kPath ? is_part_of_key(*results.key, token.text, steps_between)
                                          : !may_change(token, steps_between);
  });
}

template <typename Visit>
void for_each_changing_condition(const PipelineSpec& spec, Visit visit) {
  const auto results = results_of(spec);
  if (!results) {
    return;
  }
  for (const StepSpec& step : results->later) {
    if (step.where && !decides_by_group(*results, step)) {
      visit(*results, step);
    }
  }
}

// Between double quotes of YAML.
std::string in_yaml(std::string_view text) {
  std::string quoted = "\"";
  for (const char letter : text) {
    quoted += letter == '"' || letter == '\\' ? "\\" : "";
    quoted += letter;
  }
  return quoted + "\"";
}

bool keeps_rows_of_groups(const SinkSpec& sink) {
  return sink.kind != SinkKind::kKafka && sink.mode == connectors::SinkMode::kUpsert;
}

}  // namespace

std::vector<Problem> check_result_conditions(const PipelineSpec& spec) {
  const auto sink = std::ranges::find_if(spec.sinks, keeps_rows_of_groups);
  std::vector<Problem> problems;
  if (sink == spec.sinks.end()) {
    return problems;
  }
  for_each_changing_condition(spec, [&](const Results& results, const StepSpec& step) {
    problems.push_back(
        {step.line,
         fmt::format("step {} drops results of step {}, of which sink {} keeps the last", step.id,
                     results.aggregate->id, sink->id),
         fmt::format("a group that met `{}` and no longer does would keep the row of when it did",
                     step.where->text),
         fmt::format("write `set: {{ $.is_shown: {} }}` in place of the `where`, give the sink a "
                     "column `is_shown: {{ value: $.is_shown, type: boolean }}`, and ask for it "
                     "where the table is read, as in a view; or leave the step out",
                     in_yaml(step.where->text))});
  });
  return problems;
}

std::vector<std::string> assumptions_of_result_conditions(const PipelineSpec& spec) {
  std::vector<std::string> assumptions;
  const auto sink = std::ranges::find(spec.sinks, SinkKind::kKafka, &SinkSpec::kind);
  if (sink == spec.sinks.end()) {
    return assumptions;
  }
  for_each_changing_condition(spec, [&](const Results&, const StepSpec& step) {
    assumptions.push_back(
        fmt::format("readers of topic {} take its records for results that met `{}` (step {}), "
                    "not the last of a key for how its group stands: one that no longer meets it "
                    "sends nothing",
                    sink->topic, step.where->text, step.id));
  });
  return assumptions;
}

}  // namespace onceflow::pipeline
