#include "app/open_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace onceflow::app {
namespace {

TEST(OpenFiles, where_there_are_many_nothing_is_changed) {
  broker::BrokerOptions options;
  EXPECT_FALSE(bound_open_files(options, 1'000'000));
  EXPECT_EQ(options.log.open_files_max, broker::BrokerOptions().log.open_files_max);
  EXPECT_EQ(options.server.connection_count_max,
            broker::BrokerOptions().server.connection_count_max);
}

TEST(OpenFiles, both_fit_whatever_the_limit_is) {
  for (std::size_t limit = 200; limit < 20'000; limit += 37) {
    broker::BrokerOptions options;
    const auto said = bound_open_files(options, limit);
    EXPECT_GE(options.log.open_files_max, 16u);
    EXPECT_LE(options.log.open_files_max + options.server.connection_count_max, limit);
    EXPECT_EQ(said.has_value(), options.server.connection_count_max < 10'000) << limit;
    if (said) {
      broker::BrokerOptions again;
      const std::string raised = said->substr(said->find("ulimit -n ") + 10);
      EXPECT_FALSE(bound_open_files(again, std::stoul(raised))) << *said;
    }
  }
}

TEST(OpenFiles, a_smaller_number_of_connections_stays) {
  broker::BrokerOptions options;
  options.server.connection_count_max = 10;
  EXPECT_FALSE(bound_open_files(options, 300));
  EXPECT_EQ(options.server.connection_count_max, 10u);
}

}  // namespace
}  // namespace onceflow::app
