// StageReceipts: what the receipts of a stage say as a whole, in the receipts topic or in one
// database: its newest definition, and how the stage began there. For a pipeline whose record of
// its definitions is gone.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>

#include "protocol/receipt.h"

namespace onceflow::protocol {

struct StageReceipts {
  std::uint64_t newest_definition = 0;  ///< 0: of a version that named none
  /// Of the first receipt that is there. kReset: a start-over has put the stage there, or another
  /// reset gave it this place. kNone: it is not the first that there was, so nobody knows.
  Receipt::Beginning begins = Receipt::Beginning::kNone;
  friend bool operator==(const StageReceipts&, const StageReceipts&) = default;
};

using ReceiptsByStage = std::map<std::string, StageReceipts>;

/// How the receipt says that its stage began; kNone: for a part of its inputs it does not.
inline Receipt::Beginning beginning_of(const Receipt& receipt) {
  using Beginning = Receipt::Beginning;
  const auto has = [&](Beginning beginning) {
    return std::ranges::find(receipt.inputs, beginning, &Receipt::Input::beginning) !=
           receipt.inputs.end();
  };
  if (has(Beginning::kReset)) {
    return Beginning::kReset;
  }
  return receipt.inputs.empty() || has(Beginning::kNone) ? Beginning::kNone
                                                         : receipt.inputs.front().beginning;
}

/// One more, in their order.
inline void add_receipt(ReceiptsByStage& receipts, const Receipt& receipt) {
  const auto [place, is_first] = receipts.try_emplace(receipt.stage);
  place->second.newest_definition = receipt.definition;
  if (is_first) {
    place->second.begins = beginning_of(receipt);
  }
}

}  // namespace onceflow::protocol
