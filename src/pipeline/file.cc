#include "pipeline/file.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <limits>
#include <set>

#include "pipeline/group_times.h"
#include "pipeline/sink_section.h"
#include "pipeline/step_to_add.h"
#include "pipeline/steps_section.h"
#include "pipeline/yaml_reader.h"
#include "pipeline/yaml_text.h"

namespace onceflow::pipeline {
namespace {

constexpr std::size_t kPipelineNameBytesMax = 100;

// Kafka's rule; names of internal topics are built from it, so it stays shorter than a topic's.
void read_name(YamlReader& reader, const YAML::Node& root, PipelineSpec& spec) {
  const auto node = reader.require(root, "name", "the file", "add `name: …` as its first line");
  if (!node) {
    return;
  }
  spec.name = reader.setting(*node, "name").value_or("");
  if (!spec.name.empty() && !is_topic_name(spec.name, kPipelineNameBytesMax)) {
    reader.report(*node, fmt::format("`name: {}`", spec.name),
                  fmt::format("a pipeline's name is part of its topics' names: letters, digits, "
                              "`.`, `_`, `-`, at most {}",
                              kPipelineNameBytesMax),
                  "choose such a name");
  }
}

void read_guarantee(YamlReader& reader, const YAML::Node& root, PipelineSpec& spec) {
  const auto node = reader.find(root, "guarantee");
  if (!node) {
    return;
  }
  spec.guarantee_line = YamlReader::line_of(*node);
  if (reader.choice(*node, "guarantee", {"exactly_once", "at_least_once"}) == 1) {
    spec.guarantee = engine::Guarantee::kAtLeastOnce;
  }
}

bool is_address(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) {
    return false;
  }
  const std::string_view digits = text.substr(colon + 1);
  std::uint32_t port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  return error == std::errc{} && end == digits.data() + digits.size() && port > 0 && port < 65536;
}

void read_bootstrap_servers(YamlReader& reader, const YAML::Node& root, PipelineSpec& spec) {
  const auto node = reader.find(root, "bootstrap.servers");
  if (!node) {
    return;
  }
  for (const std::string& item : reader.settings(*node, "bootstrap.servers")) {
    // As Kafka's own setting: a comma separates as well.
    for (std::size_t begin = 0; begin <= item.size();) {
      const std::size_t comma = std::min(item.find(',', begin), item.size());
      std::string address = item.substr(begin, comma - begin);
      std::erase(address, ' ');
      if (!is_address(address)) {
        reader.report(*node, fmt::format("`{}` is no address", address),
                      "bootstrap.servers is a list of host:port",
                      "write for example "
                      "`bootstrap.servers: localhost:9092`");
      }
      spec.bootstrap_servers.push_back(std::move(address));
      begin = comma + 1;
    }
  }
}

void read_commit_interval(YamlReader& reader, const YAML::Node& root, PipelineSpec& spec) {
  const auto node = reader.find(root, "commit.interval.ms");
  if (!node) {
    return;
  }
  const std::string text = reader.scalar(*node, "commit.interval.ms").value_or("100");
  std::int64_t interval_ms = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), interval_ms);
  if (error != std::errc{} || end != text.data() + text.size() || interval_ms < 1 ||
      interval_ms > 60'000) {
    reader.report(*node, fmt::format("`commit.interval.ms: {}`", text),
                  "it is a whole number of milliseconds, from 1 to 60000",
                  "write for example `commit.interval.ms: 100`");
    return;
  }
  spec.commit_interval = milliseconds(interval_ms);
}

void read_request_size(YamlReader& reader, const YAML::Node& root, PipelineSpec& spec) {
  if (const auto node = reader.find(root, "max.request.size")) {
    spec.request_bytes_max =
        reader.integer(*node, "max.request.size", 1, std::numeric_limits<std::int32_t>::max());
  }
}

