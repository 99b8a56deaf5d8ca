// Topology: what a pipeline is once it is planned; the same whether it came from a file or from
// C++.
//
// A plan is a list of stages, in the order in which records meet them. Every stage has exactly one
// commit point, in which its input positions move: a Kafka transaction, or a sink's transaction.
// Stages meet in topics; names of internal topics are Kafka Streams':
// <pipeline>-<step>-repartition, <pipeline>-<step>-changelog, and <pipeline>-receipts.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "base/value.h"
#include "connectors/sink.h"
#include "engine/record.h"
#include "io/environment.h"

namespace onceflow::engine {

/// Works on a chunk in place: drops records, replaces keys and values (from the chunk's arena).
/// Deterministic and without side effects: it may run any number of times on one record.
/// An error names the record (chunk.records[index].offset), the step, the rule and the fix; the
/// stage stops on it and nothing is skipped.
class Operator {
 public:
  virtual ~Operator() = default;
  virtual Status process(Chunk& chunk) = 0;
};

/// Computes values for every record: `width` of them a record, record after record. Text values are
/// views into the chunk (its arena or its records).
class Projection {
 public:
  virtual ~Projection() = default;
  virtual Status evaluate(Chunk& chunk, std::vector<Value>& values) = 0;
};

template <typename T>
using Factory = std::function<Result<std::unique_ptr<T>>()>;

enum class AggregateFunction { kCount, kSum, kMin, kMax, kAvg };

struct AggregateColumn {
  std::string name;
  AggregateFunction function = AggregateFunction::kCount;
  bool counts_all = false;  ///< count(*): the argument is not looked at; count(x) skips nulls
  bool is_decimal = false;  ///< its arguments are Decimals and null; its results are exact
};

/// Keyed aggregates without windows. Grouped by record key. The state of a key changes in memory
/// only after the transaction that carried the change has committed (STG-2). Each commit writes,
/// for every key it changed, one changelog record (the whole state) and one output record: key as
/// it is, value a JSON object of the key columns and the aggregates.
struct AggregateSpec {
  std::string step;
  std::string changelog_topic;
  std::vector<std::string> key_columns;  ///< names; a single one's value is the key's text
  std::vector<AggregateColumn> columns;
  Factory<Projection> arguments;  ///< one value per column
};

/// Records leave to a topic. The partition is chosen by the key's murmur2 hash, as Kafka's clients
/// do; without a key, the source partition modulo the count.
struct TopicOutput {
  std::string topic;
};

/// Rows leave to a sink.
struct SinkOutput {
  std::string kind;  ///< "sqlite", "postgres": for explain
  connectors::SinkTable table;
  /// One value per column of the table, already of the column's type (connectors/convert_value.h).
  Factory<Projection> columns;
  /// Makes the sink on the worker's environment.
  std::function<Result<std::unique_ptr<connectors::Sink>>(io::Environment)> make_sink;
};

struct Stage {
  std::string id;
  std::vector<std::string> source_topics;
  /// Consumer group of this stage: the user's group.id for the first, <pipeline>-<stage> after it.
  std::string group_id;
  std::vector<Factory<Operator>> operators;
  std::optional<AggregateSpec> aggregate;
  /// One sink output alone, or one or more topics (all in one Kafka transaction).
  std::variant<std::vector<TopicOutput>, SinkOutput> output;
};

/// A topic the runner creates before it starts, if it is missing.
struct TopicSpec {
  std::string name;
  /// 0: as many as the first source topic has.
  std::int32_t partition_count = 0;
  bool compacted = false;
  /// Made by the planner, not named by the user: kept for ever (retention.ms=-1,
  /// retention.bytes=-1).
  bool is_internal = true;
  /// max.message.bytes it is made with; absent: an internal topic takes what the sources can bring,
  /// any other the broker's default.
  std::optional<std::int64_t> message_bytes_max = std::nullopt;
  /// Named in the file: its settings are the user's, whether the runner has made it or not.
  bool is_users = false;
};

enum class Guarantee { kExactlyOnce, kAtLeastOnce };

/// Where a stage begins in a partition for which nothing was ever committed. Only the pipeline's
/// own source topics may begin at the end; internal topics are always read from their beginning.
enum class OffsetReset { kEarliest, kLatest };

struct Plan {
  std::string pipeline;
  Guarantee guarantee = Guarantee::kExactlyOnce;
  std::string receipts_topic;
  std::vector<TopicSpec> topics;
  std::vector<Stage> stages;
  milliseconds commit_interval{100};
  std::optional<std::int64_t> request_bytes_max;  ///< max.request.size; absent: as the topics allow
  OffsetReset offset_reset = OffsetReset::kEarliest;  ///< of the first stage
};

}  // namespace onceflow::engine
