// A command that a message names is typed again word for word: its words are quoted for a shell.
#pragma once

#include <string>
#include <string_view>

namespace onceflow::app {

/// The word as a POSIX shell takes it: as it is where it is plain, else in quotes.
std::string shell_word(std::string_view word);

/// Whether the pipeline of the file writes a table: a start-over then says what becomes of its
/// rows.
enum class Tables : bool { kNone, kSome };

/// The text with every `onceflow COMMAND FILE` naming `named`: the file and the flags that lead to
/// its log, quoted. What knows a table or a topic, and no file, leaves it open. So it does with
/// what becomes of rows; but the command that ends what was begun stays as it was typed then.
std::string with_file_named(std::string text, std::string_view named, Tables tables);

}  // namespace onceflow::app
