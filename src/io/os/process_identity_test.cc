#include "io/os/process_identity.h"

#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <utility>

namespace onceflow::io {
namespace {

std::string with(std::string identity, const std::string& field, const std::string& value) {
  const std::size_t at = identity.find(field + "=") + field.size() + 1;
  return identity.replace(at, std::min(identity.find(' ', at), identity.size()) - at, value);
}

TEST(ProcessIdentity, a_process_knows_itself_alive) {
  EXPECT_EQ(process_life(process_identity()), ProcessLife::kAlive);
  EXPECT_EQ(describe_process("pid=7 started=1 host=h boot=b namespace=n"), "process 7 on h");
}

// Of a child that ends as `end` does: its identity, once it has written it.
template <typename End>
std::pair<pid_t, std::string> start_child(End end) {
  int pipe_ends[2];
  if (pipe(pipe_ends) != 0) {
    return {-1, {}};
  }
  const pid_t child = fork();
  if (child == 0) {
    const std::string identity = process_identity();
    if (::write(pipe_ends[1], identity.data(), identity.size()) > 0) {
      end();
    }
    _exit(0);
  }
  char bytes[1024];
  const ssize_t size = ::read(pipe_ends[0], bytes, sizeof bytes);
  ::close(pipe_ends[0]);
  ::close(pipe_ends[1]);
  return {child, std::string(bytes, static_cast<std::size_t>(std::max<ssize_t>(size, 0)))};
}

void reap(pid_t child) {
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
}

char state_of(pid_t process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/stat");
  const std::string stat((std::istreambuf_iterator<char>(file)), {});
  return stat.at(stat.rfind(')') + 2);
}

TEST(ProcessIdentity, one_that_has_ended_is_dead) {
  const auto [child, identity] = start_child([] {});
  ASSERT_GT(child, 0);
  ASSERT_FALSE(identity.empty());
  reap(child);
  EXPECT_NE(identity, process_identity());
  EXPECT_EQ(process_life(identity), ProcessLife::kDead);
}

TEST(ProcessIdentity, one_that_was_killed_and_is_not_reaped_is_dead) {
  const auto [child, identity] = start_child([] { pause(); });
  ASSERT_GT(child, 0);
  EXPECT_EQ(process_life(identity), ProcessLife::kAlive);
  ASSERT_EQ(kill(child, SIGKILL), 0);
  siginfo_t ended{};
  ASSERT_EQ(waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WNOWAIT), 0);
  EXPECT_EQ(state_of(child), 'Z');
  EXPECT_EQ(process_life(identity), ProcessLife::kDead);
  reap(child);
}

TEST(ProcessIdentity, one_whose_first_thread_alone_has_ended_is_alive) {
  const auto [child, identity] = start_child([] {
    std::thread([] { pause(); }).detach();
    syscall(SYS_exit, 0);  // of this thread alone
  });
  ASSERT_GT(child, 0);
  while (state_of(child) != 'Z') {
    std::this_thread::yield();
  }
  EXPECT_EQ(process_life(identity), ProcessLife::kAlive);
  ASSERT_EQ(kill(child, SIGKILL), 0);
  reap(child);
}

TEST(ProcessIdentity, a_number_that_another_process_has_now_is_dead) {
  EXPECT_EQ(process_life(with(process_identity(), "started", "1")), ProcessLife::kDead);
}

TEST(ProcessIdentity, of_other_machines_and_containers_nothing_is_known) {
  EXPECT_EQ(process_life(with(process_identity(), "boot", "another")), ProcessLife::kUnknown);
  EXPECT_EQ(process_life(with(process_identity(), "namespace", "pid:[1]")), ProcessLife::kUnknown);
  EXPECT_EQ(process_life(""), ProcessLife::kUnknown);
  EXPECT_EQ(process_life("pid=../../etc started=1 host=h boot=b namespace=n"),
            ProcessLife::kUnknown);
}

}  // namespace
}  // namespace onceflow::io
