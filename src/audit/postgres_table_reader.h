// PostgresTableReader: a PostgreSQL sink's table as the auditor reads it, with statements of its
// own. Everything is read in one repeatable-read transaction, which sees one moment. Writes
// nothing. Blocks its thread.
#pragma once

#include <memory>

#include "audit/table_reader.h"

struct pg_conn;

namespace onceflow::audit {

class PostgresTableReader final : public TableReader {
 public:
  static Result<std::unique_ptr<TableReader>> open(const TableSubject& table, MustStop must_stop);

  Result<bool> begin_snapshot() override;
  Result<std::vector<StoredPosition>> positions(const std::string& pipeline,
                                                const std::string& stage) override;
  Status for_each_receipt(const std::string& pipeline, const std::string& stage,
                          const VisitReceipt& visit) override;
  Status for_each_row(const VisitRow& visit) override;
  Result<std::string> key_equality() override;
  Status for_each_receipt_of_others(const std::string& pipeline,
                                    const VisitReceipt& visit) override;
  Status for_each_receipt_of_former(const std::string& pipeline, const std::string& stage,
                                    const VisitReceipt& visit) override;

 private:
  struct Close {
    void operator()(pg_conn* connection) const;
  };
  /// One row of an answer, as text.
  class Row;

  PostgresTableReader(TableSubject table, MustStop must_stop)
      : table_(std::move(table)), must_stop_(std::move(must_stop)) {}
  /// Row by row, so that a large table never is in memory.
  Status query(const std::string& sql, std::span<const std::string> parameters,
               const std::function<Status(const Row&)>& visit);
  Status drain(const std::function<Status(const Row&)>& visit);
  /// Until the server has said something, however long that takes; kCancelled when the audit ends.
  Status wait_for_answer();
  Status visit_receipts(std::string_view condition, std::span<const std::string> parameters,
                        const VisitReceipt& visit);
  Result<bool> has_table(const std::string& quoted_name);
  Result<bool> has_column(const std::string& quoted_table, const std::string& column);
  std::unexpected<Error> failed() const;

  TableSubject table_;
  MustStop must_stop_;
  std::unique_ptr<pg_conn, Close> connection_;
};

}  // namespace onceflow::audit
