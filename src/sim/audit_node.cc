#include "sim/audit_node.h"

#include "audit/auditor.h"
#include "audit/kafka_log_reader.h"
#include "proof/audit_subject.h"
#include "sim/sim_table_reader.h"

namespace onceflow::sim {

namespace {

constexpr Duration kAuditMax = seconds(600);
constexpr std::string_view kNode = "auditor";

using Verdict = std::optional<Result<audit::AuditReport>>;

Task<void> run_audit(SimProcess& process, audit::AuditSubject subject,
                     const SimDatabase::Image& image, Verdict& verdict) {
  audit::KafkaLogReader reader(process.environment(), {.bootstrap_servers = {{"broker", 9092}}});
  const audit::OpenTable open_table =
      [&image](const audit::TableSubject& table,
               const audit::MustStop&) -> Result<std::unique_ptr<audit::TableReader>> {
    return std::make_unique<SimTableReader>(image, table);
  };
  audit::Auditor auditor(std::move(subject), reader, open_table,
                         {.aggregate_states = audit::AggregateStates::kCompared});
  verdict = co_await auditor.run();
}

}  // namespace

Result<audit::AuditReport> audit_in_world(SimWorld& world, const pipeline::PlannedPipeline& planned,
                                          const SimDatabase::Image& image) {
  Verdict verdict;
  SimNode& node =
      world.add_node({.name = std::string(kNode),
                      .boot =
                          [&](SimProcess& process) {
                            process.scheduler().spawn(
                                run_audit(process, proof::audit_subject(planned), image, verdict));
                          },
                      .suffers_faults = false});
  const bool is_over = world.run_until([&] { return verdict.has_value(); }, kAuditMax);
  world.remove_node(node);
  return is_over ? *std::move(verdict)
                 : fail(ErrorCode::kTimedOut, "the audit did not come to an end");
}

}  // namespace onceflow::sim
