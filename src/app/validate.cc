// onceflow validate: checks pipeline files and says what is wrong with them; starts nothing.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <iostream>
#include <string>
#include <vector>

#include "app/commands.h"
#include "app/masked_streams.h"
#include "app/parse_arguments.h"
#include "app/pipeline_file.h"
#include "pipeline/explain.h"
#include "pipeline/remarks.h"

namespace onceflow::app {

int run_validate(const Arguments& arguments) {
  CLI::App app("check pipeline files: their form, expressions, secrets and guarantee",
               "onceflow validate");
  std::vector<std::string> files;
  app.add_option("FILE", files, "pipeline files")->required();
  if (const auto ended = parse_arguments(app, arguments)) {
    return *ended;
  }
  int exit_code = kExitOk;
  for (const std::string& file : files) {
    if (const auto planned = load_pipeline_file(file)) {
      const MaskedStreams masked_streams(planned->spec.secrets);
      std::cout << fmt::format("{}: ok ({})\n", file, pipeline::summary(*planned));
      for (const pipeline::Problem& remark : pipeline::remarks_on(planned->spec)) {
        std::cout << fmt::format("note: {}\n", pipeline::describe(file, remark));
      }
    } else {
      exit_code = kExitUsage;
    }
  }
  return exit_code;
}

}  // namespace onceflow::app
