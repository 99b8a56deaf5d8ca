// AuditSubject: what is to be judged, as plain values: the stages of a pipeline, where each reads
// and where it leaves its output and its receipts. Made by whoever plans pipelines; the auditor
// shares no code with that (D9).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/value.h"

namespace onceflow::audit {

enum class TableKind { kSqlite, kPostgres };

struct ColumnSubject {
  std::string name;
  ColumnType type = ColumnType::kText;
  bool is_key = false;
};

struct TableSubject {
  TableKind kind = TableKind::kSqlite;
  /// A file, or a connection string. May hold a secret: never shown.
  std::string location;
  std::string table;
  /// Of several tables of one name says which it is; else empty.
  std::string full_name{};
  bool is_upsert = false;
  std::vector<ColumnSubject> columns;

  /// As people are told.
  const std::string& name() const { return full_name.empty() ? table : full_name; }
};

struct OutputTopicSubject {
  std::string name;
  /// Nobody but the pipeline may write here; a stranger's record is a finding without exception.
  bool is_internal = false;
};

/// A stage that keeps one state for each key, in a changelog, and writes it whenever it changes.
struct AggregateSubject {
  enum class Function { kCount, kSum, kMin, kMax, kAvg };
  struct Column {
    std::string name;  ///< of the member of the JSON object that is written
    Function function = Function::kCount;
  };
  std::string changelog_topic;
  std::vector<Column> columns;
};

struct StageSubject {
  std::string id;
  std::vector<std::string> source_topics;
  std::string group_id;
  /// With the changelog; empty where the output is a table.
  std::vector<OutputTopicSubject> output_topics;
  std::optional<TableSubject> table;
  std::optional<AggregateSubject> aggregate;
  /// False where a first start began at the end: what lies before the first receipt is not its
  /// input.
  bool begins_at_earliest = true;
  /// False: records may be processed again, and outputs are in no transactions.
  bool is_exactly_once = true;
};

struct AuditSubject {
  std::string pipeline;
  /// Where stages whose output is topics leave their receipts.
  std::string receipts_topic;
  /// In the order in which records meet them.
  std::vector<StageSubject> stages;
};

}  // namespace onceflow::audit
