// The data directory as a folder of this machine: who may use it.
#pragma once

#include "app/process_log.h"
#include "io/os/os_disk.h"
#include "log/log.h"

namespace onceflow::app {

/// What the log makes from now on has the mode of its options. A directory that is there and open
/// to more is told of, with what mends it, and left as it is.
void set_data_directory_mode(io::OsDisk& disk, const log::LogOptions& options,
                             const TellEvent& tell);

}  // namespace onceflow::app
