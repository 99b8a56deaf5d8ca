// onceflow audit: accounts for every record of a pipeline, over all its stages, to the last row.
// Without a pipeline it checks the log directory, byte by byte.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>

#include "app/bootstrap_servers.h"
#include "app/commands.h"
#include "app/embedded_log.h"
#include "app/log_task.h"
#include "app/masked_streams.h"
#include "app/parse_arguments.h"
#include "app/pipeline_file.h"
#include "app/process_log.h"
#include "app/progress_line.h"
#include "audit/auditor.h"
#include "audit/kafka_log_reader.h"
#include "io/os/boot_id.h"
#include "io/os/os_environment.h"
#include "io/os/process.h"
#include "io/os/signals.h"
#include "log/walker.h"
#include "proof/audit_subject.h"

namespace onceflow::app {
namespace {

constexpr Duration kCaughtUpPoll = milliseconds(200);
constexpr std::int64_t kCaughtUpMsMax = std::int64_t{365} * 24 * 3'600'000;

struct AuditCommand {
  std::string file;
  std::string bootstrap_servers;
  EmbeddedLogOptions log;
  bool json = false;
  bool allow_foreign = false;
  bool compare_states = false;
  std::int64_t until_caught_up_ms = -1;
};

// One audit's life. Where the pipeline lives on the embedded log and nobody runs it, the log is
// opened here; where somebody does, that one is asked.
class AuditProcess {
 public:
  AuditProcess(const pipeline::PlannedPipeline& planned, AuditCommand command)
      : planned_(planned),
        command_(std::move(command)),
        progress_(!command_.json && io::output_is_terminal()) {}
  ~AuditProcess() {
    log_.reset();
    os_.shut_down();
  }

  int run() {
    const io::Signals signals(os_.loop(), [this](int) { os_.loop().stop(); });
    if (!command_.bootstrap_servers.empty()) {
      start(command_.bootstrap_servers);
    } else {
      EmbeddedLogOptions options = command_.log;
      options.port = 0;
      log_.emplace(
          options, os_.loop(), log_to_stderr("audit", LogFormat::kText),
          [this](const io::Endpoint& endpoint) { start(io::to_string(endpoint)); },
          [this](const Error& error) { log_failed(error); });
    }
    os_.loop().run();
    return exit_code_;
  }

 private:
  // Another broker may listen on that port: whoever reads the verdict is told whose it is.
  void log_failed(const Error& error) {
    if (error.code == ErrorCode::kLocked) {
      const std::string server = fmt::format("127.0.0.1:{}", command_.log.port);
      std::cerr << fmt::format(
          "onceflow audit: {}; so the log that answers on {} is asked (--port names another)\n",
          error.text, server);
      start(server);
    } else {
      cannot_judge(error);
    }
  }

  void start(const std::string& servers) {
    auto endpoints = parse_servers(servers);
    if (!endpoints) {
      cannot_judge(endpoints.error());
      return;
    }
    reader_.emplace(os_.environment(),
                    audit::KafkaLogReaderOptions{.bootstrap_servers = std::move(*endpoints),
                                                 .retry_timeout = seconds(15)});
    os_.loop().spawn(audit());
  }

  Task<void> audit() {
    audit::Auditor auditor(
        proof::audit_subject(planned_), *reader_, audit::open_table,
        {.strangers =
             command_.allow_foreign ? audit::Strangers::kAllowed : audit::Strangers::kRefused,
         .aggregate_states = command_.compare_states ? audit::AggregateStates::kCompared
                                                     : audit::AggregateStates::kNotCompared});
    auditor.on_progress([this](const audit::AuditProgress& state) { show(state); });
    bool is_caught_up = true;
    if (command_.until_caught_up_ms >= 0) {
      const auto waited = co_await wait_until_caught_up(auditor);
      if (!waited) {
        cannot_judge(waited.error());
        co_return;
      }
      is_caught_up = *waited;
    }
    const auto report = co_await auditor.run();
    if (!report) {
      cannot_judge(report.error());
      co_return;
    }
    progress_.clear();
    std::cout << (command_.json ? to_json(*report) : to_text(*report)) << std::flush;
    if (!is_caught_up) {
      std::cerr << fmt::format("onceflow audit: not caught up within {} ms\n",
                               command_.until_caught_up_ms);
    }
    exit_code_ = report->has_findings() || !is_caught_up ? kExitFailed
                 : report->has_judged_nothing()          ? kExitUsage
                                                         : kExitOk;
    os_.loop().stop();
  }

  void show(const audit::AuditProgress& state) {
    if (state.steps > 0) {
      progress_.show(static_cast<std::uint64_t>(state.steps_done),
                     static_cast<std::uint64_t>(state.steps),
                     fmt::format("{}/{} {}", state.steps_done, state.steps, state.doing));
    } else {
      progress_.show(state.doing);
    }
  }

  Task<Result<bool>> wait_until_caught_up(audit::Auditor& auditor) {
    const MonotonicTime until = os_.loop().now() + milliseconds(command_.until_caught_up_ms);
    io::Event never(os_.loop());
    while (true) {
      const auto lag = co_await auditor.lag();
      CO_RETURN_IF_ERROR(lag);
      if (*lag == 0) {
        co_return true;
      }
      if (os_.loop().now() >= until) {
        co_return false;
      }
      progress_.show(*lag < 0 ? std::string("waiting: the pipeline is far behind")
                              : fmt::format("waiting: {} records to go", *lag));
      co_await never.wait_for(kCaughtUpPoll);
    }
  }

