// MemoryBudget: how much memory requests and answers may take together: what has been received,
// what is decoded and kept, answers that are built or have not left, and what the journal has
// buffered. Owned by Server, on the broker's thread.
//
// Nothing is taken without a grant, and the sum of all grants never passes bytes_max. There is no
// exception for one that waits long, or is the only one: what does not fit waits, or is refused.
//
// A request takes its memory as its bytes arrive, never by the length that it announces, so one
// that announces much and sends little costs nothing. That alone would end in requests that all
// hold half of what they need. Hence the banker's rule: a grant is given only if after it there is
// an order in which every request that has begun can still be finished. It supposes that a request
// that has begun goes on; the relief (memory_relief.h) closes those that do not, once somebody
// waits.
//
// Three ranks, by the whole that a request or an answer needs. A small one may use everything. A
// medium one leaves the reserve to the small ones, and a large one leaves as much again to the
// medium ones. So neither large requests nor readers of large answers ever keep a small one
// waiting.
//
// Who waits is woken in this order: owners that hold less than their fair share first, then those
// of an address that does, then the least need; and only if there may be what it asked for.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/seeded_bug.h"
#include "coordinator/effects.h"

namespace onceflow::broker {

class MemoryBudget {
  struct Address {
    std::size_t held_bytes = 0;
    std::size_t share_count = 0;
  };
  using Addresses = std::map<std::string, Address>;

 public:
  using Owner = coordinator::ConnectionNumber;

  enum class Rank : std::uint8_t { kSmall, kMedium, kLarge };
  static constexpr std::size_t kSmallBytesMax = 64 * 1024;
  static constexpr std::size_t kMediumBytesMax = 2 * 1024 * 1024;
  static constexpr Rank rank_of(std::size_t whole_bytes) {
    return whole_bytes <= kSmallBytesMax    ? Rank::kSmall
           : whole_bytes <= kMediumBytesMax ? Rank::kMedium
                                            : Rank::kLarge;
  }

  explicit MemoryBudget(std::size_t bytes_max) : bytes_max_(bytes_max) {}
  MemoryBudget(const MemoryBudget&) = delete;
  MemoryBudget& operator=(const MemoryBudget&) = delete;

  /// Called (later, by the owner of the budget) for one that waited: it may try again.
  std::function<void(Owner)> wake;
  /// Called when somebody begins to wait.
  std::function<void()> on_short;

  std::size_t bytes_max() const { return bytes_max_; }
  std::size_t used_bytes() const { return used_bytes_ + common_bytes_; }
  /// Of what was large, all that ever came free: while it stands still, nobody who waits gets on.
  std::uint64_t freed_bytes() const { return freed_bytes_; }
  std::size_t waiting_count() const { return waiting_.size(); }
  /// What those who wait ask for together.
  std::size_t wanted_bytes() const;
  /// The most that requests and answers of this rank may bring the total to.
  std::size_t limit_of(Rank rank) const {
    return bytes_max_ - bytes_max_ / kReserveShare * static_cast<std::size_t>(rank);
  }
  /// What one request may need at most: its bytes and, for records, their copy in the journal.
  std::size_t request_bytes_max() const { return limit_of(Rank::kLarge) / 2; }
  /// Large answers have to wait: no connection gets a second one before it has taken the first.
  bool is_short() const { return used_bytes() > limit_of(Rank::kLarge) / 4 * 3; }
  /// Only small requests go on.
  bool is_critical() const { return used_bytes() > limit_of(Rank::kMedium); }
  /// What one owner, and one address, may hold while others wait.
  std::size_t fair_share_bytes() const {
    return limit_of(Rank::kLarge) / std::max<std::size_t>(1, holding_count_);
  }
  std::size_t fair_share_of_address_bytes() const {
    return limit_of(Rank::kLarge) / std::max<std::size_t>(1, addresses_.size());
  }

