#include "broker/status_feed.h"

#include <utility>

#include "base/check.h"

namespace onceflow::broker {

namespace {
// Of partitions, groups and offsets in a piece: some 50 µs.
constexpr std::size_t kPieceCount = 500;
}  // namespace

StatusFeed::StatusFeed(io::Scheduler& scheduler, log::Log& log,
                       coordinator::GroupCoordinator& groups, std::function<BrokerStatus()> totals)
    : scheduler_(scheduler), log_(log), groups_(groups), totals_(std::move(totals)) {
  log_.watch();
  groups_.watch();
}

StatusFeed::~StatusFeed() { *alive_ = false; }

void StatusFeed::ask(TellStatus tell) {
  CHECK(!tell_);
  tell_ = std::move(tell);
  log_.begin_news();
  groups_.begin_news();
  tell_next();
}

void StatusFeed::tell_next() {
  StatusNews news;
  if (log_.has_news()) {
    news.log = log_.take_news(kPieceCount);
  } else {
    news.groups = groups_.take_news(kPieceCount);
  }
  if (!log_.has_news() && !groups_.has_news()) {
    news.totals = totals_();
    std::exchange(tell_, nullptr)(std::move(news));
    return;
  }
  tell_(std::move(news));
  scheduler_.post([this, alive = alive_] {
    if (*alive) {
      tell_next();
    }
  });
}

}  // namespace onceflow::broker
