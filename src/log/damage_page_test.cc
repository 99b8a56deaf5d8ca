// docs/what-to-do-when.md has a row for each message of damage, printed from the table that makes
// the messages; this test fails if they differ, and prints the rows anew with
//   ONCEFLOW_WRITE_DAMAGE_PAGE=1 build/release/src/log/log_test --gtest_filter='DamagePage.*'
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "log/damage.h"

namespace onceflow::log {
namespace {

constexpr std::string_view kBegin = "<!-- made from src/log/damage.cc: begin -->\n";
constexpr std::string_view kEnd = "<!-- made from src/log/damage.cc: end -->\n";

std::string table() {
  std::string text = "| message | meaning | what to do |\n|---|---|---|\n";
  for (const DamageRule& rule : damage_rules()) {
    text += fmt::format("| {} | {} | {}. |\n", rule.says, rule.meaning, rule.advice);
  }
  return text;
}

// The repository, above wherever the test runs.
std::filesystem::path page_path() {
  for (std::filesystem::path at = std::filesystem::current_path(); at != at.root_path();
       at = at.parent_path()) {
    if (std::filesystem::exists(at / "docs" / "what-to-do-when.md")) {
      return at / "docs" / "what-to-do-when.md";
    }
  }
  return {};
}

TEST(DamagePage, has_a_row_for_each_message) {
  const std::filesystem::path path = page_path();
  ASSERT_FALSE(path.empty());
  std::stringstream read;
  read << std::ifstream(path).rdbuf();
  const std::string page = read.str();
  const std::size_t begin = page.find(kBegin);
  const std::size_t end = page.find(kEnd);
  ASSERT_NE(begin, std::string::npos);
  ASSERT_NE(end, std::string::npos);
  const std::string wanted = page.substr(0, begin + kBegin.size()) + table() + page.substr(end);
  if (std::getenv("ONCEFLOW_WRITE_DAMAGE_PAGE") != nullptr) {
    std::ofstream(path) << wanted;
    return;
  }
  EXPECT_EQ(page, wanted);
}

TEST(DamagePage, the_table_is_in_the_order_of_its_enumeration_and_says_each_thing_once) {
  std::set<std::string_view> seen;
  for (std::size_t index = 0; index < damage_rules().size(); ++index) {
    const DamageRule& rule = damage_rules()[index];
    EXPECT_EQ(static_cast<std::size_t>(rule.damage), index);
    EXPECT_TRUE(seen.insert(rule.says).second) << rule.says;
    EXPECT_FALSE(rule.meaning.empty());
    EXPECT_FALSE(rule.advice.empty());
  }
}

}  // namespace
}  // namespace onceflow::log
