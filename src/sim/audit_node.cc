#include "sim/audit_node.h"

#include "audit/auditor.h"
#include "audit/kafka_log_reader.h"
#include "proof/audit_subject.h"
#include "sim/sim_table_reader.h"
#include "sim/visitor.h"

namespace onceflow::sim {

namespace {
constexpr Duration kAuditMax = seconds(600);
}  // namespace

Result<audit::AuditReport> audit_in_world(SimWorld& world, const pipeline::PlannedPipeline& planned,
                                          const SimDatabase::Image& image) {
  const audit::OpenTable open_table =
      [&image](const audit::TableSubject& table,
               const audit::MustStop&) -> Result<std::unique_ptr<audit::TableReader>> {
    return std::make_unique<SimTableReader>(image, table);
  };
  Result<audit::AuditReport> verdict =
      fail(ErrorCode::kTimedOut, "the audit did not come to an end");
  run_visitor(
      world, "auditor",
      [&](SimProcess& process) -> Task<void> {
        audit::KafkaLogReader reader(process.environment(),
                                     {.bootstrap_servers = {{"broker", 9092}}});
        audit::Auditor auditor(proof::audit_subject(planned), reader, open_table,
                               {.aggregate_states = audit::AggregateStates::kCompared,
                                .seeded_bug = world.seeded_bug()});
        verdict = co_await auditor.run();
      },
      kAuditMax);
  return verdict;
}

}  // namespace onceflow::sim
