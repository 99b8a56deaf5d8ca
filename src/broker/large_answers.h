// LargeAnswers: whose turn it is to have a large answer made, one of many records, or one that
// describes much. To make it and to hand it to the socket takes the loop longer than a hundred
// small requests, and hundreds of clients may ask for one at a time. Owned by Server, on the
// broker's thread.
//
// None is made at once: all wait in line for a turn of their own, where they are served in slices
// of time; between two turns sockets and timers have theirs. Who is alone waits for nobody. The
// shortest backlog goes first: those within their fair share of memory, then those of an address
// that is, then who holds least, then who asked first. So one that has been sent much and does not
// read it stands behind all that do.
#pragma once

#include <compare>
#include <cstddef>
#include <functional>

#include "broker/line.h"
#include "coordinator/effects.h"
#include "io/scheduler.h"

namespace onceflow::broker {

class LargeAnswers {
 public:
  using Owner = coordinator::ConnectionNumber;

  /// An answer with more records than this is large; and one that describes so much.
  static constexpr std::size_t kLargeBytes = 64 * 1024;
  static constexpr std::size_t kLargeDescriptionBytes = 256 * 1024;
  /// No answer has more records, but one whose first batch is larger: a millisecond or two of the
  /// loop.
  static constexpr std::size_t kBytesMax = 2 * 1024 * 1024;

  struct Backlog {
    bool has_too_much = false;          ///< of memory, by its fair share
    bool address_has_too_much = false;  ///< all connections of its address
    std::size_t held_bytes = 0;
    auto operator<=>(const Backlog&) const = default;
  };

  /// `serve` is called for one whose turn has come: may_be_made() says so within the call, once.
  LargeAnswers(io::Scheduler& scheduler, std::function<void(Owner)> serve);
  LargeAnswers(const LargeAnswers&) = delete;
  LargeAnswers& operator=(const LargeAnswers&) = delete;

  /// False: its turn is later, and `serve` tells of it. Asking again while it waits puts it where
  /// its backlog of now belongs.
  bool may_be_made(Owner owner, const Backlog& backlog);
  bool is_waiting(Owner owner) const { return line_.contains(owner); }
  /// It is gone.
  void forget(Owner owner) { line_.remove(owner); }
  std::size_t waiting_count() const { return line_.size(); }

 private:
  void post_turn();
  void take_turn();

  io::Scheduler& scheduler_;
  std::function<void(Owner)> serve_;
  Line<Backlog> line_;
  bool is_posted_ = false;
  Owner served_{0};
};

}  // namespace onceflow::broker
