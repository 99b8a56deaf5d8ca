// PipelineSpec: a pipeline file, checked. Lines are kept, so that what is found out later (a
// guarantee that cannot hold) can still name its place.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/secrets.h"
#include "connectors/sink.h"
#include "engine/topology.h"
#include "pipeline/expression.h"
#include "pipeline/operators.h"

namespace onceflow::pipeline {

/// A worker that dies loses its partitions to the others after the session; one that ends in order
/// gives them up at once.
struct GroupTimes {
  milliseconds session_timeout{10'000};
  milliseconds heartbeat_interval{1'000};
  milliseconds max_poll_interval{60'000};
};

struct SourceSpec {
  std::vector<std::string> topics;
  std::string group_id;  ///< group.id; the pipeline's name if the file has none
  engine::OffsetReset offset_reset = engine::OffsetReset::kEarliest;
  GroupTimes group_times;
  int line = 1;
};

struct NamedExpression {
  std::string name;
  Expression expression;
};

struct KeySpec {
  std::vector<NamedExpression> columns;
  int line = 1;
};

struct AggregateColumnSpec {
  engine::AggregateColumn column;
  std::optional<Expression> argument;  ///< none: count(*)
  ColumnType type = ColumnType::kReal;
};

struct AggregateStepSpec {
  std::vector<AggregateColumnSpec> columns;
  int line = 1;
};

/// Exactly one of where, set, key and aggregate is set; key may stand beside aggregate.
struct StepSpec {
  std::string id;
  int line = 1;
  std::optional<Expression> where;
  std::vector<Assignment> set;
  std::optional<KeySpec> key;
  std::optional<AggregateStepSpec> aggregate;
};

enum class SinkKind { kKafka, kSqlite, kPostgres };
std::string to_string(SinkKind kind);

struct SinkColumnSpec {
  std::string name;
  Expression expression;
  ColumnType type = ColumnType::kText;
};

struct SinkSpec {
  std::string id;
  SinkKind kind = SinkKind::kKafka;
  int line = 1;
  std::string topic;  ///< kafka
  std::optional<std::int64_t>
      message_bytes_max;  ///< kafka: max.message.bytes of a topic that is made
  std::string file;       ///< sqlite
  std::string dsn;        ///< postgres; never shown
  std::string table;
  connectors::SinkMode mode = connectors::SinkMode::kAppend;
  int mode_line = 1;
  std::vector<SinkColumnSpec> columns;  ///< empty: they follow from the steps
  std::vector<std::string> key;         ///< upsert; empty: the aggregate's key columns
  int key_line = 1;
};

struct PipelineSpec {
  std::string file;
  Secrets secrets;  ///< what any setting has taken from the environment; never shown
  std::string name;
  engine::Guarantee guarantee = engine::Guarantee::kExactlyOnce;
  int guarantee_line = 1;
  std::vector<std::string> bootstrap_servers;  ///< empty: the embedded log
  milliseconds commit_interval{100};
  std::optional<std::int64_t> request_bytes_max;  ///< max.request.size; absent: as the topics allow
  SourceSpec source;
  std::vector<StepSpec> steps;
  std::vector<SinkSpec> sinks;
};

}  // namespace onceflow::pipeline
