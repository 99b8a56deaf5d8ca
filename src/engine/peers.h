// Peers: the workers that share a stage's group with this one. A worker that dies leaves its
// transaction open, and with it pending positions that nobody may read past until the transaction
// times out. Whoever takes its partitions need not wait for that: it ends the transaction of each
// worker that has gone, by taking over its transactional id as that worker itself would.
//
// Safe for one that is thought dead and lives: it is no member any more, so its commits are refused
// in any case; fenced, it recovers as after any doubt (D5).
//
// Owned by its stage; runs on the worker's thread.
#pragma once

#include <memory>
#include <set>
#include <string>

#include "client/admin.h"
#include "engine/stage_options.h"
#include "engine/topology.h"

namespace onceflow::engine {

class Peers {
 public:
  Peers(std::shared_ptr<client::Cluster> cluster, const Stage& stage, const StageOptions& options);

  /// After an assignment: ends what those have left open who were members at the last look and are
  /// none now. What cannot be asked or ended is left to its time-out.
  Task<void> end_what_is_left(MonotonicTime deadline);

 private:
  Task<void> end_transaction_of(std::string worker, MonotonicTime deadline);

  std::shared_ptr<client::Cluster> cluster_;
  const Stage& stage_;
  const StageOptions& options_;
  client::Admin admin_;
  std::set<std::string> workers_;  ///< as of the last look
};

}  // namespace onceflow::engine
