// How many things a request names: the elements of its arrays, in their arrays too. What a handler
// does for each of them takes time of the loop, so there is a bound on them (docs/operations.md),
// for all APIs at once. Stateless.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "broker/core.h"
#include "protocol/field_info.h"

namespace onceflow::broker {

/// So many may be named whatever the log holds, to ask for what is not there or to make it.
inline constexpr std::size_t kNamesFree = 10'000;

/// And each thing that the log holds twice.
std::size_t names_max(const BrokerCore& core);

class NameCount {
 public:
  template <typename Body>
  static std::size_t of(const Body& body, std::int16_t version) {
    NameCount counter(version);
    Body::for_each_field(body, version, counter);
    return counter.count_;
  }

  template <typename T>
  void operator()(const protocol::FieldInfo&, const T& value) {
    add(value);
  }

 private:
  explicit NameCount(std::int16_t version) : version_(version) {}

  template <typename T>
  void add(const T& value) {
    if constexpr (requires { T::for_each_field(value, version_, *this); }) {
      T::for_each_field(value, version_, *this);
    }
  }
  template <typename T>
  void add(const std::vector<T>& values) {
    count_ += values.size();
    for (const T& value : values) {
      add(value);
    }
  }
  template <typename T>
  void add(const std::optional<T>& value) {
    if (value) {
      add(*value);
    }
  }

  const std::int16_t version_;
  std::size_t count_ = 0;
};

}  // namespace onceflow::broker
