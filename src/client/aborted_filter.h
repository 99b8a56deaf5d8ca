// AbortedFilter: leaves out what a read_committed reader must not see, batch by batch in offset
// order. A transactional batch of a producer is aborted from the first offset that the answer names
// for it until that producer's ABORT marker.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/ids.h"
#include "protocol/control_batch.h"
#include "protocol/record_batch.h"

namespace onceflow::client {

class AbortedFilter {
 public:
  struct Aborted {
    ProducerId producer_id;
    Offset first_offset;
  };

  explicit AbortedFilter(std::vector<Aborted> aborted) : waiting_(std::move(aborted)) {
    std::ranges::sort(waiting_, {}, &Aborted::first_offset);
  }

  /// Whether the batch holds records to be shown. Control batches never do.
  bool shows(const protocol::RecordBatchView& batch) {
    const protocol::RecordBatchHeader& header = batch.header();
    while (next_ < waiting_.size() && waiting_[next_].first_offset <= header.last_offset()) {
      active_.push_back(waiting_[next_++].producer_id);
    }
    if (header.is_control()) {
      const auto marker = protocol::parse_end_transaction_marker(batch);
      if (marker && *marker && (*marker)->type == protocol::ControlRecordType::kAbort) {
        // One life of it: the same producer may have aborted a later transaction, too.
        const auto place = std::ranges::find(active_, header.producer_id);
        if (place != active_.end()) {
          active_.erase(place);
        }
      }
      return false;
    }
    return !header.is_transactional() ||
           std::ranges::find(active_, header.producer_id) == active_.end();
  }

 private:
  std::vector<Aborted> waiting_;
  std::size_t next_ = 0;
  std::vector<ProducerId> active_;
};

}  // namespace onceflow::client
