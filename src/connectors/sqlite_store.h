// SqliteStore: what the SQLite sink does, as calls that block. Used by one thread at a time.
//
// States: closed, open. claim() opens; any error that leaves the connection's state in doubt closes
// it, and the next claim() opens it again.
#pragma once

#include <expected>
#include <memory>
#include <string>
#include <vector>

#include "connectors/sink.h"
#include "connectors/sqlite_connection.h"
#include "connectors/sqlite_sink.h"
#include "connectors/sqlite_table.h"

namespace onceflow::connectors {

class SqliteStore {
 public:
  SqliteStore(SqliteSinkOptions options, SinkTable table);

  Result<std::vector<ClaimedPartition>> claim(const std::vector<TopicPartition>& partitions);
  Result<std::vector<ClaimedPartition>> look(const std::vector<TopicPartition>& partitions);
  Result<std::string> check_rows_past(const std::vector<ClaimedPartition>& positions);
  CommitOutcome commit(const SinkCommit& commit);
  Result<std::vector<ClaimedPartition>> read_positions(
      const std::vector<TopicPartition>& partitions);
  Result<protocol::ReceiptsByStage> receipts_by_stage() const;

 private:
  Status open();
  void close();
  /// `end`: COMMIT or ROLLBACK.
  Result<std::vector<ClaimedPartition>> claim_in_transaction(
      const std::vector<TopicPartition>& partitions, const char* end);
  /// Creates what is missing, checks what is there, prepares the statements of commit().
  Result<TableState> prepare_tables();
  /// Whether the table is the one that the positions speak of.
  Status check_claimed(TableState state, std::vector<ClaimedPartition>& claimed);
  Result<ClaimedPartition> read_position(const TopicPartition& source);

  /// False: its row is not as the commit believes.
  Result<bool> move_position(const SinkPosition& position);
  /// Rows of positions that nobody has claimed yet; refused if the table has rows of them already.
  std::expected<void, CommitOutcome> add_unclaimed(const std::vector<SinkPosition>& positions);
  std::expected<void, CommitOutcome> move_positions(const std::vector<SinkPosition>& positions);
  std::expected<void, CommitOutcome> write_rows(const SinkCommit& commit);
  std::expected<void, CommitOutcome> write_row(const SinkCommit& commit, std::size_t row);
  /// Of the row's values, converted; a deletion's are those of its key.
  std::expected<void, CommitOutcome> bind_row(SqliteStatement& statement, const SinkCommit& commit,
                                              std::size_t row);
  /// After the row was written: whether the database did so.
  std::expected<void, CommitOutcome> check_written(const SinkCommit& commit, std::size_t row);
  /// Of a table with triggers: whether the row that was written is there, under its key.
  std::expected<void, CommitOutcome> check_in_place(const SinkCommit& commit, std::size_t row,
                                                    const std::string& source);
  std::expected<void, CommitOutcome> check_shape(const std::vector<SinkPosition>& positions);
  Status keep_table_id(const std::vector<SinkPosition>& positions);
  bool recognizes_table(const std::vector<SinkPosition>& positions);
  std::expected<void, CommitOutcome> check_file();
  /// The last error as an outcome: nothing was written. Closes.
  CommitOutcome not_written(std::string_view during);
  /// The same for the error of COMMIT itself.
  CommitOutcome not_committed();

  SqliteSinkOptions options_;
  SinkTable table_;
  std::unique_ptr<SqliteConnection> connection_;
  SqliteStatement move_position_;
  SqliteStatement read_position_;
  SqliteStatement write_row_;
  SqliteStatement delete_row_;
  SqliteStatement remaining_row_;
  SqliteStatement in_place_;  ///< of a table with triggers
  SqliteStatement write_receipt_;
  std::string rowid_column_;  ///< sqlite_rowid_column()
  std::string triggers_;      ///< sqlite_triggers(), of an upsert
  SqliteShape shape_;         ///< as the claim found it
  std::string table_id_;      ///< of the claim
};

}  // namespace onceflow::connectors
