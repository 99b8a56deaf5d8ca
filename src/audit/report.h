// AuditReport: the verdict of one audit, as values, as text and as JSON.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "audit/findings.h"
#include "base/ids.h"

namespace onceflow::audit {

struct PartitionReport {
  TopicPartition source;
  /// All before it is accounted for (onceflow_audit_verified_offset).
  Offset verified_offset = kNoOffset;
  Offset end_offset;
  std::int64_t not_yet_processed =
      0;  ///< committed records that no receipt covers yet: lag, not loss
};

struct StageReport {
  std::string stage;
  std::vector<std::string> sources;
  std::vector<std::string> outputs;
  bool reads_pipeline_input = false;  ///< its sources come from outside of the pipeline
  std::int64_t commit_count = 0;
  std::int64_t range_count = 0;
  std::int64_t records_in = 0;
  std::int64_t records_out = 0;  ///< written to topics, or rows written to the table
  std::int64_t rows_verified = 0;
  std::int64_t not_yet_processed = 0;
  std::int64_t finding_count = 0;
  std::vector<PartitionReport> partitions;
};

struct AuditReport {
  std::string pipeline;
  std::vector<StageReport> stages;
  Findings findings{20};
  /// Records of at_least_once outputs that are there more often than receipts say: allowed, so not
  /// findings.
  std::int64_t allowed_repeats = 0;
  /// Stages whose records were judged by more than one definition.
  std::int64_t redefined_stages = 0;
  bool has_receipts = true;
  /// A reset was begun and has not ended: what it has taken away by now nothing tells.
  bool is_being_reset = false;

  bool has_findings() const { return findings.count() > 0; }
  /// Nothing is wrong, but a part was skipped on purpose or could not be judged.
  bool is_partly() const {
    return !has_findings() &&
           (findings.skipped_offset_count() > 0 || findings.not_covered_count() > 0);
  }
  /// No stage has left a receipt: the pipeline never ran here, or not where the audit looked.
  bool has_judged_nothing() const { return !has_findings() && !has_receipts; }
  bool is_clean() const { return !has_findings() && !is_partly(); }
  /// Input records of the pipeline that are accounted for.
  std::int64_t input_records() const;
  std::int64_t not_yet_processed() const;
};

/// "clean — 20000 input records accounted for to the last row", "clean — 19990 input records
/// accounted for, 10 not yet processed", "2 findings (1 missing, 1 doubled)".
std::string verdict(const AuditReport& report);
std::string to_text(const AuditReport& report);
std::string to_json(const AuditReport& report);

}  // namespace onceflow::audit
