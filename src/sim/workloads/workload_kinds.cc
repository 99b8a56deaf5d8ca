// All workloads, by name; the order is part of what a seed means. Stateless.
#include "sim/workloads/groups_workload.h"
#include "sim/workloads/log_workload.h"
#include "sim/workloads/pipeline_workload.h"
#include "sim/workloads/storage_workload.h"
#include "sim/workloads/transactions_workload.h"
#include "sim/workloads/workload.h"

namespace onceflow::sim {

namespace {
template <typename Kind>
std::unique_ptr<Workload> make(Findings& findings) {
  return std::make_unique<Kind>(findings);
}
}  // namespace

const std::vector<WorkloadKind>& workload_kinds() {
  static const std::vector<WorkloadKind> kinds = {
      {"log", make<LogWorkload>},
      {"pipeline", make<PipelineWorkload>},
      {"transactions", make<TransactionsWorkload>},
      {"groups", make<GroupsWorkload>},
      {"storage", make<StorageWorkload>},
      {"endings", make<EndingsWorkload>},
  };
  return kinds;
}

}  // namespace onceflow::sim
