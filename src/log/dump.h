// Dump: a file of a data directory as items, one for each thing that its format draws. For people
// and scripts that look at damage; reads alone, and goes on over what does not decode where it can.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "io/disk.h"

namespace onceflow::log {

using DumpFields = std::vector<std::pair<std::string, std::string>>;

struct DumpItem {
  std::uint64_t position = 0;  ///< in the file, in bytes
  std::string what;            ///< "batch", "frame", "entry"; or what is wrong
  DumpFields fields;
  bool is_damage = false;
};

/// What the coordinators have written, which is bytes to the log: each gives the items in them to
/// `show`, and false if they do not decode.
struct DumpRecords {
  using Show = std::function<void(std::string what, DumpFields fields)>;
  std::function<bool(ByteView record, const Show& show)> record;
  std::function<bool(ByteView snapshot, const Show& show)> snapshot;
};

/// Which format it is, the file's name says: *.log, *.index, *.journal, checkpoint.N,
/// journal.durable; anything else is printed as lines of text if it is text. kInvalidArgument for
/// other files.
Status dump_file(io::Disk& disk, const std::string& path, const DumpRecords& records,
                 const std::function<void(const DumpItem&)>& visit);

/// Of a checkpoint's bytes. For the fuzzer too.
void dump_checkpoint(ByteView bytes, const DumpRecords& records,
                     const std::function<void(const DumpItem&)>& visit);

}  // namespace onceflow::log
