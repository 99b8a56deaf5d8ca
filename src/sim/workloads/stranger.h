// Stranger: a client that writes with producer ids which the broker has not handed out. It must be
// refused (PRD-3), and let in when it answers as clients do: with a greater epoch, from sequence 0.
// On the process of a node of its own; what it is told it tells the history of the run.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/task.h"
#include "client/cluster.h"
#include "sim/checkers/findings.h"
#include "sim/checkers/transaction_history.h"
#include "sim/world/sim_process.h"
#include "sim/world/sim_random.h"

namespace onceflow::sim {

class Stranger {
 public:
  /// Writes to partitions 0 to `partition_count` - 1 of `topic`, until `has_ended` says so.
  Stranger(SimProcess& process, TransactionHistory& history, Findings& findings);

  Task<void> run(std::string topic, std::size_t partition_count, std::function<bool()> has_ended);

 private:
  struct Answer {
    bool is_known = false;  ///< false: its fate is not
    protocol::ErrorCode error = protocol::ErrorCode::kNone;
    Offset base_offset = kNoOffset;
  };
  Task<Answer> produce(TopicPartition partition, ProducerIdentity producer, std::string value);
  Task<void> write_once(std::string topic, std::size_t partition);

  SimProcess& process_;
  TransactionHistory& history_;
  Findings& findings_;
  SimRandom random_;
  std::shared_ptr<client::Cluster> cluster_;
  client::Channel channel_;
};

}  // namespace onceflow::sim
