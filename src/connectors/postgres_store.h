// PostgresStore: what the PostgreSQL sink does, as calls that block. Used by one thread at a time.
//
// States: closed, open. claim() opens; whatever leaves a commit's fate or the session in doubt
// closes the connection, and the next claim() opens another.
#pragma once

#include <expected>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "connectors/postgres_connection.h"
#include "connectors/postgres_positions.h"
#include "connectors/postgres_sink.h"
#include "connectors/postgres_table.h"
#include "connectors/sink.h"

namespace onceflow::connectors {

class PostgresStore {
 public:
  PostgresStore(PostgresSinkOptions options, SinkTable table);

  Result<std::vector<ClaimedPartition>> claim(const std::vector<TopicPartition>& partitions);
  Result<std::vector<ClaimedPartition>> look(const std::vector<TopicPartition>& partitions);
  Result<std::string> check_rows_past(const std::vector<ClaimedPartition>& positions);
  CommitOutcome commit(const SinkCommit& commit);
  Result<std::vector<ClaimedPartition>> read_positions(
      const std::vector<TopicPartition>& partitions);
  Result<protocol::ReceiptsByStage> receipts_by_stage() const;

 private:
  using Written = std::expected<void, PostgresFailure>;
  using Rows = std::vector<std::size_t>;  ///< indices into SinkCommit::rows

  Status open();
  Status prepare_tables();
  Status prepare_statements();
  /// `end`: COMMIT or ROLLBACK.
  Result<std::vector<ClaimedPartition>> claim_in_transaction(
      const std::vector<TopicPartition>& partitions, const char* end);
  PostgresTableSearch table_search() const;
  /// The error of a failed claim as a user reads it. Ends the connection.
  void explain_and_disconnect(Error& error);
  Result<ClaimedPartition> read_position(const TopicPartition& source);

  /// Converts all values to their columns' types; the outcome names the first row that cannot be.
  std::expected<std::vector<Value>, CommitOutcome> convert(const SinkCommit& commit) const;
  /// Indices of the rows to write: in an upsert the last of each key, in order.
  std::vector<std::size_t> rows_to_write(const SinkCommit& commit,
                                         const std::vector<Value>& values) const;

  /// Rows of positions that nobody has claimed yet; refused if the table has rows of them already.
  std::expected<void, CommitOutcome> add_unclaimed(const std::vector<SinkPosition>& positions);
  /// How many rows are as the commit believes.
  std::expected<std::int64_t, PostgresFailure> move_positions(
      const std::vector<SinkPosition>& positions);
  CommitOutcome fenced(const std::vector<SinkPosition>& positions);
  Written write_rows(const SinkCommit& commit, const std::vector<Value>& values,
                     std::span<const std::size_t> rows);
  Written copy_rows(const SinkCommit& commit, const std::vector<Value>& values,
                    std::span<const std::size_t> rows);
  Written upsert_rows(const SinkCommit& commit, const std::vector<Value>& values,
                      std::span<const std::size_t> rows);
  /// Whether the database wrote as many rows as it was sent.
  static Written check_written(const PostgresResult& result, std::size_t sent);
  /// Of a table with triggers: whether rows that were written are there, under their keys.
  Written check_in_place(const std::vector<PostgresParameter>& parameters, std::size_t sent);
  Written delete_rows(const std::vector<Value>& values, std::span<const std::size_t> rows);
  /// For keys that are the same row by a rule of the table's, and for rules between rows: all rows,
  /// one after the other as far as that is needed.
  Written write_in_order(const SinkCommit& commit, const std::vector<Value>& values,
                         std::span<const std::size_t> rows);
  Written upsert_run(const SinkCommit& commit, const std::vector<Value>& values,
                     std::span<const std::size_t> run);
  /// False: the table's columns are not those of the claim, so nothing may be committed.
  std::expected<bool, PostgresFailure> write_receipt(const std::string& receipt);
  std::expected<bool, PostgresFailure> has_claimed_shape();

  /// What a failure before COMMIT was sent means: nothing was written.
  CommitOutcome rows_failed(const SinkCommit& commit, const std::vector<Value>& values,
                            std::span<const std::size_t> rows, const PostgresFailure& failure);
  /// Finds the row that the server refuses by writing ever smaller parts and rolling them back.
  CommitOutcome find_refused_row(const SinkCommit& commit, const std::vector<Value>& values,
                                 std::span<const std::size_t> rows, PostgresFailure failure);
  Written try_rows(const SinkCommit& commit, const std::vector<Value>& values,
                   std::span<const std::size_t> rows);
  /// Nothing was written; the connection is closed, and the next claim opens another.
  CommitOutcome not_now(std::string text);
  CommitOutcome not_written(const PostgresFailure& failure);
  CommitOutcome not_committed(const SinkCommit& commit, const std::vector<Value>& values,
                              std::span<const std::size_t> rows, const PostgresFailure& failure);
  CommitOutcome shape_changed();
  std::string what_changed() const;

  PostgresSinkOptions options_;
  SinkTable table_;
  std::unique_ptr<PostgresConnection> connection_;
  PostgresTable written_table_;
  /// Rows go in the order of their records, because the table tells keys apart in a way of its own
  /// or has refused the last rows of each key.
  bool writes_in_order_ = false;
};

}  // namespace onceflow::connectors
