// TransactionsWorkload: a broker and its transactional producers, each on a node that may die or
// stop for a while at any moment: two that speak transactions version 2, one that speaks version 1,
// and a twin of the first with the same transactional id, which now and then is left for dead and
// goes on as a zombie. Each writes to several partitions, moves the offsets of a group of its own,
// commits or aborts by chance, and now and then walks away in the middle. Beside them a plain
// idempotent producer. A read_committed and a read_uncommitted reader look at everything;
// TransactionHistory judges.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "client/options.h"
#include "client/transactional_producer.h"
#include "sim/checkers/transaction_history.h"
#include "sim/workloads/workload.h"

namespace onceflow::client {
class Cluster;
}

namespace onceflow::sim {

class TransactionsWorkload final : public Workload {
 public:
  explicit TransactionsWorkload(Findings& findings);
  ~TransactionsWorkload() override;

  void start(SimWorld& world) override;
  bool has_done_enough() const override;
  void settle() override;
  bool is_at_rest() const override { return is_at_rest_; }
  void check_end() override;

 private:
  /// One transactional producer in one life of its process.
  struct Writer {
    SimProcess& process;
    SimRandom random;
    std::shared_ptr<client::Cluster> cluster;
    client::TransactionalProducer producer;
    std::string transactional_id;
  };
  enum class Protocol { kNewest, kVersion1 };

  void add_writer(const std::string& node, const std::string& transactional_id, Protocol protocol);
  Task<void> write(std::unique_ptr<Writer> writer);
  Task<Status> take_over(Writer& writer);
  Task<void> run_transaction(Writer& writer);
  Task<void> end_transaction(Writer& writer, HistoricTransaction& transaction);
  Task<Status> append_all(Writer& writer, const HistoricTransaction& transaction);
  HistoricTransaction& begin(Writer& writer);
  Task<void> write_plain(SimProcess& process);
  Task<void> write_as_a_stranger(SimProcess& process);
  Task<void> read(SimProcess& process, ReaderKind kind);
  Task<void> come_to_rest(SimProcess& process);
  Task<bool> has_open_transactions(client::Cluster& cluster, SimProcess& process);
  void kill_broker_until(MonotonicTime deadline);
  bool readers_have_read_all() const;
  void schedule_zombie();
  std::vector<bool> draw_offsets(SimRandom& random) const;

  Findings& findings_;
  TransactionHistory history_;
  SimWorld* world_ = nullptr;
  std::vector<std::string> writer_nodes_;
  std::set<std::string> transactional_ids_;
  std::set<std::string> finished_nodes_;
  bool is_settling_ = false;
  bool is_waiting_for_timeouts_ = false;
  bool is_at_rest_ = false;
  std::vector<std::int64_t> stable_ends_;  ///< last stable offsets, when all writers have finished
  std::vector<std::int64_t> ends_;         ///< high watermarks, likewise
  std::map<ReaderKind, std::vector<std::int64_t>> positions_;       ///< of the readers that run now
  std::map<std::string, std::vector<std::int64_t>> final_offsets_;  ///< by transactional id
};

}  // namespace onceflow::sim
