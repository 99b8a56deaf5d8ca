// SimRandom: chance that a seed decides. Everything random in a simulated run comes from one seed.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/time.h"
#include "io/random.h"

namespace onceflow::sim {

/// A probability as a fraction, so that every platform decides alike. 0/1 is never.
struct Chance {
  std::uint32_t numerator = 0;
  std::uint32_t denominator = 1;
  bool is_never() const { return numerator == 0; }
};

class SimRandom final : public io::Random {
 public:
  explicit SimRandom(std::uint64_t seed) : state_(seed) {}

  // SplitMix64 (Steele, Lea, Flood 2014).
  std::uint64_t next() override {
    std::uint64_t mixed = (state_ += 0x9e3779b97f4a7c15);
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
    return mixed ^ (mixed >> 31);
  }

  /// Draws nothing where it is never: switching one fault off changes no other draw.
  bool happens(Chance chance) {
    return !chance.is_never() && below(chance.denominator) < chance.numerator;
  }
  bool coin() { return (next() & 1) != 0; }
  /// Uniform in [low, high].
  std::uint64_t between(std::uint64_t low, std::uint64_t high) {
    return low + below(high - low + 1);
  }
  Duration between(Duration low, Duration high) {
    return Duration(static_cast<std::int64_t>(between(static_cast<std::uint64_t>(low.count()),
                                                      static_cast<std::uint64_t>(high.count()))));
  }
  /// Another stream, decided by this one and a name.
  SimRandom fork(std::string_view name) {
    std::uint64_t seed = next();
    for (const char letter : name) {
      seed = (seed ^ static_cast<unsigned char>(letter)) * 0x100000001b3;
    }
    return SimRandom(seed);
  }

 private:
  std::uint64_t state_;
};

}  // namespace onceflow::sim
