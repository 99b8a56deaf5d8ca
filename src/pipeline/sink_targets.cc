#include "pipeline/sink_targets.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstddef>
#include <map>
#include <string_view>

#include "connectors/postgres_sink.h"

namespace onceflow::pipeline {
namespace {

// As SQLite folds names: ASCII alone.
std::string folded(std::string_view name) {
  std::string text(name);
  std::ranges::transform(text, text.begin(), [](char letter) {
    return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
  });
  return text;
}

// Without `.`, `..` and doubled slashes.
std::string one_path(std::string_view file) {
  std::vector<std::string_view> parts;
  for (std::size_t begin = 0; begin <= file.size();) {
    const std::size_t end = std::min(file.find('/', begin), file.size());
    const std::string_view part = file.substr(begin, end - begin);
    begin = end + 1;
    if (part == ".." && !parts.empty() && parts.back() != "..") {
      parts.pop_back();
    } else if (!part.empty() && part != ".") {
      parts.push_back(part);
    }
  }
  return fmt::format("{}{}", file.starts_with('/') ? "/" : "", fmt::join(parts, "/"));
}

// The schema that a name without one is looked for in.
std::string one_table(const std::string& table) {
  constexpr std::string_view kPublic = "public.";
  return table.starts_with(kPublic) ? table.substr(kPublic.size()) : table;
}

}  // namespace

std::string target_of(const SinkSpec& sink) {
  switch (sink.kind) {
    case SinkKind::kKafka:
      return "topic " + sink.topic;
    case SinkKind::kSqlite:
      return fmt::format("sqlite {} {}", one_path(sink.file), folded(sink.table));
    case SinkKind::kPostgres:
      return fmt::format("postgres {} {}", connectors::name_postgres_database(sink.dsn),
                         one_table(sink.table));
  }
  return {};
}

std::vector<Problem> check_column_names(const SinkSpec& sink,
                                        const std::vector<ResolvedColumn>& columns) {
  const bool folds = sink.kind == SinkKind::kSqlite;
  std::vector<Problem> problems;
  std::map<std::string, std::string> taken;
  for (const ResolvedColumn& resolved : columns) {
    const std::string& name = resolved.column.name;
    const auto [place, is_new] = taken.emplace(folds ? folded(name) : name, name);
    if (!is_new) {
      problems.push_back(
          {sink.line,
           fmt::format("table {} of sink {} would have columns {} and {}", sink.table, sink.id,
                       place->second, name),
           "SQLite does not tell upper from lower case in names, so they are one column",
           "rename one of them, in the aggregate or in the sink's `columns`"});
    }
    if (folded(name) == connectors::kSourceColumn) {
      problems.push_back(
          {sink.line,
           fmt::format("table {} of sink {} would have a column {}", sink.table, sink.id, name),
           "names that begin with onceflow_ are ours: positions, receipts, the row's source",
           "rename it, in the aggregate or in the sink's `columns`"});
    }
  }
  return problems;
}

}  // namespace onceflow::pipeline
