#include "pipeline/foreign_words.h"

#include <algorithm>
#include <iterator>
#include <string>

namespace onceflow::pipeline {
namespace {

constexpr std::string_view kWhere =
    "write `where: EXPRESSION`, which keeps the records for which it is true";
constexpr std::string_view kSet =
    "write `set: { $.field: EXPRESSION }`; the columns of a database are its sink's `columns`";
constexpr std::string_view kKey =
    "write `key: EXPRESSION`; an `aggregate` in the same step groups by it";
constexpr std::string_view kAggregate = "write `aggregate: { name: count(*) }` beside a `key`";
constexpr std::string_view kNoExpansion =
    "there is none in this version: a record becomes one record, or none by `where`";
constexpr std::string_view kNoJoin =
    "there is none in this version: a step sees one record, and an aggregate the records of a key";
constexpr std::string_view kNoWindow =
    "there are none in this version; put the time into the key, for example `key: { region: "
    "$.region, day: \"date($.at)\" }`";
constexpr std::string_view kNoBranch =
    "there is none in this version: every sink gets every record; write a pipeline for each "
    "branch, with a `where` of its own";
constexpr std::string_view kNoDeadLetters =
    "there are none in this version: a record that cannot be processed stops the pipeline; keep it "
    "out by a step before: `- { id: known, where: \"value is null or json_valid(value)\" }`";
constexpr std::string_view kSinks =
    "write `sinks:`, and below it a list: `- kafka: { topic: T }`, `- sqlite: { file: F, table: T "
    "}`, `- postgres: { dsn: D, table: T }`";
constexpr std::string_view kSource = "write `source: { kafka: { topics: [orders] } }`";
constexpr std::string_view kServers = "write `bootstrap.servers: host:port` at the top of the file";
constexpr std::string_view kReset = "write `auto.offset.reset: earliest`, or `latest`";
constexpr std::string_view kWorkers =
    "it is not in the file: start more workers, each by `onceflow run FILE --worker NAME`";
constexpr std::string_view kComment = "nothing reads it; write it as a comment, after a `#`";
constexpr std::string_view kNoSecurity =
    "there is none in this version: connections to Kafka are plaintext; a database's are in its "
    "`dsn`";
constexpr std::string_view kNoSystem =
    "there is none in this version: sinks are kafka, sqlite and postgres, the source is kafka";
constexpr std::string_view kUpsert = "write `mode: upsert` and `key: [COLUMN]`";
constexpr std::string_view kDsn =
    "write `dsn: \"host=H dbname=D user=U password=${env:PG_PASSWORD}\"`";
constexpr std::string_view kBesideSystem =
    "`id` stands beside the system, not in it: `- { id: NAME, sqlite: { file: F, table: T } }`";
constexpr std::string_view kInSystem =
    "it stands in the system, not beside it: `- sqlite: { file: F, table: T, mode: upsert }`";
constexpr std::string_view kNotSettable = "it cannot be set in this version";

constexpr ForeignWord kWords[] = {
    // Steps.
    {"", "filter", "where", kWhere},
    {"", "filternot", "where", "write `where: not (EXPRESSION)`"},
    {"", "drop", "where", "write `where: not (EXPRESSION)`"},
    {"", "reject", "where", "write `where: not (EXPRESSION)`"},
    {"", "condition", "where", kWhere},
    {"", "predicate", "where", kWhere},
    {"", "when", "where", kWhere},
    {"", "if", "where", kWhere},
    {"", "having", "where", "write a step after the aggregate: `where: $.n > 1`"},
    {"", "map", "set", kSet},
    {"", "mapvalues", "set", kSet},
    {"", "transform", "set", kSet},
    {"", "transforms", "set", kSet},
    {"", "mapping", "set", kSet},
    {"", "project", "set", kSet},
    {"", "select", "set", kSet},
    {"", "mutate", "set", kSet},
    {"", "addfield", "set", kSet},
    {"", "compute", "set", kSet},
    {"", "rename", "set", kSet},
    {"", "remove", "",
     "there is none in this version; name the fields that you need in the "
     "sink's `columns`"},
    {"", "flatmap", "", kNoExpansion},
    {"", "explode", "", kNoExpansion},
    {"", "unnest", "", kNoExpansion},
    {"", "split", "", kNoExpansion},
    {"", "flatten", "", kNoExpansion},
    {"", "join", "", kNoJoin},
    {"", "leftjoin", "", kNoJoin},
    {"", "lookup", "", kNoJoin},
    {"", "enrich", "", kNoJoin},
    {"", "merge", "", "write `topics: [a, b]`: several topics are read as one"},
    {"", "union", "", "write `topics: [a, b]`: several topics are read as one"},
    {"", "windows", "", kNoWindow},
    {"", "windowedby", "", kNoWindow},
    {"", "tumbling", "", kNoWindow},
    {"", "hopping", "", kNoWindow},
    {"", "session", "", kNoWindow},
    {"", "watermark", "", kNoWindow},
    {"", "eventtime", "", kNoWindow},
    {"", "branch", "", kNoBranch},
    {"", "route", "", kNoBranch},
    {"", "router", "", kNoBranch},
    {"", "switch", "", kNoBranch},
    {"", "fork", "", kNoBranch},
    {"", "dlq", "", kNoDeadLetters},
    {"", "deadletter", "", kNoDeadLetters},
    {"", "deadletters", "", kNoDeadLetters},
    {"", "deadletterqueue", "", kNoDeadLetters},
    {"", "onerror", "", kNoDeadLetters},
    {"", "onfailure", "", kNoDeadLetters},
    {"", "errors", "", kNoDeadLetters},
    {"", "errorhandling", "", kNoDeadLetters},
    {"", "retry", "", kNoDeadLetters},
    {"", "retries", "", kNoDeadLetters},
    {"", "groupby", "key", kKey},
    {"", "groupbykey", "key", kKey},
    {"", "partitionby", "key", kKey},
    {"", "repartition", "key", kKey},
    {"", "keyby", "key", kKey},
    {"", "selectkey", "key", kKey},
    {"", "rekey", "key", kKey},
    {"", "reduce", "aggregate", kAggregate},
    {"", "fold", "aggregate", kAggregate},
    {"", "aggregates", "aggregate", kAggregate},
    {"", "aggregation", "aggregate", kAggregate},
    {"", "aggregations", "aggregate", kAggregate},
    {"step", "count", "aggregate", kAggregate},
    {"step", "sum", "aggregate", kAggregate},
    {"step", "min", "aggregate", kAggregate},
    {"step", "max", "aggregate", kAggregate},
    {"step", "avg", "aggregate", kAggregate},
    {"", "distinct", "",
     "there is none in this version; `key` and `aggregate: { n: count(*) }` "
     "keep one result for each key"},
    {"", "deduplicate", "",
     "there is none in this version; `key` and `aggregate: { n: count(*) }` "
     "keep one result for each key"},
    {"", "dedup", "",
     "there is none in this version; `key` and `aggregate: { n: count(*) }` keep "
     "one result for each key"},
    {"", "orderby", "", "there is none in this version: records keep the order of their partition"},
    {"", "sort", "", "there is none in this version: records keep the order of their partition"},
    {"", "limit", "", "there is none in this version: a pipeline has no end"},
    {"", "sql", "", "a step is one of where, set, key and aggregate; each takes SQL expressions"},
    {"", "query", "", "a step is one of where, set, key and aggregate; each takes SQL expressions"},
    {"step", "name", "id", "write `id: …`"},
    {"step", "type", "", "a step says what it does by its key: where, set, key or aggregate"},
    // The file.
    {"", "sink", "sinks", kSinks},
    {"", "output", "sinks", kSinks},
    {"", "outputs", "sinks", kSinks},
    {"", "to", "sinks", kSinks},
    {"", "destination", "sinks", kSinks},
    {"", "target", "sinks", kSinks},
    {"", "sources", "source", kSource},
    {"", "input", "source", kSource},
    {"", "inputs", "source", kSource},
    {"", "from", "source", kSource},
    {"the file", "topic", "source", kSource},
    {"the file", "topics", "source", kSource},
    {"the file", "kafka", "source", kSource},
    {"the file", "pipeline", "steps", "write `steps:`, and below it a list: `- id: …`"},
    {"the file", "processors", "steps", "write `steps:`, and below it a list: `- id: …`"},
    {"the file", "operators", "steps", "write `steps:`, and below it a list: `- id: …`"},
    {"the file", "stages", "steps", "write `steps:`, and below it a list: `- id: …`"},
    {"the file", "id", "name", "write `name: …`"},
    {"", "brokers", "bootstrap.servers", kServers},
    {"", "broker", "bootstrap.servers", kServers},
    {"", "servers", "bootstrap.servers", kServers},
    {"source.kafka", "bootstrapservers", "", kServers},
    {"", "processingguarantee", "guarantee", "write `guarantee: exactly_once` or `at_least_once`"},
    {"", "guarantees", "guarantee", "write `guarantee: exactly_once` or `at_least_once`"},
    {"", "deliveryguarantee", "guarantee", "write `guarantee: exactly_once` or `at_least_once`"},
    {"", "exactlyonce", "guarantee", "write `guarantee: exactly_once`"},
    {"", "checkpointinterval", "commit.interval.ms", "write `commit.interval.ms: 100`"},
    {"", "flushinterval", "commit.interval.ms", "write `commit.interval.ms: 100`"},
    {"", "commitinterval", "commit.interval.ms", "write `commit.interval.ms: 100`"},
    {"", "parallelism", "", kWorkers},
    {"", "concurrency", "", kWorkers},
    {"", "workers", "", kWorkers},
    {"", "threads", "", kWorkers},
    {"", "numstreamthreads", "", kWorkers},
    {"", "tasksmax", "", kWorkers},
    {"", "version", "", kComment},
    {"", "apiversion", "", kComment},
    {"", "description", "", kComment},
    {"", "metadata", "", kComment},
    {"", "labels", "", kComment},
    {"the file", "kind", "", kComment},
    {"", "tls", "", kNoSecurity},
    {"", "ssl", "", kNoSecurity},
    {"", "sasl", "", kNoSecurity},
    {"", "securityprotocol", "", kNoSecurity},
    {"", "saslmechanism", "", kNoSecurity},
    {"", "saslusername", "", kNoSecurity},
    {"", "saslpassword", "", kNoSecurity},
    {"", "sasljaasconfig", "", kNoSecurity},
    {"", "sslcalocation", "", kNoSecurity},
    // The source.
    {"source", "topics", "kafka", kSource},
    {"source", "topic", "kafka", kSource},
    {"source.kafka", "topic", "topics", "write `topics: [T]`"},
    {"source.kafka", "topicspattern", "topics", "topics are named one by one: `topics: [a, b]`"},
    {"source.kafka", "topicpattern", "topics", "topics are named one by one: `topics: [a, b]`"},
    {"source.kafka", "group", "group.id", "write `group.id: …`"},
    {"source.kafka", "consumergroup", "group.id", "write `group.id: …`"},
    {"source.kafka", "offset", "auto.offset.reset", kReset},
    {"source.kafka", "offsets", "auto.offset.reset", kReset},
    {"source.kafka", "startingoffsets", "auto.offset.reset", kReset},
    {"source.kafka", "startupmode", "auto.offset.reset", kReset},
    {"source.kafka", "scanstartupmode", "auto.offset.reset", kReset},
    {"source.kafka", "isolationlevel", "", "it is read_committed, always"},
    {"source.kafka", "format", "", "there is none: values are JSON to expressions, else bytes"},
    {"source.kafka", "enableautocommit", "", "positions move in the commit of the stage, always"},
    // Sinks.
    {"kafka", "topics", "topic",
     "write `topic: T`; a sink has one topic, further ones are sinks "
     "of their own"},
    {"kafka", "key", "",
     "the key is the record's own; a step sets it: `- { id: by-region, key: "
     "$.region }`"},
    {"kafka", "value", "", "the value is the record's own; a step sets its fields by `set`"},
    {"kafka", "partition", "", "the key decides the partition, as in Kafka's own clients"},
    {"kafka", "partitioner", "", "the key decides the partition, as in Kafka's own clients"},
    {"kafka", "headers", "", "headers go with their record as they are"},
    {"kafka", "acks", "", "it is `all`, always"},
    {"kafka", "transactionalid", "", "it is made of pipeline, stage and worker"},
    {"kafka", "compressiontype", "", kNotSettable},
    {"kafka", "format", "", "there is none: a value is written as the bytes that it is"},
    {"a sink", "topic", "kafka", "write `- kafka: { topic: T }`"},
    {"a sink", "table", "",
     "write `- sqlite: { file: F, table: T }` or `- postgres: { dsn: D, "
     "table: T }`"},
    {"a sink", "postgresql", "postgres", "write `postgres: { dsn: D, table: T }`"},
    {"a sink", "pg", "postgres", "write `postgres: { dsn: D, table: T }`"},
    {"a sink", "jdbc", "", kNoSystem},
    {"a sink", "sqlite3", "sqlite", "write `sqlite: { file: F, table: T }`"},
    {"a sink", "type", "", "a sink says its system by its key: kafka, sqlite or postgres"},
    {"a sink", "name", "id", "write `id: …`"},
    {"sqlite", "id", "", kBesideSystem},
    {"postgres", "id", "", kBesideSystem},
    {"kafka", "id", "", kBesideSystem},
    {"a sink", "file", "", kInSystem},
    {"a sink", "dsn", "", kInSystem},
    {"a sink", "mode", "", kInSystem},
    {"a sink", "columns", "", kInSystem},
    {"a sink", "key", "", kInSystem},
    {"", "mysql", "", kNoSystem},
    {"", "redis", "", kNoSystem},
    {"", "http", "", kNoSystem},
    {"", "webhook", "", kNoSystem},
    {"", "s3", "", kNoSystem},
    {"", "files", "", kNoSystem},
    {"", "mongodb", "", kNoSystem},
    {"", "elasticsearch", "", kNoSystem},
    {"", "stdout", "", kNoSystem},
    {"", "console", "", kNoSystem},
    {"source", "postgres", "", kNoSystem},
    {"source", "sqlite", "", kNoSystem},
    {"source", "file", "", kNoSystem},
    {"sqlite", "path", "file", "write `file: data.db`"},
    {"sqlite", "database", "file", "write `file: data.db`"},
    {"sqlite", "dsn", "file", "write `file: data.db`"},
    {"postgres", "url", "dsn", kDsn},
    {"postgres", "uri", "dsn", kDsn},
    {"postgres", "connection", "dsn", kDsn},
    {"postgres", "host", "dsn", kDsn},
    {"postgres", "port", "", kDsn},
    {"postgres", "database", "", kDsn},
    {"postgres", "dbname", "", kDsn},
    {"postgres", "user", "", kDsn},
    {"postgres", "password", "", kDsn},
    {"postgres", "file", "dsn", kDsn},
    {"postgres", "schema", "", "write `table: SCHEMA.TABLE`"},
    {"", "fields", "columns", "write `columns: { name: EXPRESSION }`"},
    {"", "primarykey", "key", kUpsert},
    {"", "onconflict", "mode", kUpsert},
    {"", "insertmode", "mode", kUpsert},
    {"", "upsert", "mode", kUpsert},
    {"", "batchsize", "", kNotSettable},
};

// As the table has it: people write group_by, groupBy, group-by and group.by.
std::string plain(std::string_view key) {
  std::string word;
  for (const char letter : key) {
    if (letter >= 'A' && letter <= 'Z') {
      word += static_cast<char>(letter - 'A' + 'a');
    } else if (letter != '_' && letter != '-' && letter != '.') {
      word += letter;
    }
  }
  return word;
}

}  // namespace

std::string_view foreign_value(std::string_view key, std::string_view value) {
  struct Row {
    std::string_view key;
    std::string_view value;
    std::string_view meant;
  };
  constexpr Row kRows[] = {
      {"type", "bigdecimal", "decimal"},
      {"type", "bigint", "integer"},
      {"type", "bool", "boolean"},
      {"type", "char", "text"},
      {"type", "double", "real"},
      {"type", "doubleprecision", "real"},
      {"type", "float", "real"},
      {"type", "float8", "real"},
      {"type", "int", "integer"},
      {"type", "int4", "integer"},
      {"type", "int64", "integer"},
      {"type", "int8", "integer"},
      {"type", "long", "integer"},
      {"type", "money", "decimal"},
      {"type", "number", "decimal"},
      {"type", "numeric", "decimal"},
      {"type", "smallint", "integer"},
      {"type", "string", "text"},
      {"type", "varchar", "text"},
      {"mode", "insert", "append"},
      {"mode", "merge", "upsert"},
      {"mode", "overwrite", "upsert"},
      {"mode", "replace", "upsert"},
      {"mode", "update", "upsert"},
      {"guarantee", "effectivelyonce", "exactly_once"},
      {"guarantee", "eos", "exactly_once"},
      {"guarantee", "exactlyoncev2", "exactly_once"},
      {"auto.offset.reset", "beginning", "earliest"},
      {"auto.offset.reset", "end", "latest"},
      {"auto.offset.reset", "largest", "latest"},
      {"auto.offset.reset", "smallest", "earliest"},
  };
  const std::string word = plain(value);
  const auto found = std::ranges::find_if(
      kRows, [&](const Row& row) { return row.key == key && row.value == word; });
  return found == std::end(kRows) ? std::string_view() : found->meant;
}

const ForeignWord* foreign_word(std::string_view place, std::string_view key) {
  const std::string word = plain(key);
  const bool is_step = place.starts_with("step ");
  const ForeignWord* everywhere = nullptr;
  for (const ForeignWord& row : kWords) {
    if (row.word != word) {
      continue;
    }
    if (row.place == place || (is_step && row.place == "step")) {
      return &row;
    }
    if (row.place.empty()) {
      everywhere = &row;
    }
  }
  return everywhere;
}

}  // namespace onceflow::pipeline
