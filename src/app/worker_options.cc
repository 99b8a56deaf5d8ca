#include "app/worker_options.h"

#include <string_view>
#include <utility>

#include "io/os/file_identity.h"
#include "io/os/process_identity.h"
#include "pipeline/definition.h"
#include "pipeline/definition_spelling.h"
#include "pipeline/step_to_add.h"

namespace onceflow::app {
namespace {

engine::MemberLife life_of(std::string_view note) {
  switch (io::process_life(note)) {
    case io::ProcessLife::kAlive:
      return engine::MemberLife::kAlive;
    case io::ProcessLife::kDead:
      return engine::MemberLife::kDead;
    case io::ProcessLife::kUnknown:
      break;
  }
  return engine::MemberLife::kUnknown;
}

// The databases that are files. One whose directory is not there is refused by its sink.
std::vector<engine::DatabaseFile> databases_of(const pipeline::PipelineSpec& spec) {
  std::vector<engine::DatabaseFile> files;
  for (const pipeline::SinkSpec& sink : spec.sinks) {
    if (sink.kind != pipeline::SinkKind::kSqlite) {
      continue;
    }
    if (const auto place = io::file_place(sink.file)) {
      files.push_back({.sink = sink.id,
                       .place = protocol::definition_hash(place->directory + "/" + place->name),
                       .path = place->path});
    }
  }
  return files;
}

}  // namespace

engine::WorkerOptions worker_options_of(const pipeline::PlannedPipeline& planned,
                                        const std::string& worker, std::string file) {
  engine::WorkerOptions options;
  options.client.client_id = planned.plan.pipeline + "-" + worker;
  options.stage.worker = worker;
  options.stage.new_step_id = pipeline::free_step_id(planned.spec);
  const pipeline::GroupTimes& times = planned.spec.source.group_times;
  options.stage.group.session_timeout = times.session_timeout;
  options.stage.group.heartbeat_interval = times.heartbeat_interval;
  options.stage.group.rebalance_timeout = times.max_poll_interval;
  // A static member: a worker that was killed and starts again takes its own place back at once.
  options.stage.group.group_instance_id = planned.plan.pipeline + "-" + worker;
  options.stage.group.member_note = io::process_identity();
  options.databases = databases_of(planned.spec);
  options.place = {
      .rule = engine::PlaceRule::kRefuseIfHeld, .judge = life_of, .describe = io::describe_process};
  options.definition = pipeline::definition_of(planned);
  options.spelled_as = pipeline::spelled_as;
  options.file = std::move(file);
  return options;
}

}  // namespace onceflow::app
