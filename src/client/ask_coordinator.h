// ask_coordinator: one question to the coordinator of a group, asked again with back-off, of
// whoever coordinates it by then, until the deadline.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "base/result.h"
#include "base/task.h"
#include "client/broker_error.h"
#include "client/cluster.h"

namespace onceflow::client {

/// What an answer says: the code that decides whether it came from the coordinator, and the result.
template <typename Value>
struct CoordinatorAnswer {
  protocol::ErrorCode code = protocol::ErrorCode::kNone;
  Result<Value> result;
};

/// `judge` makes a CoordinatorAnswer<Value> of a response. Returns its first result that is no
/// retriable error; kTimedOut with the words of the last one.
template <typename Value, typename Request, typename Judge>
Task<Result<Value>> ask_coordinator(std::shared_ptr<Cluster> cluster, Channel channel,
                                    std::string group_id, Request request, Judge judge,
                                    MonotonicTime deadline) {
  Backoff backoff(cluster->options(), cluster->environment().random);
  while (true) {
    const auto node = co_await cluster->coordinator(CoordinatorType::kGroup, group_id, deadline);
    CO_RETURN_IF_ERROR(node);
    const auto connection = co_await cluster->connection(channel, *node, deadline);
    CO_RETURN_IF_ERROR(connection);
    const auto reply = co_await (*connection)->send(request, cluster->request_deadline(deadline));
    CoordinatorAnswer<Value> answer{.result = std::unexpected(Error{})};
    if (reply) {
      answer = judge(*reply);
    } else {
      answer.result = std::unexpected(reply.error());
    }
    if (answer.result || answer.result.error().recovery != Recovery::kRetriable) {
      co_return std::move(answer.result);
    }
    if (!reply || is_wrong_coordinator(answer.code)) {
      cluster->forget_coordinator(CoordinatorType::kGroup, group_id);
    }
    if (const Status paused = co_await cluster->pause(backoff.next(), deadline); !paused) {
      co_return std::unexpected(paused.error().code == ErrorCode::kCancelled
                                    ? paused.error()
                                    : timed_out_error(answer.result.error().text));
    }
  }
}

}  // namespace onceflow::client
