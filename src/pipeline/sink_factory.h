// From a sink of the file to the function that makes the real one on a worker.
#pragma once

#include <functional>
#include <memory>

#include "connectors/sink.h"
#include "engine/topology.h"
#include "pipeline/spec.h"

namespace onceflow::pipeline {

std::function<Result<std::unique_ptr<connectors::Sink>>(io::Environment)> make_sink_factory(
    const SinkSpec& sink, const connectors::SinkTable& table);

}  // namespace onceflow::pipeline
