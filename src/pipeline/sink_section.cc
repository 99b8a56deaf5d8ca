#include "pipeline/sink_section.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "pipeline/steps_section.h"

namespace onceflow::pipeline {
namespace {

constexpr std::size_t kTopicBytesMax = 249;
constexpr std::int64_t kInt32Max = std::numeric_limits<std::int32_t>::max();
constexpr std::size_t kColumnNameBytesMax = 63;  // PostgreSQL's limit

bool is_plain_name(std::string_view name) {
  const auto is_letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  return !name.empty() && name.size() <= kColumnNameBytesMax && is_letter(name.front()) &&
         std::ranges::all_of(name, [&](char c) { return is_letter(c) || (c >= '0' && c <= '9'); });
}

void check_plain_name(YamlReader& reader, const YAML::Node& node, std::string_view what,
                      const std::string& name) {
  if (!is_plain_name(name)) {
    reader.report(node, fmt::format("{} `{}`", what, name),
                  fmt::format("names in databases are letters, digits and `_`, beginning with a "
                              "letter, at most {}",
                              kColumnNameBytesMax),
                  "rename it");
  }
  if (name.starts_with("onceflow_")) {
    reader.report(node, fmt::format("{} `{}`", what, name),
                  "names that begin with onceflow_ are ours: positions, receipts, the row's source",
                  "rename it");
  }
}

void read_table(YamlReader& reader, const YAML::Node& node, const std::string& place,
                SinkSpec& sink) {
  const auto table = reader.require(node, "table", place, "add `table: …`");
  if (!table) {
    return;
  }
  sink.table = reader.setting(*table, "table").value_or("");
  // A PostgreSQL table may be in a schema.
  const std::size_t dot = sink.table.find('.');
  if (sink.kind == SinkKind::kPostgres && dot != std::string::npos) {
    check_plain_name(reader, *table, "schema", sink.table.substr(0, dot));
    check_plain_name(reader, *table, "table", sink.table.substr(dot + 1));
  } else if (!sink.table.empty()) {
    check_plain_name(reader, *table, "table", sink.table);
  }
}

void read_column(YamlReader& reader, const std::string& name, const YAML::Node& value,
                 SinkSpec& sink) {
  const std::string place = fmt::format("columns.{}", name);
  check_plain_name(reader, value, "column", name);
  std::optional<ColumnType> type;
  YAML::Node text = value;
  if (value.IsMap()) {
    if (!reader.check_map(value, place, {"value", "type"})) {
      return;
    }
    if (const auto node = reader.find(value, "type")) {
      if (const auto index =
              reader.choice(*node, "type", {kColumnTypeNames.begin(), kColumnTypeNames.end()})) {
        type = static_cast<ColumnType>(*index + 1);
      }
    }
    const auto inner = reader.require(value, "value", place, "add `value: …`");
    if (!inner) {
      return;
    }
    text = *inner;
  }
  const Numbers numbers = type == ColumnType::kDecimal ? Numbers::kExact : Numbers::kSql;
  if (auto expression = reader.expression(text, place, numbers)) {
    const ColumnType inferred = expression->type.value_or(ColumnType::kText);
    sink.columns.push_back({name, std::move(*expression), type.value_or(inferred)});
  }
}

void read_columns(YamlReader& reader, const YAML::Node& node, SinkSpec& sink) {
  const auto columns = reader.find(node, "columns");
  if (!columns || !reader.check_map(*columns, "`columns`", {})) {
    return;
  }
  for (const auto& [name, value] : YamlReader::entries(*columns)) {
    read_column(reader, name, value, sink);
  }
  if (columns->size() == 0) {
    reader.report(*columns, "`columns` is empty", "a table has columns",
                  "name them, or leave `columns` out");
  }
}

void read_mode_and_key(YamlReader& reader, const YAML::Node& node, SinkSpec& sink) {
  sink.mode_line = sink.line;
  if (const auto mode = reader.find(node, "mode")) {
    sink.mode_line = YamlReader::line_of(*mode);
    if (reader.choice(*mode, "mode", {"append", "upsert"}) == 1) {
      sink.mode = connectors::SinkMode::kUpsert;
    }
  }
  if (const auto key = reader.find(node, "key")) {
    sink.key_line = YamlReader::line_of(*key);
    sink.key = reader.settings(*key, "key");
    if (sink.mode == connectors::SinkMode::kAppend) {
      reader.report(*key, "`key` beside `mode: append`",
                    "append makes each record a new row and needs no key; upsert keeps one row a "
                    "key",
                    "write `mode: upsert`, or remove `key`");
    }
  }
}

void read_database(YamlReader& reader, const YAML::Node& node, SinkSpec& sink) {
  const bool is_sqlite = sink.kind == SinkKind::kSqlite;
  const std::string place = to_string(sink.kind);
  const std::string_view where = is_sqlite ? "file" : "dsn";
  if (!reader.check_map(node, place, {where, "table", "mode", "columns", "key"})) {
    return;
  }
  const auto target = reader.require(
      node, where, place, is_sqlite ? "add `file: data.db`" : "add `dsn: \"${env:PG_DSN}\"`");
  if (target) {
    (is_sqlite ? sink.file : sink.dsn) = reader.setting(*target, where).value_or("");
    if (sink.file == ":memory:" || sink.file.starts_with("file:")) {
      reader.report(*target, fmt::format("`file: {}`", sink.file),
                    "positions and rows must outlive the process",
                    "name a file on disk by its path");
    }
  }
  read_table(reader, node, place, sink);
  read_columns(reader, node, sink);
  read_mode_and_key(reader, node, sink);
}

void read_kafka(YamlReader& reader, const YAML::Node& node, SinkSpec& sink) {
  if (!reader.check_map(node, "kafka", {"topic", "max.message.bytes"})) {
    return;
  }
  if (const auto bytes = reader.find(node, "max.message.bytes")) {
    sink.message_bytes_max = reader.integer(*bytes, "max.message.bytes", 1, kInt32Max);
  }
  if (const auto topic = reader.require(node, "topic", "kafka", "add `topic: …`")) {
    sink.topic = reader.setting(*topic, "topic").value_or("");
    check_topic(reader, *topic, sink.topic);
  }
}

void read_sink(YamlReader& reader, const YAML::Node& node, PipelineSpec& spec) {
  const std::size_t problems_before = reader.problem_count();
  if (!reader.check_map(node, "a sink", {"id", "kafka", "sqlite", "postgres"})) {
    return;
  }
  SinkSpec sink;
  std::vector<YAML::Node> bodies;
  for (const SinkKind kind : {SinkKind::kKafka, SinkKind::kSqlite, SinkKind::kPostgres}) {
    if (const auto body = reader.find(node, to_string(kind))) {
      sink.kind = kind;
      bodies.push_back(*body);
    }
  }
  sink.line = YamlReader::line_of(node);
  if (bodies.size() != 1 && reader.problem_count() > problems_before) {
    return;  // What its system was meant to be has been answered.
  }
  if (bodies.size() != 1) {
    reader.report(node, bodies.empty() ? "a sink without a system" : "two systems in one sink",
                  "a sink is one of kafka, sqlite, postgres",
                  bodies.empty() ? "write for example `- kafka: { topic: paid-orders }`"
                                 : "begin each with a `-` of its own");
    return;
  }
  if (const auto id = reader.find(node, "id")) {
    sink.id = read_id(reader, *id);
  } else {
    const auto same = std::ranges::count(spec.sinks, sink.kind, &SinkSpec::kind);
    sink.id =
        same == 0 ? to_string(sink.kind) : fmt::format("{}-{}", to_string(sink.kind), same + 1);
  }
  if (sink.kind == SinkKind::kKafka) {
    read_kafka(reader, bodies.front(), sink);
  } else {
    read_database(reader, bodies.front(), sink);
  }
  spec.sinks.push_back(std::move(sink));
}

}  // namespace

bool is_topic_name(std::string_view name, std::size_t bytes_max) {
  return !name.empty() && name.size() <= bytes_max && name != "." && name != ".." &&
         std::ranges::all_of(name, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '.' || c == '_' || c == '-';
         });
}

void check_topic(YamlReader& reader, const YAML::Node& node, const std::string& topic) {
  if (!topic.empty() && !is_topic_name(topic, kTopicBytesMax)) {
    reader.report(
        node, fmt::format("topic `{}`", topic),
        fmt::format("a topic's name is letters, digits, `.`, `_`, `-`, at most {}", kTopicBytesMax),
        "mend the name");
  } else if (topic.starts_with("__")) {
    reader.report(node, fmt::format("topic `{}`", topic),
                  "topics that begin with __ are the broker's own", "take another topic");
  }
}

void read_sinks(YamlReader& reader, const YAML::Node& root, PipelineSpec& spec) {
  const auto sinks = reader.require(root, "sinks", "the file",
                                    "add `sinks:` and below it `- kafka: { topic: … }`");
  if (!sinks) {
    return;
  }
  if (!sinks->IsSequence() || sinks->size() == 0) {
    reader.report(*sinks, "`sinks` is not a list with an entry", "sinks are a list, one at least",
                  "begin each sink with `- kafka:`, `- sqlite:` or `- postgres:`");
    return;
  }
  for (const YAML::Node& node : *sinks) {
    read_sink(reader, node, spec);
  }
}

}  // namespace onceflow::pipeline
