#include "app/parse_arguments.h"

#include <gtest/gtest.h>

#include <CLI/CLI.hpp>

namespace onceflow::app {
namespace {

std::optional<int> parse(const Arguments& arguments) {
  CLI::App app("a command", "onceflow command");
  std::string file;
  std::string directory = "data";
  std::string delimiter;
  app.add_option("FILE", file)->required();
  app.add_option("--data-dir", directory);
  app.add_option("-D", delimiter);
  return parse_arguments(app, arguments);
}

TEST(ParseArguments, what_is_whole_goes_on) {
  EXPECT_EQ(parse({"p.yaml"}), std::nullopt);
  EXPECT_EQ(parse({"p.yaml", "--data-dir", "d", "-D", " "}), std::nullopt);
}

TEST(ParseArguments, an_empty_value_is_refused_by_its_name) {
  for (const Arguments& arguments :
       {Arguments{""}, Arguments{"p.yaml", "--data-dir", ""}, Arguments{"p.yaml", "-D", ""},
        Arguments{"--data-dir", "", "p.yaml"}}) {
    testing::internal::CaptureStderr();
    EXPECT_EQ(parse(arguments), kExitUsage);
    const std::string said = testing::internal::GetCapturedStderr();
    EXPECT_NE(said.find("is empty (is a variable not set?)"), std::string::npos) << said;
  }
}

TEST(ParseArguments, help_and_faults_have_their_exit_codes) {
  testing::internal::CaptureStdout();
  EXPECT_EQ(parse({"--help"}), kExitOk);
  EXPECT_NE(testing::internal::GetCapturedStdout().find("--data-dir"), std::string::npos);
  testing::internal::CaptureStderr();
  EXPECT_EQ(parse({"--no-such"}), kExitUsage);
  testing::internal::GetCapturedStderr();
}

}  // namespace
}  // namespace onceflow::app
