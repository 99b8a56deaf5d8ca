#include "app/running_audit.h"

#include <algorithm>

#include "audit/auditor.h"
#include "audit/kafka_log_reader.h"
#include "io/os/process.h"

namespace onceflow::app {
namespace {

/// An audit takes at most one part of so many of the time.
constexpr int kTimeShare = 10;
/// A fetch is work on the broker's only thread, between the worker's requests.
constexpr std::int32_t kFetchBytesMax = 1 << 20;

}  // namespace

/// Lives on the audit's own thread.
class RunningAudit::Content {
 public:
  Content(io::OsEnvironment& os, RunningAudit& owner, audit::AuditSubject subject,
          RunningAuditOptions options)
      : os_(os), owner_(owner), subject_(std::move(subject)), options_(std::move(options)) {
    io::lower_thread_priority();
    os_.loop().spawn(run());
  }

 private:
  Task<void> run() {
    while (true) {
      const MonotonicTime began = os_.loop().now();
      owner_.post([&owner = owner_, began] { owner.watch_.begin(began); });
      auto report = co_await audit();
      const MonotonicTime ended = os_.loop().now();
      owner_.post([&owner = owner_, report = std::move(report), ended,
                   wall = os_.loop().wall_now()]() mutable {
        const auto news = owner.watch_.end(std::move(report), ended, wall);
        const bool is_clean = owner.watch_.state() == audit::AuditState::kClean;
        for (const std::string& one : news) {
          owner.tell_(is_clean ? LogLevel::kInfo : LogLevel::kWarn, one);
        }
      });
      co_await os_.loop().sleep_for(
          std::max(options_.interval, (kTimeShare - 1) * (ended - began)));
    }
  }

  // With a reader of its own each time, so that it sees topics and partitions that are new.
  Task<Result<audit::AuditReport>> audit() {
    audit::KafkaLogReader reader(os_.environment(),
                                 {.bootstrap_servers = options_.bootstrap_servers,
                                  .retry_timeout = seconds(15),
                                  .fetch_bytes_max = kFetchBytesMax});
    audit::Auditor auditor(subject_, reader, audit::open_table,
                           {.strangers = options_.strangers,
                            .must_stop = [stop = owner_.must_stop_] { return stop->load(); }});
    auditor.on_progress([this](const audit::AuditProgress& progress) {
      owner_.post([&owner = owner_, progress] { owner.watch_.progress(progress); });
    });
    co_return co_await auditor.run();
  }

  io::OsEnvironment& os_;
  RunningAudit& owner_;
  const audit::AuditSubject subject_;
  const RunningAuditOptions options_;
};

RunningAudit::RunningAudit(audit::AuditSubject subject, RunningAuditOptions options,
                           io::Scheduler& owner, Tell tell)
    : owner_(owner),
      tell_(std::move(tell)),
      interval_(options.interval),
      thread_([this, subject = std::move(subject), options = std::move(options)](
                  io::OsEnvironment& os, io::LoopThread::AtStop&) mutable {
        return std::make_shared<Content>(os, *this, std::move(subject), std::move(options));
      }) {}

RunningAudit::~RunningAudit() {
  must_stop_->store(true);
  thread_.stop();
}

}  // namespace onceflow::app
