// Dump: a file of a data directory as items, one for each thing that its format draws. For people
// and scripts that look at damage; reads alone, and goes on over what does not decode where it can.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "io/disk.h"

namespace onceflow::log {

struct DumpItem {
  std::uint64_t position = 0;  ///< in the file, in bytes
  std::string what;            ///< "batch", "frame", "entry"; or what is wrong
  std::vector<std::pair<std::string, std::string>> fields;
  bool is_damage = false;
};

/// Which format it is, the file's name says: *.log, *.index, *.journal, checkpoint.N,
/// journal.durable; anything else is printed as lines of text if it is text. kInvalidArgument for
/// other files.
Status dump_file(io::Disk& disk, const std::string& path,
                 const std::function<void(const DumpItem&)>& visit);

/// Of a checkpoint's bytes. For the fuzzer too.
void dump_checkpoint(ByteView bytes, const std::function<void(const DumpItem&)>& visit);

}  // namespace onceflow::log
