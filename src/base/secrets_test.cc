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
  EXPECT_EQ(secrets_of("a\"b\\c\nd").masked(R"({"table": "a\"b\\c\u000ad"})"),
            R"({"table": "${env:PW}"})");
}

TEST(Secrets, json_stays_json_of_the_same_form) {
  EXPECT_EQ(secrets_of("5432").masked_json(R"({"lag": 5432, "text": "at 5432", "5432": [5432]})"),
            R"({"lag": 5432, "text": "at ${env:PW}", "5432": [5432]})");
  EXPECT_EQ(secrets_of("state").masked_json(R"({"state" : "a \"state\"", "all": ["state"]})"),
            R"({"state" : "a \"${env:PW}\"", "all": ["${env:PW}"]})");
  EXPECT_EQ(secrets_of("a\"b").masked_json(R"("a\"b")"), R"("${env:PW}")");
  EXPECT_EQ(secrets_of("ab").masked_json(R"("ab)"), R"("${env:PW})") << "of a piece of JSON too";
  EXPECT_EQ(secrets_of("ab").masked_json(R"("ab\)"), R"("${env:PW}\)");
}

TEST(Secrets, what_was_shown_leads_back) {
  EXPECT_EQ(secrets_of("a\"b").unmasked("t-${env:PW}/${env:PW}$"), "t-a\"b/a\"b$");
  EXPECT_EQ(secrets_of("ab").unmasked("${env:P"), "${env:P");
}

TEST(Secrets, nothing_is_no_secret) {
  Secrets secrets = secrets_of("");
  EXPECT_TRUE(secrets.empty());
  EXPECT_EQ(secrets.masked("abc"), "abc");
}

}  // namespace
}  // namespace onceflow
