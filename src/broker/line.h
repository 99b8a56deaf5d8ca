// Line: connections that wait for their turn, each once, in the order of a rank: the least first,
// and of the same rank who came first. Value; on the broker's thread.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <unordered_map>

#include "coordinator/effects.h"

namespace onceflow::broker {

template <typename Rank>
class Line {
 public:
  using Owner = coordinator::ConnectionNumber;

  /// One that stands in the line already moves to where it belongs now.
  void put(Owner owner, const Rank& rank) {
    const auto found = places_.find(owner);
    const Place place{rank, found == places_.end() ? ++last_number_ : found->second.number};
    remove(owner);
    owners_.emplace(place, owner);
    places_.emplace(owner, place);
  }
  /// Of a line that is not empty.
  Owner take_first() {
    const Owner first = owners_.begin()->second;
    remove(first);
    return first;
  }
  void remove(Owner owner) {
    if (const auto found = places_.find(owner); found != places_.end()) {
      owners_.erase(found->second);
      places_.erase(found);
    }
  }
  bool contains(Owner owner) const { return places_.contains(owner); }
  bool empty() const { return places_.empty(); }
  std::size_t size() const { return places_.size(); }

 private:
  struct Place {
    Rank rank{};
    std::uint64_t number = 0;
    auto operator<=>(const Place&) const = default;
  };

  std::map<Place, Owner> owners_;
  std::unordered_map<Owner, Place> places_;
  std::uint64_t last_number_ = 0;
};

}  // namespace onceflow::broker
