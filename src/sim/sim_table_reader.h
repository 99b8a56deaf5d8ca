// SimTableReader: a table of the database double as the auditor reads it, all of one moment. Owned
// by one audit.
#pragma once

#include <optional>

#include "audit/table_reader.h"
#include "sim/sim_database.h"

namespace onceflow::sim {

class SimTableReader final : public audit::TableReader {
 public:
  /// `image` must outlive it, and may change: what is read is the table as it was at
  /// begin_snapshot(). A table that was never claimed has not been made.
  SimTableReader(const SimDatabase::Image& image, audit::TableSubject table)
      : image_(image), subject_(std::move(table)) {}

  Result<bool> begin_snapshot() override;
  Result<std::vector<audit::StoredPosition>> positions(const std::string& pipeline,
                                                       const std::string& stage) override;
  Status for_each_receipt(const std::string& pipeline, const std::string& stage,
                          const VisitReceipt& visit) override;
  Status for_each_row(const VisitRow& visit) override;

 private:
  const SimDatabase::Image& image_;
  const audit::TableSubject subject_;
  std::optional<SimDatabase::Table> table_;
};

}  // namespace onceflow::sim
