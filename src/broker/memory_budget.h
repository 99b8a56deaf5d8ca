// MemoryBudget: how much memory the requests and answers of all connections may hold together.
// Owned by Server, on the broker's thread.
//
// Beyond the limit those who ask for more wait in a queue, and the first of them alone may go on:
// so a request that has begun can always be finished, the total stays below the limit and two
// requests more (one let in just below it, one that goes on beyond it), and many half requests
// cannot block each other for ever.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>

#include "coordinator/effects.h"

namespace onceflow::broker {

class MemoryBudget {
 public:
  using Owner = coordinator::ConnectionNumber;

  explicit MemoryBudget(std::size_t bytes_max) : bytes_max_(bytes_max) {}

  /// Called (later, by whoever owns the budget) for an owner that waited and may go on.
  std::function<void(Owner)> wake;

  std::size_t used_bytes() const { return used_bytes_; }
  std::size_t left_bytes() const { return used_bytes_ < bytes_max_ ? bytes_max_ - used_bytes_ : 0; }

  /// What one connection holds.
  class Share {
   public:
    Share(MemoryBudget& budget, Owner owner) : budget_(budget), owner_(owner) {}
    ~Share() {
      withdraw();
      change(0);
    }
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;

    /// False: wait until woken. Asked before a read that may take more memory.
    bool may_grow() { return budget_.may_grow(owner_); }
    /// One request is done: while memory is short somebody else may go on. Asking again is queueing
    /// anew.
    void take_turns() {
      if (!budget_.waiting_.empty()) {
        budget_.forget(owner_);
      }
    }
    /// Asks no more, for instance because it goes.
    void withdraw() { budget_.forget(owner_); }
    void add(std::size_t bytes) { change(bytes_ + bytes); }
    void subtract(std::size_t bytes) { change(bytes_ - bytes); }
    std::size_t bytes() const { return bytes_; }

   private:
    void change(std::size_t bytes) {
      budget_.used_bytes_ += bytes;
      budget_.used_bytes_ -= bytes_;
      const bool less = bytes < bytes_;
      bytes_ = bytes;
      if (less && bytes_ == 0) {
        budget_.forget(owner_);
      }
      if (less) {
        budget_.wake_all();
      }
    }

    MemoryBudget& budget_;
    Owner owner_;
    std::size_t bytes_ = 0;
  };

 private:
  bool may_grow(Owner owner) {
    if (used_bytes_ <= bytes_max_ && waiting_.empty()) {
      return true;
    }
    for (std::size_t place = 0; place < waiting_.size(); ++place) {
      if (waiting_[place] == owner) {
        return place == 0;
      }
    }
    waiting_.push_back(owner);
    return waiting_.size() == 1;
  }

  // The first may go on whatever is used; with memory to spare all may.
  void wake_all() {
    if (waiting_.empty() || used_bytes_ > bytes_max_) {
      return;
    }
    std::deque<Owner> woken;
    woken.swap(waiting_);
    for (const Owner owner : woken) {
      wake(owner);
    }
  }

  void forget(Owner owner) {
    const bool was_first = !waiting_.empty() && waiting_.front() == owner;
    std::erase(waiting_, owner);
    if (was_first && !waiting_.empty()) {
      wake(waiting_.front());
    }
  }

  std::size_t bytes_max_;
  std::size_t used_bytes_ = 0;
  std::deque<Owner> waiting_;
};

}  // namespace onceflow::broker
