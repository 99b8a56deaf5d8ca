// InputComparison: what newest receipts say that a stage has read, against what the log has there
// now. A log that was restored from an older copy and written past its old end holds other records
// under offsets that were passed; their positions lie inside it, so no bound tells. A stage asks
// whenever it takes partitions over.
//
// Bounded: it reads a few MB and for a second or two at most. What does not fit, or is there no
// more, is not compared, and the audit compares it (docs/formats/positions.md).
//
// Owned by a stage's recovery; runs on the worker's thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "client/admin.h"
#include "client/fetcher.h"
#include "protocol/receipt.h"

namespace onceflow::engine {

class InputComparison {
 public:
  struct Bounds {
    std::size_t bytes_max = std::size_t{8} << 20;  ///< of keys and values, over all partitions
    Duration time_max = seconds(2);
  };
  InputComparison(std::shared_ptr<client::Cluster> cluster, client::FetchOptions fetch,
                  Bounds bounds);

  /// Where the records are others, each of them; the partitions have one input each. Inputs without
  /// a range say nothing.
  Task<std::vector<protocol::Receipt::Input>> find_changed(
      std::vector<protocol::Receipt::Input> inputs);
  /// Of which some or all records are lost, as the log itself says; those that are left are not
  /// compared.
  const std::vector<protocol::Receipt::Input>& lost() const { return lost_; }
  /// What could not be compared, and why, for people; empty: all was.
  const std::string& remark() const { return remark_; }
  /// What the log does not show now, as it ends in front of it or an open transaction hides it, for
  /// people: "t-0 offsets 0..7"; empty: nothing. Neither the end nor the last stable offset goes
  /// back, so the log is not the one that was read, or is about to show all of it again (a new
  /// leader). Going on is not safe before it has been compared: others may write up to there.
  const std::string& hidden() const { return hidden_; }

 private:
  struct Open {
    protocol::Receipt::Input input;
    std::int64_t record_count = 0;
    std::int64_t lost_count = 0;  ///< offsets
    std::uint64_t record_hash_sum = 0;
  };
  using Opened = std::map<TopicPartition, Open>;

  void add(const client::FetchedRun& run, Opened& open);
  void drop_hidden(const client::Fetcher& fetcher, Opened& open);
  /// What no fetch can begin with lies before the start of the log, or past its end.
  Task<void> judge_out_of_range();
  Task<std::vector<protocol::Receipt::Input>> judge(std::vector<Open> read);
  void leave_out(const protocol::Receipt::Input& input, std::string_view why);
  void hide(const protocol::Receipt::Input& input);

  std::shared_ptr<client::Cluster> cluster_;
  client::FetchOptions fetch_;
  Bounds bounds_;
  std::size_t read_bytes_ = 0;
  std::vector<Open> read_;
  std::vector<protocol::Receipt::Input> out_of_range_;
  std::vector<protocol::Receipt::Input> lost_;
  std::string remark_;
  std::string hidden_;
};

}  // namespace onceflow::engine
