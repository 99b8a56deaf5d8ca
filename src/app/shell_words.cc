#include "app/shell_words.h"

namespace onceflow::app {

std::string shell_word(std::string_view word) {
  constexpr std::string_view kPlain =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-./:,=+@%";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string_view::npos) {
    return std::string(word);
  }
  std::string quoted = "'";
  for (const char letter : word) {
    if (letter == '\'') {
      quoted += "'\\''";
    } else {
      quoted += letter;
    }
  }
  return quoted + "'";
}

namespace {

std::string with_rows_decided(std::string text) {
  constexpr std::string_view kExecute = " --execute";
  if (text.contains("has not ended")) {
    return text;
  }
  for (const std::string beginning : {" --to-earliest", " --to-latest"}) {
    const std::string open = beginning + std::string(kExecute);
    for (std::size_t at = text.find(open); at != std::string::npos; at = text.find(open, at)) {
      at += beginning.size();
      text.insert(at, " (--delete-rows | --keep-rows)");
    }
  }
  return text;
}

}  // namespace

std::string with_file_named(std::string text, std::string_view named, Tables tables) {
  constexpr std::string_view kFile = "FILE";
  for (const std::string_view command : {"onceflow reset ", "onceflow plan ", "onceflow run "}) {
    const std::string open = std::string(command) + std::string(kFile);
    for (std::size_t at = text.find(open); at != std::string::npos; at = text.find(open, at)) {
      at += command.size();
      text.replace(at, kFile.size(), named);
      at += named.size();
    }
  }
  return tables == Tables::kSome ? with_rows_decided(std::move(text)) : text;
}

}  // namespace onceflow::app
