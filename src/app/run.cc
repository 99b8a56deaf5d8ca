// onceflow run: a pipeline's worker, beside the embedded log or on a cluster.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <optional>

#include "app/bootstrap_servers.h"
#include "app/commands.h"
#include "app/console_thread.h"
#include "app/embedded_log.h"
#include "app/log_task.h"
#include "app/masked_streams.h"
#include "app/pages.h"
#include "app/parse_arguments.h"
#include "app/pipeline_file.h"
#include "app/process_log.h"
#include "app/running_audit.h"
#include "app/shell_words.h"
#include "app/status_port.h"
#include "app/worker_options.h"
#include "base/utf8.h"
#include "engine/worker.h"
#include "io/os/exit_guard.h"
#include "io/os/os_environment.h"
#include "io/os/signals.h"
#include "pipeline/remarks.h"
#include "proof/audit_subject.h"

namespace onceflow::app {
namespace {

constexpr std::int64_t kAuditIntervalMsMax = 24 * 3'600'000;
/// From SIGTERM to the end of the process, whatever is away.
constexpr Duration kStopTimeMax = milliseconds(4500);
// Within it a second signal is the first one again: timeout(1) signals its child and then the
// group of it.
constexpr Duration kOneSignal = milliseconds(500);

struct RunOptions {
  std::string file;
  std::string log_flags;  ///< those that were given
  std::string bootstrap_servers;
  std::string worker = "1";
  EmbeddedLogOptions log;
  StatusPortOptions status;
  LogFormat log_format = LogFormat::kText;
  bool takes_over = false;  ///< --take-over: a live worker of the same name is thrown out
  bool stays = false;       ///< --stay: the groups keep its place when it is stopped
  std::int64_t audit_interval_ms = 0;  ///< 0: no audit
  bool audit_allows_foreign = false;
  bool skips_deleted = false;
  bool is_rolling = false;  ///< --rolling-change
};

// One worker's life. The embedded log, if there is one, starts before it and stops after it; the
// audit beside it starts after it and stops first.
class RunProcess {
 public:
  RunProcess(const pipeline::PlannedPipeline& planned, RunOptions options)
      : planned_(planned),
        options_(std::move(options)),
        named_(shell_word(options_.file) + options_.log_flags),
        tell_([named = named_, tables = tables_of(planned),
               tell = masked(log_to_stderr("run", options_.log_format), planned_.spec.secrets)](
                  LogEvent event) {
          event.text = with_file_named(std::move(event.text), named, tables);
          tell(event);
        }) {}
  ~RunProcess() {
    stop_console();
    audit_.reset();
    log_.reset();
    os_.shut_down();
  }

  int run() {
    const io::Signals signals(os_.loop(), [this](int) { stop(); });
    tell(LogLevel::kInfo, "starting",
         fmt::format("pipeline '{}', worker {}", planned_.plan.pipeline, options_.worker));
    for (const auto& [level, remark] : pipeline::remarks_of_run(planned_.spec)) {
      tell(level, "note", pipeline::describe(options_.file, remark));
    }
    if (options_.status.port) {
      open_status();
    } else {
      start();
    }
    os_.loop().run();
    stop_console();
    audit_.reset();
    tell(LogLevel::kInfo, "stopped", fmt::format("exit code {}", exit_code_));
    guard_.disarm();
    log_.reset();
    if (worker_ && worker_->has_left_work()) {
      io::end_process(exit_code_);  // a thread may wait for a database that does not answer
    }
    return exit_code_;
  }

 private:
  void start() {
    if (!options_.bootstrap_servers.empty()) {
      start_worker(options_.bootstrap_servers);
    } else {
      start_log();
    }
  }

  void start_log() {
    log_.emplace(
        options_.log, os_.loop(), tell_,
        [this](const io::Endpoint& endpoint) {
          print(fmt::format("onceflow run: the embedded log listens on {}, data under {}",
                            io::to_string(endpoint), options_.log.data_directory));
          start_worker(io::to_string(endpoint));
        },
        [this](Error error) {
          error.text += way_out(error.code);
          fail_with(error);
        });
  }

