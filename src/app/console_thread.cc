#include "app/console_thread.h"

#include <utility>

namespace onceflow::app {
namespace {

// Lives on the console's own thread.
struct Content {
  std::shared_ptr<console::Pages> pages;
  std::unique_ptr<console::StatusServer> server;
};

}  // namespace

ConsoleThread::ConsoleThread(
    const StatusPortOptions& options,
    std::function<std::shared_ptr<console::Pages>(io::Scheduler&)> make_pages, io::Scheduler& owner,
    std::function<void(Result<io::Endpoint>)> on_open)
    : thread_([options, make_pages = std::move(make_pages), &owner, on_open = std::move(on_open)](
                  io::OsEnvironment& os, io::LoopThread::AtStop&) {
        auto content = std::make_shared<Content>();
        content->pages = make_pages(os.loop());
        auto server = open_status_port(os.environment(), options, content->pages);
        Result<io::Endpoint> opened = io::Endpoint{};
        if (server) {
          content->server = *std::move(server);
          opened = content->server->local();
        } else {
          opened = std::unexpected(std::move(server).error());
        }
        owner.post_from_any_thread(
            [on_open, opened = std::move(opened)]() mutable { on_open(std::move(opened)); });
        return content;
      }) {}

ConsoleThread::~ConsoleThread() { stop(); }

}  // namespace onceflow::app
