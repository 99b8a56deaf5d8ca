// TimerQueue: the timers of one scheduler, in order of time and then of age.
//
// A heap of small entries beside a table of callbacks: cancelling empties the table's slot and
// leaves the entry behind, so that the usual life of a timer (set, then cancelled by the answer)
// costs no search and no allocation. Entries left behind are swept out when they are the majority.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/callback.h"
#include "base/time.h"
#include "io/scheduler.h"

namespace onceflow::io {

class TimerQueue {
 public:
  TimerId add(MonotonicTime time, Callback<void()> callback) {
    std::uint32_t index;
    if (free_slots_.empty()) {
      index = static_cast<std::uint32_t>(slots_.size());
      CHECK(index <= kSlotMask);
      slots_.emplace_back();
    } else {
      index = free_slots_.back();
      free_slots_.pop_back();
    }
    const TimerId id = (++last_sequence_ << kSlotBits) | index;
    slots_[index] = Slot{id, std::move(callback)};
    heap_.push_back(Entry{time, id});
    std::ranges::push_heap(heap_, later);
    ++count_;
    return id;
  }

  void cancel(TimerId id) {
    const std::size_t index = id & kSlotMask;
    if (id == 0 || index >= slots_.size() || slots_[index].id != id) {
      return;
    }
    // The callback may own what calls cancel in its destructor: it goes last.
    const Callback<void()> dropped = take(index);
    if (heap_.size() > 64 && heap_.size() > 2 * count_) {
      std::erase_if(heap_, [this](const Entry& entry) { return is_stale(entry); });
      std::ranges::make_heap(heap_, later);
    }
  }

  /// When the earliest is due; nothing if there is none.
  std::optional<MonotonicTime> earliest() {
    drop_stale();
    return heap_.empty() ? std::nullopt : std::optional(heap_.front().time);
  }

  /// The earliest callback that is due at `now`, taken out; nothing if none is.
  std::optional<Callback<void()>> take_due(MonotonicTime now) {
    drop_stale();
    if (heap_.empty() || heap_.front().time > now) {
      return std::nullopt;
    }
    const TimerId id = heap_.front().id;
    pop();
    return take(id & kSlotMask);
  }

  void clear() {
    heap_.clear();
    free_slots_.clear();
    count_ = 0;
    const std::vector<Slot> dropped = std::move(slots_);
    slots_.clear();
  }

 private:
  static constexpr unsigned kSlotBits = 24;
  static constexpr std::uint64_t kSlotMask = (1U << kSlotBits) - 1;

  struct Slot {
    TimerId id = 0;
    Callback<void()> callback;
  };
  struct Entry {
    MonotonicTime time;
    TimerId id;
  };
  static bool later(const Entry& left, const Entry& right) {
    return left.time != right.time ? left.time > right.time : left.id > right.id;
  }

  bool is_stale(const Entry& entry) const { return slots_[entry.id & kSlotMask].id != entry.id; }
  void drop_stale() {
    while (!heap_.empty() && is_stale(heap_.front())) {
      pop();
    }
  }
  void pop() {
    std::ranges::pop_heap(heap_, later);
    heap_.pop_back();
  }
  Callback<void()> take(std::size_t index) {
    Callback<void()> callback = std::move(slots_[index].callback);
    slots_[index] = Slot{};
    free_slots_.push_back(static_cast<std::uint32_t>(index));
    --count_;
    return callback;
  }

  std::vector<Entry> heap_;
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_slots_;
  std::size_t count_ = 0;
  TimerId last_sequence_ = 0;
};

}  // namespace onceflow::io