  // Of an embedded log that cannot start since there is one.
  std::string way_out(ErrorCode code) const {
    if (code != ErrorCode::kLocked && code != ErrorCode::kAddressInUse) {
      return {};
    }
    return fmt::format(
        "; the fix: for a further worker on the log that is there, --bootstrap.servers "
        "127.0.0.1:{}{} and a --worker of its own; for a log of its own, another {}",
        options_.log.port, code == ErrorCode::kLocked ? " (or its --port)" : "",
        code == ErrorCode::kLocked ? "--data-dir and --port" : "--port");
  }

  void tell(LogLevel level, std::string event, std::string text) {
    tell_({.level = level, .stage = {}, .event = std::move(event), .text = std::move(text)});
  }

  void print(std::string_view line) const { print_line(planned_.spec.secrets.masked(line)); }

  void start_worker(const std::string& servers) {
    engine::WorkerOptions options = worker_options_of(planned_, options_.worker, named_);
    if (const Status set = client::set_option(options.client, "bootstrap.servers", servers); !set) {
      fail_with(set.error(), kExitUsage);
      return;
    }
    options.stage.skips_deleted = options_.skips_deleted;
    options.stage.tell = tell_;
    options.stage.at_stop = options_.stays ? engine::AtStop::kStay : engine::AtStop::kLeave;
    if (options_.takes_over) {
      options.place.rule = engine::PlaceRule::kTakeOver;
    }
    options.rolling = options_.is_rolling ? engine::Rolling::kYes : engine::Rolling::kNo;
    options.on_notice = [this](const std::string& news) {
      tell_({.level = LogLevel::kWarn, .stage = {}, .event = "changed", .text = news});
    };
    std::vector<io::Endpoint> audited = options.client.bootstrap_servers;
    worker_.emplace(os_.environment(), planned_.plan, std::move(options));
    print(fmt::format("onceflow run: pipeline '{}', worker {}, {} stage{}, on {}",
                      planned_.plan.pipeline, options_.worker, planned_.plan.stages.size(),
                      planned_.plan.stages.size() == 1 ? "" : "s", servers));
    os_.loop().spawn(run_worker());
    if (options_.audit_interval_ms > 0) {
      start_audit(std::move(audited));
    }
    if (console_) {
      console_->post([pages = pages_] { pages->value->set_started(); });
      print_status_port(status_endpoint_);
    }
  }

  void start_audit(std::vector<io::Endpoint> servers) {
    audit_.emplace(proof::audit_subject(planned_),
                   RunningAuditOptions{.bootstrap_servers = std::move(servers),
                                       .interval = milliseconds(options_.audit_interval_ms),
                                       .strangers = options_.audit_allows_foreign
                                                        ? audit::Strangers::kAllowed
                                                        : audit::Strangers::kRefused},
                   os_.loop(),
                   [this](LogLevel level, const std::string& news) { tell(level, "audit", news); });
  }

  // Then starts: what can be seen of it can be seen from the beginning.
  void open_status() {
    console_.emplace(
        options_.status,
        [this](io::Scheduler& scheduler) {
          auto pages = std::make_shared<RunPages>(
              planned_, named_, scheduler,
              [this](std::function<void(WorkerView)> tell) { ask_worker(std::move(tell)); },
              options_.bootstrap_servers.empty()
                  ? broker::AskBroker([this](broker::TellStatus tell) { ask_log(std::move(tell)); })
                  : nullptr);
          pages_->value = pages.get();
          return pages;
        },
        os_.loop(),
        [this](Result<io::Endpoint> opened) {
          if (!opened) {
            fail_with(opened.error());
            return;
          }
          status_endpoint_ = *opened;
          start();
        });
  }

  // On the console's thread, once there is a worker, and a log if it has one.
  void ask_worker(std::function<void(WorkerView)> tell) {
    os_.loop().post_from_any_thread([this, tell = std::move(tell)] {
      console_->post([tell, view = view_of(*worker_, audit_ ? &*audit_ : nullptr,
                                           os_.loop())]() mutable { tell(std::move(view)); });
    });
  }

  void ask_log(const broker::TellStatus& tell) {
    log_->ask_status([this, tell](broker::StatusNews news) {
      console_->post([tell, news = std::move(news)]() mutable { tell(std::move(news)); });
    });
  }

  // It asks the others, so it ends before them.
  void stop_console() {
    if (console_) {
      console_->stop();
    }
  }

  Task<void> run_worker() {
    const Status ended = co_await worker_->run();
    if (!ended) {
      fail_with(ended.error());
    }
    os_.loop().stop();
  }

