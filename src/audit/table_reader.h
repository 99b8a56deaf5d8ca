// TableReader: what the auditor needs of a database: rows, positions and receipts as they were at
// one moment. Blocks its thread: an audit owns its thread. After an error it is of no more use.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "audit/subject.h"
#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/value.h"

namespace onceflow::audit {

/// Views live as long as the visit.
struct StoredRow {
  /// onceflow_source: "topic/partition/offset"; nullopt: a null.
  std::optional<std::string_view> source;
  std::span<const Value> values;  ///< in the order of TableSubject::columns
};

struct StoredPosition {
  TopicPartition source;
  Offset next_offset = kNoOffset;
  std::string receipts_id{};  ///< of the receipts topic of then; empty: it does not say
};

class TableReader {
 public:
  /// An error ends the reading and is what the call returns.
  using VisitReceipt = std::function<Status(std::int64_t receipt_id, ByteView receipt)>;
  using VisitRow = std::function<Status(const StoredRow& row)>;

  virtual ~TableReader() = default;

  /// All that is read afterwards is of one moment. False: there is neither a table that a sink
  /// could have written nor one of ours.
  virtual Result<bool> begin_snapshot() = 0;
  virtual Result<std::vector<StoredPosition>> positions(const std::string& pipeline,
                                                        const std::string& stage) = 0;
  /// In the order of receipt_id.
  virtual Status for_each_receipt(const std::string& pipeline, const std::string& stage,
                                  const VisitReceipt& visit) = 0;
  /// Those of all other pipelines, in any order.
  virtual Status for_each_receipt_of_others(const std::string& /*pipeline*/,
                                            const VisitReceipt& /*visit*/) {
    return {};
  }
  /// Those of the pipeline's other stages, in any order: of sinks that it had, and of the rows that
  /// a reset has kept.
  virtual Status for_each_receipt_of_former(const std::string& /*pipeline*/,
                                            const std::string& /*stage*/,
                                            const VisitReceipt& /*visit*/) {
    return {};
  }
  virtual Status for_each_row(const VisitRow& visit) = 0;
  /// Why keys that differ in their bytes may be one row of the table, for people; empty: they may
  /// not.
  virtual Result<std::string> key_equality() { return std::string(); }
};

/// Asked while a table is read or waited for: true, and the reading ends with kCancelled.
using MustStop = std::function<bool()>;

using OpenTable =
    std::function<Result<std::unique_ptr<TableReader>>(const TableSubject&, const MustStop&)>;

/// The real ones.
Result<std::unique_ptr<TableReader>> open_table(const TableSubject& table,
                                                const MustStop& must_stop);

}  // namespace onceflow::audit
