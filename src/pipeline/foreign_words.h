// Words that people bring from other systems, and what stands for them here. Each is an answer to a
// key that the pipeline file does not know.
#pragma once

#include <string>
#include <string_view>

namespace onceflow::pipeline {

struct ForeignWord {
  std::string_view place;    ///< as check_map's; "step" for each of them, "" for everywhere
  std::string_view word;     ///< lower case, without `_`, `-` and `.`
  std::string_view instead;  ///< the key that it stands for, if it stands for one
  std::string_view answer;   ///< what to write, or that there is nothing of the kind
};

/// The answer to this key at this place; nullptr if it is a word like any other.
const ForeignWord* foreign_word(std::string_view place, std::string_view key);

/// The word of ours that a value of this key means elsewhere: decimal for `type: numeric`. Empty:
/// it is not known.
std::string_view foreign_value(std::string_view key, std::string_view value);

}  // namespace onceflow::pipeline
