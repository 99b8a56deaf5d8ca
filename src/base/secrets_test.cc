#include "base/secrets.h"

#include <gtest/gtest.h>

namespace onceflow {
namespace {

Secrets secrets_of(const std::string& value) {
  Secrets secrets;
  secrets.add(value, "${env:PW}");
  return secrets;
}

TEST(Secrets, a_secret_is_shown_by_its_name_wherever_it_stands) {
  const Secrets secrets = secrets_of("hunter2");
  EXPECT_EQ(secrets.masked("hunter2"), "${env:PW}");
  EXPECT_EQ(secrets.masked("table `t_hunter2x`, hunter2"), "table `t_${env:PW}x`, ${env:PW}");
  EXPECT_EQ(secrets.masked("hunter"), "hunter");
  EXPECT_EQ(secrets.masked(""), "");
}

TEST(Secrets, a_short_one_and_a_number_are_words) {
  EXPECT_EQ(secrets_of("ab").masked("ab `ab` t_ab cab abc 1ab äab"),
            "${env:PW} `${env:PW}` t_${env:PW} cab abc 1ab äab");
  EXPECT_EQ(secrets_of("5432").masked("port=5432 offset 15432"), "port=${env:PW} offset 15432");
}

TEST(Secrets, the_longest_of_several_counts) {
  Secrets secrets;
  secrets.add("pass", "${env:A}");
  secrets.add("password", "${env:B}");
  EXPECT_EQ(secrets.masked("password pass passwort"), "${env:B} ${env:A} ${env:A}wort");
}

TEST(Secrets, in_json_too) {
  EXPECT_EQ(secrets_of("a\"b\\c\nd").masked(R"({"table": "a\"b\\c\nd"})"),
            R"({"table": "${env:PW}"})");
}

TEST(Secrets, nothing_is_no_secret) {
  Secrets secrets = secrets_of("");
  EXPECT_TRUE(secrets.empty());
  EXPECT_EQ(secrets.masked("abc"), "abc");
}

}  // namespace
}  // namespace onceflow
