#include "pipeline/record_members.h"

#include <fmt/format.h>

#include <algorithm>
#include <variant>

#include "base/json_document.h"
#include "pipeline/expression_text.h"
#include "pipeline/nearest.h"

namespace onceflow::pipeline {

RecordMembers::RecordMembers(std::string step, const KeySpec& key,
                             const AggregateStepSpec& aggregate)
    : step_(std::move(step)) {
  members_.reserve(key.columns.size() + aggregate.columns.size());
  for (const NamedExpression& part : key.columns) {
    // A key of one expression is text; the parts of several are as they were.
    members_.push_back({part.name, key.columns.size() == 1 ? Kind::kScalar : Kind::kAny});
  }
  for (const AggregateColumnSpec& column : aggregate.columns) {
    members_.push_back({column.column.name, Kind::kScalar});
  }
}

void RecordMembers::set(std::string_view path) {
  const auto steps = parse_json_path(path);
  const auto* name = steps && !steps->empty() ? std::get_if<std::string>(&steps->front()) : nullptr;
  if (name == nullptr) {
    return;
  }
  const auto found = std::ranges::find(members_, *name, &Member::name);
  if (found == members_.end()) {
    members_.push_back({*name, Kind::kAny});
  } else {
    found->kind = Kind::kAny;
  }
}

const RecordMembers::Member* RecordMembers::find(std::string_view name) const {
  const auto found = std::ranges::find(members_, name, &Member::name);
  return found == members_.end() ? nullptr : &*found;
}

std::string RecordMembers::list() const {
  std::string names;
  for (const Member& member : members_) {
    names += (names.empty() ? "" : ", ") + path_of_name(member.name);
  }
  return names;
}

std::optional<ExpressionError> RecordMembers::check(const Expression& expression) const {
  for (const FieldUse& field : expression.fields) {
    if (auto problem = check_path(field.path, field.column)) {
      return problem;
    }
  }
  return std::nullopt;
}

std::optional<ExpressionError> RecordMembers::check_path(std::string_view path,
                                                         std::size_t column) const {
  const auto steps = parse_json_path(path);
  if (!steps || steps->empty()) {
    return std::nullopt;  // the whole value, or no path, which is refused as such
  }
  const std::string rule = fmt::format(
      "after step {} a record has the parts of its key, its aggregates and what later "
      "steps set: {}",
      step_, list());
  const auto* name = std::get_if<std::string>(&steps->front());
  const Member* member = name == nullptr ? nullptr : find(*name);
  if (member != nullptr && (member->kind == Kind::kAny || steps->size() == 1)) {
    return std::nullopt;
  }
  if (member != nullptr) {
    return ExpressionError{
        column, fmt::format("`{}` is never there: {} holds one value", path, path_of_name(*name)),
        rule, fmt::format("write `{}`", path_of_name(*name))};
  }
  std::vector<std::string_view> names;
  names.reserve(members_.size());
  for (const Member& each : members_) {
    names.push_back(each.name);
  }
  const std::string_view meant = name == nullptr ? std::string_view() : nearest(*name, names);
  return ExpressionError{column, fmt::format("`{}` is never there", path), rule,
                         meant.empty() ? "name one of them, or compute it in the aggregate"
                                       : fmt::format("did you mean `{}`?", path_of_name(meant))};
}

std::optional<ExpressionError> RecordMembers::check_set(std::string_view path) const {
  const auto steps = parse_json_path(path);
  const auto* name =
      steps && steps->size() > 1 ? std::get_if<std::string>(&steps->front()) : nullptr;
  const Member* member = name == nullptr ? nullptr : find(*name);
  if (member == nullptr || member->kind == Kind::kAny) {
    return std::nullopt;
  }
  return ExpressionError{
      1, fmt::format("there is no place for `{}`: {} holds one value", path, path_of_name(*name)),
      "a field is set in an object",
      fmt::format("set `{}` itself, or another field", path_of_name(*name))};
}

}  // namespace onceflow::pipeline
