#include "engine/record_output.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace onceflow::engine {
namespace {

std::string id_of(const std::string& pipeline, const std::string& stage,
                  const std::string& worker) {
  StageOptions options;
  options.pipeline = pipeline;
  return transactional_id_of(options, stage, worker);
}

// Each name that can be made of a few letters, where the joint may fall anywhere.
TEST(TransactionalId, no_two_workers_have_the_same) {
  const std::vector<std::string> names = {"p",     "k",  "1",     "p-k",   "k-1",
                                          "p-k-1", "-",  "1~1.1", "k~1.3", "1-1~1.3",
                                          "p-",    "-1", "1~3.1", "a.b"};
  std::map<std::string, std::string> owners;
  for (const std::string& pipeline : names) {
    for (const std::string& stage : names) {
      for (const std::string& worker : names) {
        const std::string owner = fmt::format("{} {} {}", pipeline, stage, worker);
        const auto [place, is_new] = owners.emplace(id_of(pipeline, stage, worker), owner);
        EXPECT_TRUE(is_new) << place->first << ": " << place->second << ", and " << owner;
      }
    }
  }
}

TEST(TransactionalId, it_is_as_before_where_it_can_be_no_others) {
  EXPECT_EQ(id_of("p", "kafka", "1"), "p-kafka-1");
  EXPECT_EQ(id_of("p", "kafka-1", "1"), "p-kafka-1-1~1.7");
  EXPECT_EQ(id_of("p-kafka", "1", "1"), "p-kafka-1-1~7.1");
}

}  // namespace
}  // namespace onceflow::engine
