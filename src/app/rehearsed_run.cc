#include "app/rehearsed_run.h"

#include <utility>

#include "app/bootstrap_servers.h"
#include "app/pipeline_file.h"
#include "app/shell_words.h"
#include "app/worker_options.h"
#include "engine/worker.h"

namespace onceflow::app {

Task<engine::Rehearsal> rehearse_run(LogAtHand log, const pipeline::PlannedPipeline& plan,
                                     std::string file, bool skips_deleted, TellEvent tell) {
  const Tables tables = tables_of(plan);
  // No worker has an empty name, so it is none of those that live.
  engine::WorkerOptions options = worker_options_of(plan, {}, file);
  options.client.bootstrap_servers = log.cluster->options().bootstrap_servers;
  options.stage.skips_deleted = skips_deleted;
  options.stage.tell = [&](LogEvent event) {
    event.text = with_file_named(std::move(event.text), file, tables);
    tell(std::move(event));
  };
  engine::Worker worker(log.os.environment(), plan.plan, std::move(options));
  engine::Rehearsal found = co_await worker.rehearse();
  for (std::string& refusal : found.refusals) {
    refusal = with_file_named(std::move(refusal), file, tables);
  }
  for (std::string& unasked : found.unasked) {
    unasked = with_file_named(std::move(unasked), file, tables);
  }
  co_return found;
}

}  // namespace onceflow::app
