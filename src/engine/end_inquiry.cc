#include "engine/end_inquiry.h"

namespace onceflow::engine {
namespace {

constexpr Duration kAskTimeout = seconds(3);

}  // namespace

EndInquiry::EndInquiry(std::shared_ptr<client::Cluster> cluster)
    : state_(std::make_shared<State>(cluster)) {}

void EndInquiry::ask(std::vector<TopicPartition> partitions) {
  if (state_->is_asking) {
    return;
  }
  state_->is_asking = true;
  state_->cluster->scheduler().spawn(run(state_, std::move(partitions)));
}

client::Fetcher::Ends EndInquiry::ends(const TopicPartition& partition) const {
  const auto found = state_->ends.find(partition);
  return found == state_->ends.end() ? client::Fetcher::Ends{} : found->second;
}

Task<void> EndInquiry::run(std::shared_ptr<State> state, std::vector<TopicPartition> partitions) {
  const MonotonicTime deadline = state->cluster->scheduler().now() + kAskTimeout;
  for (TopicPartition& partition : partitions) {
    if (!co_await ask_one(*state, std::move(partition), deadline)) {
      break;  // The others would be told the same.
    }
  }
  state->is_asking = false;
}

// The stable end first: asked the other way round it might lie behind the end.
Task<Status> EndInquiry::ask_one(State& state, TopicPartition partition, MonotonicTime deadline) {
  std::vector<TopicPartition> asked;
  asked.push_back(partition);
  const auto stable = co_await state.admin.list_offsets(
      asked, client::Admin::kLatest, client::IsolationLevel::kReadCommitted, deadline);
  CO_RETURN_IF_ERROR(stable);
  const auto end = co_await state.admin.list_offsets(
      std::move(asked), client::Admin::kLatest, client::IsolationLevel::kReadUncommitted, deadline);
  CO_RETURN_IF_ERROR(end);
  state.ends[partition] = {stable->front().offset, end->front().offset,
                           state.cluster->scheduler().now()};
  co_return Status{};
}

}  // namespace onceflow::engine
