#include "io/os/process_identity.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

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

TEST(ProcessIdentity, one_that_has_ended_is_dead) {
  int pipe_ends[2];
  ASSERT_EQ(pipe(pipe_ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    const std::string identity = process_identity();
    const ssize_t written = ::write(pipe_ends[1], identity.data(), identity.size());
    _exit(written > 0 ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  char bytes[1024];
  const ssize_t size = ::read(pipe_ends[0], bytes, sizeof bytes);
  ASSERT_GT(size, 0);
  const std::string identity(bytes, static_cast<std::size_t>(size));
  EXPECT_NE(identity, process_identity());
  EXPECT_EQ(process_life(identity), ProcessLife::kDead);
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
