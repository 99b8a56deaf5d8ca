#include "io/os/line_writer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <string>

namespace onceflow::io {
namespace {

class LineWriterTest : public testing::Test {
 protected:
  LineWriterTest() {
    EXPECT_EQ(::pipe2(ends_.data(), O_CLOEXEC), 0);
    EXPECT_GT(::fcntl(ends_[1], F_SETPIPE_SZ, 4096), 0);
  }
  ~LineWriterTest() override { ::close(ends_[0]); }  // the other one belongs to a thread

  int to() const { return ends_[1]; }
  /// What is in the pipe; waits until something is.
  std::string read_some() {
    std::string text(64 * 1024, '\0');
    const ssize_t count = ::read(ends_[0], text.data(), text.size());
    text.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
    return text;
  }
  bool is_empty() {
    ::fcntl(ends_[0], F_SETFL, O_NONBLOCK);
    const bool is_empty = read_some().empty();
    ::fcntl(ends_[0], F_SETFL, 0);
    return is_empty;
  }
  std::string read_to(const std::string& end) {
    std::string text;
    while (!text.ends_with(end)) {
      text += read_some();
    }
    return text;
  }

  std::array<int, 2> ends_{};
};

std::string line(int number) { return "line " + std::to_string(number) + "\n"; }

TEST_F(LineWriterTest, writes_lines_in_their_order) {
  LineWriter writer(to());
  std::string all;
  for (int number = 0; number < 100; ++number) {
    writer.write(line(number));
    all += line(number);
  }
  EXPECT_EQ(read_to(line(99)), all);
}

TEST_F(LineWriterTest, waits_for_nobody_and_says_what_was_lost_once_it_is_read) {
  LineWriter writer(to(), [](std::uint64_t lost) { return "lost " + std::to_string(lost) + "\n"; });
  const std::uint64_t lost_before = lost_line_count();
  constexpr int kLines = 200'000;  // more than may wait
  const auto began = std::chrono::steady_clock::now();
  for (int number = 0; number < kLines; ++number) {
    writer.write(line(number));
  }
  EXPECT_LT(std::chrono::steady_clock::now() - began, seconds(5));
  const std::uint64_t lost = lost_line_count() - lost_before;
  EXPECT_GT(lost, 0U);
  EXPECT_LT(lost, static_cast<std::uint64_t>(kLines));

  const auto finishing = std::chrono::steady_clock::now();
  finish_lines();
  EXPECT_LT(std::chrono::steady_clock::now() - finishing, seconds(5));

  std::string expected;
  for (int number = 0; number < kLines - static_cast<int>(lost); ++number) {
    expected += line(number);
  }
  expected += "lost " + std::to_string(lost) + "\n";
  EXPECT_EQ(read_to("lost " + std::to_string(lost) + "\n"), expected);
  writer.write("again\n");
  EXPECT_EQ(read_to("again\n"), "again\n");
  EXPECT_TRUE(is_empty());
}

TEST_F(LineWriterTest, keeps_what_comes_while_it_says_what_was_lost) {
  const std::string said = std::string(16 * 1024, 'x') + "\n";  // more than the pipe holds
  LineWriter writer(to(), [&](std::uint64_t) { return said; });
  const std::uint64_t lost_before = lost_line_count();
  while (lost_line_count() == lost_before) {
    writer.write(std::string(1023, '-') + "\n");
  }
  std::string text;
  while (!text.contains("\nx")) {
    text += read_some();
  }
  writer.write("again\n");
  EXPECT_EQ(lost_line_count() - lost_before, 1U);
  text += read_to("again\n");
  EXPECT_TRUE(text.ends_with("\n" + said + "again\n")) << text.size();
}

TEST_F(LineWriterTest, keeps_the_first_error_and_goes_on) {
  const int full = ::open("/dev/full", O_WRONLY | O_CLOEXEC);
  ASSERT_GE(full, 0);
  LineWriter writer(full, [](std::uint64_t lost) { return "lost " + std::to_string(lost) + "\n"; });
  EXPECT_EQ(first_line_error(full), 0);
  writer.write("nowhere\n");
  finish_lines();
  EXPECT_EQ(first_line_error(full), ENOSPC);
  // Somebody has made room.
  ASSERT_EQ(::dup3(to(), full, O_CLOEXEC), full);
  writer.write("here\n");
  EXPECT_EQ(read_to("here\n"), "lost 1\nhere\n");
}

}  // namespace
}  // namespace onceflow::io
