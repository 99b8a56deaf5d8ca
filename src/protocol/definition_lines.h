// The lines of a definition (docs/formats/definition.md): one for each thing that is done, with a
// border where a step begins among lines of the same kind. Earlier versions wrote no borders, names
// as they were, and literals over several lines. Pure functions.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace onceflow::protocol {

/// "also " before what belongs to the step of the line above, "then " before what begins the next
/// step of that kind; empty before all else.
std::string_view border_of(std::string_view line);
std::string_view without_border(std::string_view line);

/// Appends one step, whose lines are of one kind.
void append_step(std::string& text, std::span<const std::string> lines);

/// As it is, or as a JSON string where a blank, a quote, a sign or a control character is in it.
std::string name_in_line(std::string_view name);
/// Where the expression of "KIND NAME… = EXPRESSION" begins; npos: there is none.
std::size_t begin_of_expression(std::string_view line);

/// A text literal with control characters as `e'…'`, in which they and `\` are escaped.
std::string literal_in_line(std::string_view literal);
/// With each such literal as it was.
std::string with_plain_literals(std::string_view expression);

/// Every quote of the line is closed in it.
bool has_closed_quotes(std::string_view line);

/// The text cannot be of this version: it has what is written otherwise now.
bool is_of_earlier_form(const std::string& text);
/// As earlier versions wrote it.
std::string in_earlier_form(const std::string& text);
/// `text`, in the earlier form if `recorded` is of that.
std::string in_form_of(const std::string& recorded, const std::string& text);

/// Ends a line `where CONDITION`: records without a value pass it unasked.
inline constexpr std::string_view kPassesDeletions = ", passes deletions";
/// Or are asked too, in a pipeline where the line without it would say that they pass.
inline constexpr std::string_view kJudgesDeletions = ", judges deletions";

}  // namespace onceflow::protocol
