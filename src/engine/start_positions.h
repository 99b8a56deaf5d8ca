// StartPositions: where a stage begins, decided each time it takes partitions over. The beginning
// of a partition is fixed once, durably, before any record of it is passed over: at the first start
// for all partitions that there are, by auto.offset.reset; at 0 for those that appear later. And
// before a stage goes on from a kept position, it is compared with the topic's id and the newest
// receipt, and what that receipt has read with the log: what was moved by hand, restored in part,
// or belongs to another topic or another pipeline is refused by name.
//
// Who fixes: the owner of partition 0 for all partitions of the first start (partition 0 is there
// from the start and has one owner in a generation), the owner of a partition that appears later.
// Everybody else waits for partition 0.
//
// Owned by a stage's recovery; runs on the worker's thread. Invariant STG-1.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "client/admin.h"
#include "engine/input_account.h"
#include "engine/kept_position.h"
#include "engine/stage_options.h"

namespace onceflow::engine {

/// Whether a position may lie outside of its log. Asking costs a request for each partition, so it
/// is done where a fetch has said so.
enum class LogBounds { kTrusted, kChecked };

class StartPositions {
 public:
  /// `keeper_name`: "group 'g'", "onceflow_positions", for messages.
  StartPositions(std::shared_ptr<client::Cluster> cluster, const StageOptions& options,
                 PositionKeeper& keeper, std::string keeper_name, std::function<bool()> must_leave);

  /// From what is kept of the stage's own partitions to where it begins. kRefused, final: a
  /// position must not be gone on from; the text says why and what to type. Empty if it must leave.
  Task<Result<std::vector<InputAccount::Position>>> settle(std::vector<KeptPosition> own,
                                                           LogBounds bounds);
  /// What settle() could not compare with the log, for people; empty: nothing.
  const std::string& remark() const { return remark_; }

 private:
  struct Topic {
    std::string name;
    TopicId id;
    std::int32_t partition_count = 0;
  };

  /// Where a position is not open: what the newest receipts say of it.
  Task<Status> compare_with_receipts(std::vector<KeptPosition>& own);
  Task<Status> read_again(std::vector<TopicPartition> partitions, std::vector<KeptPosition>& own);
  Task<Status> learn_topics(std::vector<TopicPartition> partitions);
  Status check(const KeptPosition& position) const;
  Status check_owner(const KeptPosition& position) const;
  Status check_receipt(const KeptPosition& position) const;
  /// What the newest receipts have read is to be there still.
  Task<Status> compare_with_log(std::vector<KeptPosition>& own);
  /// Opens those of one topic that are not open.
  Task<Status> settle_topic(Topic topic, std::vector<KeptPosition>& own);
  Task<Status> begin_topic(const Topic& topic, std::vector<KeptPosition>& own);
  /// One that was not there at the first start.
  Status check_may_be_added(const KeptPosition& position) const;
  Task<Status> begin_new_partitions(const Topic& topic, std::vector<KeptPosition>& own);
  Task<Status> adopt(const Topic& topic, std::vector<KeptPosition>& own);
  /// No position lies past the end of its log.
  Task<Status> check_ends(const std::vector<KeptPosition>& own);
  /// What lies before the log's start was deleted before it was read.
  Task<Status> pass_deleted(std::vector<KeptPosition>& own);
  Task<Result<bool>> wait_for_first_partition(TopicPartition first);
  Task<Status> open(std::vector<OpenedPosition> opened, std::vector<KeptPosition>& own);
  MonotonicTime deadline() const;

  std::shared_ptr<client::Cluster> cluster_;
  const StageOptions& options_;
  PositionKeeper& keeper_;
  std::string keeper_name_;
  std::function<bool()> must_leave_;
  client::Admin admin_;
  std::map<std::string, Topic> topics_;
  std::string remark_;
};

/// What lies between the position and the log's start.
struct DeletedRange {
  TopicPartition source;
  Offset position;
  Offset start;
};

/// For people: it is lost, as an operator has allowed.
std::string skipped_by_operator(const DeletedRange& range);
/// For people: these are lost, and the ways on.
std::string deleted_before_read(std::span<const DeletedRange> deleted, std::string_view file);

}  // namespace onceflow::engine
