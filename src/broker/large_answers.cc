#include "broker/large_answers.h"

#include <utility>

#include "io/time_slice.h"

namespace onceflow::broker {

namespace {
// Of the loop, before others get their turn; one answer may take longer than this.
constexpr Duration kServingSlice = milliseconds(1);
}  // namespace

LargeAnswers::LargeAnswers(io::Scheduler& scheduler, std::function<void(Owner)> serve)
    : scheduler_(scheduler), serve_(std::move(serve)) {}

bool LargeAnswers::may_be_made(Owner owner, const Backlog& backlog) {
  if (served_ == owner) {
    served_ = Owner{0};
    return true;
  }
  line_.put(owner, backlog);
  if (!is_posted_) {
    post_turn();
  }
  return false;
}

void LargeAnswers::post_turn() {
  is_posted_ = true;
  scheduler_.post([this] { take_turn(); });
}

void LargeAnswers::take_turn() {
  is_posted_ = false;
  const io::TimeSlice slice(scheduler_, kServingSlice);
  // Those that ask meanwhile come in a later turn.
  for (std::size_t left = line_.size(); left > 0 && !line_.empty() && !slice.is_over(); --left) {
    served_ = line_.take_first();
    serve_(Owner(served_));
  }
  served_ = Owner{0};
  if (!line_.empty() && !is_posted_) {
    post_turn();
  }
}

}  // namespace onceflow::broker