  /// What belongs to no connection: the journal's buffers.
  void set_common_bytes(std::size_t bytes) {
    const bool less = bytes < common_bytes_;
    common_bytes_ = bytes;
    if (less) {
      wake_some();
    }
  }

  /// With kBudgetHasAnException the first grants of a request are always given.
  SeededBug seeded_bug = SeededBug::kNone;

  /// What one connection holds.
  class Share {
   public:
    Share(MemoryBudget& budget, Owner owner, const std::string& address);
    ~Share();
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;

    /// Takes `bytes`, of `need` that the request under way takes until it is finished, these
    /// included. False: nothing is taken; asking again when woken.
    bool take(std::size_t bytes, std::size_t need);
    /// Takes `bytes` for an answer of its own, at once. False: as take().
    bool take_at_once(std::size_t bytes);
    /// As much as there is for one answer of at most `bytes`; may be 0. Waits for nothing.
    std::size_t take_up_to(std::size_t bytes);
    /// Counts what is there already and has no limit of its own but a small one.
    void add(std::size_t bytes) { change(held_bytes_ + bytes); }
    void give_back(std::size_t bytes) {
      change(held_bytes_ - bytes);
      if (bytes > 0) {
        budget_.freed_bytes_ += bytes > kSmallBytesMax ? bytes : 0;
        budget_.wake_some();
      }
    }
    /// What was taken in the same turn and not used: nobody is woken for it.
    void undo(std::size_t bytes) { change(held_bytes_ - bytes); }
    /// The request under way needs no more; also one that will not be finished.
    void finish();
    /// To be woken when there may be as much for a request or an answer of this rank.
    void wait(Rank rank, std::size_t bytes);
    /// Asks no more, for instance because it goes.
    void withdraw();

    std::size_t held_bytes() const { return held_bytes_; }
    std::size_t address_bytes() const { return address_->second.held_bytes; }
    bool is_waiting() const { return is_waiting_; }
    /// It waits for nothing, or there may be what it waits for.
    bool may_try() const { return !is_waiting_ || budget_.has_room(wanted_rank_, wanted_bytes_); }
    /// By its fair share.
    bool has_too_much() const { return held_bytes_ > budget_.fair_share_bytes(); }
    bool address_has_too_much() const {
      return address_bytes() > budget_.fair_share_of_address_bytes();
    }

   private:
    friend class MemoryBudget;
    void change(std::size_t bytes);
    void set_need(std::size_t bytes);

    MemoryBudget& budget_;
    Owner owner_;
    Addresses::iterator address_;
    std::size_t held_bytes_ = 0;
    std::size_t taken_bytes_ = 0;  // by the request under way
    std::size_t need_bytes_ = 0;   // what it takes until it is finished; 0: in no order
    Rank rank_ = Rank::kSmall;
    bool is_waiting_ = false;
    std::size_t wanted_bytes_ = 0;
    Rank wanted_rank_ = Rank::kSmall;
  };

 private:
  static constexpr std::size_t kReserveShare = 16;
  // How many are woken at once, for many more will not find memory.
  static constexpr std::size_t kWokenMax = 16;

  using Begun = std::set<std::pair<std::size_t, Share*>>;  // by need

  /// It may still be refused, by the banker's rule.
  bool has_room(Rank rank, std::size_t bytes) const {
    return used_bytes() + bytes <= limit_of(rank);
  }
  bool fits(Rank rank, std::size_t bytes, const Share* self, std::size_t need_after) const;
  void wake_some();

  std::size_t bytes_max_;
  std::size_t used_bytes_ = 0;
  std::size_t common_bytes_ = 0;
  std::uint64_t freed_bytes_ = 0;
  std::size_t holding_count_ = 0;  // owners that hold more than a small request
  std::array<Begun, 3> begun_;     // by rank
  std::array<std::size_t, 3> begun_need_bytes_{};
  std::vector<Share*> waiting_;
  Addresses addresses_;
};

}  // namespace onceflow::broker
