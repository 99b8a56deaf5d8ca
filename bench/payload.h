// The records of all benchmarks: JSON text with a running number, so that whoever reads them back
// can tell from count, sum and sum of squares whether one is missing, doubled or altered.
#pragma once

#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>

namespace onceflow::bench {

class Payload {
 public:
  explicit Payload(std::size_t bytes) {
    text_ = R"({"n":100000000000,"text":")";
    // Half of it compresses: a short period, and digits that differ.
    std::uint32_t state = 12345;
    while (text_.size() + 2 < bytes) {
      state = state * 1664525 + 1013904223;
      text_ += text_.size() % 2 == 0 ? 'x' : static_cast<char>('a' + (state >> 24) % 26);
    }
    text_ += "\"}";
  }

  /// The record after the last one.
  std::string_view next() {
    std::size_t digit = kDigitsEnd;
    while (text_[--digit] == '9') {
      text_[digit] = '0';
    }
    ++text_[digit];
    return text_;
  }

  /// The number of a record that next() made; 0: it is none.
  static std::uint64_t number_of(std::string_view record) {
    std::uint64_t number = 0;
    if (record.size() < kDigitsEnd) {
      return 0;
    }
    const auto parsed =
        std::from_chars(record.data() + kDigitsBegin, record.data() + kDigitsEnd, number);
    return parsed.ptr == record.data() + kDigitsEnd ? number - kFirst : 0;
  }

 private:
  static constexpr std::size_t kDigitsBegin = 5;
  static constexpr std::size_t kDigitsEnd = 17;
  static constexpr std::uint64_t kFirst = 100'000'000'000;
  std::string text_;
};

}  // namespace onceflow::bench
