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
  EXPECT_EQ(with_file_named("or: onceflow reset FILE --to-latest, or onceflow reset FILE", named,
                            Tables::kNone),
            "or: onceflow reset FILE.yaml --data-dir d --to-latest, or onceflow reset FILE.yaml "
            "--data-dir d");
  EXPECT_EQ(with_file_named("ask `onceflow plan FILE`, not a FILE", "p.yaml", Tables::kSome),
            "ask `onceflow plan p.yaml`, not a FILE");
  EXPECT_EQ(with_file_named("nothing", named, Tables::kSome), "nothing");
}

TEST(ShellWords, a_start_over_says_what_becomes_of_rows_where_there_are_any) {
  const std::string text = "or begin anew: onceflow reset FILE --to-earliest --execute; or not";
  EXPECT_EQ(with_file_named(text, "p.yaml", Tables::kNone),
            "or begin anew: onceflow reset p.yaml --to-earliest --execute; or not");
  EXPECT_EQ(with_file_named(text, "p.yaml", Tables::kSome),
            "or begin anew: onceflow reset p.yaml --to-earliest (--delete-rows | --keep-rows) "
            "--execute; or not");
  const std::string decided = "onceflow reset p.yaml --to-latest --delete-rows --execute";
  EXPECT_EQ(with_file_named(decided, "p.yaml", Tables::kSome), decided);
  const std::string ending = "a reset has not ended: onceflow reset p.yaml --to-earliest --execute";
  EXPECT_EQ(with_file_named(ending, "p.yaml", Tables::kSome), ending);
}

}  // namespace
}  // namespace onceflow::app
