#include "engine/stage_loop.h"

#include <algorithm>

namespace onceflow::engine {
namespace {

constexpr Duration kBackoffMax = seconds(5);

}  // namespace

Result<OperatorChain> OperatorChain::make(const Stage& stage) {
  OperatorChain chain;
  for (const Factory<Operator>& factory : stage.operators) {
    auto made = factory();
    RETURN_IF_ERROR(made);
    chain.operators_.push_back(std::move(*made));
  }
  return chain;
}

StageLoop::StageLoop(std::shared_ptr<client::Cluster> cluster, const Stage& stage,
                     StageOptions options)
    : cluster_(std::move(cluster)),
      stage_(stage),
      options_(std::move(options)),
      reader_(cluster_, stage_, options_, status_) {
  status_.stage = stage.id;
  status_.worker = options_.worker;
}

Task<Status> StageLoop::run() {
  if (Status prepared = prepare(); !prepared) {
    note(prepared.error());
    status_.state = StageStatus::State::kFailed;
    co_return prepared;
  }
  reader_.start();
  client::Backoff backoff(
      {.retry_backoff = options_.retry_backoff, .retry_backoff_max = kBackoffMax},
      cluster_->environment().random);
  bool was_tried_again = false;
  while (!reader_.is_stopping()) {
    const std::uint64_t commits_before = status_.commits;
    const Status ended = co_await run_once();
    if (ended) {
      backoff.reset();
      continue;
    }
    note(ended.error());
    co_await abandon();
    const bool made_progress = status_.commits != commits_before;
    was_tried_again = was_tried_again && !made_progress;
    if (is_final(ended.error(), was_tried_again)) {
      status_.state = StageStatus::State::kFailed;
      co_await reader_.leave();
      co_return ended;
    }
    was_tried_again = was_tried_again || is_unclear(ended.error());
    ++status_.recoveries;
    if (made_progress) {
      backoff.reset();
    }
    co_await reader_.pause(backoff.next());
  }
  co_await reader_.leave();
  status_.state = StageStatus::State::kStopped;
  co_return Status{};
}

Task<Status> StageLoop::run_once() {
  auto partitions = co_await reader_.wait_for_assignment();
  CO_RETURN_IF_ERROR(partitions);
  if (reader_.is_stopping()) {
    co_return Status{};
  }
  status_.state = StageStatus::State::kRecovering;
  CO_RETURN_IF_ERROR(co_await recover(std::move(*partitions)));
  status_.state = StageStatus::State::kRunning;
  status_.last_error.clear();
  co_return co_await work();
}

void StageLoop::note(const Error& error) {
  status_.last_error = error.text;
  status_.transaction_open_since.reset();
  if (error.code == ErrorCode::kFenced) {
    ++status_.fenced;
  } else if (error.code == ErrorCode::kUnknownOutcome) {
    ++status_.in_doubt;
  }
  ++status_.aborts;
}

protocol::Receipt StageLoop::begin_receipt() {
  protocol::Receipt receipt;
  receipt.pipeline = options_.pipeline;
  receipt.stage = stage_.id;
  receipt.worker = options_.worker;
  receipt.commit_number = ++commit_number_;
  receipt.committed_at_ms = cluster_->scheduler().wall_now().ms;
  receipt.inputs = reader_.account().inputs();
  return receipt;
}

}  // namespace onceflow::engine
