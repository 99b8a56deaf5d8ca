// Receipts as the auditor holds them, and the log of them that topic stages leave. Owned by one
// audit.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "audit/findings.h"
#include "audit/log_reader.h"
#include "audit/partition_scan.h"
#include "protocol/receipt.h"

namespace onceflow::audit {

struct ReceiptEntry {
  protocol::Receipt receipt;
  /// Of the transaction that carried it; none in a table.
  ProducerIdentity producer;
  PartitionIndex partition;
  Offset offset;                  ///< in the receipts topic; in a table the receipt_id
  bool is_transactional = false;  ///< the receipt, and so what it tells of, is of a transaction
  std::string place;       ///< "paid-receipts-0 offset 17", "receipt 17 in onceflow_receipts"
  bool is_settled = true;  ///< false: it came after the moment that is judged
};

/// "the commit of paid-receipts-0 offset 17 (worker w-0, its commit 7)".
std::string name_of(const ReceiptEntry& entry);

/// Committed receipts of the receipts topic. What is in open or aborted transactions does not
/// count.
class ReceiptLog {
 public:
  ReceiptLog(std::string topic, std::string pipeline);
  ~ReceiptLog();

  /// Reads on, to where the topic ends now, and waits (through `reader`) until every transaction is
  /// decided that was open then; after `pauses_max` pauses it goes on without.
  Task<Status> read_to_end(LogReader& reader, int pauses_max);

  /// In the order of partition and offset.
  std::vector<ReceiptEntry> take();
  bool exists() const { return !scans_.empty(); }
  /// Something was deleted from its beginning.
  bool is_cut() const;
  const std::vector<PartitionScan>& scans() const { return scans_; }
  /// Records that are no receipts of the pipeline.
  const std::vector<OddRecord>& odd() const { return odd_; }

 private:
  class Collector;

  std::string topic_;
  std::string pipeline_;
  std::vector<PartitionScan> scans_;
  std::vector<std::unique_ptr<Collector>> collectors_;
  std::vector<ReceiptEntry> entries_;
  std::vector<OddRecord> odd_;
};

}  // namespace onceflow::audit
