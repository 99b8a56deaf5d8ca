#include "app/pipeline_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <variant>

#include "base/utf8.h"
#include "io/os/os_environment.h"

namespace onceflow::app {

std::optional<pipeline::PlannedPipeline> load_pipeline_file(const std::string& path) {
  io::OsEnvironment os;
  const Result<Buffer> text = io::read_file(os.disk(), path);
  if (!text) {
    fmt::print(stderr, "{}: {}; the rule: a pipeline file is named; the fix: check the path\n",
               printable(path), printable(text.error().text));
    return std::nullopt;
  }
  auto planned = pipeline::plan_file(path, as_text(*text), pipeline::process_variables());
  if (!planned) {
    fmt::print(stderr, "{}", pipeline::describe(printable(path), planned.error()));
    return std::nullopt;
  }
  return std::move(*planned);
}

Tables tables_of(const pipeline::PlannedPipeline& planned) {
  const bool has_table = std::ranges::any_of(planned.plan.stages, [](const engine::Stage& stage) {
    return std::holds_alternative<engine::SinkOutput>(stage.output);
  });
  return has_table ? Tables::kSome : Tables::kNone;
}

}  // namespace onceflow::app
