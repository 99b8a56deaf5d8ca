// SqliteTableReader: a SQLite sink's table as the auditor reads it, with statements of its own.
// Everything is read in one read transaction, which sees one moment. Writes nothing. Blocks its
// thread.
#pragma once

#include <memory>

#include "audit/table_reader.h"

struct sqlite3;

namespace onceflow::audit {

class SqliteTableReader final : public TableReader {
 public:
  static Result<std::unique_ptr<TableReader>> open(const TableSubject& table);

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
    void operator()(sqlite3* database) const;
  };
  class Statement;

  explicit SqliteTableReader(TableSubject table) : table_(std::move(table)) {}
  Status check_encoding() const;
  Result<bool> has_table(const std::string& name);
  Result<bool> has_column(const std::string& table, const std::string& column);
  Status visit_receipts(std::string_view condition, std::span<const std::string> parameters,
                        const VisitReceipt& visit);
  Error error(int code) const;

  TableSubject table_;
  std::unique_ptr<sqlite3, Close> database_;  ///< null: there is no such file
};

}  // namespace onceflow::audit
