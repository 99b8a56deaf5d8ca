// EndInquiry: asks where partitions end, beside the stage's own work, while nothing is fetched of
// them. The answer is there when it is there; a stage never waits for it.
//
// Owned by its stage; runs on the worker's thread.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "client/admin.h"
#include "client/fetcher.h"

namespace onceflow::engine {

class EndInquiry {
 public:
  explicit EndInquiry(std::shared_ptr<client::Cluster> cluster);

  /// Asks about these, unless it is asking already.
  void ask(std::vector<TopicPartition> partitions);
  /// The last answer.
  client::Fetcher::Ends ends(const TopicPartition& partition) const;

 private:
  struct State {
    explicit State(const std::shared_ptr<client::Cluster>& asked) : cluster(asked), admin(asked) {}

    std::shared_ptr<client::Cluster> cluster;
    client::Admin admin;
    bool is_asking = false;
    std::map<TopicPartition, client::Fetcher::Ends> ends;
  };
  static Task<void> run(std::shared_ptr<State> state, std::vector<TopicPartition> partitions);
  static Task<Status> ask_one(State& state, TopicPartition partition, MonotonicTime deadline);

  std::shared_ptr<State> state_;  ///< shared with the task that asks, which may outlive the stage
};

}  // namespace onceflow::engine
