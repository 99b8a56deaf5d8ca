// Elements of an array of a request that name the same thing: made one, before anything is done for
// them, so that a request costs no more than what it names once. Included by generated code, which
// knows the keys from the definitions; stateless.
//
// Linear but for a sort by hash, n log n whatever the names are: a hash table could be steered by
// names that collide. Up to kCountComparedOneByOne elements, and where they ascend, nothing is
// allocated.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/ids.h"

namespace onceflow::protocol::codec {

inline constexpr std::size_t kCountComparedOneByOne = 16;

/// For what is named by a name, or by an id where that is null.
inline std::tuple<const std::optional<std::string>&, const TopicId&> first_of(
    const std::optional<std::string>& name, const TopicId& id) {
  static constexpr TopicId kNone{};
  return {name, name ? kNone : id};
}

template <typename T>
std::uint64_t hash_of_key(const T& value) {
  return std::hash<T>{}(value);
}
template <typename... T>
std::uint64_t hash_of_key(const std::tuple<T...>& key) {
  return std::apply(
      [](const auto&... part) {
        std::uint64_t hash = 0;
        ((hash = (hash ^ hash_of_key(part)) * 0x9e3779b97f4a7c15), ...);
        return hash;
      },
      key);
}

/// For each element, the index of the first with its key.
template <typename Element, typename KeyOf>
std::vector<std::uint32_t> first_with_key(const std::vector<Element>& elements, KeyOf key_of) {
  struct Place {
    std::uint64_t hash;
    std::uint32_t index;
  };
  std::vector<Place> places(elements.size());
  for (std::uint32_t index = 0; index < places.size(); ++index) {
    places[index] = {hash_of_key(key_of(elements[index])), index};
  }
  std::ranges::sort(places, [&](const Place& left, const Place& right) {
    if (left.hash != right.hash) {
      return left.hash < right.hash;
    }
    const auto order = key_of(elements[left.index]) <=> key_of(elements[right.index]);
    return order != 0 ? order < 0 : left.index < right.index;
  });
  std::vector<std::uint32_t> first(elements.size());
  for (std::size_t begin = 0; begin < places.size();) {
    std::size_t end = begin;
    do {
      first[places[end].index] = places[begin].index;
      ++end;
    } while (end < places.size() && places[end].hash == places[begin].hash &&
             key_of(elements[places[end].index]) == key_of(elements[places[begin].index]));
    begin = end;
  }
  return first;
}

/// Leaves the first of the elements with the same key in its place, after `absorb(first, again)`
/// has taken from each of the others what they say.
template <typename Element, typename KeyOf, typename Absorb>
void collapse_repeats(std::vector<Element>& elements, KeyOf key_of, Absorb absorb) {
  const auto ascends = [&](const Element& left, const Element& right) {
    return key_of(left) < key_of(right);
  };
  const auto does_not_ascend = std::ranges::adjacent_find(elements, std::not_fn(ascends));
  if (does_not_ascend == elements.end()) {
    return;
  }
  std::vector<std::uint32_t> first;
  if (elements.size() > kCountComparedOneByOne) {
    first = first_with_key(elements, key_of);
  }
  std::size_t kept = 0;
  for (std::size_t index = 0; index < elements.size(); ++index) {
    std::size_t place = 0;
    if (first.empty()) {
      while (place < kept && key_of(elements[place]) != key_of(elements[index])) {
        ++place;
      }
    } else {
      place = first[index] == index ? kept : first[first[index]];
      first[index] = static_cast<std::uint32_t>(place);  // from here on: where it has gone
    }
    if (place < kept) {
      absorb(elements[place], elements[index]);
      continue;
    }
    if (kept != index) {
      elements[kept] = std::move(elements[index]);
    }
    ++kept;
  }
  elements.resize(kept);
}
template <typename Element, typename KeyOf, typename Absorb>
void collapse_repeats(std::optional<std::vector<Element>>& elements, KeyOf key_of, Absorb absorb) {
  if (elements) {
    collapse_repeats(*elements, key_of, absorb);
  }
}

/// All that both name. Null, where it may be, names everything.
template <typename Element>
void join(std::vector<Element>& elements, std::vector<Element>&& more) {
  elements.insert(elements.end(), std::make_move_iterator(more.begin()),
                  std::make_move_iterator(more.end()));
}
template <typename Element>
void join(std::optional<std::vector<Element>>& elements,
          std::optional<std::vector<Element>>&& more) {
  if (elements && more) {
    join(*elements, std::move(*more));
  } else {
    elements.reset();
  }
}

template <typename Element, typename Visitor>
void for_each_element(std::vector<Element>& elements, Visitor visitor) {
  std::ranges::for_each(elements, visitor);
}
template <typename Element, typename Visitor>
void for_each_element(std::optional<std::vector<Element>>& elements, Visitor visitor) {
  if (elements) {
    std::ranges::for_each(*elements, visitor);
  }
}

}  // namespace onceflow::protocol::codec
