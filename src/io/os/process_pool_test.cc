#include "io/os/process_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "base/check.h"

namespace onceflow::io {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class ProcessPoolTest : public testing::Test {
 protected:
  void run(std::uint64_t job_count, const std::function<std::string(std::uint64_t)>& job) {
    const Status status = run_in_processes(options_, job_count, job, [&](auto index, JobEnd end) {
      EXPECT_EQ(index, ends_.size());
      ends_.push_back(std::move(end));
      return ends_.size() == stop_after_ ? Continue::kNo : Continue::kYes;
    });
    EXPECT_TRUE(status.has_value());
  }
  std::vector<std::string> outputs() const {
    std::vector<std::string> all;
    for (const JobEnd& end : ends_) {
      all.push_back(end.death.empty() ? end.output : "died");
    }
    return all;
  }

  ProcessPoolOptions options_{.process_count = 3, .jobs_per_process = 2};
  std::size_t stop_after_ = 0;
  std::vector<JobEnd> ends_;
};

TEST_F(ProcessPoolTest, results_come_in_order_and_whole) {
  run(7, [](std::uint64_t index) {
    return std::string(index % 2 == 0 ? 300'000 : 0, static_cast<char>('a' + index));
  });
  ASSERT_EQ(ends_.size(), 7U);
  EXPECT_EQ(ends_[6].output, std::string(300'000, 'g'));
  EXPECT_EQ(ends_[5].output, "");
}

TEST_F(ProcessPoolTest, what_a_job_does_stays_in_its_process) {
  int touched = 0;
  run(2, [&](std::uint64_t) { return std::to_string(++touched); });
  EXPECT_THAT(outputs(), ElementsAre("1", "2"));
  EXPECT_EQ(touched, 0);
}

TEST_F(ProcessPoolTest, a_job_that_crashes_takes_no_other_along) {
  options_.jobs_per_process = 10;
  run(6, [](std::uint64_t index) {
    CHECK(index != 1);
    if (index == 4) {
      std::raise(SIGKILL);
    }
    return std::to_string(index);
  });
  EXPECT_THAT(outputs(), ElementsAre("0", "died", "2", "3", "died", "5"));
  EXPECT_EQ(ends_[1].death, "Aborted");
  EXPECT_THAT(ends_[1].last_words, HasSubstr("CHECK(index != 1) failed"));
  EXPECT_EQ(ends_[4].death, "Killed");
}

TEST_F(ProcessPoolTest, a_process_that_ends_badly_after_its_work_fails_its_last_job) {
  run(4, [](std::uint64_t index) {
    if (index == 3) {
      std::atexit([] { std::_Exit(23); });
    }
    return std::to_string(index);
  });
  EXPECT_THAT(outputs(), ElementsAre("0", "1", "2", "died"));
  EXPECT_EQ(ends_[3].death, "exit code 23");
}

TEST_F(ProcessPoolTest, a_job_that_never_ends_is_ended) {
  options_.job_time_max = seconds(2);
  run(3, [](std::uint64_t index) {
    while (index == 1) {
      ::pause();
    }
    return std::to_string(index);
  });
  EXPECT_THAT(outputs(), ElementsAre("0", "died", "2"));
  EXPECT_EQ(ends_[1].death, "it did not come to an end");
}

TEST_F(ProcessPoolTest, it_stops_when_it_is_told_to) {
  stop_after_ = 2;
  run(1'000'000, [](std::uint64_t index) { return std::to_string(index); });
  EXPECT_THAT(outputs(), ElementsAre("0", "1"));
}

}  // namespace
}  // namespace onceflow::io
