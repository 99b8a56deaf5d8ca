// Auditor: judges a pipeline by what it has left behind: reads receipts, positions, topics and
// tables, and compares every claim of theirs with what is stored. It shares formats with what it
// judges, never code (D9). What is missing, doubled or altered it reports by name (AUD-1).
//
// The pipeline may be running. What is judged are the receipts that were committed when the audit
// began; whatever they speak of is read after them, so it must be there. What came later is
// recognised, not judged.
//
// Owned by the program or the simulator; runs on the thread of its LogReader's scheduler and blocks
// it while it reads tables.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "audit/claims/aggregate_state.h"
#include "audit/claims/table_rows.h"
#include "audit/definition_records.h"
#include "audit/log_reader.h"
#include "audit/receipts.h"
#include "audit/report.h"
#include "audit/stage_history.h"
#include "audit/subject.h"
#include "audit/table_reader.h"
#include "base/seeded_bug.h"

namespace onceflow::audit {

enum class AggregateStates {
  kNotCompared,
  kCompared,  ///< with what was written of each key; keeps the last value of every key in memory
};

struct AuditOptions {
  Strangers strangers = Strangers::kRefused;
  AggregateStates aggregate_states = AggregateStates::kNotCompared;
  std::size_t findings_kept_max = 20;  ///< of each kind
  /// How often the reader pauses for markers that may be on their way.
  int marker_pauses_max = 40;
  /// While a table is read the thread is blocked, so the audit asks; nothing: it is never ended.
  MustStop must_stop;
  SeededBug seeded_bug = SeededBug::kNone;
};

/// How far an audit has come, for people.
struct AuditProgress {
  std::string doing;  ///< "reading orders-3"
  std::int64_t steps_done = 0;
  std::int64_t steps = 0;
};

class Auditor {
 public:
  Auditor(AuditSubject subject, LogReader& reader, OpenTable open_table, AuditOptions options);
  ~Auditor();

  void on_progress(std::function<void(const AuditProgress&)> report) {
    on_progress_ = std::move(report);
  }

  /// Committed records that wait to be processed, over all stages in order: zero means that
  /// everything which was there when this was called has reached the last sink. -1: many, not
  /// counted.
  Task<Result<std::int64_t>> lag();

  /// Once. An error: it cannot be judged, for the text's reason.
  Task<Result<AuditReport>> run();

 private:
  Task<Status> read_starts();
  Task<Status> read_receipts();
  Task<Status> read_topics();
  /// Of topics between stages that the file has left, with what is unread there.
  Task<Status> read_left_topics();
  Task<Status> read_later_receipts();
  Task<Status> read_positions(StageHistory& history);
  Task<Status> read_table(StageHistory& history);
  /// Of a database without a table that the stage could have written, and without one of ours.
  void tell_nothing_is_there(const StageSubject& stage);
  Status read_table_receipts(StageHistory& history, TableReader& table, TableClaim& claim);
  /// Of what the pipeline has left in the table.
  Status read_former_receipts(const std::string& stage, TableReader& table, TableClaim& claim);
  Status judge_strangers(TableReader& table, TableClaim& claim);
  Status check_stop() const;
  Task<Result<std::vector<TopicPartition>>> partitions_of(std::vector<std::string> topics);
  Task<Result<std::int64_t>> lag_of(const StageSubject& stage);
  void add_former(ReceiptEntry entry);
  void add_receipts(std::vector<ReceiptEntry> entries, bool is_settled);
  /// Source and output topics, of the file and of receipts: a file names no topic that it has left.
  std::set<std::string> topics_to_read() const;
  bool is_of_receipts_alone(const std::string& topic) const;
  RecordObserver* observer_of(const TopicPartition& partition);
  void judge();
  void judge_aggregate(const StageHistory& history);
  /// Reads again what is too many somewhere, to name it.
  Task<void> name_records();
  void report_stage(const StageHistory& history);
  void report_defects();
  std::set<Offset> boundaries_of(const TopicPartition& partition) const;
  bool is_written(const std::string& topic) const;
  bool is_written_at_least_once(const std::string& topic) const;
  void progress(std::string doing);

  AuditSubject subject_;
  LogReader& reader_;
  OpenTable open_table_;
  AuditOptions options_;
  std::function<void(const AuditProgress&)> on_progress_;
  std::int64_t steps_done_ = 0;
  std::int64_t steps_ = 0;
  ReceiptLog receipts_;
  DefinitionRecords definitions_;
  std::vector<StageHistory> histories_;
  /// Of stages that the file does not name (any more), by their names: what they wrote is theirs.
  std::map<std::string, StageSubject> former_subjects_;
  std::vector<StageHistory> former_;
  /// Of changelogs and what goes with them, if they are compared. Before the scans, which see them.
  LastValuesOf last_values_;
  Scans scans_;
  std::map<std::string, std::int64_t> rows_verified_;
  AuditReport report_;
};

}  // namespace onceflow::audit
