#include "pipeline/expression_times.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>

#include "pipeline/expression_text.h"

namespace onceflow::pipeline {
namespace {

// So many digits at the place; nullopt: there is something else.
std::optional<int> digits_at(std::string_view text, std::size_t place, std::size_t count) {
  if (place + count > text.size()) {
    return std::nullopt;
  }
  int number = 0;
  for (const char letter : text.substr(place, count)) {
    if (letter < '0' || letter > '9') {
      return std::nullopt;
    }
    number = number * 10 + (letter - '0');
  }
  return number;
}

int days_in(int year, int month) {
  constexpr std::array<int, 12> kDays = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  return kDays[static_cast<std::size_t>(month) - 1] + (month == 2 && is_leap ? 1 : 0);
}

struct Day {
  bool is_in_calendar = false;
  std::string_view rest;  ///< what follows it
};

// `2024-02-29`, or with a minus in front; nullopt: the text begins otherwise.
std::optional<Day> day_of(std::string_view text) {
  constexpr std::size_t kBytes = 10;
  text.remove_prefix(text.starts_with('-') ? 1 : 0);
  const auto year = digits_at(text, 0, 4);
  const auto month = digits_at(text, 5, 2);
  const auto day = digits_at(text, 8, 2);
  if (!year || !month || !day || text[4] != '-' || text[7] != '-') {
    return std::nullopt;
  }
  return Day{*month >= 1 && *month <= 12 && *day >= 1 && *day <= days_in(*year, *month),
             text.substr(kBytes)};
}

}  // namespace

std::size_t time_argument_of(std::string_view function) { return function == "strftime" ? 1 : 0; }

bool takes_numbers_as_times(const Node& call) {
  constexpr std::array<std::string_view, 3> kMeanings = {"unixepoch", "auto", "julianday"};
  const std::size_t first = std::min(time_argument_of(call.text) + 1, call.children.size());
  return std::any_of(call.children.begin() + static_cast<std::ptrdiff_t>(first),
                     call.children.end(), [&](const NodePtr& modifier) {
                       const bool is_text =
                           modifier->kind == NodeKind::kLiteral && modifier->text.starts_with('\'');
                       return !is_text ||
                              std::ranges::find(kMeanings, lower(unquoted(modifier->text))) !=
                                  kMeanings.end();
                     });
}

bool may_be_time(std::string_view text, bool takes_numbers) {
  const auto day = day_of(text);
  if (day && !day->is_in_calendar) {
    return false;
  }
  std::string_view time = day ? day->rest : text;
  if (day) {
    time.remove_prefix(std::min(time.find_first_not_of(" \t\n\v\f\rT"), time.size()));
  } else if (!digits_at(time, 0, 2) || time.substr(2, 1) != ":") {
    return takes_numbers;
  }
  return !time.starts_with("24:");  // which SQLite takes, 24:59 too
}

}  // namespace onceflow::pipeline
