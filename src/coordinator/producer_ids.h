// ProducerIds: hands out producer ids, none of them twice, also not over a crash. Pure; owned by
// the Coordinator, on the broker's thread.
//
// Ids are taken from blocks that are journalled before the first id of them leaves. What is left of
// a block when the broker stops is never used: simpler than remembering each id, and there are
// 2^63.
#pragma once

#include <cstdint>

#include "base/ids.h"
#include "base/wire.h"
#include "coordinator/effects.h"

namespace onceflow::coordinator {

class ProducerIds {
 public:
  static constexpr std::int64_t kBlockSize = 1000;

  /// A fresh id. Adds the record of a new block to `effects` when the old one is used up.
  ProducerId next(Effects& effects);

  /// Of a block's record, after its kind: see docs/formats/coordinator_records.md.
  void replay(WireReader& reader);
  void write_snapshot(WireWriter& writer) const;
  void restore(WireReader& reader);

 private:
  std::int64_t next_ = 0;       // not durable, on purpose
  std::int64_t block_end_ = 0;  // durable: everything below may have been handed out
};

}  // namespace onceflow::coordinator
