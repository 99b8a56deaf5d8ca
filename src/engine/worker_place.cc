#include "engine/worker_place.h"

#include <fmt/format.h>

#include <algorithm>

#include "client/admin.h"
#include "engine/stage_news.h"

namespace onceflow::engine {
namespace {

constexpr Duration kAskTimeout = seconds(3);
constexpr Duration kAskInterval = milliseconds(300);
/// Beyond the session, for the coordinator to notice.
constexpr Duration kGrace = seconds(1);

struct Holder {
  std::string group_id;
  client::GroupMemberDescription member;
};

Task<std::optional<Holder>> find_holder(client::Admin& admin, client::Cluster& cluster,
                                        const PlaceQuestion& question) {
  for (const std::string& group_id : question.group_ids) {
    const auto group =
        co_await admin.describe_group(group_id, cluster.scheduler().now() + kAskTimeout);
    if (!group) {
      continue;
    }
    const auto member = std::ranges::find(group->members, question.group_instance_id,
                                          &client::GroupMemberDescription::group_instance_id);
    if (member != group->members.end()) {
      co_return Holder{group_id, *member};
    }
  }
  co_return std::nullopt;
}

std::string describe(const PlaceOptions& options, const Holder& holder) {
  const std::string& note = holder.member.note;
  return fmt::format("{}{} (client.id '{}', group '{}')",
                     note.empty() ? "" : options.describe(note) + ", address ",
                     holder.member.client_host, holder.member.client_id, holder.group_id);
}

}  // namespace

Task<Status> take_place(std::shared_ptr<client::Cluster> cluster, PlaceOptions options,
                        PlaceQuestion question, std::function<bool()> must_stop,
                        std::function<void(StageCause)> waits) {
  if (options.rule == PlaceRule::kTakeOver || question.group_instance_id.empty()) {
    co_return Status{};  // Without an instance it has no place that another one could hold.
  }
  client::Admin admin(cluster);
  io::Scheduler& scheduler = cluster->scheduler();
  const MonotonicTime until = scheduler.now() + question.session_timeout + kGrace;
  while (!must_stop()) {
    const auto holder = co_await find_holder(admin, *cluster, question);
    if (!holder) {
      co_return Status{};
    }
    const MemberLife life = options.judge(holder->member.note);
    if (life == MemberLife::kDead) {
      co_return Status{};
    }
    if (life == MemberLife::kAlive || scheduler.now() >= until) {
      co_return fail(ErrorCode::kRefused,
                     fmt::format("worker '{}' is running already: {}; every live worker of a "
                                 "pipeline has a name of its own, so start this one with another "
                                 "--worker, or stop that one; --take-over throws it out",
                                 question.worker, describe(options, *holder)));
    }
    waits({fmt::format("the place of worker '{}' is held by {}; whether that process lives cannot "
                       "be seen from here",
                       question.worker, describe(options, *holder)),
           fmt::format("if it is dead, its place is free within {} (session.timeout.ms); "
                       "--take-over does not wait",
                       to_text(question.session_timeout))});
    co_await scheduler.sleep_for(kAskInterval);
  }
  co_return fail(ErrorCode::kCancelled, "stopped");
}

}  // namespace onceflow::engine