  // The first signal finishes the open commit; a second one ends at once, which loses nothing.
  void stop() {
    const MonotonicTime now = os_.loop().now();
    if (!worker_) {
      os_.loop().stop();
      return;
    }
    if (stopping_since_) {
      if (now - *stopping_since_ >= kOneSignal) {
        tell(LogLevel::kWarn, "ended at once",
             "a second signal: an open commit is left as by a crash, and a place in the groups "
             "until its session.timeout.ms; nothing is lost, the next start reads what became of "
             "it");
        os_.loop().stop();
      }
      return;
    }
    stopping_since_ = now;
    tell(LogLevel::kInfo, "stopping",
         options_.stays ? "its place in the groups is kept for it (--stay)"
                        : "its partitions go to the other workers");
    guard_.arm(kStopTimeMax, exit_code_);
    worker_->stop();
  }

  void fail_with(const Error& error, int exit_code = kExitFailed) {
    tell(LogLevel::kError, "failed", error.text);
    exit_code_ = exit_code;
    os_.loop().stop();
  }

  const pipeline::PlannedPipeline& planned_;
  const RunOptions options_;
  const std::string named_;  // the file, as it is typed again
  const TellEvent tell_;
  io::ExitGuard guard_;
  io::OsEnvironment os_;
  /// Filled and used on the console's thread alone.
  struct Handle {
    RunPages* value = nullptr;
  };
  const std::shared_ptr<Handle> pages_ = std::make_shared<Handle>();
  std::optional<ConsoleThread> console_;  // the log's thread posts to it
  std::optional<EmbeddedLog> log_;
  std::optional<engine::Worker> worker_;
  std::optional<RunningAudit> audit_;
  io::Endpoint status_endpoint_;
  std::optional<MonotonicTime> stopping_since_;
  int exit_code_ = kExitOk;
};

}  // namespace

int run_run(const Arguments& arguments) {
  RunOptions options;
  CLI::App app("run a pipeline, on the embedded log or on a cluster", "onceflow run");
  app.add_option("FILE", options.file, "a pipeline file")->required();
  add_servers_option(app, options.bootstrap_servers);
  app.add_option("--worker", options.worker,
                 "this worker's name; every live worker of a pipeline needs its own, and a "
                 "restarted one its old one")
      ->capture_default_str();
  app.add_option("--data-dir", options.log.data_directory, "of the embedded log")
      ->capture_default_str();
  app.add_option("--port", options.log.port, "of the embedded log; 0 takes a free one")
      ->capture_default_str();
  add_status_options(app, options.status);
  add_log_options(app, options.log_format);
  app.add_flag("--take-over", options.takes_over,
               "start although a worker of this name seems to live; that one ends");
  app.add_flag("--stay", options.stays,
               "when stopped, keep its place in the consumer groups for session.timeout.ms: for a "
               "rolling restart. Without it the other workers take its partitions over at once");
  app.add_option("--audit.interval.ms", options.audit_interval_ms,
                 "audit the whole pipeline again and again, with so long a rest between; 0: never. "
                 "One worker of a pipeline is enough")
      ->capture_default_str()
      ->check(CLI::Range(std::int64_t{0}, kAuditIntervalMsMax));
  app.add_flag("--skip-deleted", options.skips_deleted,
               "go on after records that were deleted before they were read, and leave a receipt "
               "that says so; without it the stage refuses to start there");
  app.add_flag("--rolling-change", options.is_rolling,
               "start although other workers live that were started with another file: records "
               "are judged by the one or the other until all have the same");
  app.add_flag("--audit.allow.foreign", options.audit_allows_foreign,
               "as --allow-foreign of onceflow audit");
  if (const auto ended = parse_arguments(app, arguments)) {
    return *ended;
  }
  if (options.worker.empty() || printable(options.worker) != options.worker) {
    std::cerr << "onceflow run: --worker '" << printable(options.worker)
              << "': a worker's name is text in UTF-8 without control characters, and not empty\n";
    return kExitUsage;
  }
  options.log_flags = log_flags_of(app);
  const auto planned = load_pipeline_file(options.file);
  if (!planned) {
    return kExitUsage;
  }
  const MaskedStreams masked_streams(planned->spec.secrets);
  if (options.bootstrap_servers.empty()) {
    options.bootstrap_servers = joined(planned->spec.bootstrap_servers);
  }
  return RunProcess(*planned, std::move(options)).run();
}

}  // namespace onceflow::app