  void cannot_judge(const Error& error) {
    progress_.clear();
    std::cerr << "onceflow audit: cannot judge: " << error.text << '\n';
    exit_code_ = kExitUsage;
    os_.loop().stop();
  }

  const pipeline::PlannedPipeline& planned_;
  const AuditCommand command_;
  ProgressLine progress_;
  io::OsEnvironment os_;
  std::optional<EmbeddedLog> log_;
  std::optional<audit::KafkaLogReader> reader_;
  int exit_code_ = kExitUsage;  // until a verdict has been reached
};

std::string to_text(const log::WalkReport& report, const std::string& directory) {
  std::string text = fmt::format(
      "log directory {}\n  {} topics, {} partitions; {} segments with {} batches and {} bytes, {} "
      "index entries, {} producers; {} journal frames with {} entries behind the checkpoint\n",
      directory, report.topic_count, report.partition_count, report.segment_count,
      report.batch_count, report.segment_bytes, report.index_entry_count, report.producer_count,
      report.frame_count, report.entry_count);
  for (const std::string& note : report.notes) {
    text += fmt::format("  note: {}\n", note);
  }
  for (const log::WalkFinding& finding : report.findings) {
    text += fmt::format("{} byte {}: {}\n", finding.path, finding.position, finding.what);
  }
  if (report.finding_count > report.findings.size()) {
    text += fmt::format("and {} more\n", report.finding_count - report.findings.size());
  }
  if (report.lost_offset_count > 0) {
    text += fmt::format("  salvaged: {} offsets are known to be lost\n", report.lost_offset_count);
  }
  return text + (report.finding_count == 0
                     ? "log: sound\n"
                     : fmt::format("log: {} finding{}\n", report.finding_count,
                                   report.finding_count == 1 ? "" : "s"));
}

std::string to_json(const log::WalkReport& report, const std::string& directory) {
  nlohmann::ordered_json json = {{"directory", directory},
                                 {"verdict", report.finding_count == 0 ? "sound" : "findings"},
                                 {"topics", report.topic_count},
                                 {"partitions", report.partition_count},
                                 {"segments", report.segment_count},
                                 {"batches", report.batch_count},
                                 {"bytes", report.segment_bytes},
                                 {"index_entries", report.index_entry_count},
                                 {"producers", report.producer_count},
                                 {"journal_frames", report.frame_count},
                                 {"journal_entries", report.entry_count},
                                 {"lost_offset_count", report.lost_offset_count},
                                 {"finding_count", report.finding_count},
                                 {"notes", report.notes},
                                 {"findings", nlohmann::ordered_json::array()}};
  for (const log::WalkFinding& finding : report.findings) {
    json["findings"].push_back(
        {{"file", finding.path}, {"byte", finding.position}, {"text", finding.what}});
  }
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

int check_log_directory(const AuditCommand& command) {
  io::OsEnvironment os;
  const std::string& directory = command.log.data_directory;
  const auto report = log::walk_log_directory(os.disk(), directory, io::read_boot_id());
  if (!report) {
    std::cerr << "onceflow audit: cannot judge: " << report.error().text << '\n';
    return kExitUsage;
  }
  std::cout << (command.json ? to_json(*report, directory) : to_text(*report, directory));
  return report->finding_count == 0 ? kExitOk : kExitFailed;
}

}  // namespace

int run_audit(const Arguments& arguments) {
  AuditCommand command;
  CLI::App app(
      "account for every record of a pipeline, to the last row\n"
      "exit code 0: clean; 1: something is missing, doubled, altered, torn or foreign; 2: it "
      "cannot be judged\n"
      "without FILE: check the files of the log under --data-dir, which nobody may have open",
      "onceflow audit");
  app.add_option("FILE", command.file, "a pipeline file");
  add_servers_option(app, command.bootstrap_servers);
  app.add_option("--data-dir", command.log.data_directory, "of the embedded log")
      ->capture_default_str();
  app.add_option("--port", command.log.port, "of the embedded log, where it is running")
      ->capture_default_str();
  app.add_flag("--json", command.json, "the report as JSON");
  app.add_flag("--allow-foreign", command.allow_foreign,
               "others may write to the output topics and tables too");
  app.add_flag("--states", command.compare_states,
               "also compare each aggregate's state with what was last written of its key; keeps "
               "the last value of every key in memory");
  app.add_option("--until-caught-up", command.until_caught_up_ms,
                 "first wait, at most so long (30s), until nothing is left to process; else 1")
      ->transform(CLI::AsNumberWithUnit(
          std::map<std::string, std::int64_t>{
              {"ms", 1}, {"s", 1'000}, {"m", 60'000}, {"h", 3'600'000}},
          CLI::AsNumberWithUnit::UNIT_REQUIRED))
      ->check(CLI::Range(std::int64_t{0}, kCaughtUpMsMax));
  if (const auto ended = parse_arguments(app, arguments)) {
    return *ended;
  }
  if (command.file.empty()) {
    return check_log_directory(command);
  }
  const auto planned = load_pipeline_file(command.file);
  if (!planned) {
    return kExitUsage;
  }
  const MaskedStreams masked_streams(planned->spec.secrets);
  if (command.bootstrap_servers.empty()) {
    command.bootstrap_servers = joined(planned->spec.bootstrap_servers);
  }
  const LogTaskOptions log{.verb = "audit",
                           .bootstrap_servers = command.bootstrap_servers,
                           .log = command.log,
                           .flags = {}};
  if (is_log_missing(log)) {
    std::cerr << missing_log(log);
    return kExitUsage;
  }
  return AuditProcess(*planned, std::move(command)).run();
}

}  // namespace onceflow::app
