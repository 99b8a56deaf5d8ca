// onceflow salvage: what can be read of a damaged log, into a new data directory, and an account of
// what could not. A rehearsal unless --execute is given.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "app/commands.h"
#include "app/parse_arguments.h"
#include "app/progress_line.h"
#include "broker/broker_options.h"
#include "broker/meta_properties.h"
#include "broker/properties_file.h"
#include "coordinator/coordinator.h"
#include "coordinator/records.h"
#include "io/os/boot_id.h"
#include "io/os/file_identity.h"
#include "io/os/os_environment.h"
#include "io/os/process.h"
#include "log/salvage.h"

namespace onceflow::app {
namespace {

constexpr std::size_t kLinesShownMax = 50;
constexpr std::uint64_t kProgressStepBytes = 8u << 20;
// Ids that may have been given out and that no batch tells of.
constexpr std::int64_t kProducerIdsLeftOut = 100'000;
// All transactions time out within it, and no group member's session lasts as long.
constexpr Duration kLongerThanAnyTimeout = std::chrono::hours(24 * 365);

struct SalvageCommand {
  std::string from;
  std::string to;
  bool executes = false;
  bool json = false;
};

// The coordinators, as recovery gives them back.
class SavedCoordinator final : public log::RecoveryListener {
 public:
  Status on_snapshot(ByteView snapshot) override { return coordinator_.restore(snapshot); }
  Status on_record(ByteView record) override { return coordinator_.replay(record); }
  Status on_end_transaction(const log::EndTransaction&, ByteView record) override {
    return coordinator_.replay(record);
  }
  void on_topic_deleted(const TopicId& topic) override { coordinator_.on_topic_deleted(topic); }

  // A new producer must not get the id of an old one: its batches would pass for repeats. Less than
  // what is known already is refused, and that is right.
  void leave_out_producer_ids(ProducerId greatest) {
    Buffer record = coordinator::begin_record(coordinator::RecordKind::kProducerIdBlock);
    WireWriter(record).write_int64(greatest.value + 1 + kProducerIdsLeftOut);
    static_cast<void>(coordinator_.replay(record));
  }

  // Ends what can no longer be decided, as if its time were up: with a new epoch, so that nobody
  // commits what is aborted here.
  Status abort_all(io::Scheduler& scheduler, log::Salvage& salvage) {
    coordinator::Moment moment{scheduler.now(), scheduler.wall_now(), io::read_boot_id()};
    coordinator::Effects effects;
    coordinator_.start(moment, effects);
    moment.monotonic += kLongerThanAnyTimeout;
    coordinator_.on_time(moment, effects);
    for (const coordinator::JournalEntry& entry : effects.entries) {
      if (entry.end_transaction) {
        const coordinator::EndTransaction& end = *entry.end_transaction;
        RETURN_IF_ERROR(salvage.end_transaction(
            {.producer = end.marker,
             .commit = end.result == coordinator::TransactionResult::kCommit,
             .timestamp_ms = end.timestamp.ms,
             .partitions = end.partitions}));
      }
    }
    return {};
  }
  Buffer snapshot() const { return coordinator_.snapshot(); }

