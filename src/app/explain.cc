// onceflow explain: the stages of a pipeline, the commit point of each, and the guarantee that
// follows; starts nothing.
#include <CLI/CLI.hpp>

#include <iostream>
#include <string>
#include <vector>

#include "app/commands.h"
#include "app/masked_streams.h"
#include "app/parse_arguments.h"
#include "app/pipeline_file.h"
#include "pipeline/explain.h"

namespace onceflow::app {

int run_explain(const Arguments& arguments) {
  CLI::App app("stages, commit points and the guarantee of a pipeline", "onceflow explain");
  std::string file;
  bool json = false;
  app.add_option("FILE", file, "a pipeline file")->required();
  app.add_flag("--json", json, "as a JSON object");
  if (const auto ended = parse_arguments(app, arguments)) {
    return *ended;
  }
  const auto planned = load_pipeline_file(file);
  if (!planned) {
    return kExitUsage;
  }
  const MaskedStreams masked_streams(planned->spec.secrets);
  std::cout << (json ? pipeline::explain_json(*planned) : pipeline::explain_text(*planned));
  return kExitOk;
}

}  // namespace onceflow::app
