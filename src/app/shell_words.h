// A command that a message names is typed again word for word: its words are quoted for a shell.
#pragma once

#include <string>
#include <string_view>

namespace onceflow::app {

/// The word as a POSIX shell takes it: as it is where it is plain, else in quotes.
std::string shell_word(std::string_view word);

}  // namespace onceflow::app
