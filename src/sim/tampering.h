// Tampering: what somebody else might do to a table, to prove that the judges would notice.
// Stateless.
#pragma once

#include <string>

#include "sim/sim_database.h"

namespace onceflow::sim {

struct Tampering {
  std::string table;  ///< empty: there was no row
  std::string done;   ///< for people
};

/// Loses, doubles or alters one row of one table.
Tampering tamper(SimDatabase::Image& image, SimRandom& random);

}  // namespace onceflow::sim
