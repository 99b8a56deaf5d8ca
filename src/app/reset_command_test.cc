#include "app/reset_command.h"

#include <gtest/gtest.h>

namespace onceflow::app {
namespace {

ResetCommand command(ResetTo to) {
  ResetCommand command;
  command.file = "p.yaml";
  command.to = to;
  return command;
}

TEST(ResetCommand, its_flags_are_typed_again_as_they_were_meant) {
  ResetCommand reset = command(ResetTo::kDatetime);
  reset.datetime_ms = *parse_reset_time("2026-11-29T10:15:00.123");
  reset.keeps_rows = true;
  reset.removes_members = true;
  EXPECT_EQ(flags_of(reset), "--to-datetime 2026-11-29T10:15:00.123Z --keep-rows --remove-members");
  EXPECT_EQ(parse_reset_time("2026-11-29T10:15:00.123Z"), reset.datetime_ms);
  reset.file = "my file.yaml";
  reset.log.flags = " --data-dir data";
  EXPECT_EQ(reset.named(), "'my file.yaml' --data-dir data");
}

TEST(ResetCommand, flags_that_mean_nothing_together_are_refused) {
  using Flags = std::vector<std::string>;
  EXPECT_TRUE(read_reset_command({"p.yaml", "--to-earliest", "--keep-rows"}));
  for (const Flags& flags :
       {Flags{"--to-datetime", ""}, Flags{"--to-earliest", "--keep-rows", "--delete-rows"},
        Flags{"--to-current", "--delete-rows"}, Flags{"--to-current", "--keep-rows"},
        Flags{"--keep-states", "--delete-rows"}}) {
    Flags arguments = {"p.yaml"};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    EXPECT_FALSE(read_reset_command(arguments)) << flags.back();
  }
}

TEST(ResetCommand, only_the_same_reset_ends_one) {
  ResetCommand begun = command(ResetTo::kEarliest);
  begun.deletes_rows = true;
  const std::string flags = flags_of(begun);
  EXPECT_TRUE(is_same_reset(begun, flags));
  for (const ResetTo to : {ResetTo::kEarliest, ResetTo::kLatest, ResetTo::kDatetime,
                           ResetTo::kCurrent, ResetTo::kKeepStates}) {
    ResetCommand other = command(to);
    EXPECT_FALSE(is_same_reset(other, flags)) << flags_of(other);
    other.keeps_rows = true;
    EXPECT_FALSE(is_same_reset(other, flags)) << flags_of(other);
    EXPECT_TRUE(is_same_reset(other, flags_of(other)));
  }
}

TEST(ResetCommand, another_time_is_another_reset) {
  ResetCommand begun = command(ResetTo::kDatetime);
  begun.datetime_ms = 5'000;
  const std::string flags = flags_of(begun);
  ResetCommand same = begun;
  same.datetime_ms = *parse_reset_time("1970-01-01T00:00:05");
  EXPECT_TRUE(is_same_reset(same, flags));
  same.datetime_ms = 5'001;
  EXPECT_FALSE(is_same_reset(same, flags));
}

TEST(ResetCommand, members_make_no_other_reset) {
  ResetCommand begun = command(ResetTo::kCurrent);
  begun.removes_members = true;
  EXPECT_TRUE(is_same_reset(command(ResetTo::kCurrent), flags_of(begun)));
  EXPECT_TRUE(is_same_reset(begun, flags_of(command(ResetTo::kCurrent))));
}

TEST(ResetCommand, one_of_a_version_that_kept_no_flags_is_ended_by_any_that_begins_so) {
  EXPECT_TRUE(is_same_reset(command(ResetTo::kLatest), ""));
  EXPECT_FALSE(is_same_reset(command(ResetTo::kKeepStates), ""));
}

}  // namespace
}  // namespace onceflow::app
