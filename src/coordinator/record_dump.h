// RecordDump: what the coordinators have written into the log, as items for `onceflow dump`.
// Decoded from docs/formats/coordinator_records.md by code of its own, which keeps nothing and goes
// by nothing that came before: so a record is shown that a replay would refuse. Stateless.
#pragma once

#include "base/bytes.h"
#include "log/dump.h"

namespace onceflow::coordinator {

/// One record; false if it does not decode.
bool dump_record(ByteView record, const log::DumpRecords::Show& show);
/// The snapshot of a checkpoint: an item for each id and group. False if it does not decode; what
/// came before that place has been shown.
bool dump_snapshot(ByteView snapshot, const log::DumpRecords::Show& show);

inline log::DumpRecords records_to_dump() {
  return {.record = dump_record, .snapshot = dump_snapshot};
}

}  // namespace onceflow::coordinator
