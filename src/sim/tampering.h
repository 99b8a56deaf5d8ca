// Tampering: what somebody else might do to a table, to prove that the judges would notice.
// Stateless.
#pragma once

#include <string>

#include "sim/sim_database.h"

namespace onceflow::sim {

/// Loses, doubles or alters one row of one table. What it did, for people; empty if there is no
/// row.
std::string tamper(SimDatabase::Image& image, SimRandom& random);

}  // namespace onceflow::sim
