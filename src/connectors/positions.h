// What both databases check about positions.
#pragma once

#include <vector>

#include "base/result.h"
#include "connectors/sink.h"

namespace onceflow::connectors {

/// For a table that had to be created: kRefused if positions say that rows were written to it
/// before.
Status check_nothing_was_written(const SinkTable& table,
                                 const std::vector<ClaimedPartition>& claimed);

/// The place of a row's record, as it stands in kSourceColumn.
std::string source_of_row(const SinkCommit& commit, const SinkRow& row);

}  // namespace onceflow::connectors
