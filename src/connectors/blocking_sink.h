// BlockingSink: a Sink over a store whose calls block. The store lives on a thread of its own; the
// scheduler's thread only waits for it.
//
// A Store has claim, look, check_rows_past, commit, read_positions and receipts_by_stage as Sink
// has, without Task. It is used by one thread at a time: the blocking one while a call is under
// way, whoever destroys it afterwards.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "connectors/sink.h"
#include "io/os/os_blocking_thread.h"
#include "io/scheduler.h"

namespace onceflow::connectors {

template <typename Store>
class BlockingSink final : public Sink {
 public:
  BlockingSink(io::Scheduler& scheduler, std::unique_ptr<Store> store)
      : scheduler_(scheduler), store_(std::move(store)), thread_(make_thread()) {}

  Task<Result<std::vector<ClaimedPartition>>> claim(
      std::vector<TopicPartition> partitions) override {
    Settled settled{*this};
    auto claimed = co_await thread_->run(
        [store = store_.get(), &partitions] { return store->claim(partitions); });
    settled.is_settled = true;
    co_return claimed;
  }

  Task<Result<std::vector<ClaimedPartition>>> look(
      std::vector<TopicPartition> partitions) override {
    Settled settled{*this};
    auto found = co_await thread_->run(
        [store = store_.get(), &partitions] { return store->look(partitions); });
    settled.is_settled = true;
    co_return found;
  }

  Task<Result<std::string>> check_rows_past(std::vector<ClaimedPartition> positions) override {
    Settled settled{*this};
    auto checked = co_await thread_->run(
        [store = store_.get(), &positions] { return store->check_rows_past(positions); });
    settled.is_settled = true;
    co_return checked;
  }

  Task<CommitOutcome> commit(const SinkCommit& commit) override {
    Settled settled{*this};
    CommitOutcome outcome =
        co_await thread_->run([store = store_.get(), &commit] { return store->commit(commit); });
    settled.is_settled = true;
    co_return outcome;
  }

  Task<Result<std::vector<ClaimedPartition>>> read_positions(
      std::vector<TopicPartition> partitions) override {
    Settled settled{*this};
    auto positions = co_await thread_->run(
        [store = store_.get(), &partitions] { return store->read_positions(partitions); });
    settled.is_settled = true;
    co_return positions;
  }

  Task<Result<protocol::ReceiptsByStage>> receipts_by_stage() override {
    Settled settled{*this};
    auto definitions =
        co_await thread_->run([store = store_.get()] { return store->receipts_by_stage(); });
    settled.is_settled = true;
    co_return definitions;
  }

 private:
  // A frame that is destroyed in the middle of a call waits for the call: the thread reads what the
  // frame, or the frame that awaits it, owns.
  struct Settled {
    BlockingSink& sink;
    bool is_settled = false;
    ~Settled() {
      if (!is_settled) {
        sink.thread_ = sink.make_thread();
      }
    }
  };

  std::unique_ptr<io::BlockingThread> make_thread() {
    return std::make_unique<io::OsBlockingThread>(scheduler_);
  }

  io::Scheduler& scheduler_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<io::BlockingThread> thread_;  // after the store: it ends first
};

}  // namespace onceflow::connectors