 private:
  coordinator::Coordinator coordinator_{coordinator::CoordinatorOptions{}};
};

std::string place_of(const log::LostOffsets& lost) {
  return fmt::format("{}-{} offsets {}..{}", lost.topic, lost.partition.value, lost.from.value,
                     lost.next.value - 1);
}

// A state is what its topic tells: with records of that lost, it would go on from an older value.
std::vector<std::string> lost_states_of_pipelines(const log::SalvageReport& report) {
  std::set<std::string> topics;
  for (const log::LostOffsets& lost : report.lost) {
    if (lost.topic.ends_with("-changelog")) {
      topics.insert(lost.topic);
    }
  }
  std::vector<std::string> notes;
  notes.reserve(topics.size());
  for (const std::string& topic : topics) {
    notes.push_back(fmt::format(
        "{} keeps an aggregate, and may have lost records: its results would go on from older "
        "values, so the pipeline does not start with it; the fix: begin it anew, onceflow reset "
        "FILE --to-earliest (--delete-rows | --keep-rows) --execute",
        topic));
  }
  return notes;
}

std::string to_text(const log::SalvageReport& report, const SalvageCommand& command) {
  std::string text =
      fmt::format("{} {}: {} topics, {} partitions; {} batches that can be read, {} bytes\n",
                  command.executes ? "saved" : "would save", command.from, report.topic_count,
                  report.partition_count, report.batch_count, report.bytes);
  std::size_t shown = 0;
  for (const log::LostOffsets& lost : report.lost) {
    if (++shown > kLinesShownMax) {
      text += fmt::format("and {} ranges more; --json has all\n", report.lost.size() - shown + 1);
      break;
    }
    text += fmt::format("{}: {} ({}): {}\n", lost.is_left_out ? "left out" : "lost", place_of(lost),
                        lost.next - lost.from, lost.cause);
  }
  for (const std::string& state : report.lost_states) {
    text += fmt::format("lost: {}\n", state);
  }
  for (const std::string& note : report.notes) {
    text += fmt::format("note: {}\n", note);
  }
  const bool is_whole = report.lost.empty() && report.lost_states.empty();
  if (const std::uint64_t lost = report.lost_offset_count(); is_whole || lost > 0) {
    text += is_whole ? "nothing is lost\n" : fmt::format("{} offsets are lost\n", lost);
  }
  if (const std::uint64_t left_out = report.left_out_offset_count(); left_out > 0) {
    text += fmt::format(
        "{} offsets are left out, after the last record of each partition: whether there were "
        "records is not known, and no offset is given twice\n",
        left_out);
  }
  return text + (command.executes
                     ? fmt::format("{} can be started\n", command.to)
                     : "This was a rehearsal: nothing was written. --execute does it.\n");
}

std::string to_json(const log::SalvageReport& report, const SalvageCommand& command) {
  nlohmann::ordered_json json = {{"from", command.from},
                                 {"to", command.to},
                                 {"executed", command.executes},
                                 {"topics", report.topic_count},
                                 {"partitions", report.partition_count},
                                 {"batches", report.batch_count},
                                 {"bytes", report.bytes},
                                 {"lost_offset_count", report.lost_offset_count()},
                                 {"left_out_offset_count", report.left_out_offset_count()},
                                 {"lost", nlohmann::ordered_json::array()},
                                 {"lost_states", report.lost_states},
                                 {"notes", report.notes}};
  for (const log::LostOffsets& lost : report.lost) {
    json["lost"].push_back({{"topic", lost.topic},
                            {"partition", lost.partition.value},
                            {"from", lost.from.value},
                            {"to", lost.next.value - 1},
                            {"left_out", lost.is_left_out},
                            {"cause", lost.cause}});
  }
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

// What the directory's meta.properties tells, if it still tells anything; else empty.
std::string property_of(io::Disk& disk, const std::string& directory, std::string_view key) {
  const auto text = io::read_file(disk, broker::meta_properties_path(directory));
  if (text) {
    for (const broker::Property& property : broker::parse_properties(as_text(*text))) {
      if (property.key == key) {
        return property.value;
      }
    }
  }
  return "";
}

Status write_identity(io::Disk& disk, const SalvageCommand& command,
                      const std::string& cluster_id) {
  const std::string node = property_of(disk, command.from, "node.id");
  std::int32_t node_id = broker::BrokerOptions{}.node_id;
  std::from_chars(node.data(), node.data() + node.size(), node_id);
  return broker::write_meta_properties(disk, command.to, cluster_id, node_id);
}

// Whether `path` is the directory `outer` or lies in it, whatever links lead there; of a path that
// is not there yet, what there is of it.
bool lies_in(std::string path, const std::string& outer) {
  const auto wanted = io::file_identity(outer);
  while (!path.empty() && !io::file_identity(path)) {
    const std::size_t slash = path.find_last_of('/');
    path.resize(slash == std::string::npos ? 0 : std::max<std::size_t>(slash, 1));
  }
  path = path.empty() ? "." : path;
  for (auto at = io::file_identity(path); wanted && at;) {
    if (*at == *wanted) {
      return true;
    }
    path += "/..";
    const auto above = io::file_identity(path);
    if (above == at) {
      return false;
    }
    at = above;
  }
  return false;
}

Status check_places(const SalvageCommand& command) {
  if (lies_in(command.to, command.from) || lies_in(command.from, command.to)) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{} and {} are one in the other; name a directory beside {}",
                            command.from, command.to, command.from));
  }
  return {};
}

Result<log::SalvageReport> carry_out(const SalvageCommand& command, ProgressLine& progress) {
  RETURN_IF_ERROR(check_places(command));
  io::OsEnvironment os;
  SavedCoordinator coordinator;
  std::uint64_t shown_bytes = 0;
  log::Salvage salvage(os.environment(),
                       {.from = command.from,
                        .to = command.to,
                        .is_rehearsal = !command.executes,
                        .boot_id = io::read_boot_id(),
                        .cluster_id = property_of(os.disk(), command.from, "cluster.id"),
                        .on_progress =
                            [&](std::uint64_t done, std::uint64_t all) {
                              if (done >= shown_bytes + kProgressStepBytes) {
                                shown_bytes = done;
                                progress.show(done, all,
                                              fmt::format("{} of {} MiB", done >> 20, all >> 20));
                              }
                            }},
                       coordinator);
  RETURN_IF_ERROR(salvage.read());
  if (salvage.is_undecided()) {
    coordinator.leave_out_producer_ids(salvage.producer_id_max());
    RETURN_IF_ERROR(coordinator.abort_all(os.loop(), salvage));
  }
  RETURN_IF_ERROR(salvage.finish(coordinator.snapshot()));
  if (command.executes && !salvage.cluster_id().empty()) {
    RETURN_IF_ERROR(write_identity(os.disk(), command, salvage.cluster_id()));
  }
  return salvage.report();
}

}  // namespace

int run_salvage(const Arguments& arguments) {
  SalvageCommand command;
  CLI::App app(
      "save what can be read of a damaged log into a new data directory; DIR is not changed\n"
      "exit code 0: nothing is lost; 1: something is, and is told; 2: it cannot be done",
      "onceflow salvage");
  app.add_option("DIR", command.from, "the data directory that is damaged; its log must not run")
      ->required();
  app.add_option("--to", command.to, "the new one; not there yet, or empty")->required();
  app.add_flag("--execute", command.executes, "do it; without, this tells what it would do");
  app.add_flag("--json", command.json, "the report as JSON");
  if (const auto ended = parse_arguments(app, arguments)) {
    return *ended;
  }
  ProgressLine progress(!command.json && io::output_is_terminal());
  auto report = carry_out(command, progress);
  progress.clear();
  if (!report) {
    std::cerr << "onceflow salvage: " << report.error().text << '\n';
    return kExitUsage;
  }
  for (std::string& note : lost_states_of_pipelines(*report)) {
    report->notes.push_back(std::move(note));
  }
  std::cout << (command.json ? to_json(*report, command) : to_text(*report, command));
  return report->lost.empty() && report->lost_states.empty() ? kExitOk : kExitFailed;
}

}  // namespace onceflow::app
