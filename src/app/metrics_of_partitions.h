// The samples of a broker's partitions and groups as Prometheus' text, made in pieces while they
// are sent: there may be hundreds of thousands. On the watcher's thread.
#pragma once

#include <cstddef>
#include <string>
#include <utility>

#include "base/secrets.h"
#include "broker/status_mirror.h"
#include "console/status_server.h"

namespace onceflow::app {

/// Family by family, and in each by name; goes on after the last name that it has written, whatever
/// has come and gone since.
class PartitionMetrics final : public console::TextSource {
 public:
  /// The mirror must outlive it.
  PartitionMetrics(const broker::StatusMirror& mirror, Secrets secrets)
      : mirror_(mirror), secrets_(std::move(secrets)) {}

  bool append(std::string& text, std::size_t bytes) override;

 private:
  void append_partitions(std::string& text, std::size_t end);
  void append_lags(std::string& text, std::size_t end);
  void begin_next_family();

  const broker::StatusMirror& mirror_;
  const Secrets secrets_;  ///< not to be shown
  std::size_t family_ = 0;
  bool has_head_ = false;
  bool has_name_ = false;
  std::string name_;  ///< the topic or group that is next, or was last: from its next_ on
  std::size_t next_partition_ = 0;
  TopicIdPartition last_position_;
  bool has_position_ = false;
};

}  // namespace onceflow::app
