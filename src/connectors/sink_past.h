// SinkPast: what a database keeps of a sink (positions, receipts, rows), and how it is taken away
// when a pipeline is begun anew. For `onceflow reset`; the calls block, and no worker of the sink
// may be alive: a claim that is under way waits, and is fenced.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "connectors/postgres_sink.h"
#include "connectors/sink.h"
#include "connectors/sqlite_sink.h"

namespace onceflow::connectors {

struct SinkPast {
  std::int64_t position_count = 0;
  std::int64_t receipt_count = 0;
  std::int64_t row_count = 0;  ///< of the user's table; 0 if it does not exist
  std::vector<ClaimedPartition> positions;
  /// Sinks of other pipelines that write the table, too, or may: "pipeline 'q', sink sqlite".
  std::vector<std::string> other_writers{};
  /// The rows that a reset of this pipeline takes away: all that name a record, or where others
  /// write the table, those that receipts of this pipeline know of.
  std::int64_t own_row_count = 0;
  /// Why rows cannot be taken away: nothing says of some whose they are; empty: they can.
  std::string contested{};
};

struct SinkReset {
  bool forgets_receipts = true;
  /// Those of SinkPast::own_row_count.
  bool deletes_rows = false;
  /// The rows that stay have no receipts of their own any more: others are left that list them
  /// (kept_stage()), so that the audit tells them from what others write later.
  bool lists_rows = false;
  /// The sink's positions from now on (kNoOffset: it begins anew); all others are as if nothing had
  /// been committed.
  std::vector<ClaimedPartition> positions;
  /// Encoded: it says that the sink begins at the positions; empty: none.
  std::string receipt{};
  std::int64_t now_ms = 0;  ///< wall clock, for the receipts that list rows
};

/// Creates nothing: a file or a table of ours that is missing is an empty past.
Result<SinkPast> read_sqlite_past(const SqliteSinkOptions& options, const SinkTable& table);
Result<SinkPast> read_postgres_past(const PostgresSinkOptions& options, const SinkTable& table);

/// As Sink::receipts_by_stage().
Result<protocol::ReceiptsByStage> read_sqlite_receipts(const SqliteSinkOptions& options,
                                                       const SinkTable& table);
Result<protocol::ReceiptsByStage> read_postgres_receipts(const PostgresSinkOptions& options,
                                                         const SinkTable& table);

/// kRefused, with all GRANTs at once: what the user of the database may not do and the reset needs.
Status check_postgres_rights(const PostgresSinkOptions& options, const SinkTable& table,
                             const SinkReset& reset);

/// A trial does all of it and rolls it back: what it does not refuse is not refused by what comes
/// after it, whatever refuses it: rights, triggers, foreign keys, a file that cannot be written.
enum class ResetRun : std::uint8_t { kTrial, kDone };

/// All of it in one transaction; our tables are made if they are missing. Epochs rise. The rows
/// that the table has from now on are accepted as they are.
Status reset_sqlite_sink(const SqliteSinkOptions& options, const SinkTable& table,
                         const SinkReset& reset, ResetRun run = ResetRun::kDone);
Status reset_postgres_sink(const PostgresSinkOptions& options, const SinkTable& table,
                           const SinkReset& reset, ResetRun run = ResetRun::kDone);

}  // namespace onceflow::connectors
