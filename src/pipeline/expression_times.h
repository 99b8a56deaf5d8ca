// Times that are texts, as the functions of time read them. SQLite takes more for a time than is
// one: the thirtieth of February, and the text of any number, which it reads as a Julian day. Pure
// functions, used while a file is checked and for each record.
#pragma once

#include <cstddef>
#include <string_view>

#include "pipeline/expression_tree.h"

namespace onceflow::pipeline {

/// Which argument of a function of time is the time; the others are its format and modifiers.
std::size_t time_argument_of(std::string_view function);

/// Whether a modifier says, or may say, what a number means: seconds since 1970, a Julian day.
bool takes_numbers_as_times(const Node& call);

/// False: no time, be it for a day or an hour that there is not. True: SQLite says what it is. The
/// text of a number is a time only where a modifier says of what.
bool may_be_time(std::string_view text, bool takes_numbers);

}  // namespace onceflow::pipeline
