// GroupPositions: the positions of a topic stage, as they are kept in its consumer group: the
// offset, and in its metadata the ids of the source topic and of the changelog that holds the state
// up to there, and the pipeline's name. Owned by its stage.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/consumer_group.h"
#include "engine/input_account.h"
#include "engine/kept_position.h"
#include "engine/output_counts.h"
#include "engine/record_output.h"
#include "engine/stage_options.h"
#include "engine/topic_writer.h"

namespace onceflow::engine {

class GroupPositions final : public PositionKeeper {
 public:
  GroupPositions(std::shared_ptr<client::Cluster> cluster, const StageOptions& options,
                 client::ConsumerGroup& group, RecordOutput& output, TopicWriter& receipts,
                 std::function<protocol::Receipt()> make_receipt);

  /// A recovery begins, in this generation. The changelog is the one with this id; none: the topic
  /// does not exist. An empty name: the stage has none.
  void begin(client::GroupMetadata generation, std::string changelog,
             std::optional<TopicId> changelog_id);
  /// Of a topic that the stage writes to, before positions are read: where it had fewer partitions
  /// when they were committed, it is told.
  void set_output(const TopicWriter& output);
  /// Of the open commit, as they are committed.
  std::vector<client::OffsetToCommit> to_commit(
      const std::vector<InputAccount::Position>& positions) const;

  Task<Result<std::vector<KeptPosition>>> read(std::vector<TopicPartition> partitions) override;
  Task<Result<std::vector<KeptPosition>>> find_receipts(
      std::vector<KeptPosition> positions) override;
  Task<Result<std::vector<KeptPosition>>> find_inputs(std::vector<KeptPosition> positions) override;
  Task<Status> open(std::vector<OpenedPosition> positions) override;

 private:
  Status check_pipeline(const client::CommittedOffset& offset, const GroupPositionText& kept) const;
  Status check_changelog(const client::CommittedOffset& offset,
                         const GroupPositionText& kept) const;
  Status check_receipts(const client::CommittedOffset& offset, const GroupPositionText& kept) const;
  void tell_of_added_partitions();
  Task<Status> tell_of_doubt(const std::vector<OpenedPosition>& opened) const;
  MonotonicTime deadline() const { return cluster_->scheduler().now() + options_.call_timeout; }

  std::shared_ptr<client::Cluster> cluster_;
  const StageOptions& options_;
  client::ConsumerGroup& group_;
  RecordOutput& output_;
  TopicWriter& receipts_;
  std::function<protocol::Receipt()> make_receipt_;
  client::GroupMetadata generation_;
  std::string changelog_;
  std::string changelog_id_;  ///< empty: it does not exist
  OutputCounts outputs_;
};

/// The inputs of a receipt that says where partitions begin.
std::vector<protocol::Receipt::Input> beginnings(const std::vector<OpenedPosition>& opened);

}  // namespace onceflow::engine
