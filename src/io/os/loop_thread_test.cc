#include "io/os/loop_thread.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <memory>

namespace onceflow::io {
namespace {

TEST(LoopThread, runs_its_main_then_what_is_posted_until_it_is_stopped) {
  std::promise<int> posted;
  std::atomic<bool> content_gone = false;
  {
    LoopThread thread([&](OsEnvironment&, LoopThread::AtStop&) {
      return std::shared_ptr<void>(nullptr, [&](void*) { content_gone = true; });
    });
    thread.post([&] { posted.set_value(7); });
    EXPECT_EQ(posted.get_future().get(), 7);
    EXPECT_FALSE(content_gone);
    thread.stop();
    EXPECT_TRUE(content_gone);
    thread.post([] { FAIL() << "the loop has ended"; });
  }
}

}  // namespace
}  // namespace onceflow::io
