#include "app/data_directory.h"

#include <fmt/format.h>

#include "log/damage.h"

namespace onceflow::app {

void set_data_directory_mode(io::OsDisk& disk, const log::LogOptions& options,
                             const TellEvent& tell) {
  disk.set_directory_mode(options.directory_mode);
  const auto mode = disk.mode(options.directory);
  if (mode && (*mode & ~options.directory_mode) != 0) {
    tell({.level = LogLevel::kWarn,
          .stage = {},
          .event = "notice",
          .text = log::damage_text(
              log::Damage::kReadableByOthers, options.directory,
              fmt::format("mode {:04o}, where {:04o} is meant", *mode, options.directory_mode))});
  }
}

}  // namespace onceflow::app
