// Our two tables in PostgreSQL, in the transaction of whoever calls: what a claim and a reset do
// with them, and how a claim looks into the user's table. Stateless.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "connectors/positions.h"
#include "connectors/postgres_connection.h"
#include "connectors/sink.h"
#include "connectors/table_past.h"

namespace onceflow::connectors {

/// The key of a position row, as the first four parameters of its statements.
std::vector<PostgresParameter> partition_parameters(const SinkTable& table,
                                                    const TopicPartition& source);

/// Creates them, or adds the columns that earlier versions did not have.
Status ensure_postgres_positions(PostgresConnection& connection);
Result<std::vector<ClaimedPartition>> raise_epochs(PostgresConnection& connection,
                                                   const SinkTable& table,
                                                   const std::vector<TopicPartition>& partitions);
Status read_newest_receipts(PostgresConnection& connection, const SinkTable& table,
                            NewestReceipts& newest);
Status keep_table_ids(PostgresConnection& connection, const SinkTable& table,
                      const std::vector<ClaimedPartition>& claimed);

/// Each look ends within `timeout`, and leaves the transaction as it was.
class PostgresTableSearch final : public TableSearch {
 public:
  PostgresTableSearch(PostgresConnection& connection, const SinkTable& table, std::string table_id,
                      milliseconds timeout)
      : connection_(connection), table_(table), table_id_(std::move(table_id)), timeout_(timeout) {}

  std::string table() const override;
  Result<Answer> find_row(const std::string& source) override;
  Result<Answer> find_row_of(const std::vector<std::string>& beginnings) override;
  Result<Answer> find_row_from(const TopicPartition& source, Offset offset) override;
  Result<std::vector<Other>> others() override;

 private:
  Result<Answer> look(const std::string& sql, const PostgresParameter& wanted);

  PostgresConnection& connection_;
  const SinkTable& table_;
  std::string table_id_;
  milliseconds timeout_;
};

}  // namespace onceflow::connectors
