#include "broker/memory_budget.h"

#include <iterator>
#include <tuple>

#include "base/check.h"

namespace onceflow::broker {

namespace {
// Of one answer, when memory is short: enough to go on with.
constexpr std::size_t kAnswerBytesMin = 32 * 1024;
}  // namespace

// --- The budget ---

std::size_t MemoryBudget::wanted_bytes() const {
  std::size_t bytes = 0;
  for (const Share* const share : waiting_) {
    bytes += share->wanted_bytes_;
  }
  return bytes;
}

// The banker's rule, among those of one rank; what the others hold is taken as held for good.
bool MemoryBudget::fits(Rank rank, std::size_t bytes, const Share* self,
                        std::size_t need_after) const {
  const std::size_t limit = limit_of(rank);
  if (!has_room(rank, bytes)) {
    return false;
  }
  if (rank == Rank::kSmall) {
    return true;
  }
  const auto index = static_cast<std::size_t>(rank);
  std::size_t free = limit - used_bytes() - bytes;
  const std::size_t need_of_self = self != nullptr ? self->need_bytes_ : 0;
  if (begun_need_bytes_[index] - need_of_self + need_after <= free) {
    return true;
  }
  const std::size_t self_holds = self != nullptr ? self->taken_bytes_ + bytes : 0;
  bool self_is_done = self == nullptr;
  const auto finish_self = [&] {
    self_is_done = true;
    free += self_holds;
  };
  for (const auto& [need, other] : begun_[index]) {
    if (other == self) {
      continue;
    }
    if (!self_is_done && need_after <= need && need_after <= free) {
      finish_self();
    }
    if (need > free) {
      return false;
    }
    free += other->taken_bytes_;
  }
  return self_is_done || need_after <= free;
}

void MemoryBudget::wake_some() {
  if (waiting_.empty()) {
    return;
  }
  std::vector<Share*> next;
  std::ranges::copy_if(waiting_, std::back_inserter(next), [&](const Share* one) {
    return has_room(one->wanted_rank_, one->wanted_bytes_);
  });
  const std::size_t count = std::min(kWokenMax, next.size());
  std::ranges::partial_sort(next, next.begin() + static_cast<std::ptrdiff_t>(count), {},
                            [](const Share* one) {
                              return std::tuple(one->has_too_much(), one->address_has_too_much(),
                                                one->need_bytes_, one->owner_.value);
                            });
  next.resize(count);
  std::size_t spoken_for = 0;
  for (Share* const woken : next) {
    if (!has_room(woken->wanted_rank_, spoken_for + woken->wanted_bytes_)) {
      continue;
    }
    spoken_for += woken->wanted_bytes_;
    woken->withdraw();
    wake(woken->owner_);
  }
}

// --- A share ---

MemoryBudget::Share::Share(MemoryBudget& budget, Owner owner, const std::string& address)
    : budget_(budget), owner_(owner), address_(budget.addresses_.try_emplace(address).first) {
  ++address_->second.share_count;
}

MemoryBudget::Share::~Share() {
  withdraw();
  finish();
  give_back(held_bytes_);
  if (--address_->second.share_count == 0) {
    budget_.addresses_.erase(address_);
  }
}

bool MemoryBudget::Share::take(std::size_t bytes, std::size_t need) {
  if (taken_bytes_ == 0) {
    rank_ = rank_of(need);
  }
  const bool has_an_exception =
      budget_.seeded_bug == SeededBug::kBudgetHasAnException && taken_bytes_ <= kSmallBytesMax;
  if (!budget_.fits(rank_, bytes, this, need - bytes) && !has_an_exception) {
    wait(rank_, bytes);
    return false;
  }
  withdraw();
  taken_bytes_ += bytes;
  set_need(need - bytes);
  change(held_bytes_ + bytes);
  CHECK_INVARIANT("MEM-1", budget_.used_bytes() <= budget_.bytes_max() || has_an_exception);
  return true;
}

bool MemoryBudget::Share::take_at_once(std::size_t bytes) {
  const bool has_an_exception = budget_.seeded_bug == SeededBug::kBudgetHasAnException;
  if (!budget_.fits(rank_of(bytes), bytes, nullptr, 0) && !has_an_exception) {
    wait(rank_of(bytes), bytes);
    return false;
  }
  withdraw();
  change(held_bytes_ + bytes);
  return true;
}

// At most a quarter of what is left, so that the first to come does not take all.
std::size_t MemoryBudget::Share::take_up_to(std::size_t bytes) {
  const std::size_t limit = budget_.limit_of(Rank::kLarge);
  const std::size_t left = budget_.used_bytes() < limit ? (limit - budget_.used_bytes()) / 4 : 0;
  const std::size_t granted = std::min(bytes, std::max(left, kAnswerBytesMin));
  if (!budget_.fits(rank_of(granted), granted, nullptr, 0)) {
    const std::size_t least = std::min(bytes, kAnswerBytesMin);
    if (!budget_.fits(Rank::kSmall, least, nullptr, 0)) {
      return 0;
    }
    change(held_bytes_ + least);
    return least;
  }
  change(held_bytes_ + granted);
  return granted;
}

void MemoryBudget::Share::finish() {
  set_need(0);
  taken_bytes_ = 0;
}

void MemoryBudget::Share::set_need(std::size_t bytes) {
  const auto index = static_cast<std::size_t>(rank_);
  if (need_bytes_ != 0) {
    budget_.begun_[index].erase({need_bytes_, this});
    budget_.begun_need_bytes_[index] -= need_bytes_;
  }
  need_bytes_ = rank_ == Rank::kSmall ? 0 : bytes;
  if (need_bytes_ != 0) {
    budget_.begun_[index].emplace(need_bytes_, this);
    budget_.begun_need_bytes_[index] += need_bytes_;
  }
}

void MemoryBudget::Share::wait(Rank rank, std::size_t bytes) {
  wanted_rank_ = rank;
  wanted_bytes_ = bytes;
  if (!std::exchange(is_waiting_, true)) {
    budget_.waiting_.push_back(this);
    budget_.on_short();
  }
}

void MemoryBudget::Share::withdraw() {
  if (std::exchange(is_waiting_, false)) {
    std::erase(budget_.waiting_, this);
  }
}

void MemoryBudget::Share::change(std::size_t bytes) {
  budget_.used_bytes_ = budget_.used_bytes_ - held_bytes_ + bytes;
  Address& address = address_->second;
  address.held_bytes = address.held_bytes - held_bytes_ + bytes;
  budget_.holding_count_ -= held_bytes_ > kSmallBytesMax ? 1 : 0;
  budget_.holding_count_ += bytes > kSmallBytesMax ? 1 : 0;
  held_bytes_ = bytes;
}

}  // namespace onceflow::broker
