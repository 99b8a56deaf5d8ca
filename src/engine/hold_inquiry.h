// HoldInquiry: asks the cluster, beside the stage's own work, who holds back its input. The answer
// is there when it is there; a stage never waits for it.
//
// Owned by its stage; runs on the worker's thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/cluster.h"
#include "engine/input_watch.h"
#include "engine/stage_status.h"

namespace onceflow::engine {

class HoldInquiry {
 public:
  explicit HoldInquiry(std::shared_ptr<client::Cluster> cluster);

  /// Asks about these, unless it is asking already or was answered a moment ago.
  void ask(const std::vector<InputWatch::Held>& held);
  /// The last answer, one per partition.
  const std::vector<StageStatus::Holder>& holders() const { return state_->holders; }
  void forget() { state_->holders.clear(); }

 private:
  struct State {
    std::shared_ptr<client::Cluster> cluster;
    client::Channel channel;
    bool is_asking = false;
    MonotonicTime ask_again_at;
    std::vector<StageStatus::Holder> holders;
  };
  static Task<void> run(std::shared_ptr<State> state, std::vector<InputWatch::Held> held);

  std::shared_ptr<State> state_;  ///< shared with the task that asks, which may outlive the stage
};

/// Who holds back what lies in the partition from the offset on; none: nobody does any more.
Task<std::optional<StageStatus::Holder>> find_holder(std::shared_ptr<client::Cluster> cluster,
                                                     client::Channel channel,
                                                     TopicPartition partition, Offset first_offset);
/// "the open transaction of transactional.id 'x' (producer id 7, epoch 0), begun …"
std::string describe_holder(const StageStatus::Holder& holder);
/// Why a partition that is read to its end does not get beyond the position: who holds it back, and
/// what to do; empty: nobody does.
Task<std::string> why_no_end(std::shared_ptr<client::Cluster> cluster, TopicPartition partition,
                             Offset position);

/// "5 records of orders-0 from offset 130 on are held back by the open transaction of 'x' …", and
/// what to do about it.
StageCause describe_hold(const client::ClientOptions& client,
                         const std::vector<InputWatch::Held>& held,
                         const std::vector<StageStatus::Holder>& holders);

}  // namespace onceflow::engine
