#include "app/shell_words.h"

#include <gtest/gtest.h>

namespace onceflow::app {
namespace {

TEST(ShellWords, a_plain_word_stays_as_it_is) {
  for (const char* word : {"p.yaml", "a/b_c-d.yaml", "127.0.0.1:9092,other:9092", "50%"}) {
    EXPECT_EQ(shell_word(word), word);
  }
}

TEST(ShellWords, any_other_is_one_word_to_a_shell) {
  EXPECT_EQ(shell_word(""), "''");
  EXPECT_EQ(shell_word("my file.yaml"), "'my file.yaml'");
  EXPECT_EQ(shell_word("a;b$c`d\"e\\f"), "'a;b$c`d\"e\\f'");
  EXPECT_EQ(shell_word("it's"), "'it'\\''s'");
  EXPECT_EQ(shell_word("~/p.yaml"), "'~/p.yaml'");
  EXPECT_EQ(shell_word("größe.yaml"), "'größe.yaml'");
}

}  // namespace
}  // namespace onceflow::app
