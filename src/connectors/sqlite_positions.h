// Our two tables in SQLite, in the transaction of whoever calls: what a claim and a reset do with
// them, and how a claim looks into the user's table. Stateless.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "connectors/positions.h"
#include "connectors/sink.h"
#include "connectors/sqlite_connection.h"
#include "connectors/table_past.h"

namespace onceflow::connectors {

/// Binds the key of a position row to the first four parameters.
void bind_partition(SqliteStatement& statement, const SinkTable& table,
                    const TopicPartition& source);

/// Creates them, or adds the columns that earlier versions did not have.
Status ensure_sqlite_positions(SqliteConnection& connection);
Result<std::vector<ClaimedPartition>> raise_epochs(SqliteConnection& connection,
                                                   const SinkTable& table,
                                                   const std::vector<TopicPartition>& partitions);
Status read_newest_receipts(SqliteConnection& connection, const SinkTable& table,
                            NewestReceipts& newest);
Status keep_table_ids(SqliteConnection& connection, const SinkTable& table,
                      const std::vector<ClaimedPartition>& claimed);
/// FoundTable::id of a table that is there.
Result<std::string> read_sqlite_table_id(SqliteConnection& connection, const SinkTable& table);

/// Each look ends after so many steps.
class SqliteTableSearch final : public TableSearch {
 public:
  SqliteTableSearch(SqliteConnection& connection, const SinkTable& table)
      : connection_(connection), table_(table) {}

  std::string table() const override;
  Result<Answer> find_row(const std::string& source) override;
  Result<Answer> find_row_of(const std::vector<std::string>& beginnings) override;
  Result<Answer> find_row_from(const TopicPartition& source, Offset offset) override;
  Result<std::vector<Other>> others() override;

 private:
  Result<Answer> look(const std::string& sql, const std::vector<std::string>& wanted);

  SqliteConnection& connection_;
  const SinkTable& table_;
};

}  // namespace onceflow::connectors