void read_source(YamlReader& reader, const YAML::Node& root, PipelineSpec& spec) {
  const std::string example = "add `source: { kafka: { topics: [orders] } }`";
  const auto source = reader.require(root, "source", "the file", example);
  if (!source || !reader.check_map(*source, "source", {"kafka"})) {
    return;
  }
  const auto kafka = reader.require(*source, "kafka", "source", example);
  if (!kafka || !reader.check_map(*kafka, "source.kafka",
                                  {"topics", "group.id", "auto.offset.reset", "session.timeout.ms",
                                   "heartbeat.interval.ms", "max.poll.interval.ms"})) {
    return;
  }
  spec.source.line = YamlReader::line_of(*kafka);
  if (const auto topics = reader.require(*kafka, "topics", "source.kafka", example)) {
    for (std::string& topic : reader.settings(*topics, "topics")) {
      check_topic(reader, *topics, topic);
      if (std::ranges::find(spec.source.topics, topic) != spec.source.topics.end()) {
        reader.report(*topics, fmt::format("topic {} stands twice", topic),
                      "a source reads a topic once", "remove one of them");
      }
      spec.source.topics.push_back(std::move(topic));
    }
  }
  spec.source.group_id = spec.name;
  if (const auto group = reader.find(*kafka, "group.id")) {
    spec.source.group_id = reader.setting(*group, "group.id").value_or("");
  }
  spec.source.group_times = read_group_times(reader, *kafka);
  if (const auto reset = reader.find(*kafka, "auto.offset.reset")) {
    if (reader.choice(*reset, "auto.offset.reset", {"earliest", "latest"}) == 1) {
      spec.source.offset_reset = engine::OffsetReset::kLatest;
    }
  }
}

void check_ids(YamlReader& reader, const PipelineSpec& spec) {
  std::set<std::string> ids;
  const auto add = [&](const std::string& id, int line) {
    if (!id.empty() && !ids.insert(id).second) {
      reader.report(line, fmt::format("the id `{}` is taken", id),
                    "steps and sinks have ids of their own, for positions are kept under them",
                    "choose another `id:`");
    }
  };
  for (const StepSpec& step : spec.steps) {
    add(step.id, step.line);
  }
  for (const SinkSpec& sink : spec.sinks) {
    add(sink.id, sink.line);
  }
}

}  // namespace

Variables process_variables() {
  return [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
  };
}

std::string to_string(SinkKind kind) {
  switch (kind) {
    case SinkKind::kKafka:
      return "kafka";
    case SinkKind::kSqlite:
      return "sqlite";
    case SinkKind::kPostgres:
      return "postgres";
  }
  return "unknown";
}

namespace {

// The first such line, from 1.
std::optional<int> line_indented_by_tab(std::string_view text) {
  int line = 1;
  bool is_indentation = true;
  for (const char letter : text) {
    if (letter == '\n') {
      ++line;
      is_indentation = true;
    } else if (letter == '\t' && is_indentation) {
      return line;
    } else if (letter != ' ') {
      is_indentation = false;
    }
  }
  return std::nullopt;
}

}  // namespace

std::expected<PipelineSpec, std::vector<Problem>> parse_pipeline(const std::string& file,
                                                                 std::string_view text,
                                                                 const Variables& variables) {
  YamlReader reader(variables);
  PipelineSpec spec;
  spec.file = file;
  if (text.size() > kFileBytesMax) {
    reader.report(1, fmt::format("{} bytes long", text.size()),
                  fmt::format("a pipeline file has at most {} bytes", kFileBytesMax),
                  "check that this is the right file");
    return std::unexpected(reader.take_problems());
  }
  if (std::vector<Problem> overlooked = problems_of_yaml_text(text); !overlooked.empty()) {
    return std::unexpected(std::move(overlooked));
  }
  try {
    const YAML::Node root = YAML::Load(std::string(text));
    if (root.IsNull()) {
      reader.report(1, "the file is empty", "a pipeline file has name, source, steps and sinks",
                    "begin with one of examples/");
    } else if (reader.check_map(root, "the file",
                                {"name", "guarantee", "bootstrap.servers", "commit.interval.ms",
                                 "max.request.size", "source", "steps", "sinks"})) {
      read_name(reader, root, spec);
      read_guarantee(reader, root, spec);
      read_bootstrap_servers(reader, root, spec);
      read_commit_interval(reader, root, spec);
      read_request_size(reader, root, spec);
      read_source(reader, root, spec);
      read_steps(reader, root, spec);
      read_sinks(reader, root, spec);
      check_ids(reader, spec);
    }
  } catch (const YAML::Exception& exception) {
    if (const auto line = line_indented_by_tab(text)) {
      reader.report(*line, "a tab stands in the indentation", "YAML indents with spaces",
                    "write spaces instead of the tab");
      return std::unexpected(reader.take_problems());
    }
    reader.report(exception.mark.is_null() ? 1 : exception.mark.line + 1,
                  fmt::format("not YAML: {}", exception.msg),
                  "a pipeline file is YAML; text that holds `: `, `#` or braces stands in quotes",
                  "mend the line, or the one before it");
  }
  if (reader.has_problems()) {
    return std::unexpected(with_free_step_ids(reader.take_problems(), spec));
  }
  spec.secrets = reader.secrets();
  return spec;
}

}  // namespace onceflow::pipeline
