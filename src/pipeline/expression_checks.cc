#include "pipeline/expression_checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/decimal.h"
#include "base/json_text.h"
#include "pipeline/expression_times.h"

namespace onceflow::pipeline {
namespace {

using IsNull = std::function<bool(std::string_view sql)>;

bool is_text_literal(const Node& node) {
  return node.kind == NodeKind::kLiteral && node.text.starts_with('\'');
}

// The node and all below it, each before its children.
template <typename Visit>
void for_each_node(const Node& root, Visit visit) {
  std::vector<const Node*> open = {&root};
  while (!open.empty()) {
    const Node& node = *open.back();
    open.pop_back();
    visit(node);
    for (auto child = node.children.rbegin(); child != node.children.rend(); ++child) {
      open.push_back(child->get());
    }
  }
}

std::optional<ExpressionError> problem_at(const Node& node, std::string what, std::string rule,
                                          std::string fix) {
  return ExpressionError{node.begin + 1, std::move(what), std::move(rule), std::move(fix)};
}

// ----------------------------------------------------------------------------------------------
// collations

// Whether the operator or function compares its operands by their collation.
bool compares(const Node& node) {
  constexpr std::array<std::string_view, 10> kSigns = {"=",  "==", "<>", "!=", "<",
                                                       "<=", ">",  ">=", "is", "is not"};
  constexpr std::array<std::string_view, 3> kFunctions = {"max", "min", "nullif"};
  switch (node.kind) {
    case NodeKind::kBinary:
      return std::ranges::find(kSigns, node.text) != kSigns.end();
    case NodeKind::kCall:
      return std::ranges::find(kFunctions, node.text) != kFunctions.end();
    case NodeKind::kIn:
    case NodeKind::kBetween:
    case NodeKind::kCollate:
      return true;
    case NodeKind::kCase:
      return node.text.front() == 'b';
    default:
      return false;
  }
}

ExpressionError misplaced_collation(const Node& collation) {
  return {collation.begin + 1, "`collate` stands outside of a comparison",
          "a value is what it is: keys, groups and columns are told apart by their bytes; "
          "`collate` belongs to a comparison",
          "write lower(…) to put together what differs in case"};
}

std::optional<ExpressionError> misplaced_collation_below(const Node& node) {
  const auto found = compares(node) ? node.children.end()
                                    : std::ranges::find_if(node.children, [](const auto& child) {
                                        return child->kind == NodeKind::kCollate;
                                      });
  return found == node.children.end() ? std::nullopt : std::optional(misplaced_collation(**found));
}

// ----------------------------------------------------------------------------------------------
// times

bool is_no_time(std::string_view text, bool takes_numbers, const IsNull& is_null) {
  return !may_be_time(text, takes_numbers) ||
         (is_null(fmt::format("datetime({})", sql_literal(text))) &&
          !(takes_numbers &&
            !is_null(fmt::format("datetime({}, 'unixepoch')", sql_literal(text)))));
}

// SQLite takes a clock where no time is given.
std::optional<ExpressionError> wrong_time(const Node& call, const IsNull& is_null) {
  const std::size_t time = time_argument_of(call.text);
  const auto literal = [&](std::size_t index) {
    return index < call.children.size() && is_text_literal(*call.children[index])
               ? unquoted(call.children[index]->text)
               : std::string();
  };
  const std::string given = literal(time);
  const std::string word = lower(given);
  if (call.children.size() <= time || word == "subsec" || word == "subsecond") {
    return problem_at(call, fmt::format("{}() without a time asks for the clock", call.text),
                      "an expression must yield the same each time it sees a record, so there is "
                      "no clock",
                      "give it the record's own time: timestamp (milliseconds) as in "
                      "datetime(timestamp / 1000, 'unixepoch'), or one of its fields");
  }
  if (!given.empty() && is_no_time(given, takes_numbers_as_times(call), is_null)) {
    return problem_at(*call.children[time],
                      fmt::format("{} is not a time", call.children[time]->text),
                      "a text that is not a time is null", "write it as in '2024-02-29 12:30:00'");
  }
  if (time == 1 && is_text_literal(*call.children[0]) &&
      is_null(fmt::format("strftime({}, '2000-01-01')", call.children[0]->text))) {
    return problem_at(*call.children[0],
                      fmt::format("{} is not a format of strftime()", call.children[0]->text),
                      "what strftime() does not know makes all of it null",
                      "take %Y %m %d %H %M %S %f %j %w %W %s %J, and %% for a percent sign");
  }
  for (std::size_t index = time + 1; index < call.children.size(); ++index) {
    const std::string modifier = literal(index);
    // Some are for times that are numbers.
    if (!modifier.empty() &&
        is_null(fmt::format("datetime('2000-01-01', {})", sql_literal(modifier))) &&
        is_null(fmt::format("datetime(1000, {})", sql_literal(modifier)))) {
      return problem_at(*call.children[index],
                        fmt::format("{} is not a modifier of a time", call.children[index]->text),
                        "what SQLite does not know as a modifier makes the time null",
                        "write for example '-1 day', '+3 hours', 'start of month', 'weekday 0' or "
                        "'unixepoch'");
    }
  }
  return std::nullopt;
}

// ----------------------------------------------------------------------------------------------
// exact numbers

// 1 / divisor by its digits; nullopt if they do not end.
std::optional<std::string> inverse_of(const Node& divisor) {
  constexpr std::int64_t kPlaces = 18;
  const auto number = divisor.kind == NodeKind::kLiteral && !is_text_literal(divisor)
                          ? DecimalNumber::parse(divisor.text)
                          : std::nullopt;
  if (!number || number->is_negative() || number->digits().size() > 15 || number->exponent() < 0 ||
      number->exponent() > 15 || number->digits().empty()) {
    return std::nullopt;
  }
  std::int64_t whole = 0;
  for (const char digit : number->digits()) {
    whole = whole * 10 + (digit - '0');
  }
  for (std::int64_t power = 0; power < number->exponent() && whole < 1'000'000'000'000'000;
       ++power) {
    whole *= 10;
  }
  const DecimalNumber inverse = DecimalNumber(1).divided_by(whole, kPlaces);
  const auto back = inverse.times(DecimalNumber(whole));
  return back == DecimalNumber(1) ? std::optional(inverse.to_string()) : std::nullopt;
}

bool is_text_of_numbers(const Node& node) {
  return node.kind == NodeKind::kCall && (node.text == "printf" || node.text == "format");
}

// A time that may come as a double: %J, fractions of a second.
bool is_time_in_doubles(const Node& node) {
  if (node.kind != NodeKind::kCall) {
    return false;
  }
  if (node.text == "strftime") {
    return !is_text_literal(*node.children[0]) || node.children[0]->text.contains("%J");
  }
  return node.text == "unixepoch" &&
         std::any_of(node.children.begin() + 1, node.children.end(), [](const auto& modifier) {
           return !is_text_literal(*modifier) ||
                  lower(unquoted(modifier->text)).starts_with("subsec");
         });
}

bool is_inexact(const Node& node) {
  return (node.kind == NodeKind::kBinary && node.text == "/") ||
         (node.kind == NodeKind::kCall && node.text != "round" &&
          computes_with_doubles(node.text)) ||
         is_text_of_numbers(node) || is_time_in_doubles(node);
}

// The first for which `found` holds. `cast(… as real)` says that a double is meant.
template <typename Found>
const Node* first_outside_casts(const Node& root, Found found) {
  std::vector<const Node*> open = {&root};
  while (!open.empty()) {
    const Node& node = *open.back();
    open.pop_back();
    if (found(node)) {
      return &node;
    }
    if (node.kind == NodeKind::kCast && node.text == "real") {
      continue;
    }
    for (auto child = node.children.rbegin(); child != node.children.rend(); ++child) {
      open.push_back(child->get());
    }
  }
  return nullptr;
}

// `%.3f`: 3.
std::string places_of(const Node& call) {
  const std::string format = !call.children.empty() && is_text_literal(*call.children[0])
                                 ? unquoted(call.children[0]->text)
                                 : std::string();
  const std::size_t point = format.find("%.");
  const std::size_t end =
      point == std::string::npos ? point : format.find_first_not_of("0123456789", point + 2);
  return end == std::string::npos || end == point + 2 ? "2"
                                                      : format.substr(point + 2, end - point - 2);
}

std::string fix_of_inexact(const Node& node) {
  const auto inverse =
      node.kind == NodeKind::kBinary ? inverse_of(*node.children[1]) : std::nullopt;
  if (inverse) {
    return fmt::format("write `* {}` instead of `/ {}`", *inverse, node.children[1]->text);
  }
  if (is_text_of_numbers(node)) {
    return fmt::format("write round(…, {}), which rounds by digits", places_of(node));
  }
  if (is_time_in_doubles(node)) {
    return "write unixepoch(…), which is in whole seconds, or cast(… as real) around it where a "
           "double is right";
  }
  return "divide after the aggregate, or write cast(… as real) around it where a double is right";
}

std::optional<ExpressionError> inexact(const Node& root) {
  const Node* found = first_outside_casts(root, is_inexact);
  if (found == nullptr) {
    return std::nullopt;
  }
  return problem_at(
      *found,
      found->kind == NodeKind::kBinary ? "`/` is not exact"
                                       : fmt::format("{}() is not exact", found->text),
      "`type: decimal` computes by digits: +, -, *, round() and what chooses among values",
      fix_of_inexact(*found));
}

// ----------------------------------------------------------------------------------------------
// fields

std::string path_of_arrow(const Node& right) {
  if (!is_text_literal(right)) {
    return fmt::format("$[{}]", right.text);
  }
  const std::string name = unquoted(right.text);
  return name.starts_with('$') ? name : path_of_name(name);
}

bool is_value(const Node& node) { return node.kind == NodeKind::kPart && node.text == "value"; }

void add_fields(const Node& node, std::vector<FieldUse>& fields) {
  constexpr std::array<std::string_view, 3> kReaders = {"json_array_length", "json_extract",
                                                        "json_type"};
  if (node.kind == NodeKind::kPath) {
    fields.push_back({node.text, node.begin + 1});
  } else if (node.kind == NodeKind::kBinary && (node.text == "->" || node.text == "->>") &&
             is_value(*node.children[0]) && node.children[1]->kind == NodeKind::kLiteral) {
    fields.push_back({path_of_arrow(*node.children[1]), node.children[1]->begin + 1});
  } else if (node.kind == NodeKind::kCall && !node.children.empty() &&
             is_value(*node.children[0]) &&
             std::ranges::find(kReaders, node.text) != kReaders.end()) {
    for (std::size_t index = 1; index < node.children.size(); ++index) {
      if (is_text_literal(*node.children[index])) {
        fields.push_back({unquoted(node.children[index]->text), node.children[index]->begin + 1});
      }
    }
  }
}

}  // namespace

std::optional<ExpressionError> check_tree(const Node& root, Numbers numbers,
                                          const IsNull& is_null) {
  std::optional<ExpressionError> problem;
  if (root.kind == NodeKind::kCollate) {
    problem = misplaced_collation(root);
  }
  for_each_node(root, [&](const Node& node) {
    if (!problem) {
      problem = misplaced_collation_below(node);
    }
    if (!problem && node.kind == NodeKind::kCall && is_date_function(node.text)) {
      problem = wrong_time(node, is_null);
    }
  });
  return problem || numbers == Numbers::kSql ? problem : inexact(root);
}

bool may_round(std::string_view expression) {
  constexpr std::array<std::string_view, 4> kSigns = {"+", "-", "*", "/"};
  const auto translated = translate_expression(expression);
  CHECK(translated.has_value());  // SQLite has accepted it
  const auto tree = parse_tree(translated->tokens);
  CHECK(tree.has_value());
  return first_outside_casts(**tree, [&](const Node& node) {
           return is_inexact(node) || (node.kind == NodeKind::kCall && node.text == "round") ||
                  (node.kind == NodeKind::kBinary &&
                   std::ranges::find(kSigns, node.text) != kSigns.end());
         }) != nullptr;
}

std::vector<FieldUse> fields_of(const Node& root) {
  std::vector<FieldUse> fields;
  for_each_node(root, [&](const Node& node) { add_fields(node, fields); });
  return fields;
}

}  // namespace onceflow::pipeline
