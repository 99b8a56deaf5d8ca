#include "app/shell_words.h"

#include <gtest/gtest.h>

namespace onceflow::app {
namespace {

TEST(ShellWords, words_that_are_not_plain_are_quoted) {
  EXPECT_EQ(shell_word("a/b.yaml"), "a/b.yaml");
  EXPECT_EQ(shell_word("my file"), "'my file'");
  EXPECT_EQ(shell_word("it's"), "'it'\\''s'");
  EXPECT_EQ(shell_word(""), "''");
}

TEST(ShellWords, commands_name_the_file_wherever_they_leave_it_open) {
  const std::string named = "FILE.yaml --data-dir d";
  EXPECT_EQ(with_file_named("or: onceflow reset FILE --to-latest, or onceflow reset FILE", named),
            "or: onceflow reset FILE.yaml --data-dir d --to-latest, or onceflow reset FILE.yaml "
            "--data-dir d");
  EXPECT_EQ(with_file_named("ask `onceflow plan FILE`, not a FILE", "p.yaml"),
            "ask `onceflow plan p.yaml`, not a FILE");
  EXPECT_EQ(with_file_named("nothing", named), "nothing");
}

}  // namespace
}  // namespace onceflow::app
